//! Limits of one statement: its time, and the size of its reply.

use e2e::{Setup, eventually, failed, ok};
use serde_json::json;

/// Backends that work on a statement of the server under test.
const RUNNING: &str = "usename = 'app' AND state = 'active'";

#[tokio::test]
async fn a_statement_that_runs_out_of_time_is_cancelled_at_the_server() {
    let setup = Setup::with_pool(json!({"max_connections": 1})).await;
    let mut client = setup.client().await;
    let backend = "SELECT pg_backend_pid() AS pid";
    let before = ok(client.execute(backend, json!([])).await)["rows"].clone();
    for _ in 0..5 {
        let request = json!({"query": "SELECT pg_sleep(60)", "timeout": 30});
        let error = failed(client.call("Execute", request).await, "57014");
        assert_eq!(error, "canceling statement due to query timeout after 30 ms");
        assert_eq!(setup.count(RUNNING).await, 0, "nothing runs when the answer is there");
        let reply = ok(client.execute(backend, json!([])).await);
        assert_eq!(reply["rows"], before, "the connection survives");
    }
}

#[tokio::test]
async fn zero_is_the_configured_limit_and_minus_one_none() {
    let setup = Setup::with(&json!({
        "backends": {"primary": {"behavior": {"query_timeout": "40ms"}}},
    }))
    .await;
    let mut client = setup.client().await;
    let sleep = |seconds: f64, timeout: serde_json::Value| json!({"query": format!("SELECT pg_sleep({seconds})"), "timeout": timeout});
    for timeout in [json!(null), json!(0)] {
        let error = failed(client.call("Execute", sleep(60.0, timeout)).await, "57014");
        assert!(error.contains("40 ms"), "{error}");
    }
    ok(client.call("Execute", sleep(0.1, json!(-1))).await);
    ok(client.call("Execute", sleep(0.1, json!(60_000))).await);
    let error = failed(client.call("Execute", sleep(60.0, json!(60))).await, "57014");
    assert!(error.contains("60 ms"), "{error}");
}

#[tokio::test]
async fn a_late_cancel_never_hits_the_next_statement() {
    let setup = Setup::with_pool(json!({"max_connections": 1})).await;
    let mut client = setup.client().await;
    let mut cut = 0;
    for n in 0..100_u32 {
        // About as long as its limit: sometimes done in time, sometimes cancelled.
        let sleep = format!("SELECT pg_sleep({})", 0.002 * f64::from(1 + n % 7));
        let request = json!({"query": sleep, "timeout": 2 + n % 5});
        let reply = client.call("Execute", request).await.unwrap();
        cut += u32::from(reply["sqlstate"] == "57014");
        assert!(reply.get("error").is_none() || reply["sqlstate"] == "57014", "{reply}");
        let reply = ok(client
            .execute("SELECT count(*) AS n FROM generate_series(1, 2000)", json!([]))
            .await);
        assert_eq!(reply["rows"], json!([{"n": 2000}]));
    }
    assert!(cut > 0, "some must have been cancelled for this to be a test");
}

#[tokio::test]
async fn the_time_counts_from_the_first_byte_not_from_the_queue() {
    let setup = Setup::with_pool(json!({"max_connections": 1})).await;
    let mut client = setup.client().await;
    let holder = json!({"query": "SELECT pg_sleep(0.3)"});
    let long = client.send_json("Execute", &holder).await.unwrap();
    eventually("it runs", || async { setup.count(RUNNING).await == 1 }).await;
    let short = json!({"query": "SELECT 1 AS a", "timeout": 100});
    let quick = client.send_json("Execute", &short).await.unwrap();
    assert_eq!(client.recv_json().await.unwrap().0, long);
    let (seq, reply) = client.recv_json().await.unwrap();
    assert_eq!((seq, &reply["rows"]), (quick, &json!([{"a": 1}])));
}

#[tokio::test]
async fn a_reply_that_is_too_large_is_an_error_and_the_connection_usable() {
    let pool = json!({"max_connections": 1});
    let setup = Setup::with(&json!({
        "rpc": {"max_frame_size": "64KiB"},
        "backends": {"primary": {"pool": pool}},
    }))
    .await;
    setup.db.batch("CREATE TABLE t (a text)").await;
    let mut client = setup.client().await;
    let fits = ok(client.execute("SELECT repeat('x', 50000) AS v", json!([])).await);
    assert_eq!(fits["rows"][0]["v"].as_str().unwrap().len(), 50_000);
    for query in [
        // One value, many rows, what grows only when it is escaped, many columns, no rows at all.
        "SELECT repeat('x', 70000) AS v",
        "SELECT repeat('x', 5000000) AS v",
        "SELECT i, repeat('x', 100) FROM generate_series(1, 2000) AS i",
        "SELECT repeat(E'\\u0001', 15000) AS v",
        "INSERT INTO t SELECT repeat('y', 100) FROM generate_series(1, 1000) RETURNING a",
    ] {
        for result in ["assoc", "rows"] {
            for simple in [false, true] {
                let request = json!({"query": query, "result": result, "simple": simple});
                let reply = client.call("Execute", request.clone()).await.unwrap();
                assert_eq!(reply["sqlstate"], "54000", "{query}: {reply}");
                let error = reply["error"].as_str().unwrap();
                assert!(error.contains("exceeds 65536 bytes"), "{query}: {error}");
                assert!(reply.get("rows").is_none(), "{reply}");
                let reply = client.call_msgpack("Execute", request).await.unwrap();
                let small = query.contains("u0001") && reply.get("error").is_none();
                assert!(small || reply["sqlstate"] == "54000", "{query}: {reply}");
            }
        }
        ok(client.execute("SELECT 1", json!([])).await);
    }
    let reply = ok(client.execute("SELECT count(*) AS n FROM t", json!([])).await);
    assert_eq!(reply["rows"], json!([{"n": 8000}]), "what the error says: it was executed");
}

#[tokio::test]
async fn many_columns_and_the_smallest_frame_still_give_replies() {
    let setup = Setup::with(&json!({"rpc": {"max_frame_size": "4KiB"}})).await;
    let mut client = setup.client().await;
    let columns = (0..400).map(|n| format!("1 AS a_rather_long_name_{n}")).collect::<Vec<_>>();
    let query = format!("SELECT {} LIMIT 0", columns[..100].join(", "));
    failed(client.execute(&query, json!([])).await, "54000");
    let request = json!({"query": "SELECT 1/0", "request_id": "x".repeat(1000)});
    let reply = client.call("Execute", request).await;
    assert_eq!(reply.as_ref().unwrap()["request_id"], "x".repeat(1000));
    failed(reply, "22012");
    let raise = "DO $$ BEGIN RAISE EXCEPTION '%', repeat('m', 10000); END $$";
    let error = failed(client.execute(raise, json!([])).await, "XX000");
    assert!(error.contains("too large"), "{error}");
    let reply = ok(client.execute("SELECT 1 AS a", json!([])).await);
    assert_eq!(reply["rows"], json!([{"a": 1}]), "a small result fits the smallest frame");
}
