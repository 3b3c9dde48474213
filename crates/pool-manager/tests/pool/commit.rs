//! What COMMIT is said to have done is what it has done.

use std::time::Duration;

use pool_manager::{DatabasePool, Error, Transaction, TransactionOptions, parse_isolation};
use test_support::{FaultyLink, TestDatabase};

use crate::common::*;

const INSERT: &str = "INSERT INTO t VALUES (1)";

async fn table() -> (TestDatabase, DatabasePool) {
    let database = database().await;
    let pool = pool(&database, 3);
    let sql = "CREATE TABLE t (id int UNIQUE DEFERRABLE INITIALLY DEFERRED)";
    exec(&pool, sql).await;
    (database, pool)
}

async fn rows(pool: &DatabasePool) -> String {
    value(pool, "SELECT count(*) FROM t").await.unwrap()
}

async fn inserted(pool: &DatabasePool) -> Transaction {
    let mut transaction = pool.begin().await.unwrap();
    transaction.value(INSERT).await.unwrap();
    transaction
}

#[tokio::test]
async fn commit_of_a_failed_transaction_is_25p02() {
    let (_database, pool) = table().await;
    let mut transaction = inserted(&pool).await;
    assert_eq!(code(&transaction.value("SELECT 1/0").await), "22012");
    let refused = transaction.commit().await;
    assert_error(&refused, "25P02", "rolled back, not committed");
    assert_eq!(rows(&pool).await, "0");
}

#[tokio::test]
async fn a_deferred_constraint_that_fails_at_commit_is_its_own_error() {
    let (_database, pool) = table().await;
    let mut transaction = inserted(&pool).await;
    transaction.value(INSERT).await.unwrap();
    let refused = transaction.commit().await;
    assert_error(&refused, "23505", "unique constraint");
    let Err(Error::Server(error)) = refused else { panic!("untouched") };
    assert_eq!(error.constraint.as_deref(), Some("t_id_key"));
    assert_eq!(rows(&pool).await, "0");
    // The same by SQL.
    let mut transaction = inserted(&pool).await;
    transaction.value(INSERT).await.unwrap();
    assert_error(&transaction.value("COMMIT").await, "23505", "unique constraint");
    assert_eq!(rows(&pool).await, "0");
}

#[tokio::test]
async fn a_serialization_failure_at_commit_is_40001() {
    let (_database, pool) = table().await;
    let options = TransactionOptions {
        isolation: Some(parse_isolation("serializable").unwrap()),
        ..TransactionOptions::default()
    };
    let mut one = pool.begin_with(&options).await.unwrap();
    let mut two = pool.begin_with(&options).await.unwrap();
    for transaction in [&mut one, &mut two] {
        transaction.value("SELECT count(*) FROM t").await.unwrap();
    }
    one.value("INSERT INTO t VALUES (1)").await.unwrap();
    two.value("INSERT INTO t VALUES (2)").await.unwrap();
    one.commit().await.unwrap();
    assert_error(&two.commit().await, "40001", "could not serialize");
    assert_eq!(rows(&pool).await, "1");
}

#[tokio::test]
async fn a_connection_reset_before_commit_is_sent_was_not_committed() {
    let (database, direct) = table().await;
    let link = FaultyLink::to(address(&database)).await;
    let pool = pool_through(&link, &database, 1, |_| {});
    for _ in 0..5 {
        let transaction = inserted(&pool).await;
        link.reset_all();
        eventually("the link has reset it", || async { link.counters().resets > 0 }).await;
        tokio::time::sleep(Duration::from_millis(10)).await;
        let lost = transaction.commit().await;
        assert_error(&lost, "08006", "server closed the connection unexpectedly");
        assert_error(&lost, "08006", "not executed");
        assert_eq!(rows(&direct).await, "0");
    }
    settled(&pool).await;
}

#[tokio::test]
async fn a_connection_lost_after_commit_was_sent_is_unknown() {
    let (database, direct) = table().await;
    let link = FaultyLink::to(address(&database)).await;
    let pool = pool_through(&link, &database, 1, |_| {});
    for by_sql in [false, true] {
        let mut transaction = inserted(&pool).await;
        // COMMIT gets through, its answer does not.
        let sent = link.counters().to_server;
        link.stall();
        let commit = async {
            if by_sql {
                transaction.simple("COMMIT").await.map(drop)
            } else {
                transaction.commit().await
            }
        };
        let mut commit = Box::pin(commit);
        for _ in 0..20 {
            assert!(poll_once(commit.as_mut()).is_pending());
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(link.counters().to_server, sent, "held by the link");
        link.reset_all();
        link.resume();
        let lost = commit.await;
        assert_error(&lost, "40003", "the outcome of COMMIT is unknown");
        let text = lost.unwrap_err().to_string();
        for detector in ["connection", "0800", "broken pipe", "server closed"] {
            assert!(!text.contains(detector), "{text}");
        }
    }
    assert_eq!(rows(&direct).await, "0");
    settled(&pool).await;
}

#[tokio::test]
async fn a_transaction_whose_backend_was_killed_says_so_and_was_not_committed() {
    let (database, pool) = table().await;
    let transaction = inserted(&pool).await;
    database.kill_backends("state = 'idle in transaction'").await;
    let lost = transaction.commit().await;
    assert_error(&lost, "57P01", "terminating connection due to administrator command");
    let mut transaction = inserted(&pool).await;
    database.kill_backends("state = 'idle in transaction'").await;
    assert_error(&transaction.value(INSERT).await, "57P01", "terminating connection");
    assert_eq!(rows(&pool).await, "0");
    let transaction = inserted(&pool).await;
    database.kill_backends("state = 'idle in transaction'").await;
    transaction.rollback().await.unwrap();
}

#[tokio::test]
async fn commit_and_rollback_by_sql_end_a_transaction() {
    let (_database, pool) = table().await;
    let mut transaction = inserted(&pool).await;
    transaction.value("COMMIT").await.unwrap();
    assert_eq!(rows(&pool).await, "1");
    for late in [transaction.value(INSERT).await.map(drop), transaction.commit().await] {
        assert_error(&late, "25P01", "ended by an earlier COMMIT or ROLLBACK");
    }
    let mut transaction = pool.begin().await.unwrap();
    transaction.value("DELETE FROM t").await.unwrap();
    transaction.value("ROLLBACK").await.unwrap();
    assert_error(&transaction.commit().await, "25P01", "ended");
    assert_eq!(rows(&pool).await, "1");
    settled(&pool).await;
}

#[tokio::test]
async fn commit_by_sql_of_a_failed_transaction_is_25p02_whatever_follows() {
    let (_database, pool) = table().await;
    for text in ["COMMIT", "COMMIT AND CHAIN", "COMMIT; SELECT 1", "END", "PREPARE TRANSACTION 'x'"]
    {
        let mut transaction = inserted(&pool).await;
        assert_eq!(code(&transaction.value("SELECT 1/0").await), "22012");
        assert_error(&transaction.simple(text).await, "25P02", "not committed");
        drop(transaction);
        assert_eq!(rows(&pool).await, "0", "{text}");
    }
}

#[tokio::test]
async fn commit_and_chain_commits_and_goes_on() {
    let (_database, pool) = table().await;
    let mut transaction = inserted(&pool).await;
    transaction.value("COMMIT AND CHAIN").await.unwrap();
    assert_eq!(rows(&pool).await, "1");
    transaction.value("DELETE FROM t").await.unwrap();
    transaction.value("ROLLBACK AND CHAIN").await.unwrap();
    assert_eq!(rows(&pool).await, "1");
    transaction.value("DELETE FROM t").await.unwrap();
    transaction.commit().await.unwrap();
    assert_eq!(rows(&pool).await, "0");
}

#[tokio::test]
async fn a_read_only_transaction_commits_and_refuses_writes() {
    let (_database, pool) = table().await;
    let options = TransactionOptions { read_only: true, ..TransactionOptions::default() };
    let mut transaction = pool.begin_with(&options).await.unwrap();
    assert_eq!(transaction.value("SHOW transaction_read_only").await.unwrap(), "on");
    assert_error(&transaction.value(INSERT).await, "25006", "read-only");
    transaction.rollback().await.unwrap();
    pool.begin_with(&options).await.unwrap().commit().await.unwrap();
    assert_eq!(value(&pool, "SHOW transaction_read_only").await.unwrap(), "off");
}

#[tokio::test]
async fn a_transaction_that_is_dropped_is_rolled_back_and_its_locks_are_free() {
    let (_database, pool) = table().await;
    let mut transaction = inserted(&pool).await;
    transaction.value("LOCK TABLE t IN ACCESS EXCLUSIVE MODE").await.unwrap();
    drop(transaction);
    assert_eq!(rows(&pool).await, "0");
    settled(&pool).await;
}
