//! What of statements is logged: `pgpool.logging`.

use serde_json::{Value, json};
use test_support::{RpcClient, TestCluster};

use crate::support::Serving;

/// The log of a server with these settings that has executed two statements, a fast and a slow one.
async fn logged(settings: &str) -> Vec<Value> {
    let db = TestCluster::shared().await.database().await;
    let mut serving =
        Serving::start(&db.dsn(), &format!("  logging: {{format: json, {settings}}}\n"));
    let mut client = RpcClient::connect(&serving.address()).await.unwrap();
    client.execute("SELECT 'hidden' || $1 AS v", json!(["private"])).await.unwrap();
    client.execute("SELECT pg_sleep(0.3), 'hidden', $1::text", json!(["private"])).await.unwrap();
    drop(client);
    serving.process.signal("TERM");
    serving.process.wait();
    serving.log().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn with<'a>(log: &'a [Value], message: &str) -> Vec<&'a Value> {
    log.iter().filter(|line| line["message"] == message).collect()
}

#[tokio::test]
async fn statements_are_not_logged_unless_that_is_wanted() {
    let log = logged("level: debug, slow_query: {enabled: false}").await;
    assert_eq!((with(&log, "query").len(), with(&log, "slow query").len()), (0, 0), "{log:?}");
    assert!(!with(&log, "stopped").is_empty());
}

#[tokio::test]
async fn slow_statements_are_logged_without_values() {
    let log = logged("slow_query: {enabled: true, threshold: 200ms}").await;
    let slow = with(&log, "slow query");
    assert_eq!((with(&log, "query").len(), slow.len()), (0, 1), "{log:?}");
    assert!(slow[0]["sql"].as_str().unwrap().contains("pg_sleep"), "{log:?}");
    assert!(slow[0]["took_us"].as_u64().unwrap() >= 300_000, "{log:?}");
    let text = format!("{log:?}");
    assert!(!text.contains("hidden") && !text.contains("private"), "{text}");
}

#[tokio::test]
async fn log_queries_logs_every_one_and_log_params_the_values() {
    let log = logged("log_queries: true, slow_query: {enabled: false}").await;
    assert_eq!(with(&log, "query").len(), 2, "{log:?}");
    let text = format!("{log:?}");
    assert!(!text.contains("hidden") && !text.contains("private"), "{text}");
    let log = logged("log_queries: true, log_params: true, slow_query: {enabled: false}").await;
    let text = format!("{:?}", with(&log, "query"));
    assert!(text.contains("hidden") && text.contains("private"), "{text}");
}

#[tokio::test]
async fn the_level_is_the_least_that_is_logged() {
    let log = logged("level: warn, log_queries: true").await;
    assert_eq!(with(&log, "query").len(), 0, "an INFO: {log:?}");
    assert_eq!(with(&log, "stopped").len(), 0, "{log:?}");
}
