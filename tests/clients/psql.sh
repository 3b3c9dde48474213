#!/bin/sh
# psql through the PostgreSQL door: its ways to run statements, its own commands, COPY and cancelling.
# scripts/test-clients.sh says where by MODE, DIRECT and libpq's variables.
set -u
# shellcheck source=tests/clients/expect.sh
. "$(dirname "$0")/expect.sh"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
table=psql_$MODE
version=$(psql --version | sed 's/[^0-9]*\([0-9]*\).*/\1/')

# Both print errors among the rows, and what follows an error is not run.
run() { psql -XAtq -v ON_ERROR_STOP=1 "$@" 2>&1; }
# script TEXT [OPTION...]: the same from a file.
script() {
    printf '%s\n' "$1" >"$work/script.sql"
    shift
    run -f "$work/script.sql" "$@"
}
new_table() { direct "DROP TABLE IF EXISTS $table; CREATE TABLE $table ($1)" >/dev/null 2>&1; }
rows() { direct "SELECT * FROM $table ORDER BY 1" | tr '\n' ' '; }

commands_run() {
    same 'two -c' "$(printf '1\n2')" "$(run -c 'SELECT 1' -c 'SELECT 2')"
    same 'several statements in one -c' 2 "$(run -c 'SELECT 1; SELECT 2' | tail -n 1)"
    new_table 'n int'
    found=$(run -c "INSERT INTO $table VALUES (1); SELECT 1/0; SELECT 2")
    same 'exit status of an error in -c' 1 $?
    holds 'an error in -c' 'ERROR:  division by zero' "$found"
    same 'statements of one -c are one transaction' '' "$(rows)"
    same 'many rows' "$(seq 1 50000 | cksum)" "$(run -c 'SELECT generate_series(1, 50000)' | cksum)"
    same 'rows by cursor' "$(seq 1 1000 | cksum)" \
        "$(run -v FETCH_COUNT=70 -c 'SELECT generate_series(1, 1000)' | cksum)"
}

# The console, in which psql's own commands have nothing to find.
console_answers() {
    holds 'SHOW VERSION' 'rr-pgpool' "$(run -d pgbouncer -c 'SHOW VERSION')"
    holds 'SHOW DATABASES' "by_$MODE|" "$(run -d pgpool -c 'SHOW DATABASES;')"
    holds 'SHOW HELP' 'RECONNECT [db]' "$(run -d pgbouncer -c 'SHOW HELP')"
    holds 'what exists is named' 'STATS_TOTALS' "$(run -d pgbouncer -c 'SHOW NOTHING')"
}

# What psql finds in the catalogues is what it finds there without us.
describes() {
    new_table "n int PRIMARY KEY, t text DEFAULT 'x' CHECK (t <> '')"
    for command in "\\d $table" "\\d+ $table" "\\dt $table" '\d' '\df count' '\dn' '\l' '\du app'; do
        found=$(run -c "$command")
        same "$command" "$(psql -XAtq "$DIRECT" -c "$command" 2>&1)" "$found"
        [ -n "$found" ] || same "$command" something nothing
    done
    same '\gdesc' "$(printf 'a|integer\nb|text')" "$(script "SELECT 1 AS a, 'x'::text AS b \\gdesc")"
}

variables_work() {
    found=$(script "SELECT 41 + 1 AS answer, 'O''Brien' AS name \\gset
\\echo :answer
SELECT :'name', :answer + 1;")
    same '\gset' "$(printf "42\nO'Brien|43")" "$found"
    same '\gexec' "$(printf '1\n4')" "$(script "SELECT 'SELECT ' || n * n FROM generate_series(1, 2) AS n \\gexec")"
    [ "$version" -lt 16 ] || same '\bind' 'tea|5' "$(script "SELECT \$1, \$2::int + 1 \\bind tea 4 \\g")"
    [ "$version" -lt 18 ] || same '\parse' "$(printf '5\n8')" "$(script 'SELECT $1::int + 1 \parse add
\bind_named add 4 \g
\startpipeline
\bind_named add 7 \sendpipeline
\endpipeline
\close_prepared add')"
}

copies() {
    new_table 'n int, t text'
    printf '1,one\n2,\n3,"a,b"\n' >"$work/in.csv"
    run -c "\\copy $table FROM '$work/in.csv' CSV"
    same '\copy in' '1|one 2| 3|a,b ' "$(rows)"
    run -c "\\copy (SELECT * FROM $table ORDER BY n) TO '$work/out.csv' CSV"
    same '\copy out' "$(cat "$work/in.csv")" "$(cat "$work/out.csv")"
    same 'COPY TO STDOUT' "$(cat "$work/in.csv")" "$(run -c "COPY (SELECT * FROM $table ORDER BY n) TO STDOUT CSV")"

    new_table 'n int, t text'
    script "COPY $table FROM STDIN;
1	one
2	two
\\.
INSERT INTO $table VALUES (3, 'three');"
    same 'COPY FROM STDIN in a script' '1|one 2|two 3|three ' "$(rows)"
    found=$(script "COPY $table FROM STDIN;
4	four
five	five
\\.
SELECT 'went on';")
    same 'exit status of a wrong row' 3 $?
    holds 'a wrong row' 'invalid input syntax for type integer: "five"' "$found"
    same 'a wrong row keeps all out' '1|one 2|two 3|three ' "$(rows)"

    new_table 'n int'
    seq 1 100000 | run -c "COPY $table FROM STDIN"
    same 'a large COPY' '100000|5000050000' "$(direct "SELECT count(*), sum(n) FROM $table")"
}

errors_stop_scripts() {
    new_table 'n int'
    text="INSERT INTO $table VALUES (1);
SELECT * FROM nowhere;
INSERT INTO $table VALUES (2);"
    found=$(script "$text")
    same 'exit status with ON_ERROR_STOP' 3 $?
    holds 'the error and its place' 'script.sql:2: ERROR:  relation "nowhere" does not exist' "$found"
    same 'what comes before it counts' '1 ' "$(rows)"
    script "$text" -v ON_ERROR_STOP=0 >/dev/null
    same 'exit status without ON_ERROR_STOP' 0 $?
    same 'what comes after it counts, too' '1 1 2 ' "$(rows)"
    found=$(script 'SELECT 1/0;
\errverbose' -v ON_ERROR_STOP=0)
    holds '\errverbose' 'ERROR:  22012: division by zero' "$found"
}

transactions_work() {
    new_table 'n int'
    script "INSERT INTO $table VALUES (1); INSERT INTO $table VALUES (2); SELECT 1/0;" --single-transaction >/dev/null
    same 'an error in --single-transaction' '' "$(rows)"
    script "INSERT INTO $table VALUES (1); INSERT INTO $table VALUES (2);" --single-transaction
    same '--single-transaction' '1 2 ' "$(rows)"
    script "INSERT INTO $table VALUES (3); COMMIT; INSERT INTO $table VALUES (4);" -v AUTOCOMMIT=off
    same 'AUTOCOMMIT=off' '1 2 3 ' "$(rows)"
    script "BEGIN;
INSERT INTO $table VALUES (5);
SELECT 1/0;
INSERT INTO $table VALUES (6);
COMMIT;" -v ON_ERROR_ROLLBACK=on -v ON_ERROR_STOP=0 >/dev/null
    same 'ON_ERROR_ROLLBACK' '1 2 3 5 6 ' "$(rows)"
}

notices_arrive() {
    holds 'a notice' 'NOTICE:  tea is ready' "$(run -c "DO \$\$ BEGIN RAISE NOTICE 'tea is ready'; END \$\$")"
    holds 'the notice of a command' 'NOTICE:  table "nothing" does not exist, skipping' \
        "$(run -c 'DROP TABLE IF EXISTS nothing')"
    same 'no notice when none is wanted' '' \
        "$(run -c 'SET client_min_messages = error' -c 'DROP TABLE IF EXISTS nothing')"
}

large_objects_go_in_and_out() {
    head -c 100000 /dev/urandom >"$work/object"
    script "\\lo_import '$work/object'
\\lo_export :LASTOID '$work/exported'
\\lo_unlink :LASTOID" >/dev/null
    same 'a large object' "$(cksum <"$work/object")" "$(cksum <"$work/exported")"
}

is_sleeping() {
    [ "$(direct "SELECT count(*) FROM pg_stat_activity WHERE state = 'active'
        AND query LIKE 'SELECT pg_sleep(60)%'")" -eq "$1" ]
}

interrupt_cancels() {
    psql -XAt -c 'SELECT pg_sleep(60)' >"$work/cancelled" 2>&1 &
    sleeper=$!
    await is_sleeping 1 || same 'the statement runs' yes no
    started=$(date +%s)
    kill -INT "$sleeper"
    wait "$sleeper"
    same 'exit status when cancelled' 1 $?
    holds 'what psql says' 'ERROR:  canceling statement due to user request' "$(cat "$work/cancelled")"
    [ $(($(date +%s) - started)) -lt 20 ] || same 'it ends at once' yes no
    await is_sleeping 0 || same 'nothing runs on' yes no
}

commands_run
describes
console_answers
variables_work
copies
errors_stop_scripts
transactions_work
notices_arrive
large_objects_go_in_and_out
interrupt_cancels
finish "psql $version"
