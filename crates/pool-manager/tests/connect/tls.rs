//! Which `sslmode` leads to TLS, and which server certificates are believed.

use std::path::{Path, PathBuf};

use pool_manager::dsn::{ChannelBinding, ConnectParams, RootCert, SslMode, SslNegotiation};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, KeyPair};
use test_support::{TestCa, TestCluster};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::{connect, host, params, refusal, value};

const MODES: [SslMode; 6] = [
    SslMode::Disable,
    SslMode::Allow,
    SslMode::Prefer,
    SslMode::Require,
    SslMode::VerifyCa,
    SslMode::VerifyFull,
];

fn verifying(cluster: &TestCluster, mode: SslMode, root: &Path) -> ConnectParams {
    let mut wanted = params(cluster);
    wanted.ssl_mode = mode;
    wanted.ssl_root_cert = Some(RootCert::File(root.to_path_buf()));
    wanted
}

/// Whether the session is encrypted, as both sides see it.
async fn is_tls(wanted: ConnectParams) -> bool {
    let mut connected = connect(wanted).await.unwrap();
    let sql = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
    let seen = value(&mut connected, sql).await == "t";
    assert_eq!(connected.stream.is_tls(), seen);
    seen
}

#[tokio::test]
async fn all_modes_against_a_server_without_tls() {
    let ca = TestCa::new("authority");
    let cluster = TestCluster::shared().await;
    for mode in MODES {
        let wanted = verifying(cluster, mode, &ca.root_file());
        if matches!(mode, SslMode::Disable | SslMode::Allow | SslMode::Prefer) {
            assert!(!is_tls(wanted).await, "{mode:?}");
        } else {
            let text = refusal(wanted).await.to_string();
            assert!(text.contains("the server does not offer TLS, which sslmode="), "{text}");
        }
    }
}

#[tokio::test]
async fn all_modes_against_a_server_with_tls() {
    let ca = TestCa::new("authority");
    let files = ca.server(&["127.0.0.1"]);
    let cluster = TestCluster::builder().tls(&files.cert, &files.key).start().await;
    for mode in MODES {
        let expected = !matches!(mode, SslMode::Disable | SslMode::Allow);
        assert_eq!(is_tls(verifying(&cluster, mode, &ca.root_file())).await, expected, "{mode:?}");
    }
    // Large results cross the TLS stream whole.
    let mut connected =
        connect(verifying(&cluster, SslMode::VerifyFull, &ca.root_file())).await.unwrap();
    let text = value(&mut connected, "SELECT repeat('x', 3000000)").await;
    assert_eq!(text.len(), 3_000_000);
}

#[tokio::test]
async fn all_modes_where_pg_hba_wants_one_kind_only() {
    let ca = TestCa::new("authority");
    let files = ca.server(&["127.0.0.1"]);
    let tls_only = TestCluster::builder().tls(&files.cert, &files.key).tls_only().start().await;
    for mode in MODES {
        let wanted = verifying(&tls_only, mode, &ca.root_file());
        if mode == SslMode::Disable {
            let error = refusal(wanted).await;
            assert_eq!(error.sqlstate().as_str(), "28000");
            assert!(error.to_string().contains("no encryption"), "{error}");
        } else {
            assert!(is_tls(wanted).await, "{mode:?}");
        }
    }
    tls_only.set_hba("hostnossl all all 127.0.0.1/32 scram-sha-256");
    for mode in MODES {
        let wanted = verifying(&tls_only, mode, &ca.root_file());
        if matches!(mode, SslMode::Disable | SslMode::Allow | SslMode::Prefer) {
            assert!(!is_tls(wanted).await, "{mode:?}");
        } else {
            assert_eq!(refusal(wanted).await.sqlstate().as_str(), "28000");
        }
    }
    tls_only.set_hba("");
    for mode in [SslMode::Allow, SslMode::Prefer] {
        let error = refusal(verifying(&tls_only, mode, &ca.root_file())).await;
        let text = error.to_string();
        assert!(text.contains("with TLS: no pg_hba.conf entry"), "{text}");
        assert!(text.contains("; without TLS: no pg_hba.conf entry"), "{text}");
        assert_eq!(error.sqlstate().as_str(), "28000");
    }
}

#[tokio::test]
async fn a_wrong_password_is_shown_once() {
    let ca = TestCa::new("authority");
    let files = ca.server(&["127.0.0.1"]);
    let cluster = TestCluster::builder().tls(&files.cert, &files.key).start().await;
    for mode in [SslMode::Allow, SslMode::Prefer] {
        let before = cluster.log().matches("password authentication failed").count();
        let mut wanted = verifying(&cluster, mode, &ca.root_file());
        wanted.password = Some(pool_manager::Secret::new("wrong"));
        assert_eq!(refusal(wanted).await.sqlstate().as_str(), "28P01");
        let after = cluster.log().matches("password authentication failed").count();
        assert_eq!(after - before, 1, "{mode:?}");
    }
}

#[tokio::test]
async fn prefer_goes_on_without_tls_when_the_handshake_fails() {
    let port = crate::fake::serve(|mut stream| async move {
        let bytes = match crate::fake::read_first(&mut stream).await.as_slice() {
            [0x04, 0xd2, 0x16, 0x2f] => b"Sno handshake".to_vec(),
            _ => crate::fake::welcome(&[("server_version", "15.0")]),
        };
        stream.write_all(&bytes).await.unwrap();
        let _ = stream.read_to_end(&mut Vec::new()).await;
    })
    .await;
    let mut wanted = crate::support::params_for(port);
    wanted.ssl_mode = SslMode::Prefer;
    // On a task of its own: connecting must not tie its caller to a thread.
    let connected = tokio::spawn(connect(wanted.clone())).await.unwrap().unwrap();
    assert!(!connected.stream.is_tls());
    wanted.ssl_mode = SslMode::Require;
    assert!(refusal(wanted).await.to_string().contains("TLS failed"));
}

#[tokio::test]
async fn tls_1_2_will_do() {
    let ca = TestCa::new("authority");
    let files = ca.server(&["127.0.0.1"]);
    let cluster = TestCluster::builder()
        .tls(&files.cert, &files.key)
        .setting("ssl_max_protocol_version = 'TLSv1.2'")
        .start()
        .await;
    let mut wanted = verifying(&cluster, SslMode::VerifyFull, &ca.root_file());
    wanted.channel_binding = ChannelBinding::Require;
    let mut connected = connect(wanted).await.unwrap();
    let sql = "SELECT version FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
    assert_eq!(value(&mut connected, sql).await, "TLSv1.2");
}

#[tokio::test]
async fn the_systems_roots_are_believed_for_the_right_name() {
    if let Ok(port) = std::env::var("CONNECT_TEST_PORT") {
        return believe_the_systems_roots(port.parse().unwrap()).await;
    }
    let ca = TestCa::new("authority");
    let files = ca.server(&["db.example.test"]);
    let cluster = TestCluster::builder().tls(&files.cert, &files.key).start().await;
    // The system's store is chosen by environment variables, which are fixed for a process: this
    // very test, in a process of its own.
    let child = tokio::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "tls::the_systems_roots_are_believed_for_the_right_name"])
        .env("SSL_CERT_FILE", ca.root_file())
        .env("CONNECT_TEST_PORT", cluster.port().to_string())
        .output()
        .await
        .unwrap();
    let said = String::from_utf8_lossy(&child.stdout);
    assert!(child.status.success() && said.contains("1 passed"), "{said}");
}

async fn believe_the_systems_roots(port: u16) {
    let mut wanted = crate::support::params_for(port);
    wanted.ssl_mode = SslMode::VerifyFull;
    wanted.ssl_root_cert = Some(RootCert::System);
    wanted.hosts = vec![host("db.example.test", port)];
    assert!(is_tls(wanted.clone()).await);
    wanted.hosts = vec![host("other.example.test", port)];
    assert!(refusal(wanted).await.to_string().contains("not valid for name"));
}

#[tokio::test]
async fn names_matter_for_verify_full_only() {
    let ca = TestCa::new("authority");
    let files = ca.server(&["db.example.test", "*.pool.example.test"]);
    let cluster = TestCluster::builder().tls(&files.cert, &files.key).start().await;
    for (name, good) in [
        ("db.example.test", true),
        ("DB.example.test", true),
        ("a.pool.example.test", true),
        ("a.b.pool.example.test", false),
        ("other.example.test", false),
        ("127.0.0.1", false),
    ] {
        for mode in [SslMode::Require, SslMode::VerifyCa, SslMode::VerifyFull] {
            let mut wanted = verifying(&cluster, mode, &ca.root_file());
            wanted.hosts = vec![host(name, cluster.port())];
            if good || mode != SslMode::VerifyFull {
                assert!(is_tls(wanted).await, "{name} {mode:?}");
            } else {
                let text = refusal(wanted).await.to_string();
                assert!(text.contains("TLS failed") && text.contains("not valid for name"));
            }
        }
    }
    // What cannot stand in a certificate is no obstacle where names are not checked.
    let mut wanted = verifying(&cluster, SslMode::VerifyCa, &ca.root_file());
    wanted.hosts = vec![host("not a name", cluster.port())];
    assert!(is_tls(wanted.clone()).await);
    wanted.ssl_mode = SslMode::VerifyFull;
    assert!(refusal(wanted).await.to_string().contains("TLS failed"));
}

#[tokio::test]
async fn a_foreign_authority_is_not_believed() {
    let (ca, foreign) = (TestCa::new("authority"), TestCa::new("authority"));
    let files = foreign.server(&["127.0.0.1"]);
    let cluster = TestCluster::builder().tls(&files.cert, &files.key).start().await;
    // `require` with a root file verifies the chain, as libpq documents.
    for mode in [SslMode::Require, SslMode::VerifyCa, SslMode::VerifyFull] {
        let error = refusal(verifying(&cluster, mode, &ca.root_file())).await;
        assert!(error.to_string().contains("TLS failed: invalid peer certificate"), "{error}");
        assert_eq!(error.sqlstate().as_str(), "08001");
    }
    let mut wanted = params(&cluster);
    wanted.ssl_mode = SslMode::Require;
    assert!(is_tls(wanted).await, "without a root file nothing is verified");
    assert!(is_tls(verifying(&cluster, SslMode::Prefer, &ca.root_file())).await);
}

/// A server certificate made by hand: its files, the certificate first.
fn own_certificate(
    dir: &Path,
    name: &str,
    change: impl FnOnce(&mut CertificateParams),
) -> (PathBuf, PathBuf) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name.push(DnType::CommonName, "127.0.0.1");
    change(&mut params);
    let certificate = params.self_signed(&key).unwrap();
    let files = (dir.join(format!("{name}.crt")), dir.join(format!("{name}.key")));
    std::fs::write(&files.0, certificate.pem()).unwrap();
    std::fs::write(&files.1, key.serialize_pem()).unwrap();
    files
}

#[tokio::test]
async fn a_self_signed_certificate_is_believed_when_it_is_the_root_file() {
    let dir = tempfile::tempdir().unwrap();
    // As `openssl req -x509` makes it: its own authority, a common name, no alternative names.
    let (cert, key) = own_certificate(dir.path(), "server", |params| {
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    });
    let cluster = TestCluster::builder().tls(&cert, &key).start().await;
    for mode in [SslMode::VerifyCa, SslMode::VerifyFull] {
        assert!(is_tls(verifying(&cluster, mode, &cert)).await, "{mode:?}");
    }
    let mut wanted = verifying(&cluster, SslMode::VerifyFull, &cert);
    wanted.hosts = vec![host("db.example.test", cluster.port())];
    assert!(refusal(wanted).await.to_string().contains("not valid for name"));

    let (other, _) = own_certificate(dir.path(), "other", |params| {
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    });
    refusal(verifying(&cluster, SslMode::VerifyCa, &other)).await;
}

#[tokio::test]
async fn expired_and_future_certificates_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let root_key = KeyPair::generate().unwrap();
    let mut root = CertificateParams::new(Vec::new()).unwrap();
    root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let root_pem = root.self_signed(&root_key).unwrap().pem();
    let issuer = rcgen::Issuer::new(root, root_key);
    let root_file = dir.path().join("root.crt");
    std::fs::write(&root_file, root_pem).unwrap();
    for (from, until, complaint) in [(2001, 2002, "expired"), (3001, 3002, "not valid yet")] {
        let times = |params: &mut CertificateParams| {
            params.not_before = rcgen::date_time_ymd(from, 1, 1);
            params.not_after = rcgen::date_time_ymd(until, 1, 1);
        };
        // Signed by the authority, and trusted by itself.
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        times(&mut params);
        let signed = (dir.path().join("signed.crt"), dir.path().join("signed.key"));
        std::fs::write(&signed.0, params.signed_by(&key, &issuer).unwrap().pem()).unwrap();
        std::fs::write(&signed.1, key.serialize_pem()).unwrap();
        let own = own_certificate(dir.path(), "own", times);
        for (files, root) in [(&signed, &root_file), (&own, &own.0)] {
            let cluster = TestCluster::builder().tls(&files.0, &files.1).start().await;
            for mode in [SslMode::VerifyCa, SslMode::VerifyFull] {
                let text = refusal(verifying(&cluster, mode, root)).await.to_string();
                assert!(text.contains("TLS failed") && text.contains(complaint), "{text}");
            }
            assert!(is_tls(verifying(&cluster, SslMode::Prefer, root)).await);
        }
    }
}

#[tokio::test]
async fn version_1_certificates_do_where_nothing_is_verified() {
    let dir = tempfile::tempdir().unwrap();
    let (cert, key) = (dir.path().join("server.crt"), dir.path().join("server.key"));
    std::fs::write(&cert, include_bytes!("../fixtures/version1.crt")).unwrap();
    std::fs::write(&key, include_bytes!("../fixtures/version1.key")).unwrap();
    let cluster = TestCluster::builder().tls(&cert, &key).start().await;
    let mut wanted = params(&cluster);
    for mode in [SslMode::Prefer, SslMode::Require] {
        wanted.ssl_mode = mode;
        assert!(is_tls(wanted.clone()).await, "{mode:?}");
    }
}

#[tokio::test]
async fn tls_at_once_is_not_for_old_servers() {
    let ca = TestCa::new("authority");
    let files = ca.server(&["127.0.0.1"]);
    let cluster = TestCluster::builder().tls(&files.cert, &files.key).start().await;
    let mut wanted = verifying(&cluster, SslMode::VerifyCa, &ca.root_file());
    wanted.ssl_negotiation = SslNegotiation::Direct;
    let version =
        value(&mut connect(params(&cluster)).await.unwrap(), "SHOW server_version_num").await;
    if version.parse::<u32>().unwrap() >= 170_000 {
        assert!(is_tls(wanted).await);
    } else {
        // It does not know what to make of a handshake.
        refusal(wanted).await;
    }
}
