"""Runs the behaviours of a driver and prints one line for each. Knows no driver."""

import asyncio
import datetime
import decimal
import inspect
import os
import platform
import sys
import uuid

MODE = os.environ["MODE"]
CONNECTIONS = int(os.environ["CONNECTIONS"])
HOST = os.environ["PGHOST"]
USER = os.environ["PGUSER"]
TLS_CA = os.environ.get("PGPOOL_TLS_CA")
# Whether clients of this database are moved from one server connection to another.
SHARED = MODE != "session"
CLIENTS = 4 * CONNECTIONS
LARGE = 4 * 1024 * 1024

UTC = datetime.timezone.utc
VALUES = [
    ("int2", -(2**15)),
    ("int4", 2**31 - 1),
    ("int8", -(2**63)),
    ("float8", 1.5e-300),
    ("numeric", decimal.Decimal("-12345678901234567890.000123")),
    ("bool", True),
    ("bool", False),
    ("text", "tea \u2615 'and' \\ \"more\"\n$1 %s ?"),
    ("bytea", bytes(range(256))),
    ("date", datetime.date(2024, 2, 29)),
    ("time", datetime.time(23, 59, 59, 999999)),
    ("timestamp", datetime.datetime(2024, 1, 2, 3, 4, 5, 6)),
    ("timestamptz", datetime.datetime(2024, 1, 2, 3, 4, 5, 6, UTC)),
    ("interval", datetime.timedelta(days=-3, seconds=5)),
    ("uuid", uuid.UUID("00000000-0000-4000-8000-00000000abcd")),
    ("int4[]", [1, None, 3]),
    ("text[]", ["a,b", None, 'c"d', ""]),
]
# A client's own settings, and another's.
SETTINGS = [
    {"application_name": "tea", "search_path": "pg_catalog, public", "TimeZone": "Asia/Tokyo"},
    {"application_name": "milk", "search_path": "public", "TimeZone": "America/Lima"},
]
# How many statements with a text of this kind others are running.
RUNNING = (
    "SELECT count(*) FROM pg_stat_activity, pg_sleep(0.01)"
    " WHERE state = 'active' AND pid <> pg_backend_pid() AND strpos(query, {}) > 0"
)


class Skip(Exception):
    """The driver has no such feature."""


def same(found, expected):
    if found != expected or not isinstance(found, type(expected)):
        raise AssertionError(f"expected {expected!r:.200}, found {found!r:.200}")


class Behaviours:
    """What behaviours of one driver share: names of tables, and clients to close at the end."""

    driver = ""
    version = ""

    def __init__(self):
        self.opened = []

    def name(self, word):
        """A table's name that no other driver or mode uses."""
        return f"drivers_{self.driver}_{MODE}_{word}"

    def close(self):
        for client in reversed(self.opened):
            client.close()


def one_line(error):
    text = f"{type(error).__name__}: {error}"
    return " ".join(text.split())[:500]


def _run(behaviours, name):
    method = getattr(behaviours, name)
    if not inspect.iscoroutinefunction(method):
        try:
            return method()
        finally:
            behaviours.close()

    async def wait():
        try:
            await method()
        finally:
            await behaviours.close()

    return asyncio.run(wait())


def main(driver):
    """Runs the behaviours that the arguments name."""
    print(f"# {driver.driver} {driver.version}, Python {platform.python_version()}")
    failed = False
    for name in sys.argv[1:]:
        try:
            _run(driver(), name)
            print(f"ok {name}")
        except Skip as reason:
            print(f"skip {name}: {reason}")
        except Exception as error:
            failed = True
            print(f"not ok {name}: {one_line(error)}")
        sys.stdout.flush()
    sys.exit(1 if failed else 0)
