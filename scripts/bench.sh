#!/usr/bin/env bash
# Measures rr-pgpool beside pgbouncer and PDO on one throw-away PostgreSQL, interleaved over several
# rounds, and prints Markdown for docs/benchmarks.md. Needs Linux (/proc). Everything it starts it
# stops and removes.
#
#   ROUNDS=5 DURATION=4 CLIENTS=16 CALLS=1000 IDLE=10000 scripts/bench.sh
#
# BENCH_QUICK=1 makes one short round on little data: whether it works, not how fast it is.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/postgres.sh
. scripts/postgres.sh

quick=${BENCH_QUICK:-}
rounds=${ROUNDS:-${quick:+1}}
rounds=${rounds:-5}
duration=${DURATION:-${quick:+1}}
duration=${duration:-4}
clients=${CLIENTS:-16}
calls=${CALLS:-${quick:+50}}
calls=${calls:-1000}
idle=${IDLE:-${quick:+200}}
idle=${idle:-10000}
target=${CARGO_TARGET_DIR:-target}
pool_size=20
scale=10
table_query='SELECT abalance FROM pgbench_accounts WHERE aid = $1'

say() { printf 'bench: %s\n' "$*" >&2; }

dir=$(pg_scratch_dir)
pids=()
cleanup() {
    for pid in "${pids[@]}"; do kill -TERM "$pid" 2>/dev/null || true; done
    for pid in "${pids[@]}"; do wait "$pid" 2>/dev/null || true; done
    pg_stop "$dir"
    rm -rf "$dir"
}
trap cleanup EXIT
trap 'exit 130' INT TERM
samples=$dir/samples
: >"$samples"

find_program() { # NAME: in PostgreSQL's directory, in PATH, or in /usr/sbin
    local name=$1
    for path in "$(pg_find_bin)/$name" "$(command -v "$name" || true)" "/usr/sbin/$name"; do
        if [ -x "$path" ]; then printf '%s\n' "$path"; return; fi
    done
    say "$name was not found"
    return 1
}

sample() { printf '%s %s\n' "$1" "$2" >>"$samples"; }

# median NAME: of all its samples so far, two decimals.
median() {
    awk -v name="$1" '$1 == name { print $2 }' "$samples" | sort -g | awk '
        { value[NR] = $1 }
        END {
            if (NR == 0) { print "-"; exit }
            middle = int((NR + 1) / 2)
            printf "%.2f", NR % 2 ? value[middle] : (value[middle] + value[middle + 1]) / 2
        }'
}

ratio() { # NAME NAME: of their medians
    awk -v a="$(median "$1")" -v b="$(median "$2")" 'BEGIN { if (b > 0) printf "%.2f", a / b; else print "-" }'
}

# cpu_us PID: user and system time so far, in microseconds.
cpu_us() {
    sed 's/.*) //' "/proc/$1/stat" | awk -v hz="$(getconf CLK_TCK)" '{ printf "%.0f", ($12 + $13) * 1e6 / hz }'
}

json_field() { php -r 'echo json_decode(stream_get_contents(STDIN), true)[$argv[1]];' "$1"; }

# pgbench_run PREFIX MODE PORT [PID]: transactions per second, and the process's CPU per transaction.
pgbench_run() {
    local prefix=$1 mode=$2 port=$3 pid=${4:-} before=0 output done_count
    if [ -n "$pid" ]; then before=$(cpu_us "$pid"); fi
    output=$(PGPASSWORD=secret "$pgbench" -h 127.0.0.1 -p "$port" -U app -n -S -M "$mode" \
        -c "$clients" -j 1 -T "$duration" app 2>"$dir/pgbench.err") || { cat "$dir/pgbench.err" >&2; return 1; }
    if [ -n "$pid" ]; then
        done_count=$(sed -n 's/^number of transactions actually processed: \([0-9]*\).*/\1/p' <<<"$output")
        sample "${prefix}_cpu" "$(awk -v a="$before" -v b="$(cpu_us "$pid")" -v n="$done_count" \
            'BEGIN { printf "%.3f", (b - a) / n }')"
    fi
    sample "${prefix}_rate" "$(sed -n 's/^tps = \([0-9.]*\).*without.*/\1/p' <<<"$output")"
    sample "${prefix}_avg" "$(sed -n 's/^latency average = \([0-9.]*\) ms/\1/p' <<<"$output" \
        | awk '{ print $1 * 1000 }')"
}

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

# start_pool NAME ADDRESS HOST: sets pool_pid; false when it does not become healthy. HOST is where
# PostgreSQL is: an address, or the directory of its socket.
start_pool() {
    cat >"$dir/$1.yaml" <<YAML
version: '3'
pgpool:
  rpc:
    listen: $2
  proxy:
    address: ''
  logging:
    level: error
  shutdown:
    grace: 100ms
  backends:
    primary:
      dsn: host=$3 port=$pg_port user=app password=secret dbname=app
      pool:
        max_connections: $pool_size
YAML
    "$rr_pgpool" serve -c "$dir/$1.yaml" </dev/null >"$dir/$1.log" 2>&1 &
    pool_pid=$!
    pids+=("$pool_pid")
    for _ in $(seq 200); do
        if "$rr_pgpool" health --address "$2" --timeout 1s >/dev/null 2>&1; then return 0; fi
        kill -0 "$pool_pid" 2>/dev/null || break
        sleep 0.1
    done
    cat "$dir/$1.log" >&2
    return 1
}

start_tcp_pool() { # NAME: sets pool_pid and tcp_address
    for _ in 1 2 3 4 5; do
        tcp_address=tcp://127.0.0.1:$(pg_random_port)
        if start_pool "$1" "$tcp_address" 127.0.0.1 && kill -0 "$pool_pid"; then return 0; fi
    done
    return 1
}

start_pgbouncer() { # sets bouncer_port and bouncer_pid
    for _ in 1 2 3 4 5; do
        bouncer_port=$(pg_random_port)
        cat >"$dir/pgbouncer.ini" <<INI
[databases]
app = host=127.0.0.1 port=$pg_port dbname=app user=app password=secret
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = $bouncer_port
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = $pool_size
max_client_conn = 1000
log_connections = 0
log_disconnections = 0
INI
        (cd / && pg_exec "$pgbouncer" -q "$dir/pgbouncer.ini") </dev/null >"$dir/pgbouncer.log" 2>&1 &
        bouncer_pid=$!
        for _ in $(seq 50); do
            if "$psql" "host=127.0.0.1 port=$bouncer_port user=app dbname=app" -qAtc 'SELECT 1' >/dev/null 2>&1; then
                kill -0 "$bouncer_pid" && pids+=("$bouncer_pid") && return 0
            fi
            kill -0 "$bouncer_pid" 2>/dev/null || break
            sleep 0.1
        done
    done
    cat "$dir/pgbouncer.log" >&2
    return 1
}

measure_rounds() {
    for round in $(seq "$rounds"); do
        say "round $round of $rounds"
        pgbench_run bouncer simple "$bouncer_port" "$bouncer_pid"
        loadgen_run tcp "$main_address" "$main_pid" json
        pgbench_run bouncer simple "$bouncer_port" "$bouncer_pid"
        loadgen_run unix "$unix_address" "$unix_pid" json
        loadgen_run msgpack "$main_address" "$main_pid" msgpack
        pgbench_run direct_simple simple "$pg_port"
        pgbench_run direct_prepared prepared "$pg_port"
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

row() { printf '| %s |\n' "$(printf '%s | ' "$@" | sed 's/ | $//')"; }

print_report() {
    local cpu
    cpu=$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)
    cat <<MARKDOWN
Measured $(date -u +%Y-%m-%d) on $(nproc) cores (${cpu:-unknown CPU}), Linux $(uname -r), with
$("$rr_pgpool" --version), $("$(pg_find_bin)/postgres" --version | sed 's/postgres (\(.*\)) /\1 /'), $("$pgbouncer" --version | head -n 1), PHP $(php -r 'echo PHP_VERSION;'), $(rustc --version | cut -d' ' -f1-2);
everything on the same machine, medians of $rounds interleaved rounds of $duration s. Command:
\`ROUNDS=$rounds DURATION=$duration CLIENTS=$clients CALLS=$calls IDLE=$idle make bench\`

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

ulimit -n "$(ulimit -Hn)" || true
if [ "$(ulimit -n)" != unlimited ] && [ "$(ulimit -n)" -lt $((idle + 200)) ]; then
    say "only $(ulimit -n) open files are allowed, $((idle + 200)) are needed for $idle idle connections"
    exit 1
fi
pgbench=$(find_program pgbench)
psql=$(find_program psql)
pgbouncer=$(find_program pgbouncer)
last_core=$(($(nproc) - 1))
rr_pgpool=${RR_PGPOOL_BINARY:-$target/release/rr-pgpool}
loadgen=${LOADGEN_BINARY:-$target/release/loadgen}
say "building the release"
[ -n "${RR_PGPOOL_BINARY:-}" ] || cargo build --quiet --release --package rr-pgpool
[ -n "${LOADGEN_BINARY:-}" ] || cargo build --quiet --release --package loadgen

say "starting PostgreSQL with pgbench's data, scale $scale"
pg_init "$dir"
pg_start "$dir" -c fsync=off -c synchronous_commit=off -c shared_buffers=256MB -c max_connections=200
PGPASSWORD=secret "$pgbench" -h 127.0.0.1 -p "$pg_port" -U app -i -q -s "$scale" app >"$dir/pgbench.log" 2>&1 \
    || { cat "$dir/pgbench.log" >&2; exit 1; }

start_pgbouncer
unix_address=unix://$dir/pgpool.sock
start_pool unix "$unix_address" "$dir"
unix_pid=$pool_pid
start_tcp_pool tcp
main_address=$tcp_address
main_pid=$pool_pid

measure_rounds
measure_idle
print_report
