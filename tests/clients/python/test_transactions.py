"""Transactions: savepoints, their status as the client sees it, their characteristics."""

from psycopg import IsolationLevel, Rollback, errors
from psycopg.pq import TransactionStatus

from support import SHARED, ClientTest


class TransactionTest(ClientTest):
    def numbers(self, conn, table):
        return self.value(conn, f"SELECT array_agg(n ORDER BY n) FROM {table}")

    def test_nested_transactions_are_savepoints(self):
        conn = self.connect(autocommit=True)
        table = self.make_table(conn, "n int")
        insert = f"INSERT INTO {table} VALUES (%s)"
        with conn.transaction():
            conn.execute(insert, [1])
            with self.assertRaises(errors.DivisionByZero):
                with conn.transaction():
                    conn.execute(insert, [2])
                    conn.execute("SELECT 1/0")
            with conn.transaction("named") as inner:
                conn.execute(insert, [3])
                with conn.transaction():
                    conn.execute(insert, [4])
                    raise Rollback(inner)
            with conn.transaction():
                conn.execute(insert, [5])
        self.assertEqual(self.numbers(conn, table), [1, 5])
        with conn.transaction(force_rollback=True):
            conn.execute(insert, [6])
        self.assertEqual(self.numbers(conn, table), [1, 5])

    def test_the_status_is_right_all_the_time(self):
        conn = self.connect()

        def status():
            return conn.info.transaction_status

        self.assertEqual(status(), TransactionStatus.IDLE)
        conn.execute("SELECT 1")
        self.assertEqual(status(), TransactionStatus.INTRANS)
        with self.assertRaises(errors.UndefinedColumn):
            conn.execute("SELECT nothing")
        self.assertEqual(status(), TransactionStatus.INERROR)
        with self.assertRaises(errors.InFailedSqlTransaction):
            conn.execute("SELECT 1")
        conn.rollback()
        self.assertEqual(status(), TransactionStatus.IDLE)
        conn.autocommit = True
        conn.execute("SELECT 1")
        self.assertEqual(status(), TransactionStatus.IDLE)

    def test_commit_of_a_failed_transaction_keeps_nothing(self):
        conn = self.connect()
        table = self.make_table(conn, "n int")
        conn.execute(f"INSERT INTO {table} VALUES (1)")
        with self.assertRaises(errors.DivisionByZero):
            conn.execute("SELECT 1/0")
        conn.commit()
        self.assertIsNone(self.numbers(conn, table))

    def test_characteristics_belong_to_the_client(self):
        strict, plain = self.connect(), self.connect()
        strict.isolation_level = IsolationLevel.SERIALIZABLE
        strict.read_only = True
        strict.deferrable = True
        for _ in range(3):
            level = "SHOW transaction_isolation"
            self.assertEqual(self.value(strict, level), "serializable")
            self.assertEqual(self.value(strict, "SHOW transaction_read_only"), "on")
            self.assertEqual(self.value(strict, "SHOW transaction_deferrable"), "on")
            self.assertEqual(self.value(plain, level), "read committed")
            self.assertEqual(self.value(plain, "SHOW transaction_read_only"), "off")
            strict.commit()
            plain.commit()
        with self.assertRaises(errors.ReadOnlySqlTransaction):
            strict.execute("CREATE TABLE never (n int)")

    def test_repeatable_reads_repeat(self):
        reader, writer = self.connect(), self.connect(autocommit=True)
        table = self.make_table(writer, "n int")
        writer.execute(f"INSERT INTO {table} VALUES (1)")
        reader.isolation_level = IsolationLevel.REPEATABLE_READ
        self.assertEqual(self.numbers(reader, table), [1])
        writer.execute(f"INSERT INTO {table} VALUES (2)")
        self.assertEqual(self.numbers(reader, table), [1])
        writer.execute(f"UPDATE {table} SET n = n + 10")
        with self.assertRaises(errors.SerializationFailure):
            reader.execute(f"UPDATE {table} SET n = 0")
        reader.rollback()
        self.assertEqual(self.numbers(reader, table), [11, 12])

    def test_more_clients_than_server_connections(self):
        conns = self.connect_several(autocommit=True)
        table = self.make_table(conns[0], "n int")
        for turn in range(2 * SHARED):
            for n in range(SHARED):
                conn = conns[(turn + n) % len(conns)]
                conn.execute("BEGIN")
                conn.execute(f"INSERT INTO {table} VALUES (%s)", [n])
            for n in range(SHARED):
                conn = conns[(turn + n) % len(conns)]
                conn.execute("ROLLBACK" if n == 1 else "COMMIT")
        expected = sorted([0, 2] * 2 * SHARED)
        self.assertEqual(self.numbers(conns[0], table), expected)
