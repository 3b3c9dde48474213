import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Properties;
import java.util.Set;
import java.util.TreeMap;

/** Runs behaviours and prints one line for each; and what they share. */
abstract class Harness {
    static final String MODE = System.getenv("MODE");
    static final String USER = System.getenv("PGUSER");
    static final String TLS_CA = System.getenv("PGPOOL_TLS_CA");
    static final int CONNECTIONS = Integer.parseInt(System.getenv("CONNECTIONS"));
    static final int CLIENTS = 4 * CONNECTIONS;
    /** Whether clients of this database are moved from one server connection to another. */
    static final boolean SHARED = !MODE.equals("session");

    /** How many statements with a text of this kind others are running. */
    static final String RUNNING = "SELECT count(*) FROM pg_stat_activity, pg_sleep(0.01)"
        + " WHERE state = 'active' AND pid <> pg_backend_pid() AND strpos(query, ?) > 0";

    /** The driver has no such feature. */
    static final class Skip extends Exception {
        private static final long serialVersionUID = 1;

        Skip(String reason) {
            super(reason);
        }
    }

    interface Behaviour {
        void run() throws Exception;
    }

    interface Action<T> {
        T run() throws Exception;
    }

    final Map<String, Behaviour> behaviours = new TreeMap<>();
    private final List<Connection> opened = new ArrayList<>();

    /** Runs the behaviours with these names; says whether all went well. */
    boolean run(String[] names) throws SQLException {
        boolean well = true;
        for (String name : names) {
            try {
                Behaviour behaviour = behaviours.get(name);
                if (behaviour == null) {
                    throw new AssertionError("the driver leaves it out");
                }
                behaviour.run();
                System.out.println("ok " + name);
            } catch (Skip reason) {
                System.out.println("skip " + name + ": " + reason.getMessage());
            } catch (Exception | AssertionError error) {
                well = false;
                System.out.println("not ok " + name + ": " + error.toString().replaceAll("\\s+", " "));
            }
            for (Connection connection : opened) {
                connection.close();
            }
            opened.clear();
        }
        return well;
    }

    static void same(Object found, Object expected) {
        if (!Objects.deepEquals(found, expected)) {
            throw new AssertionError(String.format("expected %.200s, found %.200s", expected, found));
        }
    }

    static SQLException fails(String state, Behaviour behaviour) throws Exception {
        try {
            behaviour.run();
        } catch (SQLException error) {
            if (!state.equals(error.getSQLState())) {
                throw new AssertionError("expected " + state + ", found " + error.getSQLState() + ": " + error, error);
            }
            return error;
        }
        throw new AssertionError("no error, expected " + state);
    }

    /** A new client; properties are names and values in turn. */
    static Connection open(String... properties) throws SQLException {
        Properties all = new Properties();
        all.setProperty("user", USER);
        all.setProperty("password", System.getenv("PGPASSWORD"));
        for (int n = 0; n < properties.length; n += 2) {
            all.setProperty(properties[n], properties[n + 1]);
        }
        String url = "jdbc:postgresql://" + System.getenv("PGHOST") + ":" + System.getenv("PGPORT")
            + "/" + System.getenv("PGDATABASE");
        return DriverManager.getConnection(url, all);
    }

    /** A new client that is closed when the behaviour ends. */
    Connection connect(String... properties) throws SQLException {
        Connection connection = open(properties);
        opened.add(connection);
        return connection;
    }

    static void exec(Connection connection, String sql, Object... args) throws SQLException {
        try (PreparedStatement statement = connection.prepareStatement(sql)) {
            bind(statement, args).execute();
        }
    }

    static PreparedStatement bind(PreparedStatement statement, Object... args) throws SQLException {
        for (int n = 0; n < args.length; n++) {
            statement.setObject(n + 1, args[n]);
        }
        return statement;
    }

    static Object value(Connection connection, String sql, Object... args) throws SQLException {
        try (PreparedStatement statement = connection.prepareStatement(sql)) {
            return value(bind(statement, args));
        }
    }

    static Object value(PreparedStatement statement) throws SQLException {
        try (ResultSet rows = statement.executeQuery()) {
            same(rows.next(), true);
            Object found = rows.getObject(1);
            same(rows.next(), false);
            return found;
        }
    }

    /** A table's name that no other driver or mode uses. */
    static String word(String word) {
        return "drivers_jdbc_" + MODE + "_" + word;
    }

    static String table(Connection connection, String word, String columns) throws SQLException {
        String name = word(word);
        try (Statement statement = connection.createStatement()) {
            statement.execute("DROP TABLE IF EXISTS " + name + "; CREATE TABLE " + name + " (" + columns + ")");
        }
        return name;
    }

    static List<Integer> numbers(Connection connection, String table) throws SQLException {
        try (Statement statement = connection.createStatement();
            ResultSet rows = statement.executeQuery("SELECT n FROM " + table + " ORDER BY n")) {
            List<Integer> found = new ArrayList<>();
            while (rows.next()) {
                found.add(rows.getInt(1));
            }
            return found;
        }
    }

    static List<Integer> range(int from, int to) {
        List<Integer> numbers = new ArrayList<>();
        for (int n = from; n <= to; n++) {
            numbers.add(n);
        }
        return numbers;
    }

    /** Calls the action on each server connection where clients share them. */
    <T> Set<T> walk(Action<T> action) throws Exception {
        Set<T> found = new HashSet<>();
        if (!SHARED) {
            for (int turn = 0; turn < 3; turn++) {
                found.add(action.run());
            }
            return found;
        }
        List<Connection> holders = new ArrayList<>();
        for (int n = 0; n < CONNECTIONS; n++) {
            Connection holder = connect();
            holder.setAutoCommit(false);
            holders.add(holder);
        }
        for (Connection holder : holders) {
            exec(holder, "SELECT 1");
        }
        for (Connection holder : holders) {
            holder.rollback();
            found.add(action.run());
            exec(holder, "SELECT 1");
        }
        for (Connection holder : holders) {
            holder.rollback();
        }
        return found;
    }
}
