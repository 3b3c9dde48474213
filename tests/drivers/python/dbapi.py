"""The behaviours that psycopg 3 and psycopg2 have in common: what Python's DB-API covers."""

import threading

from harness import (
    CLIENTS,
    CONNECTIONS,
    LARGE,
    MODE,
    RUNNING,
    SETTINGS,
    SHARED,
    TLS_CA,
    USER,
    VALUES,
    Behaviours,
    Skip,
    same,
)


class DbApi(Behaviours):
    module = None  # with connect() and Error

    def sqlstate(self, error):
        raise NotImplementedError

    def connect(self, **options):
        """A client that commits each statement, unless told otherwise."""
        conn = self.module.connect(**options)
        self.opened.append(conn)
        conn.autocommit = True
        return conn

    def rows(self, conn, sql, args=None):
        with conn.cursor() as cursor:
            cursor.execute(sql, args)
            return cursor.fetchall()

    def run(self, conn, sql, args=None):
        with conn.cursor() as cursor:
            cursor.execute(sql, args)

    def value(self, conn, sql, args=None):
        (row,) = self.rows(conn, sql, args)
        return row[0]

    def table(self, conn, word, columns):
        name = self.name(word)
        self.run(conn, f"DROP TABLE IF EXISTS {name}")
        self.run(conn, f"CREATE TABLE {name} ({columns})")
        return name

    def numbers(self, conn, table):
        return [row[0] for row in self.rows(conn, f"SELECT n FROM {table} ORDER BY n")]

    def fails(self, sqlstate, action, *args):
        try:
            action(*args)
        except self.module.Error as error:
            same(self.sqlstate(error), sqlstate)
            return error
        raise AssertionError(f"no error, expected {sqlstate}")

    def walk(self, action):
        """Calls the action on each server connection where clients share them."""
        if not SHARED:
            return [action() for _ in range(3)]
        holders = [self.connect() for _ in range(CONNECTIONS)]
        for holder in holders:
            self.run(holder, "BEGIN")
        found = []
        for holder in holders:
            self.run(holder, "ROLLBACK")
            found.append(action())
            self.run(holder, "BEGIN")
        for holder in holders:
            self.run(holder, "ROLLBACK")
        return found

    def scram_login(self):
        # libpq then accepts no other way.
        conn = self.connect(require_auth="scram-sha-256")
        same(self.value(conn, "SELECT current_user::text"), USER)

    def wrong_password(self):
        try:
            self.connect(password="wrong")
        except self.module.OperationalError as error:
            # Neither psycopg tells the SQLSTATE of a failed login; 28P01 has this text.
            same("password authentication failed for user" in str(error), True)
            return
        raise AssertionError("a wrong password is taken")

    def tls(self):
        if not TLS_CA:
            raise Skip("PGPOOL_TLS_CA is not set")
        conn = self.connect(sslmode="verify-full", sslrootcert=TLS_CA)
        same(self.value(conn, "SELECT 1"), 1)
        same(self.encrypted(conn), True)

    def types(self):
        conn = self.connect()
        for name, value in VALUES:
            same(self.read(self.value(conn, f"SELECT CAST(%s AS {name})", [value])), value)
            same(self.value(conn, f"SELECT CAST(%s AS {name}) IS NULL", [value]), False)

    def read(self, value):
        """A value as the common list has it."""
        return value

    def null_and_empty(self):
        conn = self.connect()
        table = self.table(conn, "null_and_empty", "n int, t text, b bytea")
        rows = [(1, None, None), (2, "", b""), (3, "x", b"\0")]
        for row in rows:
            self.run(conn, f"INSERT INTO {table} VALUES (%s, %s, %s)", row)
        found = self.rows(conn, f"SELECT n, t, b FROM {table} ORDER BY n")
        same([tuple(map(self.read, row)) for row in found], rows)
        where = f"SELECT n FROM {table} WHERE t IS NOT DISTINCT FROM %s"
        same(self.value(conn, where, [None]), 1)
        same(self.value(conn, where, [""]), 2)

    def unnamed_parameters(self):
        conn = self.connect()
        for n in range(20):
            same(self.value(conn, "SELECT %s::int + 1", [n]), n + 1)
            same(self.value(conn, "SELECT 'tea ' || %s::text", [str(n)]), f"tea {n}")
            same(self.value(conn, "SELECT 'tea ' || %s::text", [n]), f"tea {n}")

    def cancel(self):
        conn, other = self.connect(), self.connect()
        marker = self.name("cancel")

        def cancel():
            while self.value(other, RUNNING.format("%s"), [marker]) != 1:
                pass
            conn.cancel()

        canceller = threading.Thread(target=cancel, daemon=True)
        canceller.start()
        self.fails("57014", self.run, conn, f"SELECT pg_sleep(30) /* {marker} */")
        canceller.join()
        same(self.value(conn, "SELECT 1"), 1)
        same(self.value(other, RUNNING.format("%s"), [marker]), 0)

    def error_then_usable(self):
        conn = self.connect()
        table = self.table(conn, "errors", "n int PRIMARY KEY")
        self.fails("22012", self.run, conn, "SELECT 1 / 0")
        same(self.value(conn, "SELECT 1"), 1)
        self.fails("42P01", self.run, conn, "SELECT * FROM drivers_nowhere")
        insert = f"INSERT INTO {table} VALUES (%s)"
        self.run(conn, insert, [7])
        error = self.fails("23505", self.run, conn, insert, [7])
        same(error.diag.constraint_name, f"{table}_pkey")
        same(error.diag.message_detail, "Key (n)=(7) already exists.")
        same(self.numbers(conn, table), [7])

    def transaction_commit(self):
        conn, other = self.connect(), self.connect()
        table = self.table(conn, "commit", "n int")
        conn.autocommit = False
        self.run(conn, f"INSERT INTO {table} VALUES (1)")
        self.run(conn, f"INSERT INTO {table} VALUES (2)")
        same(self.numbers(other, table), [])
        conn.commit()
        same(self.numbers(other, table), [1, 2])

    def transaction_rollback(self):
        conn, other = self.connect(), self.connect()
        table = self.table(conn, "rollback", "n int")
        conn.autocommit = False
        self.run(conn, f"INSERT INTO {table} VALUES (1)")
        same(self.numbers(conn, table), [1])
        conn.rollback()
        same(self.numbers(conn, table), [])
        same(self.numbers(other, table), [])

    def savepoint(self):
        conn = self.connect()
        table = self.table(conn, "savepoint", "n int")
        conn.autocommit = False
        self.run(conn, f"INSERT INTO {table} VALUES (1)")
        self.run(conn, "SAVEPOINT s")
        self.run(conn, f"INSERT INTO {table} VALUES (2)")
        self.fails("22012", self.run, conn, "SELECT 1 / 0")
        self.run(conn, "ROLLBACK TO SAVEPOINT s")
        self.run(conn, f"INSERT INTO {table} VALUES (3)")
        conn.commit()
        same(self.numbers(conn, table), [1, 3])

    def failed_transaction_then_rollback(self):
        conn = self.connect()
        table = self.table(conn, "failed", "n int")
        conn.autocommit = False
        self.run(conn, f"INSERT INTO {table} VALUES (1)")
        self.fails("42703", self.run, conn, "SELECT nothing")
        self.fails("25P02", self.run, conn, "SELECT 1")
        conn.rollback()
        same(self.numbers(conn, table), [])

    def settings_follow(self):
        zone = SETTINGS[1]["TimeZone"]
        clients = [
            self.connect(),
            self.connect(application_name="milk", options=f"-c search_path=public -c timezone={zone}"),
        ]
        for name, value in SETTINGS[0].items():
            self.run(clients[0], f"SET {name} TO {value if name == 'search_path' else repr(value)}")

        def look():
            for conn, settings in zip(clients, SETTINGS):
                for name, value in settings.items():
                    same(self.value(conn, f"SHOW {name}"), value)

        self.walk(look)

    def many_clients(self):
        table = self.table(self.connect(), "many", "n int")
        errors = []
        # Where each client keeps a server connection, they come and go; elsewhere all are there.
        together = threading.Barrier(CLIENTS if SHARED else 1)

        def work():
            try:
                conn = self.module.connect()
                together.wait(60)
                try:
                    for n in range(10):
                        self.run(conn, f"INSERT INTO {table} VALUES (%s)", [n])
                        same(self.value(conn, "SELECT %s::int", [n]), n)
                        conn.commit()
                finally:
                    conn.close()
            except Exception as error:
                errors.append(error)
                together.abort()

        threads = [threading.Thread(target=work) for _ in range(CLIENTS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if errors:
            raise errors[0]
        same(self.numbers(self.connect(), table), sorted(list(range(10)) * CLIENTS))

    def large_value(self):
        conn = self.connect()
        text, data = "x\u00e9" * (LARGE // 3), bytes(range(256)) * (LARGE // 256)
        same(self.value(conn, "SELECT length(%s)", [text]), len(text))
        same(self.value(conn, "SELECT %s::text", [text]) == text, True)
        same(self.value(conn, "SELECT length(%s::bytea)", [data]), len(data))
        same(self.read(self.value(conn, "SELECT %s::bytea", [data])) == data, True)

    def listen_notify(self):
        conn, other = self.connect(), self.connect()
        channel = self.name("channel")
        if MODE == "transaction":
            self.fails("0A000", self.run, conn, f"LISTEN {channel}")
            same(self.value(conn, "SELECT 1"), 1)
            return
        self.run(conn, f"LISTEN {channel}")
        self.run(other, f"NOTIFY {channel}, 'tea'")
        same(self.notification(conn), (channel, "tea"))

    def temp_table_outside_transaction(self):
        conn = self.connect()
        name = self.name("temporary")
        create = f"CREATE TEMPORARY TABLE {name} (n int)"
        if MODE == "transaction":
            self.fails("0A000", self.run, conn, create)
            same(self.value(conn, "SELECT 1"), 1)
            return
        self.run(conn, create)
        self.run(conn, f"INSERT INTO {name} VALUES (1)")
        same(self.numbers(conn, name), [1])
        self.fails("42P01", self.run, self.connect(), f"SELECT n FROM {name}")

    def lastval_in_transaction(self):
        conn, other = self.connect(), self.connect()
        table = self.table(conn, "lastval", "id serial, t text")
        insert = f"INSERT INTO {table} (t) VALUES (%s) RETURNING id"
        for turn in range(3):
            self.run(conn, "BEGIN")
            mine = self.value(conn, insert, ["tea"])
            same(self.value(other, insert, ["milk"]), mine + 1)
            same(self.value(conn, "SELECT lastval()"), mine)
            self.run(conn, "COMMIT")
            same(mine, 2 * turn + 1)
