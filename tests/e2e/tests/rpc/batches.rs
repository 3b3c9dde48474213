//! ExecuteBatch: several statements in one call, each by itself.

use std::time::{Duration, Instant};

use e2e::{Setup, eventually, failed, ok};
use serde_json::{Value, json};
use test_support::RpcClient;

pub(crate) async fn setup(behavior: Value) -> (Setup, RpcClient) {
    let primary = json!({"pool": {"max_connections": 2}, "behavior": behavior});
    let setup = Setup::with(&json!({"backends": {"primary": primary}})).await;
    setup.db.batch("CREATE TABLE t (a int PRIMARY KEY)").await;
    let client = setup.client().await;
    (setup, client)
}

pub(crate) fn inserts(values: &[i64]) -> Value {
    let insert = |a: &i64| json!({"query": "INSERT INTO t VALUES ($1)", "args": [a]});
    values.iter().map(insert).collect()
}

pub(crate) async fn count(client: &mut RpcClient) -> i64 {
    let reply = ok(client.execute("SELECT count(*) AS n FROM t", json!([])).await);
    reply["rows"][0]["n"].as_i64().unwrap()
}

pub(crate) fn codes(reply: &Value) -> Vec<&str> {
    let results = reply["results"].as_array().unwrap();
    results.iter().map(|result| result["sqlstate"].as_str().unwrap_or("-")).collect()
}

#[tokio::test]
async fn every_statement_is_answered_as_execute_answers_it() {
    for size in [0, 1, 3, 100] {
        let (_setup, mut client) = setup(json!({"statement_cache_size": size})).await;
        for round in 0..3 {
            let statements: Value = (0..9)
                .map(|n| {
                    let query = format!("SELECT $1::int4 + {} AS v, '{n}' AS w", n % 5);
                    json!({"query": query, "args": [round]})
                })
                .collect();
            let request = json!({"statements": statements, "result": "rows", "request_id": "r"});
            let reply = ok(client.call("ExecuteBatch", request).await);
            assert_eq!(reply["request_id"], "r");
            for (n, result) in (0..).zip(reply["results"].as_array().unwrap()) {
                assert_eq!(
                    result["rows"],
                    json!([[round + n % 5, n.to_string()]]),
                    "{size} {reply}"
                );
                assert_eq!(result["columns"][0]["name"], "v");
                assert_eq!(result["rows_affected"], 1);
            }
        }
    }
}

#[tokio::test]
async fn each_stands_for_itself() {
    let (_setup, mut client) = setup(json!({})).await;
    let mut statements = inserts(&[1, 1, 2]);
    let list = statements.as_array_mut().unwrap();
    list.push(json!({"query": "BEGIN"}));
    list.push(json!({"query": "SELECT nothing FROM nowhere"}));
    list.push(json!({"query": "CREATE TABLE u (a int)"}));
    list.push(json!({"query": "INSERT INTO u VALUES ($1) RETURNING a", "args": [7]}));
    list.push(json!({"query": "SELECT $1::int4", "args": []}));
    list.push(json!({"query": "INSERT INTO t VALUES ($1)", "args": [[1]]}));
    list.push(json!({"query": "SELECT 1; SELECT 2"}));
    list.push(json!({"query": "COPY t FROM STDIN"}));
    list.push(json!({"query": "SELECT count(*) AS n FROM t"}));
    let reply = ok(client.call("ExecuteBatch", json!({"statements": statements})).await);
    let expected =
        ["-", "23505", "-", "0A000", "42P01", "-", "-", "08P01", "22023", "42601", "0A000", "-"];
    assert_eq!(codes(&reply), expected, "{reply}");
    assert_eq!(reply["results"][6]["rows"], json!([{"a": 7}]));
    assert_eq!(reply["results"][1]["error_detail"]["constraint"], "t_pkey");
    assert_eq!(reply["results"][11]["rows"], json!([{"n": 2}]));
    assert!(reply["results"][1]["execution_time_us"].is_number());
}

#[tokio::test]
async fn reads_that_share_a_round_trip_still_stand_for_themselves() {
    let (setup, mut client) = setup(json!({})).await;
    let read = |n: i64| json!({"query": format!("SELECT {n} AS n, count(*) FROM t")});
    let bad = json!({"query": "SELECT 1 / (a - a) FROM t"});
    let insert = |a: i64| json!({"query": "INSERT INTO t VALUES ($1)", "args": [a]});
    let statements = json!([
        insert(1), read(1), bad, read(2), bad, bad, read(3), insert(2), read(4), read(5), bad,
        {"query": "SELECT nothing"}, read(6), {"query": "SELECT $1::int", "args": []}, read(7), insert(3),
        read(8),
    ]);
    for round in 0..2 {
        let reply = ok(client.call("ExecuteBatch", json!({"statements": statements})).await);
        let expected = [
            "-", "-", "22012", "-", "22012", "22012", "-", "-", "-", "-", "22012", "42703", "-",
            "08P01", "-", "-", "-",
        ];
        assert_eq!(codes(&reply), expected, "{round} {reply}");
        let counts: Vec<_> = reply["results"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(|result| result["rows"][0]["count"].as_i64())
            .collect();
        assert_eq!(counts, [1, 1, 1, 2, 2, 2, 2, 3], "in order: {reply}");
        setup.db.batch("TRUNCATE t").await;
    }
}

#[tokio::test]
async fn within_a_transaction_or_session() {
    let (_setup, mut client) = setup(json!({})).await;
    ok(client.call("TransactionBegin", json!({"tx_id": "t"})).await);
    let within = |place: &str, statements: Value, atomic: bool| json!({place: place.get(..1), "statements": statements, "atomic": atomic});
    let reply = client.call("ExecuteBatch", within("tx_id", inserts(&[1, 2]), false)).await;
    assert_eq!(codes(&ok(reply)), ["-", "-"]);
    // All or none of these, and the transaction goes on.
    let reply = client.call("ExecuteBatch", within("tx_id", inserts(&[3, 2]), true)).await;
    failed(reply, "23505");
    let reply = client.call("ExecuteBatch", within("tx_id", inserts(&[3, 4]), true)).await;
    ok(reply);
    // Each by itself, as far as a transaction knows such a thing.
    let reply = client.call("ExecuteBatch", within("tx_id", inserts(&[5, 5, 6]), false)).await;
    assert_eq!(codes(&reply.unwrap()), ["-", "23505", "25P02"]);
    failed(client.call("TransactionCommit", json!({"tx_id": "t"})).await, "25P02");
    assert_eq!(count(&mut client).await, 0);
    ok(client.call("SessionBegin", json!({"session_id": "s"})).await);
    let statements = json!([
        {"query": "CREATE TEMP TABLE mine (a int)"},
        {"query": "INSERT INTO mine VALUES (1)"},
    ]);
    ok(client.call("ExecuteBatch", within("session_id", statements, true)).await);
    let statements = json!([{"query": "SELECT a FROM mine"}]);
    let reply = ok(client.call("ExecuteBatch", within("session_id", statements, false)).await);
    assert_eq!(reply["results"][0]["rows"], json!([{"a": 1}]));
    ok(client.call("SessionEnd", json!({"session_id": "s"})).await);
}

#[tokio::test]
async fn settings_hold_for_the_batch_alone() {
    let (_setup, mut client) = setup(json!({})).await;
    let show = json!([{"query": "SELECT current_setting('app.who', true) AS who"}]);
    let request = json!({"statements": show, "settings": {"app.who": "me"}});
    let reply = ok(client.call("ExecuteBatch", request).await);
    assert_eq!(reply["results"][0]["rows"], json!([{"who": "me"}]));
    let reply = ok(client.call("ExecuteBatch", json!({"statements": show})).await);
    assert_ne!(reply["results"][0]["rows"], json!([{"who": "me"}]));
}

#[tokio::test]
async fn a_migration_goes_unnoticed() {
    let (setup, mut client) = setup(json!({})).await;
    for (round, atomic) in [(1, false), (2, true), (3, false)] {
        let statements = json!([
            {"query": "INSERT INTO t (a) VALUES ($1)", "args": [round]},
            {"query": "SELECT * FROM t WHERE a = $1", "args": [round]},
            {"query": "SELECT count(*) AS n FROM t"},
        ]);
        let request = json!({"statements": statements, "atomic": atomic});
        let reply = ok(client.call("ExecuteBatch", request).await);
        assert_eq!(codes(&reply), ["-", "-", "-"], "{reply}");
        assert_eq!(reply["results"][1]["columns"].as_array().unwrap().len(), round);
        assert_eq!(reply["results"][2]["rows"], json!([{"n": round}]));
        setup.db.batch(&format!("ALTER TABLE t ADD c{round} text")).await;
    }
}

#[tokio::test]
async fn what_comes_too_late_is_not_sent() {
    let (setup, mut client) = setup(json!({})).await;
    let mut statements = inserts(&[1]);
    let list = statements.as_array_mut().unwrap();
    list.push(json!({"query": "SELECT pg_sleep(60)"}));
    // Travels alone, and so not before the one above has ended.
    list.push(json!({"query": "CREATE TABLE u (a int)"}));
    let started = Instant::now();
    let request = json!({"statements": statements, "timeout": 200});
    let reply = ok(client.call("ExecuteBatch", request).await);
    assert_eq!(codes(&reply), ["-", "57014", "57014"], "{reply}");
    assert!(started.elapsed() < Duration::from_secs(20));
    let request = json!({"statements": statements, "timeout": 200, "atomic": true});
    failed(client.call("ExecuteBatch", request).await, "23505");
    assert_eq!(count(&mut client).await, 1);
    let found = setup.db.admin().await.query_one("SELECT to_regclass('u')::text", &[]).await;
    assert_eq!(found.unwrap().get::<_, Option<String>>(0), None);
}

#[tokio::test]
async fn a_lost_server_leaves_no_doubt_that_is_not_told() {
    let (setup, mut client) = setup(json!({})).await;
    for atomic in [false, true] {
        let base = if atomic { 10 } else { 0 };
        let mut statements = inserts(&[base + 1]);
        let list = statements.as_array_mut().unwrap();
        list.push(json!({"query": "SELECT pg_sleep(60)"}));
        list.extend(inserts(&[base + 2]).as_array().unwrap().clone());
        let request = json!({"statements": statements, "atomic": atomic});
        client.send_json("ExecuteBatch", &request).await.unwrap();
        let running = "wait_event = 'PgSleep'";
        eventually("it runs", || async { setup.db.kill_backends(running).await == 1 }).await;
        let (_, reply) = client.recv_json().await.unwrap();
        assert_eq!(codes(&reply), ["-", "57P01", "57P01"], "{reply}");
        assert_eq!(reply["failed"], if atomic { json!(1) } else { Value::Null });
        assert_eq!(count(&mut client).await, 1, "{atomic}: {reply}");
    }
}

#[tokio::test]
async fn results_share_the_room_of_a_frame() {
    let setup = Setup::with(&json!({"rpc": {"max_frame_size": "64KiB"}})).await;
    let mut client = setup.client().await;
    let long = "SELECT repeat('x', $1) AS x";
    let statements = json!([
        {"query": long, "args": [1000]},
        {"query": long, "args": [100_000]},
        {"query": long, "args": [40_000]},
        {"query": long, "args": [40_000]},
        {"query": "SELECT 1 AS x"},
    ]);
    let reply = ok(client.call("ExecuteBatch", json!({"statements": statements})).await);
    assert_eq!(codes(&reply), ["-", "54000", "-", "54000", "-"]);
    let many: Value = (0..1000).map(|n| json!({"query": format!("x{n}")})).collect();
    let setup = Setup::with(&json!({"rpc": {"max_frame_size": "600KiB"}})).await;
    let mut client = setup.client().await;
    let reply = ok(client.call("ExecuteBatch", json!({"statements": many})).await);
    assert!(codes(&reply).iter().all(|code| *code == "42601"));
}

#[tokio::test]
async fn bad_batches_are_refused_by_name() {
    let (_setup, mut client) = setup(json!({})).await;
    for (request, code, part) in [
        (json!({}), "22023", "statements is missing"),
        (json!({"statements": []}), "22023", "statements is missing"),
        (json!({"statements": [{"query": "SELECT 1"}, {}]}), "22023", "statement 1"),
        (json!({"statements": [{"query": "SELECT 1"}], "tx_id": "no"}), "25P01", "no"),
    ] {
        let error = failed(client.call("ExecuteBatch", request).await, code);
        assert!(error.contains(part), "{error}");
    }
    let many: Value = (0..1001).map(|_| json!({"query": "SELECT 1"})).collect();
    for (statements, part) in
        [(many, "at most 1000"), (json!([{"sql": "SELECT 1"}]), "sql"), (json!(7), "list")]
    {
        let fault = client.call("ExecuteBatch", json!({"statements": statements})).await;
        let text = fault.unwrap_err().to_string();
        assert!(text.contains(part), "{text}");
    }
}

/// A view whose reading writes, which nothing in a statement's text tells.
const AUDITED: &str = "CREATE TABLE audit (a int);
    CREATE FUNCTION note() RETURNS int LANGUAGE sql VOLATILE AS
        'INSERT INTO audit VALUES (1) RETURNING a';
    CREATE VIEW audited AS SELECT note() AS a";

#[tokio::test]
async fn what_a_read_writes_is_not_undone_by_another_reads_failure() {
    let (setup, mut client) = setup(json!({})).await;
    setup.db.batch(AUDITED).await;
    let statements = json!([
        {"query": "SELECT a FROM audited"}, {"query": "SELECT 1 / 0"}, {"query": "SELECT a FROM audited"},
    ]);
    for round in 1..3 {
        let reply = ok(client.call("ExecuteBatch", json!({"statements": statements})).await);
        assert_eq!(codes(&reply), ["-", "22012", "-"]);
        let reply = ok(client.execute("SELECT count(*) AS n FROM audit", json!([])).await);
        assert_eq!(reply["rows"], json!([{"n": 2 * round}]));
    }
}

#[tokio::test]
async fn reads_whose_server_is_lost_are_all_told_so() {
    let (setup, mut client) = setup(json!({})).await;
    setup.db.batch(AUDITED).await;
    let statements = json!([{"query": "SELECT a FROM audited"}, {"query": "SELECT pg_sleep(60)"}]);
    client.send_json("ExecuteBatch", &json!({"statements": statements})).await.unwrap();
    let running = "wait_event = 'PgSleep'";
    eventually("it runs", || async { setup.db.kill_backends(running).await == 1 }).await;
    let (_, reply) = client.recv_json().await.unwrap();
    let reply = ok(Ok(reply));
    let written = ok(client.execute("SELECT count(*) AS n FROM audit", json!([])).await);
    match codes(&reply)[0] {
        "-" => assert_eq!(written["rows"], json!([{"n": 1}])),
        code => {
            assert_eq!(code, "57P01", "{reply}");
            assert_eq!(written["rows"], json!([{"n": 0}]));
        }
    }
}

#[tokio::test]
async fn an_order_that_matters_is_kept() {
    let (setup, mut client) = setup(json!({})).await;
    setup
        .db
        .batch(
            "CREATE FUNCTION mk() RETURNS void LANGUAGE plpgsql AS
        'BEGIN CREATE TABLE IF NOT EXISTS made (a int); END'",
        )
        .await;
    let statements = json!([
        {"query": "SELECT mk()"}, {"query": "INSERT INTO made VALUES (1)"},
        {"query": "SELECT count(*) AS n FROM made"},
    ]);
    let reply = ok(client.call("ExecuteBatch", json!({"statements": statements})).await);
    assert_eq!(codes(&reply), ["-", "-", "-"], "{reply}");
    // In a transaction the one that cannot be prepared is the one to blame.
    ok(client.call("TransactionBegin", json!({"tx_id": "t"})).await);
    let statements = json!([{"query": "SELECT 41 AS n"}, {"query": "SELECT * FROM nowhere"}]);
    let request = json!({"tx_id": "t", "statements": statements});
    let reply = ok(client.call("ExecuteBatch", request).await);
    assert_eq!(codes(&reply), ["-", "42P01"]);
    ok(client.call("TransactionRollback", json!({"tx_id": "t"})).await);
    // A write with an old plan is not run after what followed it.
    setup.db.batch("CREATE TABLE st (a int)").await;
    let statements = json!([
        {"query": "INSERT INTO st (a) VALUES (1) RETURNING *"}, {"query": "SELECT count(*) AS n FROM st"},
    ]);
    ok(client.call("ExecuteBatch", json!({"statements": statements})).await);
    setup.db.batch("ALTER TABLE st ADD b text").await;
    let reply = ok(client.call("ExecuteBatch", json!({"statements": statements})).await);
    let counted = reply["results"][1]["rows"][0]["n"].as_i64().unwrap();
    let inserted = i64::from(codes(&reply)[0] == "-");
    assert_eq!(counted, 1 + inserted, "{reply}");
}

#[tokio::test]
async fn types_that_could_not_be_looked_up_are_not_remembered_as_unknown() {
    let (setup, mut client) = setup(json!({})).await;
    setup
        .db
        .batch(
            "CREATE TYPE mood AS ENUM ('a', 'b'); CREATE TABLE m (x mood[]);
        INSERT INTO m VALUES ('{a,b}')",
        )
        .await;
    ok(client.call("TransactionBegin", json!({"tx_id": "t"})).await);
    let statements = json!([{"query": "SELECT x FROM m"}, {"query": "SELECT * FROM nowhere"}]);
    ok(client.call("ExecuteBatch", json!({"tx_id": "t", "statements": statements})).await);
    ok(client.call("TransactionRollback", json!({"tx_id": "t"})).await);
    for _ in 0..4 {
        let reply = ok(client.execute("SELECT x FROM m", json!([])).await);
        assert_eq!(reply["rows"], json!([{"x": ["a", "b"]}]));
    }
}

#[tokio::test]
async fn nothing_is_sent_after_the_time_is_over() {
    let (setup, mut client) = setup(json!({})).await;
    setup.db.batch("CREATE TABLE locked (a int)").await;
    ok(client.call("TransactionBegin", json!({"tx_id": "lock"})).await);
    ok(client.call("Execute", json!({"tx_id": "lock", "query": "LOCK TABLE locked"})).await);
    let statements = json!([
        {"query": "SELECT * FROM locked"}, {"query": "INSERT INTO t VALUES (1)"},
    ]);
    let request = json!({"statements": statements, "timeout": 200});
    let reply = ok(client.call("ExecuteBatch", request).await);
    assert_eq!(codes(&reply), ["57014", "57014"], "{reply}");
    assert_eq!(count(&mut client).await, 0);
}
