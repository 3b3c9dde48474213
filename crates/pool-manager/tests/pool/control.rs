//! What an administrator does to a pool while callers work with it.

use std::time::Duration;

use pool_manager::config::{BackendConfig, MaxHeld};
use pool_manager::{PoolLimits, PoolPlan};

use crate::common::*;

/// As many may be held as there are.
fn all_held(config: &mut BackendConfig) {
    config.pool.max_held = MaxHeld::Percent(100);
}

fn plan(
    database: &test_support::TestDatabase,
    size: u32,
    change: impl FnOnce(&mut BackendConfig),
) -> PoolPlan {
    let config = config(&database.dsn(), size, |config| {
        all_held(config);
        change(config);
    });
    PoolPlan::new("primary", "primary", &config, PoolLimits::default()).unwrap()
}

#[tokio::test]
async fn a_paused_pool_has_no_connections_and_callers_wait_for_it() {
    let database = database().await;
    let pool = pool_with(&database, 2, |config| config.pool.acquire_timeout = millis(300));
    let mut transaction = pool.begin().await.unwrap();
    transaction.value("SELECT 1").await.unwrap();
    value(&pool, "SELECT 1").await.unwrap();
    pool.pause();
    let mut paused = std::pin::pin!(pool.paused());
    assert!(tokio::time::timeout(Duration::from_millis(50), &mut paused).await.is_err());
    assert_eq!(transaction.value("SELECT 2").await.unwrap(), "2", "it keeps what it has");
    transaction.commit().await.unwrap();
    paused.await;
    assert_eq!(pool.stats().total_connections, 0);
    let late = value(&pool, "SELECT 1").await.unwrap_err();
    assert!(late.to_string().contains("paused"), "{late}");
    assert_eq!(late.sqlstate().as_str(), "53300");
    let waiting = tokio::spawn({
        let pool = pool.clone();
        async move { value(&pool, "SELECT 3").await }
    });
    eventually("somebody waits", || async { pool.stats().waiting_clients == 1 }).await;
    assert!(pool.stats().longest_wait > Duration::ZERO);
    pool.resume();
    assert_eq!(waiting.await.unwrap().unwrap(), "3");
}

#[tokio::test]
async fn connections_that_were_open_are_replaced_when_nobody_has_them() {
    let database = database().await;
    let pool = pool(&database, 2);
    let pid = "SELECT pg_backend_pid()";
    let mut transaction = pool.begin().await.unwrap();
    let kept = transaction.value(pid).await.unwrap();
    let idle = value(&pool, pid).await.unwrap();
    pool.reconnect();
    assert!(pool.servers().iter().any(|server| server.close_needed && server.active));
    let fresh = value(&pool, pid).await.unwrap();
    assert_ne!(fresh, idle);
    assert_eq!(transaction.value(pid).await.unwrap(), kept);
    transaction.commit().await.unwrap();
    pool.reconnected().await;
    let servers = pool.servers();
    let pids: Vec<_> = servers.iter().map(|server| server.process_id.to_string()).collect();
    assert_eq!(pids, [fresh]);
}

#[tokio::test]
async fn a_smaller_pool_closes_those_too_many_as_they_come_back() {
    let database = database().await;
    let pool = pool_with(&database, 4, all_held);
    let mut held = Vec::new();
    for _ in 0..4 {
        held.push(pool.begin().await.unwrap());
    }
    pool.adopt(plan(&database, 2, |_| {}));
    assert_eq!((pool.stats().max_connections, pool.stats().total_connections), (2, 4));
    for (left, transaction) in (0..4).rev().zip(held) {
        transaction.commit().await.unwrap();
        let most = left.max(2);
        eventually("it is closed", || async { pool.stats().total_connections <= most }).await;
    }
    assert_eq!(value(&pool, "SELECT 1").await.unwrap(), "1");
    pool.adopt(plan(&database, 1, |_| {}));
    eventually("one is left of the idle ones", || async { pool.stats().total_connections == 1 })
        .await;
    pool.adopt(plan(&database, 3, |_| {}));
    let mut all = Vec::new();
    for _ in 0..3 {
        all.push(pool.acquire().await.unwrap());
    }
    assert_eq!(pool.stats().total_connections, 3);
}

#[tokio::test]
async fn a_pool_that_leads_elsewhere_never_has_more_connections_than_it_may() {
    let (one, other) = (database().await, database().await);
    let pool = pool_with(&one, 2, all_held);
    let mut transaction = pool.begin().await.unwrap();
    let name = "SELECT current_database()";
    transaction.value("SELECT 1").await.unwrap();
    value(&pool, "SELECT 1").await.unwrap();
    pool.adopt(plan(&other, 2, |config| config.pool.acquire_timeout = millis(200)));
    assert_eq!(value(&pool, name).await.unwrap(), other.name());
    assert_eq!(transaction.value(name).await.unwrap(), one.name());
    let second = pool.begin().await.unwrap();
    assert_eq!(code(&value(&pool, name).await), "53300", "the old one counts");
    assert!(pool.stats().total_connections <= 2);
    transaction.commit().await.unwrap();
    assert_eq!(value(&pool, name).await.unwrap(), other.name());
    drop(second);
    assert_eq!(one.count_backends("true").await, 0);
}

#[tokio::test]
async fn what_runs_on_a_pool_that_is_killed_is_cancelled_and_its_connections_closed() {
    let database = database().await;
    let pool = pool(&database, 2);
    let running = tokio::spawn({
        let pool = pool.clone();
        async move { value(&pool, "SELECT pg_sleep(60)").await }
    });
    eventually("it runs", || async { database.count_backends("state = 'active'").await == 1 })
        .await;
    pool.kill().await;
    assert_eq!(code(&running.await.unwrap()), "57014");
    pool.paused().await;
    assert_eq!(pool.stats().total_connections, 0);
    pool.resume();
    assert_eq!(value(&pool, "SELECT 1").await.unwrap(), "1");
}
