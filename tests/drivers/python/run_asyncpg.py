"""asyncpg through the PostgreSQL door. It prepares every statement that has arguments, in binary."""

import asyncio
import io
import ssl

import asyncpg

from harness import (
    CLIENTS,
    CONNECTIONS,
    HOST,
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
    main,
    same,
)


class Asyncpg(Behaviours):
    driver = "asyncpg"
    version = asyncpg.__version__

    async def connect(self, **options):
        conn = await asyncpg.connect(timeout=30, **options)
        self.opened.append(conn)
        return conn

    async def close(self):
        for conn in reversed(self.opened):
            await conn.close(timeout=30)

    async def table(self, conn, word, columns):
        name = self.name(word)
        await conn.execute(f"DROP TABLE IF EXISTS {name}; CREATE TABLE {name} ({columns})")
        return name

    async def numbers(self, conn, table):
        return [row["n"] for row in await conn.fetch(f"SELECT n FROM {table} ORDER BY n")]

    async def fails(self, sqlstate, awaitable):
        try:
            await awaitable
        except asyncpg.PostgresError as error:
            same(error.sqlstate, sqlstate)
            return error
        raise AssertionError(f"no error, expected {sqlstate}")

    async def walk(self, action):
        """Calls the action on each server connection where clients share them."""
        if not SHARED:
            return [await action() for _ in range(3)]
        holders = [await self.connect() for _ in range(CONNECTIONS)]
        for holder in holders:
            await holder.execute("BEGIN")
        found = []
        for holder in holders:
            await holder.execute("ROLLBACK")
            found.append(await action())
            await holder.execute("BEGIN")
        for holder in holders:
            await holder.execute("ROLLBACK")
        return found

    async def scram_login(self):
        conn = await self.connect()
        same(await conn.fetchval("SELECT current_user::text"), USER)

    async def wrong_password(self):
        await self.fails("28P01", self.connect(password="wrong"))

    async def tls(self):
        if not TLS_CA:
            raise Skip("PGPOOL_TLS_CA is not set")
        conn = await self.connect(host=HOST, ssl=ssl.create_default_context(cafile=TLS_CA))
        same(await conn.fetchval("SELECT 1"), 1)
        same(conn._transport.get_extra_info("peercert") is not None, True)

    async def types(self):
        conn = await self.connect()
        for name, value in VALUES:
            same(await conn.fetchval(f"SELECT $1::{name}", value), value)
        same(await conn.fetchval("SELECT $1::jsonb", '{"a": [1, null]}'), '{"a": [1, null]}')
        # asyncpg asks the server what these are.
        row = await self.table(conn, "types", "n int, t text")
        same(tuple(await conn.fetchval(f"SELECT $1::{row}", (1, "x"))), (1, "x"))
        same(await conn.fetchval("SELECT $1::int4range", asyncpg.Range(1, 9)), asyncpg.Range(1, 9))

    async def null_and_empty(self):
        conn = await self.connect()
        table = await self.table(conn, "null_and_empty", "n int, t text, b bytea")
        rows = [(1, None, None), (2, "", b""), (3, "x", b"\0")]
        for row in rows:
            await conn.execute(f"INSERT INTO {table} VALUES ($1, $2, $3)", *row)
        found = await conn.fetch(f"SELECT n, t, b FROM {table} ORDER BY n")
        same([tuple(row) for row in found], rows)
        where = f"SELECT n FROM {table} WHERE t IS NOT DISTINCT FROM $1"
        same(await conn.fetchval(where, None), 1)
        same(await conn.fetchval(where, ""), 2)

    async def unnamed_parameters(self):
        # Without a cache it uses the unnamed statement.
        conn = await self.connect(statement_cache_size=0)
        for n in range(20):
            same(await conn.fetchval("SELECT $1::int + 1", n), n + 1)
            same(await conn.fetchval("SELECT 'tea ' || $1::text", str(n)), f"tea {n}")
            same(await conn.fetchval("SELECT $1::bool", n % 2 == 0), n % 2 == 0)

    async def prepared_named(self):
        conn = await self.connect(statement_cache_size=3)
        for turn in range(3):
            for n in range(6):
                same(await conn.fetchval(f"SELECT {n} + $1::int", turn), n + turn)
        one, two = await conn.prepare("SELECT $1::int + 1"), await conn.prepare("SELECT $1::text")
        for n in range(10):
            same(await one.fetchval(n), n + 1)
            same(await two.fetchval(str(n)), str(n))
        same([a.name for a in one.get_parameters()], ["int4"])
        await self.fails("42601", conn.prepare("SELECT FROM FROM"))
        same(await one.fetchval(1), 2)

    async def prepared_reused_across_transactions(self):
        conn = await self.connect()
        statement = await conn.prepare("SELECT pg_backend_pid(), $1::int + 1")

        async def once():
            async with conn.transaction():
                pid, answer = await statement.fetchrow(41)
            same(answer, 42)
            return pid

        await once()
        same(len(set(await self.walk(once))), CONNECTIONS if SHARED else 1)

    async def pipeline(self):
        conn = await self.connect()
        table = await self.table(conn, "pipeline", "n int PRIMARY KEY")
        insert = f"INSERT INTO {table} VALUES ($1)"
        await conn.executemany(insert, [[n] for n in range(1000)])
        same(await self.numbers(conn, table), list(range(1000)))
        # All or none of them.
        await self.fails("23505", conn.executemany(insert, [[1000], [7], [1001]]))
        same(await self.numbers(conn, table), list(range(1000)))
        found = await conn.fetchmany(f"DELETE FROM {table} WHERE n = $1 RETURNING n", [[5], [6]])
        same([row["n"] for row in found], [5, 6])

    async def copy_in(self):
        conn = await self.connect()
        table = await self.table(conn, "copy_in", "n int, t text")
        rows = [(n, None if n % 7 == 0 else f"row {n}\t\\") for n in range(5000)]
        same(await conn.copy_records_to_table(table, records=rows), "COPY 5000")
        found = await conn.fetch(f"SELECT n, t FROM {table} ORDER BY n")
        same([tuple(row) for row in found], rows)
        wrong = io.BytesIO(b"1\tone\nx\ttwo\n")
        await self.fails("22P02", conn.copy_to_table(table, source=wrong))
        same(await conn.fetchval(f"SELECT count(*) FROM {table}"), 5000)

    async def copy_out(self):
        conn = await self.connect()
        out = io.BytesIO()
        sql = "SELECT generate_series(1, $1::int)"
        same(await conn.copy_from_query(sql, 5000, output=out, format="csv"), "COPY 5000")
        same(out.getvalue().decode(), "".join(f"{n}\n" for n in range(1, 5001)))
        same(await conn.fetchval("SELECT 1"), 1)

    async def cursor(self):
        conn = await self.connect()
        sql = "SELECT generate_series(1, $1::int) AS n"
        async with conn.transaction():
            found = [row["n"] async for row in conn.cursor(sql, 1000, prefetch=70)]
            same(found, list(range(1, 1001)))
        async with conn.transaction():
            half = await conn.cursor(sql, 1000)
            same([row["n"] for row in await half.fetch(3)], [1, 2, 3])
            same(await conn.fetchval("SELECT 7"), 7)
            same([row["n"] for row in await half.fetch(3)], [4, 5, 6])
        same(await conn.fetchval("SELECT 1"), 1)

    async def cancel(self):
        conn, other = await self.connect(), await self.connect()
        marker = self.name("cancel")
        running = RUNNING.format("$1")
        task = asyncio.create_task(conn.execute(f"SELECT pg_sleep(30) /* {marker} */"))
        while await other.fetchval(running, marker) != 1:
            pass
        task.cancel()
        try:
            await task
        except asyncio.CancelledError:
            pass
        same(await conn.fetchval("SELECT 1"), 1)
        same(await other.fetchval(running, marker), 0)
        # A task's end hides the error of the server, a time limit of the server's does not.
        async with conn.transaction():
            await conn.execute("SET LOCAL statement_timeout = 1")
            await self.fails("57014", conn.execute("SAVEPOINT s; SELECT pg_sleep(30)"))
            await conn.execute("ROLLBACK TO s")

    async def notice(self):
        conn = await self.connect()
        found = []
        conn.add_log_listener(lambda _, message: found.append(message.message))
        await conn.execute("DO $$ BEGIN RAISE NOTICE 'tea is ready'; END $$")
        # Listeners are called by the loop, in order, so before what is put there now.
        called = asyncio.Event()
        asyncio.get_running_loop().call_soon(called.set)
        await called.wait()
        same(found, ["tea is ready"])

    async def error_then_usable(self):
        conn = await self.connect()
        table = await self.table(conn, "errors", "n int PRIMARY KEY")
        await self.fails("22012", conn.fetch("SELECT 1 / $1::int", 0))
        same(await conn.fetchval("SELECT 1"), 1)
        await self.fails("42P01", conn.fetch("SELECT * FROM drivers_nowhere"))
        insert = f"INSERT INTO {table} VALUES ($1)"
        await conn.execute(insert, 7)
        error = await self.fails("23505", conn.execute(insert, 7))
        same(error.constraint_name, f"{table}_pkey")
        same(error.detail, "Key (n)=(7) already exists.")
        same(await self.numbers(conn, table), [7])

    async def transaction_commit(self):
        conn, other = await self.connect(), await self.connect()
        table = await self.table(conn, "commit", "n int")
        async with conn.transaction():
            await conn.execute(f"INSERT INTO {table} VALUES ($1)", 1)
            await conn.execute(f"INSERT INTO {table} VALUES ($1)", 2)
            same(await self.numbers(other, table), [])
        same(await self.numbers(other, table), [1, 2])

    async def transaction_rollback(self):
        conn, other = await self.connect(), await self.connect()
        table = await self.table(conn, "rollback", "n int")
        transaction = conn.transaction(isolation="serializable")
        await transaction.start()
        same(await conn.fetchval("SHOW transaction_isolation"), "serializable")
        await conn.execute(f"INSERT INTO {table} VALUES ($1)", 1)
        same(await self.numbers(conn, table), [1])
        await transaction.rollback()
        same(await self.numbers(conn, table), [])
        same(await self.numbers(other, table), [])

    async def savepoint(self):
        conn = await self.connect()
        table = await self.table(conn, "savepoint", "n int")
        insert = f"INSERT INTO {table} VALUES ($1)"
        async with conn.transaction():
            await conn.execute(insert, 1)
            inner = conn.transaction()
            await inner.start()
            await conn.execute(insert, 2)
            await self.fails("22012", conn.fetch("SELECT 1 / 0"))
            await inner.rollback()
            await conn.execute(insert, 3)
        same(await self.numbers(conn, table), [1, 3])

    async def failed_transaction_then_rollback(self):
        conn = await self.connect()
        table = await self.table(conn, "failed", "n int")
        transaction = conn.transaction()
        await transaction.start()
        await conn.execute(f"INSERT INTO {table} VALUES ($1)", 1)
        await self.fails("42703", conn.fetch("SELECT nothing"))
        await self.fails("25P02", conn.fetch("SELECT $1::int", 1))
        await transaction.rollback()
        same(await self.numbers(conn, table), [])

    async def settings_follow(self):
        clients = [await self.connect(), await self.connect(server_settings=SETTINGS[1])]
        for name, value in SETTINGS[0].items():
            await clients[0].execute("SELECT set_config($1, $2, false)", name, value)

        async def look():
            for conn, settings in zip(clients, SETTINGS):
                for name, value in settings.items():
                    same(await conn.fetchval(f"SHOW {name}"), value)
            same(clients[0].get_settings().application_name, "tea")

        await self.walk(look)

    async def many_clients(self):
        table = await self.table(await self.connect(), "many", "n int")
        # Where each client keeps a server connection, they come and go; elsewhere all are there.
        size = CLIENTS if SHARED else CONNECTIONS // 2
        pool = await asyncpg.create_pool(min_size=size, max_size=size, timeout=30)

        async def work():
            for n in range(10):
                async with pool.acquire() as conn, conn.transaction():
                    await conn.execute(f"INSERT INTO {table} VALUES ($1)", n)
                    same(await conn.fetchval("SELECT $1::int", n), n)

        try:
            await asyncio.gather(*[work() for _ in range(CLIENTS)])
            await pool.close()
        finally:
            pool.terminate()
        expected = sorted(list(range(10)) * CLIENTS)
        same(await self.numbers(await self.connect(), table), expected)

    async def large_value(self):
        conn = await self.connect()
        text, data = "x\u00e9" * (LARGE // 3), bytes(range(256)) * (LARGE // 256)
        same(await conn.fetchval("SELECT length($1::text)", text), len(text))
        same(await conn.fetchval("SELECT $1::text", text) == text, True)
        same(await conn.fetchval("SELECT length($1::bytea)", data), len(data))
        same(await conn.fetchval("SELECT $1::bytea", data) == data, True)

    async def listen_notify(self):
        conn, other = await self.connect(), await self.connect()
        channel = self.name("channel")
        found = asyncio.get_running_loop().create_future()

        def arrived(_, __, name, payload):
            found.set_result((name, payload))

        if MODE == "transaction":
            await self.fails("0A000", conn.add_listener(channel, arrived))
            same(await conn.fetchval("SELECT 1"), 1)
            return
        await conn.add_listener(channel, arrived)
        await other.execute(f"NOTIFY {channel}, 'tea'")
        same(await asyncio.wait_for(found, 20), (channel, "tea"))
        await conn.remove_listener(channel, arrived)

    async def temp_table_outside_transaction(self):
        conn = await self.connect()
        name = self.name("temporary")
        create = f"CREATE TEMPORARY TABLE {name} (n int)"
        if MODE == "transaction":
            await self.fails("0A000", conn.execute(create))
            same(await conn.fetchval("SELECT 1"), 1)
            return
        await conn.execute(create)
        await conn.executemany(f"INSERT INTO {name} VALUES ($1)", [[1], [2]])
        same(await self.numbers(conn, name), [1, 2])
        await self.fails("42P01", (await self.connect()).fetch(f"SELECT n FROM {name}"))

    async def lastval_in_transaction(self):
        conn, other = await self.connect(), await self.connect()
        table = await self.table(conn, "lastval", "id serial, t text")
        insert = f"INSERT INTO {table} (t) VALUES ($1) RETURNING id"
        for turn in range(3):
            async with conn.transaction():
                mine = await conn.fetchval(insert, "tea")
                same(await other.fetchval(insert, "milk"), mine + 1)
                same(await conn.fetchval("SELECT lastval()"), mine)
            same(mine, 2 * turn + 1)


main(Asyncpg)
