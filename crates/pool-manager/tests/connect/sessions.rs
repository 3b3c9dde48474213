//! What comes out of a successful connect, and the texts and codes of everyday failures.

use std::time::{Duration, Instant};

use pool_manager::connect::{ConnectCause, Connector, ServerStream};
use pool_manager::dsn::{ChannelBinding, Host};
use pool_manager::{Secret, SqlState};
use test_support::{Auth, TestCluster};

use crate::fake;
use crate::support::{connect, params, params_for, query, refusal, value};

#[tokio::test]
async fn queries_work_on_the_raw_stream_afterwards() {
    let cluster = TestCluster::shared().await;
    let mut connected = connect(params(cluster)).await.unwrap();
    assert!(matches!(connected.stream, ServerStream::Plain(_)));
    for n in 0..50 {
        assert_eq!(value(&mut connected, &format!("SELECT {n}")).await, n.to_string());
    }
    let error = query(&mut connected.stream, "SELECT 1/0").await.unwrap_err();
    assert!(error.contains("22012"), "{error}");
    assert_eq!(
        value(&mut connected, "SELECT pg_backend_pid()").await,
        connected.process_id.to_string()
    );
    assert_eq!(value(&mut connected, "SHOW application_name").await, "connect-test");
    // Terminate was not sent by tokio-postgres when it let go, or the server would have left.
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(value(&mut connected, "SELECT 'still here'").await, "still here");
}

#[tokio::test]
async fn every_parameter_status_is_recorded() {
    let cluster = TestCluster::shared().await;
    let mut wanted = params(cluster);
    wanted.options = Some("-c timezone=Asia/Tokyo -c datestyle=german".to_owned());
    wanted.application_name = None;
    let connected = connect(wanted).await.unwrap();
    let parameter = |name: &str| connected.parameters.get(name).map(String::as_str);
    assert_eq!(parameter("TimeZone"), Some("Asia/Tokyo"));
    assert_eq!(parameter("DateStyle"), Some("German, DMY"));
    assert_eq!(parameter("client_encoding"), Some("UTF8"));
    assert_eq!(parameter("in_hot_standby"), Some("off"));
    assert_eq!(parameter("session_authorization"), Some("app"));
    assert!(parameter("server_version").is_some());
}

#[tokio::test]
async fn unix_sockets_are_used_whatever_the_sslmode() {
    let cluster = TestCluster::shared().await;
    let mut wanted = params(cluster);
    wanted.hosts = vec![Host::Unix { dir: cluster.socket_dir().into(), port: cluster.port() }];
    wanted.ssl_mode = pool_manager::dsn::SslMode::VerifyFull;
    let mut connected = connect(wanted.clone()).await.unwrap();
    assert!(matches!(connected.stream, ServerStream::Unix(_)));
    assert_eq!(value(&mut connected, "SELECT 'socket'").await, "socket");

    wanted.hosts = vec![Host::Unix { dir: "/no/such/dir".into(), port: 1 }];
    assert_eq!(
        refusal(wanted).await.to_string(),
        "cannot connect to PostgreSQL at /no/such/dir/.s.PGSQL.1: No such file or directory"
    );
}

#[tokio::test]
async fn every_way_to_authenticate_works() {
    for auth in [Auth::Md5, Auth::Password, Auth::Trust] {
        let cluster = TestCluster::builder().auth(auth).start().await;
        let mut connected = connect(params(&cluster)).await.unwrap();
        assert_eq!(value(&mut connected, "SELECT current_user").await, "app", "{auth:?}");
    }
}

#[tokio::test]
async fn a_refused_connection_is_told_at_once() {
    let port = fake::dead_port().await;
    let start = Instant::now();
    let error = refusal(params_for(port)).await;
    assert!(start.elapsed() < Duration::from_secs(5));
    let expected = format!("cannot connect to PostgreSQL at 127.0.0.1:{port}: Connection refused");
    assert_eq!(error.to_string(), expected);
    assert_eq!(error.sqlstate(), SqlState::CANNOT_CONNECT);
}

#[tokio::test]
async fn the_servers_own_words_and_codes_pass_through() {
    let cluster = TestCluster::shared().await;
    let place = format!("cannot connect to PostgreSQL at 127.0.0.1:{}", cluster.port());

    let mut wrong = params(cluster);
    wrong.password = Some(Secret::new("wrong"));
    let error = refusal(wrong).await;
    let expected = format!("{place}: password authentication failed for user \"app\"");
    assert_eq!(error.to_string(), expected);
    assert_eq!(error.sqlstate(), SqlState::INVALID_PASSWORD);

    let mut wrong = params(cluster);
    wrong.database = "nowhere".to_owned();
    let error = refusal(wrong).await;
    assert_eq!(error.to_string(), format!("{place}: database \"nowhere\" does not exist"));
    assert_eq!(error.sqlstate(), SqlState::UNKNOWN_DATABASE);
    assert_eq!(error.server_error().unwrap().severity, "FATAL");

    let mut wrong = params(cluster);
    wrong.password = None;
    let error = refusal(wrong).await;
    let expected = format!("{place}: the server asks for a password and none is configured");
    assert_eq!(error.to_string(), expected);
    assert_eq!(error.sqlstate(), SqlState::INVALID_PASSWORD);

    let mut wrong = params(cluster);
    wrong.options = Some("-c no_such_setting=1".to_owned());
    let error = refusal(wrong).await;
    assert!(error.to_string().contains("no_such_setting"), "{error}");
    assert_eq!(error.sqlstate().as_str(), "42704");
}

#[tokio::test]
async fn a_full_server_is_53300() {
    let cluster = TestCluster::builder()
        .setting("max_connections = 5")
        .setting("superuser_reserved_connections = 0")
        .start()
        .await;
    let connector = Connector::new(params(&cluster)).unwrap();
    let mut held = Vec::new();
    let error = loop {
        match connector.connect().await {
            Ok(connected) => held.push(connected),
            Err(error) => break error,
        }
        assert!(held.len() <= 5);
    };
    assert_eq!(error.sqlstate(), SqlState::TOO_MANY_CONNECTIONS);
    assert!(error.to_string().contains("too many clients"), "{error}");
}

#[tokio::test]
async fn channel_binding_cannot_be_had_without_tls() {
    let mut wanted = params(TestCluster::shared().await);
    wanted.channel_binding = ChannelBinding::Require;
    let error = refusal(wanted).await;
    assert!(
        error.to_string().contains("authentication failed: server did not use channel binding")
    );
    assert!(matches!(error.failures()[0].cause, ConnectCause::Authentication(_)));
}

#[tokio::test]
async fn neither_key_nor_password_show_in_debug_output() {
    let cluster = TestCluster::shared().await;
    let connector = Connector::new(params(cluster)).unwrap();
    let connected = connector.connect().await.unwrap();
    let shown = format!("{connector:?} {connected:?} {:?}", connected.cancel);
    assert!(!shown.contains("secret"), "{shown}");
    assert!(!shown.contains(&format!("{}", connected.process_id)), "{shown}");
    assert!(shown.contains(&cluster.port().to_string()), "{shown}");
}

#[tokio::test]
async fn a_dropped_connect_leaves_no_session_behind() {
    let database = TestCluster::shared().await.database().await;
    let mut wanted = params(database.cluster());
    wanted.database = database.name().to_owned();
    let connector = Connector::new(wanted).unwrap();
    for micros in (0..3000).step_by(150) {
        let limit = Duration::from_micros(micros);
        let _ = tokio::time::timeout(limit, connector.connect()).await;
    }
    let deadline = Instant::now() + Duration::from_secs(10);
    while database.count_backends("true").await > 0 {
        assert!(Instant::now() < deadline, "a session was left behind");
    }
}
