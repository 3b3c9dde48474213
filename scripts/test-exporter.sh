#!/bin/sh
# A stock exporter of PgBouncer's metrics reads the admin console: EXPORTER is the program
# (github.com/prometheus-community/pgbouncer_exporter). Starts a throw-away PostgreSQL, a server and
# the exporter on free ports, and removes everything at the end.
set -eu
cd "$(dirname "$0")/.."
# shellcheck source=scripts/postgres.sh
. scripts/postgres.sh
# shellcheck source=scripts/pool.sh
. scripts/pool.sh
# shellcheck source=tests/clients/expect.sh
. tests/clients/expect.sh

exporter=${EXPORTER:-pgbouncer_exporter}
command -v "$exporter" >/dev/null 2>&1 || {
    echo "no pgbouncer_exporter was found; build it, and say where it is: EXPORTER=path" >&2
    exit 1
}
pool_binary
PATH=$(pg_find_bin):$PATH
export PATH

pool_scratch

pg_init "$dir"
pg_start "$dir" -c fsync=off
export POOL_ADMINS=app
pool_try "$dir/pool.log" pool_door "$binary" "$dir" "$pg_port" transaction
export PGHOST=127.0.0.1 PGPORT PGUSER=app PGPASSWORD=secret
psql -XAtq -d by_transaction -c 'SELECT 1' >/dev/null

web=$(pg_random_port)
"$exporter" --web.listen-address="127.0.0.1:$web" \
    --pgBouncer.connectionString="postgres://app:secret@127.0.0.1:$PGPORT/pgbouncer?sslmode=disable" \
    >"$dir/exporter.log" 2>&1 &
others=$!
metrics() { curl -sf "http://127.0.0.1:$web/metrics" >"$dir/metrics"; }
await metrics || { cat "$dir/exporter.log" >&2; exit 1; }

found=$(cat "$dir/metrics")
holds 'up' 'pgbouncer_up 1' "$found"
holds 'version' 'pgbouncer_version_info{version="rr-pgpool' "$found"
holds 'queries' 'pgbouncer_stats_totals_queries_pooled_total{database="by_transaction"} 1' "$found"
holds 'transactions' 'pgbouncer_stats_totals_sql_transactions_pooled_total{database="by_transaction"} 1' "$found"
holds 'pools' 'pgbouncer_pools_server_idle_connections{database="by_transaction",user="app"} 1' "$found"
holds 'databases' 'pgbouncer_databases_pool_size{' "$found"
holds 'lists' 'pgbouncer_databases 2' "$found"
holds 'config' 'pgbouncer_config_max_client_connections 1000' "$found"
complaints=$(grep -E 'level=(warn|error|WARN|ERROR)' "$dir/exporter.log" || true)
same 'nothing is amiss' '' "$complaints"
finish 'pgbouncer_exporter'
