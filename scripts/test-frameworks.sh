#!/bin/sh
# The tests of the package's bridges against the versions of Laravel and Doctrine that Composer has
# installed into DIR, its vendor directory: scripts/test-frameworks.sh DIR [PHPUNIT-OPTION...]
set -eu
cd "$(dirname "$0")/.."

vendor=${1:-}
if [ ! -f "$vendor/autoload.php" ]; then
    echo "test-frameworks: name a vendor directory that Composer has made: make test-frameworks VENDOR=dir" >&2
    exit 1
fi
shift
cargo build --quiet --package rr-pgpool
PGPOOL_VENDOR=$(realpath "$vendor") "${PHPUNIT:-phpunit}" --configuration php-client/phpunit.xml \
    --testsuite bridge "$@"
