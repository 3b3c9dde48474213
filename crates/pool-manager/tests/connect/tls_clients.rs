//! Client certificates and SCRAM's channel binding over TLS.

use pool_manager::connect::Connector;
use pool_manager::dsn::{ChannelBinding, ConnectParams, RootCert, SslMode};
use rcgen::{CertificateParams, KeyPair};
use tempfile::TempDir;
use test_support::{Auth, CertFiles, TestCa, TestCluster};

use crate::support::{connect, params, refusal, value};

fn with_certificate(cluster: &TestCluster, files: Option<&CertFiles>) -> ConnectParams {
    let mut wanted = params(cluster);
    wanted.ssl_mode = SslMode::Require;
    wanted.ssl_cert = files.map(|files| files.cert.clone());
    wanted.ssl_key = files.map(|files| files.key.clone());
    wanted
}

#[tokio::test]
async fn a_client_certificate_logs_its_role_in() {
    let ca = TestCa::new("authority");
    let server = ca.server(&["127.0.0.1"]);
    let cluster = TestCluster::builder()
        .tls(&server.cert, &server.key)
        .client_ca(ca.root_file())
        .auth(Auth::Cert)
        .start()
        .await;
    let own = ca.client("app");
    let mut wanted = with_certificate(&cluster, Some(&own));
    wanted.password = None;
    let mut connected = connect(wanted).await.unwrap();
    let sql = "SELECT client_dn FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
    assert!(value(&mut connected, sql).await.contains("CN=app"));

    let error = refusal(with_certificate(&cluster, None)).await;
    assert!(error.to_string().contains("requires a valid client certificate"), "{error}");
    assert_eq!(error.sqlstate().as_str(), "28000");

    let other_role = ca.client("somebody");
    let error = refusal(with_certificate(&cluster, Some(&other_role))).await;
    assert!(error.to_string().contains("certificate authentication failed"), "{error}");

    let foreign = TestCa::new("foreign");
    let stranger = foreign.client("app");
    let error = refusal(with_certificate(&cluster, Some(&stranger))).await;
    assert_eq!(error.sqlstate().as_str(), "08001", "{error}");
}

#[tokio::test]
async fn a_key_of_another_certificate_is_found_out_before_dialling() {
    let ca = TestCa::new("authority");
    let (one, two) = (ca.client("app"), ca.client("app"));
    let mut wanted = crate::support::params_for(1);
    wanted.ssl_mode = SslMode::Require;
    wanted.ssl_cert = Some(one.cert);
    wanted.ssl_key = Some(two.key);
    let error = Connector::new(wanted).unwrap_err();
    assert!(error.to_string().contains("the TLS configuration is not usable"), "{error}");
    assert_eq!(error.sqlstate().as_str(), "08001");
}

/// A server with a self-signed certificate, and the directory that holds it as `server.crt`.
async fn scram_server(algorithm: &'static rcgen::SignatureAlgorithm) -> (TestCluster, TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let key = KeyPair::generate_for(algorithm).unwrap();
    let certificate =
        CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap().self_signed(&key).unwrap();
    let files = (dir.path().join("server.crt"), dir.path().join("server.key"));
    std::fs::write(&files.0, certificate.pem()).unwrap();
    std::fs::write(&files.1, key.serialize_pem()).unwrap();
    (TestCluster::builder().tls(&files.0, &files.1).start().await, dir)
}

fn root(dir: &TempDir) -> Option<RootCert> {
    Some(RootCert::File(dir.path().join("server.crt")))
}

#[tokio::test]
async fn channel_binding_holds_for_every_hash_that_a_certificate_may_use() {
    for algorithm in [&rcgen::PKCS_ECDSA_P256_SHA256, &rcgen::PKCS_ECDSA_P384_SHA384] {
        let (cluster, dir) = scram_server(algorithm).await;
        for binding in [ChannelBinding::Require, ChannelBinding::Prefer, ChannelBinding::Disable] {
            let mut wanted = params(&cluster);
            wanted.ssl_mode = SslMode::VerifyFull;
            wanted.ssl_root_cert = root(&dir);
            wanted.channel_binding = binding;
            let mut connected = connect(wanted).await.unwrap();
            assert_eq!(value(&mut connected, "SELECT 1").await, "1", "{binding:?}");
        }
    }
}

#[tokio::test]
async fn demanded_channel_binding_refuses_servers_that_ask_for_less() {
    let (cluster, dir) = scram_server(&rcgen::PKCS_ECDSA_P256_SHA256).await;
    let mut wanted = params(&cluster);
    wanted.ssl_mode = SslMode::Require;
    wanted.ssl_root_cert = root(&dir);
    wanted.channel_binding = ChannelBinding::Require;
    for method in ["trust", "password"] {
        cluster.set_hba(&format!("hostssl all all 127.0.0.1/32 {method}"));
        let error = refusal(wanted.clone()).await;
        assert!(error.to_string().contains("server did not use channel binding"), "{error}");
    }
}

#[tokio::test]
async fn the_housekeeping_client_takes_the_same_way() {
    let (cluster, dir) = scram_server(&rcgen::PKCS_ECDSA_P256_SHA256).await;
    let mut wanted = params(&cluster);
    wanted.ssl_mode = SslMode::VerifyFull;
    wanted.ssl_root_cert = root(&dir);
    wanted.channel_binding = ChannelBinding::Require;
    let (client, driver) = Connector::new(wanted).unwrap().connect_client().await.unwrap();
    let driver = tokio::spawn(driver);
    let sql = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
    assert!(client.query_one(sql, &[]).await.unwrap().get::<_, bool>(0));
    let text: String = client.query_one("SELECT repeat('y', 2000000)", &[]).await.unwrap().get(0);
    assert_eq!(text.len(), 2_000_000);
    drop(client);
    driver.await.unwrap().unwrap();
}
