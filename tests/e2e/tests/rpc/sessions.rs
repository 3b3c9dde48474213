//! Sessions: a connection of one's own without a transaction.

use e2e::{Setup, eventually, failed, ok};
use serde_json::{Value, json};

fn within(session: &str, query: &str) -> Value {
    json!({"session_id": session, "query": query})
}

#[tokio::test]
async fn everything_that_needs_a_session_works_in_one() {
    let setup = Setup::new().await;
    setup.db.batch("CREATE TABLE t (id serial PRIMARY KEY, a int)").await;
    let mut client = setup.client().await;
    let id = ok(client.call("SessionBegin", json!({})).await)["session_id"].clone();
    let id = id.as_str().unwrap();
    assert!(id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit()), "128 bits: {id}");
    let pid = ok(client.call("Execute", within(id, "SELECT pg_backend_pid() AS p")).await)["rows"]
        .clone();
    for (query, rows) in [
        ("CREATE TEMP TABLE mine (a int)", None),
        ("INSERT INTO mine VALUES (1), (2)", None),
        ("SELECT sum(a) AS s FROM mine", Some(json!([{"s": 3}]))),
        ("LISTEN news", None),
        ("SELECT pg_listening_channels() AS c", Some(json!([{"c": "news"}]))),
        ("SELECT pg_advisory_lock(11)::text AS l", Some(json!([{"l": ""}]))),
        ("SELECT pg_advisory_unlock(11) AS u", Some(json!([{"u": true}]))),
        ("INSERT INTO t (a) VALUES (7)", None),
        ("SELECT lastval() AS v", Some(json!([{"v": 1}]))),
        ("SELECT currval('t_id_seq') AS v", Some(json!([{"v": 1}]))),
        ("SET work_mem = '7MB'", None),
        ("SHOW work_mem", Some(json!([{"work_mem": "7MB"}]))),
        ("PREPARE p (int) AS SELECT $1 + 1 AS r", None),
        ("EXECUTE p (1)", Some(json!([{"r": 2}]))),
        ("DEALLOCATE p", None),
        ("DECLARE c CURSOR WITH HOLD FOR SELECT generate_series(1, 3) AS g", None),
        ("FETCH 2 FROM c", Some(json!([{"g": 1}, {"g": 2}]))),
        ("CLOSE c", None),
        ("BEGIN", None),
        ("INSERT INTO t (a) VALUES (8)", None),
        ("ROLLBACK", None),
        ("SELECT count(*) AS n FROM t", Some(json!([{"n": 1}]))),
        ("SELECT pg_backend_pid() AS p", Some(pid.clone())),
    ] {
        let reply = ok(client.call("Execute", within(id, query)).await);
        if rows.is_some() {
            assert_eq!(reply.get("rows"), rows.as_ref(), "{query}");
        }
    }
    let ended = ok(client.call("SessionEnd", json!({"session_id": id})).await);
    assert_eq!(ended, json!({"success": true}));
}

#[tokio::test]
async fn nothing_of_it_is_left_for_the_next_caller() {
    let setup = Setup::with_pool(json!({"max_connections": 1})).await;
    let mut client = setup.client().await;
    for end in ["SessionEnd", "a transaction left open", "an error"] {
        ok(client.call("SessionBegin", json!({"session_id": "s"})).await);
        for query in [
            "CREATE TEMP TABLE mine (a int)",
            "SET app.who = 'x'",
            "LISTEN news",
            "SELECT pg_advisory_lock(3)",
            "DECLARE c CURSOR WITH HOLD FOR SELECT 1",
            "SET search_path = pg_catalog",
        ] {
            ok(client.call("Execute", within("s", query)).await);
        }
        if end == "a transaction left open" {
            ok(client.call("Execute", within("s", "BEGIN")).await);
        }
        if end == "an error" {
            failed(client.call("Execute", within("s", "SELECT 1/0")).await, "22012");
        }
        ok(client.call("SessionEnd", json!({"session_id": "s"})).await);
        let look = "SELECT to_regclass('mine') AS t, \
                    coalesce(current_setting('app.who', true), '') AS u, \
                    (SELECT count(*) FROM pg_listening_channels()) AS c, \
                    (SELECT count(*) FROM pg_cursors WHERE name = 'c') AS k, \
                    (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()) AS l, \
                    current_setting('search_path') AS p";
        let reply = ok(client.execute(look, json!([])).await);
        let clean = json!({"t": null, "u": "", "c": 0, "k": 0, "l": 0, "p": "\"$user\", public"});
        assert_eq!(reply["rows"][0], clean, "after {end}");
    }
}

#[tokio::test]
async fn ids_are_checked_like_those_of_transactions() {
    let setup = Setup::new().await;
    let mut client = setup.client().await;
    failed(client.call("Execute", within("none", "SELECT 1")).await, "25P01");
    failed(client.call("SessionEnd", json!({"session_id": "none"})).await, "25P01");
    ok(client.call("SessionBegin", json!({"session_id": "s"})).await);
    failed(client.call("SessionBegin", json!({"session_id": "s"})).await, "42710");
    failed(client.call("Execute", json!({"tx_id": "s", "query": "SELECT 1"})).await, "25P01");
    failed(client.call("TransactionCommit", json!({"tx_id": "s"})).await, "25P01");
    let mut other = setup.client().await;
    ok(other.call("Execute", within("s", "SELECT 1")).await);
    let reply = other.call("SessionEnd", json!({"session_id": "s"})).await;
    assert_eq!(ok(reply), json!({"success": true}));
    for (method, request) in
        [("Execute", within("s", "SELECT 1")), ("SessionEnd", json!({"session_id": "s"}))]
    {
        failed(client.call(method, request).await, "25000");
    }
    let long = json!({"session_id": "x".repeat(129)});
    failed(client.call("SessionBegin", long).await, "22023");
}

#[tokio::test]
async fn lastval_in_a_transaction_is_the_transactions_own() {
    let setup = Setup::with_pool(json!({"max_connections": 2})).await;
    setup.db.batch("CREATE TABLE t (id serial PRIMARY KEY)").await;
    let mut client = setup.client().await;
    for n in 1..=3 {
        ok(client.call("TransactionBegin", json!({"tx_id": "t"})).await);
        ok(client
            .call("Execute", json!({"tx_id": "t", "query": "INSERT INTO t DEFAULT VALUES"}))
            .await);
        let reply = ok(client
            .call("Execute", json!({"tx_id": "t", "query": "SELECT lastval() AS v"}))
            .await);
        assert_eq!(reply["rows"], json!([{"v": n}]));
        ok(client.call("TransactionCommit", json!({"tx_id": "t"})).await);
        // The next one's connection does not know of it.
        ok(client.call("TransactionBegin", json!({"tx_id": "u"})).await);
        failed(
            client.call("Execute", json!({"tx_id": "u", "query": "SELECT lastval()"})).await,
            "55000",
        );
        ok(client.call("TransactionRollback", json!({"tx_id": "u"})).await);
    }
}

#[tokio::test]
async fn a_session_that_loses_its_connection_is_over() {
    let setup = Setup::new().await;
    let mut client = setup.client().await;
    ok(client.call("SessionBegin", json!({"session_id": "s"})).await);
    ok(client.call("Execute", within("s", "SELECT 1 AS in_the_session")).await);
    assert_eq!(setup.db.kill_backends("query LIKE '%in_the_session%'").await, 1);
    let reply = client.call("Execute", within("s", "SELECT 1")).await.unwrap();
    assert_eq!(reply["sqlstate"], "57P01", "{reply}");
    failed(client.call("Execute", within("s", "SELECT 1")).await, "25000");
    eventually("it is counted out", || async {
        let stats = setup.client().await.call("PoolStats", json!({})).await.unwrap();
        stats["stats"]["primary"]["sessions_open"] == 0
    })
    .await;
}
