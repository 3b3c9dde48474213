#!/usr/bin/env bash
# Measures the RPC door beside pgbouncer and PDO on one throw-away PostgreSQL, interleaved over
# several rounds, and prints Markdown for docs/benchmarks.md. Everything it starts it stops and
# removes.
#
#   ROUNDS=5 DURATION=4 CLIENTS=16 CALLS=1000 IDLE=10000 scripts/bench.sh
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/bench-common.sh
. scripts/bench-common.sh

bench_size 5 4
calls=${CALLS:-${quick:+50}}
calls=${calls:-1000}
table_query='SELECT abalance FROM pgbench_accounts WHERE aid = $1'

# loadgen_run PREFIX ADDRESS PID CODEC
loadgen_run() {
    local prefix=$1 output
    output=$("$loadgen" execute --json --address "$2" --pid "$3" --codec "$4" \
        --connections "$clients" --duration "$duration" --warmup 0.5 \
        --keys $((scale * 100000)) --query "$table_query")
    sample "${prefix}_cpu" "$(json_field server_cpu_us_per_call <<<"$output")"
    sample "${prefix}_rate" "$(json_field calls_per_second <<<"$output")"
    for percentile in p50 p95 p99; do
        sample "${prefix}_$percentile" "$(json_field "${percentile}_us" <<<"$output")"
    done
    sample "${prefix}_errors" "$(json_field errors <<<"$output")"
}

start_tcp_pool() { # NAME: sets pool_pid and tcp_address
    for _ in 1 2 3 4 5; do
        tcp_address=tcp://127.0.0.1:$(pg_random_port)
        if start_pool "$1" "$tcp_address" 127.0.0.1 && kill -0 "$pool_pid"; then return 0; fi
    done
    return 1
}

measure_rounds() {
    for round in $(seq "$rounds"); do
        say "round $round of $rounds"
        pgbench_run bouncer "$bouncer_port" "$bouncer_pid" -M simple -c "$clients"
        loadgen_run tcp "$main_address" "$main_pid" json
        pgbench_run bouncer "$bouncer_port" "$bouncer_pid" -M simple -c "$clients"
        loadgen_run unix "$unix_address" "$unix_pid" json
        loadgen_run msgpack "$main_address" "$main_pid" msgpack
        pgbench_run direct_simple "$pg_port" 0 -M simple -c "$clients"
        pgbench_run direct_prepared "$pg_port" 0 -M prepared -c "$clients"
        measure_php apart "$last_core" 0
        measure_php one 0 0
        measure_php free "0-$last_core" "0-$last_core"
    done
}

# measure_php PLACEMENT PG-CORES APP-CORES: one PHP process, with PostgreSQL on some cores and PHP
# and the pool on others. Where the scheduler puts three processes that wake each other decides
# more than anything else here, so it is said and not left to chance.
measure_php() {
    local pid
    for pid in "$pg_pid" $(pgrep -P "$pg_pid"); do taskset -acp "$2" "$pid" >/dev/null; done
    for pid in "$main_pid" "$unix_pid"; do taskset -acp "$3" "$pid" >/dev/null; done
    taskset -c "$3" php -d opcache.enable_cli=0 scripts/bench.php "$main_address" "$unix_address" \
        "$dir" "$pg_port" 1 "$calls" | sed "s/^/$1_/" >>"$samples"
    for pid in "$pg_pid" $(pgrep -P "$pg_pid") "$main_pid" "$unix_pid"; do
        taskset -acp "0-$last_core" "$pid" >/dev/null
    done
}

measure_idle() {
    start_tcp_pool idle # a fresh server: memory that earlier load left behind is not counted
    say "$idle idle connections"
    local output
    output=$("$loadgen" idle --json --address "$tcp_address" --pid "$pool_pid" --connections "$idle")
    for field in before connected after_one_call; do
        sample "rss_$field" "$(json_field "rss_kib_$field" <<<"$output" | awk '{ print $1 / 1024 }')"
    done
}

placement() {
    case $1 in
        apart) echo "apart" ;;
        one) echo "one core" ;;
        free) echo "free" ;;
    esac
}

print_report() {
    heading "ROUNDS=$rounds DURATION=$duration CLIENTS=$clients CALLS=$calls IDLE=$idle make bench"
    cat <<MARKDOWN

### One row by primary key, $clients connections

MARKDOWN
    row "" "per second" "pooler's CPU, us per call" "p50 us" "p95 us" "p99 us" errors
    row --- ---: ---: ---: ---: ---: ---:
    row "rr-pgpool Execute, TCP, JSON" "$(median tcp_rate)" "$(median tcp_cpu)" "$(median tcp_p50)" "$(median tcp_p95)" "$(median tcp_p99)" "$(median tcp_errors)"
    row "rr-pgpool Execute, TCP, MessagePack" "$(median msgpack_rate)" "$(median msgpack_cpu)" "$(median msgpack_p50)" "$(median msgpack_p95)" "$(median msgpack_p99)" "$(median msgpack_errors)"
    row "rr-pgpool Execute, Unix socket, JSON" "$(median unix_rate)" "$(median unix_cpu)" "$(median unix_p50)" "$(median unix_p95)" "$(median unix_p99)" "$(median unix_errors)"
    row "pgbench -S -M simple through pgbouncer" "$(median bouncer_rate)" "$(median bouncer_cpu)" "avg $(median bouncer_avg)" "" "" 0
    row "pgbench -S -M simple, direct" "$(median direct_simple_rate)" "" "avg $(median direct_simple_avg)" "" "" 0
    row "pgbench -S -M prepared, direct" "$(median direct_prepared_rate)" "" "avg $(median direct_prepared_avg)" "" "" 0
    cat <<MARKDOWN

rr-pgpool's CPU per Execute (TCP, JSON) is **$(ratio tcp_cpu bouncer_cpu)** of pgbouncer's per simple select (goal: at most 1.3).

### One PHP process, one row by primary key

MARKDOWN
    row "median us" "" "Execute" "PDO prepare+execute+fetch" "ratio" "PDO, one statement reused"
    row --- --- ---: ---: ---: ---:
    local place way
    for place in apart one free; do
        for way in tcp_warm tcp_cold unix_warm unix_cold; do
            row "$(placement "$place")" "${way/_/, }" "$(median "${place}_execute_$way")" \
                "$(median "${place}_pdo_$way")" "$(ratio "${place}_execute_$way" "${place}_pdo_$way")" \
                "$(median "${place}_pdo_${way%_*}_reused")"
        done
    done
    cat <<MARKDOWN

Warm: the same statement text every time; cold: a new text every time. The goal is at most 0.5 warm,
over TCP. Apart: PostgreSQL on one core, PHP and the pool on another, which is what a database on
another machine comes closest to; one core: everything on it; free: wherever the scheduler puts them.
In each row both ways reach PostgreSQL by the same means, TCP or a Unix socket; turns of 20 calls each.

### $idle idle RPC connections

MARKDOWN
    row "resident memory of the server, MiB" ""
    row --- ---:
    row "before any connection" "$(median rss_before)"
    row "all connected" "$(median rss_connected)"
    row "all connected, each after one Execute (goal: under 60)" "$(median rss_after_one_call)"
}

last_core=$(($(nproc) - 1))
prepare
start_pgbouncer pgbouncer any
unix_address=unix://$dir/pgpool.sock
start_pool unix "$unix_address" "$dir"
unix_pid=$pool_pid
start_tcp_pool tcp
main_address=$tcp_address
main_pid=$pool_pid

measure_rounds
measure_idle
print_report
