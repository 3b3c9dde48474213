#!/bin/sh
# Builds rr-pgpool, starts `rr-pgpool demo` (a throw-away PostgreSQL with sample data behind an RPC
# server, on PGPOOL_RPC or the default port), runs a few commands and examples/php/demo.php through
# it, and stops everything. It leaves nothing behind but what cargo built.
set -eu
cd "$(dirname "$0")/.."

say() { printf '\ndemo: %s\n' "$*"; }

PGPOOL_RPC=${PGPOOL_RPC:-tcp://127.0.0.1:6002}
export PGPOOL_RPC
# Not the release: that takes several times as long, and nothing is measured here.
say "building rr-pgpool, which takes a minute or two the first time"
cargo build --package rr-pgpool
binary=${CARGO_TARGET_DIR:-target}/debug/rr-pgpool

say "starting \`rr-pgpool demo\`: a throw-away PostgreSQL and an RPC server on $PGPOOL_RPC"
log=$(mktemp "${TMPDIR:-/tmp}/rr-pgpool-demo-log.XXXXXX")
"$binary" demo --listen "$PGPOOL_RPC" --proxy "${PGPOOL_PROXY-tcp://127.0.0.1:5433}" >"$log" 2>&1 &
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
show "rr-pgpool health"
"$binary" health
sql='SELECT * FROM users ORDER BY id LIMIT 3'
show "rr-pgpool exec '$sql'"
"$binary" exec "$sql"
show "php examples/php/demo.php"
php examples/php/demo.php
show "rr-pgpool stats"
"$binary" stats

say "done; stopping the server and removing its PostgreSQL"
stop
trap - EXIT
printf '%s\n' "" "To try it yourself:" "  $binary demo" \
    "To build the one to use:" "  cargo build --release --package rr-pgpool"
