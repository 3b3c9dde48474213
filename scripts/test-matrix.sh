#!/bin/sh
# The driver tests: scripts/test-matrix.sh one|all|DRIVER..., each against a database of each mode.
# tests/drivers/README.md says what they do. Starts a throw-away PostgreSQL and a server in front of
# it on free ports, and removes everything at the end. A language whose tools are missing is left out.
#
#   MODES              modes of the door (default: session transaction auto)
#   BEHAVIOURS         names of tests/drivers/README.md (default: all)
#   DIRECT=1           PostgreSQL itself in place of the door
#   RR_PGPOOL_BINARY   is tested instead of a new build
#   TLS=0              no TLS, as without openssl: the behaviour tls is then left out
#   RESULTS            a file for what was found: driver, version, mode, ok, not ok, skipped, which
#   WRITE=1            puts the table into docs/compatibility.md
set -eu
cd "$(dirname "$0")/.."
# shellcheck source=scripts/postgres.sh
. scripts/postgres.sh
# shellcheck source=scripts/pool.sh
. scripts/pool.sh
# shellcheck source=scripts/drivers.sh
. scripts/drivers.sh
# shellcheck source=scripts/table.sh
. scripts/table.sh

MODES=${MODES:-session transaction auto}
case "${*:-one}" in
    one) drivers=$drivers_one ;;
    all) drivers=$drivers_all ;;
    *) drivers=$* ;;
esac
behaviours=${BEHAVIOURS:-$(driver_behaviours)}

# Everything is built before a server waits for it.
usable=""
ready=""
for driver in $drivers; do
    language=$(driver_language "$driver")
    case " $ready " in *" $language "*) usable="$usable $driver"; continue ;; esac
    lack=$(driver_lacks "$language")
    if [ -n "$lack" ]; then
        echo "$driver is LEFT OUT: it needs $lack"
        continue
    fi
    driver_prepare "$language" "$drivers"
    ready="$ready $language"
    usable="$usable $driver"
done
[ -n "${DIRECT:-}" ] || pool_binary

pool_scratch

# make_certificates DIR: DIR/ca.crt has signed DIR/server.crt, which is for this machine.
make_certificates() {
    (
        cd "$1"
        printf 'subjectAltName=IP:127.0.0.1,DNS:localhost\n' >names
        openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj '/CN=An authority' -keyout ca.key -out ca.crt
        openssl req -newkey rsa:2048 -nodes -subj '/CN=127.0.0.1' -keyout server.key -out request
        openssl x509 -req -days 2 -in request -CA ca.crt -CAkey ca.key -CAcreateserial \
            -extfile names -out server.crt
        chmod 600 server.key
        [ "$(id -u)" -ne 0 ] || chown "$(pg_account)" server.key
    ) >"$1/openssl.log" 2>&1 || { cat "$1/openssl.log" >&2; return 1; }
}

POOL_TLS=""
if [ "${TLS:-1}" != 0 ] && command -v openssl >/dev/null 2>&1; then
    make_certificates "$dir"
    POOL_TLS="{cert: $dir/server.crt, key: $dir/server.key}"
    export PGPOOL_TLS_CA="$dir/ca.crt"
fi
pg_init "$dir"
pg_options="-c fsync=off -c synchronous_commit=off -c timezone=UTC"
if [ -n "${DIRECT:-}" ] && [ -n "$POOL_TLS" ]; then
    pg_options="$pg_options -c ssl=on -c ssl_cert_file=$dir/server.crt -c ssl_key_file=$dir/server.key"
fi
# shellcheck disable=SC2086
pg_start "$dir" $pg_options

if [ -n "${DIRECT:-}" ]; then
    PGPORT=$pg_port
else
    # shellcheck disable=SC2086
    pool_try "$dir/pool.log" pool_door "$binary" "$dir" "$pg_port" $MODES
fi
export PGHOST=127.0.0.1 PGPORT PGUSER=app PGPASSWORD=secret PGCONNECT_TIMEOUT=20

postgres=$("$(pg_find_bin)/postgres" --version | sed 's/^[^0-9]*\([0-9.]*\).*/\1/')
results=$dir/results
: >"$results"
# count PATTERN: how many lines of the last output.
count() { grep -c "$1" "$dir/out" || true; }
# run_driver DRIVER: prints its failures and how many went well, and keeps the numbers.
run_driver() {
    code=0
    # shellcheck disable=SC2086
    driver_run "$1" $behaviours >"$dir/out" 2>"$dir/err" || code=$?
    ok=$(count '^ok ')
    not_ok=$(count '^not ok ')
    skipped=$(count '^skip ')
    # A program that ends early has failed whatever it does not mention.
    silent=$(($(echo "$behaviours" | wc -w) - ok - not_ok - skipped))
    which=$(sed -n 's/^skip \([a-z_]*\):.*/\1/p' "$dir/out" | tr '\n' ' ')
    version=$(sed -n '1s/^# //p' "$dir/out")
    printf '%s\t%s\t%s\t%s\t%s\t%s\t%s\n' \
        "$1" "$version" "$MODE" "$ok" $((not_ok + silent)) "$skipped" "$which" >>"$results"
    printf '%-14s %-11s %2d ok, %d not ok, %d skipped\n' "$1" "$MODE" "$ok" $((not_ok + silent)) "$skipped"
    grep '^not ok ' "$dir/out" | sed 's/^/    /' || true
    if [ "$silent" -ne 0 ]; then
        echo "    it left out $silent behaviours (exit status $code)"
        sed 's/^/    /' "$dir/err" | tail -n 20
        return 1
    fi
    [ "$code" -eq 0 ]
}

status=0
for mode in $MODES; do
    # Against PostgreSQL itself all is as in a session.
    if [ -n "${DIRECT:-}" ]; then
        MODE=session PGDATABASE=app CONNECTIONS=8
    else
        MODE=$mode PGDATABASE=by_$mode CONNECTIONS=$(pool_connections "$mode")
    fi
    export MODE PGDATABASE CONNECTIONS
    for driver in $usable; do
        run_driver "$driver" || status=1
    done
    [ -z "${DIRECT:-}" ] || break
done
[ -z "${RESULTS:-}" ] || cp "$results" "$RESULTS"
if [ -z "${WRITE:-}" ] || [ -n "${DIRECT:-}" ]; then exit "$status"; fi

# One row for each driver, a column for each mode, and what the driver has nothing for.
{
    echo "Written on $(date +%Y-%m-%d) by \`make test-matrix\`, with PostgreSQL $postgres. The numbers are of"
    echo "the behaviours in [tests/drivers](../tests/drivers/README.md): how many of those that the driver"
    echo "has anything for are as they have to be."
    echo
    awk -F '\t' -v modes="$MODES" '
        BEGIN {
            count = split(modes, mode, " ")
            head = "| driver |"
            line = "|---|"
            for (n = 1; n <= count; n++) { head = head " " mode[n] " |"; line = line "---|" }
            print head " it has no |"
            print line "---|"
        }
        !($1 in title) { order[++drivers] = $1 }
        { title[$1] = $2; cell[$1, $3] = $4 " of " $4 + $5; lacks[$1] = $7 }
        END {
            for (d = 1; d <= drivers; d++) {
                row = "| " title[order[d]] " |"
                for (n = 1; n <= count; n++) row = row " " cell[order[d], mode[n]] " |"
                sub(/ $/, "", lacks[order[d]])
                gsub(/ /, ", ", lacks[order[d]])
                print row " " lacks[order[d]] " |"
            }
        }' "$results"
} >"$dir/table"
table_write docs/compatibility.md drivers "$dir/table"
exit "$status"
