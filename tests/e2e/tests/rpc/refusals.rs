//! What makes no sense without a session of one's own: refused with the way out, or cleaned up.

use e2e::{Setup, eventually, failed, ok};
use serde_json::{Value, json};

#[tokio::test]
async fn transactions_by_sql_are_refused_naming_transaction_begin() {
    let setup = Setup::new().await;
    let mut client = setup.client().await;
    for query in [
        "BEGIN",
        "begin isolation level serializable",
        "START TRANSACTION READ ONLY",
        "/* hidden */ BEGIN",
        "COMMIT",
        "END",
        "ROLLBACK",
        "ABORT",
        "COMMIT AND CHAIN",
        "SAVEPOINT a",
        "RELEASE SAVEPOINT a",
        "ROLLBACK TO a",
        "PREPARE TRANSACTION 'x'",
    ] {
        for simple in [false, true] {
            let request = json!({"query": query, "simple": simple});
            let error = failed(client.call("Execute", request).await, "0A000");
            assert!(error.contains("TransactionBegin"), "{query}: {error}");
        }
    }
    assert_eq!(setup.count("application_name = 'rr-pgpool'").await, 0, "nothing was even sent");
}

#[tokio::test]
async fn what_needs_a_session_is_refused_with_the_remedy() {
    let setup = Setup::new().await;
    setup.db.batch("CREATE TABLE t (a int); CREATE SEQUENCE s").await;
    let mut client = setup.client().await;
    for (query, remedy) in [
        ("LISTEN news", "SessionBegin"),
        ("UNLISTEN *", "SessionBegin"),
        ("CREATE TEMP TABLE x (a int)", "SessionBegin"),
        ("CREATE TEMPORARY VIEW v AS SELECT 1", "SessionBegin"),
        ("SELECT a INTO TEMP y FROM t", "SessionBegin"),
        ("CREATE TABLE pg_temp.z (a int)", "SessionBegin"),
        ("PREPARE p AS SELECT 1", "SessionBegin"),
        ("EXECUTE p", "SessionBegin"),
        ("DEALLOCATE p", "SessionBegin"),
        ("SELECT pg_advisory_lock(1)", "SessionBegin"),
        ("SELECT pg_try_advisory_lock_shared(1, 2)", "SessionBegin"),
        ("SELECT lastval()", "SessionBegin"),
        ("SELECT currval('s')", "SessionBegin"),
        ("SET search_path = x", "settings"),
        ("SET TIME ZONE 'UTC'", "settings"),
        ("SET SESSION statement_timeout = 1", "settings"),
        ("RESET ALL", "settings"),
        ("SET LOCAL work_mem = '1MB'", "settings"),
        ("SELECT set_config('a.b', 'c', false)", "settings"),
        ("SET ROLE app", "SessionBegin"),
        ("DECLARE c CURSOR WITH HOLD FOR SELECT 1", "SessionBegin"),
        ("DECLARE c CURSOR FOR SELECT 1", "TransactionBegin"),
        ("FETCH c", "SessionBegin"),
        ("LOAD 'plpgsql'", "SessionBegin"),
        ("DISCARD ALL", "SessionBegin"),
        ("LOCK TABLE t", "TransactionBegin"),
    ] {
        let error = failed(client.execute(query, json!([])).await, "0A000");
        assert!(error.contains(remedy), "{query}: {error}");
    }
    assert_eq!(setup.count("application_name = 'rr-pgpool'").await, 0, "nothing was even sent");
}

#[tokio::test]
async fn several_statements_need_the_simple_protocol() {
    let setup = Setup::new().await;
    let mut client = setup.client().await;
    let two = "CREATE TABLE t (a int); INSERT INTO t VALUES (1), (2)";
    let error = failed(client.execute(two, json!([])).await, "42601");
    assert!(error.contains("\"simple\": true"), "{error}");
    let simple = |query: &str| json!({"query": query, "simple": true});
    let reply = ok(client.call("Execute", simple(two)).await);
    assert_eq!((&reply["rows_affected"], reply.get("rows")), (&json!(2), None));
    let reply =
        ok(client.call("Execute", simple("SELECT 1 AS a; SELECT a FROM t ORDER BY a")).await);
    assert_eq!(reply["rows"], json!([{"a": 1}, {"a": 2}]), "the last result");
    assert_eq!(reply["columns"], json!([{"name": "a", "type": "int4", "oid": 23}]));
    let reply = ok(client.call("Execute", simple("SELECT 1 AS a; DELETE FROM t")).await);
    assert_eq!((&reply["rows_affected"], reply.get("rows")), (&json!(2), None));
    let reply = ok(client.call("Execute", simple("; -- nothing")).await);
    assert!(reply.get("rows").is_none());
    // All or nothing, as PostgreSQL does it.
    failed(client.call("Execute", simple("INSERT INTO t VALUES (9); SELECT 1/0")).await, "22012");
    let reply = ok(client.execute("SELECT count(*) AS n FROM t", json!([])).await);
    assert_eq!(reply["rows"], json!([{"n": 0}]));
    let request = json!({"query": "SELECT $1::int4", "args": [1], "simple": true});
    let error = failed(client.call("Execute", request).await, "22023");
    assert!(error.contains("simple"), "{error}");
    // One statement in it is refused as anywhere.
    failed(client.call("Execute", simple("LISTEN a")).await, "0A000");
}

#[tokio::test]
async fn simple_results_have_the_types_of_extended_ones() {
    let setup = Setup::new().await;
    setup.db.batch("CREATE TYPE mood AS ENUM ('sad', 'happy')").await;
    let mut client = setup.client().await;
    let query = "SELECT 1::int2 AS a, true AS b, 0.5::float8 AS f, '\\x00ff'::bytea AS y, \
                 '{\"a\": [1]}'::jsonb AS j, ARRAY['happy'::mood, NULL] AS m, 1.50::numeric AS n";
    let simple = ok(client.call("Execute", json!({"query": query, "simple": true})).await);
    let extended = ok(client.call("Execute", json!({"query": query})).await);
    assert_eq!((&simple["rows"], &simple["columns"]), (&extended["rows"], &extended["columns"]));
    let binary = json!({"query": query, "simple": true});
    let simple = ok(client.call_msgpack("Execute", binary).await);
    assert_eq!(simple["rows"][0]["y"], json!({"$bytea": "AP8="}));
}

#[tokio::test]
async fn a_transaction_left_open_by_a_text_is_rolled_back_and_told() {
    let setup = Setup::with_pool(json!({"max_connections": 1})).await;
    setup.db.batch("CREATE TABLE t (a int)").await;
    let mut client = setup.client().await;
    let request = json!({"query": "BEGIN; INSERT INTO t VALUES (1)", "simple": true});
    let error = failed(client.call("Execute", request).await, "25000");
    assert!(error.contains("TransactionBegin"), "{error}");
    let reply = ok(client.execute("SELECT count(*) AS n FROM t", json!([])).await);
    assert_eq!(reply["rows"], json!([{"n": 0}]));
    // A text that fails inside the transaction that it began.
    let request = json!({"query": "BEGIN; SELECT 1/0; COMMIT", "simple": true});
    failed(client.call("Execute", request).await, "22012");
    eventually("it is rolled back", || async { setup.count("state LIKE 'idle in%'").await == 0 })
        .await;
    let whole = json!({"query": "BEGIN; INSERT INTO t VALUES (1); COMMIT", "simple": true});
    ok(client.call("Execute", whole).await);
}

/// What slips past the classifier, as a function of the user's own.
const SLIPPERY: &str = "
    CREATE FUNCTION slip() RETURNS int LANGUAGE plpgsql AS $$ BEGIN
        PERFORM set_config('app.user', 'mallory', false);
        PERFORM set_config('search_path', 'pg_temp', false);
        PERFORM pg_advisory_lock(99);
        CREATE TEMP TABLE left_behind (a int);
        RETURN 1;
    END $$;
    CREATE TABLE seen (a text)";

#[tokio::test]
async fn what_slips_past_is_reset_before_the_next_caller() {
    let setup = Setup::with_pool(json!({"max_connections": 1})).await;
    setup.db.batch(SLIPPERY).await;
    let mut client = setup.client().await;
    for _ in 0..3 {
        ok(client.execute("SELECT slip()", json!([])).await);
        let look = "SELECT current_setting('app.user', true) AS u, current_setting('search_path') \
                    AS p, to_regclass('left_behind') AS t, (SELECT count(*) FROM pg_locks \
                    WHERE locktype = 'advisory' AND pid = pg_backend_pid()) AS n";
        let reply = ok(client.execute(look, json!([])).await);
        let row = &reply["rows"][0];
        assert!(row["u"].is_null() || row["u"] == "", "{row}");
        assert_eq!(row["p"], "\"$user\", public");
        assert_eq!((&row["t"], &row["n"]), (&Value::Null, &json!(0)));
    }
}

#[tokio::test]
async fn reset_on_return_false_leaves_everything_as_it_is() {
    let behavior = json!({"reset_on_return": false});
    let setup = Setup::with(&json!({
        "backends": {"primary": {"behavior": behavior, "pool": {"max_connections": 1}}},
    }))
    .await;
    setup.db.batch(SLIPPERY).await;
    let mut client = setup.client().await;
    ok(client.execute("SELECT slip()", json!([])).await);
    let look = "SELECT pg_catalog.current_setting('app.user', true) AS u";
    let reply = ok(client.execute(look, json!([])).await);
    assert_eq!(reply["rows"], json!([{"u": "mallory"}]));
}
