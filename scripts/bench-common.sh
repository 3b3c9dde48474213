# What the benchmark scripts share, to be sourced by them: a throw-away PostgreSQL with pgbench's data,
# poolers in front of it, samples and their medians, Markdown. Needs bash and Linux (/proc).
# shellcheck shell=bash

# shellcheck source=scripts/postgres.sh
. scripts/postgres.sh

# One short round on little data: whether it works, not how fast it is.
quick=${BENCH_QUICK:-}
clients=${CLIENTS:-16}
idle=${IDLE:-${quick:+200}}
idle=${idle:-10000}
target=${CARGO_TARGET_DIR:-target}
rr_pgpool=${RR_PGPOOL_BINARY:-$target/release/rr-pgpool}
loadgen=${LOADGEN_BINARY:-$target/release/loadgen}
pool_size=20
scale=10

# bench_size ROUNDS [DURATION]: how often, and for how many seconds, where the caller does not say.
bench_size() {
    rounds=${ROUNDS:-${quick:+1}}
    rounds=${rounds:-$1}
    duration=${DURATION:-${quick:+1}}
    duration=${duration:-${2:-}}
}

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

# cpu_us PID: user and system time of its threads so far, in microseconds. Not from /proc/PID/stat,
# which counts clock ticks.
cpu_us() { cat "/proc/$1"/task/*/schedstat | awk '{ sum += $1 } END { printf "%.0f", sum / 1000 }'; }

json_field() { php -r 'echo json_decode(stream_get_contents(STDIN), true)[$argv[1]];' "$1"; }

row() { printf '| %s |\n' "$(printf '%s | ' "$@" | sed 's/ | $//')"; }

# pgbench_run PREFIX PORT PID OPTION...: transactions per second, their average latency, and the
# CPU that the process (0: none) spent on each.
pgbench_run() {
    local prefix=$1 port=$2 pid=$3 before=0 output done_count
    shift 3
    if [ "$pid" != 0 ]; then before=$(cpu_us "$pid"); fi
    output=$(PGPASSWORD=secret "$pgbench" -h 127.0.0.1 -p "$port" -U app -n -S -j 1 -T "$duration" "$@" app \
        2>"$dir/pgbench.err") || { cat "$dir/pgbench.err" >&2; return 1; }
    if [ "$pid" != 0 ]; then
        done_count=$(sed -n 's/^number of transactions actually processed: \([0-9]*\).*/\1/p' <<<"$output")
        sample "${prefix}_cpu" "$(awk -v a="$before" -v b="$(cpu_us "$pid")" -v n="$done_count" \
            'BEGIN { printf "%.3f", (b - a) / n }')"
    fi
    sample "${prefix}_rate" "$(sed -n 's/^tps = \([0-9.]*\).*/\1/p' <<<"$output")"
    sample "${prefix}_avg" "$(sed -n 's/^latency average = \([0-9.]*\) ms/\1/p' <<<"$output" \
        | awk '{ print $1 * 1000 }')"
}

# Each pooler is started in a session of its own, as services are: the scheduler may treat what shares
# a session with the load generator otherwise (autogroups), and did, by a tenth.

# start_pool NAME RPC-ADDRESS HOST [YAML-FILE]: sets pool_pid; false when it does not become healthy.
# HOST is where PostgreSQL is: an address, or the directory of its socket. The file has more keys of
# the pgpool section.
start_pool() {
    {
        cat <<YAML
version: '3'
pgpool:
  rpc:
    listen: $2
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
        if [ -n "${4:-}" ]; then cat "$4"; else printf "  proxy:\n    address: ''\n"; fi
    } >"$dir/$1.yaml"
    setsid "$rr_pgpool" serve -c "$dir/$1.yaml" </dev/null >"$dir/$1.log" 2>&1 &
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

# Whether this PgBouncer is 1.21 or newer, which knows prepared statements.
pgbouncer_prepares() {
    local version
    version=$("$pgbouncer" --version | sed -n 's/^PgBouncer //p')
    [ "$(printf '%s\n' 1.21 "$version" | sort -V | head -n 1)" = 1.21 ]
}

# start_pgbouncer NAME AUTH-TYPE: sets bouncer_port and bouncer_pid.
start_pgbouncer() {
    printf '"app" "secret"\n' >"$dir/users.txt"
    for _ in 1 2 3 4 5; do
        bouncer_port=$(pg_random_port)
        cat >"$dir/$1.ini" <<INI
[databases]
app = host=127.0.0.1 port=$pg_port dbname=app user=app password=secret
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = $bouncer_port
unix_socket_dir =
auth_type = $2
auth_file = $dir/users.txt
pool_mode = transaction
default_pool_size = $pool_size
max_client_conn = 1000
log_connections = 0
log_disconnections = 0
INI
        if pgbouncer_prepares; then echo "max_prepared_statements = 200" >>"$dir/$1.ini"; fi
        (cd / && pg_exec setsid "$pgbouncer" -q "$dir/$1.ini") </dev/null >"$dir/$1.log" 2>&1 &
        bouncer_pid=$!
        for _ in $(seq 50); do
            if PGPASSWORD=secret "$psql" "host=127.0.0.1 port=$bouncer_port user=app dbname=app" \
                -qAtc 'SELECT 1' >/dev/null 2>&1; then
                kill -0 "$bouncer_pid" && pids+=("$bouncer_pid") && return 0
            fi
            kill -0 "$bouncer_pid" 2>/dev/null || break
            sleep 0.1
        done
    done
    cat "$dir/$1.log" >&2
    return 1
}

# What was measured, where and with what; COMMAND repeats it.
heading() {
    local cpu
    cpu=$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)
    cat <<MARKDOWN
Measured $(date -u +%Y-%m-%d) on $(nproc) cores (${cpu:-unknown CPU}), Linux $(uname -r), with
$("$rr_pgpool" --version), $("$(pg_find_bin)/postgres" --version | sed 's/postgres (\(.*\)) /\1 /'), $("$pgbouncer" --version | head -n 1), PHP $(php -r 'echo PHP_VERSION;'), $(rustc --version | cut -d' ' -f1-2);
everything on the same machine, medians of $rounds interleaved rounds of $duration s. Command:
\`$1\`
MARKDOWN
}

# Sets pgbench, psql and pgbouncer, builds what is measured, and starts PostgreSQL with its data.
prepare() {
    ulimit -n "$(ulimit -Hn)" || true
    if [ "$(ulimit -n)" != unlimited ] && [ "$(ulimit -n)" -lt $((idle + 200)) ]; then
        say "only $(ulimit -n) open files are allowed, $((idle + 200)) are needed for $idle idle connections"
        exit 1
    fi
    pgbench=$(find_program pgbench)
    psql=$(find_program psql)
    pgbouncer=${PGBOUNCER:-$(find_program pgbouncer)}
    say "building the release"
    [ -n "${RR_PGPOOL_BINARY:-}" ] || cargo build --quiet --release --package rr-pgpool
    [ -n "${LOADGEN_BINARY:-}" ] || cargo build --quiet --release --package loadgen
    say "starting PostgreSQL with pgbench's data, scale $scale"
    pg_init "$dir"
    pg_start "$dir" -c fsync=off -c synchronous_commit=off -c shared_buffers=256MB -c max_connections=200
    PGPASSWORD=secret "$pgbench" -h 127.0.0.1 -p "$pg_port" -U app -i -q -s "$scale" app >"$dir/pgbench.log" 2>&1 \
        || { cat "$dir/pgbench.log" >&2; exit 1; }
}
