#!/usr/bin/env bash
# The tests under RoadRunner, and with goridge's own Go client: builds RoadRunner from its modules
# (tests/roadrunner/rr), starts a throw-away PostgreSQL, and runs `go test`; arguments go there. Without
# Go 1.26.4 or newer it says that it leaves them out, and succeeds. RR, the path of a released rr, is
# tested in place of the one that is built, and then its own command line, too.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/postgres.sh
. scripts/postgres.sh

needed=1.26.4
for path in /usr/local/go/bin "$HOME/go/bin"; do PATH=$PATH:$path; done
found=$(go env GOVERSION 2>/dev/null | sed 's/^go//' || true)
if [ -z "$found" ] || [ "$(printf '%s\n' "$needed" "$found" | sort -V | head -n 1)" != "$needed" ]; then
    echo "RoadRunner tests are LEFT OUT: they need Go $needed or newer (found: ${found:-none})"
    exit 0
fi

if [ -n "${RR:-}" ]; then RR=$(realpath "$RR"); export RR; fi
[ -n "${RR_PGPOOL_BINARY:-}" ] || cargo build --quiet --package rr-pgpool
target=${CARGO_TARGET_DIR:-target}
RR_PGPOOL_BINARY=$(realpath "${RR_PGPOOL_BINARY:-$target/debug/rr-pgpool}")
dir=$(pg_scratch_dir)
trap 'pg_stop "$dir"; rm -rf "$dir"' EXIT
trap 'exit 130' INT TERM
pg_init "$dir"
pg_start "$dir" -c fsync=off
cd tests/roadrunner
export GOFLAGS=-mod=readonly
unformatted=$(gofmt -l .)
if [ -n "$unformatted" ]; then echo "gofmt: $unformatted" >&2; exit 1; fi
RR_BINARY=${RR:-$dir/rr}
if [ -z "${RR:-}" ]; then go build -o "$RR_BINARY" ./rr; else "$RR" --version; fi
export RR_PGPOOL_BINARY RR_BINARY TEST_DSN="postgres://app:secret@127.0.0.1:$pg_port/app"
go vet ./...
go test -count=1 "$@" ./...
