//! SQL errors and refusals of Execute: code, text, and the fields that frameworks read.

use e2e::{Setup, failed, ok};
use serde_json::{Value, json};

async fn error(setup: &Setup, query: &str) -> Value {
    let reply = setup.client().await.execute(query, json!([])).await.unwrap();
    assert!(reply["error"].is_string() && reply["sqlstate"].is_string(), "{query}: {reply}");
    assert_eq!(reply["error"], reply["error_detail"]["message"], "{reply}");
    assert_eq!(reply["rows_affected"], 0, "{reply}");
    assert!(reply.get("rows").is_none() && reply.get("columns").is_none(), "{reply}");
    reply
}

#[tokio::test]
async fn a_unique_violation_names_what_it_violates() {
    let setup = Setup::new().await;
    setup
        .db
        .batch(
            "CREATE SCHEMA shop; CREATE TABLE shop.item (id int PRIMARY KEY, name text NOT NULL); \
             INSERT INTO shop.item VALUES (1, 'a')",
        )
        .await;
    let reply = error(&setup, "INSERT INTO shop.item VALUES (1, 'b')").await;
    assert_eq!(reply["sqlstate"], "23505");
    assert_eq!(
        reply["error_detail"],
        json!({
            "severity": "ERROR",
            "message": "duplicate key value violates unique constraint \"item_pkey\"",
            "detail": "Key (id)=(1) already exists.",
            "schema": "shop",
            "table": "item",
            "constraint": "item_pkey",
        })
    );
    let reply = error(&setup, "INSERT INTO shop.item VALUES (2, NULL)").await;
    assert_eq!(reply["sqlstate"], "23502");
    let detail = &reply["error_detail"];
    assert_eq!((&detail["table"], &detail["column"]), (&json!("item"), &json!("name")));
}

#[tokio::test]
async fn a_syntax_error_has_its_position_in_characters() {
    let setup = Setup::new().await;
    let reply = error(&setup, "SELECT 'é' FRO t").await;
    assert_eq!(reply["sqlstate"], "42601");
    assert_eq!(reply["error_detail"]["position"], 16);
    let reply = error(&setup, "SELECT * FROM missing").await;
    assert_eq!(
        (&reply["sqlstate"], &reply["error_detail"]["position"]),
        (&json!("42P01"), &json!(15))
    );
    let reply = error(&setup, "SELECT lenght('a')").await;
    assert_eq!(reply["sqlstate"], "42883");
    assert!(reply["error_detail"]["hint"].is_string(), "{reply}");
}

#[tokio::test]
async fn a_raised_error_arrives_untouched() {
    let setup = Setup::new().await;
    let raise = "DO $$ BEGIN RAISE EXCEPTION 'no \"way\" %', E'\\n' USING ERRCODE = 'XY123', \
                 DETAIL = 'the detail', HINT = 'the hint', SCHEMA = 's', TABLE = 't', \
                 COLUMN = 'c', CONSTRAINT = 'k'; END $$";
    let reply = error(&setup, raise).await;
    assert_eq!(reply["sqlstate"], "XY123");
    assert_eq!(
        reply["error_detail"],
        json!({
            "severity": "ERROR", "message": "no \"way\" \n", "detail": "the detail",
            "hint": "the hint", "schema": "s", "table": "t", "column": "c", "constraint": "k",
        })
    );
}

#[tokio::test]
async fn an_error_after_rows_leaves_no_rows_behind() {
    let setup = Setup::new().await;
    let reply = error(&setup, "SELECT 1 / (500 - i) FROM generate_series(1, 1000) AS i").await;
    assert_eq!(reply["sqlstate"], "22012");
}

#[tokio::test]
async fn a_failed_call_harms_no_other_on_the_same_connection() {
    let setup = Setup::with_pool(json!({"max_connections": 1})).await;
    let mut client = setup.client().await;
    for n in 0..20 {
        for query in [
            "SELECT 1/0",
            "SELEC",
            "SELECT $1::int4 /* no argument */",
            "SELECT 1/(5-i) FROM generate_series(1,9) i",
        ] {
            let request = json!({"query": query});
            client.send_json("Execute", &request).await.unwrap();
        }
        let request = json!({"query": "SELECT $1::int8 AS n", "args": [n]});
        let last = client.send_json("Execute", &request).await.unwrap();
        for _ in 0..5 {
            let (seq, reply) = client.recv_json().await.unwrap();
            assert_eq!(reply.get("error").is_none(), seq == last, "{reply}");
            if seq == last {
                assert_eq!(reply["rows"], json!([{"n": n}]));
            }
        }
    }
    assert_eq!(setup.count("usename = 'app' AND state = 'idle'").await, 1);
}

#[tokio::test]
async fn an_unknown_database_is_told_with_those_there_are() {
    let setup = Setup::new().await;
    let mut client = setup.client().await;
    for method in ["Execute", "TransactionBegin", "SessionBegin", "PoolStats", "HealthCheck"] {
        let mut request = json!({"database": "nope"});
        if method == "Execute" {
            request["query"] = json!("SELECT 1");
        }
        let error = failed(client.call(method, request).await, "3D000");
        assert_eq!(error, "database \"nope\" does not exist here; configured: primary", "{method}");
    }
}

#[tokio::test]
async fn a_request_that_makes_no_sense_is_refused_by_field() {
    let setup = Setup::new().await;
    let mut client = setup.client().await;
    for (request, field) in [
        (json!({}), "query"),
        (json!({"query": ""}), "query"),
        (json!({"query": "SELECT 1", "tx_id": ""}), "tx_id"),
        (json!({"query": "SELECT 1", "session_id": ""}), "session_id"),
        (json!({"query": "SELECT 1", "session_id": "a", "tx_id": "b"}), "tx_id or session_id"),
        (json!({"query": "SELECT 1", "timeout": -2}), "timeout"),
        (json!({"query": "SELECT 1", "timeout": i64::MAX}), "timeout"),
        (json!({"query": "SELECT 1", "settings": {"a b": "c"}}), "settings"),
    ] {
        let shown = request.to_string();
        let error = failed(client.call("Execute", request).await, "22023");
        assert!(error.contains(field), "{shown}: {error}");
    }
    for (method, field) in [
        ("TransactionCommit", "tx_id"),
        ("TransactionRollback", "tx_id"),
        ("SessionEnd", "session_id"),
    ] {
        let reply = client.call(method, json!({})).await;
        assert_eq!(reply.as_ref().unwrap()["success"], false);
        let error = failed(reply, "22023");
        assert!(error.contains(field), "{error}");
    }
    let error = failed(client.execute("SELECT 'a\u{0}b'", json!([])).await, "22023");
    assert!(error.contains("NUL"), "{error}");
}

#[tokio::test]
async fn copy_is_refused_and_the_connection_usable() {
    let setup = Setup::with_pool(json!({"max_connections": 1})).await;
    setup.db.batch("CREATE TABLE t (a int); INSERT INTO t VALUES (1)").await;
    let mut client = setup.client().await;
    for query in ["COPY t TO STDOUT", "COPY t FROM STDIN"] {
        for simple in [false, true] {
            let request = json!({"query": query, "simple": simple});
            let error = failed(client.call("Execute", request).await, "0A000");
            assert!(error.contains("COPY"), "{error}");
            let reply = ok(client.execute("SELECT a FROM t", json!([])).await);
            assert_eq!(reply["rows"], json!([{"a": 1}]));
        }
    }
}

#[tokio::test]
async fn who_has_cancelled_a_statement_is_not_guessed() {
    let setup = Setup::new().await;
    let mut client = setup.client().await;
    let settings = json!({"statement_timeout": "50ms"});
    let sleep = "SELECT pg_sleep(60)";
    let request = json!({"query": sleep, "settings": settings});
    let error = failed(client.call("Execute", request).await, "57014");
    assert_eq!(error, "canceling statement due to statement timeout", "PostgreSQL's own");
    let request = json!({"statements": [{"query": sleep}], "settings": settings});
    let reply = ok(client.call("ExecuteBatch", request).await);
    assert_eq!(reply["results"][0]["error"], "canceling statement due to statement timeout");
    let reply = ok(client.call("CursorOpen", json!({"query": sleep, "settings": settings})).await);
    let request = json!({"cursor_id": reply["cursor_id"]});
    let error = failed(client.call("CursorFetch", request).await, "57014");
    assert_eq!(error, "canceling statement due to statement timeout");
    let error =
        failed(client.call("Execute", json!({"query": sleep, "timeout": 50})).await, "57014");
    assert!(error.contains("query timeout after 50 ms"), "{error}");
}
