//! Clients that go away in the middle of something.

use e2e::{Setup, eventually, failed, ok};
use serde_json::json;

const SLEEPING: &str = "wait_event = 'PgSleep'";

#[tokio::test]
async fn a_running_statement_is_cancelled() {
    let setup = Setup::new().await;
    let mut client = setup.client().await;
    for _ in 0..3 {
        client.send_json("Execute", &json!({"query": "SELECT pg_sleep(60)"})).await.unwrap();
    }
    eventually("they run", || async { setup.count(SLEEPING).await == 3 }).await;
    drop(client);
    eventually("they are cancelled", || async { setup.count(SLEEPING).await == 0 }).await;
    eventually("nobody holds a connection", || async {
        let stats = setup.client().await.call("PoolStats", json!({})).await.unwrap();
        stats["stats"]["primary"]["active_connections"] == 0
    })
    .await;
}

#[tokio::test]
async fn it_is_seen_with_as_many_calls_in_flight_as_may_be() {
    let setup = Setup::with(&json!({"rpc": {"max_in_flight": 1}})).await;
    for more in 0..3 {
        let mut client = setup.client().await;
        for _ in 0..=more {
            client.send_json("Execute", &json!({"query": "SELECT pg_sleep(60)"})).await.unwrap();
        }
        eventually("one runs", || async { setup.count(SLEEPING).await == 1 }).await;
        drop(client);
        eventually("it is cancelled", || async { setup.count(SLEEPING).await == 0 }).await;
    }
}

#[tokio::test]
async fn a_place_in_the_queue_is_given_up() {
    let setup = Setup::with_pool(json!({"max_connections": 1, "acquire_timeout": "60s"})).await;
    let mut holder = setup.client().await;
    holder.send_json("Execute", &json!({"query": "SELECT pg_sleep(60)"})).await.unwrap();
    eventually("it runs", || async { setup.count(SLEEPING).await == 1 }).await;
    let mut waiter = setup.client().await;
    for _ in 0..3 {
        waiter.send_json("Execute", &json!({"query": "SELECT 1"})).await.unwrap();
    }
    waiter.send_json("TransactionBegin", &json!({"tx_id": "t"})).await.unwrap();
    waiter.send_json("SessionBegin", &json!({"session_id": "s"})).await.unwrap();
    let mut observer = setup.client().await;
    let waiting = |reply: serde_json::Value| reply["stats"]["primary"]["waiting_clients"].clone();
    loop {
        if waiting(ok(observer.call("PoolStats", json!({})).await)) == 5 {
            break;
        }
    }
    drop(waiter);
    loop {
        if waiting(ok(observer.call("PoolStats", json!({})).await)) == 0 {
            break;
        }
    }
    let stats = ok(observer.call("PoolStats", json!({})).await)["stats"]["primary"].clone();
    assert_eq!(stats["canceled_acquire_count"], 5);
    drop(holder);
    // The names that were asked for are free again.
    ok(observer.call("TransactionBegin", json!({"tx_id": "t"})).await);
    ok(observer.call("TransactionRollback", json!({"tx_id": "t"})).await);
}

#[tokio::test]
async fn a_call_in_a_transaction_of_somebody_else_ends_that_transaction() {
    let setup = Setup::new().await;
    setup.db.batch("CREATE TABLE t (a int)").await;
    let mut owner = setup.client().await;
    ok(owner.call("TransactionBegin", json!({"tx_id": "t"})).await);
    let insert = json!({"tx_id": "t", "query": "INSERT INTO t VALUES (1)"});
    ok(owner.call("Execute", insert).await);
    let mut guest = setup.client().await;
    let long = json!({"tx_id": "t", "query": "SELECT pg_sleep(60)"});
    guest.send_json("Execute", &long).await.unwrap();
    eventually("it runs", || async { setup.count(SLEEPING).await == 1 }).await;
    drop(guest);
    eventually("it is cancelled", || async { setup.count(SLEEPING).await == 0 }).await;
    let error = failed(owner.call("TransactionCommit", json!({"tx_id": "t"})).await, "25000");
    assert!(error.contains("cut off"), "{error}");
    let reply = ok(owner.execute("SELECT count(*) AS n FROM t", json!([])).await);
    assert_eq!(reply["rows"], json!([{"n": 0}]));
}

#[tokio::test]
async fn one_that_waits_its_turn_in_a_transaction_harms_nobody() {
    let setup = Setup::new().await;
    let holder = setup.db.client().await;
    holder.batch_execute("SELECT pg_advisory_lock(8)").await.unwrap();
    let mut owner = setup.client().await;
    ok(owner.call("TransactionBegin", json!({"tx_id": "t"})).await);
    let blocked = json!({"tx_id": "t", "query": "SELECT pg_advisory_xact_lock(8)"});
    owner.send_json("Execute", &blocked).await.unwrap();
    eventually("it waits for the lock", || async {
        setup.count("wait_event = 'advisory'").await == 1
    })
    .await;
    let mut guest = setup.client().await;
    guest.send_json("Execute", &json!({"tx_id": "t", "query": "SELECT 1/0"})).await.unwrap();
    guest.call("Version", json!({})).await.unwrap();
    drop(guest);
    eventually("it has left", || async { setup.server.clients() == 1 }).await;
    holder.batch_execute("SELECT pg_advisory_unlock(8)").await.unwrap();
    let (_, reply) = owner.recv_json().await.unwrap();
    assert!(reply.get("error").is_none(), "{reply}");
    ok(owner.call("TransactionCommit", json!({"tx_id": "t"})).await);
}

#[tokio::test]
async fn half_a_request_is_forgotten() {
    let setup = Setup::new().await;
    for size in [1, 5, 20, 30, 60] {
        let mut client = setup.client().await;
        let body = br#"{"query":"SELECT pg_sleep(60)"}"#;
        let frame = test_support::rpc::RpcFrame::request(
            1,
            "pgpool.Execute",
            test_support::rpc::JSON,
            body,
        );
        client.send_bytes(&frame.encode()[..size]).await.unwrap();
    }
    eventually("all are gone", || async { setup.server.clients() == 0 }).await;
    assert_eq!(setup.count(SLEEPING).await, 0);
}

#[tokio::test]
async fn a_client_gone_between_begin_and_its_reply_leaves_no_transaction() {
    let setup = Setup::with_pool(json!({"max_connections": 3, "max_held": 3})).await;
    for n in 0..30 {
        let mut client = setup.client().await;
        client.send_json("TransactionBegin", &json!({"tx_id": format!("t{n}")})).await.unwrap();
        if n % 3 == 0 {
            let _ = client.recv_bytes(1).await;
        }
    }
    let mut client = setup.client().await;
    eventually("none is open", || async {
        setup.count("state LIKE 'idle in%'").await == 0 && setup.server.clients() == 1
    })
    .await;
    for n in 0..3 {
        ok(client.call("TransactionBegin", json!({"tx_id": format!("t{n}")})).await);
    }
    let stats = ok(client.call("PoolStats", json!({})).await)["stats"]["primary"].clone();
    assert_eq!(stats["transactions_open"], 3);
}
