# Functions for a throw-away PostgreSQL, to be sourced by scripts: find its programs, make a cluster
# in a temporary directory, start it on a free port, stop it. They never touch another cluster.
# shellcheck shell=sh

# Prints the directory with the server programs: PGBIN, then PATH, then the usual places, newest
# version first.
pg_find_bin() {
    for _dir in ${PGBIN:-} \
        $(printf '%s' "$PATH" | tr ':' ' ') \
        $(ls -d /usr/lib/postgresql/*/bin /usr/pgsql-*/bin /usr/libexec/postgresql* \
            /opt/homebrew/opt/postgresql@*/bin /usr/local/opt/postgresql@*/bin 2>/dev/null \
            | sort -rV); do
        if [ -x "$_dir/initdb" ] && [ -x "$_dir/postgres" ]; then
            # Through links: other programs of the version are only beside the real ones.
            dirname "$(readlink -f "$_dir/initdb")"
            return 0
        fi
    done
    return 1
}

# Prints the account for server programs when we are root: PostgreSQL refuses to run as root.
pg_account() {
    if id -u postgres >/dev/null 2>&1; then echo postgres; else echo nobody; fi
}

# Replaces the (sub)shell by a command under that account, or as ourselves when we are not root:
# `(pg_exec postgres ...) &` makes $! the command itself.
pg_exec() {
    if [ "$(id -u)" -ne 0 ]; then
        exec "$@"
    elif setpriv --reuid="$(id -u)" true 2>/dev/null; then
        exec setpriv --reuid="$(id -u "$(pg_account)")" --regid="$(id -g "$(pg_account)")" \
            --clear-groups "$@"
    else
        _quoted=exec
        for _word in "$@"; do
            _quoted="$_quoted '$(printf '%s' "$_word" | sed "s/'/'\\\\''/g")'"
        done
        exec su -s /bin/sh "$(pg_account)" -c "$_quoted"
    fi
}

# Runs a command under that account to its end.
pg_as() { (pg_exec "$@"); }

# Prints a new directory that the account owns. /tmp, since a socket's path may not be long.
pg_scratch_dir() {
    _made=$(mktemp -d /tmp/rrpg-XXXXXX)
    chmod 755 "$_made"
    [ "$(id -u)" -ne 0 ] || chown "$(pg_account)" "$_made"
    printf '%s\n' "$_made"
}

# Prints a port outside the range from which systems number outgoing connections. It may be taken:
# whoever binds it has to try again with another.
pg_random_port() {
    echo $((15000 + $(od -An -N2 -tu2 /dev/urandom) % 17000))
}

# pg_init DIR: a cluster in DIR/data; role app (password secret) owns the database app.
pg_init() {
    _bin=$(pg_find_bin) || { echo "PostgreSQL's server programs were not found" >&2; return 1; }
    (
        cd / # the account may not be able to enter where we are
        pg_as "$_bin/initdb" --no-sync --encoding=UTF8 --locale=C --auth=trust \
            --username=postgres -D "$1/data" >"$1/initdb.log" 2>&1 \
            || { cat "$1/initdb.log" >&2; exit 1; }
        printf '%s\n' "CREATE ROLE app LOGIN PASSWORD 'secret'" "CREATE DATABASE app OWNER app" \
            | pg_as "$_bin/postgres" --single -F -c password_encryption=scram-sha-256 \
                -D "$1/data" postgres >"$1/initdb.log" 2>&1
        printf '%s\n' "local all postgres trust" "local replication postgres trust" "host all all 127.0.0.1/32 scram-sha-256" \
            "local all all scram-sha-256" >"$1/data/pg_hba.conf"
    )
}

# pg_start DIR [POSTGRES-OPTION...]: starts it and sets pg_port and pg_pid.
pg_start() {
    _bin=$(pg_find_bin)
    _dir=$1
    shift
    for _attempt in 1 2 3 4 5 6 7 8 9 10; do
        pg_port=$(pg_random_port)
        if (
            cd /
            pg_as "$_bin/pg_ctl" start -w -t 60 -s -D "$_dir/data" -l "$_dir/postgres.log" \
                -o "-p $pg_port -k $_dir -c listen_addresses=127.0.0.1 $*" >/dev/null 2>&1
        ); then
            pg_pid=$(head -n 1 "$_dir/data/postmaster.pid")
            return 0
        fi
        grep -q 'Address already in use' "$_dir/postgres.log" || break
    done
    echo "PostgreSQL did not start (attempt $_attempt):" >&2
    cat "$_dir/postgres.log" >&2
    return 1
}

# pg_replica DIR PORT TO [POSTGRES-OPTION...]: a streaming replica, in the new directory TO, of the
# server that runs in DIR; like pg_start it sets pg_port and pg_pid.
pg_replica() {
    _bin=$(pg_find_bin)
    _from=$1 _from_port=$2 _to=$3
    shift 3
    pg_as mkdir "$_to"
    (
        cd /
        pg_as "$_bin/pg_basebackup" --no-sync --checkpoint=fast --write-recovery-conf -h "$_from" \
            -p "$_from_port" -U postgres -D "$_to/data"
    ) || return 1
    pg_start "$_to" "$@"
}

# pg_stop DIR: stops it at once, if it runs.
pg_stop() {
    if [ -f "$1/data/postmaster.pid" ]; then
        (
            cd /
            pg_as "$(pg_find_bin)/pg_ctl" stop -w -s -m immediate -D "$1/data" >/dev/null 2>&1
        ) || true
    fi
}
