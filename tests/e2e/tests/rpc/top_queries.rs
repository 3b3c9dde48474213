//! TopQueries: what both doors have executed, one entry for each text without its constants.

use e2e::{Setup, TestServer, failed, ok};
use serde_json::{Value, json};
use test_support::RpcClient;

async fn top(client: &mut RpcClient, request: Value) -> Vec<Value> {
    ok(client.call("TopQueries", request).await)["queries"].as_array().unwrap().clone()
}

/// What was counted of one text.
fn of<'a>(all: &'a [Value], query: &str) -> &'a Value {
    let found: Vec<_> = all.iter().filter(|one| one["query"] == query).collect();
    assert_eq!(found.len(), 1, "{query} in {all:#?}");
    found[0]
}

#[tokio::test]
async fn both_doors_count_calls_rows_errors_and_times_without_constants() {
    let setup = Setup::new().await;
    setup.db.batch("CREATE TABLE t (a int PRIMARY KEY, b text)").await;
    let mut client = setup.client().await;
    let insert = "INSERT INTO t VALUES ($1, 'secret')";
    for a in 1..=3 {
        ok(client.execute(insert, json!([a])).await);
    }
    failed(client.execute(insert, json!([3])).await, "23505");
    ok(client.execute("SELECT pg_sleep(0.05), 'secret'", json!([])).await);
    let mut wire = setup.wire().await;
    for a in 1..=5 {
        wire.query(&format!("SELECT b FROM t WHERE a IN ({a}, 2, 3) -- secret")).await.unwrap();
    }
    wire.query("SELECT b FROM t WHERE a IN (1/0)").await.unwrap();
    let all = top(&mut client, json!({})).await;
    let inserted = of(&all, "INSERT INTO t VALUES ($1, ...)");
    assert_eq!(inserted["database"], "primary");
    assert_eq!((&inserted["calls"], &inserted["errors"]), (&json!(4), &json!(1)));
    assert_eq!(inserted["rows"], 3);
    let selected = of(&all, "SELECT b FROM t WHERE a IN (?, ...)");
    assert_eq!((&selected["calls"], &selected["errors"]), (&json!(5), &json!(0)));
    // 1, 2, 3; then 2, 3 and twice with a fourth and fifth that are not there.
    assert_eq!(selected["rows"], 3 + 2 + 2 + 2 + 2);
    assert_eq!(of(&all, "SELECT b FROM t WHERE a IN (?/?)")["errors"], 1);
    let slept = &all[0];
    assert_eq!(slept["query"], "SELECT pg_sleep(?), ?", "most time comes first");
    let us = |field: &str| slept[field].as_u64().unwrap();
    assert!(us("total_time_us") >= 50_000 && us("mean_time_us") == us("total_time_us"), "{slept}");
    assert!((40_000..=us("total_time_us") * 3 / 2).contains(&us("p99_time_us")), "{slept}");
    assert!(!format!("{all:?}").contains("secret"), "{all:#?}");
}

#[tokio::test]
async fn prepared_statements_batches_and_cursors_are_counted_as_well() {
    let setup = Setup::new().await;
    let mut client = setup.client().await;
    let statement = json!({"query": "SELECT $1::int AS batched", "args": [1]});
    ok(client.call("ExecuteBatch", json!({"statements": [statement, statement]})).await);
    let cursor = ok(client
        .call("CursorOpen", json!({"query": "SELECT generate_series(1, 3) AS fetched"}))
        .await)["cursor_id"]
        .clone();
    ok(client.call("CursorFetch", json!({"cursor_id": cursor, "count": 10})).await);
    let (prepared, connection) = connect(&setup.server).await;
    let statement = prepared.prepare("SELECT $1::int AS prepared").await.unwrap();
    for n in 0..7 {
        prepared.query_one(&statement, &[&n]).await.unwrap();
    }
    prepared.query("SELECT nothing AS failed", &[]).await.unwrap_err();
    // It is counted when all of its answer is there, which this one comes behind.
    prepared.query_one(&statement, &[&7]).await.unwrap();
    connection.abort();
    let all = top(&mut client, json!({"limit": 100})).await;
    assert_eq!(of(&all, "SELECT $1::int AS batched")["calls"], 2);
    assert_eq!(of(&all, "SELECT generate_series(?, ...) AS fetched")["calls"], 1);
    let prepared = of(&all, "SELECT $1::int AS prepared");
    assert_eq!((&prepared["calls"], &prepared["rows"]), (&json!(8), &json!(8)));
    assert_eq!(of(&all, "SELECT nothing AS failed")["errors"], 1);
}

async fn connect(server: &TestServer) -> (tokio_postgres::Client, tokio::task::JoinHandle<()>) {
    let address = server.proxy_address().trim_start_matches("tcp://");
    let dsn = format!(
        "postgres://{}:{}@{address}/primary",
        test_support::postgres::ROLE,
        test_support::postgres::PASSWORD
    );
    let (client, connection) = tokio_postgres::connect(&dsn, tokio_postgres::NoTls).await.unwrap();
    (client, tokio::spawn(async move { drop(connection.await) }))
}

#[tokio::test]
async fn order_limit_and_database_choose() {
    let setup = Setup::new().await;
    let more = json!({"databases": {"reports": {"primary": {"dsn": setup.db.dsn()}}}});
    let server = TestServer::start(&setup.db.dsn(), &more).await;
    let mut client = server.client().await;
    for _ in 0..3 {
        ok(client.execute("SELECT 1 AS often", json!([])).await);
    }
    ok(client.execute("SELECT generate_series(1, 50) AS many", json!([])).await);
    failed(client.execute("SELECT wrong", json!([])).await, "42703");
    let request = json!({"database": "reports", "query": "SELECT pg_sleep(0.02) AS slow"});
    ok(client.call("Execute", request).await);
    for (order, first) in [
        ("calls", "SELECT ? AS often"),
        ("rows", "SELECT generate_series(?, ...) AS many"),
        ("errors", "SELECT wrong"),
        ("mean", "SELECT pg_sleep(?) AS slow"),
        ("p99", "SELECT pg_sleep(?) AS slow"),
        ("total", "SELECT pg_sleep(?) AS slow"),
    ] {
        let all = top(&mut client, json!({"database": "*", "order": order, "limit": 1})).await;
        assert_eq!(all.len(), 1, "{order}");
        assert_eq!(all[0]["query"], first, "{order}");
    }
    assert_eq!(top(&mut client, json!({"database": "reports"})).await.len(), 1);
    assert_eq!(top(&mut client, json!({})).await.len(), 3);
    for (request, code, part) in [
        (json!({"limit": -1}), "22023", "1 to 1000"),
        (json!({"limit": 1001}), "22023", "1 to 1000"),
        (json!({"order": "name"}), "22023", "\"calls\""),
        (json!({"database": "nowhere"}), "3D000", "nowhere"),
    ] {
        let error = failed(client.call("TopQueries", request).await, code);
        assert!(error.contains(part), "{error}");
    }
    let reply = ok(client.call_msgpack("TopQueries", json!({"request_id": "r"})).await);
    assert_eq!(
        (&reply["request_id"], reply["queries"].as_array().unwrap().len()),
        (&json!("r"), 3)
    );
}

#[tokio::test]
async fn however_many_statements_there_are_few_are_kept() {
    let setup = Setup::with(&json!({"monitoring": {"top_statements": 8}})).await;
    let mut client = setup.client().await;
    let mut wire = setup.wire().await;
    for n in 0..60 {
        ok(client.execute(&format!("SELECT 1 AS a{n}"), json!([])).await);
        wire.query(&format!("SELECT 1 AS b{n}")).await.unwrap();
        ok(client.execute("SELECT 1 AS often", json!([])).await);
        wire.query("SELECT 1 AS often").await.unwrap();
    }
    let all = top(&mut client, json!({"order": "calls", "limit": 1000})).await;
    assert!(all.len() <= 8, "{all:#?}");
    assert_eq!((&all[0]["query"], &all[0]["calls"]), (&json!("SELECT ? AS often"), &json!(120)));
}

#[tokio::test]
async fn it_can_be_switched_off() {
    for (monitoring, key) in [
        (json!({"expose_rpc": false}), "monitoring.expose_rpc"),
        (json!({"top_statements": 0}), "monitoring.top_statements"),
        (json!({"enabled": false}), "monitoring.enabled"),
    ] {
        let setup = Setup::with(&json!({"monitoring": monitoring})).await;
        let mut client = setup.client().await;
        ok(client.execute("SELECT 1", json!([])).await);
        let error = failed(client.call("TopQueries", json!({})).await, "0A000");
        assert!(error.contains(key), "{error}");
    }
}
