//! Cursors: results of any size, a few rows at a time, from whatever connection.

use e2e::{Setup, eventually, failed, ok};
use serde_json::{Value, json};
use test_support::RpcClient;

async fn open(client: &mut RpcClient, request: Value) -> String {
    let reply = ok(client.call("CursorOpen", request).await);
    reply["cursor_id"].as_str().unwrap().to_owned()
}

async fn fetch(client: &mut RpcClient, cursor: &str, count: i64) -> Value {
    ok(client.call("CursorFetch", json!({"cursor_id": cursor, "count": count})).await)
}

#[tokio::test]
async fn a_result_is_read_in_pieces_from_any_connection() {
    let setup = Setup::new().await;
    let (mut opener, mut other) = (setup.client().await, setup.client().await);
    for (style, types) in [("rows", "native"), ("assoc", "text"), ("assoc", "native")] {
        let request = json!({
            "query": "SELECT n, ARRAY[n] AS a FROM generate_series(1, $1) AS n",
            "args": [10], "result": style, "types": types,
        });
        let reply = ok(opener.call("CursorOpen", request).await);
        assert_eq!(reply["columns"][0]["name"], "n");
        let cursor = reply["cursor_id"].as_str().unwrap();
        let mut seen = Vec::new();
        for (is_opener, is_last) in [(true, false), (false, false), (true, true)] {
            let client = if is_opener { &mut opener } else { &mut other };
            let reply = fetch(client, cursor, 4).await;
            assert_eq!(reply["done"], is_last, "{reply}");
            seen.extend(reply["rows"].as_array().unwrap().iter().cloned());
        }
        assert_eq!(seen.len(), 10);
        let array = if types == "text" { json!("{10}") } else { json!([10]) };
        let last = if style == "rows" { json!([10, array]) } else { json!({"n": 10, "a": array}) };
        assert_eq!(seen[9], last);
        // It is over, and its connection is free.
        failed(opener.call("CursorFetch", json!({"cursor_id": cursor})).await, "25000");
        ok(opener.call("CursorClose", json!({"cursor_id": cursor})).await);
        assert_eq!(setup.count("state LIKE 'idle in%'").await, 0);
    }
}

#[tokio::test]
async fn a_cursor_ends_with_its_opener_its_time_or_its_close() {
    let limits = json!({"transactions": {"idle_timeout": "200ms"}});
    let setup = Setup::with(&limits).await;
    let query = json!({"query": "SELECT generate_series(1, 100000)"});
    let lasting = json!({"query": "SELECT generate_series(1, 100000)", "idle_timeout": 60_000});
    let none_open = || async { setup.count("state LIKE 'idle in%'").await == 0 };

    let mut client = setup.client().await;
    let cursor = open(&mut client, lasting.clone()).await;
    fetch(&mut client, &cursor, 1).await;
    assert!(!none_open().await);
    for _ in 0..2 {
        ok(client.call("CursorClose", json!({"cursor_id": cursor})).await);
    }
    assert!(none_open().await);

    let cursor = open(&mut client, lasting).await;
    drop(client);
    eventually("it is gone with its opener", none_open).await;
    let mut client = setup.client().await;
    failed(client.call("CursorFetch", json!({"cursor_id": cursor})).await, "25000");

    let cursor = open(&mut client, query).await;
    eventually("its time is over", none_open).await;
    failed(client.call("CursorFetch", json!({"cursor_id": cursor})).await, "25P03");
}

#[tokio::test]
async fn within_a_transaction_or_session() {
    let setup = Setup::new().await;
    setup.db.batch("CREATE TABLE t (a int)").await;
    let mut client = setup.client().await;
    ok(client.call("TransactionBegin", json!({"tx_id": "a.b"})).await);
    let insert = "INSERT INTO t SELECT generate_series(1, 5) RETURNING a";
    let first = open(&mut client, json!({"tx_id": "a.b", "query": insert})).await;
    let second =
        open(&mut client, json!({"tx_id": "a.b", "query": "SELECT generate_series(1, 3) AS n"}))
            .await;
    assert_eq!(fetch(&mut client, &second, 2).await["rows"], json!([{"n": 1}, {"n": 2}]));
    assert_eq!(fetch(&mut client, &first, 100).await["rows"].as_array().unwrap().len(), 5);
    assert_eq!(fetch(&mut client, &second, 2).await["done"], true);
    let gone = client.call("CursorFetch", json!({"cursor_id": second})).await;
    failed(gone, "34000");
    ok(client.call("TransactionCommit", json!({"tx_id": "a.b"})).await);
    let gone = client.call("CursorFetch", json!({"cursor_id": first})).await;
    failed(gone, "25000");
    let rows = ok(client.execute("SELECT count(*) AS n FROM t", json!([])).await);
    assert_eq!(rows["rows"], json!([{"n": 5}]));

    ok(client.call("SessionBegin", json!({"session_id": "s"})).await);
    let request = json!({"session_id": "s", "query": "SELECT a FROM t"});
    failed(client.call("CursorOpen", request.clone()).await, "25P01");
    ok(client.call("Execute", json!({"session_id": "s", "query": "BEGIN"})).await);
    let cursor = open(&mut client, request.clone()).await;
    assert_eq!(fetch(&mut client, &cursor, 5).await["rows"].as_array().unwrap().len(), 5);
    ok(client.call("CursorClose", json!({"cursor_id": cursor})).await);
    ok(client.call("SessionEnd", json!({"session_id": "s"})).await);
}

#[tokio::test]
async fn settings_hold_for_as_long_as_it_is_open() {
    let setup = Setup::new().await;
    let mut client = setup.client().await;
    let query = "SELECT current_setting('app.who') AS who FROM generate_series(1, 3)";
    let request = json!({"query": query, "settings": {"app.who": "me"}});
    let cursor = open(&mut client, request).await;
    for _ in 0..2 {
        assert_eq!(fetch(&mut client, &cursor, 1).await["rows"], json!([{"who": "me"}]));
        ok(client.execute("SELECT 1", json!([])).await);
    }
    ok(client.call("CursorClose", json!({"cursor_id": cursor})).await);
}

#[tokio::test]
async fn what_fails_closes_it_and_says_so() {
    let setup = Setup::with(&json!({"rpc": {"max_frame_size": "64KiB"}})).await;
    let mut client = setup.client().await;
    for (query, code) in [
        ("SELECT 1 / (2 - n) FROM generate_series(1, 3) AS n", "22012"),
        ("SELECT repeat('x', 1000000) FROM generate_series(1, 3)", "54000"),
    ] {
        let cursor = open(&mut client, json!({"query": query})).await;
        failed(client.call("CursorFetch", json!({"cursor_id": cursor})).await, code);
        failed(client.call("CursorFetch", json!({"cursor_id": cursor})).await, "25000");
    }
    let cursor = open(&mut client, json!({"query": "SELECT pg_sleep(60)"})).await;
    let request = json!({"cursor_id": cursor, "timeout": 100});
    failed(client.call("CursorFetch", request).await, "57014");
    let cursor = open(&mut client, json!({"query": "SELECT pg_sleep(60)"})).await;
    client.send_json("CursorFetch", &json!({"cursor_id": cursor})).await.unwrap();
    let running = "wait_event = 'PgSleep'";
    eventually("it runs", || async { setup.db.kill_backends(running).await == 1 }).await;
    let (_, reply) = client.recv_json().await.unwrap();
    assert_eq!(reply["sqlstate"], "57P01");
    for (request, code) in [
        (json!({"query": "CREATE TABLE u (a int)"}), "0A000"),
        (json!({"query": "SELECT $1::int"}), "08P01"),
        (json!({"query": "SELECT nothing"}), "42703"),
        (json!({"query": "SELECT 1; SELECT 2"}), "42601"),
        (json!({"query": "SELECT nextval('s')"}), "42P01"),
        (json!({}), "22023"),
    ] {
        failed(client.call("CursorOpen", request).await, code);
    }
    setup.db.batch("CREATE TABLE t (a int)").await;
    let write = json!({"query": "INSERT INTO t VALUES (1) RETURNING a"});
    let cursor = open(&mut client, write).await;
    failed(client.call("CursorFetch", json!({"cursor_id": cursor})).await, "25006");
    for id in ["", "x", "ac1", "ac1.nobody", "rt1.nobody"] {
        let reply = client.call("CursorFetch", json!({"cursor_id": id})).await.unwrap();
        assert!(["22023", "34000", "25P01"].contains(&reply["sqlstate"].as_str().unwrap()));
    }
    let request = json!({"cursor_id": "ac1.x", "count": -1});
    failed(client.call("CursorFetch", request).await, "22023");
    assert_eq!(setup.count("state LIKE 'idle in%'").await, 0);
}

#[tokio::test]
async fn a_migration_goes_unnoticed() {
    let setup = Setup::with_pool(json!({"max_connections": 2})).await;
    setup.db.batch("CREATE TABLE t (a int); INSERT INTO t VALUES (1)").await;
    let mut client = setup.client().await;
    for columns in 1..4 {
        let cursor = open(&mut client, json!({"query": "SELECT * FROM t"})).await;
        let reply = fetch(&mut client, &cursor, 10).await;
        assert_eq!(reply["rows"][0].as_object().unwrap().len(), columns, "{reply}");
        setup.db.batch(&format!("ALTER TABLE t ADD c{columns} text")).await;
    }
}

#[tokio::test]
async fn what_a_cursor_sets_does_not_reach_the_next_caller() {
    let setup = Setup::with_pool(json!({"max_connections": 1, "max_held": 1})).await;
    let view = "CREATE VIEW sets AS SELECT set_config('TimeZone', 'Asia/Tokyo', false) AS zone";
    setup.db.batch(view).await;
    let mut client = setup.client().await;
    ok(client.call("TransactionBegin", json!({"tx_id": "t"})).await);
    let cursor = open(&mut client, json!({"tx_id": "t", "query": "SELECT zone FROM sets"})).await;
    fetch(&mut client, &cursor, 10).await;
    ok(client.call("TransactionCommit", json!({"tx_id": "t"})).await);
    let reply = ok(client.execute("SELECT current_setting('TimeZone') AS zone", json!([])).await);
    assert_ne!(reply["rows"][0]["zone"], "Asia/Tokyo");
}

#[tokio::test]
async fn a_refused_cursor_leaves_its_transaction_alone() {
    let setup = Setup::new().await;
    setup.db.batch("CREATE TABLE t (a int)").await;
    let mut client = setup.client().await;
    ok(client.call("TransactionBegin", json!({"tx_id": "t"})).await);
    let request = json!({"tx_id": "t", "query": "INSERT INTO t VALUES (1)"});
    failed(client.call("CursorOpen", request).await, "0A000");
    let cursor = open(&mut client, json!({"tx_id": "t", "query": "SELECT 1 AS n"})).await;
    assert_eq!(fetch(&mut client, &cursor, 1).await["rows"], json!([{"n": 1}]));
    ok(client.call("TransactionCommit", json!({"tx_id": "t"})).await);
}

#[tokio::test]
async fn opening_takes_no_longer_than_it_may() {
    let setup = Setup::new().await;
    setup.db.batch("CREATE TABLE t (a int)").await;
    let mut client = setup.client().await;
    ok(client.call("TransactionBegin", json!({"tx_id": "lock"})).await);
    let lock = json!({"tx_id": "lock", "query": "LOCK TABLE t"});
    ok(client.call("Execute", lock).await);
    let started = std::time::Instant::now();
    let request = json!({"query": "SELECT * FROM t", "timeout": 200});
    failed(client.call("CursorOpen", request).await, "57014");
    assert!(started.elapsed() < std::time::Duration::from_secs(3), "{:?}", started.elapsed());
}

#[tokio::test]
async fn rows_that_another_codec_has_no_room_for_are_not_passed_over() {
    const GOB: u8 = 0x20;
    let setup = Setup::with(&json!({"rpc": {"max_frame_size": "64KiB"}})).await;
    let mut client = setup.client().await;
    let request = json!({"query": "SELECT n FROM generate_series(1, 100000) AS n"});
    let cursor = open(&mut client, request).await;
    // {"CursorID": cursor, "Count": 3000}, as Go writes it.
    let mut body = vec![0x2b, 0x7f, 3, 1, 1, 1, b'R', 1, 0xff, 0x80, 0, 1, 2, 1, 8];
    body.extend_from_slice(b"CursorID");
    body.extend_from_slice(&[1, 12, 0, 1, 5]);
    body.extend_from_slice(b"Count");
    body.extend_from_slice(&[1, 4, 0, 0, 0]);
    body[0] = u8::try_from(body.len() - 1).unwrap();
    let mut value = vec![0xff, 0x80, 1, u8::try_from(cursor.len()).unwrap()];
    value.extend_from_slice(cursor.as_bytes());
    value.extend_from_slice(&[1, 0xfe, 0x17, 0x70, 0]);
    body.push(u8::try_from(value.len()).unwrap());
    body.extend(value);
    let seq = client.next_seq();
    client.send(seq, "CursorFetch", GOB, &body).await.unwrap();
    let reply = client.recv().await.unwrap();
    assert_eq!(reply.flags, GOB, "{:?}", String::from_utf8_lossy(&reply.body));
    assert!(String::from_utf8_lossy(&reply.body).contains("54000"), "too much for gob");
    failed(client.call("CursorFetch", json!({"cursor_id": cursor})).await, "25000");
}
