//! `features.circuit_breaker` at the RPC door: a server that keeps failing is left alone, and what
//! only looks like a failure of the server's counts for nothing.

use e2e::{Linked, Setup, TestServer, eventually, failed, ok};
use serde_json::{Value, json};
use test_support::{RpcClient, StopMode, TestCluster};

fn breaker(threshold: u32, timeout: &str) -> Value {
    json!({"features": {"circuit_breaker": {
        "enabled": true, "threshold": threshold, "timeout": timeout,
    }}})
}

async fn state(client: &mut RpcClient) -> String {
    let stats = ok(client.call("PoolStats", json!({})).await);
    stats["stats"]["primary"]["breaker"].as_str().unwrap().to_owned()
}

/// Every call that takes a connection, by itself.
fn acquisitions() -> [(&'static str, Value); 5] {
    [
        ("Execute", json!({"query": "SELECT 1"})),
        ("ExecuteBatch", json!({"statements": [{"query": "SELECT 1"}]})),
        ("CursorOpen", json!({"query": "SELECT 1"})),
        ("TransactionBegin", json!({})),
        ("SessionBegin", json!({})),
    ]
}

#[tokio::test]
async fn after_failures_in_a_row_the_server_is_not_even_dialled() {
    let linked = Linked::with(&breaker(3, "1h")).await;
    let mut client = linked.server.client().await;
    linked.link.refuse(true);
    for _ in 0..3 {
        assert_eq!(state(&mut client).await, "closed");
        let error = failed(client.execute("SELECT 1", json!([])).await, "08001");
        assert!(error.contains("cannot connect"), "the real cause: {error}");
    }
    assert_eq!(state(&mut client).await, "open");
    linked.link.refuse(false);
    let dialled = linked.link.counters().connections;
    for (method, request) in acquisitions() {
        let error = failed(client.call(method, request).await, "08001");
        assert!(error.contains("\"primary\"") && error.contains("circuit breaker"), "{error}");
        assert!(error.contains("next try in 3"), "about an hour, in ms: {error}");
    }
    assert_eq!(linked.link.counters().connections, dialled, "nobody was asked");
    // Looking after the server goes on.
    assert_eq!(ok(client.call("HealthCheck", json!({})).await)["health"]["primary"], true);
    let packed = ok(client.call_msgpack("PoolStats", json!({})).await);
    assert_eq!(packed["stats"]["primary"]["breaker"], "open");
}

#[tokio::test]
async fn one_call_is_the_probe_and_the_others_are_refused_meanwhile() {
    let linked = Linked::with(&breaker(1, "10ms")).await;
    let (mut client, mut other) = (linked.server.client().await, linked.server.client().await);
    linked.link.refuse(true);
    failed(client.execute("SELECT 1", json!([])).await, "08001");
    eventually("its time is over", || async {
        state(&mut linked.server.client().await).await == "half-open"
    })
    .await;
    linked.link.refuse(false);
    linked.link.stall();
    let before = linked.link.counters().connections;
    client.send_json("Execute", &json!({"query": "SELECT 1 AS a"})).await.unwrap();
    eventually("it dials", || async { linked.link.counters().connections == before + 1 }).await;
    for (method, request) in acquisitions() {
        let error = failed(other.call(method, request).await, "08001");
        assert!(error.contains("is being tried"), "{error}");
    }
    assert_eq!(linked.link.counters().connections, before + 1, "one probe");
    linked.link.resume();
    let (_, reply) = client.recv_json().await.unwrap();
    assert_eq!(reply["rows"], json!([{"a": 1}]));
    assert_eq!(state(&mut other).await, "closed");
    ok(other.call("TransactionBegin", json!({})).await);
}

#[tokio::test]
async fn a_server_that_was_stopped_is_found_again_by_the_next_probe() {
    let cluster = TestCluster::start().await;
    let server = TestServer::start(&cluster.dsn(), &breaker(2, "50ms")).await;
    let mut client = server.client().await;
    ok(client.execute("SELECT 1", json!([])).await);
    cluster.stop(StopMode::Fast).await;
    eventually("refused", || async {
        let reply = server.client().await.execute("SELECT 1", json!([])).await;
        failed(reply, "08001").contains("circuit breaker")
    })
    .await;
    assert_ne!(state(&mut client).await, "closed");
    cluster.start_again().await;
    eventually("it works again", || async {
        let reply = server.client().await.execute("SELECT 1", json!([])).await.unwrap();
        reply.get("error").is_none()
    })
    .await;
    assert_eq!(state(&mut client).await, "closed");
}

#[tokio::test]
async fn connections_that_break_off_count_and_idle_ones_serve_on() {
    let linked = Linked::with(&breaker(2, "1h")).await;
    let mut clients = [linked.server.client().await, linked.server.client().await];
    for client in &mut clients {
        let sleep = json!({"query": "SELECT pg_sleep(60)"});
        client.send_json("Execute", &sleep).await.unwrap();
    }
    let running = "state = 'active' AND wait_event = 'PgSleep'";
    eventually("both run", || async { linked.setup.count(running).await == 2 }).await;
    linked.link.reset_all();
    for client in &mut clients {
        assert_eq!(client.recv_json().await.unwrap().1["sqlstate"], "08006");
    }
    let [client, other] = &mut clients;
    eventually("open", || async { state(&mut linked.server.client().await).await == "open" }).await;
    let error = failed(client.execute("SELECT 1", json!([])).await, "08001");
    assert!(error.contains("circuit breaker"), "{error}");
    assert_eq!(state(other).await, "open");
}

#[tokio::test]
async fn a_statement_on_a_connection_that_is_open_closes_it() {
    let linked = Linked::with(&breaker(1, "1h")).await;
    let (mut client, mut other) = (linked.server.client().await, linked.server.client().await);
    ok(client.call("TransactionBegin", json!({"tx_id": "t"})).await);
    linked.link.refuse(true);
    failed(other.execute("SELECT 1", json!([])).await, "08001");
    assert_eq!(state(&mut other).await, "open");
    ok(client.call("Execute", json!({"tx_id": "t", "query": "SELECT 1"})).await);
    assert_eq!(state(&mut other).await, "closed", "the server is there");
    ok(client.call("TransactionCommit", json!({"tx_id": "t"})).await);
    // No new connection is needed for this one, which could not be opened.
    ok(other.execute("SELECT 1", json!([])).await);
}

#[tokio::test]
async fn what_the_server_or_the_pool_says_in_words_never_opens_it() {
    let mut more = breaker(1, "1h");
    // One connection, and a short wait for it.
    more["backends"]["primary"]["pool"] = json!({"max_connections": 1, "acquire_timeout": "300ms"});
    let setup = Setup::with(&more).await;
    let mut client = setup.client().await;
    for (sql, code) in [("SELECT 1/0", "22012"), ("nonsense", "42601"), ("TABLE no", "42P01")] {
        failed(client.execute(sql, json!([])).await, code);
    }
    let slow = json!({"query": "SELECT pg_sleep(60)", "timeout": 20});
    failed(client.call("Execute", slow.clone()).await, "57014");
    ok(client.call("TransactionBegin", json!({"tx_id": "t"})).await);
    let full = failed(setup.client().await.execute("SELECT 1", json!([])).await, "53300");
    assert!(full.contains("exhausted"), "{full}");
    assert_eq!(setup.db.kill_backends("state LIKE 'idle in%'").await, 1);
    let commit = client.call("TransactionCommit", json!({"tx_id": "t"})).await;
    failed(commit, "57P01");
    assert_eq!(state(&mut client).await, "closed");
    // A client that goes away takes its statement with it.
    let mut leaver = setup.client().await;
    eventually("a place is free", || async {
        let reply = setup.client().await.execute("SELECT 1", json!([])).await.unwrap();
        reply.get("error").is_none()
    })
    .await;
    leaver.send_json("Execute", &json!({"query": "SELECT pg_sleep(60)"})).await.unwrap();
    let running = "wait_event = 'PgSleep'";
    eventually("it runs", || async { setup.count(running).await == 1 }).await;
    drop(leaver);
    eventually("it is cancelled", || async { setup.count(running).await == 0 }).await;
    assert_eq!(state(&mut client).await, "closed");
}

#[tokio::test]
async fn a_wrong_password_stays_the_cause_that_is_told() {
    let cluster = TestCluster::shared().await;
    let db = cluster.database().await;
    let dsn = cluster.dsn_of("app", "wrong", db.name());
    let server = TestServer::start(&dsn, &breaker(1, "1h")).await;
    let mut client = server.client().await;
    for _ in 0..3 {
        failed(client.execute("SELECT 1", json!([])).await, "28P01");
    }
    assert_eq!(state(&mut client).await, "closed");
}

#[tokio::test]
async fn each_pool_has_its_own() {
    let setup = Setup::new().await;
    let cluster = TestCluster::shared().await;
    // Nothing listens where its socket would be.
    let down = format!("host=/nowhere port={} user=app dbname=app", cluster.port());
    let mut more = breaker(1, "1h");
    more["databases"] = json!({"down": {"primary": {"dsn": down}}});
    let server = TestServer::start(&setup.db.dsn(), &more).await;
    let mut client = server.client().await;
    eventually("the other one is open", || async {
        let request = json!({"query": "SELECT 1", "database": "down"});
        let reply = server.client().await.call("Execute", request).await;
        failed(reply, "08001").contains("\"down\"")
    })
    .await;
    assert_eq!(state(&mut client).await, "closed");
    ok(client.execute("SELECT 1", json!([])).await);
}
