//! How transactions and sessions end without being ended: idleness, lifetime, their owner's leave.

use e2e::{Setup, eventually, failed, ok};
use serde_json::{Value, json};

const OPEN: &str = "state LIKE 'idle in%'";

async fn setup(transactions: Value) -> Setup {
    let setup = Setup::with(&json!({"transactions": transactions})).await;
    setup.db.batch("CREATE TABLE t (a int PRIMARY KEY)").await;
    setup
}

#[tokio::test]
async fn an_idle_one_is_rolled_back() {
    let configured = setup(json!({"idle_timeout": "80ms"})).await;
    let given = setup(json!({})).await;
    for (setup, mut request) in
        [(configured, json!({})), (given, json!({"idle_timeout": 80, "max_lifetime": 60_000}))]
    {
        let mut client = setup.client().await;
        request["tx_id"] = json!("t");
        ok(client.call("TransactionBegin", request).await);
        let insert = json!({"tx_id": "t", "query": "INSERT INTO t VALUES (1)"});
        ok(client.call("Execute", insert).await);
        eventually("it is rolled back", || async { setup.count(OPEN).await == 0 }).await;
        for (method, request) in [
            ("Execute", json!({"tx_id": "t", "query": "SELECT 1"})),
            ("TransactionCommit", json!({"tx_id": "t"})),
            ("TransactionRollback", json!({"tx_id": "t"})),
        ] {
            let error = failed(client.call(method, request).await, "25P03");
            assert!(error.contains("idle"), "{error}");
        }
        let reply = ok(client.execute("SELECT count(*) AS n FROM t", json!([])).await);
        assert_eq!(reply["rows"], json!([{"n": 0}]));
        let stats = ok(client.call("PoolStats", json!({})).await);
        assert_eq!(stats["stats"]["primary"]["transactions_open"], 0);
    }
}

#[tokio::test]
async fn one_that_is_used_is_not_idle() {
    let setup = setup(json!({"idle_timeout": "150ms"})).await;
    let mut client = setup.client().await;
    ok(client.call("TransactionBegin", json!({"tx_id": "t"})).await);
    // A call that lasts longer than the limit, and many that together do.
    let long = json!({"tx_id": "t", "query": "SELECT pg_sleep(0.4)"});
    ok(client.call("Execute", long).await);
    for _ in 0..10 {
        let short = json!({"tx_id": "t", "query": "SELECT pg_sleep(0.04)"});
        ok(client.call("Execute", short).await);
    }
    ok(client.call("TransactionCommit", json!({"tx_id": "t"})).await);
}

#[tokio::test]
async fn a_lifetime_ends_it_in_the_middle_of_a_statement() {
    let configured = setup(json!({"max_lifetime": "100ms"})).await;
    let given = setup(json!({})).await;
    for (setup, mut request) in [(configured, json!({})), (given, json!({"max_lifetime": 100}))] {
        let mut client = setup.client().await;
        request["tx_id"] = json!("t");
        ok(client.call("TransactionBegin", request).await);
        let long = json!({"tx_id": "t", "query": "SELECT pg_sleep(60)"});
        let error = failed(client.call("Execute", long).await, "25P04");
        assert!(error.contains("max_lifetime"), "{error}");
        eventually("its statement is cancelled", || async {
            setup.count("wait_event = 'PgSleep'").await == 0
        })
        .await;
        failed(client.call("TransactionCommit", json!({"tx_id": "t"})).await, "25P04");
    }
}

#[tokio::test]
async fn zero_and_absent_mean_what_is_configured() {
    let setup = setup(json!({"idle_timeout": "60ms"})).await;
    let mut client = setup.client().await;
    for limit in [json!(0), json!(null)] {
        ok(client.call("TransactionBegin", json!({"tx_id": "t", "idle_timeout": limit})).await);
        eventually("it is rolled back", || async { setup.count(OPEN).await == 0 }).await;
        let request = json!({"tx_id": "t"});
        failed(client.call("TransactionCommit", request).await, "25P03");
    }
}

#[tokio::test]
async fn sessions_expire_alike() {
    let setup = setup(json!({})).await;
    let mut client = setup.client().await;
    let begin = json!({"session_id": "s", "idle_timeout": 60});
    ok(client.call("SessionBegin", begin).await);
    let temp = json!({"session_id": "s", "query": "CREATE TEMP TABLE mine (a int)"});
    ok(client.call("Execute", temp).await);
    eventually("it is ended", || async {
        let stats = setup.client().await.call("PoolStats", json!({})).await.unwrap();
        stats["stats"]["primary"]["sessions_open"] == 0
    })
    .await;
    let request = json!({"session_id": "s", "query": "SELECT 1"});
    failed(client.call("Execute", request).await, "25P03");
    ok(client.call("SessionBegin", json!({"session_id": "l", "max_lifetime": 60})).await);
    let long = json!({"session_id": "l", "query": "SELECT pg_sleep(60)"});
    failed(client.call("Execute", long).await, "25P04");
}

#[tokio::test]
async fn the_owners_leave_rolls_back_at_once() {
    let setup = setup(json!({})).await;
    let mut owner = setup.client().await;
    let mut other = setup.client().await;
    for n in 0..3 {
        ok(owner.call("TransactionBegin", json!({"tx_id": format!("t{n}")})).await);
        let query = format!("INSERT INTO t VALUES ({n})");
        // Through the other connection: who begins owns, not who uses.
        ok(other.call("Execute", json!({"tx_id": format!("t{n}"), "query": query})).await);
    }
    ok(other.call("TransactionBegin", json!({"tx_id": "others"})).await);
    ok(owner.call("SessionBegin", json!({"session_id": "s"})).await);
    ok(owner
        .call("Execute", json!({"session_id": "s", "query": "SELECT pg_advisory_lock(5)"}))
        .await);
    assert_eq!(setup.count(OPEN).await, 4);
    drop(owner);
    eventually("the owner's are gone, the other's is there", || async {
        setup.count(OPEN).await == 1
    })
    .await;
    let error = failed(other.call("TransactionCommit", json!({"tx_id": "t0"})).await, "25000");
    assert!(error.contains("has left"), "{error}");
    let stats = ok(other.call("PoolStats", json!({})).await)["stats"]["primary"].clone();
    assert_eq!((&stats["transactions_open"], &stats["sessions_open"]), (&json!(1), &json!(0)));
    ok(other.call("TransactionCommit", json!({"tx_id": "others"})).await);
    let reply = ok(other.execute("SELECT count(*) AS n FROM t", json!([])).await);
    assert_eq!(reply["rows"], json!([{"n": 0}]));
    let free = setup.db.client().await;
    let lock = "SELECT pg_try_advisory_lock(5)";
    eventually("its lock is free", || async { free.query_one(lock, &[]).await.unwrap().get(0) })
        .await;
}

#[tokio::test]
async fn the_owners_leave_cuts_a_call_of_somebody_else() {
    let setup = setup(json!({})).await;
    let mut owner = setup.client().await;
    let mut other = setup.client().await;
    ok(owner.call("TransactionBegin", json!({"tx_id": "t"})).await);
    let long = json!({"tx_id": "t", "query": "SELECT pg_sleep(60)"});
    other.send_json("Execute", &long).await.unwrap();
    let running = "wait_event = 'PgSleep'";
    eventually("it runs", || async { setup.count(running).await == 1 }).await;
    drop(owner);
    let (_, reply) = other.recv_json().await.unwrap();
    assert_eq!(reply["sqlstate"], "25000", "{reply}");
    eventually("it is cancelled", || async { setup.count(running).await == 0 }).await;
}
