//! Random conversations, held with PostgreSQL itself and through the proxy, where others use the
//! same few server connections meanwhile: nobody may be able to tell the one from the other.
//! They are the same ones every time, unless `TEST_SEED` or `TEST_CASES` says otherwise.

mod compare;
mod script;
mod texts;

use std::time::Duration;

use e2e::{TestServer, config, eventually};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestError, TestRng, TestRunner};
use serde_json::json;
use test_support::postgres::{PASSWORD, ROLE};
use test_support::wire::message;
use test_support::{Auth, Seed, TestCluster, TestDatabase, WireClient};
use tokio::runtime::Handle;
use tokio::time::timeout;

use compare::{End, Replies};
use script::{Step, script};

/// Conversations that are held when nothing else is said.
const CASES: u32 = 150;
/// A reply that takes longer is lost.
const PATIENCE: Duration = Duration::from_secs(10);
/// The last row of each.
const END: &str = "this is the end";

const TABLES: &str = "
    CREATE SCHEMA other;
    CREATE TABLE t (id int PRIMARY KEY, v text);
    CREATE SEQUENCE seq;
    CREATE FUNCTION where_am_i() RETURNS text LANGUAGE sql AS $$ SELECT 'public' $$;
    CREATE FUNCTION other.where_am_i() RETURNS text LANGUAGE sql AS $$ SELECT 'other' $$;";
const CONTENTS: &str = "DROP TABLE IF EXISTS made; TRUNCATE t; INSERT INTO t VALUES (1, 'one'), (2, 'two'), (3, 'three')";

/// PostgreSQL and a proxy in front of it, each with a database of its own.
struct Sides {
    direct: (String, TestDatabase),
    proxied: (String, TestDatabase),
    _server: TestServer,
}

impl Sides {
    /// `replica`: a server that has what the primary has as soon as that is committed.
    async fn start(cluster: &TestCluster, replica: Option<&TestCluster>, mode: &str) -> Self {
        // Fewer than clients, or as many as there must be.
        let connections = if mode == "transaction" { 2 } else { 4 };
        let (direct, proxied) = (cluster.database().await, cluster.database().await);
        for database in [&direct, &proxied] {
            database.batch(TABLES).await;
            // A statement that is shared has a generic plan sooner, and with one the errors of constants
            // come at Execute instead of at Bind.
            let name = database.name();
            database
                .batch(&format!("ALTER DATABASE {name} SET plan_cache_mode = force_custom_plan"))
                .await;
        }
        // RESET goes back to the same there as here.
        let of = |cluster: &TestCluster| {
            let dsn = cluster.dsn_of(ROLE, PASSWORD, proxied.name());
            format!("{dsn}?application_name=tester")
        };
        let replicas: Vec<_> = replica.iter().map(|one| json!({"dsn": of(one)})).collect();
        let more = json!({
            "routing": {"read_write_split": replica.is_some(), "read_your_writes": "off"},
            "proxy": {"auth_mode": "trust"},
            "backends": {"replicas": replicas, "primary": {
                "pool": {"max_connections": connections, "min_connections": 0},
                "behavior": {"mode": mode},
            }},
        });
        let server = TestServer::start_on(1, config(&of(cluster), &more)).await;
        Self {
            direct: (format!("tcp://127.0.0.1:{}", cluster.port()), direct),
            proxied: (server.proxy_address().to_owned(), proxied),
            _server: server,
        }
    }

    /// Holds a conversation on both sides.
    async fn hold(&self, steps: &[Step], cuts: &[usize]) -> (Replies, Replies) {
        let mut replies = Vec::new();
        for (address, database) in [&self.direct, &self.proxied] {
            database.client().await.batch_execute(CONTENTS).await.unwrap();
            replies.push(converse(address, database.name(), steps, cuts).await);
        }
        let proxied = replies.pop().unwrap();
        (replies.pop().unwrap(), proxied)
    }
}

/// Sends all of it, cut into pieces, and something that brings any conversation to an end.
async fn converse(address: &str, database: &str, steps: &[Step], cuts: &[usize]) -> Replies {
    let who = [("user", ROLE), ("database", database), ("application_name", "tester")];
    let mut client = WireClient::login(address, PASSWORD, &who).await.unwrap();
    let end = [
        message::copy_fail("the end"),
        message::sync(),
        message::query("ROLLBACK"),
        message::query(&format!("SELECT '{END}'")),
    ];
    let bytes = [steps.iter().map(Step::bytes).collect::<Vec<_>>().concat(), end.concat()].concat();
    let mut rest = &bytes[..];
    for cut in cuts {
        let (piece, behind) = rest.split_at((*cut).min(rest.len()));
        if client.send(piece).await.is_err() {
            break;
        }
        tokio::task::yield_now().await;
        rest = behind;
    }
    let _ = client.send(rest).await;
    let mut replies = Vec::new();
    let mut is_last = false;
    loop {
        match timeout(PATIENCE, client.recv()).await {
            Ok(Ok(reply)) => {
                is_last |= reply.row().is_some_and(|row| row[0].as_deref() == Some(END));
                let ends = is_last && reply.tag == b'Z';
                replies.push(reply);
                if ends {
                    return Replies::new(replies, End::Reached);
                }
            }
            Ok(Err(_)) => return Replies::new(replies, End::Closed),
            Err(_) => return Replies::new(replies, End::Silence),
        }
    }
}

/// Others that use the proxy: they prepare other statements under the same names, change settings,
/// and take the connections away between transactions.
async fn disturb(address: &str, database: &str) -> Result<(), test_support::WireError> {
    let who = [("user", ROLE), ("database", database), ("application_name", "disturber")];
    let mut client = WireClient::login(address, "", &who).await?;
    client.query("SET search_path = nowhere; SET TimeZone = 'America/New_York'").await?;
    let texts = [("s1", "SELECT 'not yours 1', $1::text"), ("s2", "SELECT 'not yours 2'")];
    for (name, sql) in texts {
        client.exchange(&[message::parse(name, sql), message::sync()]).await?;
    }
    loop {
        let batch = [
            message::parse("", "SELECT 'unnamed and not yours'"),
            message::bind("", "s2", &[]),
            message::execute("", 0),
            message::sync(),
        ];
        client.exchange(&batch).await?;
        client.query("BEGIN").await?;
        client.query("SELECT pg_sleep(0.0005)").await?;
        client.query("ROLLBACK").await?;
    }
}

async fn hold_conversations(mode: &str) {
    let cluster = TestCluster::builder().auth(Auth::Trust).start().await;
    converse_with(&Sides::start(&cluster, None, mode).await, mode).await;
}

/// The same with reads from a replica that a commit waits for: nobody may be able to tell where
/// anything was done.
async fn hold_conversations_with_a_replica(mode: &str) {
    let (primary, replicas) = TestCluster::with_replicas(1).await;
    let admin = primary.admin().await;
    for setting in ["synchronous_standby_names = '*'", "synchronous_commit = remote_apply"] {
        admin.batch_execute(&format!("ALTER SYSTEM SET {setting}")).await.unwrap();
    }
    admin.batch_execute("SELECT pg_reload_conf()").await.unwrap();
    eventually("commits wait for the replica", || async {
        let sql = "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'";
        admin.query_one(sql, &[]).await.is_ok_and(|row| row.get::<_, i64>(0) == 1)
    })
    .await;
    let sides = Sides::start(&primary, Some(&replicas[0]), mode).await;
    for database in [&sides.direct.1, &sides.proxied.1] {
        // So that a read finds out which settings have followed its client there.
        database
            .batch("ALTER FUNCTION where_am_i STABLE; ALTER FUNCTION other.where_am_i STABLE")
            .await;
    }
    converse_with(&sides, mode).await;
    let reads = replicas[0].count_backends(&format!("usename = '{ROLE}'")).await;
    assert!(reads > 0, "the replica was used");
}

async fn converse_with(sides: &Sides, mode: &str) {
    let disturbers = [0, 1].map(|_| {
        let (address, database) = (sides.proxied.0.clone(), sides.proxied.1.name().to_owned());
        tokio::spawn(async move { disturb(&address, &database).await })
    });
    let chosen = ["TEST_SEED", "TEST_CASES"].iter().any(|name| std::env::var(name).is_ok());
    let seed = if chosen { Seed::from_env_or_random("TEST_SEED") } else { Seed::fixed(1) };
    let outcome = tokio::task::block_in_place(|| run(seed, sides, mode != "transaction"));
    if let Err(failure) = outcome {
        panic!("{failure}");
    }
    for disturber in disturbers {
        assert!(!disturber.is_finished(), "{:?}", disturber.await);
        disturber.abort();
    }
}

fn run(seed: Seed, sides: &Sides, lasts: bool) -> Result<(), String> {
    let mut bytes = [0; 32];
    seed.rng().fill_bytes(&mut bytes);
    let cases = std::env::var("TEST_CASES").ok().and_then(|text| text.parse().ok());
    let config = Config {
        cases: cases.unwrap_or(CASES),
        failure_persistence: None,
        max_shrink_iters: 600,
        max_shrink_time: 60_000,
        ..Config::default()
    };
    let mut runner =
        TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes));
    let cuts = proptest::collection::vec(prop_oneof![1..8_usize, 1..300_usize], 0..6);
    let outcome = runner.run(&(script(lasts), cuts), |(steps, cuts)| {
        let (direct, proxied) = Handle::current().block_on(sides.hold(&steps, &cuts));
        if direct.allow(&proxied, steps.iter().any(Step::leaves)) {
            return Ok(());
        }
        Err(TestCaseError::fail(format!("PostgreSQL:\n{direct:?}\nthe proxy:\n{proxied:?}")))
    });
    outcome.map_err(|error| match error {
        TestError::Fail(why, (steps, cuts)) => {
            let steps: Vec<_> = steps.iter().map(|step| format!("    {step:?}\n")).collect();
            format!("sent, cut at {cuts:?}:\n{}{why}", steps.concat())
        }
        TestError::Abort(why) => why.to_string(),
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_transaction_mode_nobody_can_tell_the_difference() {
    hold_conversations("transaction").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_auto_mode_nobody_can_tell_the_difference() {
    hold_conversations("auto").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_session_mode_nobody_can_tell_the_difference() {
    hold_conversations("session").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_reads_from_a_replica_nobody_can_tell_the_difference() {
    hold_conversations_with_a_replica("transaction").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_auto_mode_with_reads_from_a_replica_nobody_can_tell_the_difference() {
    hold_conversations_with_a_replica("auto").await;
}
