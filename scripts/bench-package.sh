#!/usr/bin/env bash
# Measures the PHP package from one PHP process: beside a bare exchange of its frames, beside PDO and
# Doctrine DBAL directly against PostgreSQL. Prints Markdown for docs/benchmarks.md.
#
#   ROUNDS=5 CALLS=2000 ROWS=10000000 scripts/bench-package.sh
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/bench-common.sh
. scripts/bench-common.sh

bench_size 5
calls=${CALLS:-${quick:+100}}
calls=${calls:-2000}
rows=${ROWS:-${quick:+10000}}
rows=${rows:-10000000}
last_core=$(($(nproc) - 1))

# measure PLACEMENT PG-CORES APP-CORES, as in bench.sh: where the processes run decides much.
measure() {
    local pid
    for pid in "$pg_pid" $(pgrep -P "$pg_pid"); do taskset -acp "$2" "$pid" >/dev/null; done
    taskset -acp "$3" "$pool_pid" >/dev/null
    taskset -c "$3" php -d opcache.enable_cli=1 -d opcache.jit=disable scripts/bench-package.php \
        "unix://$dir/package.sock" "$dir" "$pg_port" "$calls" | sed "s/^/$1_/" >>"$samples"
    for pid in "$pg_pid" $(pgrep -P "$pg_pid") "$pool_pid"; do
        taskset -acp "0-$last_core" "$pid" >/dev/null
    done
}

print_report() {
    local place
    duration=$calls
    heading "ROUNDS=$rounds CALLS=$calls ROWS=$rows make bench-package" | sed 's/rounds of \([0-9]*\) s\./rounds of \1 calls./'
    printf '\n### One PHP process, one row by primary key, Unix sockets\n\n'
    row "median us" package "bare exchange" "ratio (goal 1.15)" "PDO prepare+execute+fetch" "ratio (goal 0.4)" \
        "batch of 10" "ratio to one (goal 2.5)" "DBAL" "DBAL over pdo_pgsql" "ratio (goal 1.0)"
    row --- ---: ---: ---: ---: ---: ---: ---: ---: ---: ---:
    for place in apart one free; do
        row "$place" "$(median "${place}_package")" "$(median "${place}_bare")" \
            "$(ratio "${place}_package" "${place}_bare")" "$(median "${place}_pdo")" \
            "$(ratio "${place}_package" "${place}_pdo")" "$(median "${place}_batch10")" \
            "$(ratio "${place}_batch10" "${place}_package")" "$(median "${place}_dbal")" \
            "$(median "${place}_dbal_pdo")" "$(ratio "${place}_dbal" "${place}_dbal_pdo")"
    done
    printf '\n### A stream of %s rows of an int and 32 characters\n\n' "$rows"
    row rows seconds "PHP, peak MiB" "server before, MiB" "server at most, MiB"
    row ---: ---: ---: ---: ---:
    # shellcheck disable=SC2086 # five words
    row $stream
}

prepare
start_pool package "unix://$dir/package.sock" "$dir"
for round in $(seq "$rounds"); do
    say "round $round of $rounds"
    measure apart "$last_core" 0
    measure one 0 0
    measure free "0-$last_core" "0-$last_core"
done
say "a stream of $rows rows"
stream=$(php scripts/bench-stream.php "unix://$dir/package.sock" "$pool_pid" "$rows")
print_report
