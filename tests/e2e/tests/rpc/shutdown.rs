//! Stopping: everything goes on within the grace, then transactions are rolled back. And listening
//! on a Unix-domain socket.

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use e2e::{Setup, TestServer, config, eventually, failed, ok};
use serde_json::{Value, json};
use test_support::{FaultyLink, RpcClient, TestCluster};
use tokio::time::timeout;

/// Far longer than any test: who waits for it has failed.
const LONG_GRACE: &str = "10m";
const SOON: Duration = Duration::from_secs(10);

async fn setup(grace: &str) -> Setup {
    let setup = Setup::with(&json!({"shutdown": {"grace": grace}})).await;
    setup.db.batch("CREATE TABLE t (a int)").await;
    setup
}

#[tokio::test]
async fn within_the_grace_everything_works_on() {
    let Setup { server, db } = setup(LONG_GRACE).await;
    let mut client = server.client().await;
    ok(client.call("TransactionBegin", json!({"tx_id": "before"})).await);
    server.stop();
    for _ in 0..3 {
        let request = json!({"tx_id": "before", "query": "INSERT INTO t VALUES (1)"});
        ok(client.call("Execute", request).await);
        let mut newcomer = server.client().await;
        ok(newcomer.execute("SELECT 1", json!([])).await);
        ok(newcomer.call("HealthCheck", json!({})).await);
        ok(newcomer.call("TransactionBegin", json!({"tx_id": "after"})).await);
        ok(newcomer.call("TransactionCommit", json!({"tx_id": "after"})).await);
    }
    ok(client.call("TransactionCommit", json!({"tx_id": "before"})).await);
    drop(client);
    let address = server.address().to_owned();
    timeout(SOON, server.ended()).await.expect("it ends when nobody is connected");
    assert!(RpcClient::connect(&address).await.is_err());
    assert_eq!(db.count_backends("usename = 'app'").await, 0);
    let row = db.client().await.query_one("SELECT count(*) FROM t", &[]).await.unwrap();
    assert_eq!(row.get::<_, i64>(0), 3);
}

#[tokio::test]
async fn after_the_grace_transactions_are_rolled_back() {
    let Setup { server, db } = setup("300ms").await;
    let mut client = server.client().await;
    ok(client.call("TransactionBegin", json!({"tx_id": "t"})).await);
    ok(client.call("Execute", json!({"tx_id": "t", "query": "INSERT INTO t VALUES (1)"})).await);
    let mut busy = server.client().await;
    busy.send_json("Execute", &json!({"query": "SELECT pg_sleep(600)"})).await.unwrap();
    let started = Instant::now();
    server.stop();
    timeout(SOON, server.ended()).await.expect("it ends when the grace is over");
    assert!(started.elapsed() >= Duration::from_millis(300));
    assert!(client.is_closed_by_server().await);
    assert!(busy.is_closed_by_server().await || busy.is_closed_by_server().await);
    eventually("no backend is left", || async { db.count_backends("usename = 'app'").await == 0 })
        .await;
    let row = db.client().await.query_one("SELECT count(*) FROM t", &[]).await.unwrap();
    assert_eq!(row.get::<_, i64>(0), 0);
}

#[tokio::test]
async fn a_second_stop_ends_at_once() {
    let Setup { server, db } = setup(LONG_GRACE).await;
    let mut client = server.client().await;
    ok(client.call("TransactionBegin", json!({"tx_id": "t"})).await);
    ok(client.call("Execute", json!({"tx_id": "t", "query": "INSERT INTO t VALUES (1)"})).await);
    server.stop();
    ok(client.call("Execute", json!({"tx_id": "t", "query": "SELECT 1"})).await);
    server.stop();
    timeout(SOON, server.ended()).await.expect("it ends at once");
    assert_eq!(db.count_backends("usename = 'app' AND state LIKE 'idle in%'").await, 0);
}

#[tokio::test]
async fn a_database_that_does_not_answer_does_not_hold_up_the_end() {
    let db = TestCluster::shared().await.database().await;
    let port = TestCluster::shared().await.port();
    let link = FaultyLink::to(SocketAddr::from(([127, 0, 0, 1], port))).await;
    let dsn = db.dsn().replace(&format!(":{port}/"), &format!(":{}/", link.port()));
    let server = TestServer::start(&dsn, &json!({})).await;
    let mut client = server.client().await;
    ok(client.call("TransactionBegin", json!({"tx_id": "t"})).await);
    ok(client.execute("SELECT 1", json!([])).await);
    link.stall();
    client.send_json("Execute", &json!({"query": "SELECT 2"})).await.unwrap();
    server.stop();
    timeout(SOON, server.ended()).await.expect("it ends");
}

#[tokio::test]
async fn disabled_it_idles_without_listeners() {
    let config = config("postgres://nobody@127.0.0.1:1/x", &json!({"enabled": false}));
    let server = TestServer::start_on(1, config).await;
    assert_eq!(server.address(), "");
    server.stop();
    timeout(SOON, server.ended()).await.expect("it ends");
}

/// A configuration that listens on this path.
fn unix(dsn: &str, path: &std::path::Path, mode: &Value) -> rr_pgpool::config::Config {
    let listen = format!("unix://{}", path.display());
    config(dsn, &json!({"rpc": {"listen": listen, "file_mode": mode}}))
}

#[tokio::test]
async fn a_unix_socket_has_its_mode_and_goes_with_the_server() {
    let db = TestCluster::shared().await.database().await;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("rpc.sock");
    for (mode, bits) in [(json!("0600"), 0o600), (json!("0660"), 0o660), (json!("0666"), 0o666)] {
        let server = TestServer::start_on(1, unix(&db.dsn(), &path, &mode)).await;
        assert_eq!(server.address(), format!("unix://{}", path.display()));
        let permissions = std::fs::metadata(&path).unwrap().permissions();
        assert_eq!(permissions.mode() & 0o777, bits, "{mode}");
        let mut client = server.client().await;
        ok(client.execute("SELECT 1", json!([])).await);
        ok(client.call_msgpack("HealthCheck", json!({})).await);
        failed(client.execute("SELECT 1/0", json!([])).await, "22012");
        drop(client);
        server.stop();
        timeout(SOON, server.ended()).await.expect("it ends");
        assert!(!path.exists(), "the file is gone");
    }
}

#[tokio::test]
async fn a_stale_socket_file_is_replaced_and_a_live_one_is_not() {
    let db = TestCluster::shared().await.database().await;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("rpc.sock");
    // What a process that was killed leaves behind.
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    let mode = json!("0600");
    let server = TestServer::start_on(1, unix(&db.dsn(), &path, &mode)).await;
    ok(server.client().await.execute("SELECT 1", json!([])).await);
    let error = TestServer::try_start(1, unix(&db.dsn(), &path, &mode)).await.err().unwrap();
    let text = error.to_string();
    assert!(text.contains("is in use") && text.contains("process_num: 1"), "{text}");
    assert!(text.contains(path.to_str().unwrap()), "{text}");
    ok(server.client().await.execute("SELECT 1", json!([])).await);
}

#[tokio::test]
async fn what_is_no_socket_is_left_alone() {
    let db = TestCluster::shared().await.database().await;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("precious");
    std::fs::write(&path, "data").unwrap();
    let started = TestServer::try_start(1, unix(&db.dsn(), &path, &json!("0600"))).await;
    let text = started.err().unwrap().to_string();
    assert!(text.contains("no socket") && text.contains(path.to_str().unwrap()), "{text}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "data");
}

#[tokio::test]
async fn a_taken_port_is_told_with_what_to_do() {
    let setup = Setup::new().await;
    let more = json!({"rpc": {"listen": setup.server.address()}});
    let error = TestServer::try_start(1, config(&setup.db.dsn(), &more)).await.err().unwrap();
    let text = error.to_string();
    assert!(text.contains(setup.server.address()) && text.contains("process_num: 1"), "{text}");
}
