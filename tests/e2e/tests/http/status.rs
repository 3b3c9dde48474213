//! /health, /ready and /live, as RoadRunner's status plugin has them.

use e2e::{Setup, TestServer, eventually, in_time, ok};
use serde_json::{Value, json};
use test_support::{StopMode, TestCluster, http_raw};

use crate::scrape::served;

#[tokio::test]
async fn a_healthy_server_says_so_in_roadrunners_words() {
    let setup = Setup::with(&served()).await;
    for path in ["/health", "/ready", "/health?plugin=pgpool", "/ready?plugin=pgpool"] {
        let reply = setup.server.get(path).await.unwrap();
        assert_eq!(
            (reply.status, reply.field("content-type")),
            (200, "application/json"),
            "{path}"
        );
        let expected = json!([{"plugin_name": "pgpool", "error_message": "", "status_code": 200}]);
        assert_eq!(serde_json::from_str::<Value>(&reply.body).unwrap(), expected);
    }
    assert_eq!(setup.server.get("/live").await.unwrap().status, 200);
    let reply = setup.server.get("/ready?plugin=pgpool&plugin=http").await.unwrap();
    assert_eq!(reply.status, 404);
    assert!(reply.body.contains("only pgpool"), "{}", reply.body);
    let text =
        b"GET /health HTTP/1.1\r\nHost: a\r\nAccept: text/plain\r\nConnection: close\r\n\r\n";
    let reply = http_raw(&setup.server.http_addresses()[0], text).await.unwrap();
    assert_eq!((reply.status, reply.body.as_str()), (200, "pgpool: 200\n"));
}

#[tokio::test]
async fn a_primary_that_is_gone_is_told_with_the_reason_until_it_is_back() {
    let cluster = TestCluster::start().await;
    let mut more = served();
    more["databases"] = json!({"shop": {"primary": {"dsn": cluster.dsn()}}});
    let server = TestServer::start(&cluster.dsn(), &more).await;
    assert_eq!(server.get("/ready").await.unwrap().status, 200);
    cluster.stop(StopMode::Fast).await;
    for path in ["/health", "/ready"] {
        eventually("it is told", || async { server.get(path).await.unwrap().status == 503 }).await;
        let reply = server.get(path).await.unwrap();
        let report: Value = serde_json::from_str(&reply.body).unwrap();
        assert_eq!(report[0]["status_code"], 503, "{report}");
        let reasons = report[0]["error_message"].as_str().unwrap();
        assert!(reasons.contains("primary: ") && reasons.contains("shop: "), "{reasons}");
        assert!(reasons.contains("127.0.0.1"), "{reasons}");
        assert!(!reasons.contains("secret"), "{reasons}");
    }
    assert_eq!(server.get("/live").await.unwrap().status, 200, "nobody should kill it for that");
    cluster.start_again().await;
    eventually("all is well again", || async { server.get("/ready").await.unwrap().status == 200 })
        .await;
}

#[tokio::test]
async fn while_draining_it_is_healthy_but_not_ready() {
    let mut more = served();
    more["shutdown"] = json!({"grace": "10m"});
    let setup = Setup::with(&more).await;
    let mut client = setup.client().await;
    ok(client.execute("SELECT 1", json!([])).await);
    assert_eq!(setup.server.get("/ready").await.unwrap().status, 200);
    setup.server.stop();
    eventually("it is not ready any more", || async {
        setup.server.get("/ready?plugin=pgpool").await.unwrap().status == 503
    })
    .await;
    let reply = setup.server.get("/ready").await.unwrap();
    assert!(reply.body.contains("shutting down"), "{}", reply.body);
    assert_eq!(setup.server.get("/health").await.unwrap().status, 200);
    assert_eq!(setup.server.get("/live").await.unwrap().status, 200);
    assert!(setup.server.get("/metrics").await.unwrap().body.contains("_draining 1"));
    ok(client.execute("SELECT 1", json!([])).await);
    drop(client);
    // A client of this door holds nothing up.
    let Setup { server, db } = setup;
    let idle =
        tokio::net::TcpStream::connect(server.http_addresses()[0].trim_start_matches("tcp://"))
            .await
            .unwrap();
    in_time("it ends when nobody is connected", server.ended()).await;
    drop((idle, db));
}
