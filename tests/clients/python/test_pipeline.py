"""Pipeline mode: many statements sent before the first answer is read."""

import threading

import psycopg
from psycopg import errors

from support import SHARED, ClientTest


class PipelineTest(ClientTest):
    def test_answers_come_in_order(self):
        conn = self.connect(autocommit=True)
        with conn.pipeline():
            cursors = [
                conn.execute("SELECT %s::int, %s::text", [n, f"<{n}>"])
                for n in range(200)
            ]
        rows = [cursor.fetchone() for cursor in cursors]
        self.assertEqual(rows, [(n, f"<{n}>") for n in range(200)])

    def test_a_pipeline_is_a_transaction(self):
        conn, other = self.connect(), self.connect(autocommit=True)
        table = self.make_table(conn, "n int")
        count = f"SELECT count(*) FROM {table}"
        with conn.pipeline() as pipeline:
            for n in range(10):
                conn.execute(f"INSERT INTO {table} VALUES (%s)", [n])
            pipeline.sync()
            self.assertEqual(self.value(conn, count), 10)
            self.assertEqual(self.value(other, count), 0)
            conn.rollback()
            conn.execute(f"INSERT INTO {table} VALUES (%s)", [77])
            conn.commit()
        self.assertEqual(self.value(other, f"SELECT sum(n) FROM {table}"), 77)

    def test_an_error_aborts_the_rest_up_to_the_sync(self):
        for prepare in (False, True):
            conn = self.connect(autocommit=True)
            table = self.make_table(conn, "n int PRIMARY KEY")
            insert = f"INSERT INTO {table} VALUES (%s) RETURNING n"
            with conn.pipeline() as pipeline:
                first = conn.execute(insert, [1], prepare=prepare)
                pipeline.sync()
                second = conn.execute(insert, [2], prepare=prepare)
                wrong = conn.execute(insert, [1], prepare=prepare)
                skipped = conn.cursor()
                # The server tells an error at once: it may be here before the next statement is sent.
                with self.assertRaises(errors.UniqueViolation):
                    skipped.execute(insert, [3], prepare=prepare)
                    pipeline.sync()
                    wrong.fetchone()
                with self.assertRaises(psycopg.Error):
                    skipped.fetchone()
                pipeline.sync()
                last = conn.execute(insert, [4], prepare=prepare)
            self.assertEqual([first.fetchone(), last.fetchone()], [(1,), (4,)])
            # The second is in the transaction of the wrong one.
            self.assertEqual(second.fetchone(), (2,))
            found = self.value(conn, f"SELECT array_agg(n ORDER BY n) FROM {table}")
            self.assertEqual(found, [1, 4])

    def test_savepoints_in_a_pipeline(self):
        conn = self.connect()
        table = self.make_table(conn, "n int")
        with conn.pipeline():
            with conn.transaction():
                conn.execute(f"INSERT INTO {table} VALUES (%s)", [1])
                with self.assertRaises(errors.DivisionByZero):
                    with conn.transaction():
                        conn.execute(f"INSERT INTO {table} VALUES (%s)", [2])
                        conn.execute("SELECT 1 / %s", [0])
                conn.execute(f"INSERT INTO {table} VALUES (%s)", [3])
        found = self.value(conn, f"SELECT array_agg(n ORDER BY n) FROM {table}")
        self.assertEqual(found, [1, 3])

    def test_executemany_gives_each_result(self):
        conn = self.connect(autocommit=True)
        table = self.make_table(conn, "id serial, n int")
        cursor = conn.cursor()
        rows = [(10 * n,) for n in range(1, 501)]
        cursor.executemany(
            f"INSERT INTO {table} (n) VALUES (%s) RETURNING id, n", rows, returning=True
        )
        found = [cursor.fetchone()]
        while cursor.nextset():
            found.append(cursor.fetchone())
        self.assertEqual(found, [(n, 10 * n) for n in range(1, 501)])

    def test_pipelines_of_many_connections_stay_apart(self):
        failures = []

        def work(number, conn):
            try:
                for turn in range(10):
                    with conn.pipeline():
                        cursors = [
                            conn.execute("SELECT %s::int", [1000 * number + n])
                            for n in range(20)
                        ]
                    found = [cursor.fetchone()[0] for cursor in cursors]
                    wanted = [1000 * number + n for n in range(20)]
                    if found != wanted:
                        failures.append((number, turn, found))
            except Exception as error:
                failures.append((number, error))

        conns = self.connect_several(autocommit=True)
        threads = [
            threading.Thread(target=work, args=(number, conn))
            for number, conn in enumerate(conns)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(failures, [])
        self.assertGreater(len(conns), SHARED)
