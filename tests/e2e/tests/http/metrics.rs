//! /metrics: what is counted is what has happened.

use e2e::{Setup, TestServer, eventually, failed, ok};
use serde_json::json;
use test_support::{StopMode, TestCluster};

use crate::scrape::{Scrape, served};

const PRIMARY: [(&str, &str); 3] =
    [("database", "primary"), ("pool", "primary"), ("role", "primary")];

#[tokio::test]
async fn statements_of_both_doors_are_counted_with_their_times_and_errors() {
    let setup = Setup::with(&served()).await;
    let mut client = setup.client().await;
    for _ in 0..3 {
        ok(client.execute("SELECT $1::int", json!([1])).await);
    }
    failed(client.execute("SELECT 1/0", json!([])).await, "22012");
    ok(client.execute("SELECT pg_sleep(0.11)", json!([])).await);
    ok(client.call("TransactionBegin", json!({"tx_id": "t"})).await);
    let scrape = Scrape::of(&setup.server).await;
    assert_eq!(scrape.value("held_connections", &[("kind", "transaction")]), 1.0);
    assert_eq!(scrape.value("connections", &[("state", "active")]), 1.0);
    assert_eq!(scrape.value("rpc_clients", &[]), 1.0);
    ok(client.call("TransactionRollback", json!({"tx_id": "t"})).await);
    let before = scrape.value("queries_total", &PRIMARY);
    let mut wire = setup.wire().await;
    for sql in ["BEGIN", "SELECT 1", "COMMIT"] {
        wire.query(sql).await.unwrap();
    }
    assert!(
        wire.query("SELECT nothing")
            .await
            .is_ok_and(|reply| format!("{reply:?}").contains("42703"))
    );
    let scrape = Scrape::of(&setup.server).await;
    assert_eq!(before, 5.0);
    assert_eq!(scrape.value("queries_total", &PRIMARY), 9.0);
    assert_eq!(scrape.value("query_duration_seconds_count", &PRIMARY), 9.0);
    assert_eq!(scrape.value("query_duration_seconds_bucket", &[("le", "+Inf")]), 9.0);
    let quick = scrape.value("query_duration_seconds_bucket", &[("le", "0.1")]);
    assert!(quick <= 8.0, "one slept for longer: {quick}");
    assert!(scrape.value("query_duration_seconds_sum", &PRIMARY) >= 0.11);
    assert_eq!(scrape.value("query_errors_total", &PRIMARY), 2.0);
    assert_eq!(scrape.value("errors_total", &[("class", "22")]), 1.0);
    assert_eq!(scrape.value("errors_total", &[("class", "42")]), 1.0);
    assert_eq!(scrape.value("transactions_total", &PRIMARY), 2.0);
    assert_eq!(scrape.value("slow_queries_total", &PRIMARY), 1.0);
    assert!(scrape.value("acquire_duration_seconds_count", &PRIMARY) >= 7.0);
    assert_eq!(scrape.value("statement_cache_misses_total", &PRIMARY), 3.0);
    assert_eq!(scrape.value("statement_cache_hits_total", &PRIMARY), 2.0);
    assert_eq!(scrape.value("proxy_clients", &[("database", "primary")]), 1.0);
    assert!(scrape.value("proxy_received_bytes_total", &[]) > 50.0);
    assert!(scrape.value("proxy_sent_bytes_total", &[]) > 50.0);
    assert!(scrape.value("rpc_received_bytes_total", &[]) > 100.0);
    assert!(scrape.value("rpc_sent_bytes_total", &[]) > 100.0);
}

#[tokio::test]
async fn the_metrics_that_only_some_servers_have_are_there_too() {
    let mut more = served();
    more["features"] = json!({
        "circuit_breaker": {"enabled": true},
        "rate_limit": {"enabled": true, "requests_per_second": 1, "burst": 1},
    });
    more["backends"] = json!({"primary": {"behavior": {"mode": "auto"}}});
    let setup = Setup::with(&more).await;
    let mut wire = setup.wire().await;
    wire.query("LISTEN a").await.unwrap();
    wire.query("SELECT 1").await.unwrap();
    let mut client = setup.client().await;
    ok(client.execute("SELECT 1", json!([])).await);
    failed(client.execute("SELECT 1", json!([])).await, "53400");
    let scrape = Scrape::of(&setup.server).await;
    assert_eq!(scrape.value("pins_total", &[("reason", "listen")]), 1.0);
    assert_eq!(scrape.value("held_connections", &[("kind", "pinned")]), 1.0);
    assert_eq!(scrape.value("max_held_connections", &PRIMARY), 8.0);
    assert_eq!(scrape.value("circuit_breaker_state", &[("state", "closed")]), 1.0);
    assert_eq!(scrape.value("circuit_breaker_state", &[("state", "open")]), 0.0);
    assert_eq!(scrape.value("rpc_rate_limited_requests_total", &[]), 1.0);
    assert_eq!(scrape.value("proxy_rate_limited_requests_total", &[]), 1.0);
}

#[tokio::test]
async fn replicas_have_their_role_and_lag() {
    let (primary, replicas) = TestCluster::with_replicas(1).await;
    let mut more = served();
    more["backends"] = json!({"replicas": [{"dsn": replicas[0].dsn()}]});
    more["routing"] = json!({"failover": {"retry_interval": "50ms", "max_failures": 1}});
    let server = TestServer::start(&primary.dsn(), &more).await;
    let replica = [("pool", "primary/replica1"), ("role", "replica")];
    eventually("the replica has told how far it is", || async {
        let scrape = Scrape::of(&server).await;
        !scrape.find("replica_lag_bytes", &replica).is_empty()
    })
    .await;
    let scrape = Scrape::of(&server).await;
    assert_eq!(scrape.value("server_up", &replica), 1.0);
    assert_eq!(scrape.value("server_is_primary", &replica), 0.0);
    assert_eq!(scrape.value("server_is_primary", &PRIMARY), 1.0);
    assert_eq!(scrape.value("failovers_total", &[("database", "primary")]), 0.0);
    replicas[0].stop(StopMode::Immediate).await;
    eventually("it is seen to be down", || async {
        Scrape::of(&server).await.value("server_up", &replica) == 0.0
    })
    .await;
}

#[tokio::test]
async fn a_server_that_is_not_there_shows_in_the_metrics() {
    let mut more = served();
    more["backends"] = json!({"primary": {"pool": {"health_check_period": "20ms"}}});
    let server = TestServer::start("postgres://nobody:pw@127.0.0.1:1/none", &more).await;
    failed(server.client().await.execute("SELECT 1", json!([])).await, "08001");
    eventually("a health check has failed", || async {
        Scrape::of(&server).await.value("health_checks_total", &[("result", "failed")]) >= 1.0
    })
    .await;
    let scrape = Scrape::of(&server).await;
    assert!(scrape.value("connection_errors_total", &PRIMARY) >= 1.0);
    assert!(scrape.value("errors_total", &[("class", "08")]) >= 1.0);
    assert!(scrape.value("last_health_check_timestamp_seconds", &PRIMARY) > 1.7e9);
}

#[tokio::test]
async fn names_follow_namespace_and_subsystem() {
    for (namespace, subsystem, name) in
        [("shop", "db", "shop_db_build_info"), ("", "db", "db_build_info"), ("", "", "build_info")]
    {
        let mut more = served();
        more["monitoring"]["prometheus"]["namespace"] = namespace.into();
        more["monitoring"]["prometheus"]["subsystem"] = subsystem.into();
        let setup = Setup::with(&more).await;
        let body = setup.server.get("/metrics").await.unwrap().body;
        let line = format!("\n{name}{{version=\"{}\"}} 1", env!("CARGO_PKG_VERSION"));
        assert!(body.contains(&line), "{line} in {body}");
    }
}

#[tokio::test]
async fn only_the_groups_that_are_wanted_are_collected() {
    let mut more = served();
    more["monitoring"]["collect"] = json!(["breakers", "clients"]);
    let setup = Setup::with(&more).await;
    let scrape = Scrape::of(&setup.server).await;
    let all: Vec<&str> = scrape.kinds.keys().map(String::as_str).collect();
    let is_wanted = |name: &&str| {
        ["_rpc_", "_proxy_", "_circuit_breaker_", "_build_info"]
            .iter()
            .any(|part| name.contains(part))
    };
    assert!(all.iter().all(is_wanted), "{all:?}");
    assert!(all.len() > 8, "{all:?}");
}

#[tokio::test]
async fn what_is_sampled_is_renewed_every_interval() {
    let setup = Setup::with(&served()).await;
    eventually("there are figures of the process", || async {
        !Scrape::of(&setup.server).await.find("process_resident_memory_bytes", &[]).is_empty()
    })
    .await;
    eventually("the history has the statement", || async {
        let mut client = setup.client().await;
        ok(client.execute("SELECT 1", json!([])).await);
        let status = setup.server.get("/status.json").await.unwrap().body;
        let status: serde_json::Value = serde_json::from_str(&status).unwrap();
        let history = status["history"].as_array().unwrap();
        history.iter().any(|sample| sample["queries"].as_f64().unwrap() > 0.0)
    })
    .await;
    let mut slow = served();
    slow["monitoring"]["interval"] = "1h".into();
    let setup = Setup::with(&slow).await;
    let status = setup.server.get("/status.json").await.unwrap().body;
    assert!(status.contains("\"history\":[]"), "{status}");
}
