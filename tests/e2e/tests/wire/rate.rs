//! `features.rate_limit` at the PostgreSQL door: what begins outside a transaction counts, what is
//! refused was not executed, and a transaction is never torn.

use std::time::Instant;

use e2e::{Setup, in_time};
use serde_json::json;
use test_support::WireClient;
use test_support::wire::message::{
    bind, copy_data, copy_done, describe_portal, execute, flush, parse, query, sync,
};
use test_support::wire::{errors, summary};

use crate::talk::{ask, say};

const REFUSED: &str = "E(53400) Z(I)";
const INSERT: &str = "INSERT INTO t VALUES (1)";

async fn limited(mode: &str, burst: u32) -> Setup {
    let setup = Setup::with(&json!({
        "features": {"rate_limit": {"enabled": true, "requests_per_second": 1, "burst": burst}},
        "backends": {"primary": {"behavior": {"mode": mode}}},
    }))
    .await;
    setup.db.batch("CREATE TABLE t (a int)").await;
    setup
}

/// Says it until it is refused; how often it was not. No more than the burst, and one a second.
async fn exhaust(client: &mut WireClient, messages: &[Vec<u8>], burst: u64) -> u64 {
    let started = Instant::now();
    let mut admitted = 0;
    loop {
        match say(client, messages).await.as_str() {
            REFUSED => break,
            other => assert!(!other.contains("E("), "{other}"),
        }
        admitted += 1;
    }
    let seconds = started.elapsed().as_secs() + 1;
    assert!(admitted <= burst + seconds, "{admitted} within {seconds} s");
    admitted
}

/// Says it until it is let in.
async fn let_in(client: &mut WireClient, sql: &str) -> String {
    let asked = async {
        loop {
            let answer = ask(client, sql).await;
            if answer != REFUSED {
                return answer;
            }
        }
    };
    in_time("it is let in", asked).await
}

async fn count(setup: &Setup) -> u64 {
    setup.db.client().await.query("TABLE t", &[]).await.unwrap().len() as u64
}

#[tokio::test]
async fn queries_and_batches_above_it_are_refused_and_nothing_of_them_runs() {
    for mode in ["transaction", "session", "auto", "statement"] {
        let setup = limited(mode, 3).await;
        let mut client = setup.wire().await;
        let queries = exhaust(&mut client, &[query(INSERT)], 3).await;
        assert!(queries >= 3, "{mode}: the burst");
        assert_eq!(count(&setup).await, queries, "{mode}");
        let fault = loop {
            let replies = client.query("SELECT 1").await.unwrap();
            if let Some(fault) = errors(&replies).pop() {
                break fault;
            }
        };
        assert_eq!((fault.severity(), fault.code()), ("ERROR", "53400"));
        assert!(fault.message().contains("1 requests per second, 3 at once"), "{fault}");
        assert!(fault.message().contains("retry after"), "{fault}");
        assert!(!fault.message().contains("connection"), "{fault}");
        // Another client has its own, and a batch counts once, however many messages it has.
        let mut other = setup.wire().await;
        let batch = [
            parse("", INSERT),
            bind("", "", &[]),
            describe_portal(""),
            execute("", 0),
            bind("", "", &[]),
            execute("", 0),
            sync(),
        ];
        let batches = exhaust(&mut other, &batch, 3).await;
        assert!(batches >= 3, "{mode}: the burst");
        assert_eq!(count(&setup).await, queries + 2 * batches, "{mode}");
        // A refused batch is told of at once, and passed over up to its Sync.
        let first = loop {
            other.send_all(&[parse("", INSERT), flush()]).await.unwrap();
            let first = other.recv().await.unwrap();
            if first.error().is_some() {
                break first;
            }
            assert_eq!(say(&mut other, &[sync()]).await, "Z(I)");
        };
        assert_eq!(first.error().unwrap().code(), "53400");
        assert_eq!(say(&mut other, &[bind("", "", &[]), execute("", 0), sync()]).await, "Z(I)");
        assert_eq!(count(&setup).await, queries + 2 * batches, "{mode}");
        assert_eq!(let_in(&mut other, "SELECT 1").await, "T D(1) C(SELECT 1) Z(I)");
    }
}

#[tokio::test]
async fn a_transaction_is_never_torn() {
    for mode in ["transaction", "session", "auto"] {
        let setup = limited(mode, 1).await;
        let mut client = setup.wire().await;
        exhaust(&mut client, &[query("SELECT 1")], 1).await;
        let started = Instant::now();
        assert_eq!(let_in(&mut client, "BEGIN").await, "C(BEGIN) Z(T)");
        for _ in 0..10 {
            assert_eq!(ask(&mut client, INSERT).await, "C(INSERT 0 1) Z(T)", "{mode}");
            let batch = [parse("", INSERT), bind("", "", &[]), execute("", 0), sync()];
            assert_eq!(say(&mut client, &batch).await, "1 2 C(INSERT 0 1) Z(T)", "{mode}");
        }
        assert_eq!(ask(&mut client, "SELECT 1/0").await, "E(22012) Z(E)");
        assert_eq!(ask(&mut client, INSERT).await, "E(25P02) Z(E)", "a failed one, too");
        assert_eq!(ask(&mut client, "ROLLBACK").await, "C(ROLLBACK) Z(I)");
        // Whatever is said outside counts again.
        let outside = exhaust(&mut client, &[query("SELECT 1")], 1).await;
        assert!(outside <= started.elapsed().as_secs() + 1, "{mode}: {outside}");
        // A batch that ends its transaction goes on to its Sync.
        assert_eq!(let_in(&mut client, "BEGIN").await, "C(BEGIN) Z(T)");
        let ends = [
            parse("", INSERT),
            bind("", "", &[]),
            execute("", 0),
            parse("", "COMMIT"),
            bind("", "", &[]),
            execute("", 0),
            parse("", INSERT),
            bind("", "", &[]),
            execute("", 0),
            sync(),
        ];
        let answer = say(&mut client, &ends).await;
        assert!(answer.ends_with("C(INSERT 0 1) Z(I)") && !answer.contains("E("), "{answer}");
        assert_eq!(count(&setup).await, 2, "{mode}");
    }
}

#[tokio::test]
async fn what_follows_a_refused_begin_does_not_run_without_it() {
    for mode in ["transaction", "session"] {
        let setup = limited(mode, 1).await;
        let mut client = setup.wire().await;
        let mut committed = 0;
        for _ in 0..20 {
            // Both protocols, sent ahead in one piece. The transaction costs one request, or none of it
            // happens.
            let ahead = [
                query("BEGIN"),
                query(INSERT),
                parse("", INSERT),
                bind("", "", &[]),
                execute("", 0),
                sync(),
                query("COMMIT"),
            ];
            client.send_all(&ahead).await.unwrap();
            let mut answers = Vec::new();
            for _ in 0..4 {
                answers.push(summary(&client.until_ready().await.unwrap()));
            }
            if answers[0] == REFUSED {
                assert_eq!(answers, [REFUSED; 4], "{mode}");
            } else {
                assert_eq!(answers[3], "C(COMMIT) Z(I)", "{mode}: {answers:?}");
                committed += 1;
            }
        }
        assert!((1..20).contains(&committed), "{mode}: {committed}");
        assert_eq!(count(&setup).await, 2 * committed, "{mode}");
    }
}

#[tokio::test]
async fn answers_keep_their_order_however_much_is_sent_ahead() {
    for mode in ["transaction", "session"] {
        let setup = limited(mode, 3).await;
        let mut client = setup.wire().await;
        for round in 0..5 {
            // More than the sockets take at once, so that an answer of ours finds others in front.
            let large = "SELECT repeat('x', 100000) FROM generate_series(1, 20)";
            let mut ahead = Vec::new();
            for _ in 0..8 {
                ahead.extend([
                    query(large),
                    parse("", large),
                    bind("", "", &[]),
                    execute("", 0),
                    sync(),
                ]);
            }
            client.send_all(&ahead).await.unwrap();
            let mut refused = false;
            for _ in 0..16 {
                let answer = summary(&client.until_ready().await.unwrap());
                let whole = answer.ends_with(") C(SELECT 20) Z(I)");
                assert!(whole || answer == REFUSED, "{mode}, {round}: {answer:.60}");
                assert!(!(refused && whole), "{mode}: all behind a refusal is refused");
                refused = !whole;
            }
            assert!(refused, "{mode}: 16 are more than there were");
        }
    }
}

#[tokio::test]
async fn a_copy_is_one_query() {
    let setup = limited("transaction", 2).await;
    let mut client = setup.wire().await;
    let copy = || {
        let mut messages = vec![query("COPY t FROM STDIN")];
        messages.extend((0..50).map(|_| copy_data(b"1\n")));
        messages.push(copy_done());
        messages
    };
    assert_eq!(say(&mut client, &copy()).await, "G C(COPY 50) Z(I)");
    let copied = 1 + exhaust(&mut client, &copy(), 2).await;
    assert_eq!(count(&setup).await, 50 * copied);
    assert_eq!(let_in(&mut client, "SELECT 1").await, "T D(1) C(SELECT 1) Z(I)");
}

#[tokio::test]
async fn a_batch_that_is_sent_again_after_a_migration_counts_once() {
    let setup = limited("transaction", 3).await;
    let mut client = setup.wire().await;
    assert_eq!(say(&mut client, &[parse("s", "SELECT * FROM t"), sync()]).await, "1 Z(I)");
    let run = [bind("", "s", &[]), execute("", 0), sync()];
    assert_eq!(say(&mut client, &run).await, "2 C(SELECT 0) Z(I)");
    setup.db.batch("ALTER TABLE t ADD b int").await;
    assert_eq!(say(&mut client, &run).await, "2 C(SELECT 0) Z(I)");
}
