#!/bin/sh
# Says clearly what is wrong when the Rust toolchain is absent, too old or incomplete. It never
# installs one. With the argument `tools`, rustfmt and clippy are required too.
set -eu
cd "$(dirname "$0")/.."

fail() {
    printf '%s\n' "rust: $*" \
        "rust: get the toolchain at https://rustup.rs, or: rustup update stable" >&2
    exit 1
}

needed=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
command -v cargo >/dev/null 2>&1 || fail "cargo was not found; this project needs Rust $needed or later"
found=$(rustc --version | cut -d' ' -f2)
oldest=$(printf '%s\n%s\n' "$needed" "$found" | sort -V | head -n 1)
[ "$oldest" = "$needed" ] || fail "Rust $found is here, but this project needs $needed or later"
if [ "${1:-}" = tools ]; then
    cargo fmt --version >/dev/null 2>&1 || fail "rustfmt is missing: rustup component add rustfmt"
    cargo clippy --version >/dev/null 2>&1 || fail "clippy is missing: rustup component add clippy"
fi
