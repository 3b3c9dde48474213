#!/bin/sh
# Starts a throw-away PostgreSQL and two rr-pgpool servers in front of it, one on TCP and one on a
# Unix socket; prints `ready TCP-ADDRESS UNIX-ADDRESS` when both are healthy; stops all of it and
# removes everything when its standard input ends, which also happens when the tests die.
#
#   tests/php/server.sh RR-PGPOOL-BINARY
set -eu
binary=$1
# shellcheck source=scripts/postgres.sh
. "$(dirname "$0")/../../scripts/postgres.sh"

dir=$(pg_scratch_dir)
pools=""
cleanup() {
    for pid in $pools; do kill -TERM "$pid" 2>/dev/null || true; done
    for pid in $pools; do wait "$pid" 2>/dev/null || true; done
    pg_stop "$dir"
    rm -rf "$dir"
}
trap cleanup EXIT
trap 'exit 1' INT TERM HUP

# start_pool NAME LISTEN-ADDRESS: sets pool_pid.
start_pool() {
    cat >"$dir/$1.yaml" <<YAML
version: '3'
pgpool:
  rpc:
    listen: $2
  proxy:
    address: ''
  transactions:
    idle_timeout: 30s
  shutdown:
    grace: 100ms
  backends:
    primary:
      dsn: postgres://app:secret@127.0.0.1:$pg_port/app
      pool:
        max_connections: 10
        min_connections: 0
  databases:
    other:
      primary:
        dsn: postgres://app:secret@127.0.0.1:$pg_port/app
        pool:
          max_connections: 2
          min_connections: 0
YAML
    "$binary" serve -c "$dir/$1.yaml" </dev/null >"$dir/$1.log" 2>&1 &
    pool_pid=$!
}

# wait_healthy ADDRESS PID: false when the process ends or takes more than 30 s.
wait_healthy() {
    tries=0
    until "$binary" health --address "$1" --timeout 1s >/dev/null 2>&1; do
        tries=$((tries + 1))
        if [ "$tries" -ge 300 ] || ! kill -0 "$2" 2>/dev/null; then return 1; fi
        sleep 0.1
    done
    # Healthy may have been somebody else's server on that port, with ours unable to bind.
    kill -0 "$2" 2>/dev/null
}

pg_init "$dir"
pg_start "$dir" -c fsync=off -c synchronous_commit=off -c autovacuum=off

unix_address=unix://$dir/pgpool.sock
start_pool unix "$unix_address"
pools=$pool_pid
wait_healthy "$unix_address" "$pool_pid" || { cat "$dir/unix.log" >&2; exit 1; }

for attempt in 1 2 3 4 5; do
    tcp_address=tcp://127.0.0.1:$(pg_random_port)
    start_pool tcp "$tcp_address"
    if wait_healthy "$tcp_address" "$pool_pid"; then
        pools="$pools $pool_pid"
        printf 'ready %s %s\n' "$tcp_address" "$unix_address"
        while read -r _; do :; done
        exit 0
    fi
    kill -KILL "$pool_pid" 2>/dev/null || true
done
echo "the TCP server did not start (attempt $attempt):" >&2
cat "$dir/tcp.log" >&2
exit 1
