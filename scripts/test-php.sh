#!/bin/sh
# The PHP tests: a syntax check of every PHP file, then PHPUnit against a server of its own
# (tests/php/bootstrap.php starts it). Arguments go to PHPUnit.
set -eu
cd "$(dirname "$0")/.."

cargo build --quiet --package rr-pgpool
find examples scripts tests/php -name '*.php' -exec sh -ec '
    for file in "$@"; do
        php -l "$file" >/dev/null || { php -l "$file"; exit 1; }
    done' lint {} +
exec "${PHPUNIT:-phpunit}" --configuration tests/php/phpunit.xml "$@"
