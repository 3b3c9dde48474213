//! Marked rows: 64 callers that each may see nothing but what is theirs, while statements fail,
//! time out and are abandoned, and the links on both sides split, delay and reset.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use e2e::{TestServer, config, eventually};
use rand::RngExt;
use rand::rngs::StdRng;
use serde_json::{Value, json};
use test_support::{FaultyLink, RpcClient, Seed, TestCluster, TestDatabase};
use tokio::time::{Instant, timeout};

const CALLERS: u64 = 64;
/// Callers that share one RPC connection.
const PER_CONNECTION: u64 = 4;
const ROWS: i64 = 30;
const DURATION: Duration = Duration::from_millis(2500);
/// A reply that takes longer is lost.
const PATIENCE: Duration = Duration::from_secs(20);

/// What callers may be told when links break or time runs out, and by what they ask for.
const EXPECTED: [&str; 9] =
    ["22P02", "57014", "57P01", "08006", "08001", "40003", "53300", "25000", "25P02"];

const TABLE: &str = "
    CREATE TABLE marks AS
    SELECT c AS caller, n, 'mark-' || c || '-' || repeat('x', (c * n) % 700) AS mark
    FROM generate_series(0, 63) AS c, generate_series(1, 30) AS n;
    CREATE INDEX ON marks (caller)";

#[derive(Default)]
struct Tally {
    right: AtomicU64,
    failed: AtomicU64,
    lost: AtomicU64,
}

/// Several of a caller's statements in one call, the second of which fails.
fn batch(caller: u64, own: &str, atomic: bool) -> (&'static str, Value) {
    let own = json!({"query": own, "args": [caller]});
    let fails = json!({"query": "SELECT $1::text::int4", "args": [format!("mark-{caller}-")]});
    let statements = if atomic { json!([own, own]) } else { json!([own, fails, own]) };
    ("ExecuteBatch", json!({"statements": statements, "atomic": atomic}))
}

fn request(caller: u64, rng: &mut StdRng) -> (&'static str, Value) {
    // Texts that differ between callers, so that statements are evicted and prepared again.
    let own = format!("SELECT caller, mark FROM marks WHERE caller = $1 ORDER BY n /* {caller} */");
    let request = match rng.random_range(0..10) {
        0 => json!({"query": "SELECT $1::text::int4", "args": [format!("mark-{caller}-")]}),
        1 => json!({
            "query": "SELECT caller, mark, pg_sleep(0.003) FROM marks WHERE caller = $1",
            "args": [caller],
            "timeout": rng.random_range(1..30),
        }),
        2 => json!({
            "query": "SELECT current_setting('app.caller')::int8 AS caller, mark FROM marks \
                      WHERE caller = current_setting('app.caller')::int8",
            "settings": {"app.caller": caller},
        }),
        3 => return batch(caller, &own, rng.random_bool(0.5)),
        4 => json!({"query": own.replace("$1", &caller.to_string()), "simple": true}),
        5..=6 => json!({"query": own, "args": [caller]}),
        _ => json!({
            "query": "SELECT caller, mark FROM marks WHERE caller = $1 ORDER BY n",
            "args": [caller],
        }),
    };
    ("Execute", request)
}

/// Whether a reply is what this caller may see.
fn check(caller: u64, reply: &Value, tally: &Tally) {
    if let Some(error) = reply["error"].as_str() {
        let code = reply["sqlstate"].as_str().unwrap();
        assert!(EXPECTED.contains(&code), "{reply}");
        if code == "22P02" {
            let mark = format!("\"mark-{caller}-\"");
            assert!(error.contains(&mark), "caller {caller} got another's error: {error}");
        }
        tally.failed.fetch_add(1, Ordering::Relaxed);
        return;
    }
    if let Some(results) = reply["results"].as_array() {
        return results.iter().for_each(|result| check(caller, result, tally));
    }
    let rows = reply["rows"].as_array().unwrap();
    assert_eq!(i64::try_from(rows.len()).unwrap(), ROWS, "caller {caller}: {reply}");
    for row in rows {
        let mark = row["mark"].as_str().unwrap();
        let theirs = row["caller"] == caller && mark.starts_with(&format!("mark-{caller}-"));
        assert!(theirs, "caller {caller} got another's row: {row}");
    }
    tally.right.fetch_add(1, Ordering::Relaxed);
}

/// One RPC connection after the other, each with several callers' requests in flight.
async fn run_connection(address: String, index: u64, seed: Seed, tally: Arc<Tally>) {
    let mut rng = seed.derive(index).rng();
    let deadline = Instant::now() + DURATION;
    let mut client: Option<RpcClient> = None;
    while Instant::now() < deadline {
        let Some(open) = &mut client else {
            client = RpcClient::connect(&address).await.ok();
            continue;
        };
        if !exchange(open, index, &mut rng, &tally).await {
            tally.lost.fetch_add(1, Ordering::Relaxed);
            client = None;
        }
    }
}

/// One request of each caller and the replies; false when the connection is to be given up.
async fn exchange(client: &mut RpcClient, index: u64, rng: &mut StdRng, tally: &Tally) -> bool {
    let mut pending = HashMap::new();
    for caller in index * PER_CONNECTION..(index + 1) * PER_CONNECTION {
        let (method, request) = request(caller, rng);
        match client.send_json(method, &request).await {
            Ok(seq) => pending.insert(seq, caller),
            Err(_) => return false,
        };
    }
    let leaves_after = if rng.random_bool(0.05) { rng.random_range(0..PER_CONNECTION) } else { 99 };
    for received in 0..PER_CONNECTION {
        if received == leaves_after {
            return false;
        }
        let reply = timeout(PATIENCE, client.recv_json()).await.expect("a reply or an end");
        let Ok((seq, reply)) = reply else { return false };
        let caller = pending.remove(&seq).expect("a reply to what was asked");
        check(caller, &reply, tally);
    }
    true
}

async fn run(threads: usize, resets: bool, name: &str) {
    let seed = Seed::from_env_or_random(name);
    let cluster = TestCluster::shared().await;
    let db: TestDatabase = cluster.database().await;
    db.batch(TABLE).await;
    let behind = FaultyLink::builder().seed(seed.derive(1000)).split();
    let behind = behind.max_delay(Duration::from_millis(2));
    let behind = if resets { behind.reset_after(60_000..600_000) } else { behind };
    let port = cluster.port();
    let behind = behind.start(SocketAddr::from(([127, 0, 0, 1], port))).await;
    let dsn = db.dsn().replace(&format!(":{port}/"), &format!(":{}/", behind.port()));
    let more = json!({"backends": {"primary": {
        "pool": {"max_connections": 6},
        "behavior": {"statement_cache_size": 8},
    }}});
    let server = TestServer::start_on(threads, config(&dsn, &more)).await;
    let front = FaultyLink::builder().seed(seed.derive(2000)).split();
    let front = front.max_delay(Duration::from_millis(2));
    let front = if resets { front.reset_after(60_000..900_000) } else { front };
    let front = front.start(server.address().trim_start_matches("tcp://").parse().unwrap()).await;

    let tally = Arc::new(Tally::default());
    let mut tasks = Vec::new();
    for index in 0..CALLERS / PER_CONNECTION {
        let address = front.address().to_string();
        tasks.push(tokio::spawn(run_connection(address, index, seed, Arc::clone(&tally))));
    }
    for task in tasks {
        task.await.unwrap();
    }
    let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    let (right, failed) = (read(&tally.right), read(&tally.failed));
    assert!(right > 64 && failed > 5, "{right} right, {failed} failed: no test");
    if resets {
        assert!(behind.counters().resets > 0 && front.counters().resets > 0, "no resets: no test");
    }
    // The pool has not lost its place to any of it.
    eventually("every place is free", || async {
        let stats = server.client().await.call("PoolStats", json!({})).await.unwrap();
        let stats = &stats["stats"]["primary"];
        stats["active_connections"] == 0 && stats["waiting_clients"] == 0
    })
    .await;
    assert!(db.count_backends("usename = 'app' AND state = 'active'").await == 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_one_thread() {
    run(1, false, "TEST_MARKED_ONE").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_one_thread_with_resets() {
    run(1, true, "TEST_MARKED_ONE_RESETS").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_several_threads_with_resets() {
    run(4, true, "TEST_MARKED_MANY").await;
}
