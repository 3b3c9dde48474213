#!/usr/bin/env bash
# Measures what reads from replicas cost and bring, on throw-away servers on this machine, interleaved over
# several rounds, and prints Markdown for docs/benchmarks.md. Everything it starts it stops and removes.
#
#   ROUNDS=7 DURATION=3 CLIENTS=16 scripts/bench-routing.sh
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/bench-common.sh
. scripts/bench-common.sh

bench_size 7 3
modes="simple extended prepared"
# Without replicas; with two that get nothing; reads on one of them; on both.
kinds="none off one two"
declare -A port pid

# start_kind KIND: a pool of its own for it.
start_kind() {
    local kind=$1 split=true replicas="" one
    case $kind in
        none) ;;
        one) replicas=${replica_ports%% *} ;;
        *) replicas=$replica_ports ;;
    esac
    [ "$kind" != off ] || split=false
    for _ in 1 2 3 4 5; do
        local address
        address=$(pg_random_port)
        {
            for one in $replicas; do
                [ "$one" != "${replicas%% *}" ] || echo "    replicas:"
                echo "    - dsn: host=127.0.0.1 port=$one user=app password=secret dbname=app"
            done
            cat <<YAML
  routing:
    read_write_split: $split
  proxy:
    address: tcp://127.0.0.1:$address
    auth_mode: trust
YAML
        } >"$dir/$kind.more"
        if start_pool "$kind" "unix://$dir/$kind.sock" 127.0.0.1 "$dir/$kind.more"; then
            port[$kind]=$address pid[$kind]=$pool_pid
            return 0
        fi
    done
    return 1
}

# execute KIND: Execute over RPC, CPU for each call.
execute() {
    local output
    output=$("$loadgen" execute --json --address "unix://$dir/$1.sock" --pid "${pid[$1]}" \
        --connections "$clients" --duration "$duration" --warmup 0.3)
    sample "rpc_$1_cpu" "$(json_field server_cpu_us_per_call <<<"$output")"
    sample "rpc_$1_rate" "$(json_field calls_per_second <<<"$output")"
}

measure_rounds() {
    local mode kind order
    for round in $(seq "$rounds"); do
        say "round $round of $rounds"
        order=$kinds
        [ $((round % 2)) -eq 0 ] || order=$(tr ' ' '\n' <<<"$kinds" | tac | tr '\n' ' ')
        for mode in $modes; do
            for kind in $order; do
                pgbench_run "${mode}_$kind" "${port[$kind]}" "${pid[$kind]}" -M "$mode" -c "$clients"
            done
        done
        for kind in $order; do execute "$kind"; done
    done
}

print_report() {
    local mode kind
    heading "ROUNDS=$rounds DURATION=$duration CLIENTS=$clients make bench-routing"
    printf '\n### pgbench -S and Execute, %s clients: beside a pool without replicas\n\n' "$clients"
    row "" "CPU us, no replicas" "two, reads stay (ratio)" "reads on one (ratio)" "reads on both (ratio)" \
        "tps, no replicas" "reads on one (ratio)" "reads on both (ratio)"
    row --- ---: ---: ---: ---: ---: ---: ---:
    for mode in $modes rpc; do
        row "$mode" "$(median "${mode}_none_cpu")" "$(ratio "${mode}_off_cpu" "${mode}_none_cpu")" \
            "$(ratio "${mode}_one_cpu" "${mode}_none_cpu")" "$(ratio "${mode}_two_cpu" "${mode}_none_cpu")" \
            "$(median "${mode}_none_rate")" "$(ratio "${mode}_one_rate" "${mode}_none_rate")" \
            "$(ratio "${mode}_two_rate" "${mode}_none_rate")"
    done
    printf '\n### Finding the server of a statement, nanoseconds\n\n'
    row "statement" "seen before" "the same, with four patterns" "classified anew"
    row --- ---: ---: ---:
    "$loadgen" route | php -r '
        foreach (json_decode(stream_get_contents(STDIN), true) as $name => $cost) {
            echo "| {$name} | ", implode(" | ", $cost), " |\n";
        }'
}

prepare
primary_port=$pg_port
replica_ports=""
for number in 1 2; do
    pg_replica "$dir" "$primary_port" "$dir/replica$number" -c fsync=off -c shared_buffers=256MB -c max_connections=200
    replica_ports="$replica_ports${replica_ports:+ }$pg_port"
done
pg_port=$primary_port
for kind in $kinds; do start_kind "$kind"; done
measure_rounds
print_report
for number in 1 2; do pg_stop "$dir/replica$number"; done
