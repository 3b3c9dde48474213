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

pool_binary
python=$(python_with_psycopg) || { echo "no Python with psycopg 3 was found" >&2; exit 1; }
# psql, pgbench and pg_dump of the server's own version.
PATH=$(pg_find_bin):$PATH
export PATH

pool_scratch

pg_init "$dir"
pg_start "$dir" -c fsync=off -c synchronous_commit=off -c autovacuum=off -c timezone=UTC

# The console's tests give orders.
export POOL_ADMINS=app
pool_try "$dir/pool.log" pool_door "$binary" "$dir" "$pg_port"

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
