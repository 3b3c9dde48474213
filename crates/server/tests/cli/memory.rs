//! Memory after a very large value.

use std::time::Duration;

use serde_json::json;
use test_support::postgres::{PASSWORD, ROLE};
use test_support::wire::{errors, message};
use test_support::{RpcClient, TestCluster, WireClient};

use super::support::{Serving, eventually};

/// Resident memory of a process, KiB.
fn resident(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[tokio::test]
async fn a_value_of_100_mb_is_not_kept() {
    let db = TestCluster::shared().await.database().await;
    // One after the other on the same server connection.
    let more = "    max_frame_size: 300MiB\n";
    let serving = Serving::start(&db.dsn(), more);
    let pid = serving.process.0.id();
    let mut client = RpcClient::connect(&serving.address()).await.unwrap();
    client.execute("SELECT 1", json!([])).await.unwrap();
    let before = resident(pid);
    for simple in [false, true] {
        let large = json!({
            "query": "SELECT repeat('x', 100000000) AS v", "simple": simple, "timeout": 120_000,
        });
        let reply = client.call("Execute", large).await.unwrap();
        assert_eq!(reply["rows"][0]["v"].as_str().map(str::len), Some(100_000_000));
    }
    // And one that goes in: a request of 100 MB.
    let argument = "y".repeat(100_000_000);
    let request = json!({"query": "SELECT length($1) AS n", "args": [argument]});
    let reply = tokio::time::timeout(Duration::from_secs(120), client.call("Execute", request));
    assert_eq!(reply.await.unwrap().unwrap()["rows"], json!([{"n": 100_000_000}]));
    eventually("the memory is given back", || resident(pid) < before + 40 * 1024);
    client.execute("SELECT 1", json!([])).await.unwrap();
}

#[tokio::test]
async fn a_value_of_100_mb_passes_through_the_postgresql_door() {
    let db = TestCluster::shared().await.database().await;
    let serving = Serving::start(&db.dsn(), "");
    let pid = serving.process.0.id();
    let who = [("user", ROLE), ("database", "primary")];
    let mut client = WireClient::login(&serving.proxy_address(), PASSWORD, &who).await.unwrap();
    client.rows("SELECT 1").await;
    let before = resident(pid);
    let replies = client.query("SELECT repeat('x', 100000000)").await.unwrap();
    assert_eq!(replies[1].body.len(), 2 + 4 + 100_000_000);
    // It is not even there while it passes.
    assert!(resident(pid) < before + 20 * 1024, "{} KiB, before: {before}", resident(pid));
    // And in: as a parameter, as data of a COPY, and as a text.
    let large = "y".repeat(100_000_000);
    let batch = [
        message::parse("", "SELECT length($1)"),
        message::bind("", "", &[Some(&large)]),
        message::execute("", 0),
        message::sync(),
    ];
    let replies = client.exchange(&batch).await.unwrap();
    assert_eq!(test_support::wire::rows(&replies), ["100000000"]);
    client.rows("CREATE TABLE large (v text)").await;
    let copy = [
        message::query("COPY large FROM STDIN"),
        message::copy_data(large.as_bytes()),
        message::copy_data(b"\n"),
        message::copy_done(),
    ];
    assert!(errors(&client.exchange(&copy).await.unwrap()).is_empty());
    let text = format!("SELECT length('{large}')");
    assert_eq!(client.rows(&text).await, ["100000000"]);
    eventually("the memory is given back", || resident(pid) < before + 20 * 1024);
    assert_eq!(client.rows("SELECT length(v) FROM large").await, ["100000000"]);
}
