//! PoolStats, HealthCheck and Version: every field with its type and meaning.

use e2e::{Setup, TestServer, eventually, failed, ok};
use serde_json::{Value, json};
use test_support::{RpcClient, StopMode, TestCluster};

/// Every field of the Go plugin's DatabaseStats and ours, but for `last_error`.
const NUMBERS: [&str; 24] = [
    "total_connections",
    "idle_connections",
    "active_connections",
    "max_connections",
    "total_acquired",
    "total_released",
    "average_acquire_time_ms",
    "query_count",
    "average_query_time_ms",
    "error_count",
    "slow_query_count",
    "health_checks_passed",
    "health_checks_failed",
    "acquire_count",
    "acquire_duration_us",
    "query_duration_us",
    "waiting_clients",
    "canceled_acquire_count",
    "constructing_connections",
    "transactions_open",
    "sessions_open",
    "pinned_clients",
    "cache_hits",
    "cache_misses",
];

async fn stats(client: &mut RpcClient) -> Value {
    ok(client.call("PoolStats", json!({})).await)["stats"]["primary"].clone()
}

#[tokio::test]
async fn pool_stats_has_every_field_with_its_type() {
    let setup = Setup::new().await;
    let mut client = setup.client().await;
    let fresh = stats(&mut client).await;
    for codec in ["json", "msgpack"] {
        let reply = match codec {
            "json" => ok(client.call("PoolStats", json!({})).await),
            _ => ok(client.call_msgpack("PoolStats", json!({})).await),
        };
        assert_eq!(reply.as_object().unwrap().keys().collect::<Vec<_>>(), ["stats"]);
        let stats = reply["stats"]["primary"].as_object().unwrap();
        for name in NUMBERS {
            assert!(stats[name].is_u64(), "{name} in {stats:?}");
        }
        let others: Vec<_> = stats.keys().filter(|key| !NUMBERS.contains(&key.as_str())).collect();
        assert_eq!(
            others,
            ["pins", "cache_hit_ratio", "last_health_check"],
            "and no last_error yet"
        );
        assert_eq!(stats["cache_hit_ratio"], 0.0);
    }
    assert_eq!(fresh["last_health_check"], "0001-01-01T00:00:00Z", "Go's zero time: never");
    assert_eq!(fresh["max_connections"], 10);
}

#[tokio::test]
async fn pool_stats_counts_what_happens() {
    let slow = json!({"logging": {"slow_query": {"enabled": true, "threshold": "50ms"}}});
    let setup = Setup::with(&slow).await;
    let mut client = setup.client().await;
    for _ in 0..5 {
        ok(client.execute("SELECT 1", json!([])).await);
    }
    failed(client.execute("SELECT 1/0", json!([])).await, "22012");
    ok(client.execute("SELECT pg_sleep(0.06)", json!([])).await);
    let stats = stats(&mut client).await;
    assert_eq!((&stats["query_count"], &stats["error_count"]), (&json!(7), &json!(1)));
    assert_eq!(stats["slow_query_count"], 1);
    assert!(stats["query_duration_us"].as_u64().unwrap() >= 60_000, "{stats}");
    assert_eq!((&stats["acquire_count"], &stats["total_acquired"]), (&json!(7), &json!(7)));
    assert_eq!(stats["total_released"], 7);
    assert_eq!((&stats["total_connections"], &stats["idle_connections"]), (&json!(1), &json!(1)));
    assert_eq!((&stats["active_connections"], &stats["waiting_clients"]), (&json!(0), &json!(0)));
    let average = stats["query_duration_us"].as_u64().unwrap() / 7000;
    assert_eq!(stats["average_query_time_ms"], average);
}

#[tokio::test]
async fn a_star_means_every_database() {
    let setup = Setup::new().await;
    let more = json!({"databases": {
        "reports": {"primary": {"dsn": setup.db.dsn()}},
        "down": {"primary": {"dsn": "postgres://nobody:pw@127.0.0.1:1/none"}},
    }});
    let server = TestServer::start(&setup.db.dsn(), &more).await;
    let mut client = server.client().await;
    let reply = ok(client.call("PoolStats", json!({"database": "*"})).await);
    assert_eq!(reply["stats"].as_object().unwrap().len(), 3);
    let reply = ok(client.call("PoolStats", json!({"database": "reports"})).await);
    assert_eq!(reply["stats"].as_object().unwrap().keys().collect::<Vec<_>>(), ["reports"]);
    let reply = ok(client.call("HealthCheck", json!({"database": "*"})).await);
    assert_eq!(reply["health"], json!({"down": false, "primary": true, "reports": true}));
    let errors = reply["errors"].as_object().unwrap();
    assert_eq!(errors.keys().collect::<Vec<_>>(), ["down"]);
    let reply = ok(client.call("HealthCheck", json!({})).await);
    assert_eq!(reply, json!({"health": {"primary": true}}), "no errors, no field");
    let reply = ok(client.call("Version", json!({})).await);
    let databases = &reply["databases"];
    assert_eq!(databases.as_object().unwrap().len(), 3);
    let number = databases["primary"].as_str().unwrap().split('.').next().unwrap();
    assert!(number.parse::<u32>().unwrap() >= 12, "{databases}");
    assert!(databases["down"].is_null(), "{databases}");
    assert_eq!(reply["version"], env!("CARGO_PKG_VERSION"));
    let features = reply["features"].as_array().unwrap();
    for feature in ["sessions", "settings", "msgpack", "transactions"] {
        assert!(features.contains(&json!(feature)), "{reply}");
    }
}

#[tokio::test]
async fn stats_can_be_switched_off() {
    let setup = Setup::with(&json!({"monitoring": {"expose_rpc": false}})).await;
    let mut client = setup.client().await;
    let reply = client.call("PoolStats", json!({"request_id": "r"})).await;
    assert_eq!(reply.as_ref().unwrap()["request_id"], "r");
    let error = failed(reply, "0A000");
    assert!(error.contains("monitoring.expose_rpc"), "{error}");
    ok(client.call("HealthCheck", json!({})).await);
}

#[tokio::test]
async fn health_follows_the_database_down_and_up() {
    let cluster = TestCluster::start().await;
    let pool = json!({"health_check_period": "50ms"});
    let more = json!({"backends": {"primary": {"pool": pool}}});
    let server = TestServer::start(&cluster.dsn(), &more).await;
    let mut client = server.client().await;
    ok(client.call("HealthCheck", json!({})).await);
    cluster.stop(StopMode::Fast).await;
    let reply = ok(client.call("HealthCheck", json!({})).await);
    assert_eq!(reply["health"], json!({"primary": false}));
    let cause = reply["errors"]["primary"].as_str().unwrap();
    assert!(cause.contains("127.0.0.1") || cause.contains("refused"), "the real cause: {cause}");
    assert!(!cause.contains("secret"), "{cause}");
    loop {
        let stats = stats(&mut client).await;
        if stats["health_checks_failed"].as_u64().unwrap() > 0 {
            assert!(stats["last_error"].as_str().unwrap().contains("refused"), "{stats}");
            break;
        }
    }
    cluster.start_again().await;
    eventually("it is healthy again", || async {
        let mut client = server.client().await;
        ok(client.call("HealthCheck", json!({})).await)["health"]["primary"] == true
    })
    .await;
    eventually("periodic checks pass and say when", || async {
        let stats = stats(&mut server.client().await).await;
        let time = stats["last_health_check"].as_str().unwrap().to_owned();
        stats["health_checks_passed"].as_u64().unwrap() > 0 && time.starts_with("20")
    })
    .await;
    let time = stats(&mut client).await["last_health_check"].as_str().unwrap().to_owned();
    let request = json!({"query": "SELECT abs(extract(epoch FROM now() - $1::timestamptz)) < 60 AS near", "args": [time]});
    let reply = ok(client.call("Execute", request).await);
    assert_eq!(reply["rows"], json!([{"near": true}]), "RFC 3339, UTC, now: {time}");
    assert!(time.len() == 20 && time.ends_with('Z'), "{time}");
}
