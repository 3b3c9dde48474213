//! Where HTTP is served, and what becomes of requests that ask for something else, or too much.

use std::os::unix::fs::PermissionsExt;

use e2e::{Setup, TestServer, config, eventually};
use serde_json::json;
use test_support::{TestCluster, http_get, http_raw};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::scrape::served;

#[tokio::test]
async fn one_address_serves_both_and_two_serve_one_each() {
    let both = Setup::with(&served()).await;
    assert_eq!(both.server.http_addresses().len(), 1);
    for path in ["/metrics", "/health", "/", "/status.json"] {
        assert_eq!(both.server.get(path).await.unwrap().status, 200, "{path}");
    }
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("status.sock");
    let mut more = served();
    more["monitoring"]["status"]["address"] = format!("unix://{}", socket.display()).into();
    more["monitoring"]["file_mode"] = "0660".into();
    let apart = Setup::with(&more).await;
    let [metrics, status] = apart.server.http_addresses() else { panic!("two addresses") };
    for (address, path, expected) in [
        (metrics, "/metrics", 200),
        (metrics, "/health", 404),
        (metrics, "/", 404),
        (status, "/health", 200),
        (status, "/", 200),
        (status, "/metrics", 404),
    ] {
        let reply = http_get(address, path).await.unwrap();
        assert_eq!(reply.status, expected, "{path} at {address}: {}", reply.body);
    }
    let hint = http_get(metrics, "/health").await.unwrap().body;
    assert!(hint.contains("/metrics") && hint.contains("monitoring.status"), "{hint}");
    assert_eq!(socket.metadata().unwrap().permissions().mode() & 0o777, 0o660);
}

#[tokio::test]
async fn nothing_listens_unless_it_is_wanted() {
    for monitoring in [
        json!({}),
        json!({"enabled": false, "prometheus": {"enabled": true}, "status": {"address": ":0"}}),
    ] {
        let setup = Setup::with(&json!({"monitoring": monitoring})).await;
        assert!(setup.server.http_addresses().is_empty());
    }
    let mut more = served();
    more["enabled"] = json!(false);
    let server = TestServer::start("postgres://u@127.0.0.1:1/d", &more).await;
    assert!(server.http_addresses().is_empty());
}

#[tokio::test]
async fn an_address_in_use_is_told_with_its_key() {
    let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let db = TestCluster::shared().await.database().await;
    let more = json!({"monitoring": {"status": {"address": address}}});
    let error = TestServer::try_start(1, config(&db.dsn(), &more)).await.err().unwrap().to_string();
    assert!(error.contains("pgpool.monitoring.status.address"), "{error}");
    assert!(error.contains(&address), "{error}");
}

#[tokio::test]
async fn other_methods_and_paths_are_refused_with_a_hint() {
    let setup = Setup::with(&served()).await;
    let address = &setup.server.http_addresses()[0];
    let request = |method: &str, path: &str| {
        format!(
            "{method} {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc"
        )
    };
    for path in ["/metrics", "/", "/health"] {
        let reply = http_raw(address, request("POST", path).as_bytes()).await.unwrap();
        assert_eq!((reply.status, reply.field("allow")), (405, "GET, HEAD"), "{path}");
        assert!(reply.body.contains("GET"), "{}", reply.body);
    }
    let reply = http_get(address, "/metric").await.unwrap();
    assert_eq!(reply.status, 404);
    assert!(reply.body.contains("/metrics") && reply.body.contains("/health"), "{}", reply.body);
    let head = b"HEAD /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    let reply = http_raw(address, head).await.unwrap();
    assert_eq!((reply.status, reply.body.as_str()), (200, ""));
    assert!(reply.field("content-length").parse::<usize>().unwrap() > 1000);
}

#[tokio::test]
async fn a_request_may_not_be_large_and_clients_not_be_many() {
    let setup = Setup::with(&served()).await;
    let address = &setup.server.http_addresses()[0];
    for request in [
        format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(100_000)),
        format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "x".repeat(100_000)),
        format!("GET / HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(1000)),
    ] {
        let refused = match http_raw(address, request.as_bytes()).await {
            Ok(reply) => (400..500).contains(&reply.status),
            // The end may come before all of it was taken.
            Err(_) => true,
        };
        assert!(refused);
    }
    let tcp = address.trim_start_matches("tcp://");
    let mut many = Vec::new();
    for _ in 0..64 {
        many.push(tokio::net::TcpStream::connect(tcp).await.unwrap());
    }
    // Each of these has its place when it is answered.
    for client in &mut many {
        client.write_all(b"GET /live HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
        let mut begin = [0; 12];
        client.read_exact(&mut begin).await.unwrap();
        assert_eq!(&begin, b"HTTP/1.1 200");
    }
    assert!(http_get(address, "/live").await.is_err(), "there is no place left");
    many.truncate(10);
    eventually("there is one again", || async { http_get(address, "/live").await.is_ok() }).await;
}
