#!/bin/sh
# Starts a throw-away PostgreSQL with a replica, and two rr-pgpool servers in front of them, one with both its doors on
# TCP and one with both on Unix sockets; prints `ready`, the addresses of the RPC doors, and host and
# port by which libpq finds the PostgreSQL doors, TCP first each time, and PostgreSQL's own port on
# 127.0.0.1, when both are healthy; stops
# all of it and removes everything when its standard input ends, which also happens when the tests
# die.
#
#   tests/php/server.sh RR-PGPOOL-BINARY
set -eu
binary=$1
scripts=$(dirname "$0")/../../scripts
# shellcheck source=scripts/postgres.sh
. "$scripts/postgres.sh"
# shellcheck source=scripts/pool.sh
. "$scripts/pool.sh"

pool_scratch

# start NAME RPC-ADDRESS PROXY-ADDRESS: sets pool_pid.
start() {
    cat >"$dir/$1.yaml" <<YAML
version: '3'
pgpool:
  rpc:
    listen: $2
  proxy:
    address: $3
  transactions:
    idle_timeout: 30s
  features:
    cache:
      enabled: true
      ttl: 1h
  shutdown:
    grace: 100ms
  backends:
    primary:
      dsn: postgres://app:secret@127.0.0.1:$pg_port/app
      pool:
        max_connections: 10
        min_connections: 0
  databases:
    other:
      primary:
        dsn: postgres://app:secret@127.0.0.1:$pg_port/app
        pool:
          max_connections: 2
          min_connections: 0
    frameworks:
      primary:
        dsn: postgres://app:secret@127.0.0.1:$pg_port/app
        pool:
          max_connections: 5
          min_connections: 0
          max_held: 100%
          acquire_timeout: 30s
    replicated:
      primary:
        dsn: postgres://app:secret@127.0.0.1:$pg_port/app
        pool:
          max_connections: 2
          min_connections: 0
      replicas:
      - dsn: postgres://app:secret@127.0.0.1:$replica_port/app
$(pool_databases "$pg_port")
YAML
    pool_start "$binary" "$dir" "$1"
}

pg_init "$dir"
options="-c fsync=off -c synchronous_commit=off -c autovacuum=off -c timezone=UTC"
# shellcheck disable=SC2086
pg_start "$dir" $options
primary_port=$pg_port
# shellcheck disable=SC2086
pg_replica "$dir" "$primary_port" "$dir/replica" $options
replica_port=$pg_port
pg_port=$primary_port

unix_address=unix://$dir/pgpool.sock
# PostgreSQL's own socket is in the same directory, but never with this number.
start unix "$unix_address" "unix://$dir/.s.PGSQL.5432"
others=$pool_pid
pool_wait "$binary" "$unix_address" "$pool_pid" || { cat "$dir/unix.log" >&2; exit 1; }

start_on_tcp() {
    tcp_address=tcp://127.0.0.1:$(pg_random_port)
    proxy_port=$(pg_random_port)
    start tcp "$tcp_address" "tcp://127.0.0.1:$proxy_port"
    pool_wait "$binary" "$tcp_address" "$pool_pid"
}
pool_try "$dir/tcp.log" start_on_tcp
echo "ready $tcp_address $unix_address 127.0.0.1 $proxy_port $dir 5432 $pg_port"
while read -r _; do :; done
