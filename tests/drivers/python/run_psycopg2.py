"""psycopg2 through the PostgreSQL door. It writes values into the text of statements."""

import io
import select

import psycopg2
import psycopg2.extras
import psycopg2.extensions

from dbapi import DbApi
from harness import Skip, main, same

psycopg2.extras.register_uuid()


class Psycopg2(DbApi):
    driver = "psycopg2"
    version = psycopg2.__version__.split()[0]
    module = psycopg2

    def connect(self, **options):
        # It wants to hear of something, even where libpq's variables say all.
        return super().connect(dsn="", **options)

    def sqlstate(self, error):
        return error.pgcode

    def encrypted(self, conn):
        return conn.info.ssl_in_use

    def read(self, value):
        return bytes(value) if isinstance(value, memoryview) else value

    def notification(self, conn):
        while not conn.notifies:
            same(select.select([conn], [], [], 20)[0], [conn])
            conn.poll()
        found = conn.notifies.pop()
        return found.channel, found.payload

    def prepared_named(self):
        raise Skip("psycopg2 prepares no statements")

    def prepared_reused_across_transactions(self):
        raise Skip("psycopg2 prepares no statements")

    def pipeline(self):
        conn = self.connect()
        table = self.table(conn, "pipeline", "n int PRIMARY KEY")
        insert = f"INSERT INTO {table} VALUES (%s)"
        with conn.cursor() as cursor:
            cursor.executemany(insert, [[n] for n in range(100)])
            psycopg2.extras.execute_batch(cursor, insert, [[n] for n in range(100, 300)])
            many = f"INSERT INTO {table} VALUES %s RETURNING n"
            found = psycopg2.extras.execute_values(cursor, many, [[300], [301]], fetch=True)
            same(found, [(300,), (301,)])
            self.fails("23505", psycopg2.extras.execute_batch, cursor, insert, [[400], [7], [401]])
        same(self.numbers(conn, table), list(range(302)))

    def copy_in(self):
        conn = self.connect()
        table = self.table(conn, "copy_in", "n int, t text")
        rows = [(n, None if n % 7 == 0 else f"row {n}") for n in range(5000)]
        text = "".join(f"{n}\t{t or chr(92) + 'N'}\n" for n, t in rows)
        copy = f"COPY {table} FROM STDIN"
        with conn.cursor() as cursor:
            cursor.copy_expert(copy, io.StringIO(text))
            same(self.rows(conn, f"SELECT n, t FROM {table} ORDER BY n"), rows)
            self.fails("22P02", cursor.copy_expert, copy, io.StringIO("1\tone\nx\ttwo\n"))
        same(self.value(conn, f"SELECT count(*) FROM {table}"), len(rows))

    def copy_out(self):
        conn = self.connect()
        out = io.StringIO()
        with conn.cursor() as cursor:
            cursor.copy_expert("COPY (SELECT generate_series(1, 5000)) TO STDOUT", out)
        same(out.getvalue(), "".join(f"{n}\n" for n in range(1, 5001)))
        same(self.value(conn, "SELECT 1"), 1)

    def cursor(self):
        conn = self.connect()
        conn.autocommit = False
        with conn.cursor("pieces") as cursor:
            cursor.itersize = 70
            cursor.execute("SELECT generate_series(1, 1000)")
            same([row[0] for row in cursor], list(range(1, 1001)))
        half = conn.cursor("half")
        half.execute("SELECT generate_series(1, 1000)")
        same(half.fetchmany(3), [(1,), (2,), (3,)])
        conn.rollback()
        self.fails("34000", self.run, conn, "FETCH 1 FROM half")
        conn.rollback()
        same(self.value(conn, "SELECT 1"), 1)

    def notice(self):
        conn = self.connect()
        self.run(conn, "DO $$ BEGIN RAISE NOTICE 'tea is ready'; END $$")
        same(conn.notices, ["NOTICE:  tea is ready\n"])


main(Psycopg2)
