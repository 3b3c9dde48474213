"""Parameters and results of many types, as text and as binary."""

from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from ipaddress import ip_network
from uuid import UUID

from psycopg.types.json import Jsonb
from psycopg.types.range import Range

from support import ClientTest

VALUES = [
    ("int2", -7),
    ("int4", 2**31 - 1),
    ("int8", -(2**63)),
    ("float8", 1.5e-300),
    ("numeric", Decimal("-12345678901234567890.000123")),
    ("bool", True),
    ("bool", False),
    ("text", "tea \u2615 'and' \\ \"more\"\n"),
    ("text", ""),
    ("bytea", bytes(range(256)) * 300),
    ("date", date(2024, 2, 29)),
    ("time", time(23, 59, 59, 999999)),
    ("timestamp", datetime(2024, 1, 2, 3, 4, 5, 6)),
    ("timestamptz", datetime(2024, 1, 2, 3, 4, 5, 6, tzinfo=timezone.utc)),
    ("interval", timedelta(days=-3, seconds=5)),
    ("uuid", UUID("00000000-0000-4000-8000-00000000abcd")),
    ("cidr", ip_network("10.1.2.0/24")),
    ("int4[]", [1, None, 3]),
    ("text[]", ["a,b", None, 'c"d', ""]),
    ("int8range", Range(1, 10)),
]


class TypesTest(ClientTest):
    def test_values_come_back_as_they_were(self):
        conn = self.connect(autocommit=True)
        for binary in (False, True):
            placeholder = "%b" if binary else "%t"
            for prepare in (False, True):
                for name, value in VALUES:
                    with self.subTest(name, binary=binary, prepare=prepare):
                        sql = f"SELECT {placeholder}::{name}, {placeholder}::{name} IS NULL"
                        cursor = conn.cursor(binary=binary)
                        cursor.execute(sql, [value, value], prepare=prepare)
                        self.assertEqual(cursor.fetchall(), [(value, False)])

    def test_nulls_and_json(self):
        conn = self.connect(autocommit=True)
        document = {"a": [1, None, {"b": "\u00e9"}]}
        for binary in (False, True):
            cursor = conn.cursor(binary=binary)
            cursor.execute("SELECT %s::jsonb, %s::int, %s", [Jsonb(document), None, None])
            self.assertEqual(cursor.fetchall(), [(document, None, None)])

    def test_many_parameters_and_columns(self):
        conn = self.connect(autocommit=True)
        numbers = list(range(1500))
        columns = ", ".join(["%s::int"] * len(numbers))
        for prepare in (False, True):
            cursor = conn.execute(f"SELECT {columns}", numbers, prepare=prepare)
            self.assertEqual(list(cursor.fetchone()), numbers)

    def test_large_values(self):
        conn = self.connect(autocommit=True)
        for size in (8191, 8192, 65_536, 1_000_000, 20_000_000):
            sql = "SELECT length(%(text)s), %(text)s::text"
            found = conn.execute(sql, {"text": "x" * size}).fetchone()
            self.assertEqual(found[0], size)
            self.assertTrue(found[1] == "x" * size, f"{size} characters came back wrong")
