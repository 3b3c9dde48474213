#!/bin/sh
# Builds the release, starts `rr-pgpool demo` (a throw-away PostgreSQL with sample data behind an
# RPC server on the default port), runs examples/php/demo.php through it, and stops everything.
set -eu
cd "$(dirname "$0")/.."

address=${PGPOOL_ADDRESS:-tcp://127.0.0.1:6002}
printf '%s\n' "demo: building the release (the first time takes some minutes)"
cargo build --release --package rr-pgpool
binary=${CARGO_TARGET_DIR:-target}/release/rr-pgpool
log=$(mktemp "${TMPDIR:-/tmp}/rr-pgpool-demo.XXXXXX")

printf '%s\n' "demo: starting \`rr-pgpool demo\`"
"$binary" demo >"$log" 2>&1 &
server=$!
stop() {
    # The demo removes its cluster on SIGINT; a background job of sh may ignore that signal.
    kill -INT "$server" 2>/dev/null || true
    for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
        kill -0 "$server" 2>/dev/null || break
        sleep 0.5
    done
    kill -TERM "$server" 2>/dev/null || true
    wait "$server" 2>/dev/null || true
    rm -f "$log"
}
trap stop EXIT
trap 'exit 130' INT TERM

tries=0
until "$binary" health --address "$address" --database '*' --timeout 2s >/dev/null 2>&1; do
    tries=$((tries + 1))
    if [ "$tries" -ge 120 ] || ! kill -0 "$server" 2>/dev/null; then
        printf '%s\n' "demo: the server did not become healthy; it said:" >&2
        cat "$log" >&2
        exit 1
    fi
    sleep 0.5
done
# Healthy may have been somebody else's server on that port, with ours unable to listen.
if ! kill -0 "$server" 2>/dev/null; then
    cat "$log" >&2
    exit 1
fi
cat "$log"
printf '%s\n' "" "demo: php examples/php/demo.php"
PGPOOL_ADDRESS=$address php examples/php/demo.php
printf '%s\n' "demo: done; stopping the server and removing its cluster"
