"""COPY in both directions, as text and as binary, with errors on either side."""

from psycopg import errors
from psycopg.pq import TransactionStatus

from support import ClientTest

ROWS = [(n, f"row {n}\t\\ {'x' * (n % 40)}" if n % 7 else None) for n in range(5000)]


class CopyTest(ClientTest):
    def copied(self, conn, sql, types):
        with conn.cursor().copy(sql) as copy:
            copy.set_types(types)
            return list(copy.rows())

    def test_rows_go_in_and_out(self):
        conn = self.connect(autocommit=True)
        for options in ("", "WITH (FORMAT binary)"):
            table = self.make_table(conn, "n int, t text")
            with conn.cursor().copy(f"COPY {table} FROM STDIN {options}") as copy:
                copy.set_types(["int4", "text"])
                for row in ROWS:
                    copy.write_row(row)
            count = self.value(conn, f"SELECT count(*) FROM {table}")
            self.assertEqual(count, len(ROWS))
            sql = f"COPY (SELECT * FROM {table} ORDER BY n) TO STDOUT {options}"
            self.assertEqual(self.copied(conn, sql, ["int4", "text"]), ROWS)

    def test_blocks_go_in_and_out(self):
        conn = self.connect(autocommit=True)
        table = self.make_table(conn, "n int")
        data = b"".join(b"%d\n" % n for n in range(100_000))
        with conn.cursor().copy(f"COPY {table} FROM STDIN") as copy:
            # Larger than anything that is read at a time, and cut where no row ends.
            for start in range(0, len(data), 99_991):
                copy.write(data[start : start + 99_991])
        sql = f"COPY (SELECT n FROM {table} ORDER BY n) TO STDOUT"
        with conn.cursor().copy(sql) as copy:
            found = b"".join(bytes(block) for block in copy)
        self.assertTrue(found == data, "other rows came back")

    def test_one_very_long_row(self):
        conn = self.connect(autocommit=True)
        table = self.make_table(conn, "t text")
        with conn.cursor().copy(f"COPY {table} FROM STDIN") as copy:
            copy.write_row(["x" * 5_000_000])
        found = self.value(conn, f"SELECT length(t) FROM {table}")
        self.assertEqual(found, 5_000_000)

    def test_a_wrong_row_is_an_error(self):
        conn = self.connect(autocommit=True)
        table = self.make_table(conn, "n int")
        with self.assertRaisesRegex(errors.InvalidTextRepresentation, '"two"'):
            with conn.cursor().copy(f"COPY {table} FROM STDIN") as copy:
                copy.write("1\ntwo\n3\n")
        self.assertEqual(self.value(conn, f"SELECT count(*) FROM {table}"), 0)

    def test_an_error_of_the_clients_ends_it(self):
        conn = self.connect(autocommit=True)
        table = self.make_table(conn, "n int")
        # Which of the two it is depends on psycopg's version.
        with self.assertRaises((ZeroDivisionError, errors.QueryCanceled)):
            with conn.cursor().copy(f"COPY {table} FROM STDIN") as copy:
                copy.write_row([1])
                copy.write_row([1 // 0])
        self.assertEqual(self.value(conn, f"SELECT count(*) FROM {table}"), 0)

    def test_an_error_on_the_way_out(self):
        conn = self.connect(autocommit=True)
        sql = "COPY (SELECT 10000 / (5000 - n) FROM generate_series(1, 6000) n) TO STDOUT"
        with self.assertRaises(errors.DivisionByZero):
            self.copied(conn, sql, ["int4"])
        self.assertEqual(self.value(conn, "SELECT 1"), 1)

    def test_cancel_ends_reading(self):
        conn = self.connect(autocommit=True)
        sql = "COPY (SELECT generate_series(1, 10000000)) TO STDOUT"
        with self.assertRaises(errors.QueryCanceled):
            with conn.cursor().copy(sql) as copy:
                self.assertEqual(bytes(copy.read()), b"1\n")
                conn.cancel()
                while copy.read():
                    pass
        self.assertEqual(self.value(conn, "SELECT 1"), 1)

    def test_a_copy_belongs_to_its_transaction(self):
        conn = self.connect()
        table = self.make_table(conn, "n int")
        with conn.cursor().copy(f"COPY {table} FROM STDIN") as copy:
            self.assertEqual(conn.info.transaction_status, TransactionStatus.ACTIVE)
            copy.write_row([1])
        self.assertEqual(conn.info.transaction_status, TransactionStatus.INTRANS)
        conn.rollback()
        self.assertEqual(self.value(conn, f"SELECT count(*) FROM {table}"), 0)
        with self.assertRaises(errors.BadCopyFileFormat):
            with conn.cursor().copy(f"COPY {table} FROM STDIN") as copy:
                copy.write("1\t2\n")
        self.assertEqual(conn.info.transaction_status, TransactionStatus.INERROR)
