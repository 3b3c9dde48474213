//! Transactions by tx_id: from any RPC connection, one call after another, with exact answers.

use e2e::{Setup, eventually, failed, ok};
use serde_json::{Value, json};
use test_support::RpcClient;

async fn setup() -> Setup {
    let setup = Setup::new().await;
    setup.db.batch("CREATE TABLE t (a int PRIMARY KEY)").await;
    setup
}

async fn begin(client: &mut RpcClient, request: Value) -> String {
    let reply = ok(client.call("TransactionBegin", request).await);
    reply["tx_id"].as_str().unwrap().to_owned()
}

fn within(tx_id: &str, query: &str) -> Value {
    json!({"tx_id": tx_id, "query": query})
}

async fn count(setup: &Setup) -> i64 {
    let client = setup.db.client().await;
    client.query_one("SELECT count(*) FROM t", &[]).await.unwrap().get(0)
}

#[tokio::test]
async fn commit_keeps_and_rollback_undoes() {
    let setup = setup().await;
    let mut client = setup.client().await;
    for (end, rows) in [("TransactionRollback", 0), ("TransactionCommit", 1)] {
        let id = begin(&mut client, json!({})).await;
        assert!(id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit()), "128 bits: {id}");
        ok(client.call("Execute", within(&id, "INSERT INTO t VALUES (1)")).await);
        let reply = ok(client.call("Execute", within(&id, "SELECT count(*) AS n FROM t")).await);
        assert_eq!(reply["rows"], json!([{"n": 1}]), "it sees its own work");
        assert_eq!(count(&setup).await, 0, "others do not");
        assert_eq!(ok(client.call(end, json!({"tx_id": id})).await), json!({"success": true}));
        assert_eq!(count(&setup).await, rows);
    }
}

#[tokio::test]
async fn errors_by_tx_id_have_codes_of_their_own() {
    let setup = setup().await;
    let mut client = setup.client().await;
    for (method, request) in [
        ("Execute", within("never", "SELECT 1")),
        ("TransactionCommit", json!({"tx_id": "never"})),
        ("TransactionRollback", json!({"tx_id": "never"})),
    ] {
        let error = failed(client.call(method, request).await, "25P01");
        assert!(error.contains("\"never\""), "{error}");
    }
    begin(&mut client, json!({"tx_id": "mine"})).await;
    let error = failed(client.call("TransactionBegin", json!({"tx_id": "mine"})).await, "42710");
    assert!(error.contains("\"mine\""), "{error}");
    ok(client.call("TransactionCommit", json!({"tx_id": "mine"})).await);
    for (method, request) in [
        ("Execute", within("mine", "SELECT 1")),
        ("TransactionCommit", json!({"tx_id": "mine"})),
        ("TransactionRollback", json!({"tx_id": "mine"})),
    ] {
        failed(client.call(method, request).await, "25000");
    }
    // A finished id may be used again, and a session of that name is something else.
    begin(&mut client, json!({"tx_id": "mine"})).await;
    failed(client.call("SessionEnd", json!({"session_id": "mine"})).await, "25P01");
    ok(client.call("TransactionRollback", json!({"tx_id": "mine"})).await);
}

#[tokio::test]
async fn an_id_has_at_most_128_bytes() {
    let setup = setup().await;
    let mut client = setup.client().await;
    let longest = "é".repeat(64);
    assert_eq!(begin(&mut client, json!({"tx_id": longest})).await, longest);
    ok(client.call("TransactionRollback", json!({"tx_id": longest})).await);
    let request = json!({"tx_id": "x".repeat(129)});
    let error = failed(client.call("TransactionBegin", request).await, "22023");
    assert!(error.contains("128"), "{error}");
    // Empty means "give me one", as Go's zero value does.
    assert_eq!(begin(&mut client, json!({"tx_id": ""})).await.len(), 32);
}

#[tokio::test]
async fn any_rpc_connection_finds_it_by_its_id() {
    let setup = setup().await;
    let mut owner = setup.client().await;
    let id = begin(&mut owner, json!({})).await;
    let mut clients = Vec::new();
    for _ in 0..6 {
        clients.push(setup.client().await);
    }
    for (n, client) in clients.iter_mut().enumerate() {
        let query = format!("INSERT INTO t SELECT {n} FROM pg_sleep(0.005)");
        client.send_json("Execute", &within(&id, &query)).await.unwrap();
    }
    for client in &mut clients {
        let (_, reply) = client.recv_json().await.unwrap();
        assert_eq!(reply["rows_affected"], 1, "one after another: {reply}");
    }
    assert_eq!(setup.count("state LIKE 'idle in%'").await, 1, "on one connection");
    let mut last = clients.pop().unwrap();
    ok(last.call("TransactionCommit", json!({"tx_id": id})).await);
    assert_eq!(count(&setup).await, 6);
}

#[tokio::test]
async fn calls_of_one_transaction_run_in_order_of_arrival() {
    let setup = setup().await;
    setup.db.batch("CREATE TABLE log (n int, s serial)").await;
    let mut client = setup.client().await;
    let id = begin(&mut client, json!({})).await;
    for n in 0..20 {
        let query = format!("INSERT INTO log (n) VALUES ({n})");
        client.send_json("Execute", &within(&id, &query)).await.unwrap();
    }
    client.send_json("TransactionCommit", &json!({"tx_id": id})).await.unwrap();
    for _ in 0..21 {
        let (_, reply) = client.recv_json().await.unwrap();
        assert!(reply.get("error").is_none(), "{reply}");
    }
    let rows = setup.db.client().await.query("SELECT n FROM log ORDER BY s", &[]).await.unwrap();
    let order: Vec<i32> = rows.iter().map(|row| row.get(0)).collect();
    assert_eq!(order, (0..20).collect::<Vec<_>>());
}

#[tokio::test]
async fn begin_sets_the_modes_that_it_is_given() {
    let setup = setup().await;
    let mut client = setup.client().await;
    let modes = "SELECT current_setting('transaction_isolation') AS i, \
                 current_setting('transaction_read_only') AS r, \
                 current_setting('transaction_deferrable') AS d, current_setting('TimeZone') AS z";
    for (request, row) in [
        (json!({}), ["read committed", "off", "off", "UTC"]),
        (json!({"isolation_level": "read_committed"}), ["read committed", "off", "off", "UTC"]),
        (json!({"isolation_level": "REPEATABLE READ"}), ["repeatable read", "off", "off", "UTC"]),
        (
            json!({"isolation_level": "serializable", "read_only": true, "deferrable": true}),
            ["serializable", "on", "on", "UTC"],
        ),
        (
            json!({"settings": {"TimeZone": "Asia/Tokyo"}}),
            ["read committed", "off", "off", "Asia/Tokyo"],
        ),
    ] {
        let id = begin(&mut client, request).await;
        for _ in 0..2 {
            let reply = ok(client.call("Execute", within(&id, modes)).await);
            let [i, r, d, z] = row;
            let got = &reply["rows"][0];
            assert_eq!((&got["i"], &got["r"], &got["d"]), (&json!(i), &json!(r), &json!(d)));
            assert!(got["z"] == z || (z == "UTC" && got["z"] != "Asia/Tokyo"), "{got}");
        }
        ok(client.call("TransactionRollback", json!({"tx_id": id})).await);
    }
    let id = begin(&mut client, json!({"read_only": true})).await;
    failed(client.call("Execute", within(&id, "INSERT INTO t VALUES (1)")).await, "25006");
    let error =
        failed(client.call("TransactionBegin", json!({"isolation_level": "x"})).await, "22023");
    assert!(error.contains("isolation_level") && error.contains("serializable"), "{error}");
    failed(client.call("TransactionBegin", json!({"idle_timeout": -1})).await, "22023");
}

#[tokio::test]
async fn commit_of_a_failed_transaction_is_no_success() {
    let setup = setup().await;
    let mut client = setup.client().await;
    for by_sql in [false, true] {
        let id = begin(&mut client, json!({})).await;
        ok(client.call("Execute", within(&id, "INSERT INTO t VALUES (1)")).await);
        failed(client.call("Execute", within(&id, "SELECT 1/0")).await, "22012");
        failed(client.call("Execute", within(&id, "SELECT 1")).await, "25P02");
        let reply = if by_sql {
            client.call("Execute", within(&id, "COMMIT")).await
        } else {
            client.call("TransactionCommit", json!({"tx_id": id})).await
        };
        if !by_sql {
            assert_eq!(reply.as_ref().unwrap()["success"], false);
        }
        let error = failed(reply, "25P02");
        assert!(error.contains("rolled back"), "{error}");
        failed(client.call("TransactionCommit", json!({"tx_id": id})).await, "25000");
        assert_eq!(count(&setup).await, 0);
    }
    // A savepoint saves it.
    let id = begin(&mut client, json!({})).await;
    for query in ["INSERT INTO t VALUES (1)", "SAVEPOINT s", "SELECT 1/0", "ROLLBACK TO s"] {
        let reply = client.call("Execute", within(&id, query)).await.unwrap();
        assert_eq!(reply.get("error").is_some(), query == "SELECT 1/0", "{reply}");
    }
    ok(client.call("TransactionCommit", json!({"tx_id": id})).await);
    assert_eq!(count(&setup).await, 1);
}

#[tokio::test]
async fn what_the_server_refuses_at_commit_is_told() {
    let setup = setup().await;
    setup
        .db
        .batch(
            "CREATE TABLE c (a int UNIQUE DEFERRABLE INITIALLY DEFERRED); INSERT INTO c VALUES (1)",
        )
        .await;
    let mut client = setup.client().await;
    for by_sql in [false, true] {
        let id = begin(&mut client, json!({})).await;
        ok(client.call("Execute", within(&id, "INSERT INTO c VALUES (1)")).await);
        let reply = if by_sql {
            client.call("Execute", within(&id, "COMMIT")).await
        } else {
            client.call("TransactionCommit", json!({"tx_id": id})).await
        };
        failed(reply, "23505");
        failed(client.call("Execute", within(&id, "SELECT 1")).await, "25000");
    }
    let (first, second) = (
        begin(&mut client, json!({"isolation_level": "serializable"})).await,
        begin(&mut client, json!({"isolation_level": "serializable"})).await,
    );
    for (id, value) in [(&first, 10), (&second, 20)] {
        let query = format!("INSERT INTO t SELECT {value} + count(*)::int FROM t");
        ok(client.call("Execute", within(id, &query)).await);
    }
    ok(client.call("TransactionCommit", json!({"tx_id": first})).await);
    failed(client.call("TransactionCommit", json!({"tx_id": second})).await, "40001");
}

#[tokio::test]
async fn commit_and_rollback_by_sql_end_it_properly() {
    let setup = setup().await;
    let mut client = setup.client().await;
    for (end, rows) in [("ROLLBACK", 0), ("/* end */ COMMIT", 1)] {
        let id = begin(&mut client, json!({})).await;
        ok(client.call("Execute", within(&id, "INSERT INTO t VALUES (1)")).await);
        ok(client.call("Execute", within(&id, end)).await);
        assert_eq!(count(&setup).await, rows);
        failed(client.call("Execute", within(&id, "SELECT 1")).await, "25000");
        failed(client.call("TransactionCommit", json!({"tx_id": id})).await, "25000");
    }
    let stats = ok(client.call("PoolStats", json!({})).await)["stats"]["primary"].clone();
    assert_eq!(stats["transactions_open"], 0);
    eventually("no transaction is left", || async {
        setup.count("state LIKE 'idle in%'").await == 0
    })
    .await;
}

#[tokio::test]
async fn a_timeout_in_a_transaction_fails_it_but_keeps_it() {
    let setup = setup().await;
    let mut client = setup.client().await;
    let id = begin(&mut client, json!({})).await;
    let mut slow = within(&id, "SELECT pg_sleep(60)");
    slow["timeout"] = json!(30);
    failed(client.call("Execute", slow).await, "57014");
    failed(client.call("Execute", within(&id, "SELECT 1")).await, "25P02");
    ok(client.call("TransactionRollback", json!({"tx_id": id})).await);
}

#[tokio::test]
async fn open_ones_are_counted() {
    let setup = setup().await;
    let mut client = setup.client().await;
    let mut ids = Vec::new();
    for n in 1..=3 {
        ids.push(begin(&mut client, json!({})).await);
        let stats = ok(client.call("PoolStats", json!({})).await)["stats"]["primary"].clone();
        assert_eq!((&stats["transactions_open"], &stats["sessions_open"]), (&json!(n), &json!(0)));
        assert_eq!(stats["active_connections"], n);
    }
    ok(client.call("TransactionCommit", json!({"tx_id": ids[0]})).await);
    ok(client.call("TransactionRollback", json!({"tx_id": ids[1]})).await);
    drop(client);
    let mut other = setup.client().await;
    loop {
        let stats = ok(other.call("PoolStats", json!({})).await)["stats"]["primary"].clone();
        if stats["transactions_open"] == 0 && stats["active_connections"] == 0 {
            break;
        }
    }
}
