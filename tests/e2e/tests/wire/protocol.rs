//! PostgreSQL's protocol, message by message, as every mode has to speak it. What random
//! conversations show as well is here by name, so that a failure says what is broken.

use e2e::Setup;
use serde_json::json;
use test_support::WireClient;
use test_support::wire::message::{
    bind, close_portal, close_statement, copy_data, copy_done, copy_fail, describe_portal,
    describe_statement, execute, flush, function_call, message, parse, parse_typed, query, sync,
    terminate,
};
use test_support::wire::{errors, rows, summary};

use crate::talk::{ask, refused, say};

const MODES: [&str; 2] = ["session", "transaction"];

/// A server in this mode with two connections.
async fn in_mode(mode: &str) -> Setup {
    Setup::with(&json!({"backends": {"primary": {
        "pool": {"max_connections": 2}, "behavior": {"mode": mode},
    }}}))
    .await
}

#[tokio::test]
async fn simple_queries_of_none_one_and_several_statements() {
    for mode in MODES {
        let setup = in_mode(mode).await;
        let mut client = setup.wire().await;
        assert_eq!(ask(&mut client, "").await, "I Z(I)");
        assert_eq!(ask(&mut client, " ; ").await, "I Z(I)");
        assert_eq!(ask(&mut client, "SELECT 1").await, "T D(1) C(SELECT 1) Z(I)");
        let several = "SELECT 1; SELECT 2; SELECT 1/0; SELECT 3";
        let expected = "T D(1) C(SELECT 1) T D(2) C(SELECT 1) E(22012) Z(I)";
        assert_eq!(ask(&mut client, several).await, expected);
        let block = "BEGIN; SELECT 1; COMMIT";
        let expected = "C(BEGIN) T D(1) C(SELECT 1) C(COMMIT) Z(I)";
        assert_eq!(ask(&mut client, block).await, expected);
        let replies = client.query("DO $$ BEGIN RAISE NOTICE 'look'; END $$").await.unwrap();
        assert_eq!(summary(&replies), "N(00000) C(DO) Z(I)");
        assert_eq!(replies[0].fault().unwrap().message(), "look");
    }
}

#[tokio::test]
async fn a_transaction_keeps_its_connection_and_its_status() {
    let setup = in_mode("transaction").await;
    setup.db.batch("CREATE TABLE t (a int)").await;
    let (mut client, mut other) = (setup.wire().await, setup.wire().await);
    assert_eq!(ask(&mut client, "BEGIN").await, "C(BEGIN) Z(T)");
    assert_eq!(ask(&mut client, "INSERT INTO t VALUES (1)").await, "C(INSERT 0 1) Z(T)");
    assert_eq!(other.rows("SELECT count(*) FROM t").await, ["0"]);
    assert_eq!(ask(&mut client, "nonsense").await, "E(42601) Z(E)");
    assert_eq!(ask(&mut client, "SELECT 1").await, "E(25P02) Z(E)");
    assert_eq!(ask(&mut client, "COMMIT").await, "C(ROLLBACK) Z(I)");
    assert_eq!(other.rows("SELECT count(*) FROM t").await, ["0"]);
}

#[tokio::test]
async fn many_syncs_may_be_outstanding() {
    for mode in MODES {
        let setup = in_mode(mode).await;
        let mut client = setup.wire().await;
        let mut all = Vec::new();
        for number in 0..200 {
            let text = number.to_string();
            all.push(parse("", "SELECT $1::int4 / ($1::int4 % 7 + 0 * random()::int4)"));
            all.push(bind("", "", &[Some(&text)]));
            all.push(execute("", 0));
            all.push(sync());
            if number % 50 == 0 {
                all.push(query("SELECT 'between'"));
            }
        }
        client.send_all(&all).await.unwrap();
        for number in 0..200 {
            let replies = summary(&client.until_ready().await.unwrap());
            if number % 7 == 0 {
                assert_eq!(replies, "1 2 E(22012) Z(I)", "{number}");
            } else {
                let row = number / (number % 7);
                assert_eq!(replies, format!("1 2 D({row}) C(SELECT 1) Z(I)"), "{number}");
            }
            if number % 50 == 0 {
                let replies = summary(&client.until_ready().await.unwrap());
                assert_eq!(replies, "T D(between) C(SELECT 1) Z(I)");
            }
        }
    }
}

#[tokio::test]
async fn flush_brings_replies_before_sync() {
    for mode in MODES {
        let setup = in_mode(mode).await;
        let mut client = setup.wire().await;
        for round in 0..3 {
            // The second time the statement is known, and its Parse is not sent on.
            client.send_all(&[parse("f", "SELECT 7"), flush()]).await.unwrap();
            assert_eq!(client.recv().await.unwrap().tag, b'1', "{mode} {round}");
            let portal = [bind("", "f", &[]), describe_portal(""), flush()];
            client.send_all(&portal).await.unwrap();
            assert_eq!(summary(&client.until(b'T').await.unwrap()), "2 T");
            client.send_all(&[execute("", 0), flush()]).await.unwrap();
            assert_eq!(summary(&client.until(b'C').await.unwrap()), "D(7) C(SELECT 1)");
            assert_eq!(say(&mut client, &[close_statement("f"), sync()]).await, "3 Z(I)");
        }
    }
}

#[tokio::test]
async fn an_error_skips_to_the_sync() {
    for mode in MODES {
        let setup = in_mode(mode).await;
        let mut client = setup.wire().await;
        let batch = [
            parse("a", "SELECT 1"),
            parse("b", "SELECT nothing"),
            parse("c", "SELECT 3"),
            bind("", "c", &[]),
            execute("", 0),
            sync(),
        ];
        assert_eq!(say(&mut client, &batch).await, "1 E(42703) Z(I)");
        // What came before the error is there, what came behind it is not.
        let after = [bind("", "a", &[]), execute("", 0), bind("", "c", &[]), sync()];
        assert_eq!(say(&mut client, &after).await, "2 D(1) C(SELECT 1) E(26000) Z(I)");
    }
}

#[tokio::test]
async fn portals_give_rows_in_parts_and_live_as_long_as_their_transaction() {
    for mode in MODES {
        let setup = in_mode(mode).await;
        let mut client = setup.wire().await;
        let series = "SELECT n FROM generate_series(1, 5) AS n";
        let batch =
            [query("BEGIN"), parse("s", series), bind("p", "s", &[]), execute("p", 2), sync()];
        client.send_all(&batch).await.unwrap();
        assert_eq!(summary(&client.until_ready().await.unwrap()), "C(BEGIN) Z(T)");
        assert_eq!(summary(&client.until_ready().await.unwrap()), "1 2 D(1) D(2) s Z(T)");
        let more = [execute("p", 2), execute("p", 0), describe_portal("p"), sync()];
        assert_eq!(say(&mut client, &more).await, "D(3) D(4) s D(5) C(SELECT 1) T Z(T)");
        let closed = [close_portal("p"), execute("p", 0), sync()];
        assert_eq!(say(&mut client, &closed).await, "3 E(34000) Z(E)");
        assert_eq!(ask(&mut client, "ROLLBACK").await, "C(ROLLBACK) Z(I)");
        // Outside a transaction the Sync takes the portal away.
        let batch = [bind("p", "s", &[]), execute("p", 1), sync()];
        assert_eq!(say(&mut client, &batch).await, "2 D(1) s Z(I)");
        assert_eq!(say(&mut client, &[execute("p", 1), sync()]).await, "E(34000) Z(I)");
    }
}

#[tokio::test]
async fn describe_tells_parameters_and_columns() {
    for mode in MODES {
        let setup = in_mode(mode).await;
        let mut client = setup.wire().await;
        let batch =
            [parse_typed("d", "SELECT $1, $2::text", &[23]), describe_statement("d"), sync()];
        let replies = client.exchange(&batch).await.unwrap();
        assert_eq!(summary(&replies), "1 t T Z(I)");
        assert_eq!(replies[1].body, b"\0\x02\0\0\0\x17\0\0\0\x19", "int4 and text");
        let batch = [parse("n", "BEGIN"), describe_statement("n"), describe_statement("x"), sync()];
        assert_eq!(say(&mut client, &batch).await, "1 t n E(26000) Z(I)");
    }
}

#[tokio::test]
async fn copy_goes_both_ways_and_both_ends_may_fail() {
    for mode in MODES {
        let setup = in_mode(mode).await;
        setup.db.batch("CREATE TABLE c (a int, b text)").await;
        let mut client = setup.wire().await;
        let load = "COPY c FROM STDIN";
        client
            .send_all(&[query(load), copy_data(b"1\tone\n2\t"), copy_data(b"two\n")])
            .await
            .unwrap();
        client.send(&copy_done()).await.unwrap();
        assert_eq!(summary(&client.until_ready().await.unwrap()), "G C(COPY 2) Z(I)");
        let out = client.query("COPY c TO STDOUT").await.unwrap();
        assert_eq!(summary(&out), "H d d c C(COPY 2) Z(I)");
        assert_eq!(out[1].body, b"1\tone\n");
        // The client gives up.
        client.send_all(&[query(load), copy_data(b"3\tx\n"), copy_fail("no more")]).await.unwrap();
        let replies = client.until_ready().await.unwrap();
        assert_eq!(summary(&replies), "G E(57014) Z(I)");
        assert!(errors(&replies)[0].message().contains("no more"));
        // The server does, while the client goes on for a while.
        client.send_all(&[query(load), copy_data(b"not a number\tx\n")]).await.unwrap();
        client.send_all(&vec![copy_data(b"4\ty\n"); 100]).await.unwrap();
        client.send_all(&[copy_done(), query("SELECT count(*) FROM c")]).await.unwrap();
        assert_eq!(summary(&client.until_ready().await.unwrap()), "G E(22P02) Z(I)");
        assert_eq!(rows(&client.until_ready().await.unwrap()), ["2"]);
        // Through the extended protocol.
        let batch = [parse("", load), bind("", "", &[]), execute("", 0)];
        client.send_all(&batch).await.unwrap();
        client.send_all(&[copy_data(b"5\tfive\n"), copy_done(), sync()]).await.unwrap();
        assert_eq!(summary(&client.until_ready().await.unwrap()), "1 2 G C(COPY 1) Z(I)");
    }
}

#[tokio::test]
async fn function_calls_are_forwarded() {
    const INT4_PLUS: u32 = 177;
    for mode in MODES {
        let setup = in_mode(mode).await;
        let mut client = setup.wire().await;
        let replies = client.exchange(&[function_call(INT4_PLUS, &["1", "2"])]).await.unwrap();
        assert_eq!(summary(&replies), "V Z(I)");
        assert_eq!(&replies[0].body[4..], b"3");
        assert_eq!(say(&mut client, &[function_call(1, &[])]).await, "E(42883) Z(I)");
        assert_eq!(client.rows("SELECT 1").await, ["1"]);
    }
}

#[tokio::test]
async fn copy_messages_outside_a_copy_are_passed_over() {
    let setup = in_mode("transaction").await;
    let mut client = setup.wire().await;
    let stray = [copy_data(b"x"), copy_done(), copy_fail("y"), flush(), query("SELECT 1")];
    assert_eq!(say(&mut client, &stray).await, "T D(1) C(SELECT 1) Z(I)");
}

#[tokio::test]
async fn what_is_no_message_ends_the_connection_as_postgresql_does() {
    for mode in MODES {
        let setup = in_mode(mode).await;
        let hostile: [&[u8]; 6] = [
            b"!\0\0\0\x04",
            b"Q\0\0\0\x03",
            b"Q\xff\xff\xff\xff",
            b"S\x7f\xff\xff\xff",
            b"p\0\0\0\x05\0",
            b"\0\0\0\0\0\0\0\0",
        ];
        for bytes in hostile {
            let mut client = setup.wire().await;
            assert_eq!(client.rows("SELECT 1").await, ["1"]);
            client.send(bytes).await.unwrap();
            for reply in client.until_closed().await {
                assert_eq!(reply.error().unwrap().code(), "08P01", "{bytes:?}");
            }
            // Within a transaction, whose connection others get back clean.
            let mut client = setup.wire().await;
            client.rows("BEGIN; CREATE TEMP TABLE brief (a int)").await;
            client.send(bytes).await.unwrap();
            client.until_closed().await;
        }
        let mut client = setup.wire().await;
        assert_eq!(refused(&mut client, "TABLE brief").await.code(), "42P01");
    }
}

#[tokio::test]
async fn bodies_that_cannot_be_read_get_the_servers_own_answer() {
    for mode in MODES {
        let setup = in_mode(mode).await;
        let mut client = setup.wire().await;
        for (tag, body) in [
            (b'P', &b"name without an end"[..]),
            (b'B', b"\0"),
            (b'B', b"\0\0\xff\xff\xff\xff"),
            (b'D', b"X\0"),
            (b'C', b""),
            (b'E', b"portal\0"),
        ] {
            client.send_all(&[message(tag, body), sync()]).await.unwrap();
            let replies = client.until_ready().await.unwrap();
            assert_eq!(errors(&replies).len(), 1, "{tag} {body:?}: {replies:?}");
            assert_eq!(client.rows("SELECT 1").await, ["1"]);
        }
    }
}

#[tokio::test]
async fn terminate_ends_it_wherever_it_comes() {
    let setup = in_mode("transaction").await;
    let openings: [&[Vec<u8>]; 5] = [
        &[],
        &[query("BEGIN")],
        &[parse("", "SELECT 1"), bind("", "", &[])],
        &[query("COPY (SELECT 1) TO STDOUT")],
        &[query("SELECT pg_sleep(0)")],
    ];
    for opening in openings {
        let mut client = setup.wire().await;
        client.send_all(opening).await.unwrap();
        client.send(&terminate()).await.unwrap();
        client.until_closed().await;
    }
    let mut client: WireClient = setup.wire().await;
    assert_eq!(client.rows("SELECT 1").await, ["1"]);
}
