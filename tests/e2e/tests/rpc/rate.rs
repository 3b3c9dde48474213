//! `features.rate_limit` at the RPC door: each connection has a bucket of its own; what is refused
//! has not been executed, and what ends or closes something is never refused.

use std::time::Instant;

use e2e::{Setup, failed, in_time, ok};
use serde_json::{Value, json};
use test_support::RpcClient;

use crate::failures::assert_matches_no_detector;

async fn limited(per_second: u32, burst: u32) -> Setup {
    let setup = Setup::with(&json!({"features": {"rate_limit": {
        "enabled": true, "requests_per_second": per_second, "burst": burst,
    }}}))
    .await;
    setup.db.batch("CREATE TABLE t (a int)").await;
    setup
}

/// Calls until it is refused; how often that succeeded, and the refusal. What a slow machine lets
/// fill up meanwhile is not more than the rate, one a second.
async fn exhaust(client: &mut RpcClient, method: &str, request: Value) -> (u64, Value) {
    let started = Instant::now();
    let mut succeeded = 0;
    loop {
        let reply = client.call(method, request.clone()).await.unwrap();
        if reply.get("error").is_some() {
            assert_eq!(reply["sqlstate"], "53400", "{reply}");
            let in_time = started.elapsed().as_secs() + 1;
            assert!(succeeded <= 3 + in_time, "{succeeded} within {in_time} s");
            return (succeeded, reply);
        }
        succeeded += 1;
    }
}

#[tokio::test]
async fn above_the_limit_nothing_is_executed_and_the_client_stays() {
    let setup = limited(1, 3).await;
    let mut client = setup.client().await;
    let insert = json!({"query": "INSERT INTO t VALUES (1)", "request_id": "r"});
    let (inserted, refusal) = exhaust(&mut client, "Execute", insert).await;
    assert!(inserted >= 3, "the burst: {inserted}");
    assert_eq!((&refusal["request_id"], &refusal["rows_affected"]), (&json!("r"), &json!(0)));
    assert_matches_no_detector(&refusal);
    let text = refusal["error"].as_str().unwrap();
    assert!(text.contains("1 requests per second, 3 at once"), "{text}");
    let ms = text.rsplit_once("retry after ").unwrap().1.strip_suffix(" ms").unwrap();
    assert!((1..=1000).contains(&ms.parse::<u32>().unwrap()), "{text}");
    let rows = setup.db.client().await.query("TABLE t", &[]).await.unwrap();
    assert_eq!(rows.len() as u64, inserted);
    // It fills up again, and others have their own.
    ok(setup.client().await.execute("SELECT 1", json!([])).await);
    let mut replies = Vec::new();
    let asked = async {
        while replies.last().is_none_or(|reply: &Value| reply.get("error").is_some()) {
            replies.push(client.execute("SELECT 1", json!([])).await.unwrap());
        }
    };
    in_time("it is let in", asked).await;
    for reply in replies.iter().filter(|reply| reply.get("error").is_some()) {
        assert_eq!(reply["sqlstate"], "53400");
    }
}

#[tokio::test]
async fn every_method_that_may_execute_counts_and_no_other() {
    let setup = limited(1, 3).await;
    for (method, request) in [
        ("Execute", json!({"query": "SELECT 1"})),
        ("ExecuteBatch", json!({"statements": [{"query": "SELECT 1"}, {"query": "SELECT 2"}]})),
        ("CursorOpen", json!({"query": "SELECT 1"})),
        ("TransactionBegin", json!({})),
        ("BeginTransaction", json!({})),
        ("SessionBegin", json!({})),
    ] {
        let (succeeded, _) = exhaust(&mut setup.client().await, method, request).await;
        assert!(succeeded >= 3, "{method}: {succeeded}");
    }
    let mut client = setup.client().await;
    exhaust(&mut client, "Execute", json!({"query": "SELECT 1"})).await;
    for method in ["PoolStats", "HealthCheck", "Version"] {
        for _ in 0..5 {
            ok(client.call(method, json!({})).await);
        }
    }
}

#[tokio::test]
async fn a_transaction_and_a_cursor_survive_a_refusal() {
    let setup = limited(1, 3).await;
    let mut client = setup.client().await;
    ok(client.call("TransactionBegin", json!({"tx_id": "t"})).await);
    let open = json!({"tx_id": "t", "query": "SELECT generate_series(1, 3) AS n"});
    let cursor = ok(client.call("CursorOpen", open).await)["cursor_id"].clone();
    let insert = json!({"tx_id": "t", "query": "INSERT INTO t VALUES (1)"});
    let (inserted, _) = exhaust(&mut client, "Execute", insert).await;
    let fetch = json!({"cursor_id": cursor, "count": 10});
    let mut fetched = client.call("CursorFetch", fetch.clone()).await;
    let asked = async {
        while fetched.as_ref().unwrap().get("error").is_some() {
            failed(fetched, "53400");
            fetched = client.call("CursorFetch", fetch.clone()).await;
        }
        fetched
    };
    let fetched = in_time("it is let in", asked).await;
    assert_eq!(ok(fetched)["rows"].as_array().unwrap().len(), 3, "none was lost");
    for _ in 0..3 {
        // Ending is never refused.
        ok(client.call("CursorClose", json!({"cursor_id": cursor})).await);
    }
    ok(client.call("TransactionCommit", json!({"tx_id": "t"})).await);
    let rows = setup.db.client().await.query("TABLE t", &[]).await.unwrap();
    assert_eq!(rows.len() as u64, inserted, "all that was not refused, and only that");
    assert!(inserted >= 1);
}

#[tokio::test]
async fn requests_sent_ahead_are_counted_in_the_order_in_which_they_come() {
    let setup = limited(1, 3).await;
    let mut client = setup.client().await;
    let started = Instant::now();
    for n in 0..20 {
        let request =
            json!({"query": format!("INSERT INTO t VALUES ({n})"), "request_id": n.to_string()});
        client.send_json("Execute", &request).await.unwrap();
    }
    let mut done = Vec::new();
    for _ in 0..20 {
        let (_, reply) = client.recv_json().await.unwrap();
        if reply.get("error").is_none() {
            done.push(reply["request_id"].as_str().unwrap().parse::<u64>().unwrap());
        }
    }
    done.sort_unstable();
    assert_eq!(done.get(..3), Some(&[0, 1, 2][..]), "the first ones: {done:?}");
    assert!(done.len() as u64 <= 3 + started.elapsed().as_secs() + 1, "{done:?}");
}

#[tokio::test]
async fn who_stays_below_it_never_notices() {
    let setup = limited(1_000_000, 100).await;
    let mut client = setup.client().await;
    for _ in 0..500 {
        ok(client.execute("SELECT 1", json!([])).await);
    }
}
