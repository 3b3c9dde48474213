#!/bin/sh
# Tests what `make dist` has put into dist/: the sums, that the program runs with nothing but itself,
# serves statements at both doors from an empty environment, and that the package holds what it says.
set -eu
cd "$(dirname "$0")/.."

# shellcheck source=scripts/postgres.sh
. scripts/postgres.sh

ok() { printf 'test-dist: ok: %s\n' "$*"; }
fail() { printf 'test-dist: FAILED: %s\n' "$*" >&2; exit 1; }
same() { [ "$1" = "$2" ] || fail "$3: \"$1\", and not \"$2\""; ok "$3"; }

[ -f dist/SHA256SUMS ] || fail "nothing is in dist/; make dist builds it"
(cd dist && sha256sum --check --quiet SHA256SUMS) || fail "sums"
ok "sums"
room=$(mktemp -d "${TMPDIR:-/tmp}/rr-pgpool-test-dist.XXXXXX")
server=
stop() {
    [ -z "$server" ] || { kill -TERM "$server" 2>/dev/null && wait "$server" || true; }
    rm -rf "$room"
}
trap stop EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# ---- the tarball ----

tar -xzf dist/rr-pgpool-*-linux-*.tar.gz -C "$room"
tree=$(echo "$room"/rr-pgpool-*)
program=$tree/rr-pgpool
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
for file in LICENSE README.md CHANGELOG.md rr.yaml.example schema.json rr-pgpool.service rr.yaml \
    docs/configuration.md man/rr-pgpool.1 man/rr-pgpool-serve.1 completions/rr-pgpool.bash; do
    [ -s "$tree/$file" ] || fail "$file is not in the tarball"
done
ok "what belongs to it is in the tarball"
# ldd says so of a program that needs no library, and fails.
linked=$(ldd "$program" 2>&1 || true)
case "$linked" in
    *"statically linked"* | *"not a dynamic executable"*) ok "linked statically" ;;
    *) fail "linked with libraries: $linked" ;;
esac
! grep -qa -e "$HOME/.cargo" -e "$(pwd -P)" "$program" || fail "paths of this machine are in the program"
ok "no path of this machine is in it"
same "$(env -i "$program" --version)" "rr-pgpool $version" "--version"
env -i "$program" check-config -c "$tree/rr.yaml.example" >"$room/checked" 2>&1 \
    || fail "the example cannot be used: $(cat "$room/checked")"
ok "the example is valid"

# ---- a server ----

export PGPOOL_RPC="unix://$room/rpc.sock"
chmod 755 "$room"
: >"$room/log"
# Of the environment nothing but where PostgreSQL's programs are.
env -i PATH="$PATH" PGBIN="$(pg_find_bin)" "$program" demo --listen "$PGPOOL_RPC" \
    --proxy "unix://$room/.s.PGSQL.5433" >"$room/log" 2>&1 &
server=$!
deadline=$(($(date +%s) + 60))
until grep -q '^Ctrl-C' "$room/log"; do
    kill -0 "$server" 2>/dev/null || fail "it does not serve: $(cat "$room/log")"
    [ "$(date +%s)" -lt "$deadline" ] || fail "it does not serve in a minute: $(cat "$room/log")"
    sleep 0.1
done
same "$("$program" exec 'SELECT 40 + $1::int' 2 | tail -n 1)" 42 "a statement over RPC"
psql=$(command -v psql || echo "$(pg_find_bin)/psql")
same "$("$psql" -h "$room" -p 5433 -U demo -d postgres -Atc 'SELECT 40 + 2')" 42 \
    "a statement of psql's at the PostgreSQL door"
"$program" health >/dev/null || fail "health"
ok "health"
kill -TERM "$server"
wait "$server" || fail "it ended with $?"
server=
ok "an orderly end"

# ---- the Debian package ----

set -- dist/*.deb
if [ -f "$1" ]; then
    dpkg-deb --extract "$1" "$room/deb"
    same "$(sha256sum <"$room/deb/usr/bin/rr-pgpool")" "$(sha256sum <"$program")" "the package's program"
    same "$(dpkg-deb --field "$1" Version)" "$version" "the package's version"
    unit=$room/deb/usr/lib/systemd/system/rr-pgpool.service
    [ -s "$unit" ] && [ -s "$room/deb/usr/lib/sysusers.d/rr-pgpool.conf" ] || fail "unit or account"
    env -i "$program" check-config -c "$room/deb/etc/rr-pgpool/rr.yaml" >"$room/checked" 2>&1 \
        || fail "the package's configuration cannot be used: $(cat "$room/checked")"
    ok "the package's configuration is valid"
    for script in postinst prerm postrm; do
        dpkg-deb --info "$1" "$script" | sh -n || fail "$script"
    done
    ok "the package's scripts can be read"
    if command -v systemd-analyze >/dev/null; then
        sed "s|/usr/bin/rr-pgpool|$program|" "$unit" >"$room/rr-pgpool.service"
        systemd-analyze verify --man=no "$room/rr-pgpool.service" >"$room/verified" 2>&1 \
            && [ ! -s "$room/verified" ] || fail "the unit: $(cat "$room/verified")"
        ok "the unit is valid"
    fi
fi
printf 'test-dist: all is well\n'
