#!/bin/sh
# The tests of the package's bridges, and of the frameworks' own drivers at the PostgreSQL door, with the
# versions of Laravel and Doctrine that Composer has installed into DIR, its vendor directory:
# scripts/test-frameworks.sh DIR [PHPUNIT-OPTION...]. RR_PGPOOL_BINARY is tested instead of a new build
# where it is set.
set -eu
cd "$(dirname "$0")/.."

vendor=${1:-}
if [ ! -f "$vendor/autoload.php" ]; then
    echo "test-frameworks: name a vendor directory that Composer has made: make test-frameworks VENDOR=dir" >&2
    exit 1
fi
shift
[ -n "${RR_PGPOOL_BINARY:-}" ] || cargo build --quiet --package rr-pgpool
PGPOOL_VENDOR=$(realpath "$vendor")
export PGPOOL_VENDOR
"${PHPUNIT:-phpunit}" --configuration php-client/phpunit.xml --testsuite bridge "$@"
"${PHPUNIT:-phpunit}" --configuration tests/php/phpunit.xml "$@" tests/php/FrameworksTest.php
