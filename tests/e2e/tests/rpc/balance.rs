//! Which of two replicas gets a read.

use e2e::{Replicated, WHERE, eventually, ok};
use serde_json::json;

/// Two replicas that both take reads.
async fn balanced(kind: &str) -> Replicated {
    let all = Replicated::with(2, json!({"load_balance": kind, "read_your_writes": "off"})).await;
    for replica in &all.replicas {
        let port = i64::from(replica.port());
        eventually("it takes reads", || async {
            let mut seen = false;
            for _ in 0..8 {
                seen |= read(&all).await == port;
            }
            seen
        })
        .await;
    }
    all
}

/// Reads from a replica, and tells which port that has.
async fn read(all: &Replicated) -> i64 {
    let request = json!({"route": "replica"});
    Replicated::seen(&mut all.server.client().await, WHERE, request).await.1
}

/// How many of so many reads the second replica got.
async fn share_of_the_second(all: &Replicated, reads: usize) -> usize {
    let second = i64::from(all.replicas[1].port());
    let mut found = 0;
    for _ in 0..reads {
        found += usize::from(read(all).await == second);
    }
    found
}

#[tokio::test]
async fn round_robin_takes_turns() {
    let all = balanced("round_robin").await;
    assert_eq!(share_of_the_second(&all, 40).await, 20);
}

#[tokio::test]
async fn random_takes_any() {
    let all = balanced("random").await;
    // Seven standard deviations around the half.
    let found = share_of_the_second(&all, 400).await;
    assert!((130..=270).contains(&found), "{found}");
}

#[tokio::test]
async fn weights_are_proportions() {
    let all = balanced("weighted").await;
    // The weights are 1 and 3: seven standard deviations around three quarters.
    let found = share_of_the_second(&all, 400).await;
    assert!((240..=360).contains(&found), "{found}");
}

#[tokio::test]
async fn least_connections_avoids_the_busy_one() {
    let all = Replicated::with(
        2,
        json!({"load_balance": "least_connections", "read_your_writes": "off"}),
    )
    .await;
    let mut holder = all.server.client().await;
    let begin = json!({"tx_id": "t", "read_only": true, "route": "replica"});
    ok(holder.call("TransactionBegin", begin).await);
    let reply = ok(holder.call("Execute", json!({"tx_id": "t", "query": WHERE})).await);
    let busy = reply["rows"][0]["p"].as_i64().unwrap();
    eventually("the other one takes reads", || async { read(&all).await != busy }).await;
    for _ in 0..20 {
        assert_ne!(read(&all).await, busy);
    }
}
