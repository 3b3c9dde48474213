//! Cancel requests: they reach the statement that runs for the client with that key, and nothing
//! else, however late they come.

use e2e::{Setup, eventually};
use serde_json::json;
use test_support::WireClient;
use test_support::postgres::{PASSWORD, ROLE};
use test_support::wire::message::{bind, execute, parse, query, sync};
use test_support::wire::{cancel, summary};

use crate::talk::runs;

async fn over(connections: u32) -> Setup {
    Setup::with(&json!({"backends": {"primary": {"pool": {"max_connections": connections}}}})).await
}

#[tokio::test]
async fn it_stops_what_runs_for_its_client_only() {
    let setup = over(2).await;
    let (mut client, mut other) = (setup.wire().await, setup.wire().await);
    client.send(&query("SELECT pg_sleep(60), 'a'")).await.unwrap();
    other.send(&query("SELECT pg_sleep(0.3), 'b'")).await.unwrap();
    runs(&setup, "pg_sleep(60)").await;
    cancel(setup.server.proxy_address(), &client.key).await.unwrap();
    assert_eq!(summary(&client.until_ready().await.unwrap()), "T E(57014) Z(I)");
    assert_eq!(summary(&other.until_ready().await.unwrap()), "T D(,b) C(SELECT 1) Z(I)");
    assert_eq!(client.rows("SELECT 1").await, ["1"]);
}

#[tokio::test]
async fn it_stops_a_statement_of_the_extended_protocol_in_a_transaction() {
    let setup = over(1).await;
    let mut client = setup.wire().await;
    client.query("BEGIN").await.unwrap();
    let batch = [parse("", "SELECT pg_sleep(60)"), bind("", "", &[]), execute("", 0), sync()];
    client.send_all(&batch).await.unwrap();
    runs(&setup, "pg_sleep(60)").await;
    cancel(setup.server.proxy_address(), &client.key).await.unwrap();
    assert_eq!(summary(&client.until_ready().await.unwrap()), "1 2 E(57014) Z(E)");
    assert_eq!(summary(&client.query("ROLLBACK").await.unwrap()), "C(ROLLBACK) Z(I)");
}

#[tokio::test]
async fn a_key_that_nobody_has_stops_nothing() {
    let setup = over(1).await;
    let mut client = setup.wire().await;
    client.send(&query("SELECT pg_sleep(0.3)")).await.unwrap();
    runs(&setup, "pg_sleep(0.3)").await;
    let mut wrong = client.key.clone();
    wrong[7] ^= 1;
    for key in [wrong, vec![0; 8], vec![0xff; 8], Vec::new(), vec![1; 300]] {
        // Whatever is wrong with it, there is no answer.
        cancel(setup.server.proxy_address(), &key).await.unwrap();
    }
    assert_eq!(summary(&client.until_ready().await.unwrap()), "T D() C(SELECT 1) Z(I)");
}

#[tokio::test]
async fn it_ends_the_wait_for_a_connection() {
    let setup = over(1).await;
    let (mut holder, mut waiter) = (setup.wire().await, setup.wire().await);
    holder.query("BEGIN").await.unwrap();
    waiter.send(&query("SELECT 1")).await.unwrap();
    let waits = || async {
        let mut rpc = setup.client().await;
        let stats = rpc.call("PoolStats", json!({})).await.unwrap();
        stats["stats"]["primary"]["waiting_clients"] == 1
    };
    eventually("it waits", waits).await;
    cancel(setup.server.proxy_address(), &waiter.key).await.unwrap();
    assert_eq!(summary(&waiter.until_ready().await.unwrap()), "E(57014) Z(I)");
    holder.query("COMMIT").await.unwrap();
    assert_eq!(waiter.rows("SELECT 1").await, ["1"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn late_ones_never_hit_the_next_client() {
    let setup = over(1).await;
    let mut other = setup.wire().await;
    let mut client = setup.wire().await;
    let address = setup.server.proxy_address().to_owned();
    let mut stopped = 0;
    for _ in 0..60 {
        client.send(&query("SELECT pg_sleep(0.002)")).await.unwrap();
        let (address, key) = (address.clone(), client.key.clone());
        let cancelling = tokio::spawn(async move { cancel(&address, &key).await });
        // It may come before, while, or after the statement runs.
        let replies = summary(&client.until_ready().await.unwrap());
        stopped += usize::from(replies.contains("E(57014)"));
        assert_eq!(other.rows("SELECT 'mine'").await, ["mine"]);
        cancelling.await.unwrap().unwrap();
    }
    assert!(stopped > 0, "none came in time: no test");
}

#[tokio::test]
async fn without_a_statement_it_does_nothing() {
    let setup = over(1).await;
    let mut client = setup.wire().await;
    cancel(setup.server.proxy_address(), &client.key).await.unwrap();
    assert_eq!(client.rows("SELECT 1").await, ["1"]);
    client.query("BEGIN").await.unwrap();
    cancel(setup.server.proxy_address(), &client.key).await.unwrap();
    assert_eq!(summary(&client.query("COMMIT").await.unwrap()), "C(COMMIT) Z(I)");
}

#[tokio::test]
async fn keys_are_as_long_as_the_protocol_that_is_spoken_has_them() {
    let setup = over(2).await;
    let who = [("user", ROLE), ("database", "primary")];
    // Twice each: whoever comes again is recognised by its packet.
    for minor in [0, 2, 0, 2, 7] {
        let mut client = WireClient::connect(setup.server.proxy_address()).await.unwrap();
        client.start(minor, PASSWORD, &who).await.unwrap();
        assert_eq!(client.key.len(), if minor < 2 { 8 } else { 4 + 32 }, "3.{minor}");
        client.send(&query("SELECT pg_sleep(60)")).await.unwrap();
        runs(&setup, "pg_sleep(60)").await;
        if minor >= 2 {
            // Its begin is not enough.
            cancel(setup.server.proxy_address(), &client.key[..8]).await.unwrap();
            runs(&setup, "pg_sleep(60)").await;
        }
        cancel(setup.server.proxy_address(), &client.key).await.unwrap();
        assert_eq!(summary(&client.until_ready().await.unwrap()), "T E(57014) Z(I)");
    }
}
