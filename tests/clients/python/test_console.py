"""The admin console, which psycopg talks to in the extended protocol, in text and in binary form."""

import unittest

import psycopg
from psycopg.rows import dict_row
from support import ClientTest


class ConsoleTest(ClientTest):
    def console(self):
        return self.connect(dbname="pgbouncer", autocommit=True, row_factory=dict_row)

    def test_lists_are_read_in_either_format(self):
        self.connect().execute("SELECT 1")
        console = self.console()
        for binary in (False, True):
            with console.cursor(binary=binary) as cursor:
                pools = cursor.execute("SHOW POOLS").fetchall()
                self.assertIn("primary", [pool["database"] for pool in pools])
                self.assertIsInstance(pools[0]["sv_idle"], int)
                stats = cursor.execute("SHOW STATS").fetchall()
                self.assertGreaterEqual(max(row["total_query_count"] for row in stats), 1)

    def test_commands_and_their_errors(self):
        console = self.console()
        self.assertEqual(console.execute("RECONNECT primary").statusmessage, "RECONNECT")
        with self.assertRaises(psycopg.errors.InvalidCatalogName):
            console.execute("RECONNECT nowhere")
        with self.assertRaises(psycopg.errors.SyntaxError):
            console.execute("SELECT 1")
        self.assertEqual(console.execute("WAIT_CLOSE").statusmessage, "WAIT_CLOSE")


if __name__ == "__main__":
    unittest.main()
