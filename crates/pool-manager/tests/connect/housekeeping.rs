//! The housekeeping connection: one per backend, replaced when it dies, its cause told at once.

use std::time::{Duration, Instant};

use pool_manager::connect::{Connector, Housekeeping, HousekeepingError};
use pool_manager::dsn::ConnectParams;
use test_support::{StopMode, TestCluster, TestDatabase};

use crate::support::params;

async fn in_database() -> (TestDatabase, ConnectParams) {
    let database = TestCluster::shared().await.database().await;
    let mut wanted = params(database.cluster());
    wanted.database = database.name().to_owned();
    (database, wanted)
}

#[tokio::test]
async fn many_callers_share_one_connection() {
    let (database, wanted) = in_database().await;
    let housekeeping = Housekeeping::new(Connector::new(wanted).unwrap());
    let mut callers = tokio::task::JoinSet::new();
    for n in 0..20_i32 {
        let housekeeping = housekeeping.clone();
        callers.spawn(async move {
            let client = housekeeping.client().await.unwrap();
            let row = client.query_one("SELECT $1::int4, pg_backend_pid()", &[&n]).await.unwrap();
            assert_eq!(row.get::<_, i32>(0), n);
            row.get::<_, i32>(1)
        });
    }
    let pids: std::collections::BTreeSet<_> = callers.join_all().await.into_iter().collect();
    assert_eq!(pids.len(), 1);
    assert_eq!(database.count_backends("true").await, 1);
}

#[tokio::test]
async fn a_killed_connection_is_replaced() {
    let (database, wanted) = in_database().await;
    let housekeeping = Housekeeping::new(Connector::new(wanted).unwrap());
    drop(housekeeping.client().await.unwrap());
    assert_eq!(database.kill_backends("true").await, 1);
    let client = housekeeping.client().await.unwrap();
    client.simple_query("SELECT 1").await.unwrap();
}

#[tokio::test]
async fn an_abandoned_query_does_not_keep_the_connection() {
    let (database, wanted) = in_database().await;
    let housekeeping = Housekeeping::new(Connector::new(wanted).unwrap());
    let client = housekeeping.client().await.unwrap();
    let sleep = client.simple_query("SELECT pg_sleep(60)");
    assert!(tokio::time::timeout(Duration::from_millis(200), sleep).await.is_err());
    drop(client);
    let start = Instant::now();
    let client = housekeeping.client().await.unwrap();
    client.simple_query("SELECT 1").await.unwrap();
    assert!(start.elapsed() < Duration::from_secs(20));
    drop((client, database));
}

#[tokio::test]
async fn a_discarded_client_is_closed() {
    let (database, wanted) = in_database().await;
    let housekeeping = Housekeeping::new(Connector::new(wanted).unwrap());
    let mut client = housekeeping.client().await.unwrap();
    client.discard();
    drop(client);
    let deadline = Instant::now() + Duration::from_secs(10);
    while database.count_backends("true").await > 0 {
        assert!(Instant::now() < deadline);
    }
}

#[tokio::test]
async fn the_cause_of_a_failed_connect_comes_at_once_and_recovery_needs_nothing() {
    let cluster = TestCluster::start().await;
    let housekeeping = Housekeeping::new(Connector::new(params(&cluster)).unwrap());
    cluster.stop(StopMode::Fast).await;
    for _ in 0..3 {
        let start = Instant::now();
        match housekeeping.client().await.unwrap_err() {
            HousekeepingError::Connect(error) => {
                assert!(error.to_string().ends_with("Connection refused"), "{error}");
            }
            other => panic!("{other}"),
        }
        assert!(start.elapsed() < Duration::from_secs(5));
    }
    cluster.start_again().await;
    let client = housekeeping.client().await.unwrap();
    client.simple_query("SELECT 1").await.unwrap();
}
