#!/bin/sh
# pg_dump and pg_restore through the PostgreSQL door: the same dump as without it, and from it the same
# tables. scripts/test-clients.sh says where by MODE, DIRECT and libpq's variables.
set -u
# shellcheck source=tests/clients/expect.sh
. "$(dirname "$0")/expect.sh"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# dump DATABASE OPTION...: without the random words that newer ones put into each dump.
dump() {
    database=$1
    shift
    pg_dump --table='dumped*' "$@" "$database" 2>&1 | grep -v -e '^.restrict' -e '^.unrestrict'
}

direct "DROP TABLE IF EXISTS dumped CASCADE;
    CREATE TABLE dumped (id serial PRIMARY KEY, t text, b bytea);
    INSERT INTO dumped (t, b) SELECT repeat('x', n), decode(lpad(n::text, 8, '0'), 'hex')
        FROM generate_series(1, 2000) AS n;
    CREATE VIEW dumped_view AS SELECT id FROM dumped" >/dev/null 2>&1
for format in --format=plain --inserts; do
    dump "dbname=$PGDATABASE" "$format" >"$work/found"
    dump "$DIRECT" "$format" >"$work/expected"
    same "lines that differ, $format" '' "$(diff "$work/expected" "$work/found" | head -n 20)"
    holds "a row, $format" x00001999 "$(grep 00001999 "$work/found")"
done

# Its own connection for each job.
restored=$(direct "SELECT md5(string_agg(dumped::text, ',' ORDER BY id)) FROM dumped")
pg_dump --format=custom --table='dumped*' --file="$work/dump" "dbname=$PGDATABASE" 2>&1
direct 'DROP TABLE dumped CASCADE' >/dev/null 2>&1
same 'what pg_restore says' '' "$(pg_restore --dbname="dbname=$PGDATABASE" --jobs=2 "$work/dump" 2>&1)"
same 'what it has restored' "$restored" \
    "$(direct "SELECT md5(string_agg(dumped::text, ',' ORDER BY id)) FROM dumped")"
same 'a view' 2000 "$(direct 'SELECT count(*) FROM dumped_view')"
finish pg_dump
