//! The statement cache as callers see it: not at all, whatever happens to the schema or to it.

use e2e::{Setup, failed, ok};
use serde_json::{Value, json};
use test_support::RpcClient;

async fn names(client: &mut RpcClient, place: Value) -> Vec<String> {
    let mut request = place;
    request["query"] = json!("SELECT * FROM t");
    let reply = ok(client.call("Execute", request).await);
    let columns = reply["columns"].as_array().unwrap();
    columns.iter().map(|column| column["name"].as_str().unwrap().to_owned()).collect()
}

async fn setup(behavior: Value) -> Setup {
    let primary = json!({"pool": {"max_connections": 1}, "behavior": behavior});
    let setup = Setup::with(&json!({"backends": {"primary": primary}})).await;
    setup.db.batch("CREATE TABLE t (a int)").await;
    setup
}

#[tokio::test]
async fn a_migration_goes_unnoticed_outside_a_transaction() {
    for size in [0, 1, 100] {
        let setup = setup(json!({"statement_cache_size": size})).await;
        let mut client = setup.client().await;
        assert_eq!(names(&mut client, json!({})).await, ["a"]);
        setup.db.batch("ALTER TABLE t ADD b text").await;
        assert_eq!(names(&mut client, json!({})).await, ["a", "b"]);
        setup.db.batch("ALTER TABLE t DROP a").await;
        assert_eq!(names(&mut client, json!({})).await, ["b"]);
        // In a transaction of its own, prepared again with it.
        ok(client.call("TransactionBegin", json!({"tx_id": "t"})).await);
        assert_eq!(names(&mut client, json!({"tx_id": "t"})).await, ["b"]);
        ok(client.call("TransactionCommit", json!({"tx_id": "t"})).await);
    }
}

#[tokio::test]
async fn inside_a_transaction_a_migration_is_told_once() {
    let setup = setup(json!({})).await;
    let mut client = setup.client().await;
    assert_eq!(names(&mut client, json!({})).await, ["a"]);
    setup.db.batch("ALTER TABLE t ADD b text").await;
    ok(client.call("TransactionBegin", json!({"tx_id": "t"})).await);
    let request = json!({"tx_id": "t", "query": "SELECT * FROM t"});
    failed(client.call("Execute", request).await, "0A000");
    ok(client.call("TransactionRollback", json!({"tx_id": "t"})).await);
    assert_eq!(names(&mut client, json!({})).await, ["a", "b"]);
}

#[tokio::test]
async fn deallocated_statements_are_prepared_again() {
    let setup = setup(json!({"reset_on_return": false})).await;
    let mut client = setup.client().await;
    for _ in 0..2 {
        assert_eq!(names(&mut client, json!({})).await, ["a"]);
        let request = json!({"query": "DEALLOCATE ALL; SELECT 1", "simple": true});
        ok(client.call("Execute", request).await);
    }
    assert_eq!(names(&mut client, json!({})).await, ["a"]);
}

#[tokio::test]
async fn more_statements_than_the_cache_holds() {
    let setup = setup(json!({"statement_cache_size": 3})).await;
    let mut client = setup.client().await;
    for round in 0..3 {
        for n in 0..7 {
            let query = format!("SELECT $1::int4 + {n} AS v");
            let reply = ok(client.execute(&query, json!([round])).await);
            assert_eq!(reply["rows"], json!([{"v": round + n}]));
        }
    }
    let query = "SELECT count(*) AS n FROM pg_prepared_statements";
    let reply = ok(client.execute(query, json!([])).await);
    assert!(reply["rows"][0]["n"].as_i64().unwrap() <= 4, "{reply}");
}

#[tokio::test]
async fn the_simple_protocol_works_in_transactions_and_sessions() {
    let setup = Setup::new().await;
    setup.db.batch("CREATE TABLE t (a int)").await;
    let mut client = setup.client().await;
    ok(client.call("TransactionBegin", json!({"tx_id": "t"})).await);
    let texts = "INSERT INTO t VALUES (1); INSERT INTO t VALUES (2); SELECT count(*) AS n FROM t";
    let request = json!({"tx_id": "t", "query": texts, "simple": true});
    assert_eq!(ok(client.call("Execute", request).await)["rows"], json!([{"n": 2}]));
    ok(client.call("TransactionRollback", json!({"tx_id": "t"})).await);
    ok(client.call("SessionBegin", json!({"session_id": "s"})).await);
    let request = json!({"session_id": "s", "query": texts, "simple": true});
    assert_eq!(ok(client.call("Execute", request).await)["rows"], json!([{"n": 2}]));
    let several = json!({"session_id": "s", "query": texts});
    failed(client.call("Execute", several).await, "42601");
    ok(client.call("SessionEnd", json!({"session_id": "s"})).await);
    let reply = ok(client.execute("SELECT count(*) AS n FROM t", json!([])).await);
    assert_eq!(reply["rows"], json!([{"n": 2}]));
}
