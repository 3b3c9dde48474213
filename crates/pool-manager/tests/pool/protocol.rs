//! Corners of the protocol: COPY, several statements, no statement, notices, many columns and
//! parameters. Whatever happens, the connection stays in step.

use pool_manager::values::Columns;
use pool_manager::{DatabasePool, Discard, Statement};
use test_support::TestDatabase;

use crate::common::*;

async fn one() -> (TestDatabase, DatabasePool) {
    let database = database().await;
    database.batch("CREATE TABLE t (id int)").await;
    let pool = pool(&database, 1);
    (database, pool)
}

/// The same connection answers the next caller.
async fn assert_in_step(pool: &DatabasePool, pid: i32) {
    for sql in ["SELECT 'a'", "SELECT 'b'"] {
        assert_eq!(value(pool, sql).await.unwrap(), sql[8..9]);
        assert_eq!(simple(pool, sql).await.unwrap(), sql[8..9]);
    }
    assert_eq!(backend_pid(pool).await, pid);
    settled(pool).await;
}

#[tokio::test]
async fn copy_through_a_statement_is_refused_and_stays_in_step() {
    let (_database, pool) = one().await;
    let pid = backend_pid(&pool).await;
    for sql in [
        "COPY t FROM STDIN",
        "COPY (SELECT g, repeat('x', 1000) FROM generate_series(1, 1000) AS g) TO STDOUT",
        "COPY t TO STDOUT (FORMAT binary)",
    ] {
        for _ in 0..3 {
            let text = "COPY with STDIN or STDOUT needs the PostgreSQL protocol";
            assert_error(&value(&pool, sql).await, "0A000", text);
            assert_error(&simple(&pool, sql).await, "0A000", text);
            let several = format!("SELECT 1; {sql}; SELECT 2");
            assert_error(&simple(&pool, &several).await, "0A000", text);
        }
        assert_in_step(&pool, pid).await;
    }
    assert_eq!(code(&value(&pool, "COPY nowhere FROM STDIN").await), "42P01");
    assert_eq!(code(&value(&pool, "COPY t (nothing) TO STDOUT").await), "42703");
    assert_in_step(&pool, pid).await;
    assert_eq!(value(&pool, "SELECT count(*) FROM t").await.unwrap(), "0");
}

#[tokio::test]
async fn copy_in_a_transaction_fails_it_and_no_more() {
    let (_database, pool) = one().await;
    let mut transaction = pool.begin().await.unwrap();
    assert_error(&transaction.value("COPY t FROM STDIN").await, "0A000", "COPY");
    assert_eq!(code(&transaction.value("SELECT 1").await), "25P02");
    transaction.rollback().await.unwrap();
    let mut transaction = pool.begin().await.unwrap();
    assert_error(&transaction.value("COPY t TO STDOUT").await, "0A000", "COPY");
    assert_eq!(transaction.value("SELECT 'usable'").await.unwrap(), "usable");
    transaction.commit().await.unwrap();
}

#[tokio::test]
async fn several_statements_need_the_simple_protocol() {
    let (_database, pool) = one().await;
    let text = "INSERT INTO t VALUES (1); SELECT count(*) FROM t; SELECT 'last'";
    assert_error(&value(&pool, text).await, "42601", "several statements");
    assert_eq!(simple(&pool, text).await.unwrap(), "last");
    assert_eq!(simple(&pool, "SELECT 1; INSERT INTO t VALUES (2)").await.unwrap(), "nothing");
    assert_eq!(value(&pool, "SELECT count(*) FROM t").await.unwrap(), "2");
    // All or nothing: the server makes one transaction of the text.
    let failing = "INSERT INTO t VALUES (3); SELECT 1/0; INSERT INTO t VALUES (4)";
    assert_error(&simple(&pool, failing).await, "22012", "division by zero");
    assert_eq!(value(&pool, "SELECT count(*) FROM t").await.unwrap(), "2");
    let arguments = [int(1)];
    let statement = Statement { simple: true, ..Statement::new("SELECT $1", &arguments) };
    let refused = pool.execute(&statement, &mut Discard).await;
    assert_error(&refused, "22023", "\"simple\" takes no arguments");
}

#[tokio::test]
async fn the_last_result_counts_and_the_tag_is_the_last_ones() {
    let (_database, pool) = one().await;
    let mut rows = Texts::default();
    let text = "SELECT 1 AS a, 2 AS b; SELECT 'x' AS c UNION ALL SELECT 'y'";
    let statement = Statement { simple: true, ..Statement::new(text, &[]) };
    let tag = pool.execute(&statement, &mut rows).await.unwrap();
    assert_eq!((tag.as_str(), tag.rows_affected()), ("SELECT 2", 2));
    assert_eq!((rows.columns, rows.rows.len()), (Some(1), 2));
    let mut rows = Texts::default();
    let text = "SELECT 1; INSERT INTO t VALUES (1), (2)";
    let statement = Statement { simple: true, ..Statement::new(text, &[]) };
    let tag = pool.execute(&statement, &mut rows).await.unwrap();
    assert_eq!((tag.as_str(), tag.rows_affected()), ("INSERT 0 2", 2));
    assert_eq!(rows, Texts::default(), "it has no result");
}

#[tokio::test]
async fn a_text_that_leaves_a_transaction_open_is_rolled_back_with_a_clear_error() {
    let (_database, pool) = one().await;
    let pid = backend_pid(&pool).await;
    for text in [
        "SELECT 1; BEGIN; INSERT INTO t VALUES (1)",
        "BEGIN; INSERT INTO t VALUES (1); SELECT 'x'",
        "COMMIT; BEGIN; INSERT INTO t VALUES (1)",
    ] {
        let refused = simple(&pool, text).await;
        assert_error(&refused, "25000", "left a transaction open; it was rolled back");
        assert_in_step(&pool, pid).await;
    }
    assert_eq!(simple(&pool, "BEGIN; INSERT INTO t VALUES (1); COMMIT").await.unwrap(), "nothing");
    assert_eq!(value(&pool, "SELECT count(*) FROM t").await.unwrap(), "1");
    assert_in_step(&pool, pid).await;
    // An error inside leaves the transaction failed: the error is told, the connection replaced.
    assert_eq!(code(&simple(&pool, "BEGIN; SELECT 1/0").await), "22012");
    assert_eq!(value(&pool, "SELECT 'next'").await.unwrap(), "next");
    settled(&pool).await;
}

#[tokio::test]
async fn no_statement_at_all_is_an_empty_answer() {
    let (_database, pool) = one().await;
    let pid = backend_pid(&pool).await;
    for sql in ["", " ", ";", "-- nothing", "/* nothing */ ;;"] {
        let tag = pool.exec(sql, &[]).await.unwrap();
        assert_eq!((tag.as_str(), tag.rows_affected()), ("", 0), "{sql:?}");
        assert_eq!(simple(&pool, sql).await.unwrap(), "nothing");
    }
    assert_in_step(&pool, pid).await;
}

#[tokio::test]
async fn notices_and_notifications_between_the_rows_disturb_nobody() {
    let (database, pool) = one().await;
    let body = "CREATE FUNCTION noisy(n int) RETURNS int LANGUAGE plpgsql AS $$ BEGIN \
                RAISE NOTICE 'n %', n; PERFORM pg_notify('news', n::text); \
                PERFORM set_config('application_name', 'n' || n, true); RETURN n; END $$";
    database.batch(body).await;
    let mut session = pool.acquire().await.unwrap();
    session.value("LISTEN news").await.unwrap();
    for _ in 0..3 {
        let sql = "SELECT sum(noisy(g)) FROM generate_series(1, 50) AS g";
        assert_eq!(session.value(sql).await.unwrap(), "1275");
    }
    assert_eq!(session.value("SELECT 'in step'").await.unwrap(), "in step");
    session.end().await.unwrap();
    let pid = backend_pid(&pool).await;
    // While it lies idle: the server reports what a reload has changed.
    let cluster = test_support::TestCluster::start().await;
    let other = cluster.database().await;
    let idle = crate::common::pool(&other, 1);
    let idle_pid = backend_pid(&idle).await;
    cluster.batch("ALTER SYSTEM SET timezone = 'Asia/Tokyo'").await;
    cluster.batch("SELECT pg_reload_conf()").await;
    eventually("the new zone is in force", || async {
        value(&idle, "SHOW timezone").await.unwrap() == "Asia/Tokyo"
    })
    .await;
    assert_in_step(&idle, idle_pid).await;
    assert_in_step(&pool, pid).await;
}

#[tokio::test]
async fn rows_without_columns_are_rows() {
    let (_database, pool) = one().await;
    for sql in ["SELECT", "SELECT FROM generate_series(1, 3)"] {
        let mut rows = Texts::default();
        let tag = pool.execute(&Statement::new(sql, &[]), &mut rows).await.unwrap();
        assert_eq!(rows.columns, Some(0));
        assert_eq!(rows.rows.len() as u64, tag.rows_affected());
    }
    let empty = pool.query("SELECT 1 AS a WHERE false", &[]).await.unwrap();
    assert_eq!((empty.len(), empty.columns().map(Columns::len)), (0, Some(1)));
}

#[tokio::test]
async fn sixteen_hundred_columns() {
    let (_database, pool) = one().await;
    let list = (1..=1600).map(|n| format!("{n} AS c{n}")).collect::<Vec<_>>().join(", ");
    let sql = format!("SELECT {list}");
    for is_simple in [false, true] {
        let mut rows = Texts::default();
        let statement = Statement { simple: is_simple, ..Statement::new(&sql, &[]) };
        pool.execute(&statement, &mut rows).await.unwrap();
        assert_eq!(rows.columns, Some(1600));
        assert_eq!(rows.rows[0][1599].as_deref(), Some("1600"));
    }
    let sql = format!("SELECT {list}, {}", (0..65).map(|_| "1").collect::<Vec<_>>().join(", "));
    assert_eq!(code(&value(&pool, &sql).await), "54011");
    assert_eq!(value(&pool, "SELECT 'x'").await.unwrap(), "x");
}

#[tokio::test]
async fn as_many_parameters_as_the_protocol_has() {
    let (_database, pool) = one().await;
    let pid = backend_pid(&pool).await;
    let sql = |count: i64| {
        let list = (1..=count).map(|n| format!("${n}::int")).collect::<Vec<_>>().join(",");
        format!("SELECT array_length(ARRAY[{list}], 1)")
    };
    let arguments: Vec<_> = (0..65_535).map(int).collect();
    let row = pool.query_row(&sql(65_535), &arguments).await.unwrap().unwrap();
    assert_eq!(row.get::<i64>(0).unwrap(), 65_535);
    let too_many: Vec<_> = (0..65_536).map(int).collect();
    let refused = pool.exec(&sql(65_536), &too_many).await;
    assert_error(&refused, "22023", "more than 65535 parameters");
    assert_in_step(&pool, pid).await;
}
