//! Servers that die anywhere: the client gets an error of the right class, and its next query
//! works.

use e2e::{Linked, Setup, TestServer, eventually};
use serde_json::json;
use test_support::postgres::ROLE;
use test_support::wire::message::{bind, copy_data, execute, flush, parse, query, sync};
use test_support::wire::{errors, summary};
use test_support::{StopMode, TestCluster, WireError};

use crate::talk::{ask, refused, runs};

/// Says that it was not executed, in the words of PostgreSQL or libpq.
const NOT_EXECUTED: [&str; 2] = ["57P01", "08006"];
const UNKNOWN: &str = "40003";

async fn over_a_link(mode: &str) -> Linked {
    let linked = Linked::with(&json!({"backends": {"primary": {
        "pool": {"max_connections": 2, "max_held": "100%"}, "behavior": {"mode": mode},
    }}}))
    .await;
    linked.setup.db.batch("CREATE TABLE t (a int)").await;
    linked
}

#[tokio::test]
async fn a_connection_lost_while_idle_costs_nothing() {
    let linked = over_a_link("transaction").await;
    let mut client = linked.server.wire().await;
    for _ in 0..3 {
        assert_eq!(client.rows("SELECT 1").await, ["1"]);
        linked.link.reset_all();
        eventually("another one serves", || async {
            linked.server.wire().await.query("SELECT 1").await.is_ok_and(|r| errors(&r).is_empty())
        })
        .await;
    }
    assert_eq!(client.rows("SELECT 2").await, ["2"]);
}

#[tokio::test]
async fn what_ran_alone_is_told_as_what_it_is() {
    let linked = over_a_link("transaction").await;
    let mut client = linked.server.wire().await;
    for (sql, codes) in [
        ("SELECT pg_sleep(60)", &NOT_EXECUTED[..]),
        ("INSERT INTO t SELECT 1 FROM pg_sleep(60)", &[UNKNOWN]),
        ("BEGIN; INSERT INTO t VALUES (1); SELECT pg_sleep(60); COMMIT", &[UNKNOWN]),
    ] {
        client.send(&query(sql)).await.unwrap();
        runs(&linked.setup, "pg_sleep(60)").await;
        linked.link.reset_all();
        let replies = client.until_ready().await.unwrap();
        let fault = errors(&replies).pop().unwrap();
        assert!(codes.contains(&fault.code()), "{sql}: {fault}");
        assert_eq!(fault.severity(), "ERROR", "the session goes on");
        assert!(summary(&replies).ends_with("Z(I)"), "{replies:?}");
        assert_eq!(client.rows("SELECT count(*) FROM t").await, ["0"], "{sql}");
    }
}

#[tokio::test]
async fn a_batch_without_its_sync_is_answered_at_the_sync() {
    let linked = over_a_link("transaction").await;
    let mut client = linked.server.wire().await;
    let insert = "INSERT INTO t SELECT 1 FROM pg_sleep(60)";
    client
        .send_all(&[parse("", insert), bind("", "", &[]), execute("", 0), flush()])
        .await
        .unwrap();
    runs(&linked.setup, "pg_sleep(60)").await;
    linked.link.reset_all();
    let replies = client.until(b'E').await.unwrap();
    let fault = errors(&replies).pop().unwrap();
    assert!(NOT_EXECUTED.contains(&fault.code()), "no Sync, no commit: {fault}");
    client.send_all(&[execute("", 0), sync()]).await.unwrap();
    assert_eq!(summary(&client.until_ready().await.unwrap()), "Z(I)");
    assert_eq!(client.rows("SELECT count(*) FROM t").await, ["0"]);
}

#[tokio::test]
async fn a_transaction_goes_on_as_a_failed_one() {
    let linked = over_a_link("transaction").await;
    let mut client = linked.server.wire().await;
    for end in ["ROLLBACK", "COMMIT"] {
        ask(&mut client, "BEGIN").await;
        ask(&mut client, "INSERT INTO t VALUES (1)").await;
        linked.link.reset_all();
        let fault = refused(&mut client, "INSERT INTO t VALUES (2)").await;
        assert!(NOT_EXECUTED.contains(&fault.code()), "{fault}");
        // Nothing runs outside the transaction that it was meant for.
        assert_eq!(ask(&mut client, "INSERT INTO t VALUES (3)").await, "E(25P02) Z(E)");
        assert_eq!(ask(&mut client, end).await, "C(ROLLBACK) Z(I)");
        assert_eq!(client.rows("SELECT count(*) FROM t").await, ["0"]);
    }
}

#[tokio::test]
async fn a_lost_commit_is_unknown() {
    let linked = over_a_link("transaction").await;
    let mut client = linked.server.wire().await;
    client.rows("CREATE TABLE slow (a int)").await;
    let trigger = "CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS
            'BEGIN PERFORM pg_sleep(60); RETURN NULL; END';
        CREATE CONSTRAINT TRIGGER waits AFTER INSERT ON slow
            DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION wait()";
    linked.setup.db.batch(trigger).await;
    ask(&mut client, "BEGIN").await;
    ask(&mut client, "INSERT INTO slow VALUES (1)").await;
    client.send(&query("COMMIT")).await.unwrap();
    runs(&linked.setup, "COMMIT").await;
    linked.link.reset_all();
    let replies = client.until_ready().await.unwrap();
    assert_eq!(summary(&replies), format!("E({UNKNOWN}) Z(I)"));
    assert_eq!(client.rows("SELECT 1").await, ["1"]);
}

#[tokio::test]
async fn each_of_a_pipeline_gets_its_answer() {
    let linked = over_a_link("transaction").await;
    let mut client = linked.server.wire().await;
    let pipeline = [query("SELECT 1"), query("SELECT pg_sleep(60)"), query("SELECT 3")];
    client.send_all(&pipeline).await.unwrap();
    assert_eq!(summary(&client.until_ready().await.unwrap()), "T D(1) C(SELECT 1) Z(I)");
    runs(&linked.setup, "pg_sleep(60)").await;
    linked.link.reset_all();
    for _ in 0..2 {
        let fault = errors(&client.until_ready().await.unwrap()).pop().unwrap();
        assert!(NOT_EXECUTED.contains(&fault.code()), "{fault}");
    }
    assert_eq!(client.rows("SELECT 4").await, ["4"]);
}

#[tokio::test]
async fn a_copy_that_is_cut_off_loads_nothing() {
    let linked = over_a_link("transaction").await;
    let mut client = linked.server.wire().await;
    client.send_all(&[query("COPY t FROM STDIN"), copy_data(b"1\n")]).await.unwrap();
    assert_eq!(client.recv().await.unwrap().tag, b'G');
    linked.link.reset_all();
    let replies = client.until_ready().await.unwrap();
    assert_eq!(errors(&replies).len(), 1, "{replies:?}");
    client.send(&copy_data(b"2\n")).await.unwrap();
    assert_eq!(client.rows("SELECT count(*) FROM t").await, ["0"]);
}

#[tokio::test]
async fn a_session_ends_with_its_server() {
    let linked = over_a_link("session").await;
    let mut client = linked.server.wire().await;
    client.rows("CREATE TEMP TABLE mine (a int)").await;
    linked.link.reset_all();
    let replies = client.until_closed().await;
    let fault = replies.last().unwrap().error().unwrap();
    assert_eq!(fault.severity(), "FATAL", "{fault}");
    assert!(NOT_EXECUTED.contains(&fault.code()), "{fault}");
    assert_eq!(linked.server.wire().await.rows("SELECT 1").await, ["1"]);
}

#[tokio::test]
async fn a_session_that_ends_in_a_write_is_not_told_that_nothing_was_executed() {
    let behavior = json!({"behavior": {"mode": "session"}});
    let setup = Setup::with(&json!({"backends": {"primary": behavior}})).await;
    setup.db.batch("CREATE TABLE t (a int)").await;
    setup.db.batch(&format!("GRANT ALL ON t TO {ROLE}")).await;
    let end = "SELECT pg_terminate_backend(pg_backend_pid())";
    for (sql, code) in [
        (format!("INSERT INTO t VALUES (1); COMMIT; {end}"), "40003"),
        (format!("BEGIN; INSERT INTO t VALUES (1); {end}"), "40003"),
        (end.to_owned(), "57P01"),
    ] {
        let mut client = setup.wire().await;
        client.send(&query(&sql)).await.unwrap();
        let replies = client.until_closed().await;
        let fault = errors(&replies).pop().unwrap_or_else(|| panic!("{sql}: {replies:?}"));
        assert_eq!((fault.severity(), fault.code()), ("FATAL", code), "{sql}: {fault}");
        assert_eq!(fault.message().contains("not executed"), code == "57P01", "{fault}");
    }
}

#[tokio::test]
async fn a_backend_that_is_terminated_says_so() {
    let setup = Setup::new().await;
    let mut client = setup.wire().await;
    client.send(&query("SELECT pg_sleep(60)")).await.unwrap();
    runs(&setup, "pg_sleep(60)").await;
    setup.db.kill_backends("query LIKE '%pg_sleep(60)%'").await;
    let fault = errors(&client.until_ready().await.unwrap()).pop().unwrap();
    assert_eq!(fault.code(), "57P01", "{fault}");
    assert!(fault.message().contains("not executed"), "{fault}");
    assert_eq!(client.rows("SELECT 1").await, ["1"]);
}

#[tokio::test]
async fn a_database_that_is_down_is_told_at_once_and_recovered_from() {
    let cluster = TestCluster::start().await;
    let server = TestServer::start(&cluster.dsn(), &json!({})).await;
    let mut client = server.wire().await;
    assert_eq!(client.rows("SELECT 1").await, ["1"]);
    cluster.stop(StopMode::Fast).await;
    eventually("it is told", || async { server.wire_with(&[("TimeZone", "UTC")]).await.is_err() })
        .await;
    let fault = refused(&mut client, "SELECT 1").await;
    assert!(["08001", "57P01", "08006"].contains(&fault.code()), "{fault}");
    match server.wire_with(&[("DateStyle", "German")]).await {
        Err(WireError::Fatal(fault)) => assert_eq!(fault.code(), "08001", "{fault}"),
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("let in with a setting that nobody has looked at"),
    }
    cluster.start_again().await;
    let again = tokio::sync::Mutex::new(client);
    eventually("it works again", || async {
        let replies = again.lock().await.query("SELECT 1").await.unwrap();
        errors(&replies).is_empty()
    })
    .await;
}
