//! Errors and dropped calls, followed at once by another caller: whoever comes next gets exactly
//! its own answer, and nothing leaks.

use std::future::Future;

use pool_manager::{DatabasePool, Discard, Error, Statement};

use crate::common::*;

#[tokio::test]
async fn an_error_is_followed_at_once_by_another_caller_on_the_same_connection() {
    let database = database().await;
    let pool = pool(&database, 1);
    let pid = backend_pid(&pool).await;
    let failures = [
        ("SELEC 1", "42601"),
        ("SELECT * FROM nowhere", "42P01"),
        ("SELECT 10 / (5 - g) FROM generate_series(1, 10) AS g", "22012"),
        ("SELECT 'x'::int", "22P02"),
        ("DO $$ BEGIN RAISE EXCEPTION 'no'; END $$", "P0001"),
    ];
    for round in 0..60 {
        let (sql, expected) = failures[round % failures.len()];
        let next = format!("SELECT 'mine {round}'");
        let (failed, followed) = tokio::join!(value(&pool, sql), value(&pool, &next));
        assert_eq!(code(&failed), expected, "{sql}");
        assert_eq!(followed.unwrap(), format!("mine {round}"));
    }
    assert_eq!(backend_pid(&pool).await, pid, "an error costs no connection");
    settled(&pool).await;
}

/// Drops what `call` makes at every point where it waits, and has another caller follow.
async fn drop_everywhere<F, T>(pool: &DatabasePool, call: impl Fn(usize) -> F)
where
    F: Future<Output = Result<T, Error>>,
{
    for dropped in [Dropped::AtOnce, Dropped::Awoken] {
        let mut times = 0;
        loop {
            let result = poll_times(call(times), times, dropped).await;
            let marker = format!("after {times} {dropped:?}");
            let next = value(pool, &format!("SELECT '{marker}'")).await;
            assert_eq!(next.unwrap(), marker);
            if let Some(result) = result {
                result.unwrap_or_else(|error| panic!("after {times} polls: {error}"));
                break;
            }
            times += 1;
            assert!(times < 200, "the call never completes");
        }
    }
    let stats = settled(pool).await;
    assert_eq!(stats.total_acquired, stats.total_released);
}

async fn select(pool: &DatabasePool, sql: &str) -> Result<(), Error> {
    pool.execute(&Statement::new(sql, &[]), &mut Discard).await.map(drop)
}

#[tokio::test]
async fn a_statement_dropped_at_every_await_point_is_followed_by_another_caller() {
    let database = database().await;
    let pool = pool(&database, 1);
    drop_everywhere(&pool, |_| select(&pool, "SELECT g FROM generate_series(1, 5000) AS g")).await;
    assert!(BackendWatch::new(&database).await.count("true").await <= 1);
}

#[tokio::test]
async fn a_first_call_dropped_while_its_connection_opens_is_followed_by_another_caller() {
    let database = database().await;
    for dropped in [Dropped::AtOnce, Dropped::Awoken] {
        for times in 0..6 {
            let pool = pool(&database, 1);
            poll_times(select(&pool, "SELECT 1"), times, dropped).await;
            assert_eq!(value(&pool, "SELECT 'next'").await.unwrap(), "next");
            settled(&pool).await;
        }
    }
}

#[tokio::test]
async fn a_statement_that_looks_up_types_dropped_at_every_await_point() {
    let database = database().await;
    let pool = pool(&database, 1);
    for name in 0..60 {
        exec(&pool, &format!("CREATE TYPE mood{name} AS ENUM ('glad', 'sad')")).await;
    }
    drop_everywhere(&pool, |times| {
        // A type of its own for every attempt: a known one is not looked up.
        let sql = format!("SELECT 'sad'::mood{}", times % 60);
        let pool = pool.clone();
        async move { select(&pool, &sql).await }
    })
    .await;
}

#[tokio::test]
async fn settings_and_resets_dropped_at_every_await_point() {
    let database = database().await;
    let pool = pool(&database, 1);
    drop_everywhere(&pool, |times| {
        let zone = if times % 2 == 0 { "Asia/Tokyo" } else { "America/Lima" };
        let pool = pool.clone();
        async move { value_with(&pool, "SELECT 1", &[("TimeZone", zone)]).await }
    })
    .await;
    assert_eq!(value(&pool, "SHOW TimeZone").await.unwrap(), "UTC");
    drop_everywhere(&pool, |_| simple(&pool, "SET work_mem = '1MB'; SELECT 1")).await;
    assert_eq!(value(&pool, "SHOW work_mem").await.unwrap(), "4MB");
}

#[tokio::test]
async fn a_transaction_dropped_at_every_await_point_leaves_nothing_behind() {
    let database = database().await;
    let pool = pool(&database, 2);
    exec(&pool, "CREATE TABLE t (id int)").await;
    drop_everywhere(&pool, |_| async {
        let mut transaction = pool.begin().await?;
        transaction.execute(&Statement::new("INSERT INTO t VALUES (1)", &[]), &mut Discard).await?;
        transaction.rollback().await
    })
    .await;
    drop_everywhere(&pool, |_| async {
        let mut session = pool.acquire().await?;
        session.execute(&Statement::new("BEGIN", &[]), &mut Discard).await?;
        session.execute(&Statement::new("INSERT INTO t VALUES (1)", &[]), &mut Discard).await?;
        session.end().await
    })
    .await;
    assert_eq!(value(&pool, "SELECT count(*) FROM t").await.unwrap(), "0");
    let idle_in_transaction = "state LIKE 'idle in transaction%'";
    let watch = BackendWatch::new(&database).await;
    eventually("no transaction stays open", || async {
        watch.count(idle_in_transaction).await == 0
    })
    .await;
}

#[tokio::test]
async fn a_commit_dropped_at_every_await_point_is_committed_or_not_but_never_open() {
    let database = database().await;
    let pool = pool(&database, 1);
    exec(&pool, "CREATE TABLE t (id int)").await;
    drop_everywhere(&pool, |_| async {
        let mut transaction = pool.begin().await?;
        transaction.execute(&Statement::new("INSERT INTO t VALUES (1)", &[]), &mut Discard).await?;
        transaction.commit().await
    })
    .await;
    let locks = "SELECT count(*) FROM pg_locks WHERE relation = 't'::regclass AND mode LIKE 'Row%'";
    assert_eq!(value(&pool, locks).await.unwrap(), "0");
}

#[tokio::test]
async fn waiting_callers_that_vanish_lose_nobody_a_place() {
    let database = database().await;
    let pool = pool(&database, 1);
    let holder = pool.acquire().await.unwrap();
    for _ in 0..3 {
        poll_times(select(&pool, "SELECT 1"), 1, Dropped::AtOnce).await;
    }
    assert_eq!(pool.stats().waiting_clients, 0);
    assert_eq!(pool.stats().canceled_acquire_count, 3);
    drop(holder);
    assert_eq!(value(&pool, "SELECT 'free'").await.unwrap(), "free");
    settled(&pool).await;
}

#[tokio::test]
async fn a_dropped_call_is_cancelled_at_the_server() {
    let database = database().await;
    let pool = pool(&database, 1);
    let watch = BackendWatch::new(&database).await;
    let running = tokio::spawn({
        let pool = pool.clone();
        async move { value(&pool, "SELECT pg_sleep(600), 'dropped'").await }
    });
    watch.until_running("dropped").await;
    running.abort();
    assert_eq!(value(&pool, "SELECT 'next'").await.unwrap(), "next");
    assert_eq!(watch.count("query LIKE '%dropped%'").await, 0, "gone before its slot was free");
    settled(&pool).await;
}

#[tokio::test]
async fn a_large_request_dropped_half_way_is_never_executed() {
    let database = database().await;
    let link = test_support::FaultyLink::to(address(&database)).await;
    let pool = pool_through(&link, &database, 1, |_| {});
    exec(&pool, "CREATE TABLE t (v text)").await;
    // Prepared already, so that only the request itself waits.
    let insert = "INSERT INTO t VALUES ($1)";
    let small = ["x".into()];
    pool.execute(&Statement::new(insert, &small), &mut Discard).await.unwrap();
    link.stall();
    let large = ["y".repeat(16 * 1024 * 1024).into()];
    poll_times(pool.execute(&Statement::new(insert, &large), &mut Discard), 1, Dropped::AtOnce)
        .await;
    link.resume();
    assert_eq!(value(&pool, "SELECT count(*) FROM t").await.unwrap(), "1");
    settled(&pool).await;
}
