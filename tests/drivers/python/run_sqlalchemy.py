"""SQLAlchemy, on psycopg 3, through the PostgreSQL door."""

import threading

import psycopg
import sqlalchemy
from sqlalchemy import Column, Integer, LargeBinary, MetaData, Table, Text, func, insert, select, text
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session
from sqlalchemy.pool import NullPool

from harness import (
    CLIENTS,
    CONNECTIONS,
    LARGE,
    MODE,
    SETTINGS,
    SHARED,
    TLS_CA,
    USER,
    VALUES,
    Behaviours,
    Skip,
    main,
    same,
)


def engine(isolation_level=None, **options):
    """An engine without a pool of its own: a connection is a client of the door."""
    options = {"prepare_threshold": 0, **options}
    url = "postgresql+psycopg://"
    extra = {"isolation_level": isolation_level} if isolation_level else {}
    return sqlalchemy.create_engine(url, poolclass=NullPool, connect_args=options, **extra)


class Sqlalchemy(Behaviours):
    driver = "SQLAlchemy"
    version = f"{sqlalchemy.__version__} on psycopg {psycopg.__version__}"

    def connect(self, **options):
        """A client in a transaction from its first statement on."""
        conn = engine(**options).connect()
        self.opened.append(conn)
        return conn

    def table(self, word, *columns):
        table = Table(self.name(word), MetaData(), *columns)
        with engine().begin() as conn:
            table.drop(conn, checkfirst=True)
            table.create(conn)
        return table

    def numbers(self, table):
        with engine().begin() as conn:
            return list(conn.scalars(select(table.c.n).order_by(table.c.n)))

    def fails(self, sqlstate, action, *args):
        try:
            action(*args)
        except DBAPIError as error:
            same(error.orig.sqlstate, sqlstate)
            same(error.connection_invalidated, False)
            return
        raise AssertionError(f"no error, expected {sqlstate}")

    def walk(self, action):
        """Calls the action on each server connection where clients share them."""
        if not SHARED:
            return [action() for _ in range(3)]
        holders = [self.connect() for _ in range(CONNECTIONS)]
        for holder in holders:
            holder.execute(text("SELECT 1"))
        found = []
        for holder in holders:
            holder.rollback()
            found.append(action())
            holder.execute(text("SELECT 1"))
        for holder in holders:
            holder.rollback()
        return found

    def scram_login(self):
        conn = self.connect(require_auth="scram-sha-256")
        same(conn.scalar(text("SELECT current_user::text")), USER)

    def wrong_password(self):
        try:
            self.connect(password="wrong")
        except DBAPIError as error:
            # psycopg does not tell the SQLSTATE of a failed login; 28P01 has this text.
            same("password authentication failed for user" in str(error), True)
            return
        raise AssertionError("a wrong password is taken")

    def tls(self):
        if not TLS_CA:
            raise Skip("PGPOOL_TLS_CA is not set")
        conn = self.connect(sslmode="verify-full", sslrootcert=TLS_CA)
        same(conn.scalar(text("SELECT 1")), 1)
        same(conn.connection.driver_connection.pgconn.ssl_in_use, True)

    def types(self):
        conn = self.connect()
        for name, value in VALUES:
            same(conn.scalar(text(f"SELECT CAST(:value AS {name})"), {"value": value}), value)

    def null_and_empty(self):
        table = self.table("null_and_empty", Column("n", Integer), Column("t", Text), Column("b", LargeBinary))
        rows = [(1, None, None), (2, "", b""), (3, "x", b"\0")]
        with engine().begin() as conn:
            conn.execute(insert(table), [{"n": n, "t": t, "b": b} for n, t, b in rows])
            same([tuple(row) for row in conn.execute(select(table).order_by(table.c.n))], rows)
            same(conn.scalar(select(table.c.n).where(table.c.t.is_(None))), 1)
            same(conn.scalar(select(table.c.n).where(table.c.t == "")), 2)

    def unnamed_parameters(self):
        conn = self.connect(prepare_threshold=None)
        for n in range(20):
            same(conn.scalar(text("SELECT CAST(:n AS int) + 1"), {"n": n}), n + 1)
            same(conn.scalar(text("SELECT 'tea ' || CAST(:n AS text)"), {"n": str(n)}), f"tea {n}")
            conn.commit()

    def prepared_named(self):
        conn = self.connect()
        for turn in range(3):
            for n in range(6):
                same(conn.scalar(text(f"SELECT {n} + CAST(:n AS int)"), {"n": turn}), n + turn)
            conn.commit()

    def prepared_reused_across_transactions(self):
        conn = self.connect()
        sql = text("SELECT pg_backend_pid(), CAST(:n AS int) + 1")

        def once():
            pid, answer = conn.execute(sql, {"n": 41}).one()
            conn.commit()
            same(answer, 42)
            return pid

        once()
        same(len(set(self.walk(once))), CONNECTIONS if SHARED else 1)

    def pipeline(self):
        table = self.table("pipeline", Column("n", Integer, primary_key=True))
        with engine().begin() as conn:
            statement = insert(table).returning(table.c.n, sort_by_parameter_order=True)
            found = conn.execute(statement, [{"n": n} for n in range(2000)])
            same(list(found.scalars()), list(range(2000)))
        conn = self.connect()
        rows = [{"n": 2000}, {"n": 7}, {"n": 2001}]
        self.fails("23505", conn.execute, insert(table), rows)
        conn.rollback()
        conn.execute(upsert(table).on_conflict_do_nothing(), rows)
        conn.commit()
        same(self.numbers(table), list(range(2002)))

    def copy_in(self):
        raise Skip("SQLAlchemy has no COPY")

    def copy_out(self):
        raise Skip("SQLAlchemy has no COPY")

    def cursor(self):
        conn = self.connect()
        sql = text("SELECT generate_series(1, 1000)")
        streaming = conn.execution_options(stream_results=True, max_row_buffer=70, yield_per=70)
        same(list(streaming.scalars(sql)), list(range(1, 1001)))
        half = streaming.execute(sql)
        same([row[0] for row in half.fetchmany(3)], [1, 2, 3])
        half.close()
        conn.rollback()
        same(conn.scalar(text("SELECT 1")), 1)

    def cancel(self):
        raise Skip("SQLAlchemy has no call for it")

    def notice(self):
        raise Skip("SQLAlchemy has no call for it")

    def error_then_usable(self):
        conn = self.connect(isolation_level="AUTOCOMMIT")
        table = self.table("errors", Column("n", Integer, primary_key=True))
        self.fails("22012", conn.execute, text("SELECT 1 / 0"))
        same(conn.scalar(text("SELECT 1")), 1)
        self.fails("42P01", conn.execute, text("SELECT * FROM drivers_nowhere"))
        conn.execute(insert(table), {"n": 7})
        self.fails("23505", conn.execute, insert(table), {"n": 7})
        same(self.numbers(table), [7])

    def transaction_commit(self):
        table = self.table("commit", Column("n", Integer, primary_key=True))
        with Session(engine()) as session:
            session.execute(insert(table), [{"n": 1}, {"n": 2}])
            same(self.numbers(table), [])
            session.commit()
            same(self.numbers(table), [1, 2])

    def transaction_rollback(self):
        table = self.table("rollback", Column("n", Integer, primary_key=True))
        conn = self.connect(isolation_level="SERIALIZABLE")
        conn.execute(insert(table), {"n": 1})
        same(conn.scalar(text("SHOW transaction_isolation")), "serializable")
        same(list(conn.scalars(select(table.c.n))), [1])
        conn.rollback()
        same(list(conn.scalars(select(table.c.n))), [])

    def savepoint(self):
        table = self.table("savepoint", Column("n", Integer))
        with engine().begin() as conn:
            conn.execute(insert(table), {"n": 1})
            inner = conn.begin_nested()
            conn.execute(insert(table), {"n": 2})
            self.fails("22012", conn.execute, text("SELECT 1 / 0"))
            inner.rollback()
            conn.execute(insert(table), {"n": 3})
        same(self.numbers(table), [1, 3])

    def failed_transaction_then_rollback(self):
        table = self.table("failed", Column("n", Integer))
        conn = self.connect()
        conn.execute(insert(table), {"n": 1})
        self.fails("42703", conn.execute, text("SELECT nothing"))
        self.fails("25P02", conn.execute, text("SELECT 1"))
        conn.rollback()
        same(list(conn.scalars(select(table.c.n))), [])

    def settings_follow(self):
        zone = SETTINGS[1]["TimeZone"]
        options = f"-c search_path=public -c timezone={zone}"
        clients = [self.connect(), self.connect(application_name="milk", options=options)]
        for name, value in SETTINGS[0].items():
            set_config = func.set_config(name, value, False)
            same(clients[0].scalar(select(set_config)), value)
        clients[0].commit()

        def look():
            for conn, settings in zip(clients, SETTINGS):
                for name, value in settings.items():
                    same(conn.scalar(text(f"SHOW {name}")), value)
                conn.commit()

        self.walk(look)

    def many_clients(self):
        table = self.table("many", Column("n", Integer))
        # Where each client keeps a server connection, they come and go; elsewhere all are there.
        size = CLIENTS if SHARED else CONNECTIONS // 2
        pooled = sqlalchemy.create_engine("postgresql+psycopg://", pool_size=size, max_overflow=0)
        errors = []

        def work():
            try:
                for n in range(10):
                    with pooled.begin() as conn:
                        conn.execute(insert(table), {"n": n})
                        same(conn.scalar(text("SELECT CAST(:n AS int)"), {"n": n}), n)
            except Exception as error:
                errors.append(error)

        threads = [threading.Thread(target=work) for _ in range(CLIENTS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        pooled.dispose()
        if errors:
            raise errors[0]
        same(self.numbers(table), sorted(list(range(10)) * CLIENTS))

    def large_value(self):
        conn = self.connect()
        characters, data = "x\u00e9" * (LARGE // 3), bytes(range(256)) * (LARGE // 256)
        same(conn.scalar(select(func.length(characters))), len(characters))
        same(conn.scalar(text("SELECT CAST(:t AS text)"), {"t": characters}) == characters, True)
        same(conn.scalar(text("SELECT CAST(:b AS bytea)"), {"b": data}) == data, True)

    def listen_notify(self):
        raise Skip("SQLAlchemy has no call for it")

    def temp_table_outside_transaction(self):
        conn = self.connect(isolation_level="AUTOCOMMIT")
        name = self.name("temporary")
        table = Table(name, MetaData(), Column("n", Integer), prefixes=["TEMPORARY"])
        if MODE == "transaction":
            self.fails("0A000", table.create, conn)
            same(conn.scalar(text("SELECT 1")), 1)
            return
        table.create(conn)
        conn.execute(insert(table), {"n": 1})
        same(list(conn.scalars(select(table.c.n))), [1])
        self.fails("42P01", self.connect().execute, select(table.c.n))

    def lastval_in_transaction(self):
        table = self.table("lastval", Column("n", Integer, primary_key=True), Column("t", Text))
        conn, other = self.connect(), self.connect(isolation_level="AUTOCOMMIT")
        for turn in range(3):
            mine = conn.execute(insert(table), {"t": "tea"}).inserted_primary_key.n
            same(other.execute(insert(table), {"t": "milk"}).inserted_primary_key.n, mine + 1)
            same(conn.scalar(select(func.lastval())), mine)
            conn.commit()
            same(mine, 2 * turn + 1)


main(Sqlalchemy)
