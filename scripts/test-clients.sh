#!/bin/sh
# The tests with real clients: psql, pgbench, pg_dump and psycopg through the PostgreSQL door, each against a
# database in transaction, one in auto and one in session mode. Starts a throw-away PostgreSQL and a server
# in front of it on free ports, and removes everything at the end. RR_PGPOOL_BINARY is tested instead
# of a new build where it is set.
set -eu
cd "$(dirname "$0")/.."
# shellcheck source=scripts/postgres.sh
. scripts/postgres.sh
# shellcheck source=scripts/pool.sh
. scripts/pool.sh
# shellcheck source=scripts/python.sh
. scripts/python.sh

binary=${RR_PGPOOL_BINARY:-}
if [ -z "$binary" ]; then
    cargo build --quiet --package rr-pgpool
    binary=${CARGO_TARGET_DIR:-target}/debug/rr-pgpool
fi
python=$(python_with_psycopg) || { echo "no Python with psycopg 3 was found" >&2; exit 1; }
# psql, pgbench and pg_dump of the server's own version.
PATH=$(pg_find_bin):$PATH
export PATH

dir=$(pg_scratch_dir)
pool_pid=""
cleanup() {
    # shellcheck disable=SC2086
    pool_stop $pool_pid
    pg_stop "$dir"
    rm -rf "$dir"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

pg_init "$dir"
pg_start "$dir" -c fsync=off -c synchronous_commit=off -c autovacuum=off -c timezone=UTC

# start_server: starts it on a port of which nobody knows whether it is free; sets PGPORT, pool_pid.
start_server() {
    PGPORT=$(pg_random_port)
    cat >"$dir/pool.yaml" <<YAML
version: '3'
pgpool:
  rpc:
    listen: unix://$dir/pgpool.sock
  proxy:
    address: tcp://127.0.0.1:$PGPORT
  shutdown:
    grace: 100ms
  backends:
    primary:
      dsn: postgres://app:secret@127.0.0.1:$pg_port/app
      pool:
        min_connections: 0
  databases:
$(pool_databases "$pg_port")
YAML
    pool_start "$binary" "$dir" pool
    pool_wait "$binary" "unix://$dir/pgpool.sock" "$pool_pid"
}

pool_try start_server "$dir/pool.log"

# What libpq reads, for the door; and how to get past it.
export PGHOST=127.0.0.1 PGPORT PGUSER=app PGPASSWORD=secret PGCONNECT_TIMEOUT=20
export DIRECT="host=127.0.0.1 port=$pg_port dbname=app"

status=0
for mode in transaction auto session; do
    export MODE=$mode PGDATABASE=by_$mode
    printf '\nClients in %s mode:\n' "$mode"
    sh tests/clients/psql.sh || status=1
    sh tests/clients/pgbench.sh || status=1
    sh tests/clients/pg_dump.sh || status=1
    "$python" -B -m unittest discover --start-directory tests/clients/python || status=1
done
exit "$status"
