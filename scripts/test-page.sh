#!/bin/sh
# The status page in a real browser, headless: a throw-away PostgreSQL with a replica, a server in front of
# both on free ports, and some load. SCREENSHOTS=dir writes pictures of it there. RR_PGPOOL_BINARY is tested
# instead of a new build where it is set, BROWSER instead of the Chromium that is found.
set -eu
cd "$(dirname "$0")/.."
# shellcheck source=scripts/postgres.sh
. scripts/postgres.sh
# shellcheck source=scripts/pool.sh
. scripts/pool.sh
# shellcheck source=scripts/browser.sh
. scripts/browser.sh

pool_binary
BROWSER=$(browser_find) || { echo "no Chromium was found" >&2; exit 1; }
PATH=$(pg_find_bin):$PATH
export PATH BROWSER

pool_scratch

options="-c fsync=off -c synchronous_commit=off -c autovacuum=off -c timezone=UTC"
pg_init "$dir"
# shellcheck disable=SC2086
pg_start "$dir" $options
primary_port=$pg_port
# shellcheck disable=SC2086
pg_replica "$dir" "$primary_port" "$dir/replica" $options

start() {
    PGPORT=$(pg_random_port)
    page_port=$(pg_random_port)
    cat >"$dir/pool.yaml" <<YAML
version: '3'
pgpool:
  rpc:
    listen: unix://$dir/pgpool.sock
  proxy:
    address: tcp://127.0.0.1:$PGPORT
  shutdown:
    grace: 100ms
  backends:
    primary:
      dsn: postgres://app:secret@127.0.0.1:$primary_port/app
      behavior:
        mode: auto
    replicas:
    - dsn: postgres://app:secret@127.0.0.1:$pg_port/app
  databases:
    reports:
      primary:
        dsn: postgres://app:secret@127.0.0.1:1/nowhere
  routing:
    failover:
      retry_interval: 100ms
  features:
    circuit_breaker:
      enabled: true
  monitoring:
    interval: 500ms
    status:
      address: 127.0.0.1:$page_port
YAML
    pool_start "$binary" "$dir" pool
    _tries=0
    until "$binary" health --database primary --address "unix://$dir/pgpool.sock" >/dev/null 2>&1; do
        _tries=$((_tries + 1))
        if [ "$_tries" -ge 300 ] || ! kill -0 "$pool_pid" 2>/dev/null; then return 1; fi
        sleep 0.1
    done
    kill -0 "$pool_pid" 2>/dev/null
}
pool_try "$dir/pool.log" start

export PGHOST=127.0.0.1 PGPORT PGUSER=app PGPASSWORD=secret PGDATABASE=primary PGCONNECT_TIMEOUT=20
psql -q -v ON_ERROR_STOP=1 <<'SQL'
CREATE TABLE account (id int PRIMARY KEY, owner text, balance int);
INSERT INTO account SELECT id, 'owner ' || id, 100 FROM generate_series(1, 1000) AS id;
CREATE TABLE orders (id int PRIMARY KEY GENERATED ALWAYS AS IDENTITY, account int, total int);
SQL
cat >"$dir/load.sql" <<'SQL'
\set id random(1, 1000)
\set total random(1, 90)
SELECT owner, balance FROM account WHERE id = :id AND owner <> 'a secret';
BEGIN;
UPDATE account SET balance = balance - :total WHERE id = :id;
INSERT INTO orders (account, total) VALUES (:id, :total);
COMMIT;
SELECT count(*), sum(total) FROM orders WHERE account = :id;
SQL
# It keeps a connection for the LISTEN, and the page has something to show that a page might take for markup.
psql -q >/dev/null 2>&1 <<'SQL'
LISTEN news;
SELECT 1 AS "<img src=x onerror=hacked=1>";
SELECT 1/0;
SQL
pgbench -n -c 3 -R 300 -T 300 -f "$dir/load.sql" >"$dir/load.log" 2>&1 &
others=$!

PAGE=http://127.0.0.1:$page_port/ python3 -B -m unittest discover --start-directory tests/page
