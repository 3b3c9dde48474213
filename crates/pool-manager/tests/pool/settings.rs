//! Settings for one call: in force, tracked, put back, free when they are in force already.

use pool_manager::{DatabasePool, SettingError, Settings, TransactionOptions};
use test_support::FaultyLink;

use crate::common::*;

async fn zone(pool: &DatabasePool, zone: &str) -> String {
    value_with(pool, "SHOW TimeZone", &[("timezone", zone)]).await.unwrap()
}

#[tokio::test]
async fn settings_hold_for_their_call_only() {
    let database = database().await;
    let pool = pool(&database, 1);
    assert_eq!(zone(&pool, "Asia/Tokyo").await, "Asia/Tokyo");
    assert_eq!(value(&pool, "SHOW TimeZone").await.unwrap(), "UTC");
    let two = [("app.user_id", "42"), ("work_mem", "77MB")];
    let sql = "SELECT current_setting('app.user_id') || current_setting('work_mem')";
    assert_eq!(value_with(&pool, sql, &two).await.unwrap(), "4277MB");
    // One stays, one goes, one comes.
    let other = [("work_mem", "77MB"), ("app.tenant", "7")];
    let sql = "SELECT current_setting('app.user_id', true) || '|' || \
               current_setting('app.tenant') || current_setting('work_mem')";
    assert_eq!(value_with(&pool, sql, &other).await.unwrap(), "|777MB");
    assert_eq!(value(&pool, "SHOW work_mem").await.unwrap(), "4MB");
}

#[tokio::test]
async fn settings_in_force_already_cost_nothing() {
    let database = database().await;
    let link = FaultyLink::to(address(&database)).await;
    let pool = pool_through(&link, &database, 1, |_| {});
    let wanted = [("TimeZone", "Asia/Tokyo"), ("app.user_id", "42")];
    let sql = "SELECT 'warm'";
    for _ in 0..2 {
        value_with(&pool, sql, &wanted).await.unwrap();
    }
    let before = link.counters();
    value_with(&pool, sql, &wanted).await.unwrap();
    let with = link.counters();
    // Another name for the same: compared as PostgreSQL compares them.
    value_with(&pool, sql, &[("timezone", "Asia/Tokyo"), ("APP.USER_ID", "42")]).await.unwrap();
    let again = link.counters();
    assert_eq!(with.to_server - before.to_server, again.to_server - with.to_server);
    // Bind, Execute and Sync and nothing else.
    assert!(with.to_server - before.to_server < 60, "{with:?} after {before:?}");
    assert_eq!(settled(&pool).await.total_connections, 1);
}

#[tokio::test]
async fn an_invalid_value_is_an_error_and_changes_nothing() {
    let database = database().await;
    let pool = pool(&database, 1);
    let pid = backend_pid(&pool).await;
    for (name, value_given, code) in
        [("TimeZone", "Nowhere/Land", "22023"), ("no_such_setting", "1", "42704")]
    {
        let wrong =
            value_with(&pool, "SELECT 1", &[("work_mem", "77MB"), (name, value_given)]).await;
        assert_error(&wrong, code, "");
        assert_eq!(value(&pool, "SHOW work_mem").await.unwrap(), "4MB", "all or nothing");
    }
    assert_eq!(zone(&pool, "Asia/Tokyo").await, "Asia/Tokyo");
    assert_eq!(backend_pid(&pool).await, pid, "the connection is kept");
}

#[tokio::test]
async fn one_text_under_two_search_paths_reads_two_tables() {
    let database = database().await;
    database
        .batch(
            "CREATE SCHEMA one; CREATE TABLE one.t AS SELECT 'first' AS v, 1 AS extra; \
             CREATE SCHEMA two; CREATE TABLE two.t AS SELECT 'second' AS v",
        )
        .await;
    let pool = pool(&database, 1);
    for _ in 0..3 {
        for (path, expected) in [("one", "first"), ("two", "second")] {
            let settings = [("search_path", path)];
            let found = value_with(&pool, "SELECT * FROM t", &settings).await.unwrap();
            assert_eq!(found, expected);
            let mut transaction = pool
                .begin_with(&TransactionOptions {
                    settings: settings_of(&settings),
                    ..TransactionOptions::default()
                })
                .await
                .unwrap();
            // Inside a transaction nothing could be prepared again.
            assert_eq!(transaction.value("SELECT * FROM t").await.unwrap(), expected);
            transaction.commit().await.unwrap();
        }
        assert_eq!(code(&value(&pool, "SELECT * FROM t").await), "42P01");
    }
    let sql = "SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE '%set_config%'";
    assert_eq!(simple(&pool, sql).await.unwrap(), "1", "one for all search paths");
}

#[tokio::test]
async fn inside_a_transaction_settings_are_put_back_after_the_call() {
    let database = database().await;
    let pool = pool(&database, 1);
    let options = TransactionOptions {
        settings: settings_of(&[("work_mem", "11MB")]),
        ..TransactionOptions::default()
    };
    let mut transaction = pool.begin_with(&options).await.unwrap();
    let call = [("work_mem", "22MB"), ("app.user_id", "42")];
    let sql = "SELECT current_setting('work_mem') || current_setting('app.user_id', true)";
    assert_eq!(transaction.value_with(sql, &call).await.unwrap(), "22MB42");
    assert_eq!(transaction.value(sql).await.unwrap(), "11MB");
    transaction.value("SET LOCAL work_mem = '33MB'").await.unwrap();
    assert_eq!(transaction.value_with(sql, &call).await.unwrap(), "22MB42");
    assert_eq!(transaction.value(sql).await.unwrap(), "33MB");
    transaction.commit().await.unwrap();
    assert_eq!(value(&pool, "SHOW work_mem").await.unwrap(), "4MB");
}

#[tokio::test]
async fn a_failed_call_with_settings_leaves_none_behind() {
    let database = database().await;
    let pool = pool(&database, 1);
    let call = [("work_mem", "22MB"), ("search_path", "pg_catalog")];
    let mut transaction = pool.begin().await.unwrap();
    assert_eq!(code(&transaction.value_with("SELECT 1/0", &call).await), "22012");
    // ROLLBACK takes settings too and needs none.
    transaction.value_with("ROLLBACK", &call).await.unwrap();
    drop(transaction);
    assert_eq!(value(&pool, "SHOW work_mem").await.unwrap(), "4MB");
    let mut session = pool.acquire().await.unwrap();
    assert_eq!(code(&session.value_with("SELECT 1/0", &call).await), "22012");
    assert_eq!(session.value("SHOW work_mem").await.unwrap(), "4MB");
    assert_eq!(session.value("SHOW search_path").await.unwrap(), "\"$user\", public");
    // With an argument missing the statement never runs.
    let wrong = session.value_with("SELECT $1::int", &call).await;
    assert_eq!(code(&wrong), "08P01");
    assert_eq!(session.value("SHOW work_mem").await.unwrap(), "4MB");
}

#[tokio::test]
async fn a_rollback_brings_no_settings_of_a_call_back() {
    let database = database().await;
    let pool = pool(&database, 1);
    let call = [("work_mem", "22MB")];
    let mut session = pool.acquire().await.unwrap();
    session.value_with("BEGIN", &call).await.unwrap();
    session.value_with("SAVEPOINT s", &call).await.unwrap();
    assert_eq!(session.value_with("SHOW work_mem", &call).await.unwrap(), "22MB");
    session.value("ROLLBACK TO SAVEPOINT s").await.unwrap();
    assert_eq!(session.value("SHOW work_mem").await.unwrap(), "4MB");
    assert_eq!(code(&session.value_with("SELECT 1/0", &call).await), "22012");
    session.value_with("ROLLBACK", &call).await.unwrap();
    assert_eq!(session.value("SHOW work_mem").await.unwrap(), "4MB");
}

#[tokio::test]
async fn settings_of_a_session_last_as_long_as_it_does() {
    let database = database().await;
    let pool = pool(&database, 1);
    let held = pool_manager::HeldConnections::default();
    let limits = pool_manager::HeldLimits { idle_timeout: None, max_lifetime: None };
    let settings = settings_of(&[("work_mem", "11MB")]);
    let owner = pool_manager::Owner(1);
    let id = held.begin_session(&pool, owner, None, &settings, limits).await.unwrap();
    for _ in 0..2 {
        let mut rows = Texts::default();
        let statement = pool_manager::Statement::new("SHOW work_mem", &[]);
        let kind = pool_manager::HeldKind::Session;
        held.execute(kind, &id, &statement, &mut rows).await.unwrap();
        assert_eq!(rows.first(), "11MB");
    }
    held.end_session(&id).await.unwrap();
    assert_eq!(value(&pool, "SHOW work_mem").await.unwrap(), "4MB");
}

#[tokio::test]
async fn commit_with_settings_runs_deferred_triggers_under_them() {
    let database = database().await;
    database
        .batch(
            "CREATE TABLE log (who text); CREATE TABLE t (id int); \
             CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
             INSERT INTO log VALUES (current_setting('app.user_id', true)); RETURN NULL; END $$; \
             CREATE CONSTRAINT TRIGGER note AFTER INSERT ON t DEFERRABLE INITIALLY DEFERRED \
             FOR EACH ROW EXECUTE FUNCTION note()",
        )
        .await;
    let pool = pool(&database, 1);
    let mut session = pool.acquire().await.unwrap();
    session.value("BEGIN").await.unwrap();
    session.value("INSERT INTO t VALUES (1)").await.unwrap();
    session.value_with("COMMIT", &[("app.user_id", "42")]).await.unwrap();
    assert_eq!(session.value("SELECT who FROM log").await.unwrap(), "42");
    let left = session.value("SELECT current_setting('app.user_id', true)").await.unwrap();
    assert_eq!(left, "");
}

#[test]
fn names_that_would_break_the_pool_are_refused() {
    for name in ["client_encoding", "Role", "SESSION_AUTHORIZATION", "transaction_isolation"] {
        let result = Settings::new([(name.to_owned(), "x".to_owned())]);
        assert!(matches!(result, Err(SettingError::Refused { .. })), "{name}");
    }
    let many = (0..65).map(|n| (format!("app.s{n}"), String::new()));
    assert_eq!(Settings::new(many), Err(SettingError::TooLarge));
    let nul = Settings::new([("app.x".to_owned(), "a\0b".to_owned())]);
    assert_eq!(nul, Err(SettingError::Nul("app.x".to_owned())));
}
