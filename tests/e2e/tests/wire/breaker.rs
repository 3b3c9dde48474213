//! `features.circuit_breaker` at the PostgreSQL door: a client gets its error at once and stays.

use e2e::{Linked, TestServer, eventually, in_time};
use serde_json::{Value, json};
use test_support::wire::message::{bind, execute, parse, query, sync};
use test_support::wire::summary;
use test_support::{StopMode, TestCluster, WireClient};

use crate::talk::{ask, refused, say};

fn breaker(timeout: &str, mode: &str) -> Value {
    json!({
        "features": {"circuit_breaker": {"enabled": true, "threshold": 2, "timeout": timeout}},
        "backends": {"primary": {"behavior": {"mode": mode}}},
    })
}

/// Asks until the breaker answers.
async fn opened(client: &mut WireClient) {
    let asked = async {
        loop {
            let replies = client.query("SELECT 1").await.unwrap();
            let fault = test_support::wire::errors(&replies).pop();
            if fault.is_some_and(|fault| fault.message().contains("circuit breaker")) {
                return;
            }
        }
    };
    in_time("the breaker is open", asked).await;
}

#[tokio::test]
async fn queries_batches_and_logins_are_answered_at_once_without_dialling() {
    let linked = Linked::with(&breaker("1h", "transaction")).await;
    linked.setup.db.batch("CREATE TABLE t (a int)").await;
    let mut client = linked.server.wire().await;
    linked.link.refuse(true);
    linked.link.reset_all();
    opened(&mut client).await;
    linked.link.refuse(false);
    let dialled = linked.link.counters().connections;
    let fault = refused(&mut client, "INSERT INTO t VALUES (1)").await;
    assert_eq!((fault.severity(), fault.code()), ("ERROR", "08001"));
    assert!(fault.message().contains("pool \"primary\""), "{fault}");
    assert!(fault.message().contains("next try in 3"), "about an hour, in ms: {fault}");
    let batch = [parse("", "INSERT INTO t VALUES (1)"), bind("", "", &[]), execute("", 0), sync()];
    assert_eq!(say(&mut client, &batch).await, "E(08001) Z(I)");
    // What was sent behind a BEGIN does not run without it.
    let pipeline = [query("BEGIN"), query("INSERT INTO t VALUES (1)"), query("COMMIT")];
    client.send_all(&pipeline).await.unwrap();
    for _ in 0..3 {
        assert_eq!(summary(&client.until_ready().await.unwrap()), "E(08001) Z(I)");
    }
    let error = linked.server.wire_with(&[("TimeZone", "Asia/Tokyo")]).await.err().unwrap();
    assert!(error.to_string().contains("circuit breaker"), "{error}");
    assert_eq!(linked.link.counters().connections, dialled, "nobody was asked");
    let rows = linked.setup.wire().await.rows("SELECT count(*) FROM t").await;
    assert_eq!(rows, ["0"], "nothing was executed");
}

#[tokio::test]
async fn the_same_client_goes_on_when_the_server_is_back() {
    for mode in ["transaction", "session", "statement", "auto"] {
        let cluster = TestCluster::start().await;
        let server = TestServer::start(&cluster.dsn(), &breaker("50ms", mode)).await;
        let mut client = server.wire().await;
        cluster.stop(StopMode::Fast).await;
        opened(&mut client).await;
        cluster.start_again().await;
        let answered = async {
            let mut answer = String::new();
            while answer != "T D(1) C(SELECT 1) Z(I)" {
                answer = ask(&mut client, "SELECT 1").await;
                let known = answer.starts_with("E(08001)") || answer.starts_with("T ");
                assert!(known, "{mode}: {answer}");
            }
        };
        in_time("it serves again", answered).await;
        eventually("closed", || async {
            let stats = server.client().await.call("PoolStats", json!({})).await.unwrap();
            stats["stats"]["primary"]["breaker"] == "closed"
        })
        .await;
    }
}
