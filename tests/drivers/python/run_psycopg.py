"""psycopg 3 through the PostgreSQL door."""

import psycopg

from dbapi import DbApi
from harness import CONNECTIONS, SHARED, main, same


class Psycopg(DbApi):
    driver = "psycopg"
    version = psycopg.__version__
    module = psycopg

    def sqlstate(self, error):
        return error.sqlstate

    def encrypted(self, conn):
        return conn.pgconn.ssl_in_use

    def notification(self, conn):
        (found,) = conn.notifies(timeout=20, stop_after=1)
        return found.channel, found.payload

    def types(self):
        super().types()
        # The same in binary.
        conn = self.connect()
        sql = "SELECT %b::int8, %b::text, %b::bytea, %b::float8[]"
        values = (2**63 - 1, "\u2615", b"\0\xff", [0.1, None])
        same(conn.cursor(binary=True).execute(sql, values).fetchone(), values)

    def prepared_named(self):
        conn = self.connect()
        # The least recently used of more statements than this is dropped at the server.
        conn.prepared_max = 3
        for turn in range(3):
            for n in range(6):
                sql = f"SELECT {n} + %s::int, %s::text"
                same(conn.execute(sql, [turn, "x"], prepare=True).fetchall(), [(n + turn, "x")])

    def prepared_reused_across_transactions(self):
        conn = self.connect()
        sql = "SELECT pg_backend_pid(), %s::int + 1"

        def once():
            with conn.transaction():
                pid, answer = conn.execute(sql, [41], prepare=True).fetchone()
            same(answer, 42)
            return pid

        once()
        same(len(set(self.walk(once))), CONNECTIONS if SHARED else 1)

    def pipeline(self):
        conn = self.connect()
        table = self.table(conn, "pipeline", "n int PRIMARY KEY")
        with conn.pipeline():
            cursors = [conn.execute("SELECT %s::int", [n]) for n in range(100)]
        same([cursor.fetchone()[0] for cursor in cursors], list(range(100)))
        insert = f"INSERT INTO {table} VALUES (%s)"
        conn.cursor().executemany(insert, [[n] for n in range(100)])
        same(self.numbers(conn, table), list(range(100)))

        def fails():
            with conn.transaction(), conn.pipeline():
                conn.execute(insert, [100])
                conn.execute(insert, [7])
                conn.execute(insert, [101])

        self.fails("23505", fails)
        same(self.numbers(conn, table), list(range(100)))

    def copy_in(self):
        conn = self.connect()
        table = self.table(conn, "copy_in", "n int, t text")
        rows = [(n, None if n % 7 == 0 else f"row {n}\t\\") for n in range(5000)]
        with conn.cursor().copy(f"COPY {table} FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)
        same(self.rows(conn, f"SELECT n, t FROM {table} ORDER BY n"), rows)

        def fails():
            with conn.cursor().copy(f"COPY {table} FROM STDIN") as copy:
                copy.write("1\tone\nx\ttwo\n")

        self.fails("22P02", fails)
        same(self.value(conn, f"SELECT count(*) FROM {table}"), len(rows))

    def copy_out(self):
        conn = self.connect()
        sql = "COPY (SELECT n, NULLIF('row ' || n, 'row 7') FROM generate_series(1, 5000) AS n) TO STDOUT"
        with conn.cursor().copy(sql) as copy:
            found = list(copy.rows())
        same(found, [(str(n), None if n == 7 else f"row {n}") for n in range(1, 5001)])
        same(self.value(conn, "SELECT 1"), 1)

    def cursor(self):
        conn = self.connect()
        sql = "SELECT generate_series(1, 1000)"
        with conn.transaction():
            with conn.cursor("pieces") as cursor:
                cursor.itersize = 70
                same([row[0] for row in cursor.execute(sql)], list(range(1, 1001)))
            with conn.cursor("half") as cursor:
                same(cursor.execute(sql).fetchmany(3), [(1,), (2,), (3,)])
        self.fails("34000", conn.execute, "FETCH 1 FROM half")
        same(self.value(conn, "SELECT 1"), 1)

    def notice(self):
        conn = self.connect()
        found = []
        conn.add_notice_handler(lambda diagnostic: found.append(diagnostic.message_primary))
        conn.execute("DO $$ BEGIN RAISE NOTICE 'tea is ready'; END $$")
        same(found, ["tea is ready"])


main(Psycopg)
