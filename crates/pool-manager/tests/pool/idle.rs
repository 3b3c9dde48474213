//! Connections that nobody uses: killed, outliving their time, kept or opened ahead; and a server
//! that goes away and comes back.

use std::time::{Duration, Instant};

use pool_manager::PoolStats;
use pool_manager::config::MaxHeld;
use test_support::{FaultyLink, StopMode, TestCluster};
use tokio::time::sleep;

use crate::common::*;

/// Longer than a connection lies idle before it is probed.
const IDLE: Duration = Duration::from_millis(10);

#[tokio::test]
async fn an_idle_connection_killed_by_the_server_is_not_handed_out() {
    let database = database().await;
    let pool = pool(&database, 3);
    for round in 0..3 {
        // Several idle ones, of which none is good.
        let held = [pool.acquire().await.unwrap(), pool.acquire().await.unwrap()];
        drop(held);
        settled(&pool).await;
        assert!(database.kill_backends("application_name = 'rr-pgpool'").await >= 2);
        sleep(IDLE).await;
        let mine = format!("round {round}");
        assert_eq!(value(&pool, &format!("SELECT '{mine}'")).await.unwrap(), mine);
        let mut transaction = pool.begin().await.unwrap();
        assert_eq!(transaction.value("SELECT 'in it'").await.unwrap(), "in it");
        transaction.commit().await.unwrap();
    }
    let stats = settled(&pool).await;
    assert!(stats.lost_idle_connections >= 6, "{stats:?}");
}

#[tokio::test]
async fn connections_reset_by_the_network_while_idle_are_not_handed_out() {
    let database = database().await;
    let link = FaultyLink::to(address(&database)).await;
    let pool = pool_through(&link, &database, 2, |_| {});
    for _ in 0..3 {
        value(&pool, "SELECT 1").await.unwrap();
        link.reset_all();
        sleep(IDLE).await;
        assert_eq!(value(&pool, "SELECT 'again'").await.unwrap(), "again");
    }
}

#[tokio::test]
async fn a_restarted_server_is_used_again_at_once() {
    let cluster = TestCluster::start().await;
    let database = cluster.database().await;
    let pool = pool(&database, 3);
    exec(&pool, "CREATE TABLE t (id int)").await;
    drop([pool.acquire().await.unwrap(), pool.acquire().await.unwrap()]);
    settled(&pool).await;
    cluster.restart(StopMode::Fast).await;
    assert_eq!(value(&pool, "SELECT count(*) FROM t").await.unwrap(), "0");
}

#[tokio::test]
async fn a_stopped_server_is_the_real_cause_at_once_and_recovers_by_itself() {
    let cluster = TestCluster::start().await;
    let database = cluster.database().await;
    let pool = pool(&database, 2);
    value(&pool, "SELECT 1").await.unwrap();
    pool.health_check().await.unwrap();
    cluster.stop(StopMode::Fast).await;
    sleep(IDLE).await;
    for _ in 0..3 {
        let started = Instant::now();
        assert_error(&value(&pool, "SELECT 1").await, "08001", "Connection refused");
        assert_error(&pool.begin().await.map(drop), "08001", "Connection refused");
        assert_error(&pool.acquire().await.map(drop), "08001", "Connection refused");
        assert!(started.elapsed() < Duration::from_secs(2), "at once, not after acquire_timeout");
    }
    assert_eq!(code(&pool.health_check().await), "08001");
    assert!(pool.stats().last_error.unwrap().contains("Connection refused"));
    cluster.start_again().await;
    assert_eq!(value(&pool, "SELECT 'back'").await.unwrap(), "back");
    pool.health_check().await.unwrap();
    settled(&pool).await;
}

#[tokio::test]
async fn a_wrong_password_or_database_is_the_real_cause_at_once() {
    let database = database().await;
    let cluster = database.cluster();
    for (dsn, code, text) in [
        (cluster.dsn_of("app", "wrong", database.name()), "28P01", "password authentication"),
        (cluster.dsn_of("app", "secret", "nowhere"), "3D000", "does not exist"),
    ] {
        let config = config(&dsn, 2, |_| {});
        let pool = pool_manager::DatabasePool::new("other", &config).unwrap();
        let started = Instant::now();
        let refused = value(&pool, "SELECT 1").await;
        assert_error(&refused, code, text);
        assert!(started.elapsed() < Duration::from_secs(2));
        assert!(!refused.unwrap_err().to_string().contains("wrong"), "no password in an error");
    }
}

#[tokio::test]
async fn min_connections_are_opened_ahead_and_kept() {
    let database = database().await;
    let pool = pool_with(&database, 4, |config| {
        config.behavior.lazy_connect = false;
        config.pool.min_connections = Some(3);
        // Also sets how often the pool looks after its connections.
        config.pool.max_idle_time = millis(400);
    });
    let kept = |stats: &PoolStats| stats.idle_connections == 3 && stats.total_connections == 3;
    stats_where(&pool, "three are opened", kept).await;
    assert_eq!(database.kill_backends("application_name = 'rr-pgpool'").await, 3);
    stats_where(&pool, "the dead are found", |stats| stats.lost_idle_connections >= 3).await;
    stats_where(&pool, "three are opened again", kept).await;
    assert_eq!(pool.stats().total_acquired, 0, "nobody asked for them");
}

#[tokio::test]
async fn lazy_connect_opens_nothing_before_the_first_caller() {
    let database = database().await;
    let pool = pool_with(&database, 4, |config| {
        config.pool.min_connections = Some(2);
        config.pool.max_idle_time = millis(400);
        config.pool.health_check_period = millis(50);
    });
    let watch = BackendWatch::new(&database).await;
    // Two rounds of maintenance.
    sleep(Duration::from_millis(250)).await;
    assert_eq!(watch.count("true").await, 0);
    value(&pool, "SELECT 1").await.unwrap();
    stats_where(&pool, "then the minimum is kept", |stats| stats.idle_connections == 2).await;
}

#[tokio::test]
async fn connections_idle_for_too_long_are_closed_down_to_the_minimum() {
    let database = database().await;
    let pool = pool_with(&database, 5, |config| {
        config.pool.max_held = MaxHeld::Count(5);
        config.pool.min_connections = Some(1);
        config.pool.max_idle_time = millis(400);
    });
    let mut held = Vec::new();
    for _ in 0..5 {
        held.push(pool.acquire().await.unwrap());
    }
    drop(held);
    assert_eq!(settled(&pool).await.idle_connections, 5);
    stats_where(&pool, "all but one are closed", |stats| stats.total_connections == 1).await;
    let watch = BackendWatch::new(&database).await;
    eventually("the server agrees", || async { watch.count("true").await == 1 }).await;
}

#[tokio::test]
async fn connections_are_replaced_when_their_lifetime_is_over() {
    let database = database().await;
    let pool = pool_with(&database, 1, |config| config.pool.max_lifetime = millis(400));
    let first = backend_pid(&pool).await;
    assert_eq!(backend_pid(&pool).await, first);
    // Idle: the maintenance closes it.
    stats_where(&pool, "the old one is closed", |stats| stats.total_connections == 0).await;
    let second = backend_pid(&pool).await;
    assert_ne!(second, first);
    // In use all the time: it is closed on its return.
    eventually("a busy one is replaced too", || async { backend_pid(&pool).await != second }).await;
}

#[tokio::test]
async fn a_storm_of_callers_opens_at_most_eight_connections_at_a_time() {
    let database = database().await;
    let link = FaultyLink::to(address(&database)).await;
    let pool = pool_through(&link, &database, 30, |_| {});
    // Connections are accepted, but lead nowhere for now.
    link.stall();
    let callers: Vec<_> = (0..30)
        .map(|n| {
            let pool = pool.clone();
            tokio::spawn(async move { value(&pool, &format!("SELECT pg_sleep(0.05), {n}")).await })
        })
        .collect();
    eventually("the first eight", || async { link.counters().connections == 8 }).await;
    for _ in 0..20 {
        sleep(Duration::from_millis(1)).await;
        assert!(link.counters().connections <= 8);
        assert!(pool.stats().constructing_connections <= 8);
    }
    link.resume();
    for caller in callers {
        caller.await.unwrap().unwrap();
    }
    settled(&pool).await;
}

#[tokio::test]
async fn a_connect_that_hangs_ends_after_connect_timeout() {
    let database = database().await;
    let link = FaultyLink::to(address(&database)).await;
    link.blackhole();
    let dsn = format!("postgres://app:secret@{}/{}", link.address(), database.name());
    let mut config = config(&dsn, 2, |_| {});
    let dsn = config.dsn.as_ref().unwrap().expose().to_owned();
    config.dsn = Some(format!("{dsn}&connect_timeout=1").into());
    let pool = pool_manager::DatabasePool::new("hanging", &config).unwrap();
    let started = Instant::now();
    assert_error(&value(&pool, "SELECT 1").await, "08001", "timed out after 1 s");
    assert!(started.elapsed() < Duration::from_secs(3));
    link.resume();
    assert_eq!(value(&pool, "SELECT 'through'").await.unwrap(), "through");
}

#[tokio::test]
async fn a_connect_that_hangs_ends_after_acquire_timeout() {
    let database = database().await;
    let link = FaultyLink::to(address(&database)).await;
    link.blackhole();
    let pool = pool_through(&link, &database, 2, |config| {
        config.pool.acquire_timeout = millis(200);
    });
    assert_error(&value(&pool, "SELECT 1").await, "08001", "did not accept a session within");
    let stats = pool.stats();
    assert_eq!((stats.total_acquired, stats.total_released), (0, 0));
}

#[tokio::test]
async fn a_closed_pool_refuses_callers_and_closes_every_connection() {
    let database = database().await;
    let pool = pool(&database, 3);
    drop([pool.acquire().await.unwrap(), pool.acquire().await.unwrap()]);
    let mut held = pool.acquire().await.unwrap();
    let closing = tokio::spawn({
        let pool = pool.clone();
        async move { pool.close(Duration::from_millis(300)).await }
    });
    eventually("newcomers are refused", || async {
        code(&value(&pool, "SELECT 1").await) == "57P03"
    })
    .await;
    assert_eq!(held.value("SELECT 'inside'").await.unwrap(), "inside");
    drop(held);
    closing.await.unwrap();
    stats_where(&pool, "all are closed", |stats| stats.total_connections == 0).await;
    assert_eq!(BackendWatch::new(&database).await.count("true").await, 0);
}

#[tokio::test]
async fn a_pool_that_nobody_has_any_more_closes_its_connections() {
    let database = database().await;
    let pool = pool_with(&database, 3, |config| config.behavior.lazy_connect = false);
    value(&pool, "SELECT 1").await.unwrap();
    settled(&pool).await;
    drop(pool);
    let watch = BackendWatch::new(&database).await;
    eventually("its backends end", || async { watch.count("true").await == 0 }).await;
}
