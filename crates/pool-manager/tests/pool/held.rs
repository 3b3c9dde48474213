//! Transactions and sessions by name: found from anywhere, owned, expiring.

use std::time::Duration;

use pool_manager::{
    DatabasePool, Discard, Error, HeldConnections, HeldKind, HeldLimits, Owner, Settings,
    Statement, TransactionOptions,
};
use test_support::TestDatabase;

use crate::common::*;

const NO_LIMITS: HeldLimits = HeldLimits { idle_timeout: None, max_lifetime: None };
const ME: Owner = Owner(1);
const SOMEBODY: Owner = Owner(2);

struct Names {
    database: TestDatabase,
    pool: DatabasePool,
    held: HeldConnections,
}

async fn names() -> Names {
    let database = database().await;
    database.batch("CREATE TABLE t (id int)").await;
    let pool = pool(&database, 4);
    Names { database, pool, held: HeldConnections::default() }
}

impl Names {
    async fn begin(&self, name: Option<&str>, limits: HeldLimits) -> Result<String, Error> {
        let options = TransactionOptions::default();
        self.held.begin_transaction(&self.pool, ME, name, &options, limits).await
    }

    async fn session(&self, name: Option<&str>, limits: HeldLimits) -> Result<String, Error> {
        self.held.begin_session(&self.pool, ME, name, &Settings::default(), limits).await
    }

    async fn run(&self, kind: HeldKind, name: &str, sql: &str) -> Result<String, Error> {
        let mut rows = Texts::default();
        self.held.execute(kind, name, &Statement::new(sql, &[]), &mut rows).await?;
        Ok(rows.first())
    }

    async fn tx(&self, name: &str, sql: &str) -> Result<String, Error> {
        self.run(HeldKind::Transaction, name, sql).await
    }

    async fn rows(&self) -> String {
        value(&self.pool, "SELECT count(*) FROM t").await.unwrap()
    }

    /// Nothing is held, and nothing leaked.
    async fn nothing_open(&self) {
        let stats = settled(&self.pool).await;
        assert_eq!((stats.transactions_open, stats.sessions_open), (0, 0), "{stats:?}");
    }
}

const INSERT: &str = "INSERT INTO t VALUES (1)";

#[tokio::test]
async fn a_transaction_is_found_by_its_name_and_counted() {
    let all = names().await;
    let id = all.begin(Some("mine"), NO_LIMITS).await.unwrap();
    assert_eq!(id, "mine");
    all.tx("mine", INSERT).await.unwrap();
    assert_eq!(all.tx("mine", "SELECT count(*) FROM t").await.unwrap(), "1");
    assert_eq!(all.pool.stats().transactions_open, 1);
    assert_eq!(all.rows().await, "0", "not visible outside");
    all.held.commit("mine").await.unwrap();
    assert_eq!(all.rows().await, "1");
    all.nothing_open().await;
}

#[tokio::test]
async fn random_names_are_128_bits_in_hex_and_differ() {
    let all = names().await;
    let one = all.begin(None, NO_LIMITS).await.unwrap();
    let two = all.session(None, NO_LIMITS).await.unwrap();
    assert_ne!(one, two);
    for id in [&one, &two] {
        assert_eq!(id.len(), 32);
        assert!(id.bytes().all(|b| b.is_ascii_hexdigit() && !b.is_ascii_uppercase()), "{id}");
    }
}

#[tokio::test]
async fn unknown_duplicate_and_finished_names_are_told_apart() {
    let all = names().await;
    assert_error(&all.tx("nobody", "SELECT 1").await, "25P01", "\"nobody\" does not exist");
    assert_error(&all.held.commit("nobody").await, "25P01", "does not exist");
    assert_error(&all.held.end_session("nobody").await, "25P01", "session \"nobody\"");
    all.begin(Some("a"), NO_LIMITS).await.unwrap();
    assert_error(&all.begin(Some("a"), NO_LIMITS).await, "42710", "exists already");
    // A session may bear a transaction's name.
    all.session(Some("a"), NO_LIMITS).await.unwrap();
    all.held.rollback("a").await.unwrap();
    assert_error(&all.tx("a", "SELECT 1").await, "25000", "already finished");
    assert_error(&all.held.commit("a").await, "25000", "already finished");
    let session = all.run(HeldKind::Session, "a", "SELECT 'still'").await;
    assert_eq!(session.unwrap(), "still");
    all.held.end_session("a").await.unwrap();
    assert_error(&all.held.end_session("a").await, "25000", "already finished");
    // The name is free again.
    all.begin(Some("a"), NO_LIMITS).await.unwrap();
    all.held.commit("a").await.unwrap();
    all.nothing_open().await;
}

#[tokio::test]
async fn names_have_1_to_128_bytes() {
    let all = names().await;
    for wrong in ["", &"x".repeat(129), &"é".repeat(65)] {
        assert_error(&all.begin(Some(wrong), NO_LIMITS).await, "22023", "1 to 128 bytes");
    }
    let longest = "x".repeat(128);
    all.begin(Some(&longest), NO_LIMITS).await.unwrap();
    all.held.rollback(&longest).await.unwrap();
}

#[tokio::test]
async fn a_begin_that_fails_or_vanishes_leaves_its_name_free() {
    let all = names().await;
    let wrong = TransactionOptions {
        settings: settings_of(&[("work_mem", "much")]),
        ..TransactionOptions::default()
    };
    let refused = all.held.begin_transaction(&all.pool, ME, Some("a"), &wrong, NO_LIMITS).await;
    assert_error(&refused, "22023", "work_mem");
    for times in 0..5 {
        poll_times(all.begin(Some("a"), NO_LIMITS), times, Dropped::Awoken).await;
        settled_but_for_held(&all.pool).await;
        if all.held.rollback("a").await.is_ok() {
            continue;
        }
        all.begin(Some("a"), NO_LIMITS).await.unwrap();
        all.held.rollback("a").await.unwrap();
    }
    all.nothing_open().await;
}

async fn settled_but_for_held(pool: &DatabasePool) {
    stats_where(pool, "nothing is being opened", |stats| stats.constructing_connections == 0).await;
}

#[tokio::test]
async fn an_idle_transaction_is_rolled_back_and_says_why() {
    let all = names().await;
    let limits = HeldLimits { idle_timeout: Some(Duration::from_millis(100)), ..NO_LIMITS };
    all.begin(Some("a"), limits).await.unwrap();
    // Calls move the moment, however long they run.
    for _ in 0..3 {
        all.tx("a", "SELECT pg_sleep(0.15)").await.unwrap();
    }
    all.tx("a", INSERT).await.unwrap();
    let opened = |stats: &pool_manager::PoolStats| stats.transactions_open == 0;
    stats_where(&all.pool, "it is ended", opened).await;
    assert_error(&all.tx("a", "SELECT 1").await, "25P03", "idle for longer");
    assert_error(&all.held.commit("a").await, "25P03", "idle for longer");
    assert_eq!(all.rows().await, "0");
    all.session(Some("s"), limits).await.unwrap();
    stats_where(&all.pool, "so are sessions", |stats| stats.sessions_open == 0).await;
    assert_error(&all.held.end_session("s").await, "25P03", "session \"s\"");
    all.nothing_open().await;
}

#[tokio::test]
async fn a_lifetime_ends_even_while_a_statement_runs() {
    let all = names().await;
    let limits = HeldLimits { max_lifetime: Some(Duration::from_millis(200)), ..NO_LIMITS };
    all.begin(Some("a"), limits).await.unwrap();
    all.tx("a", INSERT).await.unwrap();
    let cut = all.tx("a", "SELECT pg_sleep(600), 'lifetime'").await;
    assert_error(&cut, "25P04", "max_lifetime is over");
    assert_error(&all.tx("a", "SELECT 1").await, "25P04", "max_lifetime is over");
    all.nothing_open().await;
    let watch = BackendWatch::new(&all.database).await;
    assert_eq!(watch.count("query LIKE '%lifetime%' AND state = 'active'").await, 0, "cancelled");
    assert_eq!(all.rows().await, "0");
}

#[tokio::test]
async fn when_the_owner_goes_everything_of_its_is_rolled_back_at_once() {
    let all = names().await;
    all.begin(Some("idle"), NO_LIMITS).await.unwrap();
    all.tx("idle", INSERT).await.unwrap();
    all.begin(Some("busy"), NO_LIMITS).await.unwrap();
    all.tx("busy", INSERT).await.unwrap();
    let options = TransactionOptions::default();
    let theirs = Some("theirs");
    all.held.begin_transaction(&all.pool, SOMEBODY, theirs, &options, NO_LIMITS).await.unwrap();
    let watch = BackendWatch::new(&all.database).await;
    // Somebody else's call in my transaction, from another RPC connection.
    let running = tokio::spawn({
        let (held, sql) = (all.held.clone(), "SELECT pg_sleep(600), 'owner'");
        async move {
            let statement = Statement::new(sql, &[]);
            held.execute(HeldKind::Transaction, "busy", &statement, &mut Discard).await
        }
    });
    watch.until_running("owner").await;
    all.held.end_owner(ME);
    assert_error(&running.await.unwrap(), "25000", "the client that began it has left");
    assert_error(&all.tx("idle", "SELECT 1").await, "25000", "the client that began it has left");
    eventually("both are rolled back", || async {
        watch.count("state LIKE 'idle in%' OR query LIKE '%owner%' AND state = 'active'").await == 1
    })
    .await;
    assert_eq!(all.rows().await, "0");
    all.tx("theirs", INSERT).await.unwrap();
    all.held.commit("theirs").await.unwrap();
    assert_eq!(all.rows().await, "1");
    all.nothing_open().await;
}

#[tokio::test]
async fn calls_with_one_name_run_one_after_another_in_order() {
    let all = names().await;
    all.database.batch("CREATE TABLE log (n serial, call int)").await;
    all.begin(Some("a"), NO_LIMITS).await.unwrap();
    let calls = (0..20).map(|call| {
        let sql = format!("INSERT INTO log (call) SELECT {call} FROM pg_sleep(0.001)");
        let all = &all;
        async move { all.tx("a", &sql).await.unwrap() }
    });
    futures_util::future::join_all(calls).await;
    all.held.commit("a").await.unwrap();
    let sql = "SELECT string_agg(call::text, ' ' ORDER BY n) FROM log";
    let expected = (0..20).map(|n| n.to_string()).collect::<Vec<_>>().join(" ");
    assert_eq!(value(&all.pool, sql).await.unwrap(), expected);
}

#[tokio::test]
async fn calls_that_wait_when_the_name_ends_never_run() {
    let all = names().await;
    all.session(Some("s"), NO_LIMITS).await.unwrap();
    let run = |sql: &'static str| {
        let held = all.held.clone();
        tokio::spawn(async move {
            let statement = Statement::new(sql, &[]);
            held.execute(HeldKind::Session, "s", &statement, &mut Discard).await
        })
    };
    let first = run("SELECT pg_sleep(0.2), 'first'");
    BackendWatch::new(&all.database).await.until_running("first").await;
    let waiting: Vec<_> = (0..5).map(|_| run(INSERT)).collect();
    tokio::task::yield_now().await;
    all.held.end_owner(ME);
    assert_eq!(code(&first.await.unwrap()), "25000");
    for call in waiting {
        assert_error(&call.await.unwrap(), "25000", "has left");
    }
    all.nothing_open().await;
    assert_eq!(all.rows().await, "0");
}

#[tokio::test]
async fn a_call_that_is_dropped_ends_the_transaction() {
    let all = names().await;
    let mut ended = 0;
    for times in 1..20 {
        let name = format!("t{times}");
        all.begin(Some(&name), NO_LIMITS).await.unwrap();
        all.tx(&name, INSERT).await.unwrap();
        let sql = "SELECT g FROM generate_series(1, 3000) AS g";
        let done = poll_times(all.tx(&name, sql), times, Dropped::AtOnce).await;
        let next = all.tx(&name, "SELECT 'alive'").await;
        if done.is_some() {
            assert_eq!(next.unwrap(), "alive");
            all.held.rollback(&name).await.unwrap();
            break;
        }
        ended += 1;
        assert_error(&next, "25000", "a call on it was cut off");
    }
    assert!(ended > 0);
    all.nothing_open().await;
    assert_eq!(all.rows().await, "0");
}

#[tokio::test]
async fn a_killed_backend_ends_the_name() {
    let all = names().await;
    all.begin(Some("a"), NO_LIMITS).await.unwrap();
    all.database.kill_backends("state = 'idle in transaction'").await;
    assert_error(&all.tx("a", "SELECT 1").await, "57P01", "terminating connection");
    assert_error(&all.tx("a", "SELECT 1").await, "25000", "cut off");
    assert_error(&all.held.commit("a").await, "25000", "cut off");
    all.begin(Some("b"), NO_LIMITS).await.unwrap();
    all.database.kill_backends("state = 'idle in transaction'").await;
    assert_error(&all.held.commit("b").await, "57P01", "terminating connection");
    all.nothing_open().await;
}

#[tokio::test]
async fn commit_and_rollback_by_sql_finish_the_name() {
    let all = names().await;
    for (end, expected) in [("COMMIT", "1"), ("ROLLBACK", "1"), ("END", "2"), ("ABORT", "2")] {
        all.begin(Some("a"), NO_LIMITS).await.unwrap();
        all.tx("a", INSERT).await.unwrap();
        all.tx("a", end).await.unwrap();
        assert_error(&all.tx("a", "SELECT 1").await, "25000", "already finished");
        assert_eq!(all.rows().await, expected, "{end}");
    }
    all.begin(Some("a"), NO_LIMITS).await.unwrap();
    all.tx("a", "COMMIT AND CHAIN").await.unwrap();
    assert_eq!(all.tx("a", "SELECT 'goes on'").await.unwrap(), "goes on");
    assert_eq!(code(&all.tx("a", "SELECT 1/0").await), "22012");
    assert_error(&all.tx("a", "COMMIT").await, "25P02", "not committed");
    assert_error(&all.tx("a", "SELECT 1").await, "25000", "already finished");
    all.nothing_open().await;
}

#[tokio::test]
async fn a_session_outlives_its_transactions() {
    let all = names().await;
    all.session(Some("s"), NO_LIMITS).await.unwrap();
    for sql in ["BEGIN", INSERT, "COMMIT", "SET work_mem = '9MB'", "BEGIN", INSERT, "ROLLBACK"] {
        all.run(HeldKind::Session, "s", sql).await.unwrap();
    }
    assert_eq!(all.run(HeldKind::Session, "s", "SHOW work_mem").await.unwrap(), "9MB");
    assert_eq!(all.pool.stats().sessions_open, 1);
    all.held.end_session("s").await.unwrap();
    assert_eq!(all.rows().await, "1");
    all.nothing_open().await;
}

#[tokio::test]
async fn ending_all_rolls_everything_back_before_it_returns() {
    let all = names().await;
    for name in ["a", "b"] {
        all.begin(Some(name), NO_LIMITS).await.unwrap();
        all.tx(name, INSERT).await.unwrap();
    }
    all.session(Some("s"), NO_LIMITS).await.unwrap();
    all.held.end_all().await;
    let watch = BackendWatch::new(&all.database).await;
    assert_eq!(watch.count("state LIKE 'idle in%'").await, 0);
    assert_error(&all.tx("a", "SELECT 1").await, "25000", "shutting down");
    all.nothing_open().await;
}
