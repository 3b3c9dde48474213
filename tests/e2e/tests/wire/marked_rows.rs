//! Marked rows: many clients that each may see nothing but what is theirs, at this door alone and at
//! both, while statements fail, are cancelled and abandoned, and the links on both sides split,
//! delay and reset.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use e2e::{Linked, eventually, ok};
use rand::RngExt;
use rand::rngs::StdRng;
use serde_json::json;
use test_support::postgres::{PASSWORD, ROLE};
use test_support::wire::message::{bind, execute, parse, query, sync};
use test_support::wire::{cancel, errors};
use test_support::{FaultyLink, Reply, RpcClient, Seed, WireClient};
use tokio::time::{Instant, timeout};

const CLIENTS: u64 = 40;
const ROWS: usize = 20;
const DURATION: Duration = Duration::from_millis(2500);
/// A reply that takes longer is lost.
const PATIENCE: Duration = Duration::from_secs(20);
/// What clients may be told when links break or a statement is cancelled, and by what they ask for.
const EXPECTED: [&str; 9] =
    ["22P02", "57014", "57P01", "08006", "08001", "40003", "53300", "25P02", "08P01"];

const TABLE: &str = "
    CREATE TABLE marks AS
    SELECT c AS client, n, 'mark-' || c || '-' || repeat('x', (c * n) % 700) AS mark
    FROM generate_series(0, 99) AS c, generate_series(1, 20) AS n;
    CREATE INDEX ON marks (client)";

#[derive(Default)]
struct Tally {
    right: AtomicU64,
    failed: AtomicU64,
}

/// What one client asks next: messages, and how many ReadyForQuery come of them.
fn request(client: u64, rng: &mut StdRng) -> (Vec<Vec<u8>>, usize) {
    let number = client.to_string();
    let own = "SELECT mark FROM marks WHERE client = $1::int ORDER BY n";
    let literal = own.replace("$1", &number);
    let named = format!("s{}", client % 4);
    let run = |name: &str| [bind("", name, &[Some(&number)]), execute("", 0), sync()];
    match rng.random_range(0..9) {
        0 => (vec![query(&literal)], 1),
        1 => (vec![query(&format!("SELECT 'mark-{client}-'::text::int"))], 1),
        2 => ([vec![parse("", own)], run("").to_vec()].concat(), 1),
        // Everybody's, under a few names; what was there before is closed by SQL.
        3 => {
            let prepare = [query(&format!("DEALLOCATE {named}")), parse(&named, own)];
            ([prepare.to_vec(), run(&named).to_vec()].concat(), 2)
        }
        4 => {
            let setting = format!("SET app.client = '{client}'");
            let read = "SELECT mark FROM marks
                WHERE client = current_setting('app.client')::int ORDER BY n";
            (vec![query(&setting), query(read)], 2)
        }
        5 => {
            let texts = ["BEGIN", &literal, "ROLLBACK"];
            (texts.iter().map(|text| query(text)).collect(), 3)
        }
        6 => (vec![query(&format!("SELECT pg_sleep(0.002), '' ; {literal}"))], 1),
        7 => (
            vec![query(&format!(
                "COPY (SELECT mark FROM marks WHERE client = {client}) TO STDOUT"
            ))],
            1,
        ),
        _ => {
            // A text of its own, so that statements are evicted and prepared again.
            let sql = format!("{own} /* {client} */");
            ([vec![parse("", &sql)], run("").to_vec()].concat(), 1)
        }
    }
}

/// Whether replies are what this client may see. `is_set`: nothing before them in the same request has
/// failed, such as a SET that they rely on, which a cancel request or a reset may have hit.
fn check(client: u64, replies: &[Reply], is_set: bool, tally: &Tally) {
    let mark = format!("mark-{client}-");
    for fault in errors(replies) {
        // No statement of that name: DEALLOCATE in front of the first.
        assert!(EXPECTED.contains(&fault.code()) || fault.code() == "26000", "{fault}");
        if fault.code() == "22P02" {
            let is_own =
                fault.message().contains(&mark) || (!is_set && fault.message().ends_with(": \"\""));
            assert!(is_own, "client {client} got another's: {fault}");
        }
        tally.failed.fetch_add(1, Ordering::Relaxed);
    }
    let rows: Vec<_> = replies.iter().filter(|reply| matches!(reply.tag, b'D' | b'd')).collect();
    for row in &rows {
        let text = String::from_utf8_lossy(&row.body);
        let is_own = text.contains(&mark) || !text.contains("mark-");
        assert!(is_own, "client {client} got another's row: {text}");
    }
    let marked = rows.iter().filter(|row| String::from_utf8_lossy(&row.body).contains("mark-"));
    if errors(replies).is_empty() && marked.count() >= ROWS {
        tally.right.fetch_add(1, Ordering::Relaxed);
    }
}

/// One connection after the other, until the time is over.
async fn run_client(address: String, client: u64, seed: Seed, tally: Arc<Tally>) {
    let mut rng = seed.derive(client).rng();
    let deadline = Instant::now() + DURATION;
    while Instant::now() < deadline {
        let who = [("user", ROLE), ("database", "primary")];
        let Ok(mut open) = WireClient::login(&address, PASSWORD, &who).await else { continue };
        while Instant::now() < deadline
            && converse(&mut open, &address, client, &mut rng, &tally).await
        {}
    }
}

/// One request and its replies; false when the connection is to be given up.
async fn converse(
    open: &mut WireClient,
    address: &str,
    client: u64,
    rng: &mut StdRng,
    tally: &Tally,
) -> bool {
    let (messages, units) = request(client, rng);
    if open.send_all(&messages).await.is_err() || rng.random_bool(0.02) {
        return false;
    }
    if rng.random_bool(0.05) {
        let _ = timeout(PATIENCE, cancel(address, &open.key)).await;
    }
    let mut is_set = true;
    for _ in 0..units {
        match timeout(PATIENCE, open.until_ready()).await.expect("a reply or an end") {
            Ok(replies) => {
                check(client, &replies, is_set, tally);
                is_set &= errors(&replies).is_empty();
            }
            Err(_) => return false,
        }
    }
    true
}

/// Callers of the other door, on the same connections.
async fn run_caller(address: String, caller: u64, tally: Arc<Tally>) {
    let deadline = Instant::now() + DURATION;
    while Instant::now() < deadline {
        let Ok(mut rpc) = RpcClient::connect(&address).await else { continue };
        let sql = "SELECT mark FROM marks WHERE client = $1 ORDER BY n";
        while Instant::now() < deadline {
            let Ok(reply) = rpc.execute(sql, json!([caller])).await else { break };
            let Some(rows) = reply["rows"].as_array().filter(|rows| !rows.is_empty()) else {
                let code = reply["sqlstate"].as_str().unwrap_or_default();
                assert!(EXPECTED.contains(&code), "{reply}");
                continue;
            };
            let is_own = |row: &serde_json::Value| {
                row["mark"]
                    .as_str()
                    .is_some_and(|mark| mark.starts_with(&format!("mark-{caller}-")))
            };
            assert!(rows.len() == ROWS && rows.iter().all(is_own), "caller {caller}: {reply}");
            tally.right.fetch_add(1, Ordering::Relaxed);
        }
    }
}

async fn run(threads: usize, resets: bool, callers: u64, name: &str) {
    let seed = Seed::from_env_or_random(name);
    let faulty = |index, lifetime| {
        let link = FaultyLink::builder().seed(seed.derive(index)).split();
        let link = link.max_delay(Duration::from_millis(2));
        if resets { link.reset_after(lifetime) } else { link }
    };
    let more = json!({"backends": {"primary": {
        "pool": {"max_connections": 6},
        "behavior": {"statement_cache_size": 8},
    }}});
    let linked = Linked::through(faulty(1000, 20_000..200_000), threads, &more).await;
    linked.setup.db.batch(TABLE).await;
    let target = linked.server.proxy_address().trim_start_matches("tcp://").parse().unwrap();
    // A client's connection carries less: it is given up now and then anyway.
    let front = faulty(2000, 2_000..40_000).start(target).await;
    let tally = Arc::new(Tally::default());
    let mut tasks = Vec::new();
    for client in 0..CLIENTS {
        let address = front.address().to_string();
        tasks.push(tokio::spawn(run_client(address, client, seed, Arc::clone(&tally))));
    }
    for caller in 0..callers {
        let address = linked.server.address().to_owned();
        tasks.push(tokio::spawn(run_caller(address, CLIENTS + caller, Arc::clone(&tally))));
    }
    for task in tasks {
        task.await.unwrap();
    }
    let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    let (right, failed) = (read(&tally.right), read(&tally.failed));
    assert!(right > 64 && failed > 0, "{right} right, {failed} failed: no test");
    if resets {
        let happened = linked.link.counters().resets > 0 && front.counters().resets > 0;
        assert!(happened, "no resets: no test");
    }
    // The pool has not lost its place to any of it.
    eventually("every place is free", || async {
        let stats = ok(linked.server.client().await.call("PoolStats", json!({})).await);
        let stats = &stats["stats"]["primary"];
        stats["active_connections"] == 0 && stats["waiting_clients"] == 0
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_this_door_on_one_thread() {
    run(1, false, 0, "TEST_MARKED_WIRE").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_both_doors_with_resets() {
    run(1, true, 16, "TEST_MARKED_BOTH").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_both_doors_on_several_threads_with_resets() {
    run(4, true, 16, "TEST_MARKED_BOTH_MANY").await;
}
