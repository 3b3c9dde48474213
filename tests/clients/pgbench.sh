#!/bin/sh
# pgbench through the PostgreSQL door: its built-in scripts in each of its protocol modes, with lasting
# connections and new ones, and pipelines. scripts/test-clients.sh says where by MODE, DIRECT and
# libpq's variables.
set -u
# shellcheck source=tests/clients/expect.sh
. "$(dirname "$0")/expect.sh"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

clients=6
transactions=5
total=$((clients * transactions))

# bench WHAT OPTION...: all that was asked for is done, and nothing has failed. A thread for each
# client: pgbench prepares statements without looking after the thread's other clients, which may
# hold all server connections meanwhile.
bench() {
    what=$1
    shift
    pgbench --no-vacuum -c "$clients" -j "$clients" -t "$transactions" "$@" >"$work/out" 2>&1
    same "exit status of $what: $(cat "$work/out")" 0 $?
    holds "$what" "number of transactions actually processed: $total/$total" "$(cat "$work/out")"
    # PostgreSQL 14 does not say it.
    same "failures of $what" '' "$(grep 'number of failed transactions' "$work/out" | grep -v ': 0 ')"
}

initialises() {
    pgbench -i -q >"$work/out" 2>&1
    same "exit status of pgbench -i: $(cat "$work/out")" 0 $?
    same 'accounts' '100000|5000050000|0' "$(direct 'SELECT count(*), sum(aid), sum(abalance) FROM pgbench_accounts')"
    same 'primary keys' 3 "$(direct "SELECT count(*) FROM pg_indexes WHERE indexname LIKE 'pgbench_%_pkey'")"
}

runs_its_scripts() {
    for protocol in simple extended prepared; do
        bench "selects, $protocol" -S -M "$protocol"
        bench "selects, $protocol, new connections" -S -M "$protocol" -C
        bench "TPC-B, $protocol" -M "$protocol"
        bench "TPC-B, $protocol, new connections" -M "$protocol" -C
    done
    same 'the books of six runs' "$((6 * total))|t|t|t" "$(direct 'SELECT count(*),
        sum(delta) = (SELECT sum(abalance) FROM pgbench_accounts),
        sum(delta) = (SELECT sum(tbalance) FROM pgbench_tellers),
        sum(delta) = (SELECT sum(bbalance) FROM pgbench_branches) FROM pgbench_history')"
}

runs_pipelines() {
    direct "DROP TABLE IF EXISTS piped; CREATE TABLE piped AS SELECT n AS client, 0 AS single, 0 AS block
        FROM generate_series(0, $clients - 1) AS n" >/dev/null 2>&1
    cat >"$work/pipeline.sql" <<'SQL'
\set x random(1, 100000)
\startpipeline
SELECT abalance FROM pgbench_accounts WHERE aid = :x;
UPDATE piped SET single = single + 1 WHERE client = :client_id;
BEGIN;
UPDATE piped SET block = block + 1 WHERE client = :client_id;
SELECT pg_backend_pid();
COMMIT;
\endpipeline
SQL
    for protocol in extended prepared; do
        bench "pipelines, $protocol" -f "$work/pipeline.sql" -M "$protocol"
        bench "pipelines, $protocol, new connections" -f "$work/pipeline.sql" -M "$protocol" -C
    done
    each=$((4 * transactions))
    same 'what the pipelines did' "$clients|t|t" \
        "$(direct "SELECT count(*), bool_and(single = $each), bool_and(block = $each) FROM piped")"
}

initialises
runs_its_scripts
runs_pipelines
finish pgbench
