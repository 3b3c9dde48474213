//! `mode: auto`: connections are shared after each transaction, but by a client that has something
//! in its session which cannot be made again elsewhere.

use std::time::Duration;

use e2e::{Setup, eventually, ok};
use serde_json::{Value, json};
use test_support::RpcClient;
use test_support::wire::message::{bind, execute, parse, sync};
use test_support::wire::{Reply, summary};
use tokio::time::timeout;

use crate::talk::{ask, backend, refused, say};

async fn auto(connections: u32, max_held: &str) -> Setup {
    Setup::with(&json!({"backends": {"primary": {
        "pool": {"max_connections": connections, "min_connections": 0, "max_held": max_held},
        "behavior": {"mode": "auto"},
    }}}))
    .await
}

async fn stats(client: &mut RpcClient) -> Value {
    let reply = ok(client.call("PoolStats", json!({})).await);
    reply["stats"]["primary"].clone()
}

#[tokio::test]
async fn connections_are_shared_until_a_client_needs_its_own() {
    let setup = auto(2, "50%").await;
    let (mut client, mut other) = (setup.wire().await, setup.wire().await);
    let shared = backend(&mut client).await;
    assert_eq!(backend(&mut other).await, shared);
    client.rows("CREATE TEMP TABLE mine AS SELECT 7 AS a; PREPARE p AS TABLE mine").await;
    let own = backend(&mut client).await;
    client.rows("SELECT pg_advisory_lock(7); LISTEN news; SET work_mem = '9MB'").await;
    client.rows("DECLARE c CURSOR WITH HOLD FOR TABLE mine").await;
    for _ in 0..3 {
        assert_ne!(backend(&mut other).await, own);
        assert_eq!(other.rows("SELECT pg_try_advisory_xact_lock(7)").await, ["f"]);
        assert_eq!(client.rows("EXECUTE p").await, ["7"]);
    }
    assert_eq!(client.rows("FETCH c").await, ["7"]);
    assert_eq!(client.rows("SHOW work_mem").await, ["9MB"]);
    assert_eq!(backend(&mut client).await, own);
}

#[tokio::test]
async fn each_reason_pins_by_either_protocol() {
    let setup = auto(3, "100%").await;
    let mut calls = setup.client().await;
    for (sql, label) in [
        ("LISTEN news", "listen"),
        ("PREPARE p AS SELECT 1", "prepare"),
        ("CREATE TEMP TABLE mine (a int)", "temporary_object"),
        ("SELECT pg_advisory_lock(1)", "advisory_lock"),
        ("SET SESSION AUTHORIZATION app", "setting"),
        ("SET standard_conforming_strings = off", "setting"),
    ] {
        for extended in [false, true] {
            let before = stats(&mut calls).await["pins"][label].as_u64().unwrap_or(0);
            let mut client = setup.wire().await;
            if extended {
                let batch = [parse("", sql), bind("", "", &[]), execute("", 0), sync()];
                let replies = say(&mut client, &batch).await;
                assert!(!replies.contains("E("), "{sql}: {replies}");
            } else {
                let replies = ask(&mut client, sql).await;
                assert!(!replies.contains("E("), "{sql}: {replies}");
            }
            let pid = backend(&mut client).await;
            let now = stats(&mut calls).await;
            assert_eq!(now["pins"][label], before + 1, "{sql}: {now}");
            assert_eq!(now["pinned_clients"], 1, "{sql}");
            assert_eq!(backend(&mut client).await, pid);
            drop(client);
            eventually("it is free again", || async {
                stats(&mut setup.client().await).await["pinned_clients"] == 0
            })
            .await;
        }
    }
}

#[tokio::test]
async fn within_a_transaction_it_pins_too() {
    let setup = auto(2, "50%").await;
    let (mut client, mut other) = (setup.wire().await, setup.wire().await);
    ask(&mut client, "BEGIN").await;
    client.rows("CREATE TEMP TABLE mine AS SELECT 7 AS a").await;
    ask(&mut client, "COMMIT").await;
    let own = backend(&mut client).await;
    assert_ne!(backend(&mut other).await, own);
    assert_eq!(client.rows("TABLE mine").await, ["7"]);
}

#[tokio::test]
async fn discard_all_unpins_and_leaves_nothing() {
    let setup = auto(1, "100%").await;
    let mut calls = setup.client().await;
    let (mut client, mut other) = (setup.wire().await, setup.wire().await);
    for extended in [false, true] {
        client.rows("CREATE TEMP TABLE mine (a int); LISTEN news; SET work_mem = '9MB'").await;
        client.rows("SELECT pg_advisory_lock(7)").await;
        say(&mut client, &[parse("kept", "SELECT 5"), sync()]).await;
        assert_eq!(stats(&mut calls).await["pinned_clients"], 1);
        if extended {
            let all = [parse("", "DISCARD ALL"), bind("", "", &[]), execute("", 0), sync()];
            let replies = say(&mut client, &all).await;
            assert_eq!(replies, "1 2 C(DISCARD ALL) Z(I)");
        } else {
            assert_eq!(ask(&mut client, "DISCARD ALL").await, "C(DISCARD ALL) Z(I)");
        }
        assert_eq!(stats(&mut calls).await["pinned_clients"], 0);
        assert_eq!(other.rows("SELECT count(*) FROM pg_listening_channels()").await, ["0"]);
        let locks = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND database =
            (SELECT oid FROM pg_database WHERE datname = current_database())";
        assert_eq!(other.rows(locks).await, ["0"]);
        assert_eq!(refused(&mut other, "TABLE mine").await.code(), "42P01");
        assert_ne!(client.rows("SHOW work_mem").await, ["9MB"]);
        assert_eq!(refused(&mut client, "TABLE mine").await.code(), "42P01");
        let replies = say(&mut client, &[bind("", "kept", &[]), sync()]).await;
        assert_eq!(replies, "E(26000) Z(I)");
    }
}

#[tokio::test]
async fn beyond_max_held_the_statement_that_would_pin_is_refused() {
    let setup = auto(3, "1").await;
    let (mut first, mut second) = (setup.wire().await, setup.wire().await);
    first.rows("LISTEN news").await;
    let fault = refused(&mut second, "LISTEN news").await;
    assert_eq!(fault.code(), "53300", "{fault}");
    assert!(fault.message().contains("pool.max_held"), "{fault}");
    assert!(fault.field('H').contains("LISTEN"), "{fault}");
    // In a transaction it fails, as any error makes it.
    ask(&mut second, "BEGIN").await;
    assert_eq!(refused(&mut second, "CREATE TEMP TABLE t (a int)").await.code(), "53300");
    assert_eq!(refused(&mut second, "SELECT 1").await.code(), "25P02");
    ask(&mut second, "ROLLBACK").await;
    let batch = [parse("", "LISTEN a"), bind("", "", &[]), execute("", 0), sync()];
    assert_eq!(say(&mut second, &batch).await, "1 E(53300) Z(I)");
    assert_eq!(second.rows("SELECT 1").await, ["1"]);
    ask(&mut first, "DISCARD ALL").await;
    second.rows("LISTEN news").await;
    drop(second);
    eventually("its place is free", || async {
        !ask(&mut setup.wire().await, "LISTEN a").await.contains("E(")
    })
    .await;
}

#[tokio::test]
async fn notifications_come_to_the_pinned() {
    let setup = auto(2, "50%").await;
    let (mut client, mut other) = (setup.wire().await, setup.wire().await);
    client.rows("LISTEN news").await;
    other.rows("NOTIFY news, 'hello'").await;
    let news: Reply = timeout(Duration::from_secs(10), client.recv()).await.unwrap().unwrap();
    assert_eq!(news.tag, b'A');
    assert!(String::from_utf8_lossy(&news.body).contains("news\0hello"));
    assert_eq!(client.rows("UNLISTEN *; SELECT 1").await, ["1"]);
}

#[tokio::test]
async fn a_pinned_client_learns_that_its_session_is_lost() {
    let setup = auto(2, "50%").await;
    let mut client = setup.wire().await;
    client.rows("CREATE TEMP TABLE mine (a int)").await;
    let pid = backend(&mut client).await;
    setup.db.kill_backends(&format!("pid = {pid}")).await;
    let end = client.until_closed().await;
    assert!(summary(&end).contains("E(57P01)"), "{}", summary(&end));
    assert_eq!(end.last().unwrap().error().unwrap().severity(), "FATAL");
}

#[tokio::test]
async fn prepared_statements_work_beside_what_pins() {
    let setup = auto(1, "100%").await;
    setup.db.batch("CREATE TABLE t AS SELECT 1 AS a").await;
    let mut client = setup.wire().await;
    say(&mut client, &[parse("s", "SELECT a FROM t"), sync()]).await;
    let run = [bind("", "s", &[]), execute("", 0), sync()];
    assert_eq!(say(&mut client, &run).await, "2 D(1) C(SELECT 1) Z(I)");
    // A temporary table that stands where another one stood.
    client.rows("CREATE TEMP TABLE t AS SELECT 2 AS a").await;
    say(&mut client, &[parse("u", "SELECT a FROM t"), sync()]).await;
    for n in 0..150 {
        let name = format!("many{n}");
        let sql = format!("SELECT {n} AS n, a FROM t");
        let batch = [parse(&name, &sql), bind("", &name, &[]), execute("", 0), sync()];
        let replies = client.exchange(&batch).await.unwrap();
        let rows: Vec<_> = replies.iter().filter_map(Reply::row).collect();
        assert_eq!(rows, [[Some(n.to_string()), Some("2".to_owned())]]);
    }
    let kept = client.rows("SELECT count(*) FROM pg_prepared_statements").await;
    assert!(kept[0].parse::<u32>().unwrap() <= 120, "{kept:?}");
    let replies = client.exchange(&[bind("", "u", &[]), execute("", 0), sync()]).await.unwrap();
    assert_eq!(replies.iter().find_map(Reply::row).unwrap()[0].as_deref(), Some("2"));
    ask(&mut client, "DISCARD ALL").await;
    assert_eq!(client.rows("SELECT a FROM t").await, ["1"]);
}

#[tokio::test]
async fn lastval_is_answered_to_whoever_asks_for_it_again() {
    let setup = auto(1, "100%").await;
    setup.db.batch("CREATE TABLE t (a serial, b text)").await;
    let (mut client, mut other) = (setup.wire().await, setup.wire().await);
    // Whatever the first answer is, it is not another client's.
    other.rows("INSERT INTO t (b) VALUES ('other')").await;
    assert_eq!(refused(&mut client, "SELECT lastval()").await.code(), "55000");
    for n in 0..20 {
        let inserted = client.rows("INSERT INTO t (b) VALUES ('mine') RETURNING a").await;
        // It waits until the first client is done.
        let also = async { other.rows("INSERT INTO t (b) VALUES ('other') RETURNING a").await };
        let asks = async {
            let batch = [parse("", "SELECT LASTVAL()"), bind("", "", &[]), execute("", 0), sync()];
            let replies = client.exchange(&batch).await.unwrap();
            let row = replies.iter().find_map(Reply::row);
            row.unwrap_or_else(|| panic!("{n}: {}", summary(&replies)))[0].clone().unwrap()
        };
        let (theirs, last) = tokio::join!(also, asks);
        assert_eq!(last, inserted[0], "{n}: {theirs:?}");
        assert_ne!(theirs, inserted);
    }
}

#[tokio::test]
async fn who_does_not_ask_does_not_keep() {
    let setup = auto(1, "100%").await;
    setup.db.batch("CREATE TABLE t (a serial, b text)").await;
    let (mut client, mut other) = (setup.wire().await, setup.wire().await);
    other.rows("INSERT INTO t (b) VALUES ('x')").await;
    assert_eq!(refused(&mut client, "SELECT lastval()").await.code(), "55000");
    // Kept in vain three times, and then no more; others get it every time.
    for _ in 0..6 {
        client.rows("INSERT INTO t (b) VALUES ('x')").await;
        other.rows("INSERT INTO t (b) VALUES ('y')").await;
    }
    // A moment's grace ends with DISCARD ALL.
    assert_eq!(refused(&mut client, "SELECT lastval()").await.code(), "55000");
    client.rows("INSERT INTO t (b) VALUES ('x')").await;
    assert_eq!(ask(&mut client, "DISCARD ALL").await, "C(DISCARD ALL) Z(I)");
    assert_eq!(refused(&mut client, "SELECT lastval()").await.code(), "55000");
}

#[tokio::test]
async fn a_client_that_may_not_pin_sits_on_nothing() {
    let setup = auto(2, "1").await;
    let (mut first, mut second) = (setup.wire().await, setup.wire().await);
    first.rows("LISTEN news").await;
    assert_eq!(refused(&mut second, "LISTEN news").await.code(), "53300");
    // It is idle now, and the other connection is everybody's.
    assert_eq!(setup.wire().await.rows("SELECT 1").await, ["1"]);
    let batch = [parse("", "LISTEN a"), bind("", "", &[]), execute("", 0), sync()];
    assert_eq!(say(&mut second, &batch).await, "1 E(53300) Z(I)");
    assert_eq!(setup.wire().await.rows("SELECT 1").await, ["1"]);
}

#[tokio::test]
async fn what_comes_behind_discard_all_in_its_batch_stays() {
    let setup = auto(2, "50%").await;
    for pinned_before in [false, true] {
        let (mut client, mut other) = (setup.wire().await, setup.wire().await);
        if pinned_before {
            client.rows("LISTEN before").await;
        }
        let run = |sql: &str| [parse("", sql), bind("", "", &[]), execute("", 0)].concat();
        let batch = [run("DISCARD ALL"), run("LISTEN news"), sync()];
        let replies = say(&mut client, &batch).await;
        assert_eq!(replies, "1 2 C(DISCARD ALL) 1 2 C(LISTEN) Z(I)");
        let channels = "SELECT pg_listening_channels()";
        assert_eq!(client.rows(channels).await, ["news"]);
        assert_eq!(other.rows(channels).await, Vec::<String>::new());
        // The next one ends it.
        let replies = say(&mut client, &[run("DISCARD ALL"), sync()]).await;
        assert_eq!(replies, "1 2 C(DISCARD ALL) Z(I)");
        let stats = stats(&mut setup.client().await).await;
        assert_eq!(stats["pinned_clients"], 0, "{stats}");
        assert_eq!(client.rows(channels).await, Vec::<String>::new());
    }
}

#[tokio::test]
async fn the_moment_for_lastval_ends_whatever_the_client_sends() {
    let setup = auto(1, "100%").await;
    setup.db.batch("CREATE TABLE t (a serial, b text)").await;
    let (mut client, mut other) = (setup.wire().await, setup.wire().await);
    other.rows("INSERT INTO t (b) VALUES ('x')").await;
    assert_eq!(refused(&mut client, "SELECT lastval()").await.code(), "55000");
    client.rows("INSERT INTO t (b) VALUES ('x')").await;
    let waits = async { other.rows("SELECT 1").await };
    tokio::pin!(waits);
    let (started, idle) = (tokio::time::Instant::now(), [sync()]);
    loop {
        tokio::select! {
            biased;
            answer = &mut waits => break assert_eq!(answer, ["1"]),
            reply = client.exchange(&idle) => {
                reply.unwrap();
                assert!(started.elapsed() < Duration::from_secs(10), "it is kept for ever");
            }
        }
    }
}

#[tokio::test]
async fn a_pinned_connection_is_reset_whatever_the_configuration_says() {
    let setup = Setup::with(&json!({"backends": {"primary": {
        "pool": {"max_connections": 1, "max_held": "100%"},
        "behavior": {"mode": "auto", "reset_on_return": false},
    }}}))
    .await;
    let mut client = setup.wire().await;
    client.rows("CREATE TEMP TABLE mine (a int); LISTEN news").await;
    drop(client);
    let mut next = setup.wire().await;
    assert_eq!(refused(&mut next, "TABLE mine").await.code(), "42P01");
    assert_eq!(next.rows("SELECT count(*) FROM pg_listening_channels()").await, ["0"]);
}
