//! Several requests in flight on one connection, and many connections: who waits for whom.

use std::collections::BTreeSet;
use std::time::Duration;

use e2e::{Setup, eventually, failed, ok};
use serde_json::{Value, json};
use test_support::RpcClient;
use test_support::rpc::{JSON, RpcFrame};

/// Waits for an advisory lock that a test holds: a statement that runs until it is let go.
const BLOCKED: &str = "SELECT pg_advisory_xact_lock(7)";
/// Backends that stand at that lock.
const AT_THE_LOCK: &str = "wait_event_type = 'Lock' AND wait_event = 'advisory'";

fn execute(sql: &str) -> Value {
    json!({"query": sql})
}

async fn hold_lock(setup: &Setup) -> tokio_postgres::Client {
    let client = setup.db.client().await;
    client.batch_execute("SELECT pg_advisory_lock(7)").await.unwrap();
    client
}

async fn release(holder: tokio_postgres::Client) {
    holder.batch_execute("SELECT pg_advisory_unlock(7)").await.unwrap();
}

#[tokio::test]
async fn replies_come_as_calls_finish() {
    let setup = Setup::new().await;
    let holder = hold_lock(&setup).await;
    let mut client = setup.client().await;
    let blocked = client.send_json("Execute", &execute(BLOCKED)).await.unwrap();
    let quick = client.send_json("Execute", &execute("SELECT 1 AS a")).await.unwrap();
    let (seq, reply) = client.recv_json().await.unwrap();
    assert_eq!((seq, &reply["rows"]), (quick, &json!([{"a": 1}])));
    let health = client.send_json("HealthCheck", &json!({})).await.unwrap();
    assert_eq!(client.recv_json().await.unwrap().0, health);
    release(holder).await;
    let (seq, reply) = client.recv_json().await.unwrap();
    assert_eq!(seq, blocked);
    assert!(reply.get("error").is_none(), "{reply}");
}

#[tokio::test]
async fn requests_in_flight_are_bounded_and_all_answered() {
    let setup = Setup::with(&json!({"rpc": {"max_in_flight": 3}})).await;
    setup.db.batch("CREATE TABLE t (a int)").await;
    let holder = hold_lock(&setup).await;
    let mut client = setup.client().await;
    let mut pending = BTreeSet::new();
    for _ in 0..3 {
        pending.insert(client.send_json("Execute", &execute(BLOCKED)).await.unwrap());
    }
    eventually("three at the lock", || async { setup.count(AT_THE_LOCK).await == 3 }).await;
    for _ in 0..20 {
        let insert = execute("INSERT INTO t VALUES (1)");
        pending.insert(client.send_json("Execute", &insert).await.unwrap());
    }
    // Another connection has places of its own, and the calls above are behind it in time.
    let mut other = setup.client().await;
    for _ in 0..3 {
        let reply = ok(other.execute("SELECT count(*) AS n FROM t", json!([])).await);
        assert_eq!(reply["rows"], json!([{"n": 0}]), "the fourth waits unread");
    }
    release(holder).await;
    while !pending.is_empty() {
        let (seq, reply) = client.recv_json().await.unwrap();
        assert!(pending.remove(&seq), "one reply per request");
        assert!(reply.get("error").is_none(), "{reply}");
    }
    let reply = ok(client.execute("SELECT count(*) AS n FROM t", json!([])).await);
    assert_eq!(reply["rows"], json!([{"n": 20}]));
}

#[tokio::test]
async fn a_long_pipeline_is_answered_whole() {
    let setup = Setup::with(&json!({"rpc": {"max_in_flight": 4}})).await;
    let mut client = setup.client().await;
    let mut sent = BTreeSet::new();
    for n in 0..300 {
        let request = json!({"query": "SELECT $1::int4 AS n", "args": [n]});
        sent.insert((client.send_json("Execute", &request).await.unwrap(), n));
    }
    for _ in 0..300 {
        let (seq, reply) = client.recv_json().await.unwrap();
        let n = reply["rows"][0]["n"].as_i64().unwrap();
        assert!(sent.remove(&(seq, n)), "{seq} {n}");
    }
}

#[tokio::test]
async fn a_client_that_does_not_read_stops_nobody_else() {
    let setup = Setup::with_pool(json!({"max_connections": 2})).await;
    let mut slow = setup.client().await;
    let large = execute("SELECT repeat('x', 4000000) AS v");
    let mut sent = BTreeSet::new();
    for _ in 0..12 {
        // 48 MB in all: far beyond what the sockets' buffers hold.
        sent.insert(slow.send_json("Execute", &large).await.unwrap());
    }
    let mut other = setup.client().await;
    for n in 0..20 {
        let reply = ok(other.execute("SELECT $1::int8 AS n", json!([n])).await);
        assert_eq!(reply["rows"][0]["n"], n);
    }
    // Results wait in memory, not on server connections.
    eventually("nothing runs any more", || async { setup.count("state = 'active'").await == 0 })
        .await;
    while !sent.is_empty() {
        let (seq, reply) = slow.recv_json().await.unwrap();
        assert!(sent.remove(&seq));
        assert_eq!(reply["rows"][0]["v"].as_str().unwrap().len(), 4_000_000);
    }
}

#[tokio::test]
async fn requests_that_waited_behind_an_unread_reply_are_served_too() {
    for places in 1..=2 {
        let setup = Setup::with(&json!({"rpc": {"max_in_flight": places}})).await;
        let mut client = setup.client().await;
        let large = execute("SELECT repeat('x', 6000000) AS v").to_string();
        // All at once, so that those beyond the places lie in the server's buffer.
        let mut bytes = Vec::new();
        for seq in 1..=5 {
            let body = large.as_bytes();
            bytes.extend(RpcFrame::request(seq, "pgpool.Execute", JSON, body).encode());
        }
        client.send_bytes(&bytes).await.unwrap();
        // Not read before the replies fill the sockets' buffers.
        eventually("the first were executed", || async {
            let stats = setup.client().await.call("PoolStats", json!({})).await.unwrap();
            stats["stats"]["primary"]["query_count"] == places
        })
        .await;
        let mut answered = BTreeSet::new();
        for _ in 0..5 {
            let reply = tokio::time::timeout(Duration::from_secs(20), client.recv_json()).await;
            let (seq, reply) = reply.expect("a reply").unwrap();
            assert_eq!(reply["rows_affected"], 1, "{seq}");
            answered.insert(seq);
        }
        assert_eq!(answered.len(), 5);
    }
}

#[tokio::test]
async fn many_connections_work_at_once_and_idle_ones_stay_open() {
    let setup = Setup::with_pool(json!({"max_connections": 4})).await;
    let mut clients: Vec<RpcClient> = Vec::new();
    for _ in 0..150 {
        clients.push(setup.client().await);
    }
    for round in 0..3 {
        for (n, client) in clients.iter_mut().enumerate() {
            let request =
                json!({"query": "SELECT $1::text AS v", "args": [format!("{round}-{n}")]});
            client.send_json("Execute", &request).await.unwrap();
        }
        for (n, client) in clients.iter_mut().enumerate() {
            let (_, reply) = client.recv_json().await.unwrap();
            assert_eq!(reply["rows"], json!([{"v": format!("{round}-{n}")}]));
        }
    }
    assert_eq!(setup.server.clients(), 150);
    drop(clients);
    eventually("all have left", || async { setup.server.clients() == 0 }).await;
}

#[tokio::test]
async fn connections_beyond_the_limit_are_closed_at_once() {
    let setup = Setup::with(&json!({"rpc": {"max_connections": 2}})).await;
    let (mut first, mut second) = (setup.client().await, setup.client().await);
    ok(first.call("HealthCheck", json!({})).await);
    ok(second.call("HealthCheck", json!({})).await);
    assert!(setup.client().await.is_closed_by_server().await);
    drop(second);
    eventually("there is room again", || async {
        setup.client().await.call("Version", json!({})).await.is_ok()
    })
    .await;
    ok(first.call("HealthCheck", json!({})).await);
}

#[tokio::test]
async fn several_databases_work_side_by_side() {
    let setup = Setup::new().await;
    let other = test_support::TestCluster::shared().await.database().await;
    let more = json!({"databases": {"other": {"primary": {"dsn": other.dsn()}}}});
    let server = e2e::TestServer::start(&setup.db.dsn(), &more).await;
    let mut client = server.client().await;
    for (database, name) in [
        (json!(null), setup.db.name()),
        (json!("primary"), setup.db.name()),
        (json!("other"), other.name()),
    ] {
        let request = json!({"query": "SELECT current_database() AS d", "database": database});
        let reply = ok(client.call("Execute", request).await);
        assert_eq!(reply["rows"], json!([{"d": name}]));
    }
    ok(client.call("TransactionBegin", json!({"tx_id": "t", "database": "other"})).await);
    let request = json!({"query": "SELECT current_database() AS d", "tx_id": "t"});
    let reply = ok(client.call("Execute", request).await);
    assert_eq!(reply["rows"], json!([{"d": other.name()}]));

    let same = json!({"query": "SELECT 1", "tx_id": "t", "database": "other"});
    ok(client.call("Execute", same).await);
    let another = json!({"query": "SELECT 1", "tx_id": "t", "database": "primary"});
    let error = failed(client.call("Execute", another).await, "22023");
    assert!(error.contains("\"other\""), "{error}");
}
