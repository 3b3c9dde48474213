//! Cancelling by a second socket: it works over every kind of stream, and returns only when the
//! server is done with it.

use std::io;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use pool_manager::connect::{Connected, Connector};
use pool_manager::dsn::{ConnectParams, Host, RootCert, SslMode};
use postgres_protocol::message::frontend;
use test_support::{TestCa, TestCluster};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

use crate::fake::{read_first, welcome};
use crate::support::{answer, connect, params, params_for, value};

async fn cancels_a_sleep(wanted: ConnectParams) {
    let Connected { mut stream, cancel, .. } = connect(wanted).await.unwrap();
    let mut request = BytesMut::new();
    frontend::query("SELECT pg_sleep(60)", &mut request).unwrap();
    stream.write_all(&request).await.unwrap();
    stream.flush().await.unwrap();
    let start = Instant::now();
    let outcome = loop {
        // A request that comes before the statement has begun hits nothing, so it is repeated.
        cancel.cancel().await.unwrap();
        let wait = tokio::time::timeout(Duration::from_millis(500), answer(&mut stream));
        if let Ok(outcome) = wait.await {
            break outcome;
        }
    };
    assert!(outcome.unwrap_err().contains("57014"));
    assert!(start.elapsed() < Duration::from_secs(30));
}

#[tokio::test]
async fn over_tcp_and_unix_sockets() {
    let cluster = TestCluster::shared().await;
    cancels_a_sleep(params(cluster)).await;
    let mut wanted = params(cluster);
    wanted.hosts = vec![Host::Unix { dir: cluster.socket_dir().into(), port: cluster.port() }];
    cancels_a_sleep(wanted).await;
}

#[tokio::test]
async fn over_tls_when_the_session_is() {
    let ca = TestCa::new("cancel authority");
    let files = ca.server(&["127.0.0.1"]);
    let cluster = TestCluster::builder().tls(&files.cert, &files.key).tls_only().start().await;
    let mut wanted = params(&cluster);
    wanted.ssl_mode = SslMode::VerifyFull;
    wanted.ssl_root_cert = Some(RootCert::File(ca.root_file()));
    cancels_a_sleep(wanted).await;
}

#[tokio::test]
async fn an_idle_session_survives_a_cancel() {
    let mut connected = connect(params(TestCluster::shared().await)).await.unwrap();
    for _ in 0..20 {
        connected.cancel.cancel().await.unwrap();
    }
    // Signals may still be under way within the server: at most one statement is hit, then none.
    let mut hits = 0;
    while crate::support::query(&mut connected.stream, "SELECT 1").await.is_err() {
        hits += 1;
        assert!(hits < 20);
    }
    assert_eq!(value(&mut connected, "SELECT 2").await, "2");
}

/// Accepts one session and then hands the cancel socket's request to the test.
#[tokio::test]
async fn it_waits_for_the_servers_end_and_sends_nothing_but_the_key() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let wanted = params_for(listener.local_addr().unwrap().port());
    let server = tokio::spawn(async move {
        let (mut session, _) = listener.accept().await.unwrap();
        read_first(&mut session).await;
        session.write_all(&welcome(&[])).await.unwrap();
        let (mut cancel, _) = listener.accept().await.unwrap();
        let request = read_first(&mut cancel).await;
        tokio::time::sleep(Duration::from_millis(200)).await;
        (request, session)
    });
    let connected = connect(wanted).await.unwrap();
    let start = Instant::now();
    connected.cancel.cancel().await.unwrap();
    assert!(start.elapsed() >= Duration::from_millis(200), "it waited for the end");
    let (request, _session) = server.await.unwrap();
    let expected: Vec<u8> = [80_877_102_u32, 7, 8].into_iter().flat_map(u32::to_be_bytes).collect();
    assert_eq!(request, expected);
}

#[tokio::test]
async fn it_gives_up_after_its_timeout_and_needs_a_key() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            if held.is_empty() {
                read_first(&mut stream).await;
                stream.write_all(&welcome(&[])).await.unwrap();
            }
            held.push(stream);
        }
    });
    let connected = connect(params_for(port)).await.unwrap();
    tokio::time::pause();
    let error = connected.cancel.cancel().await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    tokio::time::resume();
    server.abort();

    let no_key = [crate::fake::message(b'R', &[0; 4]), crate::fake::message(b'Z', b"I")].concat();
    let port = crate::fake::says(no_key).await;
    let connected = Connector::new(params_for(port)).unwrap().connect().await.unwrap();
    assert_eq!(connected.process_id, 0);
    let error = connected.cancel.cancel().await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::Unsupported);
}
