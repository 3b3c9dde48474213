#!/bin/sh
# Installs what the named groups need and the machine lacks, through the system's own package
# manager. Says every command before it runs it. It never upgrades what is there, never leaves a
# service running that was not, and never touches the Rust toolchain.
#
#   scripts/install-deps.sh GROUP...
#   groups: compiler musl postgres php php-pdo php-test clients browser bench
set -eu

say() { printf 'deps: %s\n' "$*"; }
fail() { printf 'deps: %s\n' "$*" >&2; exit 1; }
has() { command -v "$1" >/dev/null 2>&1; }

# shellcheck source=scripts/postgres.sh
. "$(dirname "$0")/postgres.sh"
# shellcheck source=scripts/python.sh
. "$(dirname "$0")/python.sh"
# shellcheck source=scripts/browser.sh
. "$(dirname "$0")/browser.sh"

# Whether the extension types that the tests use can be created.
has_contrib() {
    bin=$(pg_find_bin) || return 1
    for file in /usr/share/postgresql/*/extension/ltree.control \
        /usr/share/postgresql*/extension/ltree.control \
        /usr/share/pgsql/extension/ltree.control \
        "$bin"/../share/extension/ltree.control \
        "$bin"/../share/postgresql*/extension/ltree.control; do
        [ -f "$file" ] && return 0
    done
    return 1
}

has_php() { has php && php -r 'exit(PHP_VERSION_ID >= 80100 ? 0 : 1);'; }
has_php_module() { has php && php -m | grep -qix "$1"; }

# Prints what is missing for one group, by names of our own.
missing() {
    case "$1" in
        compiler) has cc || echo compiler ;;
        musl) has musl-gcc || echo musl ;;
        postgres) has_contrib || echo postgres ;;
        php) has_php || echo php ;;
        php-pdo) has_php_module pdo_pgsql || echo php-pgsql ;;
        php-test)
            has_php || echo php
            has_php_module pdo_pgsql || echo php-pgsql
            has_php_module msgpack || echo php-msgpack
            has "${PHPUNIT:-phpunit}" || echo phpunit
            if has apt-get; then
                # Elsewhere the tests of the bridges want VENDOR=dir, and say so.
                has phpcs || echo php-codesniffer
                has composer || echo composer
                [ -d /usr/share/php/Illuminate/Database ] || echo php-illuminate-database
                [ -d /usr/share/php/Doctrine/DBAL ] || echo php-doctrine-dbal
                [ -d /usr/share/php/Google/Protobuf ] || echo php-google-protobuf
            fi
            ;;
        clients)
            for program in psql pgbench pg_dump; do
                has "$program" || [ -x "$(pg_find_bin)/$program" ] || echo postgres
            done
            python_with_psycopg >/dev/null || echo python-psycopg
            ;;
        browser)
            browser_find >/dev/null || echo chromium
            has python3 || echo python3
            ;;
        bench)
            { has pgbench || [ -x "$(pg_find_bin)/pgbench" ]; } || echo postgres
            { has pgbouncer || [ -x /usr/sbin/pgbouncer ]; } || echo pgbouncer
            ;;
        *) fail "no group called $1 (compiler postgres php php-pdo php-test clients browser bench)" ;;
    esac
}

# Alpine carries the version in the names of PHP's packages.
alpine_php() { apk search -q 'php8?' | sort -V | tail -n 1; }

# Prints the packages that bring one of those names; the name itself where nothing is said.
packages_for() {
    case "$manager:$1" in
        apt-get:compiler) echo gcc libc6-dev ;;
        apt-get:musl) echo musl-tools ;;
        apt-get:postgres) echo postgresql ;;
        apt-get:php) echo php-cli ;;
        apt-get:python-psycopg) echo python3-psycopg ;;
        dnf:compiler) echo gcc ;;
        dnf:musl) echo musl-gcc ;;
        dnf:postgres) echo postgresql-server postgresql-contrib ;;
        dnf:php) echo php-cli ;;
        dnf:php-msgpack) echo php-pecl-msgpack ;;
        dnf:python-psycopg) echo python3-psycopg3 ;;
        apk:compiler) echo gcc musl-dev ;;
        apk:postgres) echo postgresql postgresql-contrib postgresql-client ;;
        apk:php) echo "$(alpine_php) $(alpine_php)-phar" ;;
        apk:php-pgsql) echo "$(alpine_php)-pdo_pgsql" ;;
        apk:php-msgpack) echo "$(alpine_php)-pecl-msgpack" ;;
        apk:python-psycopg) echo py3-psycopg ;;
        brew:compiler) fail "the command line tools are missing: xcode-select --install" ;;
        brew:chromium) fail "Chromium is missing: brew install --cask chromium, and set BROWSER to it" ;;
        brew:postgres) echo postgresql ;;
        brew:php-pgsql) fail "PHP lacks pdo_pgsql: brew reinstall php" ;;
        brew:php-msgpack) fail "PHP lacks msgpack: pecl install msgpack" ;;
        brew:python-psycopg)
            fail "psycopg 3 is missing: pip install 'psycopg[binary]' and set PYTHON to its python" ;;
        dnf:phpunit | apk:phpunit)
            fail "PHPUnit is missing: get phpunit.phar from https://phpunit.de and set PHPUNIT to it" ;;
        *) echo "$1" ;;
    esac
}

# Runs a command with root's rights, after saying it.
as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        say "running: $*"
        "$@"
    elif has sudo; then
        say "running: sudo $*"
        sudo "$@"
    else
        fail "not root and no sudo here; run as root: $*"
    fi
}

# Debian's server package makes a cluster and starts it unless told otherwise. The tests and the
# demo have clusters of their own, and nobody asked for one more server on this machine.
keep_debian_from_starting_a_cluster() {
    conf=/etc/postgresql-common/createcluster.conf
    [ ! -e "$conf" ] || return 0
    as_root mkdir -p "$(dirname "$conf")"
    as_root sh -c "echo 'create_main_cluster = false' >$conf"
}

refresh() {
    case "$manager" in
        apt-get) as_root apt-get update -q ;;
        apk) as_root apk update -q ;;
    esac
}

install_packages() {
    case "$manager" in
        apt-get)
            case " $* " in *" postgresql "*) keep_debian_from_starting_a_cluster ;; esac
            as_root env DEBIAN_FRONTEND=noninteractive \
                apt-get install -q -y --no-install-recommends "$@"
            # Debian starts this one, too; the benchmark starts its own.
            case " $* " in *" pgbouncer "*)
                [ ! -d /run/systemd/system ] || as_root systemctl disable --now pgbouncer ;;
            esac
            ;;
        dnf) as_root dnf install -y "$@" ;;
        apk) as_root apk add "$@" ;;
        brew) say "running: brew install $*"; brew install "$@" ;;
    esac
}

[ "$#" -gt 0 ] || fail "say which groups: compiler musl postgres php php-pdo php-test clients browser bench"
wanted=""
for group in "$@"; do
    names=$(missing "$group")
    wanted="$wanted $names"
done
# shellcheck disable=SC2086 # these are words
wanted=$(printf '%s\n' $wanted | sort -u)
if [ -z "$wanted" ]; then
    say "everything for $* is installed"
    exit 0
fi
# shellcheck disable=SC2086
say "missing:" $wanted
manager=""
for name in apt-get dnf apk brew; do
    if has "$name"; then manager=$name; break; fi
done
# shellcheck disable=SC2086
[ -n "$manager" ] || fail "no apt-get, dnf, apk or brew here; install by hand:" $wanted
refresh
packages=""
for name in $wanted; do
    found=$(packages_for "$name")
    packages="$packages $found"
done
# shellcheck disable=SC2086
install_packages $packages
for group in "$@"; do
    left=$(missing "$group")
    # shellcheck disable=SC2086
    [ -z "$left" ] || fail "still missing after the installation:" $left
done
say "everything for $* is installed now"
