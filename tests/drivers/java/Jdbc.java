import java.io.StringReader;
import java.io.StringWriter;
import java.math.BigDecimal;
import java.sql.Array;
import java.sql.BatchUpdateException;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Savepoint;
import java.sql.Statement;
import java.sql.Types;
import java.time.LocalDate;
import java.time.LocalDateTime;
import java.time.LocalTime;
import java.time.OffsetDateTime;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.TimeZone;
import java.util.UUID;
import java.util.concurrent.Callable;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.postgresql.PGConnection;
import org.postgresql.PGNotification;
import org.postgresql.copy.CopyManager;
import org.postgresql.util.PSQLException;
import org.postgresql.util.ServerErrorMessage;

/** PostgreSQL's JDBC driver through the PostgreSQL door. */
final class Jdbc extends Harness {
    private static final int LARGE = 4 << 20;

    private Jdbc() {
        behaviours.put("scram_login", this::scramLogin);
        behaviours.put("wrong_password", () -> fails("28P01", () -> connect("password", "wrong")));
        behaviours.put("tls", this::tls);
        behaviours.put("types", this::types);
        behaviours.put("null_and_empty", this::nullAndEmpty);
        behaviours.put("unnamed_parameters", this::unnamedParameters);
        behaviours.put("prepared_named", this::preparedNamed);
        behaviours.put("prepared_reused_across_transactions", this::preparedReused);
        behaviours.put("pipeline", this::pipeline);
        behaviours.put("copy_in", this::copyIn);
        behaviours.put("copy_out", this::copyOut);
        behaviours.put("cursor", this::cursor);
        behaviours.put("cancel", this::cancel);
        behaviours.put("notice", this::notice);
        behaviours.put("error_then_usable", this::errorThenUsable);
        behaviours.put("transaction_commit", this::transactionCommit);
        behaviours.put("transaction_rollback", this::transactionRollback);
        behaviours.put("savepoint", this::savepoint);
        behaviours.put("failed_transaction_then_rollback", this::failedTransaction);
        behaviours.put("settings_follow", this::settingsFollow);
        behaviours.put("many_clients", this::manyClients);
        behaviours.put("large_value", this::largeValue);
        behaviours.put("listen_notify", this::listenNotify);
        behaviours.put("temp_table_outside_transaction", this::temporaryTable);
        behaviours.put("lastval_in_transaction", this::lastval);
    }

    public static void main(String[] names) throws SQLException {
        // The driver gives the server its own time zone at login.
        TimeZone.setDefault(TimeZone.getTimeZone("UTC"));
        String version = org.postgresql.util.DriverInfo.DRIVER_VERSION;
        System.out.println("# PostgreSQL JDBC " + version + ", Java " + System.getProperty("java.version"));
        System.exit(new Jdbc().run(names) ? 0 : 1);
    }

    private void scramLogin() throws SQLException {
        same(value(connect(), "SELECT current_user::text"), USER);
    }

    private void tls() throws Exception {
        if (TLS_CA == null) {
            throw new Skip("PGPOOL_TLS_CA is not set");
        }
        // In this mode it refuses a connection without encryption.
        same(value(connect("sslmode", "verify-full", "sslrootcert", TLS_CA), "SELECT 1"), 1);
    }

    private void types() throws SQLException {
        byte[] bytes = new byte[256];
        for (int n = 0; n < 256; n++) {
            bytes[n] = (byte) n;
        }
        Connection connection = connect("prepareThreshold", "3");
        roundTrip(connection, "int2", -32768);
        roundTrip(connection, "int4", Integer.MAX_VALUE);
        roundTrip(connection, "int8", Long.MIN_VALUE);
        roundTrip(connection, "float8", 1.5e-300);
        roundTrip(connection, "numeric", new BigDecimal("-12345678901234567890.000123"));
        roundTrip(connection, "bool", true);
        roundTrip(connection, "bool", false);
        roundTrip(connection, "text", "tea \u2615 'and' \\ \"more\"\n$1 %s");
        roundTrip(connection, "bytea", bytes);
        roundTrip(connection, "date", LocalDate.of(2024, 2, 29));
        roundTrip(connection, "time", LocalTime.of(23, 59, 59, 999999000));
        roundTrip(connection, "timestamp", LocalDateTime.of(2024, 1, 2, 3, 4, 5, 6000));
        roundTrip(connection, "timestamptz", OffsetDateTime.of(2024, 1, 2, 3, 4, 5, 6000, ZoneOffset.UTC));
        roundTrip(connection, "uuid", UUID.fromString("00000000-0000-4000-8000-00000000abcd"));
        for (Object[] values : new Object[][] {{"int4", 1, null, 3}, {"text", "a,b", null, "c\"d", ""}}) {
            Object[] elements = Arrays.copyOfRange(values, 1, values.length);
            Array array = connection.createArrayOf((String) values[0], elements);
            Object found = value(connection, "SELECT ?::" + values[0] + "[]", array);
            same(((Array) found).getArray(), elements);
        }
    }

    /** As text, and in binary as soon as the driver has prepared the statement by name. */
    private static void roundTrip(Connection connection, String type, Object expected) throws SQLException {
        try (PreparedStatement statement = connection.prepareStatement("SELECT ?::" + type)) {
            for (int turn = 0; turn < 6; turn++) {
                statement.setObject(1, expected);
                try (ResultSet rows = statement.executeQuery()) {
                    same(rows.next(), true);
                    boolean plain = expected instanceof byte[];
                    same(plain ? rows.getBytes(1) : rows.getObject(1, expected.getClass()), expected);
                }
            }
        }
    }

    private void nullAndEmpty() throws SQLException {
        Connection connection = connect();
        String table = table(connection, "null_and_empty", "n int, t text, b bytea");
        Object[][] rows = {{1, null, null}, {2, "", new byte[0]}, {3, "x", new byte[1]}};
        for (Object[] row : rows) {
            exec(connection, "INSERT INTO " + table + " VALUES (?, ?, ?)", row);
        }
        try (Statement statement = connection.createStatement();
            ResultSet found = statement.executeQuery("SELECT n, t, b FROM " + table + " ORDER BY n")) {
            for (Object[] row : rows) {
                same(found.next(), true);
                same(new Object[] {found.getObject(1), found.getString(2), found.getBytes(3)}, row);
            }
        }
        String where = "SELECT n FROM " + table + " WHERE t IS NOT DISTINCT FROM ?::text";
        try (PreparedStatement statement = connection.prepareStatement(where)) {
            statement.setNull(1, Types.VARCHAR);
            same(value(statement), 1);
            statement.setString(1, "");
            same(value(statement), 2);
        }
    }

    private void unnamedParameters() throws SQLException {
        for (String mode : new String[] {"extended", "simple"}) {
            Connection connection = connect("prepareThreshold", "0", "preferQueryMode", mode);
            for (int n = 0; n < 20; n++) {
                same(value(connection, "SELECT ?::int + 1", n), n + 1);
                same(value(connection, "SELECT 'tea ' || ?::text", "" + n), "tea " + n);
                same(value(connection, "SELECT ?::bool", n % 2 == 0), n % 2 == 0);
            }
        }
    }

    private void preparedNamed() throws Exception {
        Connection connection = connect("prepareThreshold", "1", "preparedStatementCacheQueries", "3");
        for (int turn = 0; turn < 3; turn++) {
            for (int n = 0; n < 6; n++) {
                same(value(connection, "SELECT " + n + " + ?::int", turn), n + turn);
            }
        }
        try (PreparedStatement one = connection.prepareStatement("SELECT ?::int + 1");
            PreparedStatement two = connection.prepareStatement("SELECT ?::text")) {
            for (int n = 0; n < 10; n++) {
                same(value(bind(one, n)), n + 1);
                same(value(bind(two, "" + n)), "" + n);
            }
            fails("42601", () -> exec(connection, "SELECT FROM FROM"));
            same(value(bind(one, 1)), 2);
        }
    }

    private void preparedReused() throws Exception {
        Connection connection = connect("prepareThreshold", "1");
        connection.setAutoCommit(false);
        try (PreparedStatement again = connection.prepareStatement("SELECT pg_backend_pid(), ?::int + 1")) {
            Action<Integer> once = () -> {
                try (ResultSet row = bind(again, 41).executeQuery()) {
                    same(row.next(), true);
                    same(row.getInt(2), 42);
                    int pid = row.getInt(1);
                    connection.commit();
                    return pid;
                }
            };
            once.run();
            same(walk(once).size(), SHARED ? CONNECTIONS : 1);
        }
    }

    private void pipeline() throws Exception {
        for (String rewrite : new String[] {"false", "true"}) {
            Connection connection = connect("reWriteBatchedInserts", rewrite);
            String table = table(connection, "pipeline", "n int PRIMARY KEY, t text");
            connection.setAutoCommit(false);
            String insert = "INSERT INTO " + table + " (n, t) VALUES (?, ?)";
            try (PreparedStatement statement = connection.prepareStatement(insert)) {
                for (int n = 0; n < 1000; n++) {
                    bind(statement, n, "row " + n).addBatch();
                }
                same(statement.executeBatch().length, 1000);
                connection.commit();
                for (int n : new int[] {1000, 7, 1001}) {
                    bind(statement, n, "row").addBatch();
                }
                SQLException error = fails("23505", statement::executeBatch);
                same(error instanceof BatchUpdateException, true);
                connection.rollback();
                same(numbers(connection, table), range(0, 999));
            }
            try (PreparedStatement statement = connection.prepareStatement(insert, new String[] {"n"})) {
                bind(statement, 1000, "row").addBatch();
                bind(statement, 1001, "row").addBatch();
                statement.executeBatch();
                try (ResultSet keys = statement.getGeneratedKeys()) {
                    same(keys.next() && keys.getInt(1) == 1000 && keys.next() && keys.getInt(1) == 1001, true);
                }
            }
            connection.rollback();
        }
    }

    private void copyIn() throws Exception {
        Connection connection = connect();
        String table = table(connection, "copy_in", "n int, t text");
        StringBuilder text = new StringBuilder();
        for (int n = 0; n < 5000; n++) {
            text.append(n).append('\t').append(n % 7 == 0 ? "\\N" : "row " + n).append('\n');
        }
        CopyManager copy = connection.unwrap(PGConnection.class).getCopyAPI();
        String sql = "COPY " + table + " FROM STDIN";
        same(copy.copyIn(sql, new StringReader(text.toString())), 5000L);
        same(numbers(connection, table), range(0, 4999));
        same(value(connection, "SELECT t FROM " + table + " WHERE n = ?", 4999), "row 4999");
        same(value(connection, "SELECT count(*) FROM " + table + " WHERE t IS NULL"), 715L);
        fails("22P02", () -> copy.copyIn(sql, new StringReader("1\tone\nx\ttwo\n")));
        same(value(connection, "SELECT count(*) FROM " + table), 5000L);
    }

    private void copyOut() throws Exception {
        Connection connection = connect();
        StringWriter found = new StringWriter();
        CopyManager copy = connection.unwrap(PGConnection.class).getCopyAPI();
        same(copy.copyOut("COPY (SELECT generate_series(1, 5000)) TO STDOUT", found), 5000L);
        StringBuilder expected = new StringBuilder();
        range(1, 5000).forEach(n -> expected.append(n).append('\n'));
        same(found.toString(), expected.toString());
        same(value(connection, "SELECT 1"), 1);
    }

    private void cursor() throws SQLException {
        Connection connection = connect();
        connection.setAutoCommit(false);
        String sql = "SELECT generate_series(1, ?)";
        try (PreparedStatement pieces = connection.prepareStatement(sql);
            PreparedStatement half = connection.prepareStatement(sql)) {
            pieces.setFetchSize(70);
            half.setFetchSize(3);
            try (ResultSet rows = bind(pieces, 1000).executeQuery();
                ResultSet others = bind(half, 1000).executeQuery()) {
                List<Integer> found = new ArrayList<>();
                while (rows.next()) {
                    found.add(rows.getInt(1));
                    // Two portals at a time; the other is left half read.
                    same(found.size() > 10 || others.next() && others.getInt(1) == found.size(), true);
                }
                same(found, range(1, 1000));
            }
        }
        same(value(connection, "SELECT ?::int", 1), 1);
        connection.commit();
        same(value(connection, "SELECT ?::int", 1), 1);
    }

    private void cancel() throws Exception {
        Connection connection = connect();
        Connection other = connect();
        String marker = word("cancel");
        ExecutorService executor = Executors.newSingleThreadExecutor();
        try (Statement statement = connection.createStatement()) {
            Future<?> canceller = executor.submit(() -> {
                while (!value(other, RUNNING, marker).equals(1L)) {
                    Thread.onSpinWait();
                }
                statement.cancel();
                return null;
            });
            fails("57014", () -> statement.execute("SELECT pg_sleep(30) /* " + marker + " */"));
            canceller.get();
        } finally {
            executor.shutdown();
        }
        same(value(connection, "SELECT 1"), 1);
        same(value(other, RUNNING, marker), 0L);
    }

    private void notice() throws SQLException {
        try (Statement statement = connect().createStatement()) {
            statement.execute("DO $$ BEGIN RAISE NOTICE 'tea is ready'; END $$");
            same(statement.getWarnings().getMessage(), "tea is ready");
        }
    }

    private void errorThenUsable() throws Exception {
        Connection connection = connect();
        String table = table(connection, "errors", "n int PRIMARY KEY");
        fails("22012", () -> value(connection, "SELECT 1 / ?::int", 0));
        same(value(connection, "SELECT 1"), 1);
        fails("42P01", () -> exec(connection, "SELECT * FROM drivers_nowhere"));
        String insert = "INSERT INTO " + table + " VALUES (?)";
        exec(connection, insert, 7);
        SQLException error = fails("23505", () -> exec(connection, insert, 7));
        ServerErrorMessage message = ((PSQLException) error).getServerErrorMessage();
        same(message.getConstraint(), table + "_pkey");
        same(message.getDetail(), "Key (n)=(7) already exists.");
        same(numbers(connection, table), List.of(7));
    }

    private void transactionCommit() throws SQLException {
        Connection connection = connect();
        Connection other = connect();
        String table = table(connection, "commit", "n int");
        connection.setAutoCommit(false);
        exec(connection, "INSERT INTO " + table + " VALUES (?)", 1);
        exec(connection, "INSERT INTO " + table + " VALUES (?)", 2);
        same(numbers(other, table), List.of());
        connection.commit();
        same(numbers(other, table), List.of(1, 2));
    }

    private void transactionRollback() throws SQLException {
        Connection connection = connect();
        String table = table(connection, "rollback", "n int");
        connection.setTransactionIsolation(Connection.TRANSACTION_SERIALIZABLE);
        connection.setAutoCommit(false);
        same(value(connection, "SHOW transaction_isolation"), "serializable");
        exec(connection, "INSERT INTO " + table + " VALUES (?)", 1);
        same(numbers(connection, table), List.of(1));
        connection.rollback();
        same(numbers(connection, table), List.of());
    }

    private void savepoint() throws Exception {
        Connection connection = connect();
        String table = table(connection, "savepoint", "n int");
        String insert = "INSERT INTO " + table + " VALUES (?)";
        connection.setAutoCommit(false);
        exec(connection, insert, 1);
        Savepoint savepoint = connection.setSavepoint("s");
        exec(connection, insert, 2);
        fails("22012", () -> exec(connection, "SELECT 1 / 0"));
        connection.rollback(savepoint);
        exec(connection, insert, 3);
        connection.commit();
        same(numbers(connection, table), List.of(1, 3));
        // The driver's own savepoint in front of each statement.
        Connection saving = connect("autosave", "always");
        saving.setAutoCommit(false);
        exec(saving, insert, 4);
        fails("22012", () -> exec(saving, "SELECT 1 / 0"));
        exec(saving, insert, 5);
        saving.commit();
        same(numbers(connection, table), List.of(1, 3, 4, 5));
    }

    private void failedTransaction() throws Exception {
        Connection connection = connect();
        String table = table(connection, "failed", "n int");
        connection.setAutoCommit(false);
        exec(connection, "INSERT INTO " + table + " VALUES (?)", 1);
        fails("42703", () -> exec(connection, "SELECT nothing"));
        fails("25P02", () -> value(connection, "SELECT ?::int", 1));
        connection.rollback();
        same(numbers(connection, table), List.of());
    }

    private void settingsFollow() throws Exception {
        Connection set = connect();
        exec(set, "SET application_name = 'tea'");
        exec(set, "SET search_path = pg_catalog, public");
        exec(set, "SET TimeZone = 'Asia/Tokyo'");
        TimeZone.setDefault(TimeZone.getTimeZone("America/Lima"));
        Connection login;
        try {
            login = connect("ApplicationName", "milk", "currentSchema", "public", "options", "-c work_mem=123kB");
        } finally {
            TimeZone.setDefault(TimeZone.getTimeZone("UTC"));
        }
        walk(() -> {
            same(value(set, "SHOW application_name"), "tea");
            same(value(set, "SHOW search_path"), "pg_catalog, public");
            same(value(set, "SHOW TimeZone"), "Asia/Tokyo");
            same(value(login, "SHOW application_name"), "milk");
            same(value(login, "SHOW search_path"), "public");
            same(value(login, "SHOW TimeZone"), "America/Lima");
            same(value(login, "SHOW work_mem"), "123kB");
            return null;
        });
    }

    private void manyClients() throws Exception {
        String table = table(connect(), "many", "n int");
        // Where each client keeps a server connection, they come and go; elsewhere all are there.
        CountDownLatch connected = new CountDownLatch(SHARED ? CLIENTS : 0);
        Callable<Void> work = () -> {
            try (Connection connection = open()) {
                connected.countDown();
                connected.await();
                connection.setAutoCommit(false);
                for (int n = 0; n < 10; n++) {
                    exec(connection, "INSERT INTO " + table + " VALUES (?)", n);
                    same(value(connection, "SELECT ?::int", n), n);
                    connection.commit();
                }
            } finally {
                connected.countDown();
            }
            return null;
        };
        ExecutorService executor = Executors.newFixedThreadPool(CLIENTS);
        List<Callable<Void>> all = new ArrayList<>();
        range(1, CLIENTS).forEach(n -> all.add(work));
        try {
            for (Future<Void> ended : executor.invokeAll(all)) {
                ended.get();
            }
        } finally {
            executor.shutdown();
        }
        List<Integer> expected = new ArrayList<>();
        range(0, 9).forEach(n -> range(1, CLIENTS).forEach(client -> expected.add(n)));
        same(numbers(connect(), table), expected);
    }

    private void largeValue() throws SQLException {
        Connection connection = connect();
        String text = "x\u00e9".repeat(LARGE / 3);
        byte[] data = new byte[LARGE];
        for (int n = 0; n < LARGE; n++) {
            data[n] = (byte) n;
        }
        same(value(connection, "SELECT length(?)", text), text.length());
        same(value(connection, "SELECT ?::text", text).equals(text), true);
        same(value(connection, "SELECT length(?::bytea)", data), data.length);
        same(Arrays.equals((byte[]) value(connection, "SELECT ?::bytea", data), data), true);
    }

    private void listenNotify() throws Exception {
        Connection connection = connect();
        Connection other = connect();
        String channel = word("channel");
        if (MODE.equals("transaction")) {
            fails("0A000", () -> exec(connection, "LISTEN " + channel));
            same(value(connection, "SELECT 1"), 1);
            return;
        }
        exec(connection, "LISTEN " + channel);
        exec(other, "SELECT pg_notify(?, ?)", channel, "tea");
        PGNotification[] found = connection.unwrap(PGConnection.class).getNotifications(20_000);
        same(found.length, 1);
        same(found[0].getName() + " " + found[0].getParameter(), channel + " tea");
    }

    private void temporaryTable() throws Exception {
        Connection connection = connect();
        String name = word("temporary");
        String create = "CREATE TEMPORARY TABLE " + name + " (n int)";
        if (MODE.equals("transaction")) {
            fails("0A000", () -> exec(connection, create));
            same(value(connection, "SELECT 1"), 1);
            return;
        }
        exec(connection, create);
        exec(connection, "INSERT INTO " + name + " VALUES (?)", 1);
        same(numbers(connection, name), List.of(1));
        Connection other = connect();
        fails("42P01", () -> numbers(other, name));
    }

    private void lastval() throws SQLException {
        Connection connection = connect();
        Connection other = connect();
        String table = table(connection, "lastval", "id serial, t text");
        connection.setAutoCommit(false);
        for (int turn = 0; turn < 3; turn++) {
            int mine = insert(connection, table, "tea");
            same(insert(other, table, "milk"), mine + 1);
            same(value(connection, "SELECT lastval()"), (long) mine);
            connection.commit();
            same(mine, 2 * turn + 1);
        }
    }

    /** The generated key of a new row. */
    private static int insert(Connection connection, String table, String text) throws SQLException {
        String sql = "INSERT INTO " + table + " (t) VALUES (?)";
        try (PreparedStatement statement = connection.prepareStatement(sql, Statement.RETURN_GENERATED_KEYS)) {
            bind(statement, text).executeUpdate();
            try (ResultSet keys = statement.getGeneratedKeys()) {
                same(keys.next(), true);
                return keys.getInt("id");
            }
        }
    }
}
