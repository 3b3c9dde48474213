//! When the database fails: three classes that are never mixed, the real cause at once, and
//! recovery without a restart.

use std::time::{Duration, Instant};

use e2e::{Linked, Setup, TestServer, eventually, failed, ok};
use serde_json::{Value, json};
use test_support::{StopMode, TestCluster};

/// Substrings by which Laravel, Doctrine and Cycle recognise a lost connection, in lower case.
const DETECTORS: [&str; 12] = [
    "connection",
    "server has gone away",
    "no connection to the server",
    "server closed the connection unexpectedly",
    "terminating connection",
    "query_wait_timeout",
    "reset by peer",
    "broken pipe",
    "0800",
    "080p",
    "went away",
    "failed to connect to",
];

pub(crate) fn assert_matches_no_detector(reply: &Value) {
    let text = reply.to_string().to_lowercase();
    for detector in DETECTORS {
        assert!(!text.contains(detector), "{detector:?} in {text}");
    }
}

async fn linked(pool: Value) -> Linked {
    let linked = Linked::with(&json!({"backends": {"primary": {
        "pool": pool,
        "behavior": {"query_timeout": "300ms"},
    }}}))
    .await;
    linked.setup.db.batch("CREATE TABLE t (a int)").await;
    linked
}

#[tokio::test]
async fn a_database_that_is_down_is_told_at_once_and_recovered_from() {
    let cluster = TestCluster::start().await;
    let server = TestServer::start(&cluster.dsn(), &json!({})).await;
    let mut client = server.client().await;
    ok(client.execute("SELECT 1", json!([])).await);
    cluster.stop(StopMode::Fast).await;
    for method in ["Execute", "TransactionBegin", "SessionBegin"] {
        let started = Instant::now();
        let request = if method == "Execute" { json!({"query": "SELECT 1"}) } else { json!({}) };
        let error = failed(client.call(method, request).await, "08001");
        assert!(error.to_lowercase().contains("refused"), "the real cause: {error}");
        assert!(started.elapsed() < Duration::from_secs(3), "not after acquire_timeout");
    }
    cluster.start_again().await;
    eventually("it works again", || async {
        let reply = server.client().await.execute("SELECT 1", json!([])).await.unwrap();
        reply.get("error").is_none()
    })
    .await;
}

#[tokio::test]
async fn wrong_passwords_and_missing_databases_are_told_as_such() {
    let setup = Setup::new().await;
    let dsn = setup.db.dsn();
    let more = json!({"databases": {
        "password": {"primary": {"dsn": dsn.replace(":secret@", ":geheim@")}},
        "missing": {"primary": {"dsn": format!("{dsn}_missing")}},
        "host": {"primary": {"dsn": "postgres://app:geheim@no-such-host.invalid/x"}},
    }});
    let server = TestServer::start(&dsn, &more).await;
    let mut client = server.client().await;
    for (database, code, part) in [
        ("password", "28P01", "password authentication failed"),
        ("missing", "3D000", "does not exist"),
        ("host", "08001", "no-such-host.invalid"),
    ] {
        let request = json!({"query": "SELECT 1", "database": database});
        let reply = client.call("Execute", request).await;
        assert!(!reply.as_ref().unwrap().to_string().contains("geheim"));
        let error = failed(reply, code);
        assert!(error.contains(part), "{database}: {error}");
        let health = ok(client.call("HealthCheck", json!({"database": database})).await);
        assert_eq!(health["health"][database], false);
    }
}

#[tokio::test]
async fn a_killed_idle_backend_goes_unnoticed_by_callers() {
    let setup = Setup::new().await;
    let mut client = setup.client().await;
    for n in 0..5 {
        ok(client.execute("SELECT 1", json!([])).await);
        assert_eq!(setup.db.kill_backends("usename = 'app'").await, 1);
        let reply = ok(client.execute("SELECT $1::int4 AS n", json!([n])).await);
        assert_eq!(reply["rows"], json!([{"n": n}]));
    }
}

#[tokio::test]
async fn class_one_not_executed() {
    let setup = Setup::new().await;
    let mut client = setup.client().await;
    // The server says goodbye in the middle of a statement that it rolls back.
    for statement in ["SELECT pg_sleep(60)", "INSERT INTO t SELECT 1 FROM pg_sleep(60)"] {
        setup.db.batch("CREATE TABLE IF NOT EXISTS t (a int)").await;
        client.send_json("Execute", &json!({"query": statement})).await.unwrap();
        let running = "wait_event = 'PgSleep'";
        eventually("it runs", || async { setup.db.kill_backends(running).await == 1 }).await;
        let (_, reply) = client.recv_json().await.unwrap();
        assert_eq!(reply["sqlstate"], "57P01", "{reply}");
        let error = reply["error"].as_str().unwrap();
        assert!(error.starts_with("terminating connection"), "{error}");
        assert!(error.contains("not executed"), "{error}");
    }
    // In a transaction nothing that was lost can have taken effect.
    ok(client.call("TransactionBegin", json!({"tx_id": "t"})).await);
    ok(client.call("Execute", json!({"tx_id": "t", "query": "INSERT INTO t VALUES (1)"})).await);
    assert_eq!(setup.db.kill_backends("state LIKE 'idle in%'").await, 1);
    let reply = client.call("TransactionCommit", json!({"tx_id": "t"})).await.unwrap();
    assert_eq!((&reply["success"], reply["sqlstate"].as_str().unwrap()), (&json!(false), "57P01"));
    ok(client.execute("SELECT 1", json!([])).await);
}

#[tokio::test]
async fn class_one_without_a_farewell() {
    let linked = linked(json!({})).await;
    let mut client = linked.server.client().await;
    let running = "wait_event = 'PgSleep'";
    let select = json!({"query": "SELECT pg_sleep(60)", "timeout": -1});
    client.send_json("Execute", &select).await.unwrap();
    eventually("it runs", || async { linked.setup.count(running).await == 1 }).await;
    linked.link.reset_all();
    let (_, reply) = client.recv_json().await.unwrap();
    assert_eq!(reply["sqlstate"], "08006", "a read has no effect to lose: {reply}");
    let error = reply["error"].as_str().unwrap();
    assert!(error.starts_with("server closed the connection unexpectedly"), "{error}");
    linked.setup.db.kill_backends(running).await;
}

#[tokio::test]
async fn class_two_outcome_unknown() {
    let linked = linked(json!({})).await;
    let mut client = linked.server.client().await;
    let running = "wait_event = 'PgSleep'";
    let insert = json!({"query": "INSERT INTO t SELECT 1 FROM pg_sleep(60)", "timeout": -1});
    client.send_json("Execute", &insert).await.unwrap();
    eventually("it runs", || async { linked.setup.count(running).await == 1 }).await;
    linked.link.reset_all();
    let (_, reply) = client.recv_json().await.unwrap();
    assert_eq!(reply["sqlstate"], "40003", "{reply}");
    assert_matches_no_detector(&reply);
    linked.setup.db.kill_backends(running).await;
    // COMMIT that was sent and not answered.
    for by_sql in [false, true] {
        ok(client.call("TransactionBegin", json!({"tx_id": "t"})).await);
        let insert = json!({"tx_id": "t", "query": "INSERT INTO t VALUES (7)"});
        ok(client.call("Execute", insert).await);
        let before = linked.link.counters().swallowed;
        linked.link.blackhole();
        if by_sql {
            let commit = json!({"tx_id": "t", "query": "COMMIT", "simple": true, "timeout": -1});
            client.send_json("Execute", &commit).await.unwrap();
        } else {
            client.send_json("TransactionCommit", &json!({"tx_id": "t"})).await.unwrap();
        }
        eventually("COMMIT was sent", || async { linked.link.counters().swallowed > before }).await;
        linked.link.reset_all();
        let (_, reply) = client.recv_json().await.unwrap();
        linked.link.resume();
        assert_eq!(reply["sqlstate"], "40003", "{reply}");
        assert!(reply["error"].as_str().unwrap().contains("COMMIT"), "{reply}");
        assert_ne!(reply.get("success"), Some(&json!(true)));
        assert_matches_no_detector(&reply);
        failed(client.call("TransactionCommit", json!({"tx_id": "t"})).await, "25000");
    }
}

#[tokio::test]
async fn a_caller_of_a_server_that_has_gone_silent_does_not_wait_for_every_cancel_request() {
    let linked = linked(json!({})).await;
    let mut client = linked.server.client().await;
    ok(client.execute("SELECT 1", json!([])).await);
    linked.link.blackhole();
    let reply = client.call("Execute", json!({"query": "SELECT 1", "timeout": 100})).await.unwrap();
    // One cancel request has 5 s, and there used to be five of them, one after the other.
    assert!(reply["execution_time"].as_i64().unwrap() < 15_000, "{reply}");
    assert_eq!(reply["sqlstate"], "57014", "{reply}");
}

#[tokio::test]
async fn class_three_overload() {
    let pool = json!({"max_connections": 2, "acquire_timeout": "500ms", "wait_queue_size": 3});
    let setup = Setup::with_pool(pool).await;
    let mut holder = setup.client().await;
    for _ in 0..2 {
        holder.send_json("Execute", &json!({"query": "SELECT pg_sleep(60)"})).await.unwrap();
    }
    let running = "wait_event = 'PgSleep'";
    eventually("they run", || async { setup.count(running).await == 2 }).await;
    let mut client = setup.client().await;
    let reply = client.execute("SELECT 1", json!([])).await;
    assert_matches_no_detector(reply.as_ref().unwrap());
    let error = failed(reply, "53300");
    assert!(error.contains("pool \"primary\"") && error.contains("2 in all"), "{error}");
    assert!(error.contains("callers waiting: 0"), "{error}");
    // Three wait, the others are refused at once.
    for _ in 0..6 {
        client.send_json("Execute", &json!({"query": "SELECT 1"})).await.unwrap();
    }
    let mut refused = 0;
    for n in 0..6 {
        let (_, reply) = client.recv_json().await.unwrap();
        assert_eq!(reply["sqlstate"], "53300", "{reply}");
        assert_matches_no_detector(&reply);
        let at_once = reply["error"].as_str().unwrap().contains("wait_queue_size");
        refused += u32::from(at_once);
        assert_eq!(at_once, n < 3, "the refused ones come first: {reply}");
    }
    assert_eq!(refused, 3);
    drop(holder);
    eventually("there is room again", || async {
        setup.client().await.execute("SELECT 1", json!([])).await.unwrap().get("error").is_none()
    })
    .await;
}

#[tokio::test]
async fn held_connections_leave_room_for_short_statements() {
    let pool = json!({"max_connections": 5, "max_held": "50%", "acquire_timeout": "500ms"});
    let setup = Setup::with_pool(pool).await;
    let mut client = setup.client().await;
    // Half of five, rounded down; transactions and sessions together.
    ok(client.call("TransactionBegin", json!({"tx_id": "a"})).await);
    ok(client.call("SessionBegin", json!({"session_id": "b"})).await);
    client.send_json("TransactionBegin", &json!({"tx_id": "c"})).await.unwrap();
    let mut other = setup.client().await;
    for _ in 0..5 {
        ok(other.execute("SELECT 1", json!([])).await);
    }
    let (_, reply) = client.recv_json().await.unwrap();
    assert_eq!(reply["sqlstate"], "53300", "{reply}");
    assert!(reply["error"].as_str().unwrap().contains("pool.max_held"), "{reply}");
    assert_matches_no_detector(&reply);
    // The name is free, and so is the place when somebody ends.
    client.send_json("TransactionBegin", &json!({"tx_id": "c"})).await.unwrap();
    ok(other.call("TransactionCommit", json!({"tx_id": "a"})).await);
    let (_, reply) = client.recv_json().await.unwrap();
    assert_eq!(reply["tx_id"], "c", "{reply}");
}

#[tokio::test]
async fn postgresql_never_sees_more_connections_than_configured() {
    let setup = Setup::with_pool(json!({"max_connections": 3})).await;
    let mut clients = Vec::new();
    for n in 0..12 {
        let mut client = setup.client().await;
        for k in 0..8 {
            let query = match (n + k) % 4 {
                0 => "SELECT pg_sleep(0.01)",
                1 => "SELECT pg_sleep(60)",
                2 => "SELECT 1/0",
                _ => "SELECT set_config('a.b', 'c', true)",
            };
            let request = json!({"query": query, "timeout": 15});
            client.send_json("Execute", &request).await.unwrap();
        }
        clients.push(client);
    }
    // Some leave in the middle of it.
    clients.truncate(8);
    let mut most = 0;
    for client in &mut clients {
        for _ in 0..8 {
            client.recv_json().await.unwrap();
            most = most.max(setup.count("application_name = 'rr-pgpool'").await);
        }
    }
    assert!((1..=3).contains(&most), "{most} at once");
}

#[tokio::test]
async fn a_database_that_does_not_answer_is_told_in_time() {
    let linked = linked(json!({"max_connections": 4, "max_held": 4})).await;
    let mut client = linked.server.client().await;
    for n in 0..4 {
        ok(client.call("SessionBegin", json!({"session_id": format!("{n}")})).await);
    }
    for n in 0..3 {
        ok(client.call("SessionEnd", json!({"session_id": format!("{n}")})).await);
    }
    linked.link.stall();
    let settings = json!({"TimeZone": "Asia/Tokyo"});
    for (method, request) in [
        ("TransactionBegin", json!({})),
        ("SessionBegin", json!({"settings": settings})),
        ("Execute", json!({"query": "SELECT 1", "settings": settings, "timeout": 300})),
    ] {
        let started = Instant::now();
        let error = failed(client.call(method, request).await, "57014");
        assert!(error.contains("300 ms"), "{method}: {error}");
        assert!(started.elapsed() < Duration::from_secs(5), "{method}");
    }
    linked.link.resume();
    eventually("it works again", || async {
        let reply = linked.server.client().await.execute("SELECT 1", json!([])).await.unwrap();
        reply.get("error").is_none()
    })
    .await;
}
