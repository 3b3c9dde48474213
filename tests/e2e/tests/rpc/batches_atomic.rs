//! ExecuteBatch with `atomic`: all or none, in however many round trips, and whatever happens meanwhile.

use e2e::{Linked, eventually, failed, ok};
use serde_json::{Value, json};

use crate::batches::{codes, count, inserts, setup};

#[tokio::test]
async fn all_or_none() {
    let (setup, mut client) = setup(json!({})).await;
    let atomic = |statements: Value| json!({"statements": statements, "atomic": true});
    let reply = ok(client.call("ExecuteBatch", atomic(inserts(&[1, 2, 3]))).await);
    assert_eq!(codes(&reply), ["-", "-", "-"]);
    assert_eq!(count(&mut client).await, 3);
    for _ in 0..2 {
        let reply = client.call("ExecuteBatch", atomic(inserts(&[4, 3, 5]))).await.unwrap();
        assert_eq!((&reply["sqlstate"], &reply["failed"]), (&json!("23505"), &json!(1)));
        assert!(reply["error_detail"]["detail"].as_str().unwrap().contains("(a)=(3)"), "{reply}");
        assert_eq!(codes(&reply), ["-", "23505", "25P02"]);
        assert_eq!(count(&mut client).await, 3);
    }
    // What cannot be part of it is found before anything runs.
    let mut statements = inserts(&[6]);
    statements.as_array_mut().unwrap().push(json!({"query": "COMMIT"}));
    let reply = client.call("ExecuteBatch", atomic(statements)).await.unwrap();
    assert_eq!((&reply["sqlstate"], &reply["failed"]), (&json!("0A000"), &json!(1)));
    assert_eq!(count(&mut client).await, 3);
    // Texts that depend on one another.
    let statements = json!([
        {"query": "CREATE TEMP TABLE v (a int) ON COMMIT DROP"},
        {"query": "INSERT INTO v VALUES (1), (2)"},
        {"query": "INSERT INTO t SELECT a + 10 FROM v"},
        {"query": "LOCK TABLE t"},
    ]);
    let reply = ok(client.call("ExecuteBatch", atomic(statements)).await);
    assert_eq!(codes(&reply), ["-", "-", "-", "-"], "{reply}");
    assert_eq!(count(&mut client).await, 5);
    // A failure that only COMMIT finds.
    setup.db.batch("CREATE TABLE c (a int REFERENCES t DEFERRABLE INITIALLY DEFERRED)").await;
    let statements = json!([{"query": "INSERT INTO c VALUES (99)"}]);
    failed(client.call("ExecuteBatch", atomic(statements)).await, "23503");
    assert_eq!(setup.count("state <> 'idle' AND usename = 'app'").await, 0);
}

#[tokio::test]
async fn an_error_anywhere_in_an_atomic_batch_is_told_where_it_is() {
    let (setup, mut client) = setup(json!({})).await;
    let good = json!({"query": "INSERT INTO t VALUES ($1)", "args": [1]});
    for (bad, code) in [
        (json!({"query": "SELECT nothing"}), "42703"),
        (json!({"query": "SELECT $1::int", "args": []}), "08P01"),
        (json!({"query": "SELECT $1::int", "args": [[1]]}), "22023"),
        (json!({"query": "SELECT 1 / 0"}), "22012"),
        (json!({"query": "SELECT nothing()", "args": []}), "42883"),
    ] {
        for at in 0..3 {
            let mut statements = vec![good.clone(), json!({"query": "SELECT 1"})];
            statements.insert(at, bad.clone());
            for _ in 0..2 {
                let request = json!({"statements": statements, "atomic": true});
                let reply = client.call("ExecuteBatch", request).await.unwrap();
                assert_eq!(reply["sqlstate"], code, "{at}: {reply}");
                assert_eq!(reply["failed"], at, "{reply}");
                assert_eq!(codes(&reply)[at], code, "{reply}");
                assert_eq!(count(&mut client).await, 0, "{reply}");
            }
        }
    }
    assert_eq!(setup.count("state LIKE 'idle in%'").await, 0);
}

#[tokio::test]
async fn several_old_plans_in_an_atomic_batch_go_unnoticed() {
    let (setup, mut client) = setup(json!({})).await;
    let statements = json!([
        {"query": "SELECT * FROM t"}, {"query": "SELECT * FROM t WHERE a > 0"},
        {"query": "SELECT * FROM t WHERE a < 0"},
    ]);
    for n in 0..3 {
        let request = json!({"statements": statements, "atomic": true});
        let reply = ok(client.call("ExecuteBatch", request).await);
        assert_eq!(codes(&reply), ["-", "-", "-"], "{reply}");
        setup.db.batch(&format!("ALTER TABLE t ADD d{n} text")).await;
    }
}

#[tokio::test]
async fn all_or_none_takes_one_round_trip_when_prepared() {
    let linked = Linked::with(&json!({"backends": {"primary": {
        "pool": {"max_connections": 1, "min_connections": 0},
    }}}))
    .await;
    linked.setup.db.batch("CREATE TABLE t (a serial PRIMARY KEY, b int)").await;
    let mut client = linked.server.client().await;
    let insert = json!({"query": "INSERT INTO t (b) VALUES ($1)", "args": [1]});
    let select = json!({"query": "SELECT $1::int", "args": [1]});
    let returning = json!({"query": "INSERT INTO t (b) VALUES ($1) RETURNING a", "args": [1]});
    for (statements, trips) in [
        (json!([insert, insert, insert]), 1),
        (json!([select, select, select]), 1),
        // What is too large must be known before COMMIT.
        (json!([insert, returning, select]), 2),
        (json!([returning]), 3),
    ] {
        let request = json!({"statements": statements, "atomic": true});
        ok(client.call("ExecuteBatch", request.clone()).await);
        let before = linked.link.counters().turns;
        ok(client.call("ExecuteBatch", request).await);
        assert_eq!(linked.link.counters().turns - before, trips, "{statements}");
    }
}

#[tokio::test]
async fn all_or_none_in_one_round_trip() {
    let (setup, mut client) = setup(json!({})).await;
    setup.db.batch("CREATE TABLE c (a int REFERENCES t DEFERRABLE INITIALLY DEFERRED)").await;
    let atomic = |statements: &Value| json!({"statements": statements, "atomic": true});
    ok(client.call("ExecuteBatch", atomic(&inserts(&[1, 2]))).await);
    let into_c = json!({"query": "INSERT INTO c VALUES ($1)", "args": [1]});
    ok(client.execute("INSERT INTO c VALUES ($1)", json!([1])).await);
    // A statement fails, the commit fails, an argument cannot be sent.
    let reply = client.call("ExecuteBatch", atomic(&inserts(&[3, 4, 1, 5]))).await.unwrap();
    assert_eq!((&reply["sqlstate"], &reply["failed"]), (&json!("23505"), &json!(2)));
    assert_eq!(codes(&reply), ["-", "-", "23505", "25P02"]);
    let orphan = json!({"query": "INSERT INTO c VALUES ($1)", "args": [99]});
    failed(client.call("ExecuteBatch", atomic(&json!([into_c, orphan]))).await, "23503");
    let bad = json!({"query": "INSERT INTO t VALUES ($1)", "args": [{"no": "number"}]});
    let statements = json!([inserts(&[6])[0], bad, inserts(&[7])[0]]);
    let reply = client.call("ExecuteBatch", atomic(&statements)).await.unwrap();
    assert_eq!(reply["failed"], 1, "{reply}");
    assert_eq!(count(&mut client).await, 2);
    let reply = ok(client.execute("SELECT count(*) AS n FROM c", json!([])).await);
    assert_eq!(reply["rows"][0]["n"], 1);
    ok(client.call("ExecuteBatch", atomic(&inserts(&[3, 4]))).await);
    assert_eq!(count(&mut client).await, 4);
}

#[tokio::test]
async fn a_server_lost_at_the_commit_of_a_batch_leaves_it_unknown() {
    let (setup, mut client) = setup(json!({})).await;
    setup
        .db
        .batch(
            "CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql
             AS 'BEGIN PERFORM pg_sleep(60); RETURN NULL; END';
             CREATE TABLE w (a int);
             CREATE CONSTRAINT TRIGGER late AFTER INSERT ON w DEFERRABLE INITIALLY DEFERRED
             FOR EACH ROW WHEN (new.a > 1) EXECUTE FUNCTION wait()",
        )
        .await;
    let both = |a: i64| {
        json!({"atomic": true, "statements": [
            {"query": "INSERT INTO t VALUES ($1)", "args": [a]},
            {"query": "INSERT INTO w VALUES ($1)", "args": [a]},
        ]})
    };
    ok(client.call("ExecuteBatch", both(1)).await);
    client.send_json("ExecuteBatch", &both(2)).await.unwrap();
    let running = "wait_event = 'PgSleep'";
    eventually("it commits", || async { setup.db.kill_backends(running).await == 1 }).await;
    let (_, reply) = client.recv_json().await.unwrap();
    assert_eq!(reply["sqlstate"], "40003", "{reply}");
    assert!(reply["error"].as_str().unwrap().contains("COMMIT"), "{reply}");
}

#[tokio::test]
async fn a_time_that_ends_anywhere_leaves_all_or_none() {
    let (setup, mut client) = setup(json!({})).await;
    setup.db.batch("CREATE TABLE many (batch int, n int)").await;
    for batch in 0..300 {
        let insert =
            |n: i64| json!({"query": "INSERT INTO many VALUES ($1, $2)", "args": [batch, n]});
        let statements: Value = (0..60).map(insert).collect();
        let request = json!({"statements": statements, "atomic": true, "timeout": 1});
        client.call("ExecuteBatch", request).await.unwrap();
    }
    let sql =
        "SELECT count(*) AS n FROM (SELECT FROM many GROUP BY batch HAVING count(*) <> 60) AS s";
    assert_eq!(ok(client.execute(sql, json!([])).await)["rows"][0]["n"], 0);
}

#[tokio::test]
async fn a_server_that_falls_silent_at_the_commit_leaves_it_unknown() {
    let linked = Linked::with(&json!({"backends": {"primary": {
        "pool": {"max_connections": 1, "min_connections": 0},
    }}}))
    .await;
    linked
        .setup
        .db
        .batch(
            "CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS
             'BEGIN RAISE NOTICE ''flushes''; PERFORM pg_sleep(60); RETURN NULL; END';
             CREATE TABLE w (a int);
             CREATE CONSTRAINT TRIGGER late AFTER INSERT ON w DEFERRABLE INITIALLY DEFERRED
             FOR EACH ROW WHEN (new.a > 1) EXECUTE FUNCTION wait()",
        )
        .await;
    let mut client = linked.server.client().await;
    let both = |a: i64| {
        let insert = json!({"query": "INSERT INTO w VALUES ($1)", "args": [a]});
        json!({"atomic": true, "timeout": 1500, "statements": [insert, insert]})
    };
    ok(client.call("ExecuteBatch", both(1)).await);
    client.send_json("ExecuteBatch", &both(2)).await.unwrap();
    let running = "wait_event = 'PgSleep'";
    eventually("it commits", || async { linked.setup.count(running).await == 1 }).await;
    linked.link.blackhole();
    let (_, reply) = client.recv_json().await.unwrap();
    assert_eq!(reply["sqlstate"], "40003", "{reply}");
    linked.link.resume();
    linked.setup.db.kill_backends(running).await;
}
