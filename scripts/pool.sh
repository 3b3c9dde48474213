# Functions for an rr-pgpool server under test, to be sourced by scripts: its databases for clients
# of the PostgreSQL door, start it, wait until it serves, try again, stop it.
# shellcheck shell=sh

# pool_databases PG-PORT: prints entries of pgpool.databases, one for each mode of the door. So few
# connections that clients really share them; in session mode one for each client of a test.
pool_databases() {
    pool_database transaction 3 "$1"
    pool_database auto 3 "$1"
    pool_database session 8 "$1"
}

# pool_database MODE CONNECTIONS PG-PORT: prints the entry by_MODE.
pool_database() {
    cat <<YAML
    by_$1:
      primary:
        dsn: postgres://app:secret@127.0.0.1:$3/app
        pool:
          max_connections: $2
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

# pool_try FUNCTION LOG: calls it until it succeeds, up to five times: it starts a server on a port of
# which nobody knows whether it is free, and sets pool_pid. Prints LOG when that comes to nothing.
pool_try() {
    for _attempt in 1 2 3 4 5; do
        if "$1"; then return 0; fi
        kill -KILL "$pool_pid" 2>/dev/null || true
    done
    echo "the server did not start:" >&2
    cat "$2" >&2
    return 1
}

# pool_stop PID...: stops them and waits until they are gone.
pool_stop() {
    for _pid in "$@"; do kill -TERM "$_pid" 2>/dev/null || true; done
    for _pid in "$@"; do wait "$_pid" 2>/dev/null || true; done
}
