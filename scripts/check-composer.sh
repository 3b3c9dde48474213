#!/bin/sh
# Has Composer judge the PHP package: its composer.json, an installation, and whether every class is in the
# file of its name. A second, and no network: the package requires nothing but PHP. Where there is no
# composer it says so, and succeeds.
set -eu
cd "$(dirname "$0")/../php-client"

if ! command -v composer >/dev/null; then
    echo "composer is not installed: the package's composer.json is not checked"
    exit 0
fi
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
trap 'exit 130' INT TERM
cp -r composer.json src protobuf "$dir"
# Neither the caller's configuration nor a registry has a say.
export COMPOSER_HOME="$dir/home" COMPOSER_DISABLE_NETWORK=1 COMPOSER_ALLOW_SUPERUSER=1 COMPOSER_NO_INTERACTION=1
for command in "validate --strict" "install" "dump-autoload --optimize --strict-psr"; do
    # shellcheck disable=SC2086 # these are words
    composer $command --working-dir="$dir" >"$dir/log" 2>&1 || {
        echo "composer $command:" >&2
        cat "$dir/log" >&2
        exit 1
    }
done
# shellcheck disable=SC2016 # PHP's variables
php -r 'require $argv[1] . "/vendor/autoload.php"; exit(class_exists(RrPgpool\Client::class) ? 0 : 1);' "$dir"
echo "composer finds nothing wrong with the PHP package"
