//! Values and results beyond what is taken, and very large ones within it.

use pool_manager::{DatabasePool, Discard, PoolLimits, Statement};
use test_support::TestDatabase;

use crate::common::*;

const LIMIT: usize = 256 * 1024;

async fn limited() -> (TestDatabase, DatabasePool) {
    let database = database().await;
    database.batch("CREATE TABLE t (id int)").await;
    let limits = PoolLimits { max_message: LIMIT, ..PoolLimits::default() };
    let config = config(&database.dsn(), 1, |_| {});
    let pool = DatabasePool::with_limits("primary", &config, limits).unwrap();
    (database, pool)
}

const TOO_LARGE: &str = "the result exceeds 262144 bytes; the statement itself was executed";

#[tokio::test]
async fn a_row_beyond_the_limit_is_54000_and_the_connection_stays_in_step() {
    let (_database, pool) = limited().await;
    let pid = backend_pid(&pool).await;
    for length in [LIMIT, LIMIT + 1, 3 * LIMIT, 40 * LIMIT] {
        let sql = format!("SELECT repeat('x', {length}), g FROM generate_series(1, 3) AS g");
        assert_error(&value(&pool, &sql).await, "54000", TOO_LARGE);
        assert_error(&simple(&pool, &sql).await, "54000", TOO_LARGE);
        assert_eq!(value(&pool, "SELECT 'in step'").await.unwrap(), "in step");
    }
    // Its row has two bytes for the count, four for the length.
    let just_fits = format!("SELECT length(v), v FROM repeat('x', {}) AS v", LIMIT - 100);
    assert_eq!(value(&pool, &just_fits).await.unwrap(), (LIMIT - 100).to_string());
    assert_eq!(simple(&pool, &just_fits).await.unwrap(), (LIMIT - 100).to_string());
    assert_eq!(backend_pid(&pool).await, pid);
    settled(&pool).await;
}

#[tokio::test]
async fn the_limit_of_a_collected_result_counts_all_rows() {
    let (_database, pool) = limited().await;
    let sql = "SELECT repeat('x', 1000) FROM generate_series(1, 1000)";
    assert_error(&pool.query(sql, &[]).await.map(drop), "54000", TOO_LARGE);
    assert_error(&simple(&pool, sql).await, "54000", TOO_LARGE);
    // Handed on row by row there is no limit on their sum.
    pool.execute(&Statement::new(sql, &[]), &mut Discard).await.unwrap();
    assert_eq!(value(&pool, "SELECT 'in step'").await.unwrap(), "in step");
}

#[tokio::test]
async fn a_write_whose_result_is_too_large_has_been_executed() {
    let (_database, pool) = limited().await;
    let sql = format!("INSERT INTO t VALUES (1) RETURNING repeat('x', {})", 2 * LIMIT);
    assert_error(&value(&pool, &sql).await, "54000", "the statement itself was executed");
    assert_eq!(value(&pool, "SELECT count(*) FROM t").await.unwrap(), "1");
    let mut transaction = pool.begin().await.unwrap();
    assert_error(&transaction.value(&sql).await, "54000", "was executed");
    assert_eq!(transaction.value("SELECT count(*) FROM t").await.unwrap(), "2");
    transaction.commit().await.unwrap();
    assert_eq!(value(&pool, "SELECT count(*) FROM t").await.unwrap(), "2");
}

#[tokio::test]
async fn oversized_notices_are_skipped_and_errors_still_have_a_code() {
    let (_database, pool) = limited().await;
    let pid = backend_pid(&pool).await;
    let notice = "DO $$ BEGIN RAISE NOTICE '%', repeat('x', 1000000); END $$";
    for _ in 0..3 {
        value(&pool, notice).await.unwrap();
        simple(&pool, notice).await.unwrap();
    }
    let error = "DO $$ BEGIN RAISE '%', repeat('x', 1000000); END $$";
    assert_eq!(code(&value(&pool, error).await), "XX000");
    assert_eq!(value(&pool, "SELECT 'in step'").await.unwrap(), "in step");
    assert_eq!(backend_pid(&pool).await, pid);
}

#[tokio::test]
async fn large_arguments_are_sent_whole() {
    let (_database, pool) = limited().await;
    let text = "é".repeat(4 * 1024 * 1024);
    let rows = pool.query("SELECT length($1), md5($1)", &[text.as_str().into()]).await.unwrap();
    let row = rows.iter().next().unwrap();
    assert_eq!(row.get::<i64>(0).unwrap(), 4 * 1024 * 1024);
    let bytes = vec![0xff_u8; 4 * 1024 * 1024];
    let row = pool.query_row("SELECT length($1::bytea)", &[bytes.into()]).await.unwrap();
    assert_eq!(row.unwrap().get::<i64>(0).unwrap(), 4 * 1024 * 1024);
}
