"""What a client has for itself: settings, notices, notifications, and cancelling."""

import threading

import psycopg
from psycopg import errors

from support import (
    SHARED,
    ClientTest,
    only_in_session_mode,
    only_in_transaction_mode,
)

ZONES = [
    "Asia/Tokyo",
    "Europe/Paris",
    "America/Lima",
    "Africa/Cairo",
    "Pacific/Fiji",
    "Asia/Kathmandu",
]


class SettingsTest(ClientTest):
    def test_the_time_zone_is_the_clients(self):
        conns = self.connect_several(autocommit=True)
        for conn, zone in zip(conns, ZONES):
            conn.execute("SELECT set_config('TimeZone', %s, false)", [zone])
            # The server connection is not kept because of it.
            self.assertEqual(conn.info.parameter_status("TimeZone"), zone)
        instant = "SELECT '2024-01-02 03:04:05+00'::timestamptz"
        for turn in range(SHARED):
            conns[turn].execute("BEGIN")
            for conn, zone in zip(conns, ZONES):
                self.assertEqual(self.value(conn, "SHOW TimeZone"), zone)
                self.assertEqual(conn.info.parameter_status("TimeZone"), zone)
                # psycopg reads the text in the zone that it was told.
                found = self.value(conn, instant)
                self.assertEqual(str(found.tzinfo), zone)
                self.assertEqual(found.timestamp(), 1704164645)
            conns[turn].execute("COMMIT")
        fresh = self.connect(autocommit=True)
        self.assertEqual(fresh.info.parameter_status("TimeZone"), "UTC")
        self.assertEqual(self.value(fresh, "SHOW TimeZone"), "UTC")

    def test_rollback_tells_the_old_one(self):
        conn = self.connect()
        conn.execute("SET TimeZone = 'Asia/Tokyo'")
        self.assertEqual(conn.info.parameter_status("TimeZone"), "Asia/Tokyo")
        conn.rollback()
        self.assertEqual(conn.info.parameter_status("TimeZone"), "UTC")
        self.assertEqual(self.value(conn, "SHOW TimeZone"), "UTC")

    def test_settings_of_the_login(self):
        named = self.connect(
            application_name="tea",
            options="-c timezone=Asia/Tokyo -c work_mem=123kB",
            autocommit=True,
        )
        plain = self.connect(autocommit=True)
        self.assertEqual(named.info.parameter_status("application_name"), "tea")
        self.assertEqual(named.info.parameter_status("TimeZone"), "Asia/Tokyo")
        for _ in range(3):
            self.assertEqual(self.value(named, "SHOW work_mem"), "123kB")
            self.assertEqual(self.value(named, "SHOW application_name"), "tea")
            self.assertNotEqual(self.value(plain, "SHOW work_mem"), "123kB")
            self.assertNotEqual(self.value(plain, "SHOW application_name"), "tea")
        named.execute("SET work_mem = '200kB'")
        named.execute("RESET work_mem")
        self.assertEqual(self.value(named, "SHOW work_mem"), "123kB")

    def test_the_server_is_who_it_is(self):
        conn, direct = self.connect(autocommit=True), self.direct()
        self.assertEqual(conn.info.server_version, direct.info.server_version)
        for name in (
            "server_encoding",
            "client_encoding",
            "standard_conforming_strings",
            "integer_datetimes",
            "DateStyle",
            "IntervalStyle",
            "is_superuser",
            "session_authorization",
        ):
            self.assertEqual(
                conn.info.parameter_status(name), direct.info.parameter_status(name)
            )

    def test_a_wrong_password(self):
        with self.assertRaisesRegex(
            psycopg.OperationalError,
            'password authentication failed for user "app"',
        ):
            psycopg.connect(password="guess")


class NoticeTest(ClientTest):
    def test_notices_go_to_their_client(self):
        conns = self.connect_several(autocommit=True)
        seen = [[] for _ in conns]
        for conn, notices in zip(conns, seen):
            conn.add_notice_handler(
                lambda diag, notices=notices: notices.append(
                    (diag.severity, diag.message_primary, diag.sqlstate)
                )
            )
        for number, conn in enumerate(conns):
            conn.execute(f"DO $$ BEGIN RAISE NOTICE 'tea {number}'; END $$")
        wanted = [[("NOTICE", f"tea {number}", "00000")] for number in range(len(conns))]
        self.assertEqual(seen, wanted)

    @only_in_session_mode
    def test_notifications_arrive(self):
        conn, sender = self.connect(autocommit=True), self.connect(autocommit=True)
        conn.execute("LISTEN news")
        sender.execute("SELECT pg_notify('news', 'tea'), pg_notify('news', 'is ready')")
        notifies = conn.notifies()
        found = [next(notifies) for _ in range(2)]
        self.assertEqual([n.payload for n in found], ["tea", "is ready"])
        self.assertEqual({n.channel for n in found}, {"news"})
        notifies.close()

    @only_in_transaction_mode
    def test_listen_is_refused(self):
        conn = self.connect(autocommit=True)
        with self.assertRaisesRegex(errors.FeatureNotSupported, "LISTEN cannot work"):
            conn.execute("LISTEN news")
        self.assertEqual(self.value(conn, "SELECT 1"), 1)


class CancelTest(ClientTest):
    def test_cancel_stops_the_statement_that_runs(self):
        conn, other = self.connect(autocommit=True), self.connect(autocommit=True)
        direct = self.direct()
        query = "SELECT pg_sleep(60) /* of psycopg */"
        running = (
            "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query = %s"
        )

        def cancel():
            self.wait_until(lambda: self.value(direct, running, [query]) == 1)
            conn.cancel()

        canceller = threading.Thread(target=cancel)
        canceller.start()
        with self.assertRaisesRegex(errors.QueryCanceled, "due to user request"):
            conn.execute(query)
        canceller.join()
        self.wait_until(lambda: self.value(direct, running, [query]) == 0)
        self.assertEqual(self.value(conn, "SELECT 1"), 1)
        self.assertEqual(self.value(other, "SELECT 2"), 2)

    def test_cancel_of_an_idle_client_hits_nobody(self):
        idle, others = self.connect(autocommit=True), self.connect_several()
        self.assertEqual(self.value(idle, "SELECT 1"), 1)
        for _ in range(5):
            # Its last server connection is another client's now.
            for conn in others[:SHARED]:
                idle.cancel()
                self.assertEqual(self.value(conn, "SELECT 7"), 7)
            for conn in others[:SHARED]:
                conn.commit()

    def test_cancel_in_a_transaction_fails_it(self):
        conn = self.connect()
        direct = self.direct()
        pid = self.value(conn, "SELECT pg_backend_pid()")
        sleeping = (
            "SELECT count(*) FROM pg_stat_activity "
            "WHERE pid = %s AND wait_event = 'PgSleep'"
        )

        def cancel():
            self.wait_until(lambda: self.value(direct, sleeping, [pid]) == 1)
            conn.cancel()

        canceller = threading.Thread(target=cancel)
        canceller.start()
        with self.assertRaises(errors.QueryCanceled):
            conn.execute("SELECT pg_sleep(%s)", [60], prepare=True)
        canceller.join()
        with self.assertRaises(errors.InFailedSqlTransaction):
            conn.execute("SELECT 1")
        conn.rollback()
        self.assertEqual(self.value(conn, "SELECT 1"), 1)
