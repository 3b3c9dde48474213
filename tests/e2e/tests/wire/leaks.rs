//! What one client must not be able to do to another that gets its connection next, by accident or
//! on purpose: bytes, settings, statements and values that stay behind.

use e2e::Setup;
use serde_json::{Value, json};
use test_support::WireClient;
use test_support::wire::message::{
    bind, close_portal, close_statement, copy_data, execute, flush, message, parse, query, sync,
};
use test_support::wire::{errors, summary};

use crate::talk::{ask, refused, say};

async fn with(behavior: Value) -> Setup {
    Setup::with(&json!({"backends": {"primary": {
        "pool": {"max_connections": 1}, "behavior": behavior,
    }}}))
    .await
}

async fn pair() -> (Setup, WireClient, WireClient) {
    let setup = with(json!({})).await;
    let (a, b) = (setup.wire().await, setup.wire().await);
    (setup, a, b)
}

/// Bytes inside a message that goes nowhere are nobody's messages.
#[tokio::test]
async fn the_rest_of_a_message_goes_where_its_begin_went() {
    let (_setup, mut a, mut b) = pair().await;
    let smuggled =
        [vec![flush(); 12_000].concat(), query("ROLLBACK"), query("SELECT 'smuggled'")].concat();
    // CopyData while no COPY is under way.
    a.rows("BEGIN").await;
    let stray = copy_data(&[&[b'x'; 10][..], &smuggled].concat());
    a.send(&stray[..15]).await.unwrap();
    tokio::task::yield_now().await;
    a.send(&stray[15..]).await.unwrap();
    assert_eq!(ask(&mut a, "ROLLBACK").await, "C(ROLLBACK) Z(I)");
    assert_eq!(b.rows("SELECT 2").await, ["2"]);
    // A Bind that is refused.
    a.rows("BEGIN").await;
    let mut body = b"\0s\0".to_vec();
    body.extend([0, 0, 0, 1]);
    body.extend(u32::try_from(smuggled.len()).unwrap().to_be_bytes());
    body.extend(&smuggled);
    body.extend([0, 0]);
    let batch = [parse("s", "LISTEN news"), message(b'B', &body), sync()];
    assert_eq!(say(&mut a, &batch).await, "1 E(0A000) Z(E)");
    assert_eq!(ask(&mut a, "ROLLBACK").await, "C(ROLLBACK) Z(I)");
    assert_eq!(b.rows("SELECT 3").await, ["3"]);
}

/// The server says that the COPY has failed while a large CopyData is still on its way.
#[tokio::test]
async fn a_connection_is_kept_to_the_end_of_a_message() {
    for reset in ["true", "false"] {
        let setup = with(json!({"reset_on_return": reset})).await;
        setup.db.batch("CREATE TABLE c (a int)").await;
        let (mut a, mut b) = (setup.wire().await, setup.wire().await);
        let large = copy_data(&[b'1'; 900_000]);
        a.send_all(&[query("COPY c FROM STDIN"), copy_data(b"bad\n")]).await.unwrap();
        a.send(&large[..100_000]).await.unwrap();
        assert_eq!(summary(&a.until_ready().await.unwrap()), "G E(22P02) Z(I)");
        let other = tokio::spawn(async move { b.rows("SELECT 2").await });
        a.send(&large[100_000..]).await.unwrap();
        assert_eq!(other.await.unwrap(), ["2"]);
        assert_eq!(a.rows("SELECT 1").await, ["1"]);
        // The same, and the client leaves in the middle.
        a.send_all(&[query("COPY c FROM STDIN"), copy_data(b"bad\n")]).await.unwrap();
        a.send(&large[..100_000]).await.unwrap();
        a.until_ready().await.unwrap();
        drop(a);
        assert_eq!(setup.wire().await.rows("SELECT 3").await, ["3"]);
    }
}

#[tokio::test]
async fn settings_that_nobody_has_looked_at_go_with_their_client() {
    let (setup, mut a, mut b) = pair().await;
    a.send_all(&[query("SET work_mem = '78MB'"), query("BEGIN")]).await.unwrap();
    for expected in ["C(SET) Z(I)", "C(BEGIN) Z(T)"] {
        assert_eq!(summary(&a.until_ready().await.unwrap()), expected);
    }
    drop(a);
    assert_eq!(b.rows("SHOW work_mem").await, ["4MB"]);
    let mut a = setup.wire().await;
    a.query("BEGIN; SET work_mem = '78MB'; COMMIT AND CHAIN").await.unwrap();
    drop(a);
    assert_eq!(b.rows("SHOW work_mem").await, ["4MB"]);
}

#[tokio::test]
async fn odd_ways_to_set_something_reach_nobody() {
    let (setup, _, mut b) = pair().await;
    for sql in [
        "SET U&\"work_mem\" = '77MB'",
        "RESET U&\"application_name\"; SET work_mem = '77MB'",
        "UPDATE pg_settings SET setting = '79000' WHERE name = 'work_mem'",
        "update pg_catalog . \"pg_settings\" set setting = '79000' where name = 'work_mem'",
        "WITH x AS (SELECT 1) UPDATE pg_settings SET setting = '79000' WHERE name = 'work_mem'",
        "DO $$ BEGIN SET work_mem = '77MB'; END $$",
        "BEGIN; SET LOCAL standard_conforming_strings = off; COMMIT",
    ] {
        let mut a = setup.wire().await;
        a.query(sql).await.unwrap();
        assert_eq!(b.rows("SHOW work_mem").await, ["4MB"], "{sql}");
        drop(a);
        let mut a = setup.wire().await;
        let batch = [parse("", sql), bind("", "", &[]), execute("", 0), sync()];
        a.exchange(&batch).await.unwrap();
        assert_eq!(b.rows("SHOW work_mem").await, ["4MB"], "{sql}");
    }
}

#[tokio::test]
async fn texts_in_odd_encodings_hide_nothing() {
    let setup = with(json!({})).await;
    let mut a = setup.server.wire_with(&[("client_encoding", "GBK")]).await.unwrap();
    let mut b = setup.wire().await;
    let text = "SELECT E'中\\', set_config($$work_mem$$, $$67MB$$, false), 'x' -- '";
    a.query(text).await.unwrap();
    assert_eq!(b.rows("SHOW work_mem").await, ["4MB"]);
    let mut c = setup.wire().await;
    let pipeline = [
        query("BEGIN"),
        query("SET LOCAL standard_conforming_strings = off"),
        query("SELECT 'x\\' || ', set_config($$work_mem$$, $$68MB$$, false), 'z -- '"),
        query("COMMIT"),
    ];
    c.send_all(&pipeline).await.unwrap();
    for _ in &pipeline {
        c.until_ready().await.unwrap();
    }
    assert_eq!(b.rows("SHOW work_mem").await, ["4MB"]);
}

#[tokio::test]
async fn a_portal_is_judged_by_what_it_runs_now() {
    let (_setup, mut a, mut b) = pair().await;
    let harmful = "SELECT set_config('work_mem', '66MB', false)";
    let mut batch = vec![parse("s", "SELECT 1"), parse("h", harmful)];
    batch.extend((0..1000).map(|number| bind(&format!("p{number}"), "s", &[])));
    batch.extend([close_portal("p5"), bind("p5", "h", &[]), execute("p5", 0), sync()]);
    a.exchange(&batch).await.unwrap();
    assert_eq!(b.rows("SHOW work_mem").await, ["4MB"]);
}

#[tokio::test]
async fn statements_that_sql_has_prepared_unseen_do_not_stay() {
    let (_setup, mut a, mut b) = pair().await;
    a.rows("DO $$ BEGIN EXECUTE 'PREPARE foo AS SELECT 77'; END $$").await;
    assert_eq!(refused(&mut b, "EXECUTE foo").await.code(), "26000");
    say(&mut b, &[parse("mine", "SELECT 'mine'"), sync()]).await;
    let name = b.rows("SELECT name FROM pg_prepared_statements").await.remove(0);
    let hijack = format!(
        "DO $$ BEGIN EXECUTE 'DEALLOCATE {name}'; EXECUTE 'PREPARE {name} AS SELECT 666'; END $$"
    );
    a.rows(&hijack).await;
    let run = [bind("", "mine", &[]), execute("", 0), sync()];
    assert_eq!(say(&mut b, &run).await, "2 D(mine) C(SELECT 1) Z(I)");
}

#[tokio::test]
async fn lastval_hidden_in_a_function_is_not_anothers() {
    let (setup, mut a, mut b) = pair().await;
    let function = "CREATE SEQUENCE seq;
        CREATE FUNCTION my_last() RETURNS int8 LANGUAGE sql AS 'SELECT lastval()'";
    setup.db.batch(function).await;
    a.rows("SELECT nextval('seq')").await;
    assert_eq!(refused(&mut b, "SELECT my_last()").await.code(), "55000");
    a.rows("SELECT nextval('seq')").await;
    let hidden = "DO $$ BEGIN PERFORM lastval(); END $$";
    assert_eq!(refused(&mut b, hidden).await.code(), "55000");
}

#[tokio::test]
async fn constants_are_read_under_the_clients_own_settings() {
    let setup = with(json!({"cache_unnamed": true})).await;
    let (mut a, mut b) = (setup.wire().await, setup.wire().await);
    a.rows("SET TimeZone = 'UTC'").await;
    b.rows("SET TimeZone = 'Asia/Tokyo'").await;
    let sql = "SELECT extract(epoch FROM timestamptz '2024-01-01 00:00:00')::int8";
    let batch = [parse("s", sql), bind("", "s", &[]), execute("", 0), sync()];
    assert_eq!(say(&mut a, &batch).await, "1 2 D(1704067200) C(SELECT 1) Z(I)");
    assert_eq!(say(&mut b, &batch).await, "1 2 D(1704034800) C(SELECT 1) Z(I)");
    let unnamed = |sql| [parse("", sql), bind("", "", &[]), execute("", 0), sync()];
    let date = "SELECT '01/02/2024'::date = make_date(2024, 2, 1)";
    for (style, expected) in [("ISO, MDY", "f"), ("ISO, DMY", "t"), ("ISO, MDY", "f")] {
        a.rows(&format!("SET DateStyle = '{style}'")).await;
        for _ in 0..3 {
            let replies = say(&mut a, &unnamed(date)).await;
            assert_eq!(replies, format!("1 2 D({expected}) C(SELECT 1) Z(I)"), "{style}");
        }
    }
    let mut moments = Vec::new();
    for _ in 0..4 {
        moments.push(say(&mut a, &unnamed("SELECT 'now'::timestamptz")).await);
    }
    moments.dedup();
    assert_eq!(moments.len(), 4, "each its own moment: {moments:?}");
}

#[tokio::test]
async fn a_search_path_of_one_transaction_is_not_shared() {
    let (setup, mut a, mut b) = pair().await;
    setup
        .db
        .batch(
            "CREATE SCHEMA one; CREATE TABLE one.w AS SELECT 1 AS a;
             CREATE SCHEMA two; CREATE TABLE two.w AS SELECT 'x' AS b, 'y' AS c;",
        )
        .await;
    for round in 0..3 {
        for (client, schema, row) in [(&mut a, "one", "1"), (&mut b, "two", "x,y")] {
            client.rows(&format!("BEGIN; SET LOCAL search_path = {schema}")).await;
            let batch = [parse("", "SELECT * FROM w"), bind("", "", &[]), execute("", 0), sync()];
            let expected = format!("1 2 D({row}) C(SELECT 1) Z(T)");
            assert_eq!(say(client, &batch).await, expected, "{round}");
            client.rows("COMMIT").await;
        }
    }
}

#[tokio::test]
async fn any_number_of_closes_is_answered() {
    let (_setup, mut a, mut b) = pair().await;
    say(&mut a, &[parse("s", "SELECT 1"), sync()]).await;
    // Without a server, and behind one that is still working.
    let closes = vec![close_statement("x"); 15_000];
    let mut batch = closes.clone();
    batch.push(sync());
    let replies = a.exchange(&batch).await.unwrap();
    assert_eq!((replies.len(), errors(&replies).len()), (15_001, 0));
    let mut behind = vec![parse("", "SELECT pg_sleep(0.1)"), bind("", "", &[]), execute("", 0)];
    behind.extend(closes);
    behind.push(sync());
    let replies = a.exchange(&behind).await.unwrap();
    assert_eq!(replies.len(), 15_005);
    assert_eq!(b.rows("SELECT 1").await, ["1"]);
}

#[tokio::test]
async fn parameters_are_not_taken_for_names_of_ours() {
    let (_setup, mut a, _) = pair().await;
    let batch = [
        parse("s", "SELECT $1::int4"),
        bind("", "s", &[Some("rrp_secret")]),
        execute("", 0),
        sync(),
    ];
    let replies = a.exchange(&batch).await.unwrap();
    assert!(errors(&replies)[0].message().contains("\"rrp_secret\""), "{replies:?}");
}

#[tokio::test]
async fn a_pipelined_begin_that_fails_takes_all_that_follows_with_it() {
    let setup = Setup::with(&json!({"backends": {"primary": {
        "pool": {"max_connections": 1, "acquire_timeout": "200ms"},
    }}}))
    .await;
    setup.db.batch("CREATE TABLE t (a int)").await;
    let (mut holder, mut client) = (setup.wire().await, setup.wire().await);
    holder.query("BEGIN").await.unwrap();
    let insert = query("INSERT INTO t VALUES (1)");
    client.send_all(&[query("BEGIN"), insert.clone(), query("ROLLBACK")]).await.unwrap();
    assert_eq!(summary(&client.until_ready().await.unwrap()), "E(53300) Z(I)");
    holder.query("COMMIT").await.unwrap();
    for _ in 0..2 {
        assert_eq!(summary(&client.until_ready().await.unwrap()), "E(53300) Z(I)");
    }
    assert_eq!(client.rows("SELECT count(*) FROM t").await, ["0"]);
}
