#!/bin/sh
# Writes the code for proto/pgpool.proto: Rust for the server, PHP for the package, Go for the tests.
# Needs protoc and Go; the results are committed.
set -eu
cd "$(dirname "$0")/.."

rust=crates/server/src/rpc/protobuf
cargo run --quiet --manifest-path proto/generator/Cargo.toml -- proto "$rust"
mv "$rust/pgpool.v1.rs" "$rust/generated.rs"

php=$(mktemp -d)
trap 'rm -rf "$php"' EXIT
protoc --proto_path=proto --php_out="$php" pgpool.proto
rm -rf php-client/protobuf
mv "$php/RrPgpool/Protobuf" php-client/protobuf

cd tests/roadrunner
go build -o "$php/protoc-gen-go" google.golang.org/protobuf/cmd/protoc-gen-go
protoc --plugin="$php/protoc-gen-go" --proto_path=../../proto --go_out=. \
    --go_opt=module=rr-pgpool.test/roadrunner pgpool.proto
