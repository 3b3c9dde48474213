#!/bin/sh
# Installs what the named groups need and the machine lacks, through the system's own package
# manager. Says every command before it runs it. It never upgrades what is there, never starts a
# service, and never touches the Rust toolchain.
#
#   scripts/install-deps.sh GROUP...
#   groups: compiler postgres php php-test bench
set -eu

say() { printf '%s\n' "deps: $*"; }
fail() { printf '%s\n' "deps: $*" >&2; exit 1; }
has() { command -v "$1" >/dev/null 2>&1; }

# shellcheck source=scripts/postgres.sh
. "$(dirname "$0")/postgres.sh"

# Whether the extension types that the tests use can be created.
has_contrib() {
    for file in /usr/share/postgresql/*/extension/ltree.control \
        /usr/share/postgresql*/extension/ltree.control \
        /usr/pgsql-*/share/extension/ltree.control \
        "$(pg_find_bin)"/../share/postgresql*/extension/ltree.control \
        "$(pg_find_bin)"/../share/extension/ltree.control; do
        [ -f "$file" ] && return 0
    done
    return 1
}

has_php() { has php && php -r 'exit(PHP_VERSION_ID >= 80100 ? 0 : 1);'; }
has_php_module() { has php && php -m | grep -qix "$1"; }

# Prints the abstract names of what is missing for one group.
missing() {
    case "$1" in
        compiler) has cc || echo compiler ;;
        postgres) { pg_find_bin >/dev/null && has_contrib; } || echo postgres ;;
        php) has_php || echo php ;;
        php-test)
            has_php || echo php
            has_php_module pdo_pgsql || echo php-pgsql
            has_php_module msgpack || echo php-msgpack
            has phpunit || echo phpunit
            ;;
        bench)
            { has pgbench || [ -x "$(pg_find_bin)/pgbench" ]; } || echo postgres
            { has pgbouncer || [ -x /usr/sbin/pgbouncer ]; } || echo pgbouncer
            ;;
        *) fail "no group called $1 (compiler postgres php php-test bench)" ;;
    esac
}

manager() {
    for name in apt-get dnf apk brew; do
        if has "$name"; then echo "$name"; return; fi
    done
    echo none
}

# Alpine carries the version in the names of PHP's packages.
alpine_php() { apk search -q 'php8?' | sort -V | tail -n 1; }

# The package that brings one of the names above.
package() {
    case "$1:$2" in
        apt-get:compiler) echo gcc libc6-dev ;;
        apt-get:postgres) echo postgresql ;;
        apt-get:php) echo php-cli ;;
        dnf:compiler) echo gcc ;;
        dnf:postgres) echo postgresql-server postgresql-contrib ;;
        dnf:php) echo php-cli ;;
        dnf:php-msgpack) echo php-pecl-msgpack ;;
        apk:compiler) echo gcc musl-dev ;;
        apk:postgres) echo postgresql postgresql-contrib postgresql-client ;;
        apk:php) echo "$(alpine_php) $(alpine_php)-phar" ;;
        apk:php-pgsql) echo "$(alpine_php)-pdo_pgsql" ;;
        apk:php-msgpack) echo "$(alpine_php)-pecl-msgpack" ;;
        brew:compiler) fail "install the command line tools: xcode-select --install" ;;
        brew:postgres) echo postgresql ;;
        brew:php-pgsql) fail "PHP lacks pdo_pgsql: brew reinstall php" ;;
        brew:php-msgpack) fail "PHP lacks msgpack: pecl install msgpack" ;;
        *) echo "$2" ;;
    esac
}

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

# Debian creates and starts a cluster with the server package unless told otherwise; the tests and
# the demo start clusters of their own, and nobody asked for another server on this machine.
keep_debian_from_starting_a_cluster() {
    conf=/etc/postgresql-common/createcluster.conf
    if [ ! -e "$conf" ]; then
        say "$conf: create_main_cluster = false (no server is started by the installation)"
        as_root mkdir -p /etc/postgresql-common
        as_root sh -c "echo 'create_main_cluster = false' >$conf"
    fi
}

install_packages() {
    case "$(manager)" in
        apt-get)
            case " $* " in *" postgresql "*) keep_debian_from_starting_a_cluster ;; esac
            as_root apt-get update -q
            as_root env DEBIAN_FRONTEND=noninteractive \
                apt-get install -q -y --no-install-recommends "$@"
            ;;
        dnf) as_root dnf install -y "$@" ;;
        apk) as_root apk add "$@" ;;
        brew) say "running: brew install $*"; brew install "$@" ;;
        *) fail "no apt-get, dnf, apk or brew here; install by hand: $*" ;;
    esac
}

[ "$#" -gt 0 ] || fail "say which groups: compiler postgres php php-test bench"
wanted=""
for group in "$@"; do
    wanted="$wanted $(missing "$group")"
done
# shellcheck disable=SC2086 # words are wanted
wanted=$(printf '%s\n' $wanted | sort -u)
if [ -z "$wanted" ]; then
    say "everything for $* is installed"
    exit 0
fi
packages=""
for name in $wanted; do
    packages="$packages $(package "$(manager)" "$name")"
done
say "missing: $(echo $wanted); installing:$packages"
# shellcheck disable=SC2086 # words are wanted
install_packages $packages
for group in "$@"; do
    left=$(missing "$group")
    [ -z "$left" ] || fail "still missing after the installation: $(echo $left)"
done
say "done"
