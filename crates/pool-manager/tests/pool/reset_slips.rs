//! What slips past the classifier inside functions is reset all the same; what needs a session is
//! refused without one.

use pool_manager::DatabasePool;
use test_support::TestDatabase;

use crate::common::*;

/// Functions that do behind a plain SELECT what a session would.
const FUNCTIONS: &str = "
CREATE SEQUENCE s;
CREATE FUNCTION sets() RETURNS text LANGUAGE sql AS $$ SELECT set_config('work_mem', '77MB', false) $$;
CREATE FUNCTION sets_zone() RETURNS text LANGUAGE sql AS $$ SELECT set_config('TimeZone', 'Asia/Tokyo', false) $$;
CREATE FUNCTION locks() RETURNS void LANGUAGE sql AS $$ SELECT pg_advisory_lock(21) $$;
CREATE FUNCTION listens() RETURNS void LANGUAGE plpgsql AS $$ BEGIN LISTEN news; END $$;
CREATE FUNCTION creates() RETURNS void LANGUAGE plpgsql AS $$ BEGIN CREATE TEMP TABLE hidden (id int); END $$;
CREATE FUNCTION counts() RETURNS bigint LANGUAGE sql AS $$ SELECT nextval('s') $$;
";

async fn functions() -> TestDatabase {
    let database = database().await;
    database.batch(FUNCTIONS).await;
    database
}

/// Checks from a session of the next caller that nothing is left.
async fn assert_nothing_left(pool: &DatabasePool) {
    settled(pool).await;
    let mut next = pool.acquire().await.unwrap();
    for (sql, expected) in [
        ("SHOW work_mem", "4MB"),
        ("SHOW TimeZone", "UTC"),
        (
            // Other tests' databases have such locks, too.
            "SELECT count(*) FROM pg_locks JOIN pg_database AS d ON d.oid = database
             WHERE datname = current_database() AND locktype = 'advisory' AND objid = 21",
            "0",
        ),
        ("SELECT count(*) FROM pg_listening_channels()", "0"),
        ("SELECT to_regclass('hidden')", "NULL"),
    ] {
        assert_eq!(next.value(sql).await.unwrap(), expected, "{sql}");
    }
    assert_eq!(code(&next.value("SELECT lastval()").await), "55000");
}

const CALLS: [&str; 6] = [
    "SELECT sets()",
    "SELECT sets_zone()",
    "SELECT locks()",
    "SELECT listens()",
    "SELECT creates()",
    "SELECT counts()",
];

#[tokio::test]
async fn functions_of_users_that_touch_the_session_are_reset() {
    let database = functions().await;
    let pool = pool(&database, 1);
    let pid = backend_pid(&pool).await;
    for sql in CALLS {
        value(&pool, sql).await.unwrap();
        assert_nothing_left(&pool).await;
    }
    assert_eq!(backend_pid(&pool).await, pid, "reset, not closed");
}

#[tokio::test]
async fn procedures_and_blocks_are_reset() {
    let database = functions().await;
    let pool = pool(&database, 1);
    for sql in CALLS {
        let block = format!("DO $$ BEGIN PERFORM {}; END $$", sql.trim_start_matches("SELECT "));
        value(&pool, &block).await.unwrap();
        assert_nothing_left(&pool).await;
        let text = format!("{sql}; SELECT 1");
        simple(&pool, &text).await.unwrap();
        assert_nothing_left(&pool).await;
    }
}

#[tokio::test]
async fn a_failed_statement_is_reset_too() {
    let database = functions().await;
    let pool = pool(&database, 1);
    // A session level advisory lock survives the error that rolls everything else back.
    assert_eq!(code(&value(&pool, "SELECT locks(), 1 / 0").await), "22012");
    assert_eq!(code(&value(&pool, "SELECT 1 / (SELECT 0 FROM locks())").await), "22012");
    assert_nothing_left(&pool).await;
}

#[tokio::test]
async fn a_function_called_safe_is_believed_but_reported_parameters_still_show() {
    let database = functions().await;
    let pool = pool_with(&database, 1, |config| {
        config.behavior.session_safe_functions = vec!["sets".to_owned(), "sets_zone".to_owned()];
    });
    value(&pool, "SELECT sets()").await.unwrap();
    settled(&pool).await;
    assert_eq!(value(&pool, "SHOW work_mem").await.unwrap(), "77MB", "its owner said so");
    // PostgreSQL reports a change of TimeZone, whoever makes it.
    value(&pool, "SELECT sets_zone()").await.unwrap();
    assert_nothing_left(&pool).await;
}

#[tokio::test]
async fn what_needs_a_session_is_refused_without_one() {
    let database = functions().await;
    let pool = pool(&database, 1);
    for (sql, text) in [
        ("LISTEN news", "LISTEN needs a session: begin one with SessionBegin"),
        ("CREATE TEMP TABLE x (id int)", "a temporary table, view or sequence needs a session"),
        ("PREPARE p AS SELECT 1", "PREPARE needs a session"),
        ("SELECT pg_advisory_lock(1)", "a session level advisory lock needs a session"),
        ("SELECT lastval()", "lastval() and currval() need a session or transaction"),
        ("SET work_mem = '1MB'", "use \"settings\" of Execute or SessionBegin"),
        ("SELECT set_config('work_mem', '1MB', false)", "use \"settings\""),
        ("DECLARE c CURSOR FOR SELECT 1", "DECLARE needs a transaction"),
        ("LOAD 'plpgsql'", "LOAD needs a session"),
        ("BEGIN", "begin with TransactionBegin"),
        ("COMMIT", "begin with TransactionBegin"),
        ("ROLLBACK", "begin with TransactionBegin"),
        ("SAVEPOINT s", "begin with TransactionBegin"),
    ] {
        assert_error(&value(&pool, sql).await, "0A000", text);
        assert_error(&simple(&pool, sql).await, "0A000", text);
    }
    let stats = pool.stats();
    assert_eq!((stats.total_acquired, stats.total_connections), (0, 0), "refused before");
    let mut transaction = pool.begin().await.unwrap();
    transaction.value("SET LOCAL work_mem = '1MB'").await.unwrap();
    transaction.value("SELECT pg_advisory_xact_lock(1)").await.unwrap();
    transaction.value("SELECT nextval('s'), lastval()").await.unwrap();
    transaction.commit().await.unwrap();
}
