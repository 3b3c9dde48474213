//! A very large value goes through, and its memory is given back. A binary of its own: what is
//! measured is the whole process.

use std::time::{Duration, Instant};

use pool_manager::config::BackendConfig;
use pool_manager::values::Arg;
use pool_manager::{DatabasePool, Discard, PoolLimits, Statement};
use test_support::TestCluster;

const MIB: usize = 1024 * 1024;
const VALUE: usize = 100 * MIB;
/// What the allocator and the runtime may keep.
const ALLOWED: usize = 24 * MIB;

/// Resident memory of this process, bytes.
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("Linux");
    let pages: usize = statm.split(' ').nth(1).expect("a second field").parse().expect("a number");
    pages * 4096
}

async fn assert_memory_given_back(before: usize, after: &str) {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let kept = resident().saturating_sub(before);
        if kept < ALLOWED {
            return;
        }
        assert!(Instant::now() < deadline, "{} MiB kept after {after}", kept / MIB);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_100_mb_value_passes_and_its_memory_is_given_back() {
    let database = TestCluster::shared().await.database().await;
    let mut config = BackendConfig::from_dsn(format!("{}?sslmode=disable", database.dsn()));
    config.pool.max_connections = 2;
    config.pool.min_connections = Some(0);
    let limits = PoolLimits { max_message: 2 * VALUE, ..PoolLimits::default() };
    let pool = DatabasePool::with_limits("large", &config, limits).unwrap();
    let small = "SELECT length($1::text)";
    pool.exec(small, &["x".into()]).await.unwrap();
    // Held to the end, so that the connection is kept and with it whatever it keeps.
    let mut session = pool.acquire().await.unwrap();
    session.execute(&Statement::new("SELECT 1", &[]), &mut Discard).await.unwrap();
    let before = resident();

    let large = format!("SELECT repeat('x', {VALUE})");
    for simple in [false, true] {
        let statement = Statement { simple, ..Statement::new(&large, &[]) };
        pool.execute(&statement, &mut Discard).await.unwrap();
        assert_memory_given_back(before, "a large result").await;
    }
    let row = pool.query_row(&large, &[]).await.unwrap().unwrap();
    assert_eq!(row.view().unwrap().bytes(0).map(<[u8]>::len), Some(VALUE));
    drop(row);
    assert_memory_given_back(before, "a collected result").await;

    let argument: Arg = "y".repeat(VALUE).into();
    let row = pool.query_row(small, std::slice::from_ref(&argument)).await.unwrap().unwrap();
    assert_eq!(row.get::<usize>(0).unwrap(), VALUE);
    drop(argument);
    assert_memory_given_back(before, "a large argument").await;

    // A connection that is held gives it back after the statement.
    session.execute(&Statement::new(&large, &[]), &mut Discard).await.unwrap();
    assert_memory_given_back(before, "a statement in a session").await;
    session.end().await.unwrap();
    let stats = pool.stats();
    assert!(stats.idle_connections >= 1, "the connections are kept: {stats:?}");
}
