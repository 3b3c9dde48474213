//! Who gets a connection, when, and what those are told who do not.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use pool_manager::config::MaxHeld;
use tokio::sync::mpsc;

use crate::common::*;

/// Two callers that never pause, and twenty waiters on a pool of two: the busy ones must not
/// starve the others.
async fn starvation() {
    let database = database().await;
    let pool = pool(&database, 2);
    let stop = Arc::new(AtomicBool::new(false));
    let busy: Vec<_> = (0..2)
        .map(|_| {
            let (pool, stop) = (pool.clone(), Arc::clone(&stop));
            tokio::spawn(async move {
                let mut turns = 0_u32;
                while !stop.load(Ordering::Relaxed) {
                    value(&pool, "SELECT pg_sleep(0.002)").await.unwrap();
                    turns += 1;
                }
                turns
            })
        })
        .collect();
    stats_where(&pool, "both are busy", |stats| stats.active_connections == 2).await;
    let started = Instant::now();
    let waiters: Vec<_> = (0..20)
        .map(|_| {
            let pool = pool.clone();
            tokio::spawn(async move {
                value(&pool, "SELECT 1").await.unwrap();
                started.elapsed()
            })
        })
        .collect();
    for waiter in waiters {
        let waited = waiter.await.unwrap();
        // 22 callers take turns of about 2 ms on two connections.
        assert!(waited < Duration::from_secs(2), "a waiter starved for {waited:?}");
    }
    stop.store(true, Ordering::Relaxed);
    for task in busy {
        assert!(task.await.unwrap() > 0);
    }
    settled(&pool).await;
}

#[tokio::test]
async fn two_busy_loops_do_not_starve_twenty_waiters() {
    starvation().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_busy_loops_do_not_starve_twenty_waiters_on_several_threads() {
    starvation().await;
}

#[tokio::test]
async fn waiters_are_served_in_order() {
    let database = database().await;
    let pool = pool(&database, 1);
    let holder = pool.acquire().await.unwrap();
    let (served, mut order) = mpsc::unbounded_channel();
    for n in 0..20_u32 {
        let (own, served) = (pool.clone(), served.clone());
        tokio::spawn(async move {
            value(&own, "SELECT 1").await.unwrap();
            served.send(n).unwrap();
        });
        stats_where(&pool, "in the queue", |stats| stats.waiting_clients == n + 1).await;
    }
    drop(holder);
    for n in 0..20 {
        assert_eq!(order.recv().await, Some(n));
    }
}

#[tokio::test]
async fn waiting_ends_after_acquire_timeout_with_pool_size_and_waiters() {
    let database = database().await;
    let pool = pool_with(&database, 2, |config| {
        config.pool.acquire_timeout = millis(1000);
        config.pool.max_held = MaxHeld::Count(2);
    });
    let _held = (pool.acquire().await.unwrap(), pool.acquire().await.unwrap());
    let first = tokio::spawn({
        let pool = pool.clone();
        async move { value(&pool, "SELECT 1").await }
    });
    stats_where(&pool, "one waits", |stats| stats.waiting_clients == 1).await;
    tokio::time::sleep(Duration::from_millis(20)).await;
    let two = value(&pool, "SELECT 1").await;
    let one = first.await.unwrap();
    assert_error(&one, "53300", "pool \"primary\" is exhausted");
    assert_error(&one, "53300", "2 in all, callers waiting: 1");
    assert_error(&two, "53300", "2 in all, callers waiting: 0");
    let text = one.unwrap_err().to_string();
    for detector in ["connection", "server closed", "timed out", "terminating"] {
        assert!(!text.contains(detector), "{text}");
    }
    assert_eq!(pool.stats().canceled_acquire_count, 2);
}

#[tokio::test]
async fn a_full_queue_refuses_at_once() {
    let database = database().await;
    let pool = pool_with(&database, 1, |config| config.pool.wait_queue_size = 1);
    let holder = pool.acquire().await.unwrap();
    let waiter = tokio::spawn({
        let pool = pool.clone();
        async move { value(&pool, "SELECT 'waited'").await }
    });
    stats_where(&pool, "one waits", |stats| stats.waiting_clients == 1).await;
    let started = Instant::now();
    assert_error(&value(&pool, "SELECT 1").await, "53300", "wait_queue_size");
    assert!(started.elapsed() < Duration::from_secs(1), "at once");
    drop(holder);
    assert_eq!(waiter.await.unwrap().unwrap(), "waited");
}

#[tokio::test]
async fn waiting_transactions_never_hold_up_short_statements() {
    let database = database().await;
    let pool = pool_with(&database, 3, |config| {
        config.pool.max_held = MaxHeld::Count(2);
        // So that those who wait for a place also fill the queue.
        config.pool.wait_queue_size = 4;
    });
    let (session, transaction) = (pool.acquire().await.unwrap(), pool.begin().await.unwrap());
    let waiting: Vec<_> = (0..4)
        .map(|n| {
            let pool = pool.clone();
            tokio::spawn(async move {
                if n % 2 == 0 {
                    pool.begin().await.map(drop)
                } else {
                    pool.acquire().await.map(drop)
                }
            })
        })
        .collect();
    stats_where(&pool, "four wait", |stats| stats.waiting_clients == 4).await;
    let started = Instant::now();
    for n in 0..30 {
        // They queue for the one connection that is left.
        let (a, b, c) = tokio::join!(
            value(&pool, "SELECT 'a'"),
            value(&pool, "SELECT 'b', pg_sleep(0.001)"),
            value(&pool, "SELECT 'c'"),
        );
        let answers = [a.unwrap(), b.unwrap(), c.unwrap()];
        assert_eq!(answers, ["a", "b", "c"], "round {n}");
    }
    assert!(started.elapsed() < Duration::from_secs(3));
    assert_eq!(pool.stats().waiting_clients, 4, "still");
    drop((session, transaction));
    for task in waiting {
        task.await.unwrap().unwrap();
    }
    settled(&pool).await;
}

#[tokio::test]
async fn sessions_and_transactions_together_stay_within_max_held() {
    let database = database().await;
    let pool = pool_with(&database, 4, |config| {
        config.pool.max_held = MaxHeld::Percent(50);
        config.pool.acquire_timeout = millis(1000);
    });
    let _held = (pool.acquire().await.unwrap(), pool.begin().await.unwrap());
    for refused in [pool.begin().await.map(drop), pool.acquire().await.map(drop)] {
        assert_error(&refused, "53300", "pool.max_held");
        assert_error(&refused, "53300", "2 in all");
    }
    assert_eq!(value(&pool, "SELECT 'short'").await.unwrap(), "short");
}
