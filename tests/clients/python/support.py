"""What the tests of psycopg share: connections through the PostgreSQL door, and a way past it.

scripts/test-clients.sh says where by MODE, DIRECT and libpq's variables.
"""

import os
import time
import unittest
import uuid

import psycopg

MODE = os.environ["MODE"]
# The most server connections that clients of the transaction mode share.
SHARED = 3


class ClientTest(unittest.TestCase):
    """A test that opens connections and makes tables."""

    def connect(self, **options):
        """A connection through the door, closed when the test ends."""
        conn = psycopg.connect(**options)
        self.addCleanup(conn.close)
        return conn

    def connect_several(self, **options):
        """More connections than the transaction mode has server connections."""
        return [self.connect(**options) for _ in range(2 * SHARED)]

    def direct(self):
        """A connection to PostgreSQL itself."""
        conn = psycopg.connect(
            os.environ["DIRECT"], port=None, dbname=None, autocommit=True
        )
        self.addCleanup(conn.close)
        return conn

    def make_table(self, conn, columns):
        """Makes a table with a name that no other test uses; it goes with the server."""
        name = "psycopg_" + uuid.uuid4().hex[:12]
        conn.execute(f"CREATE TABLE {name} ({columns})")
        if not conn.autocommit:
            conn.commit()
        return name

    def value(self, conn, sql, args=None, **options):
        """The first column of the only row."""
        rows = conn.execute(sql, args, **options).fetchall()
        self.assertEqual(len(rows), 1)
        return rows[0][0]

    def wait_until(self, condition):
        """Waits until the condition holds; fails when it does not for 20 s."""
        deadline = time.monotonic() + 20
        while not condition():
            self.assertLess(time.monotonic(), deadline, "it did not come true")
            time.sleep(0.02)


only_in_session_mode = unittest.skipUnless(MODE in ("session", "auto"), "needs a session")
only_in_transaction_mode = unittest.skipUnless(
    MODE == "transaction", "about transaction mode"
)
