"""Prepared statements of many connections on few server connections."""

import random
import threading

from psycopg import errors

from support import MODE, SHARED, ClientTest


class PreparedTest(ClientTest):
    def in_threads(self, work):
        """Runs work(number, connection) for several connections at a time."""
        failures = []

        def guarded(number, conn):
            try:
                work(number, conn)
            except Exception as error:
                failures.append((number, repr(error)))

        conns = self.connect_several(autocommit=True)
        threads = [
            threading.Thread(target=guarded, args=each) for each in enumerate(conns)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(failures, [])

    def test_equal_statements_of_many_connections(self):
        pids = set()

        def work(number, conn):
            for n in range(100):
                sql = "SELECT %s::int * 2, %s::text, pg_backend_pid()"
                row = conn.execute(sql, [n, f"c{number}"], prepare=True).fetchone()
                assert row[:2] == (2 * n, f"c{number}"), row
                pids.add(row[2])

        self.in_threads(work)
        if MODE in ("transaction", "auto"):
            self.assertLessEqual(len(pids), SHARED)
        else:
            self.assertEqual(len(pids), 2 * SHARED)

    def test_other_statements_with_equal_names(self):
        def work(number, conn):
            # psycopg numbers the statements of each connection: the names are the same.
            chance = random.Random(number)
            for _ in range(200):
                n = chance.randrange(20)
                sql = f"SELECT {1000 * number + n} + %s::int"
                row = conn.execute(sql, [n], prepare=True).fetchone()
                assert row == (1000 * number + 2 * n,), row

        self.in_threads(work)

    def test_statements_that_are_one_too_many_are_dropped(self):
        def work(number, conn):
            conn.prepared_max = 5
            for turn in range(3):
                for n in range(15):
                    sql = f"SELECT %s::int + {n}"
                    row = conn.execute(sql, [number], prepare=True).fetchone()
                    assert row == (number + n,), row

        self.in_threads(work)

    def test_statements_are_prepared_when_they_come_again(self):
        conn = self.connect(autocommit=True)
        conn.prepare_threshold = 2
        for n in range(20):
            self.assertEqual(self.value(conn, "SELECT %s::int + 1", [n]), n + 1)
        with conn.transaction():
            count = "SELECT count(*) FROM pg_prepared_statements WHERE statement = %s"
            statement = "SELECT $1::int + 1"
            self.assertEqual(self.value(conn, count, [statement], prepare=False), 1)

    def test_transactions_with_prepared_statements(self):
        setup = self.connect(autocommit=True)
        table = self.make_table(setup, "client int PRIMARY KEY, n int")
        for number in range(2 * SHARED):
            setup.execute(f"INSERT INTO {table} VALUES (%s, 0)", [number])

        def work(number, conn):
            update = f"UPDATE {table} SET n = n + %s WHERE client = %s RETURNING n"
            for turn in range(1, 31):
                with conn.transaction(force_rollback=turn % 3 == 0):
                    conn.execute(update, [1, number], prepare=True)
                    conn.execute(update, [1, number], prepare=True)

        self.in_threads(work)
        sums = setup.execute(f"SELECT DISTINCT n FROM {table}").fetchall()
        self.assertEqual(sums, [(40,)])

    def test_errors_leave_statements_as_they_are(self):
        conn = self.connect()
        sql = "SELECT 6 / %s::int"
        for _ in range(3):
            self.assertEqual(self.value(conn, sql, [2], prepare=True), 3)
            with self.assertRaises(errors.DivisionByZero):
                conn.execute(sql, [0], prepare=True)
            with self.assertRaises(errors.InFailedSqlTransaction):
                conn.execute(sql, [1], prepare=True)
            conn.rollback()
            with self.assertRaises(errors.UndefinedTable):
                conn.execute("SELECT * FROM nowhere WHERE n = %s", [1], prepare=True)
            conn.rollback()

    def test_a_changed_table_is_seen(self):
        conns = self.connect_several(autocommit=True)
        table = self.make_table(conns[0], "n int")
        conns[0].execute(f"INSERT INTO {table} VALUES (1)")
        for conn in conns:
            for _ in range(3):
                found = self.value(conn, f"SELECT n + %s::int FROM {table}", [1])
                self.assertEqual(found, 2)
        conns[0].execute(f"ALTER TABLE {table} ALTER n TYPE text USING 'x' || n")
        for conn in conns:
            found = self.value(conn, f"SELECT n || %s::text FROM {table}", ["y"])
            self.assertEqual(found, "x1y")
