"""Cursors at the server: in a transaction everywhere, beyond it in session mode."""

from psycopg import ClientCursor, errors

from support import (
    ClientTest,
    only_in_session_mode,
    only_in_transaction_mode,
)

SERIES = "SELECT n FROM generate_series(1, %s) AS n"


class CursorTest(ClientTest):
    def test_a_named_cursor_reads_in_parts(self):
        conn = self.connect()
        with conn.cursor(name="numbers") as cursor:
            cursor.itersize = 300
            cursor.execute(SERIES, [1000])
            self.assertEqual(cursor.fetchone(), (1,))
            self.assertEqual(cursor.fetchmany(3), [(2,), (3,), (4,)])
            # Other statements run in between.
            self.assertEqual(self.value(conn, "SELECT 'x'"), "x")
            self.assertEqual([n for n, in cursor], list(range(5, 1001)))
        conn.commit()

    def test_a_named_cursor_scrolls(self):
        conn = self.connect()
        with conn.cursor(name="numbers", scrollable=True) as cursor:
            cursor.execute(SERIES, [1000], binary=True)
            cursor.scroll(500)
            self.assertEqual(cursor.fetchone(), (501,))
            cursor.scroll(10, mode="absolute")
            self.assertEqual(cursor.fetchone(), (11,))
            cursor.scroll(-5)
            self.assertEqual(cursor.fetchone(), (7,))

    def test_equal_names_of_two_clients_stay_apart(self):
        one, other = self.connect(), self.connect()
        with one.cursor(name="numbers") as five, other.cursor(name="numbers") as three:
            five.execute(SERIES, [5])
            three.execute(SERIES, [3])
            self.assertEqual(len(five.fetchall()), 5)
            self.assertEqual(len(three.fetchall()), 3)

    def test_a_cursor_ends_with_its_transaction(self):
        conn = self.connect()
        with conn.cursor(name="numbers") as cursor:
            cursor.execute(SERIES, [5])
            conn.commit()
            with self.assertRaisesRegex(errors.InvalidCursorName, "numbers"):
                cursor.fetchone()
            conn.rollback()

    @only_in_session_mode
    def test_a_held_cursor_outlives_its_transaction(self):
        conn = self.connect()
        with conn.cursor(name="numbers", withhold=True) as cursor:
            cursor.execute(SERIES, [5])
            self.assertEqual(cursor.fetchone(), (1,))
            conn.commit()
            self.assertEqual(cursor.fetchall(), [(2,), (3,), (4,), (5,)])
            conn.commit()

    @only_in_transaction_mode
    def test_a_held_cursor_is_refused(self):
        conn = self.connect()
        cursor = conn.cursor(name="numbers", withhold=True)
        self.addCleanup(cursor.close)
        with self.assertRaises(errors.FeatureNotSupported) as caught:
            cursor.execute(SERIES, [5])
        primary = caught.exception.diag.message_primary
        self.assertIn("WITH HOLD cannot work in transaction mode", primary)
        self.assertIn("behavior.mode: auto or session", caught.exception.diag.message_hint)
        conn.rollback()
        self.assertEqual(self.value(conn, "SELECT 1"), 1)

    def test_values_can_be_merged_by_the_client(self):
        conn = self.connect(cursor_factory=ClientCursor, autocommit=True)
        row = conn.execute(
            "SELECT %s, %s, %s; SELECT %s", ["O'Brien \\", None, b"\0x", 5]
        )
        self.assertEqual(row.fetchone(), ("O'Brien \\", None, b"\0x"))
        self.assertTrue(row.nextset())
        self.assertEqual(row.fetchone(), (5,))
