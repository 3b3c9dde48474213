//! However callers behave, PostgreSQL never sees more of a pool than it may.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use pool_manager::{DatabasePool, Error};
use rand::RngExt;
use rand::rngs::StdRng;
use test_support::Seed;

use crate::common::*;

const SIZE: u32 = 4;
const CALLERS: u64 = 24;
const DURATION: Duration = Duration::from_millis(1500);

/// One call of a random kind, most of which end badly.
async fn misbehave(pool: &DatabasePool, rng: &mut StdRng) -> Result<String, Error> {
    let limit = Duration::from_millis(rng.random_range(1..4));
    match rng.random_range(0..9) {
        0 => value(pool, "SELECT 1/0").await,
        1 => within(pool, "SELECT pg_sleep(60)", limit).await,
        2 => {
            let times = rng.random_range(1..8);
            let call = value(pool, "SELECT g, pg_sleep(60) FROM generate_series(1, 9) AS g");
            // A bound of its own: not every poll is followed by a wake-up.
            let call = tokio::time::timeout(limit, call);
            let _ = poll_times(call, times, Dropped::Awoken).await;
            Ok(String::new())
        }
        3 => {
            let mut transaction = pool.begin().await?;
            transaction.value("INSERT INTO t VALUES (1)").await?;
            if rng.random_bool(0.5) {
                transaction.commit().await?;
            }
            Ok(String::new())
        }
        4 => {
            let mut session = pool.acquire().await?;
            session.value("SET work_mem = '1MB'").await
        }
        5 => simple(pool, "CREATE TEMP TABLE x (id int); SELECT 'made'").await,
        6 => simple(pool, "BEGIN; SELECT 'left open'").await,
        7 => {
            let mut session = pool.acquire().await?;
            session.value("PREPARE p AS SELECT 1").await
        }
        _ => value(pool, "SELECT 'fine'").await,
    }
}

async fn load(seed: Seed) {
    let database = database().await;
    database.batch("CREATE TABLE t (id int)").await;
    let pool = pool_with(&database, SIZE, |config| {
        config.pool.max_lifetime = millis(500);
        config.pool.acquire_timeout = millis(60_000);
    });
    let end = Instant::now() + DURATION;
    let callers: Vec<_> = (0..CALLERS)
        .map(|caller| {
            let (pool, mut rng) = (pool.clone(), seed.derive(caller).rng());
            tokio::spawn(async move {
                let mut calls = 0_u32;
                while Instant::now() < end {
                    let result = misbehave(&pool, &mut rng).await;
                    let expected = ["00000", "22012", "57014", "25000"];
                    assert!(expected.contains(&code(&result).as_str()), "{:?}", result.err());
                    calls += 1;
                }
                calls
            })
        })
        .collect();
    let watching = Arc::new(AtomicBool::new(true));
    let watcher = {
        let (watch, watching) = (BackendWatch::new(&database).await, Arc::clone(&watching));
        let pool = pool.clone();
        tokio::spawn(async move {
            let mut most = 0;
            while watching.load(Ordering::Relaxed) {
                most = most.max(watch.count("true").await);
                let stats = pool.stats();
                assert!(stats.total_connections <= SIZE, "{stats:?}");
            }
            most
        })
    };
    // The one connection beyond the pool.
    pool.health_check().await.unwrap();
    let mut calls = 0;
    for caller in callers {
        calls += caller.await.unwrap();
    }
    watching.store(false, Ordering::Relaxed);
    let most = watcher.await.unwrap();
    assert!(most <= i64::from(SIZE) + 1, "PostgreSQL saw {most} backends");
    assert!(calls > 100, "only {calls} calls");
    settled(&pool).await;
    let open = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
                AND state LIKE 'idle in transaction%'";
    assert_eq!(value(&pool, open).await.unwrap(), "0");
}

#[tokio::test]
async fn postgresql_never_sees_more_connections_than_configured() {
    load(Seed::from_env_or_random("BOUNDS_SEED")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgresql_never_sees_more_connections_than_configured_on_several_threads() {
    load(Seed::from_env_or_random("BOUNDS_SEED")).await;
}
