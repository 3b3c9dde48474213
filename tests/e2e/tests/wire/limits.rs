//! Limits in time and number: each with the error that PostgreSQL or a pooler is expected to give,
//! and with a client that can go on where it may.

use std::time::Duration;

use e2e::{Setup, eventually, ok};
use serde_json::{Value, json};
use test_support::wire::message::{bind, copy_data, copy_done, execute, flush, parse, query, sync};
use test_support::wire::summary;
use test_support::{Reply, WireClient};
use tokio::time::Instant;

use crate::talk::{ask, refused, say};

async fn with(proxy: Value, pool: Value) -> Setup {
    Setup::with(&json!({"proxy": proxy, "backends": {"primary": {"pool": pool}}})).await
}

/// How many wait for a connection at either door.
async fn waiting(setup: &Setup) -> i64 {
    let stats = ok(setup.client().await.call("PoolStats", json!({})).await);
    stats["stats"]["primary"]["waiting_clients"].as_i64().unwrap()
}

/// What a client is told that the server disconnects by itself.
async fn last_words(client: &mut WireClient) -> String {
    let replies = client.until_closed().await;
    let fault = replies.last().and_then(Reply::error).expect("last words");
    assert_eq!(fault.severity(), "FATAL");
    fault.code().to_owned()
}

#[tokio::test]
async fn a_wait_that_is_too_long_answers_the_pipeline_and_forwards_none_of_it() {
    let setup = with(json!({}), json!({"max_connections": 1, "acquire_timeout": "200ms"})).await;
    setup.db.batch("CREATE TABLE t (a int)").await;
    let (mut holder, mut client) = (setup.wire().await, setup.wire().await);
    holder.query("BEGIN").await.unwrap();
    let insert = "INSERT INTO t VALUES (1)";
    let pipeline = [
        parse("s", insert),
        bind("", "s", &[]),
        execute("", 0),
        sync(),
        query(insert),
        parse("", insert),
        bind("", "", &[]),
        execute("", 0),
        sync(),
    ];
    client.send_all(&pipeline).await.unwrap();
    for _ in 0..3 {
        assert_eq!(summary(&client.until_ready().await.unwrap()), "E(53300) Z(I)");
    }
    holder.query("COMMIT").await.unwrap();
    assert_eq!(client.rows("SELECT count(*) FROM t").await, ["0"]);
    let known = [bind("", "s", &[]), execute("", 0), sync()];
    assert_eq!(say(&mut client, &known).await, "E(26000) Z(I)", "its Parse did not happen");
    let fault = {
        holder.query("BEGIN").await.unwrap();
        refused(&mut client, "SELECT 1").await
    };
    assert!(fault.message().contains("taken for 2"), "how long it waited: {fault}");
}

#[tokio::test]
async fn both_doors_wait_in_one_queue_in_order_of_arrival() {
    let setup = with(json!({}), json!({"max_connections": 1})).await;
    setup.db.batch("CREATE TABLE turns (n serial, who text)").await;
    let mut holder = setup.wire().await;
    holder.query("BEGIN").await.unwrap();
    let mut tasks = Vec::new();
    for number in 0..8 {
        let sql = format!("INSERT INTO turns (who) VALUES ('{number}')");
        if number % 2 == 0 {
            let mut client = setup.wire().await;
            tasks.push(tokio::spawn(async move { drop(client.rows(&sql).await) }));
        } else {
            let mut rpc = setup.client().await;
            tasks.push(tokio::spawn(async move { drop(ok(rpc.execute(&sql, json!([])).await)) }));
        }
        eventually("it waits", || async { waiting(&setup).await == number + 1 }).await;
    }
    holder.query("COMMIT").await.unwrap();
    for task in tasks {
        task.await.unwrap();
    }
    let turns = setup.wire().await.rows("SELECT who FROM turns ORDER BY n").await;
    assert_eq!(turns, ["0", "1", "2", "3", "4", "5", "6", "7"]);
}

#[tokio::test]
async fn the_queue_is_bounded_for_both_doors_together() {
    let setup = with(json!({}), json!({"max_connections": 1, "wait_queue_size": 1})).await;
    let (mut holder, mut first, mut second) =
        (setup.wire().await, setup.wire().await, setup.wire().await);
    holder.query("BEGIN").await.unwrap();
    first.send(&query("SELECT 1")).await.unwrap();
    eventually("the first waits", || async { waiting(&setup).await == 1 }).await;
    let started = Instant::now();
    assert_eq!(refused(&mut second, "SELECT 2").await.code(), "53300");
    assert!(started.elapsed() < Duration::from_secs(2), "at once");
    holder.query("COMMIT").await.unwrap();
    assert_eq!(summary(&first.until_ready().await.unwrap()), "T D(1) C(SELECT 1) Z(I)");
    assert_eq!(second.rows("SELECT 2").await, ["2"]);
}

#[tokio::test]
async fn a_busy_client_does_not_keep_the_others_waiting() {
    let setup = with(json!({}), json!({"max_connections": 1})).await;
    let (mut busy, mut other) = (setup.wire().await, setup.wire().await);
    let next = query("SELECT pg_sleep(0.001)");
    busy.send_all(&[next.clone(), next.clone()]).await.unwrap();
    let working = tokio::spawn(async move {
        // Its next query is always there before the last one is answered.
        loop {
            busy.until_ready().await.unwrap();
            busy.send(&next).await.unwrap();
        }
    });
    for number in 0..20 {
        assert_eq!(other.rows(&format!("SELECT {number}")).await, [number.to_string()]);
    }
    assert!(!working.is_finished(), "it goes on");
    working.abort();
}

#[tokio::test]
async fn a_statement_that_runs_too_long_is_cancelled() {
    let setup = with(json!({"query_timeout": "150ms"}), json!({"max_connections": 1})).await;
    let mut client = setup.wire().await;
    let fault = refused(&mut client, "SELECT pg_sleep(60)").await;
    assert_eq!(fault.code(), "57014");
    assert!(fault.message().contains("150"), "{fault}");
    ask(&mut client, "BEGIN").await;
    assert_eq!(ask(&mut client, "SELECT pg_sleep(60)").await, "T E(57014) Z(E)");
    assert_eq!(ask(&mut client, "ROLLBACK").await, "C(ROLLBACK) Z(I)");
    assert_eq!(client.rows("SELECT 1").await, ["1"]);
    let active = "usename = 'app' AND state = 'active' AND query LIKE '%pg_sleep%'";
    assert_eq!(setup.count(active).await, 0);
}

#[tokio::test]
async fn proxied_statements_have_no_limit_unless_one_is_set() {
    let more = json!({"backends": {"primary": {"behavior": {"query_timeout": "100ms"}}}});
    let setup = Setup::with(&more).await;
    let mut client = setup.wire().await;
    assert_eq!(ask(&mut client, "SELECT pg_sleep(0.4)").await, "T D() C(SELECT 1) Z(I)");
}

#[tokio::test]
async fn an_idle_transaction_is_ended_and_rolled_back() {
    let proxy = json!({"idle_transaction_timeout": "150ms"});
    let setup = with(proxy, json!({"max_connections": 1})).await;
    setup.db.batch("CREATE TABLE t (a int)").await;
    let mut idle = setup.wire().await;
    let mut patient = setup.wire().await;
    patient.rows("SELECT 1").await;
    ask(&mut idle, "BEGIN").await;
    ask(&mut idle, "INSERT INTO t VALUES (1)").await;
    assert_eq!(last_words(&mut idle).await, "25P03");
    assert_eq!(
        patient.rows("SELECT count(*) FROM t").await,
        ["0"],
        "idle outside one is no matter"
    );
}

#[tokio::test]
async fn so_is_what_a_client_has_left_unfinished() {
    let proxy = json!({"idle_transaction_timeout": "500ms"});
    let setup = with(proxy, json!({"max_connections": 1})).await;
    setup.db.batch("CREATE TABLE t (a text)").await;
    let insert = "INSERT INTO t VALUES ('x')";
    for unfinished in [
        vec![parse("", insert), bind("", "", &[]), execute("", 0), flush()],
        vec![query("COPY t FROM STDIN"), copy_data(b"x\n")],
        vec![query("COPY t FROM STDIN"), copy_data(&[b'x'; 90_000])[..50_000].to_vec()],
    ] {
        let mut silent = setup.wire().await;
        silent.send_all(&unfinished).await.unwrap();
        assert_eq!(last_words(&mut silent).await, "25P03");
        assert_eq!(setup.wire().await.rows("SELECT count(*) FROM t").await, ["0"]);
    }
    // One that goes on, however slowly, is not idle.
    let mut slow = setup.wire().await;
    slow.send(&query("COPY t FROM STDIN")).await.unwrap();
    for _ in 0..12 {
        tokio::time::sleep(Duration::from_millis(60)).await;
        slow.send(&copy_data(b"x\n")).await.unwrap();
    }
    slow.send(&copy_done()).await.unwrap();
    assert_eq!(summary(&slow.until_ready().await.unwrap()), "G C(COPY 12) Z(I)");
}

#[tokio::test]
async fn an_idle_client_is_disconnected_when_that_is_wanted() {
    let setup = with(json!({"client_timeout": "150ms"}), json!({"max_connections": 1})).await;
    let mut idle = setup.wire().await;
    assert_eq!(ask(&mut idle, "SELECT pg_sleep(0.3)").await, "T D() C(SELECT 1) Z(I)");
    assert_eq!(last_words(&mut idle).await, "57P05");
    let mut in_transaction = setup.wire().await;
    ask(&mut in_transaction, "BEGIN").await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(ask(&mut in_transaction, "COMMIT").await, "C(COMMIT) Z(I)");
}

#[tokio::test]
async fn an_overlong_message_is_refused_before_it_is_read() {
    let setup = with(json!({}), json!({})).await;
    let mut client = setup.wire().await;
    client.send(b"Q\x7f\xff\xff\xffSELECT").await.unwrap();
    client.until_closed().await;
    assert_eq!(setup.wire().await.rows("SELECT 1").await, ["1"]);
}

#[tokio::test]
async fn a_transaction_that_is_open_too_long_ends() {
    let setup = with(json!({"transaction_timeout": "300ms"}), json!({"max_connections": 2})).await;
    setup.db.batch("CREATE TABLE t (a int)").await;
    // Busy, idle, or one statement by itself: PostgreSQL makes no difference either.
    let mut client = setup.wire().await;
    client.send_all(&[query("BEGIN; INSERT INTO t VALUES (1)")]).await.unwrap();
    let mut told = Vec::new();
    while let Ok(replies) = client.until_ready().await {
        assert!(!summary(&replies).contains("E("), "{replies:?}");
        told.push(client.send(&query("SELECT pg_sleep(0.01)")).await.is_ok());
    }
    assert!(told.len() > 1);
    for sql in ["BEGIN", "SELECT pg_sleep(60)"] {
        let mut client = setup.wire().await;
        client.send(&query(sql)).await.unwrap();
        assert_eq!(last_words(&mut client).await, "25P04", "{sql}");
    }
    let mut other = setup.wire().await;
    assert_eq!(other.rows("SELECT count(*) FROM t").await, ["0"]);
    eventually("nothing runs", || async {
        setup.count("state <> 'idle' AND usename = 'app'").await == 0
    })
    .await;
    // Many short ones are not one long one.
    let started = Instant::now();
    while started.elapsed() < Duration::from_millis(600) {
        ask(&mut other, "BEGIN; INSERT INTO t VALUES (2); COMMIT").await;
        let pipeline = [query("BEGIN"), query("SELECT pg_sleep(0.005)"), query("COMMIT")];
        other.send_all(&pipeline).await.unwrap();
        for _ in 0..3 {
            assert!(!summary(&other.until_ready().await.unwrap()).contains("E("));
        }
    }
}

#[tokio::test]
async fn a_client_that_waits_long_is_told_why() {
    let setup = with(json!({"wait_notice": "50ms"}), json!({"max_connections": 1})).await;
    let (mut holder, mut client) = (setup.wire().await, setup.wire().await);
    holder.query("BEGIN").await.unwrap();
    client.send(&query("SELECT 1")).await.unwrap();
    let notice = client.recv().await.unwrap();
    assert_eq!(notice.tag, b'N');
    let text = String::from_utf8_lossy(&notice.body).into_owned();
    assert!(text.contains("waiting for a server connection of pool \"primary\""), "{text}");
    assert!(text.contains("NOTICE") && text.contains("1 of 1 are in use"), "{text}");
    holder.query("COMMIT").await.unwrap();
    assert_eq!(summary(&client.until_ready().await.unwrap()), "T D(1) C(SELECT 1) Z(I)");
    assert_eq!(client.rows("SELECT 2").await, ["2"]);
}

#[tokio::test]
async fn a_pipeline_of_short_statements_is_never_a_long_one() {
    for (limits, mode) in [
        (json!({"transaction_timeout": "300ms"}), "transaction"),
        (json!({"query_timeout": "300ms"}), "session"),
        (json!({"transaction_timeout": "300ms", "query_timeout": "300ms"}), "auto"),
    ] {
        let setup = Setup::with(&json!({"proxy": limits, "backends": {"primary": {
            "pool": {"max_held": "100%"}, "behavior": {"mode": mode},
        }}}))
        .await;
        let mut client = setup.wire().await;
        let unit = [parse("", "SELECT pg_sleep(0.005)"), bind("", "", &[]), execute("", 0), sync()];
        // Always two more under way, so that the server always owes something.
        client.send_all(&[unit.concat(), unit.concat()]).await.unwrap();
        let started = Instant::now();
        while started.elapsed() < Duration::from_millis(900) {
            client.send_all(&unit).await.unwrap();
            let replies = summary(&client.until_ready().await.unwrap());
            assert!(!replies.contains("E("), "{mode}: {replies}");
        }
    }
}

#[tokio::test]
async fn each_statement_of_a_pipeline_is_counted_and_so_are_errors() {
    let setup = with(json!({}), json!({})).await;
    let mut client = setup.wire().await;
    client.rows("SELECT 1").await;
    let count = || async {
        let stats = ok(setup.client().await.call("PoolStats", json!({})).await);
        let of = |name: &str| stats["stats"]["primary"][name].as_u64().unwrap();
        (of("query_count"), of("error_count"))
    };
    let before = count().await;
    let pipeline: Vec<_> =
        (0..20).map(|n| query(if n % 2 == 0 { "SELECT 1" } else { "SELECT 1/0" })).collect();
    client.send_all(&pipeline).await.unwrap();
    for _ in 0..20 {
        client.until_ready().await.unwrap();
    }
    refused(&mut client, "SELECT 1/0").await;
    let after = count().await;
    assert_eq!((after.0 - before.0, after.1 - before.1), (21, 11));
}
