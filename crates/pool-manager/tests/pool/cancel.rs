//! Cancelling: the statement that ran out of time, and never the one that follows it.

use std::time::{Duration, Instant};

use pool_manager::{Discard, Statement, TimeLimit};
use test_support::FaultyLink;

use crate::common::*;

#[tokio::test]
async fn a_statement_that_times_out_200_times_never_cancels_the_next_one() {
    let database = database().await;
    let pool = pool(&database, 1);
    let pid = backend_pid(&pool).await;
    let limit = Duration::from_millis(2);
    for round in 0..200 {
        let late = within(&pool, "SELECT pg_sleep(60)", limit).await;
        assert_error(&late, "57014", "canceling statement due to query timeout after 2 ms");
        let next = format!("SELECT 'next {round}', pg_sleep(0.001)");
        assert_eq!(value(&pool, &next).await.unwrap(), format!("next {round}"));
    }
    assert_eq!(backend_pid(&pool).await, pid, "the connection is kept");
}

#[tokio::test]
async fn a_statement_that_ends_about_when_it_times_out_never_cancels_the_next_one() {
    let database = database().await;
    let pool = pool(&database, 1);
    let (mut in_time, mut late) = (0, 0);
    for round in 0..200 {
        let limit = Duration::from_micros(2000 + 10 * (round % 50));
        match within(&pool, "SELECT 'done', pg_sleep(0.002)", limit).await {
            Ok(_) => in_time += 1,
            Err(error) => {
                assert_eq!(error.sqlstate().as_str(), "57014", "{error}");
                late += 1;
            }
        }
        assert_eq!(value(&pool, "SELECT 'next'").await.unwrap(), "next", "round {round}");
    }
    assert_eq!(in_time + late, 200);
}

#[tokio::test]
async fn a_dropped_call_never_cancels_the_next_one() {
    let database = database().await;
    let pool = pool(&database, 1);
    for round in 0..40 {
        let dropped = Dropped::AtOnce;
        // Found, connected and sent after a few polls; then it hangs in its sleep.
        let call = value(&pool, "SELECT pg_sleep(60)");
        let limited = tokio::time::timeout(Duration::from_millis(3), call);
        assert!(poll_times(limited, 100, dropped).await.is_none_or(|done| done.is_err()));
        let next = value(&pool, &format!("SELECT 'next {round}', pg_sleep(0.001)")).await;
        assert_eq!(next.unwrap(), format!("next {round}"));
    }
    settled(&pool).await;
}

#[tokio::test]
async fn a_timeout_in_a_transaction_leaves_it_failed_and_usable() {
    let database = database().await;
    let pool = pool(&database, 1);
    let mut transaction = pool.begin().await.unwrap();
    transaction.value("SAVEPOINT before").await.unwrap();
    let statement = Statement {
        limit: TimeLimit::After(Duration::from_millis(20)),
        ..Statement::new("SELECT pg_sleep(60)", &[])
    };
    assert_eq!(code(&transaction.execute(&statement, &mut Discard).await), "57014");
    assert_eq!(code(&transaction.value("SELECT 1").await), "25P02");
    transaction.value("ROLLBACK TO SAVEPOINT before").await.unwrap();
    assert_eq!(transaction.value("SELECT 'usable'").await.unwrap(), "usable");
    transaction.commit().await.unwrap();
}

#[tokio::test]
async fn the_configured_query_timeout_holds_unless_a_statement_has_its_own() {
    let database = database().await;
    let pool = pool_with(&database, 1, |config| config.behavior.query_timeout = millis(30));
    assert_error(&value(&pool, "SELECT pg_sleep(60)").await, "57014", "after 30 ms");
    let longer = within(&pool, "SELECT 'slept', pg_sleep(0.06)", Duration::from_secs(60)).await;
    assert_eq!(longer.unwrap(), "slept");
    let sql = "SELECT pg_sleep(0.06)";
    let unlimited = Statement { limit: TimeLimit::None, ..Statement::new(sql, &[]) };
    pool.execute(&unlimited, &mut Discard).await.unwrap();
    assert_eq!(code(&simple(&pool, "SELECT 1; SELECT pg_sleep(60)").await), "57014");
    assert_eq!(value(&pool, "SELECT 'next'").await.unwrap(), "next");
}

#[tokio::test]
async fn waiting_for_a_connection_does_not_count_as_running() {
    let database = database().await;
    let pool = pool(&database, 1);
    let holder = pool.acquire().await.unwrap();
    let limit = Duration::from_millis(500);
    let mut call = Box::pin(within(&pool, "SELECT 'ran'", limit));
    assert!(poll_once(call.as_mut()).is_pending());
    tokio::time::sleep(limit + Duration::from_millis(50)).await;
    drop(holder);
    assert_eq!(call.await.unwrap(), "ran");
}

#[tokio::test]
async fn a_link_that_swallows_everything_ends_with_a_known_class_and_a_new_connection() {
    let database = database().await;
    let link = FaultyLink::to(address(&database)).await;
    let pool = pool_through(&link, &database, 1, |_| {});
    value(&pool, "SELECT 1").await.unwrap();
    link.blackhole();
    // What comes before the statement is bounded by its limit too.
    let settings = settings_of(&[("app.tenant", "7")]);
    let statement = Statement {
        settings: &settings,
        limit: TimeLimit::After(Duration::from_millis(50)),
        ..Statement::new("SELECT 1", &[])
    };
    let started = Instant::now();
    assert_eq!(code(&pool.execute(&statement, &mut Discard).await), "57014");
    assert!(started.elapsed() < Duration::from_secs(2));
    link.resume();
    assert_eq!(value(&pool, "SELECT 'through'").await.unwrap(), "through");
    settled(&pool).await;
}
