#!/usr/bin/env bash
# Measures the PostgreSQL door beside PgBouncer on one throw-away PostgreSQL, interleaved over
# several rounds, and prints Markdown for docs/benchmarks.md. Everything it starts it stops and
# removes. PGBOUNCER names the program to compare with: prepared statements need 1.21 or newer.
#
#   PGBOUNCER=/usr/local/bin/pgbouncer ROUNDS=7 DURATION=3 CLIENTS=16 IDLE=10000 scripts/bench-proxy.sh
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/bench-common.sh
. scripts/bench-common.sh

bench_size 7 3

# start_proxy NAME AUTH-MODE THREADS: sets pool_pid and proxy_port.
start_proxy() {
    for _ in 1 2 3 4 5; do
        proxy_port=$(pg_random_port)
        cat >"$dir/proxy.yaml" <<YAML
  proxy:
    address: tcp://127.0.0.1:$proxy_port
    auth_mode: $2
    max_clients: 20000
  threads: $3
YAML
        if start_pool "$1" "unix://$dir/$1.sock" 127.0.0.1 "$dir/proxy.yaml"; then return 0; fi
    done
    return 1
}

# pair NAME OPTION...: both poolers with the same load, now the one first, now the other.
pair() {
    local name=$1
    shift
    if [ $((round % 2)) -eq 0 ]; then
        pgbench_run "${name}_ours" "$proxy_port" "$proxy_pid" "$@"
    fi
    pgbench_run "${name}_bouncer" "$bouncer_port" "$bouncer_pid" "$@"
    if [ $((round % 2)) -eq 1 ]; then
        pgbench_run "${name}_ours" "$proxy_port" "$proxy_pid" "$@"
    fi
}

measure_rounds() {
    local mode
    for round in $(seq "$rounds"); do
        say "round $round of $rounds"
        for mode in $modes; do
            pair "${mode}_many" -M "$mode" -c "$clients"
            pair "${mode}_200" -M "$mode" -c 200
            pair "${mode}_one" -M "$mode" -c 1
            pgbench_run "${mode}_threads" "$threads_port" "$threads_pid" -M "$mode" -c "$clients"
        done
        pair connect -M simple -C -c "$clients"
        proxy_port=$scram_port proxy_pid=$scram_pid bouncer_port=$scram_bouncer_port \
            bouncer_pid=$scram_bouncer_pid pair connect_scram -M simple -C -c "$clients"
    done
}

measure_idle() {
    start_proxy idle trust 1 # a fresh server: memory that earlier load left behind is not counted
    say "$idle idle connections"
    local output
    output=$("$loadgen" idle --protocol postgres --json --address "tcp://127.0.0.1:$proxy_port" \
        --pid "$pool_pid" --connections "$idle")
    for field in before connected after_one_call; do
        sample "rss_$field" "$(json_field "rss_kib_$field" <<<"$output" | awk '{ print $1 / 1024 }')"
    done
}

# compare LABEL NAME CPU-GOAL
compare() {
    row "$1" "$(median "$2_ours_rate")" "$(median "$2_bouncer_rate")" "$(ratio "$2_ours_rate" "$2_bouncer_rate")" \
        "$(median "$2_ours_cpu")" "$(median "$2_bouncer_cpu")" "$(ratio "$2_ours_cpu" "$2_bouncer_cpu")" "$3"
}

print_report() {
    local mode
    heading "ROUNDS=$rounds DURATION=$duration CLIENTS=$clients IDLE=$idle PGBOUNCER=... make bench-proxy"
    printf '\n### pgbench -S, %s server connections each, one thread each\n\n' "$pool_size"
    row "" "rr-pgpool tps" "PgBouncer tps" ratio "rr-pgpool CPU us" "PgBouncer CPU us" ratio "goal (CPU)"
    row --- ---: ---: ---: ---: ---: ---: ---
    for mode in $modes; do
        case $mode in simple) goal=1.05 ;; extended) goal=1.0 ;; *) goal=0.95 ;; esac
        compare "-M $mode -c $clients" "${mode}_many" "$goal"
    done
    for mode in $modes; do compare "-M $mode -c 200" "${mode}_200" "tps 1.0"; done
    compare "-C -c $clients, no password" connect 1.0
    compare "-C -c $clients, SCRAM" connect_scram 1.0
    printf '\n### One client: latency\n\n'
    row "average us" rr-pgpool PgBouncer ratio
    row --- ---: ---: ---:
    for mode in $modes; do
        row "-M $mode" "$(median "${mode}_one_ours_avg")" "$(median "${mode}_one_bouncer_avg")" \
            "$(ratio "${mode}_one_ours_avg" "${mode}_one_bouncer_avg")"
    done
    printf '\n### threads: 2 beside threads: 1, %s clients\n\n' "$clients"
    row "" "tps, 2 threads" "1 thread" ratio "CPU us, 2 threads" "1 thread" ratio
    row --- ---: ---: ---: ---: ---: ---:
    for mode in $modes; do
        row "-M $mode" "$(median "${mode}_threads_rate")" "$(median "${mode}_many_ours_rate")" \
            "$(ratio "${mode}_threads_rate" "${mode}_many_ours_rate")" "$(median "${mode}_threads_cpu")" \
            "$(median "${mode}_many_ours_cpu")" "$(ratio "${mode}_threads_cpu" "${mode}_many_ours_cpu")"
    done
    printf '\n### %s idle clients\n\n' "$idle"
    row "resident memory of the server, MiB" ""
    row --- ---:
    row "before any client" "$(median rss_before)"
    row "all connected" "$(median rss_connected)"
    row "all connected, each after one query (goal: under 60)" "$(median rss_after_one_call)"
}

prepare
modes="simple extended prepared"
if ! pgbouncer_prepares; then
    say "this PgBouncer is older than 1.21: without -M prepared"
    modes="simple extended"
fi
start_pgbouncer scram scram-sha-256
scram_bouncer_port=$bouncer_port scram_bouncer_pid=$bouncer_pid
start_pgbouncer plain any
start_proxy scram scram-sha-256 1
scram_port=$proxy_port scram_pid=$pool_pid
start_proxy threads trust 2
threads_port=$proxy_port threads_pid=$pool_pid
start_proxy plain trust 1
proxy_pid=$pool_pid

measure_rounds
measure_idle
print_report
