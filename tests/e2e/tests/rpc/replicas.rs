//! Replicas: which server gets a statement, and what happens when one is down or behind.

use e2e::{Replicated, WHERE, eventually, failed, ok};
use serde_json::json;
use test_support::RpcClient;
use test_support::postgres::StopMode;

#[tokio::test]
async fn reads_go_to_replicas_and_all_else_to_the_primary() {
    let all = Replicated::with(
        2,
        json!({"read_write_split": true, "read_your_writes": "off",
        "read_patterns": ["^SELECT .own_read"], "write_patterns": ["audited"]}),
    )
    .await;
    let mut client = all.server.client().await;
    ok(client
        .execute(
            "CREATE FUNCTION own_read() RETURNS TABLE (r bool, p int) LANGUAGE sql AS
        'SELECT pg_is_in_recovery(), inet_server_port()'",
            json!([]),
        )
        .await);
    ok(client.execute("CREATE TABLE t (a int)", json!([])).await);
    all.caught_up().await;
    let ports: Vec<i64> = all.replicas.iter().map(|replica| i64::from(replica.port())).collect();
    let mut found = Vec::new();
    for _ in 0..4 {
        let (replica, port) = Replicated::seen(&mut client, WHERE, json!({})).await;
        assert!(replica);
        found.push(port);
    }
    assert_eq!(found[..2], found[2..], "one after the other");
    assert!(ports.iter().all(|port| found.contains(port)), "{found:?} of {ports:?}");
    for (sql, more, on_replica) in [
        (format!("{WHERE} FROM (SELECT 1) AS s FOR UPDATE"), json!({}), false),
        (
            "WITH w AS (INSERT INTO t VALUES (1) RETURNING a) SELECT pg_is_in_recovery() AS r, \
          inet_server_port() AS p FROM w"
                .to_owned(),
            json!({}),
            false,
        ),
        (format!("{WHERE}, 'audited' AS x"), json!({}), false),
        (format!("/* pgpool:primary */ {WHERE}"), json!({}), false),
        (WHERE.to_owned(), json!({"route": "primary"}), false),
        (format!("{WHERE}, nextval('s')"), json!({}), false),
        ("SELECT (own_read()).*".to_owned(), json!({}), true),
        (format!("/* pgpool:replica */ {WHERE}"), json!({}), true),
    ] {
        if sql.contains("nextval") {
            ok(client.execute("CREATE SEQUENCE s", json!([])).await);
        }
        if sql.contains("FOR UPDATE") {
            // Not on a subquery that it may not lock: on the table.
            let locking =
                "SELECT pg_is_in_recovery() AS r, inet_server_port() AS p FROM t FOR UPDATE";
            ok(client.execute("INSERT INTO t VALUES (0)", json!([])).await);
            assert!(!Replicated::seen(&mut client, locking, more).await.0, "{locking}");
            continue;
        }
        assert_eq!(Replicated::seen(&mut client, &sql, more).await.0, on_replica, "{sql}");
    }
    // Transactions: those that only read may leave the primary.
    for (read_only, on_replica) in [(false, false), (true, true)] {
        let begin = json!({"tx_id": "t", "read_only": read_only});
        ok(client.call("TransactionBegin", begin).await);
        let more = json!({"tx_id": "t", "database": "primary"});
        assert_eq!(Replicated::seen(&mut client, WHERE, more).await.0, on_replica);
        ok(client.call("TransactionCommit", json!({"tx_id": "t"})).await);
    }
    let batch = |sql: &str| json!({"statements": [{"query": WHERE}, {"query": sql}]});
    for (sql, on_replica) in [(WHERE, true), ("INSERT INTO t VALUES (1)", false)] {
        let reply = ok(client.call("ExecuteBatch", batch(sql)).await);
        assert_eq!(reply["results"][0]["rows"][0]["r"], on_replica, "{sql}: {reply}");
    }
    let cursor = ok(client.call("CursorOpen", json!({"query": WHERE})).await);
    let fetched = json!({"cursor_id": cursor["cursor_id"]});
    let rows = ok(client.call("CursorFetch", fetched).await);
    assert_eq!(rows["rows"][0]["r"], true, "{rows}");
    failed(client.call("Execute", json!({"query": WHERE, "route": "nowhere"})).await, "22023");
}

#[tokio::test]
async fn whoever_writes_reads_what_it_has_written() {
    let all = Replicated::with(
        1,
        json!({"read_write_split": true,
        "read_your_writes": "primary", "read_your_writes_window": "1h"}),
    )
    .await;
    let (mut writer, mut reader) = (all.server.client().await, all.server.client().await);
    assert!(Replicated::seen(&mut writer, WHERE, json!({})).await.0);
    ok(writer.execute("CREATE TABLE t (a int)", json!([])).await);
    assert!(!Replicated::seen(&mut writer, WHERE, json!({})).await.0);
    assert!(Replicated::seen(&mut reader, WHERE, json!({})).await.0, "others may read old data");
    ok(reader.call("TransactionBegin", json!({"tx_id": "r"})).await);
    ok(reader.call("TransactionCommit", json!({"tx_id": "r"})).await);
    assert!(
        !Replicated::seen(&mut reader, WHERE, json!({})).await.0,
        "a transaction may have written"
    );
}

/// What writes for longer than the window: it counts from the end.
#[tokio::test]
async fn the_window_begins_when_the_write_is_done() {
    let routing = json!({"read_write_split": true, "read_your_writes_window": "1200ms"});
    let all = Replicated::with(1, routing).await;
    let mut client = all.server.client().await;
    ok(client.execute("CREATE TABLE t (a int)", json!([])).await);
    let on_replica =
        async |client: &mut RpcClient| Replicated::seen(client, WHERE, json!({})).await.0;
    let insert = "INSERT INTO t SELECT 1 FROM pg_sleep(1.3)";
    ok(client.execute(insert, json!([])).await);
    assert!(!on_replica(&mut client).await, "after a statement");
    let batch = json!({"statements": [{"query": insert}], "atomic": true});
    ok(client.call("ExecuteBatch", batch).await);
    assert!(!on_replica(&mut client).await, "after a batch");
    for (begin, end, id) in [
        ("TransactionBegin", Some("TransactionCommit"), "tx_id"),
        ("SessionBegin", None, "session_id"),
    ] {
        ok(client.call(begin, json!({id: "x"})).await);
        ok(client.call("Execute", json!({id: "x", "query": insert})).await);
        if let Some(end) = end {
            ok(client.call("Execute", json!({id: "x", "query": "SELECT pg_sleep(1.3)"})).await);
            ok(client.call(end, json!({id: "x"})).await);
        }
        assert!(!on_replica(&mut client).await, "after {begin}");
    }
    // What cannot write is no write, wherever it runs.
    let mut reader = all.server.client().await;
    ok(reader.call("TransactionBegin", json!({"tx_id": "r", "read_only": true})).await);
    ok(reader.call("Execute", json!({"tx_id": "r", "query": "SELECT 1"})).await);
    ok(reader.call("TransactionCommit", json!({"tx_id": "r"})).await);
    assert!(on_replica(&mut reader).await);
}

#[tokio::test]
async fn a_replica_that_is_down_or_behind_takes_no_reads() {
    let all = Replicated::with(
        1,
        json!({"read_write_split": true, "read_your_writes": "off",
        "max_lag": "64KiB", "failover": {"retry_interval": "50ms", "max_failures": 2}}),
    )
    .await;
    let mut client = all.server.client().await;
    ok(client.execute("CREATE TABLE t (a text)", json!([])).await);
    let on_replica = || async {
        let mut client = all.server.client().await;
        Replicated::seen(&mut client, WHERE, json!({})).await.0
    };
    eventually("the replica takes reads", on_replica).await;
    // Behind: what the primary writes is received, and not replayed.
    let replica = &all.replicas[0];
    replica.batch("SELECT pg_wal_replay_pause()").await;
    let insert = "INSERT INTO t SELECT repeat('x', 100) FROM generate_series(1, 5000)";
    ok(client.execute(insert, json!([])).await);
    eventually("it is too far behind", || async { !on_replica().await }).await;
    replica.batch("SELECT pg_wal_replay_resume()").await;
    eventually("it has caught up", on_replica).await;
    replica.stop(StopMode::Fast).await;
    eventually("reads fall back to the primary", || async {
        let mut client = all.server.client().await;
        let reply = client.call("Execute", json!({"query": WHERE})).await.unwrap();
        reply["rows"][0]["r"] == false
    })
    .await;
    replica.start_again().await;
    eventually("it takes reads again", on_replica).await;
}

#[tokio::test]
async fn a_replica_whose_packets_are_dropped_takes_no_reads() {
    let routing = json!({"read_write_split": true, "read_your_writes": "off",
        "failover": {"retry_interval": "50ms", "max_failures": 1}});
    let (all, _to_primary, link) = Replicated::linked(routing).await;
    // A read that is sent there meanwhile takes its time, and fails; it is not answered wrongly.
    let on_replica = || async {
        let request = json!({"query": WHERE, "timeout": 300});
        let reply = all.server.client().await.call("Execute", request).await.unwrap();
        reply.get("error").is_none().then(|| reply["rows"][0]["r"].as_bool().unwrap())
    };
    eventually("the replica takes reads", || async { on_replica().await == Some(true) }).await;
    link.blackhole();
    eventually("reads go to the primary", || async { on_replica().await == Some(false) }).await;
    for _ in 0..20 {
        assert_eq!(on_replica().await, Some(false));
    }
    link.resume();
    link.reset_all();
    eventually("it takes reads again", || async { on_replica().await == Some(true) }).await;
}
