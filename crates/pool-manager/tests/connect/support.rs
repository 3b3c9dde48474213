//! What these tests share: parameters for a test cluster, and queries on a bare stream.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use pool_manager::Secret;
use pool_manager::connect::{ConnectError, Connected, Connector};
use pool_manager::dsn::{
    ChannelBinding, ConnectParams, Host, SslMode, SslNegotiation, TargetSessionAttrs,
};
use postgres_protocol::message::frontend;
use test_support::TestCluster;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// Role, password and database that every test cluster has.
pub(crate) const ROLE: &str = "app";
pub(crate) const PASSWORD: &str = "secret";

/// A TCP host on 127.0.0.1 under any name.
pub(crate) fn host(name: &str, port: u16) -> Host {
    Host::Tcp { host: name.to_owned(), addr: Some([127, 0, 0, 1].into()), port }
}

/// Plain TCP to a port of this machine.
pub(crate) fn params_for(port: u16) -> ConnectParams {
    ConnectParams {
        hosts: vec![host("127.0.0.1", port)],
        user: ROLE.to_owned(),
        password: Some(Secret::new(PASSWORD)),
        database: "app".to_owned(),
        ssl_mode: SslMode::Disable,
        ssl_root_cert: None,
        ssl_cert: None,
        ssl_key: None,
        ssl_negotiation: SslNegotiation::default(),
        channel_binding: ChannelBinding::Prefer,
        target_session_attrs: TargetSessionAttrs::Any,
        connect_timeout: Duration::from_secs(30),
        application_name: Some("connect-test".to_owned()),
        options: None,
        keepalives: true,
        keepalives_idle: Some(Duration::from_secs(60)),
    }
}

pub(crate) fn params(cluster: &TestCluster) -> ConnectParams {
    params_for(cluster.port())
}

pub(crate) async fn connect(params: ConnectParams) -> Result<Connected, ConnectError> {
    Connector::new(params)?.connect().await
}

/// The error of a connect that must fail; no secret may show in it.
pub(crate) async fn refusal(params: ConnectParams) -> ConnectError {
    let connector = Connector::new(params).expect("usable certificates");
    let error = connector.connect().await.expect_err("must not connect");
    let shown = format!("{connector:?} {error:?} {error}");
    assert!(!shown.contains(PASSWORD), "{shown}");
    error
}

/// Runs one simple query on a bare stream up to ReadyForQuery: the first column of its rows, or
/// the bytes of the ErrorResponse.
pub(crate) async fn query(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    sql: &str,
) -> Result<Vec<String>, String> {
    let mut request = BytesMut::new();
    frontend::query(sql, &mut request).unwrap();
    stream.write_all(&request).await.unwrap();
    stream.flush().await.unwrap();
    answer(stream).await
}

/// Reads messages up to ReadyForQuery.
pub(crate) async fn answer(stream: &mut (impl AsyncRead + Unpin)) -> Result<Vec<String>, String> {
    let (mut rows, mut error) = (Vec::new(), None);
    loop {
        let (tag, body) = message(stream).await;
        match tag {
            b'D' => rows.push(String::from_utf8(body[6..].to_vec()).unwrap()),
            b'E' => error = Some(String::from_utf8_lossy(&body).into_owned()),
            b'Z' => return error.map_or(Ok(rows), Err),
            _ => {}
        }
    }
}

/// Reads one message with a type byte.
pub(crate) async fn message(stream: &mut (impl AsyncRead + Unpin)) -> (u8, Bytes) {
    let tag = stream.read_u8().await.expect("a message");
    let length = stream.read_u32().await.expect("a length") as usize;
    let mut body = vec![0; length - 4];
    stream.read_exact(&mut body).await.expect("a body");
    (tag, body.into())
}

/// One value of one row.
pub(crate) async fn value(connected: &mut Connected, sql: &str) -> String {
    query(&mut connected.stream, sql).await.expect(sql).remove(0)
}
