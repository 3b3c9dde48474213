//! What one caller leaves on a connection without dirtying it: sequence values, settings, names
//! of statements, a cancel request under way. None of it reaches the next one.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use pool_manager::config::ResetOnReturn;
use pool_manager::{
    DatabasePool, Discard, HeldConnections, HeldKind, HeldLimits, Owner, Settings, Statement,
    TimeLimit, TransactionOptions,
};
use test_support::{FaultyLink, TestDatabase};
use tokio::net::{TcpListener, TcpStream};

use crate::common::*;

#[tokio::test]
async fn lastval_never_answers_with_another_callers_value() {
    let database = database().await;
    database.batch("CREATE TABLE t (id serial, v text)").await;
    let pool = pool(&database, 1);
    let insert = "INSERT INTO t (v) VALUES ('mine')";
    exec(&pool, insert).await;
    let mut transaction = pool.begin().await.unwrap();
    assert_eq!(code(&transaction.value("SELECT lastval()").await), "55000");
    drop(transaction);
    exec(&pool, insert).await;
    let mut session = pool.acquire().await.unwrap();
    let other = session.value("SELECT currval('t_id_seq')").await;
    assert_eq!(code(&other), "55000");
    session.value(insert).await.unwrap();
    assert_eq!(session.value("SELECT lastval()").await.unwrap(), "3", "its own");
    drop(session);
    let options = TransactionOptions {
        isolation: pool_manager::IsolationLevel::parse("serializable"),
        ..TransactionOptions::default()
    };
    exec(&pool, insert).await;
    let mut transaction = pool.begin_with(&options).await.unwrap();
    assert_eq!(transaction.value("SHOW transaction_isolation").await.unwrap(), "serializable");
    transaction.value("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ").await.unwrap();
    transaction.value(insert).await.unwrap();
    assert_eq!(transaction.value("SELECT lastval()").await.unwrap(), "5");
}

#[tokio::test]
async fn settings_of_a_call_never_make_set_local_outlive_its_transaction() {
    let database = database().await;
    let pool = pool(&database, 1);
    let show = "SELECT coalesce(current_setting('app.tenant', true), '')";
    for end in ["COMMIT", "ROLLBACK"] {
        let mut session = pool.acquire().await.unwrap();
        session.value("SET app.tenant = 'own'").await.unwrap();
        session.value("BEGIN").await.unwrap();
        session.value("SET LOCAL app.tenant = 'local'").await.unwrap();
        let called = session.value_with(show, &[("app.tenant", "call")]).await;
        assert_eq!(called.unwrap(), "call");
        assert_eq!(session.value(show).await.unwrap(), "local");
        session.value(end).await.unwrap();
        assert_eq!(session.value(show).await.unwrap(), "own", "after {end}");
    }
}

#[tokio::test]
async fn settings_of_a_commit_end_with_it_whatever_follows_in_the_text() {
    let database = database().await;
    let pool = pool(&database, 1);
    let call = [("app.tenant", "call")];
    let show = "SELECT coalesce(current_setting('app.tenant', true), '')";
    let mut session = pool.acquire().await.unwrap();
    session.value("SET app.tenant = 'own'").await.unwrap();
    for begin_again in ["COMMIT AND CHAIN", "COMMIT"] {
        session.value("BEGIN").await.unwrap();
        session.value_with(begin_again, &call).await.unwrap();
        assert_eq!(session.value(show).await.unwrap(), "own", "after {begin_again}");
        session.value("ROLLBACK").await.unwrap();
        assert_eq!(session.value(show).await.unwrap(), "own", "rolled back after {begin_again}");
    }
    session.value("BEGIN").await.unwrap();
    let settings = settings_of(&call);
    let text =
        Statement { settings: &settings, simple: true, ..Statement::new("COMMIT; BEGIN", &[]) };
    session.execute(&text, &mut Discard).await.unwrap();
    session.value("ROLLBACK").await.unwrap();
    assert_eq!(session.value(show).await.unwrap(), "own");
}

#[tokio::test]
async fn without_resets_a_call_still_gets_the_settings_it_asks_for() {
    let database = database().await;
    let pool = pool_with(&database, 1, |config| {
        config.behavior.reset_on_return = ResetOnReturn::Never;
    });
    let show = "SELECT current_setting('app.tenant')";
    let call = [("app.tenant", "7")];
    assert_eq!(value_with(&pool, show, &call).await.unwrap(), "7");
    let options =
        TransactionOptions { settings: settings_of(&call), ..TransactionOptions::default() };
    let mut transaction = pool.begin_with(&options).await.unwrap();
    transaction.value("SET app.tenant = '8'").await.unwrap();
    transaction.commit().await.unwrap();
    assert_eq!(value_with(&pool, show, &call).await.unwrap(), "7", "not somebody else's");
}

#[tokio::test]
async fn a_text_that_cannot_be_sent_or_prepared_leaves_no_statement_behind() {
    let database = database().await;
    let pool = pool_with(&database, 1, |config| config.behavior.statement_cache_size = 2);
    for n in 0..10 {
        value(&pool, &format!("SELECT {n}")).await.unwrap();
        assert_eq!(code(&value(&pool, &format!("SELECT '{n}\0'")).await), "22023");
        assert_eq!(code(&value(&pool, &format!("SELECT nothing{n}")).await), "42703");
    }
    let sql = "SELECT count(*) <= 2 FROM pg_prepared_statements";
    assert_eq!(simple(&pool, sql).await.unwrap(), "t");
}

#[tokio::test]
async fn large_texts_are_not_kept_prepared() {
    let database = database().await;
    let pool = pool(&database, 1);
    let large = format!("SELECT '{}'", "x".repeat(100_000));
    for _ in 0..2 {
        assert_eq!(value(&pool, &large).await.unwrap().len(), 100_000);
    }
    let sql = "SELECT count(*) FROM pg_prepared_statements WHERE length(statement) > 50000";
    assert_eq!(simple(&pool, sql).await.unwrap(), "0");
}

#[tokio::test]
async fn a_session_that_ends_during_a_write_does_not_call_it_rolled_back() {
    let database = database().await;
    database.batch("CREATE TABLE t (id int)").await;
    let pool = pool(&database, 2);
    let held = HeldConnections::default();
    let limits = HeldLimits { idle_timeout: None, max_lifetime: Some(Duration::from_millis(100)) };
    let run = async |kind, name: &str, sql: &str| {
        held.execute(kind, name, &Statement::new(sql, &[]), &mut Discard).await
    };
    let session = held.begin_session(&pool, Owner(1), None, &Settings::default(), limits).await;
    let session = session.unwrap();
    let write = "INSERT INTO t SELECT 1 FROM pg_sleep(60)";
    let cut = run(HeldKind::Session, &session, write).await;
    assert_error(&cut, "40003", "unknown");
    assert_eq!(code(&run(HeldKind::Session, &session, "SELECT 1").await), "25P04");
    // What cannot have taken effect is still told by the reason.
    let options = TransactionOptions::default();
    let id = held.begin_transaction(&pool, Owner(1), None, &options, limits).await.unwrap();
    assert_error(&run(HeldKind::Transaction, &id, write).await, "25P04", "rolled back");
    let session = held.begin_session(&pool, Owner(1), None, &Settings::default(), limits).await;
    let read = run(HeldKind::Session, &session.unwrap(), "SELECT pg_sleep(60)").await;
    assert!(["25P04", "40003"].contains(&code(&read).as_str()), "{read:?}");
    settled(&pool).await;
}

#[tokio::test]
async fn rolling_back_over_a_dead_link_gives_the_place_back() {
    let database = database().await;
    let link = FaultyLink::to(address(&database)).await;
    let pool = pool_through(&link, &database, 1, |_| {});
    let held = HeldConnections::default();
    let limits = HeldLimits { idle_timeout: Some(Duration::from_millis(50)), max_lifetime: None };
    let options = TransactionOptions::default();
    held.begin_transaction(&pool, Owner(1), None, &options, limits).await.unwrap();
    link.blackhole();
    settled(&pool).await;
    link.resume();
    assert_eq!(value(&pool, "SELECT 'through'").await.unwrap(), "through");
}

#[tokio::test]
async fn committing_over_a_dead_link_ends_with_an_unknown_outcome() {
    let database = database().await;
    let link = FaultyLink::to(address(&database)).await;
    let pool = pool_through(&link, &database, 1, |config| {
        config.behavior.query_timeout = millis(100);
    });
    let mut transaction = pool.begin().await.unwrap();
    transaction.value("SELECT 1").await.unwrap();
    link.blackhole();
    assert_error(&transaction.commit().await, "40003", "COMMIT");
}

/// Forwards connections to a database; those that come while `hold` is set get no further than
/// its door.
async fn door(database: &TestDatabase, hold: Arc<AtomicBool>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (here, there) = (listener.local_addr().unwrap(), address(database));
    tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((mut client, _)) = listener.accept().await {
            if hold.load(Ordering::Relaxed) {
                held.push(client);
                continue;
            }
            tokio::spawn(async move {
                let mut server = TcpStream::connect(there).await.unwrap();
                let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
            });
        }
    });
    here
}

#[tokio::test]
async fn a_caller_that_vanishes_while_its_cancel_is_under_way_leaves_no_connection_to_it() {
    let database = database().await;
    let hold = Arc::new(AtomicBool::new(false));
    let door = door(&database, Arc::clone(&hold)).await;
    let dsn = format!("postgres://app:secret@{door}/{}", database.name());
    let pool = DatabasePool::new("primary", &config(&dsn, 1, |_| {})).unwrap();
    let held = HeldConnections::default();
    let limits = HeldLimits { idle_timeout: None, max_lifetime: None };
    let statement = Statement {
        limit: TimeLimit::After(Duration::from_millis(50)),
        ..Statement::new("SELECT pg_sleep(0.1)", &[])
    };
    let patience = Duration::from_millis(400);
    // The cancel request is still on its way when the statement ends by itself.
    let pid = backend_pid(&pool).await;
    hold.store(true, Ordering::Relaxed);
    let call =
        tokio::time::timeout(patience, async { pool.execute(&statement, &mut Discard).await });
    assert!(call.await.is_err(), "it waits for the cancel's end");
    hold.store(false, Ordering::Relaxed);
    assert_ne!(backend_pid(&pool).await, pid);
    // The same in a transaction: nothing else runs in it.
    let options = TransactionOptions::default();
    let id = held.begin_transaction(&pool, Owner(1), None, &options, limits).await.unwrap();
    hold.store(true, Ordering::Relaxed);
    let kind = HeldKind::Transaction;
    let call = tokio::time::timeout(patience, async {
        held.execute(kind, &id, &statement, &mut Discard).await
    });
    assert!(call.await.is_err(), "it waits for the cancel's end");
    hold.store(false, Ordering::Relaxed);
    let next = held.execute(kind, &id, &Statement::new("SELECT 1", &[]), &mut Discard).await;
    assert_eq!(code(&next), "25000");
}
