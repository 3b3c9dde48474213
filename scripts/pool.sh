# Functions for an rr-pgpool server under test, to be sourced by scripts: its databases for clients
# of the PostgreSQL door, start it, wait until it serves, try again, stop it.
# shellcheck shell=sh

# pool_binary: sets binary to RR_PGPOOL_BINARY, else to what it builds.
pool_binary() {
    binary=${RR_PGPOOL_BINARY:-}
    if [ -z "$binary" ]; then
        cargo build --quiet --package rr-pgpool
        binary=${CARGO_TARGET_DIR:-target}/debug/rr-pgpool
    fi
}

# pool_databases PG-PORT [MODE...]: prints entries of pgpool.databases, one for each of these modes of
# the door, or for all that share connections or keep them.
pool_databases() {
    _port=$1
    shift
    [ "$#" -gt 0 ] || set -- transaction auto session
    for _mode in "$@"; do pool_database "$_mode" "$_port"; done
}

# pool_connections MODE: prints how many they have: so few that clients really share them; in session
# mode one for each client of a test.
pool_connections() { case "$1" in session) echo 8 ;; *) echo 3 ;; esac; }

# pool_database MODE PG-PORT: prints the entry by_MODE.
pool_database() {
    cat <<YAML
    by_$1:
      primary:
        dsn: postgres://app:secret@127.0.0.1:$2/app
        pool:
          max_connections: $(pool_connections "$1")
          min_connections: 0
          max_held: 100%
          acquire_timeout: 10s
        behavior:
          mode: $1
YAML
}

# pool_start BINARY DIR NAME: runs it with DIR/NAME.yaml, its log in DIR/NAME.log; sets pool_pid.
pool_start() {
    "$1" serve -c "$2/$3.yaml" </dev/null >"$2/$3.log" 2>&1 &
    pool_pid=$!
}

# pool_wait BINARY RPC-ADDRESS PID: false when the process ends or takes more than 30 s. Its doors
# are open before it is healthy.
pool_wait() {
    _tries=0
    until "$1" health --address "$2" --timeout 1s >/dev/null 2>&1; do
        _tries=$((_tries + 1))
        if [ "$_tries" -ge 300 ] || ! kill -0 "$3" 2>/dev/null; then return 1; fi
        sleep 0.1
    done
    # Healthy may have been somebody else's server on that port, with ours unable to bind.
    kill -0 "$3" 2>/dev/null
}

# pool_door BINARY DIR PG-PORT [MODE...]: starts it for clients of the PostgreSQL door, on a port of which
# nobody knows whether it is free; sets PGPORT and pool_pid. POOL_TLS is the value of proxy.tls, if set, and
# POOL_ADMINS that of proxy.admin_users.
pool_door() {
    _binary=$1 _dir=$2 _pg_port=$3
    shift 3
    PGPORT=$(pg_random_port)
    cat >"$_dir/pool.yaml" <<YAML
version: '3'
pgpool:
  rpc:
    listen: unix://$_dir/pgpool.sock
  proxy:
    address: tcp://127.0.0.1:$PGPORT
${POOL_TLS:+    tls: $POOL_TLS}
${POOL_ADMINS:+    admin_users: [$POOL_ADMINS]}
  shutdown:
    grace: 100ms
  backends:
    primary:
      dsn: postgres://app:secret@127.0.0.1:$_pg_port/app
      pool:
        min_connections: 0
  databases:
$(pool_databases "$_pg_port" "$@")
YAML
    pool_start "$_binary" "$_dir" pool
    pool_wait "$_binary" "unix://$_dir/pgpool.sock" "$pool_pid"
}

# pool_try LOG COMMAND...: runs what starts a server on some port and sets pool_pid until it succeeds, up
# to five times. Prints LOG when that comes to nothing.
pool_try() {
    _log=$1
    shift
    for _attempt in 1 2 3 4 5; do
        if "$@"; then return 0; fi
        kill -KILL "$pool_pid" 2>/dev/null || true
    done
    echo "the server did not start:" >&2
    cat "$_log" >&2
    return 1
}

# pool_stop PID...: stops them and waits until they are gone.
pool_stop() {
    for _pid in "$@"; do kill -TERM "$_pid" 2>/dev/null || true; done
    for _pid in "$@"; do wait "$_pid" 2>/dev/null || true; done
}

# pool_scratch: sets dir, a new directory, and has everything end with the script: the server that is $pool_pid,
# the processes that are $others, and each PostgreSQL in dir.
pool_scratch() {
    dir=$(pg_scratch_dir)
    pool_pid="" others=""
    trap pool_cleanup EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM HUP
}

pool_cleanup() {
    # shellcheck disable=SC2086
    pool_stop $others $pool_pid
    for _data in "$dir"/*/data "$dir/data"; do
        pg_stop "${_data%/data}"
    done
    rm -rf "$dir"
}
