#!/bin/sh
# Fuzzes every target of fuzz/ for FUZZ_SECONDS (60) each, or those that are named. Needs a nightly
# toolchain; installs cargo-fuzz when it is missing. What it finds stays in fuzz/artifacts: make a test
# of it, beside the parser, before you mend that.
set -eu
cd "$(dirname "$0")/.."

rustup toolchain list | grep -q nightly || {
    echo "cargo-fuzz needs a nightly toolchain: rustup toolchain install nightly" >&2
    exit 1
}
cargo fuzz --version >/dev/null 2>&1 || cargo install --locked cargo-fuzz

seconds=${FUZZ_SECONDS:-60}
if [ "$#" -eq 0 ]; then
    # shellcheck disable=SC2046
    set -- $(cargo +nightly fuzz list)
fi
for target in "$@"; do
    printf '\n%s, %s s:\n' "$target" "$seconds"
    cargo +nightly fuzz run "$target" -- -max_total_time="$seconds" -max_len=4096 -print_final_stats=1
done
