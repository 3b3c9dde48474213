#!/bin/sh
# Builds rr-pgpool, starts `rr-pgpool demo` (a throw-away PostgreSQL with sample data behind an RPC
# server, on PGPOOL_RPC or the default port), runs a few commands and examples/php/demo.php through
# it, plain PDO through the PostgreSQL door (on PGPOOL_PROXY or the default port), and stops everything.
# It leaves nothing behind but what cargo built; RR_PGPOOL_BINARY is shown instead where it is set.
set -eu
cd "$(dirname "$0")/.."

say() { printf '\ndemo: %s\n' "$*"; }

PGPOOL_RPC=${PGPOOL_RPC:-tcp://127.0.0.1:6002}
export PGPOOL_RPC
door=${PGPOOL_PROXY-tcp://127.0.0.1:5433}
binary=${RR_PGPOOL_BINARY:-}
if [ -z "$binary" ]; then
    # Not the release: that takes several times as long, and nothing is measured here.
    say "building rr-pgpool, which takes a minute or two the first time"
    cargo build --package rr-pgpool
    binary=${CARGO_TARGET_DIR:-target}/debug/rr-pgpool
fi

say "starting \`rr-pgpool demo\`: a throw-away PostgreSQL and an RPC server on $PGPOOL_RPC"
log=$(mktemp "${TMPDIR:-/tmp}/rr-pgpool-demo-log.XXXXXX")
"$binary" demo --listen "$PGPOOL_RPC" --proxy "$door" >"$log" 2>&1 &
server=$!
stop() {
    # It removes its cluster, also when it has had Ctrl-C's signal already.
    kill -TERM "$server" 2>/dev/null || true
    wait "$server" 2>/dev/null || true
    rm -f "$log"
}
trap stop EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# What it prints last says that it serves; asking the address instead might reach another server.
until grep -q '^Ctrl-C' "$log"; do
    if ! kill -0 "$server" 2>/dev/null; then
        cat "$log" >&2
        ! grep -q 'is in use' "$log" \
            || say "or elsewhere: PGPOOL_RPC=tcp://127.0.0.1:6012 PGPOOL_PROXY=tcp://127.0.0.1:6433 make demo" >&2
        exit 1
    fi
    sleep 0.1
done

show() { printf '\n$ %s\n' "$*"; }
# The same database by the other door, with nothing of ours in PHP.
show_pdo() {
    case "$door" in
        tcp://*) host=${door#tcp://} port=${door##*:} host=${host%:*} ;;
        unix://*) host=${door#unix://} port=${door##*.} host=${host%/*} ;;
        *) return 0 ;;
    esac
    if ! php -r 'exit(extension_loaded("pdo_pgsql") ? 0 : 1);'; then
        say "PHP has no pdo_pgsql here, else plain PDO would come now, through $door"
        return 0
    fi
    # shellcheck disable=SC2016 # PHP's variables
    code='$pdo = new PDO($argv[1], "demo");
$user = $pdo->prepare("SELECT name, email FROM users WHERE id = ?");
foreach ([1, 2] as $id) {
    $user->execute([$id]);
    echo implode(" ", $user->fetch(PDO::FETCH_NUM)), "\n";
}'
    source="pgsql:host=$host;port=$port;dbname=postgres"
    show "php -r '$code' '$source'"
    php -r "$code" "$source"
}
show "rr-pgpool health"
"$binary" health
sql='SELECT * FROM users ORDER BY id LIMIT 3'
show "rr-pgpool exec '$sql'"
"$binary" exec "$sql"
show "php examples/php/demo.php"
php examples/php/demo.php
show_pdo
show "rr-pgpool stats"
"$binary" stats

say "done; stopping the server and removing its PostgreSQL"
stop
trap - EXIT
printf '%s\n' "" "To try it yourself:" "  $binary demo" \
    "To build the one to use:" "  cargo build --release --package rr-pgpool"
