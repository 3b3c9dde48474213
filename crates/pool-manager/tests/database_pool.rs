//! The library's public face, against a real PostgreSQL.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use std::time::Duration;

use pool_manager::config::BackendConfig;
use pool_manager::values::Arg;
use pool_manager::{DatabasePool, Error};
use test_support::{TestCluster, TestDatabase};

async fn database() -> TestDatabase {
    TestCluster::shared().await.database().await
}

fn pool(database: &TestDatabase, change: impl FnOnce(&mut BackendConfig)) -> DatabasePool {
    let mut config = BackendConfig::from_dsn(database.dsn());
    config.pool.max_connections = 4;
    change(&mut config);
    DatabasePool::new("primary", &config).unwrap()
}

#[tokio::test]
async fn queries_and_commands() {
    let database = database().await;
    let pool = pool(&database, |_| {});
    pool.exec("CREATE TABLE t (id int PRIMARY KEY, name text)", &[]).await.unwrap();
    let insert = "INSERT INTO t VALUES ($1, $2)";
    for (id, name) in [(1, "one"), (2, "two")] {
        let args = [Arg::Int(id), Arg::Text(name.to_owned())];
        let tag = pool.exec(insert, &args).await.unwrap();
        assert_eq!((tag.command(), tag.rows_affected()), ("INSERT", 1));
    }
    let rows = pool.query("SELECT id, name FROM t ORDER BY id", &[]).await.unwrap();
    assert_eq!(rows.len(), 2);
    let row = pool.query_row("SELECT name FROM t WHERE id = $1", &[Arg::Int(2)]).await.unwrap();
    assert_eq!(row.unwrap().get::<String>(0).unwrap(), "two");
    assert!(pool.query_row("SELECT 1 WHERE false", &[]).await.unwrap().is_none());
    pool.health_check().await.unwrap();
    let stats = pool.stats();
    assert_eq!(stats.query_count, 6);
    assert_eq!(stats.health_checks_passed, 1);
    pool.close(Duration::from_secs(1)).await;
    assert!(matches!(pool.exec("SELECT 1", &[]).await, Err(Error::Closed(_))));
}

#[tokio::test]
async fn transactions_commit_and_roll_back() {
    let database = database().await;
    let pool = pool(&database, |_| {});
    pool.exec("CREATE TABLE t (id int)", &[]).await.unwrap();
    let insert = "INSERT INTO t VALUES (1)";

    let mut kept = pool.begin().await.unwrap();
    kept.exec(insert, &[]).await.unwrap();
    let inside = kept.query_row("SELECT count(*) FROM t", &[]).await.unwrap().unwrap();
    assert_eq!(inside.get::<i64>(0).unwrap(), 1);
    kept.commit().await.unwrap();
    let mut undone = pool.begin().await.unwrap();
    undone.exec(insert, &[]).await.unwrap();
    undone.rollback().await.unwrap();
    let mut dropped = pool.begin().await.unwrap();
    dropped.exec(insert, &[]).await.unwrap();
    drop(dropped);

    let rows = pool.query("SELECT count(*) FROM t", &[]).await.unwrap();
    assert_eq!(rows.iter().next().unwrap().get::<i64>(0).unwrap(), 1);
}
