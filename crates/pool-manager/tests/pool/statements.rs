//! Prepared statements: evicted, dropped behind our back, out of date after a migration.

use pool_manager::config::BackendConfig;
use pool_manager::{DatabasePool, Discard, Statement};
use test_support::TestDatabase;

use crate::common::*;

fn cached(database: &TestDatabase, statements: u32) -> DatabasePool {
    pool_with(database, 1, |config: &mut BackendConfig| {
        config.behavior.statement_cache_size = statements;
    })
}

/// Statements that this connection keeps prepared, ours for settings not counted.
async fn prepared(pool: &DatabasePool) -> i32 {
    let sql = "SELECT count(*) FROM pg_prepared_statements WHERE name LIKE 'rrp%'";
    simple(pool, sql).await.unwrap().parse().unwrap()
}

#[tokio::test]
async fn an_evicted_statement_is_followed_by_another_caller() {
    let database = database().await;
    for size in [0, 1, 2] {
        let pool = cached(&database, size);
        for round in 0..30 {
            let sql = format!("SELECT 'text {}'", round % 4);
            let expected = format!("text {}", round % 4);
            assert_eq!(value(&pool, &sql).await.unwrap(), expected, "cache of {size}");
            if round % 3 == 0 {
                let wrong = format!("SELECT nothing{}", round % 6);
                assert_eq!(code(&value(&pool, &wrong).await), "42703");
            }
            if round % 5 == 0 {
                let late = "SELECT 1 / (2 - g) FROM generate_series(1, 3) AS g";
                assert_eq!(code(&value(&pool, late).await), "22012");
            }
        }
        assert_eq!(prepared(&pool).await, i32::try_from(size).unwrap(), "cache of {size}");
    }
}

#[tokio::test]
async fn a_failed_parse_keeps_the_cache_in_step_in_a_transaction() {
    let database = database().await;
    let pool = cached(&database, 1);
    let mut transaction = pool.begin().await.unwrap();
    assert_eq!(transaction.value("SELECT 'one'").await.unwrap(), "one");
    assert_eq!(code(&transaction.value("SELECT wrong").await), "42703");
    assert_eq!(code(&transaction.value("SELECT 'one'").await), "25P02");
    assert_eq!(code(&transaction.value("SELECT 'two'").await), "25P02");
    transaction.rollback().await.unwrap();
    for _ in 0..2 {
        assert_eq!(value(&pool, "SELECT 'one'").await.unwrap(), "one");
        assert_eq!(value(&pool, "SELECT 'two'").await.unwrap(), "two");
    }
    assert_eq!(prepared(&pool).await, 1);
}

#[tokio::test]
async fn a_cached_statement_is_parsed_once() {
    let database = database().await;
    let pool = cached(&database, 10);
    for id in 0..5 {
        let row = pool.query_row("SELECT $1::int8 + 1", &[int(id)]).await.unwrap().unwrap();
        assert_eq!(row.get::<i64>(0).unwrap(), id + 1);
    }
    let sql = "SELECT generic_plans + custom_plans FROM pg_prepared_statements \
               WHERE statement LIKE 'SELECT $1::int8%'";
    assert_eq!(simple(&pool, sql).await.unwrap(), "5");
}

#[tokio::test]
async fn without_a_cache_a_statement_with_unknown_types_is_still_the_callers_own() {
    let database = database().await;
    database.batch("CREATE TYPE mood AS ENUM ('glad', 'sad'); CREATE DOMAIN pos AS int").await;
    for size in [0, 5] {
        let pool = cached(&database, size);
        let rows = pool.query("SELECT $1::mood, $2::pos", &["sad".into(), int(7)]).await.unwrap();
        let row = rows.iter().next().unwrap().values().unwrap();
        assert_eq!(row, ["sad".into(), serde_json::Value::from(7)]);
        assert_eq!(value(&pool, "SELECT 'glad'::mood").await.unwrap(), "glad");
    }
}

#[tokio::test]
async fn deallocate_all_behind_our_back_is_healed_outside_a_transaction() {
    let database = database().await;
    let pool = cached(&database, 10);
    let pid = backend_pid(&pool).await;
    for round in 0..3 {
        assert_eq!(value(&pool, "SELECT 'kept'").await.unwrap(), "kept");
        exec(&pool, "DO $$ BEGIN EXECUTE 'DEALLOCATE ALL'; END $$").await;
        assert_eq!(value(&pool, "SELECT 'kept'").await.unwrap(), "kept", "round {round}");
    }
    assert_eq!(backend_pid(&pool).await, pid, "on the same connection");
}

#[tokio::test]
async fn deallocate_all_behind_our_back_fails_one_transaction_only() {
    let database = database().await;
    let pool = cached(&database, 10);
    value(&pool, "SELECT 'kept'").await.unwrap();
    exec(&pool, "DO $$ BEGIN EXECUTE 'DEALLOCATE ALL'; END $$").await;
    let mut transaction = pool.begin().await.unwrap();
    assert_error(&transaction.value("SELECT 'kept'").await, "26000", "does not exist");
    assert_error(&transaction.value("SELECT 'kept'").await, "25P02", "");
    transaction.rollback().await.unwrap();
    let mut next = pool.begin().await.unwrap();
    assert_eq!(next.value("SELECT 'kept'").await.unwrap(), "kept");
    next.commit().await.unwrap();
}

#[tokio::test]
async fn deallocate_all_in_a_session_is_followed_by_its_own_statements() {
    let database = database().await;
    let pool = cached(&database, 10);
    value(&pool, "SELECT 'kept'").await.unwrap();
    for sql in ["DEALLOCATE ALL", "DISCARD ALL"] {
        let mut session = pool.acquire().await.unwrap();
        assert_eq!(session.value("SELECT 'kept'").await.unwrap(), "kept");
        session.value(sql).await.unwrap();
        session.value("BEGIN").await.unwrap();
        assert_eq!(session.value("SELECT 'kept'").await.unwrap(), "kept", "after {sql}");
        session.value("COMMIT").await.unwrap();
        session.end().await.unwrap();
        assert_eq!(value(&pool, "SELECT 'kept'").await.unwrap(), "kept");
    }
}

#[tokio::test]
async fn after_a_migration_a_cached_statement_is_prepared_again() {
    let database = database().await;
    let pool = cached(&database, 10);
    database.batch("CREATE TABLE t AS SELECT 1 AS a").await;
    let select = "SELECT * FROM t";
    let columns = async || {
        let mut rows = Texts::default();
        pool.execute(&Statement::new(select, &[]), &mut rows).await.unwrap();
        (rows.columns, rows.rows.len())
    };
    assert_eq!(columns().await, (Some(1), 1));
    for added in 2..5 {
        database.batch(&format!("ALTER TABLE t ADD COLUMN c{added} int")).await;
        assert_eq!(columns().await, (Some(added), 1));
    }
    database.batch("ALTER TABLE t RENAME COLUMN a TO b").await;
    assert_eq!(columns().await, (Some(4), 1));
}

#[tokio::test]
async fn after_a_migration_one_transaction_fails_and_the_next_works() {
    let database = database().await;
    let pool = cached(&database, 10);
    database.batch("CREATE TABLE t AS SELECT 1 AS a").await;
    assert_eq!(value(&pool, "SELECT * FROM t").await.unwrap(), "1");
    database.batch("ALTER TABLE t ADD COLUMN b int").await;
    let mut transaction = pool.begin().await.unwrap();
    assert_error(&transaction.value("SELECT * FROM t").await, "0A000", "cached plan");
    transaction.rollback().await.unwrap();
    let mut next = pool.begin().await.unwrap();
    assert_eq!(next.value("SELECT * FROM t").await.unwrap(), "1");
    next.commit().await.unwrap();
}

#[tokio::test]
async fn the_same_codes_from_a_running_statement_are_not_retried() {
    let database = database().await;
    let pool = cached(&database, 10);
    database.batch("CREATE SEQUENCE calls").await;
    for code_raised in ["0A000", "26000"] {
        let body = format!(
            "CREATE OR REPLACE FUNCTION refuse() RETURNS int LANGUAGE plpgsql AS $$ \
             BEGIN PERFORM nextval('calls'); RAISE EXCEPTION 'no' USING ERRCODE = '{code_raised}'; \
             END $$"
        );
        database.batch(&body).await;
        for _ in 0..2 {
            assert_error(&value(&pool, "SELECT refuse()").await, code_raised, "no");
        }
    }
    assert_eq!(value(&pool, "SELECT last_value FROM calls").await.unwrap(), "4");
}

#[tokio::test]
async fn a_statement_that_fails_twice_in_bind_is_tried_no_third_time() {
    let database = database().await;
    let pool = cached(&database, 10);
    // EXECUTE of a statement that does not exist is 26000 however often it is tried.
    let mut session = pool.acquire().await.unwrap();
    assert_error(&session.value("EXECUTE nobody").await, "26000", "nobody");
    assert_eq!(session.value("SELECT 'usable'").await.unwrap(), "usable");
}

#[tokio::test]
async fn dropped_and_created_tables_under_one_text_give_the_new_ones_columns() {
    let database = database().await;
    let pool = cached(&database, 10);
    for round in 0..3 {
        exec(&pool, "DROP TABLE IF EXISTS t").await;
        exec(&pool, &format!("CREATE TABLE t AS SELECT 'round {round}'::text AS v{round}")).await;
        assert_eq!(value(&pool, "SELECT * FROM t").await.unwrap(), format!("round {round}"));
    }
}

#[tokio::test]
async fn wrong_arguments_leave_the_connection_in_step() {
    let database = database().await;
    let pool = cached(&database, 10);
    let sql = "SELECT $1::int + $2::int";
    for _ in 0..3 {
        let few = pool.exec(sql, &[int(1)]).await;
        assert_error(&few, "08P01", "takes 2, given were 1");
        let wrong = pool.exec(sql, &[int(1), pool_manager::values::Arg::List(vec![])]).await;
        assert_error(&wrong, "22023", "parameter $2: cannot use a list as int4");
        let ok = pool.query_row(sql, &[int(1), int(2)]).await.unwrap().unwrap();
        assert_eq!(ok.get::<i64>(0).unwrap(), 3);
    }
    let nul = pool.execute(&Statement::new("SELECT '\0'", &[]), &mut Discard).await;
    assert_error(&nul, "22023", "NUL");
    assert_eq!(settled(&pool).await.total_connections, 1);
}
