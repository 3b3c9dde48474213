//! Several hosts and addresses, and which of them will do.

use std::time::{Duration, Instant};

use pool_manager::SqlState;
use pool_manager::connect::ConnectCause;
use pool_manager::dsn::{Host, TargetSessionAttrs};
use test_support::TestCluster;

use crate::fake::{self, welcome};
use crate::support::{connect, host, params, params_for, refusal, value};

const STANDBY: [(&str, &str); 2] =
    [("in_hot_standby", "on"), ("default_transaction_read_only", "off")];
const PRIMARY: [(&str, &str); 2] =
    [("in_hot_standby", "off"), ("default_transaction_read_only", "off")];

fn port_of(host: &Host) -> u16 {
    match host {
        Host::Tcp { port, .. } | Host::Unix { port, .. } => *port,
    }
}

#[tokio::test]
async fn a_dead_first_host_is_passed_over() {
    let cluster = TestCluster::shared().await;
    let mut wanted = params(cluster);
    wanted.hosts.insert(0, host("127.0.0.1", fake::dead_port().await));
    wanted.hosts.insert(1, Host::Tcp { host: "no-such-host.invalid".into(), addr: None, port: 1 });
    let mut connected = connect(wanted).await.unwrap();
    assert_eq!(port_of(&connected.host), cluster.port());
    assert_eq!(value(&mut connected, "SELECT 1").await, "1");
}

#[tokio::test]
async fn every_address_of_a_name_is_tried() {
    let cluster = TestCluster::shared().await;
    let mut wanted = params(cluster);
    // The test server listens on 127.0.0.1 only; `localhost` may be ::1 first.
    wanted.hosts = vec![Host::Tcp { host: "localhost".into(), addr: None, port: cluster.port() }];
    connect(wanted).await.unwrap();
}

#[tokio::test]
async fn when_all_fail_every_cause_is_told() {
    let cluster = TestCluster::shared().await;
    let dead = fake::dead_port().await;
    let mut wanted = params(cluster);
    wanted.database = "nowhere".to_owned();
    wanted.hosts.insert(0, host("first", dead));
    wanted.hosts.push(Host::Tcp { host: "no-such-host.invalid".into(), addr: None, port: 5432 });
    let error = refusal(wanted).await;
    let text = error.to_string();
    for part in [
        format!("cannot connect to PostgreSQL: first:{dead} (127.0.0.1): Connection refused; "),
        format!("127.0.0.1:{}: database \"nowhere\" does not exist; ", cluster.port()),
        "no-such-host.invalid:5432: cannot resolve the host name: ".to_owned(),
    ] {
        assert!(text.contains(&part), "{text}");
    }
    assert_eq!(error.sqlstate(), SqlState::UNKNOWN_DATABASE);
    assert_eq!(error.failures().len(), 3);
}

#[tokio::test]
async fn a_host_that_hangs_costs_one_timeout() {
    let cluster = TestCluster::shared().await;
    let silent = fake::serve(|stream| async move {
        tokio::time::sleep(Duration::from_secs(60)).await;
        drop(stream);
    })
    .await;
    let mut wanted = params(cluster);
    wanted.connect_timeout = Duration::from_millis(700);
    wanted.hosts.insert(0, host("127.0.0.1", silent));
    let start = Instant::now();
    let connected = connect(wanted).await.unwrap();
    assert_eq!(port_of(&connected.host), cluster.port());
    assert!(start.elapsed() >= Duration::from_millis(700));
}

#[tokio::test]
async fn refused_authentication_ends_the_search() {
    let cluster = TestCluster::shared().await;
    let mut wanted = params(cluster);
    wanted.user = "stranger".to_owned();
    wanted.hosts.push(host("127.0.0.1", fake::says(welcome(&PRIMARY)).await));
    let error = refusal(wanted).await;
    assert_eq!(error.failures().len(), 1, "{error}");
    assert_eq!(error.sqlstate(), SqlState::INVALID_PASSWORD);
}

#[tokio::test]
async fn read_write_passes_over_standbys_and_read_only_servers() {
    let primary = TestCluster::shared().await;
    let standby = fake::says(welcome(&STANDBY)).await;
    let read_only =
        TestCluster::builder().setting("default_transaction_read_only = on").start().await;
    let mut wanted = params(primary);
    wanted.hosts =
        [standby, read_only.port(), primary.port()].map(|port| host("127.0.0.1", port)).to_vec();
    for (attrs, port) in [
        (TargetSessionAttrs::Any, standby),
        (TargetSessionAttrs::ReadWrite, primary.port()),
        (TargetSessionAttrs::ReadOnly, standby),
        (TargetSessionAttrs::Primary, read_only.port()),
        (TargetSessionAttrs::Standby, standby),
        (TargetSessionAttrs::PreferStandby, standby),
    ] {
        wanted.target_session_attrs = attrs;
        let connected = connect(wanted.clone()).await.unwrap();
        assert_eq!(port_of(&connected.host), port, "{attrs:?}");
    }
    wanted.target_session_attrs = TargetSessionAttrs::ReadWrite;
    wanted.hosts.pop();
    let error = refusal(wanted).await;
    let text = error.to_string();
    assert!(text.contains("target_session_attrs=read-write is not met: the server is a standby"));
    assert!(text.contains("the server's transactions are read-only by default"), "{text}");
    assert!(matches!(error.failures()[0].cause, ConnectCause::Unsuitable { .. }));
    assert_eq!(error.sqlstate(), SqlState::CANNOT_CONNECT);
}

#[tokio::test]
async fn prefer_standby_takes_a_standby_first_and_anything_second() {
    let dead = fake::dead_port().await;
    let primary = fake::says(welcome(&PRIMARY)).await;
    let standby = fake::says(welcome(&STANDBY)).await;
    let mut wanted = params_for(dead);
    wanted.target_session_attrs = TargetSessionAttrs::PreferStandby;
    for (hosts, chosen) in [
        (vec![dead, primary, standby], standby),
        (vec![standby, primary], standby),
        (vec![dead, primary], primary),
    ] {
        wanted.hosts = hosts.into_iter().map(|port| host("127.0.0.1", port)).collect();
        let connected = connect(wanted.clone()).await.unwrap();
        assert_eq!(port_of(&connected.host), chosen);
    }
    wanted.hosts = vec![host("127.0.0.1", dead)];
    assert!(refusal(wanted).await.to_string().ends_with(": Connection refused"));
}

#[tokio::test]
async fn servers_before_14_are_refused_by_name() {
    let old = fake::says(welcome(&[("server_version", "13.4")])).await;
    let mut wanted = params_for(old);
    wanted.target_session_attrs = TargetSessionAttrs::ReadWrite;
    let text = refusal(wanted).await.to_string();
    assert!(text.contains("does not report its state (PostgreSQL 14 or later does)"), "{text}");
}
