//! What a caller leaves in its session never reaches the next one.

use pool_manager::config::ResetOnReturn;
use pool_manager::{DatabasePool, Session};
use test_support::TestDatabase;

use crate::common::*;

async fn session_of_one() -> (TestDatabase, DatabasePool) {
    let database = database().await;
    database.batch("CREATE TABLE t (id serial PRIMARY KEY)").await;
    let pool = pool(&database, 1);
    (database, pool)
}

/// Has a session do `steps`, ends it, and gives the next caller's session on the same pool.
async fn after(pool: &DatabasePool, steps: &[&str]) -> Session {
    let mut session = pool.acquire().await.unwrap();
    for sql in steps {
        session.value(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    }
    session.end().await.unwrap();
    settled(pool).await;
    pool.acquire().await.unwrap()
}

#[tokio::test]
async fn settings_of_a_session_are_reset() {
    let (_database, pool) = session_of_one().await;
    let steps = [
        "SET work_mem = '77MB'",
        "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
        "SET TIME ZONE 'Asia/Tokyo'",
        "SET NAMES 'UTF8'",
        "SELECT set_config('app.user_id', '42', false)",
        "SET search_path = pg_catalog",
    ];
    let mut next = after(&pool, &steps).await;
    for (name, expected) in [
        ("work_mem", "4MB"),
        ("default_transaction_read_only", "off"),
        ("TimeZone", "UTC"),
        ("search_path", "\"$user\", public"),
    ] {
        assert_eq!(next.value(&format!("SHOW {name}")).await.unwrap(), expected);
    }
    let custom = next.value("SELECT current_setting('app.user_id', true)").await.unwrap();
    assert!(matches!(custom.as_str(), "" | "NULL"), "{custom}");
}

#[tokio::test]
async fn temporary_tables_are_dropped() {
    let (_database, pool) = session_of_one().await;
    let steps = [
        "CREATE TEMP TABLE secrets AS SELECT 'mine' AS v",
        "SELECT 'too' AS v INTO TEMP more_secrets",
        "CREATE TEMP SEQUENCE numbers",
    ];
    let mut next = after(&pool, &steps).await;
    for name in ["secrets", "more_secrets", "numbers"] {
        let sql = format!("SELECT to_regclass('{name}')");
        assert_eq!(next.value(&sql).await.unwrap(), "NULL");
    }
}

#[tokio::test]
async fn listening_ends() {
    let (_database, pool) = session_of_one().await;
    let mut next = after(&pool, &["LISTEN news"]).await;
    let sql = "SELECT count(*) FROM pg_listening_channels()";
    assert_eq!(next.value(sql).await.unwrap(), "0");
}

#[tokio::test]
async fn advisory_locks_are_released_promptly() {
    let (database, pool) = session_of_one().await;
    let mut next =
        after(&pool, &["SELECT pg_advisory_lock(7)", "SELECT pg_advisory_lock(7)"]).await;
    let locks = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' \
                 AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
    assert_eq!(next.value(locks).await.unwrap(), "0");
    drop(next);
    // Also when the session is dropped in the middle of a statement, and nobody comes after it.
    let mut session = pool.acquire().await.unwrap();
    session.value("SELECT pg_advisory_lock(8)").await.unwrap();
    poll_times(session.value("SELECT pg_sleep(600)"), 1, Dropped::AtOnce).await;
    drop(session);
    let client = database.client().await;
    eventually("the lock is free", || async {
        client.query_one("SELECT pg_try_advisory_lock(8)", &[]).await.unwrap().get(0)
    })
    .await;
}

#[tokio::test]
async fn sql_prepare_and_load_close_the_connection() {
    let database = database().await;
    // Only a superuser may load any library.
    let dsn = database.cluster().dsn_of("postgres", "secret", database.name());
    let pool = DatabasePool::new("super", &config(&dsn, 1, |_| {})).unwrap();
    for sql in ["PREPARE mine AS SELECT 1", "LOAD 'plpgsql'"] {
        let pid = backend_pid(&pool).await;
        let mut next = after(&pool, &[sql]).await;
        assert_ne!(next.value("SELECT pg_backend_pid()").await.unwrap(), pid.to_string(), "{sql}");
        let count = "SELECT count(*) FROM pg_prepared_statements WHERE name = 'mine'";
        assert_eq!(next.value(count).await.unwrap(), "0");
    }
}

#[tokio::test]
async fn cursors_with_hold_are_closed() {
    let (_database, pool) = session_of_one().await;
    let mut next = after(&pool, &["DECLARE mine CURSOR WITH HOLD FOR SELECT 1"]).await;
    assert_eq!(
        next.value("SELECT count(*) FROM pg_cursors WHERE name = 'mine'").await.unwrap(),
        "0"
    );
    assert_error(&next.value("FETCH mine").await, "34000", "mine");
}

#[tokio::test]
async fn sequence_values_of_another_session_are_unknown() {
    let (_database, pool) = session_of_one().await;
    let steps = ["INSERT INTO t DEFAULT VALUES", "SELECT nextval('t_id_seq')", "SELECT lastval()"];
    let mut next = after(&pool, &steps).await;
    assert_error(&next.value("SELECT lastval()").await, "55000", "not yet defined");
    assert_error(&next.value("SELECT currval('t_id_seq')").await, "55000", "not yet defined");
}

#[tokio::test]
async fn roles_are_reset() {
    let (database, pool) = session_of_one().await;
    let admin = database.admin().await;
    let role = format!("other_{}", database.name());
    let grant = format!("CREATE ROLE {role}; GRANT {role} TO app");
    admin.batch_execute(&grant).await.unwrap();
    let mut next = after(&pool, &[&format!("SET ROLE {role}")]).await;
    let sql = "SELECT current_user || ' ' || session_user";
    assert_eq!(next.value(sql).await.unwrap(), "app app");
    drop(next);
    settled(&pool).await;
    admin.batch_execute(&format!("DROP ROLE {role}")).await.unwrap();
}

#[tokio::test]
async fn what_a_transaction_sets_for_the_session_is_reset_too() {
    let (_database, pool) = session_of_one().await;
    let mut transaction = pool.begin().await.unwrap();
    transaction.value("SET work_mem = '77MB'").await.unwrap();
    transaction.value("SELECT pg_advisory_lock(9)").await.unwrap();
    transaction.value("CREATE TEMP TABLE mine (id int)").await.unwrap();
    transaction.commit().await.unwrap();
    settled(&pool).await;
    let mut next = pool.acquire().await.unwrap();
    assert_eq!(next.value("SHOW work_mem").await.unwrap(), "4MB");
    assert_eq!(next.value("SELECT to_regclass('mine')").await.unwrap(), "NULL");
    let locks = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 9";
    assert_eq!(next.value(locks).await.unwrap(), "0");
}

#[tokio::test]
async fn a_session_that_ends_inside_a_transaction_is_rolled_back() {
    let (_database, pool) = session_of_one().await;
    let mut next = after(&pool, &["BEGIN", "INSERT INTO t DEFAULT VALUES"]).await;
    assert_eq!(next.value("SELECT count(*) FROM t").await.unwrap(), "0");
}

#[tokio::test]
async fn cached_statements_survive_a_reset() {
    let (_database, pool) = session_of_one().await;
    let names = "SELECT string_agg(name, ',' ORDER BY name) FROM pg_prepared_statements";
    value(&pool, "SELECT 'cached'").await.unwrap();
    let before = simple(&pool, names).await.unwrap();
    let pid = backend_pid(&pool).await;
    drop(after(&pool, &["SET work_mem = '1MB'", "CREATE TEMP TABLE x (id int)"]).await);
    assert_eq!(backend_pid(&pool).await, pid);
    let after = simple(&pool, names).await.unwrap();
    assert!(!before.is_empty() && after.starts_with(&before), "{before} and then {after}");
    assert_eq!(value(&pool, "SELECT 'cached'").await.unwrap(), "cached");
}

#[tokio::test]
async fn clean_statements_cost_no_reset_and_always_means_always() {
    let database = database().await;
    database.batch("CREATE TABLE t (id int)").await;
    let link = test_support::FaultyLink::to(address(&database)).await;
    for (reset, expected) in [(ResetOnReturn::WhenNeeded, false), (ResetOnReturn::Always, true)] {
        let pool = pool_through(&link, &database, 1, |config| {
            config.behavior.reset_on_return = reset;
        });
        for sql in ["SELECT 1", "INSERT INTO t VALUES (1)", "UPDATE t SET id = 2", "DELETE FROM t"]
        {
            value(&pool, sql).await.unwrap();
            settled(&pool).await;
            let before = link.counters().to_server;
            value(&pool, sql).await.unwrap();
            settled(&pool).await;
            // The reset alone is some 180 bytes; Bind, Execute and Sync stay far below.
            let sent = link.counters().to_server - before;
            assert_eq!(sent > 150, expected, "{sql}: {sent} bytes");
        }
    }
}

#[tokio::test]
async fn reset_on_return_false_leaves_state_to_the_next_caller() {
    let database = database().await;
    let pool = pool_with(&database, 1, |config| {
        config.behavior.reset_on_return = ResetOnReturn::Never;
    });
    let mut next = after(&pool, &["SET work_mem = '77MB'"]).await;
    assert_eq!(next.value("SHOW work_mem").await.unwrap(), "77MB");
}

#[tokio::test]
async fn always_resets_what_nobody_can_see() {
    let database = database().await;
    database
        .batch(
            "CREATE TABLE t (id int); \
             CREATE FUNCTION hidden() RETURNS trigger LANGUAGE plpgsql AS \
             $$ BEGIN PERFORM pg_advisory_lock(11); RETURN NEW; END $$; \
             CREATE TRIGGER hidden BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION hidden()",
        )
        .await;
    let pool = pool_with(&database, 1, |config| {
        config.behavior.reset_on_return = ResetOnReturn::Always;
    });
    value(&pool, "INSERT INTO t VALUES (1)").await.unwrap();
    settled(&pool).await;
    let locks = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 11";
    assert_eq!(value(&pool, locks).await.unwrap(), "0");
}
