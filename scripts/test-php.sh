#!/bin/sh
# The PHP tests: a syntax check of every PHP file, what Composer says of the package, then PHPUnit over
# TCP and again over a Unix socket, each time against servers of its own (tests/php/bootstrap.php starts
# them): first the server's own tests, then those of the Composer package. Arguments go to PHPUnit.
# RR_PGPOOL_BINARY names a binary to test in place of the one that is built here.
set -eu
cd "$(dirname "$0")/.."

[ -n "${RR_PGPOOL_BINARY:-}" ] || cargo build --quiet --package rr-pgpool
find examples scripts tests/php tests/drivers/php tests/roadrunner php-client -name '*.php' -exec sh -ec '
    for file in "$@"; do
        php -l "$file" >/dev/null || { php -l "$file"; exit 1; }
    done' lint {} +
sh scripts/check-composer.sh
for listener in tcp unix; do
    printf '\nPHP tests, connections on %s:\n' "$listener"
    PGPOOL_TEST_LISTENER=$listener "${PHPUNIT:-phpunit}" --configuration tests/php/phpunit.xml "$@"
    printf '\nTests of the PHP package, connections on %s:\n' "$listener"
    PGPOOL_TEST_LISTENER=$listener "${PHPUNIT:-phpunit}" --configuration php-client/phpunit.xml "$@"
done
