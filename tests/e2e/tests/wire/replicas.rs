//! Replicas behind the PostgreSQL door: which server gets a Query or batch, and what a client notices
//! of it.

use e2e::{Replicated, eventually, in_time};
use serde_json::{Value, json};
use test_support::WireClient;
use test_support::postgres::StopMode;
use test_support::wire::message::{bind, describe_statement, execute, flush, parse, query, sync};
use test_support::wire::{errors, rows, summary};

use crate::talk::{ask, refused, say};

/// Where it runs: `t` on a replica.
const WHERE: &str = "SELECT pg_is_in_recovery()";

/// Reads are split off, and follow no writes.
fn split() -> Value {
    json!({"read_write_split": true, "read_your_writes": "off",
        "failover": {"retry_interval": "50ms", "max_failures": 1}})
}

async fn mode(mode: &str, routing: Value) -> Replicated {
    let more = json!({"backends": {"primary": {"behavior": {"mode": mode}}}, "routing": routing});
    Replicated::with_more(1, more).await
}

/// A batch that runs these texts.
fn batch(texts: &[&str]) -> Vec<Vec<u8>> {
    let runs = |sql: &&str| [parse("", sql), bind("", "", &[]), execute("", 0)];
    texts.iter().flat_map(runs).chain([sync()]).collect()
}

async fn on_replica(client: &mut WireClient, sql: &str) -> bool {
    client.rows(sql).await == ["t"]
}

#[tokio::test]
async fn queries_find_their_server() {
    let all = Replicated::with(1, split()).await;
    let mut client = all.server.wire().await;
    client.rows("CREATE TABLE t (a int); INSERT INTO t VALUES (1); CREATE SEQUENCE s").await;
    all.caught_up().await;
    for (sql, expected) in [
        (WHERE, true),
        ("SELECT pg_is_in_recovery() FROM t", true),
        ("SELECT pg_is_in_recovery() FROM t FOR SHARE", false),
        ("SELECT pg_is_in_recovery(), 'x' FROM nextval('s')", false),
        (
            "WITH w AS (INSERT INTO t VALUES (2) RETURNING a) SELECT pg_is_in_recovery() FROM w",
            false,
        ),
        ("/* pgpool:primary */ SELECT pg_is_in_recovery()", false),
        ("/* pgpool:replica */ SELECT pg_is_in_recovery() FROM t FOR SHARE", false),
    ] {
        if sql.starts_with("/* pgpool:replica") {
            assert_eq!(refused(&mut client, sql).await.code(), "25006", "as asked: {sql}");
            continue;
        }
        let found = client.rows(sql).await;
        assert_eq!(found[0].starts_with('t'), expected, "{sql}: {found:?}");
    }
    assert_eq!(client.rows("SHOW transaction_read_only").await, ["off"]);
    // Transactions stay where they begin.
    for (begin, expected) in [
        ("BEGIN", false),
        ("START TRANSACTION READ ONLY", true),
        ("BEGIN READ WRITE, READ ONLY", true),
        ("BEGIN READ ONLY READ WRITE", false),
        ("BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY", true),
        ("BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY", false),
    ] {
        ask(&mut client, begin).await;
        assert_eq!(on_replica(&mut client, WHERE).await, expected, "{begin}");
        ask(&mut client, "COMMIT").await;
    }
    ask(&mut client, "BEGIN READ ONLY").await;
    assert_eq!(refused(&mut client, "INSERT INTO t VALUES (3)").await.code(), "25006");
    ask(&mut client, "ROLLBACK").await;
    assert_eq!(ask(&mut client, "INSERT INTO t VALUES (3)").await, "C(INSERT 0 1) Z(I)");
    // Such transactions are the server's own default for a client that says so.
    ask(&mut client, "SET default_transaction_isolation = serializable").await;
    assert!(!on_replica(&mut client, WHERE).await);
}

#[tokio::test]
async fn batches_find_their_server() {
    let all = Replicated::with(1, split()).await;
    let mut client = all.server.wire().await;
    client.rows("CREATE TABLE t (a int)").await;
    all.caught_up().await;
    let read = client.exchange(&batch(&[WHERE, WHERE])).await.unwrap();
    assert_eq!(rows(&read), ["t", "t"]);
    let mixed = client.exchange(&batch(&[WHERE, "INSERT INTO t VALUES (1)"])).await.unwrap();
    assert_eq!((rows(&mixed), errors(&mixed).len()), (vec!["f".to_owned()], 0));
    let begun = batch(&["BEGIN READ ONLY", "SELECT pg_is_in_recovery() FROM t FOR SHARE"]);
    assert_eq!(errors(&client.exchange(&begun).await.unwrap())[0].code(), "25006");
    ask(&mut client, "ROLLBACK").await;
    // A statement that was prepared on one server runs on the other.
    let prepare = [parse("named", WHERE), describe_statement("named"), sync()];
    assert!(!summary(&client.exchange(&prepare).await.unwrap()).contains('E'));
    let run = [bind("", "named", &[]), execute("", 0), sync()];
    assert_eq!(rows(&client.exchange(&run).await.unwrap()), ["t"]);
    ask(&mut client, "BEGIN").await;
    assert_eq!(rows(&client.exchange(&run).await.unwrap()), ["f"]);
    ask(&mut client, "COMMIT").await;
    // The messages come one by one, as fast as the network likes.
    for one in batch(&[WHERE]) {
        for byte in one {
            client.send(&[byte]).await.unwrap();
        }
    }
    assert_eq!(rows(&client.until_ready().await.unwrap()), ["t"]);
    // Whoever wants an answer in the middle gets it, from the primary: anything may follow.
    client.send_all(&[parse("", WHERE), flush()]).await.unwrap();
    client.until(b'1').await.unwrap();
    let rest = [bind("", "", &[]), execute("", 0), parse("", "INSERT INTO t VALUES (2)")];
    client.send_all(&rest).await.unwrap();
    let end = [bind("", "", &[]), execute("", 0), sync()];
    let replies = client.exchange(&end).await.unwrap();
    assert_eq!((rows(&replies), errors(&replies).len()), (vec!["f".to_owned()], 0));
}

/// All at once, without waiting for an answer.
#[tokio::test]
async fn what_writes_waits_for_what_reads_in_front_of_it() {
    for kind in ["transaction", "auto"] {
        let all = mode(kind, split()).await;
        let mut client = all.server.wire().await;
        client.rows("CREATE TABLE t (a int)").await;
        all.caught_up().await;
        let texts = [
            WHERE,
            "INSERT INTO t VALUES (1)",
            WHERE,
            "BEGIN READ ONLY",
            WHERE,
            "COMMIT",
            "INSERT INTO t VALUES (2)",
            "BEGIN",
            "INSERT INTO t VALUES (3)",
            "COMMIT",
        ];
        let queries: Vec<_> = texts.iter().map(|sql| query(sql)).collect();
        for messages in [queries, texts.iter().flat_map(|sql| batch(&[*sql])).collect::<Vec<_>>()] {
            client.send_all(&messages).await.unwrap();
            let mut seen = Vec::new();
            for sql in texts {
                let replies = in_time("an answer", client.until_ready()).await.unwrap();
                assert!(errors(&replies).is_empty(), "{sql}: {replies:?}");
                seen.extend(rows(&replies));
            }
            // What follows a write that is under way follows it to the primary.
            assert_eq!(seen[0], "t", "{kind}");
        }
        let count = "/* pgpool:primary */ SELECT count(*) FROM t";
        assert_eq!(client.rows(count).await, ["6"]);
    }
}

#[tokio::test]
async fn functions_are_looked_up_in_the_catalogue() {
    let all = Replicated::with(1, split()).await;
    let mut client = all.server.wire().await;
    let body = "RETURNS bool LANGUAGE sql AS 'SELECT pg_is_in_recovery()'";
    for (name, kind) in [("looks", "STABLE"), ("acts", "VOLATILE"), ("s.twice", "STABLE")] {
        if name.contains('.') {
            ask(&mut client, "CREATE SCHEMA s").await;
        }
        let create = format!("CREATE FUNCTION {name}() {body} {kind}");
        assert_eq!(ask(&mut client, &create).await, "C(CREATE FUNCTION) Z(I)");
    }
    ask(&mut client, "CREATE FUNCTION twice(int) RETURNS int LANGUAGE sql AS 'SELECT 1'").await;
    ask(&mut client, "CREATE TABLE t (a int)").await;
    all.caught_up().await;
    let mut seen = async |sql: &str| client.rows(sql).await == ["t"];
    for sql in ["SELECT looks()", "SELECT \"looks\"()", "SELECT s.twice()"] {
        let known = async { while !seen(sql).await {} };
        in_time("the catalogue has answered", known).await;
    }
    for _ in 0..20 {
        assert!(!seen("SELECT acts()").await);
        assert!(seen("SELECT looks()").await);
    }
    // Any function of that name may be meant.
    ask(&mut client, "SET search_path = s, public").await;
    for _ in 0..20 {
        assert_eq!(client.rows("SELECT twice()").await, ["f"]);
    }
    // The other door shares what is known.
    let mut rpc = all.server.client().await;
    let reply = rpc.call("Execute", json!({"query": "SELECT looks() AS r"})).await.unwrap();
    assert_eq!(reply["rows"][0]["r"], true);
}

#[tokio::test]
async fn clients_overrule_routing_with_a_setting() {
    let all = Replicated::with(1, json!({"failover": {"retry_interval": "50ms"}})).await;
    let mut client = all.server.wire().await;
    assert!(!on_replica(&mut client, WHERE).await, "reads are not split off");
    ask(&mut client, "SET pgpool.route = replica").await;
    assert!(on_replica(&mut client, WHERE).await);
    assert!(
        on_replica(&mut client, "SELECT pg_is_in_recovery() WHERE pg_try_advisory_xact_lock(1)")
            .await
    );
    assert_eq!(client.rows("SHOW pgpool.route").await, ["replica"]);
    ask(&mut client, "RESET pgpool.route").await;
    assert!(!on_replica(&mut client, WHERE).await);
    for more in [("options", "-c pgpool.route=replica"), ("pgpool.route", "replica")] {
        let mut client = all.server.wire_with(&[more]).await.unwrap();
        assert!(on_replica(&mut client, WHERE).await, "{more:?}");
        ask(&mut client, "BEGIN").await;
        assert!(on_replica(&mut client, WHERE).await, "{more:?}");
        ask(&mut client, "COMMIT").await;
        ask(&mut client, "SET pgpool.route = 'primary'").await;
        assert!(!on_replica(&mut client, WHERE).await, "{more:?}");
    }
}

#[tokio::test]
async fn a_session_is_where_its_client_wants_it() {
    let all = mode("session", split()).await;
    let mut client = all.server.wire().await;
    assert!(!on_replica(&mut client, WHERE).await);
    let mut client = all.server.wire_with(&[("pgpool.route", "replica")]).await.unwrap();
    assert!(on_replica(&mut client, WHERE).await);
    assert_eq!(refused(&mut client, "CREATE TABLE t (a int)").await.code(), "25006");
}

#[tokio::test]
async fn nothing_keeps_a_client_on_a_replica_unasked() {
    let all = mode("auto", split()).await;
    let mut client = all.server.wire().await;
    assert_eq!(client.rows("SELECT pg_advisory_lock(1)::text = ''").await, ["t"]);
    assert!(!on_replica(&mut client, WHERE).await, "pinned to the primary");
    ask(&mut client, "DISCARD ALL").await;
    assert!(on_replica(&mut client, WHERE).await);
    ask(&mut client, "BEGIN READ ONLY").await;
    let fault = refused(&mut client, "SELECT pg_advisory_lock(1)").await;
    assert_eq!(fault.code(), "0A000");
    assert!(fault.message().contains("a session level advisory lock"), "{}", fault.message());
    assert!(fault.field('H').contains("READ WRITE"), "{}", fault.field('H'));
    ask(&mut client, "ROLLBACK").await;
    assert_eq!(ask(&mut client, "CREATE TABLE t (a int)").await, "C(CREATE TABLE) Z(I)");
}

/// A client does not learn which server it is on: drivers would take it for a failover.
#[tokio::test]
async fn parameters_do_not_come_and_go_with_the_server() {
    let all = Replicated::with(1, split()).await;
    let mut client = all.server.wire().await;
    for _ in 0..3 {
        let on_replica = client.query(WHERE).await.unwrap();
        let on_primary = client.query("SELECT pg_is_in_recovery() FOR SHARE").await.unwrap();
        for replies in [on_replica, on_primary] {
            assert!(replies.iter().all(|reply| reply.parameter().is_none()), "{replies:?}");
        }
    }
    // Settings follow it to and fro.
    ask(&mut client, "SET application_name = 'here and there'").await;
    for sql in ["SHOW application_name", "/* pgpool:primary */ SHOW application_name"] {
        assert_eq!(client.rows(sql).await, ["here and there"]);
    }
}

#[tokio::test]
async fn whoever_writes_reads_it_on_the_primary_for_a_while() {
    let routing = json!({"read_write_split": true, "read_your_writes_window": "1h"});
    let all = Replicated::with(1, routing).await;
    let mut reader = all.server.wire().await;
    assert!(on_replica(&mut reader, WHERE).await);
    for write in [
        vec![query("CREATE TABLE t (a int)")],
        batch(&["INSERT INTO t VALUES (1)"]),
        vec![query("BEGIN")],
    ] {
        let mut client = all.server.wire().await;
        assert!(on_replica(&mut client, WHERE).await);
        say(&mut client, &write).await;
        ask(&mut client, "COMMIT").await;
        assert!(!on_replica(&mut client, WHERE).await);
    }
    assert!(on_replica(&mut reader, WHERE).await, "others may read what was there before");
    ask(&mut reader, "BEGIN READ ONLY").await;
    ask(&mut reader, "COMMIT").await;
    assert!(on_replica(&mut reader, WHERE).await, "that was no write");
}

/// However long the replica takes: not one read misses what its client wrote, and reads return to it.
#[tokio::test]
async fn reads_return_to_a_replica_that_has_replayed_the_write() {
    let routing = json!({"read_write_split": true, "read_your_writes": "lsn",
        "failover": {"retry_interval": "1h"}});
    let all = Replicated::with(1, routing).await;
    let mut client = all.server.wire().await;
    client.rows("CREATE TABLE t (a int)").await;
    all.caught_up().await;
    let count = "SELECT count(*), pg_is_in_recovery() FROM t";
    for n in 1..=3 {
        all.replicas[0].batch("SELECT pg_wal_replay_pause()").await;
        let insert = format!("INSERT INTO t VALUES ({n})");
        assert_eq!(ask(&mut client, &insert).await, "C(INSERT 0 1) Z(I)");
        for _ in 0..50 {
            assert_eq!(client.rows(count).await, [format!("{n},f")], "it is not there yet");
        }
        all.replicas[0].batch("SELECT pg_wal_replay_resume()").await;
        let returned = async {
            loop {
                let found = client.rows(count).await;
                assert!(found[0].starts_with(&n.to_string()), "{found:?}");
                if found[0].ends_with('t') {
                    return;
                }
                // Nobody looks by himself within an hour: whoever waits for it has the servers looked at.
            }
        };
        in_time("reads return", returned).await;
    }
    // The same over RPC.
    let mut rpc = all.server.client().await;
    let mut returned = false;
    for n in 4..200 {
        let insert = json!({"query": "INSERT INTO t VALUES ($1)", "args": [n]});
        rpc.call("Execute", insert).await.unwrap();
        let read = json!({"query": "SELECT count(*) AS n, pg_is_in_recovery() AS r FROM t"});
        let reply = rpc.call("Execute", read).await.unwrap();
        assert_eq!(reply["rows"][0]["n"], n, "{reply}");
        returned |= reply["rows"][0]["r"] == true;
    }
    eventually("a read has returned", || async {
        let read = json!({"query": "SELECT pg_is_in_recovery() AS r FROM t"});
        let reply = all.server.client().await.call("Execute", read).await.unwrap();
        returned || reply["rows"][0]["r"] == true
    })
    .await;
}

#[tokio::test]
async fn reads_fall_back_without_an_error_and_return() {
    let all = Replicated::with(1, split()).await;
    let mut client = all.server.wire().await;
    assert!(on_replica(&mut client, WHERE).await);
    all.replicas[0].stop(StopMode::Fast).await;
    // The connection that it has left idle is found closed, and none can be opened.
    for _ in 0..20 {
        assert!(!on_replica(&mut client, WHERE).await);
    }
    all.replicas[0].start_again().await;
    eventually("reads return", || async {
        let mut client = all.server.wire().await;
        on_replica(&mut client, WHERE).await
    })
    .await;
}

#[tokio::test]
async fn reads_go_on_while_the_primary_is_away() {
    let all = Replicated::with(1, split()).await;
    let mut client = all.server.wire().await;
    assert!(on_replica(&mut client, WHERE).await);
    all.primary.stop(StopMode::Immediate).await;
    assert_eq!(refused(&mut client, "CREATE TABLE t (a int)").await.code(), "08001");
    assert!(on_replica(&mut client, WHERE).await);
    // So do logins, whatever their settings.
    let settings = [("application_name", "somebody new")];
    let mut other = all.server.wire_with(&settings).await.unwrap();
    assert!(on_replica(&mut other, WHERE).await);
}

/// What is too long to be looked at goes to the primary, from a replica, too.
#[tokio::test]
async fn large_messages_go_to_the_primary() {
    let all = Replicated::with(1, split()).await;
    let mut client = all.server.wire().await;
    let long = format!("SELECT pg_is_in_recovery() -- {}", "x".repeat(2 << 20));
    let parameter = "y".repeat(100_000);
    let bound = [
        parse("", "SELECT pg_is_in_recovery() WHERE length($1::text) > 0"),
        bind("", "", &[Some(&parameter)]),
        execute("", 0),
        sync(),
    ];
    let mut both = vec![query(WHERE)];
    both.push(query(&long));
    both.extend(bound);
    both.push(query(WHERE));
    client.send_all(&both).await.unwrap();
    let mut seen = Vec::new();
    for _ in 0..4 {
        seen.extend(rows(&in_time("an answer", client.until_ready()).await.unwrap()));
    }
    assert_eq!(seen[..3], ["t", "f", "f"]);
}
