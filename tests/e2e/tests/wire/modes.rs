//! What each pool mode promises, and what it refuses because it could not keep it.

use std::time::Duration;

use e2e::Setup;
use serde_json::json;
use test_support::wire::message::{bind, execute, parse, query, sync};
use test_support::wire::{Reply, summary};
use tokio::time::timeout;

use crate::talk::{ask, backend, refused, say};

async fn in_mode(mode: &str, connections: u32) -> Setup {
    Setup::with(&json!({"backends": {"primary": {
        "pool": {"max_connections": connections, "max_held": "100%"},
        "behavior": {"mode": mode},
    }}}))
    .await
}

#[tokio::test]
async fn a_session_keeps_all_that_a_session_has() {
    let setup = in_mode("session", 3).await;
    let (mut client, mut other) = (setup.wire().await, setup.wire().await);
    let pid = backend(&mut client).await;
    assert_ne!(backend(&mut other).await, pid);
    client.rows("CREATE TEMP TABLE mine AS SELECT 7 AS a; PREPARE p AS TABLE mine").await;
    client
        .rows("DECLARE c CURSOR WITH HOLD FOR TABLE mine; LISTEN news; SET work_mem = '9MB'")
        .await;
    client.rows("SELECT pg_advisory_lock(7); CREATE SEQUENCE seq; SELECT nextval('seq')").await;
    assert_eq!(client.rows("EXECUTE p").await, ["7"]);
    assert_eq!(client.rows("FETCH c").await, ["7"]);
    assert_eq!(client.rows("SELECT lastval()").await, ["1"]);
    assert_eq!(client.rows("SHOW work_mem").await, ["9MB"]);
    assert_eq!(other.rows("SELECT pg_try_advisory_lock(7)").await, ["f"]);
    other.rows("NOTIFY news, 'hello'").await;
    let news: Reply = timeout(Duration::from_secs(10), client.recv()).await.unwrap().unwrap();
    assert_eq!(news.tag, b'A');
    assert!(String::from_utf8_lossy(&news.body).contains("news\0hello"));
    assert_eq!(backend(&mut client).await, pid);
}

#[tokio::test]
async fn the_next_session_finds_nothing_of_the_one_before() {
    let setup = in_mode("session", 1).await;
    let mut client = setup.wire().await;
    client.rows("CREATE TEMP TABLE mine (a int); SET work_mem = '9MB'; LISTEN news").await;
    client.rows("CREATE SEQUENCE seq; SELECT nextval('seq')").await;
    say(&mut client, &[parse("named", "SELECT 1"), sync()]).await;
    client.rows("PREPARE by_sql AS SELECT 2; SELECT pg_advisory_lock(7)").await;
    drop(client);
    let mut next = setup.wire().await;
    assert_eq!(refused(&mut next, "TABLE mine").await.code(), "42P01");
    assert_ne!(next.rows("SHOW work_mem").await, ["9MB"]);
    assert_eq!(next.rows("SELECT count(*) FROM pg_prepared_statements").await, ["0"]);
    assert_eq!(next.rows("SELECT count(*) FROM pg_listening_channels()").await, ["0"]);
    let locks = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND database =
        (SELECT oid FROM pg_database WHERE datname = current_database())";
    assert_eq!(next.rows(locks).await, ["0"]);
    assert_eq!(refused(&mut next, "SELECT lastval()").await.code(), "55000");
    assert_eq!(say(&mut next, &[bind("", "named", &[]), sync()]).await, "E(26000) Z(I)");
}

#[tokio::test]
async fn in_transaction_mode_connections_are_shared_between_transactions() {
    let setup = in_mode("transaction", 1).await;
    let mut clients = Vec::new();
    for _ in 0..5 {
        clients.push(setup.wire().await);
    }
    let pid = backend(&mut clients[0]).await;
    for client in &mut clients {
        assert_eq!(backend(client).await, pid);
        ask(client, "BEGIN").await;
        assert_eq!(backend(client).await, pid);
        ask(client, "COMMIT").await;
    }
}

#[tokio::test]
async fn what_would_outlive_its_transaction_is_refused_with_the_remedy() {
    for mode in ["transaction", "statement"] {
        let setup = in_mode(mode, 1).await;
        setup.db.batch("CREATE TABLE t AS SELECT 1 AS a").await;
        let mut client = setup.wire().await;
        for sql in [
            "LISTEN news",
            "PREPARE p AS SELECT 1",
            "CREATE TEMP TABLE mine (a int)",
            "CREATE TEMPORARY TABLE mine AS TABLE t",
            "SELECT * INTO TEMP mine FROM t",
            "SELECT pg_advisory_lock(1)",
            "LOAD 'auto_explain'",
            "SET SESSION AUTHORIZATION app",
            "SET standard_conforming_strings = off",
        ] {
            let fault = refused(&mut client, sql).await;
            assert_eq!(fault.code(), "0A000", "{sql}: {fault}");
            assert!(fault.message().contains(&format!("{mode} mode")), "{sql}: {fault}");
            assert!(fault.field('H').contains("session"), "{sql}: {fault}");
            // The same through the extended protocol, where it skips to the Sync.
            let batch = [parse("", sql), bind("", "", &[]), execute("", 0), sync()];
            let replies = say(&mut client, &batch).await;
            assert!(replies.ends_with("E(0A000) Z(I)"), "{sql}: {replies}");
            assert_eq!(client.rows("SELECT 1").await, ["1"]);
        }
    }
}

#[tokio::test]
async fn what_ends_within_its_transaction_works() {
    let setup = in_mode("transaction", 1).await;
    let mut client = setup.wire().await;
    for sql in [
        "BEGIN; CREATE TEMP TABLE brief (a int) ON COMMIT DROP; COMMIT",
        "BEGIN; SELECT pg_advisory_xact_lock(1); COMMIT",
        "BEGIN; DECLARE c CURSOR FOR SELECT 1; FETCH c; COMMIT",
        "BEGIN; SET LOCAL work_mem = '9MB'; COMMIT",
        "NOTIFY news",
        "DO $$ BEGIN PERFORM 1; END $$",
    ] {
        let replies = ask(&mut client, sql).await;
        assert!(!replies.contains("E("), "{sql}: {replies}");
    }
    let mut other = setup.wire().await;
    assert_eq!(refused(&mut other, "TABLE brief").await.code(), "42P01");
}

#[tokio::test]
async fn lastval_is_ones_own_or_not_at_all() {
    let setup = in_mode("transaction", 1).await;
    setup.db.batch("CREATE SEQUENCE seq").await;
    let (mut client, mut other) = (setup.wire().await, setup.wire().await);
    let inserted = ask(&mut client, "SELECT nextval('seq')").await;
    assert_eq!(inserted, "T D(1) C(SELECT 1) Z(I)");
    assert_eq!(refused(&mut other, "SELECT lastval()").await.code(), "55000");
    assert_eq!(refused(&mut other, "SELECT currval('seq')").await.code(), "55000");
    ask(&mut client, "BEGIN").await;
    client.rows("SELECT nextval('seq')").await;
    assert_eq!(client.rows("SELECT lastval()").await, ["2"], "within a transaction");
    ask(&mut client, "COMMIT").await;
}

#[tokio::test]
async fn statement_mode_has_no_transactions() {
    let setup = in_mode("statement", 1).await;
    setup.db.batch("CREATE TABLE t (a int)").await;
    let mut client = setup.wire().await;
    for sql in ["BEGIN", "START TRANSACTION READ ONLY", "BEGIN; INSERT INTO t VALUES (1); COMMIT"] {
        let fault = refused(&mut client, sql).await;
        assert_eq!(fault.code(), "0A000", "{sql}");
        assert!(fault.field('H').contains("transaction"), "{fault}");
    }
    let batch = [parse("", "BEGIN"), bind("", "", &[]), execute("", 0), sync()];
    assert!(say(&mut client, &batch).await.ends_with("E(0A000) Z(I)"));
    assert_eq!(client.rows("SELECT count(*) FROM t").await, ["0"]);
    assert_eq!(
        ask(&mut client, "INSERT INTO t VALUES (1); SELECT 2").await,
        "C(INSERT 0 1) T D(2) C(SELECT 1) Z(I)"
    );
    // One that is too long to be looked at ends the session, and with it its transaction.
    let mut hidden = setup.wire().await;
    let long = format!("BEGIN; INSERT INTO t VALUES (2) /* {} */", "x".repeat(1_100_000));
    hidden.send(&query(&long)).await.unwrap();
    let last = hidden.until_closed().await.pop().and_then(|reply| reply.error()).unwrap();
    assert_eq!((last.severity(), last.code()), ("FATAL", "0A000"));
    assert_eq!(client.rows("SELECT count(*) FROM t").await, ["1"]);
    client.send_all(&[query("SELECT 3"), query("SELECT 4")]).await.unwrap();
    for expected in ["T D(3) C(SELECT 1) Z(I)", "T D(4) C(SELECT 1) Z(I)"] {
        assert_eq!(summary(&client.until_ready().await.unwrap()), expected);
    }
}
