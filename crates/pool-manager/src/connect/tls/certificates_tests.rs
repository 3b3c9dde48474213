//! Which certificate files each `sslmode` needs, and what is said about bad ones.

use rcgen::{CertificateParams, KeyPair};

use super::super::super::tests::params;
use super::*;

fn pem() -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["db".to_owned()]).unwrap();
    (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
}

struct Home(tempfile::TempDir);

impl Home {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join(".postgresql")).unwrap();
        Self(dir)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    fn trust(&self, params: &ConnectParams) -> Result<Trust, CertificateError> {
        trust_for(params, Some(self.0.path()))
    }
}

fn with_mode(mode: SslMode) -> ConnectParams {
    let mut params = params("db", 5432);
    params.ssl_mode = mode;
    params
}

#[test]
fn without_a_root_file_only_the_verifying_modes_complain() {
    let home = Home::new();
    for mode in [SslMode::Allow, SslMode::Prefer, SslMode::Require] {
        assert!(matches!(home.trust(&with_mode(mode)).unwrap(), Trust::Anyone));
    }
    for mode in [SslMode::VerifyCa, SslMode::VerifyFull] {
        let text = home.trust(&with_mode(mode)).unwrap_err().to_string();
        assert!(text.contains(mode.as_str()) && text.contains("set sslrootcert"), "{text}");
        assert!(text.contains(".postgresql/root.crt does not exist"), "{text}");
    }
}

#[test]
fn the_default_root_file_is_libpqs() {
    let home = Home::new();
    home.write(DEFAULT_ROOT, &pem().0);
    assert!(matches!(home.trust(&with_mode(SslMode::Prefer)).unwrap(), Trust::Anyone));
    assert!(matches!(home.trust(&with_mode(SslMode::Require)).unwrap(), Trust::Chain(_)));
    assert!(matches!(home.trust(&with_mode(SslMode::VerifyCa)).unwrap(), Trust::Chain(_)));
    assert!(matches!(home.trust(&with_mode(SslMode::VerifyFull)).unwrap(), Trust::ChainAndName(_)));
}

#[test]
fn a_given_root_file_must_be_usable() {
    let home = Home::new();
    let mut params = with_mode(SslMode::Require);
    for (name, text, complaint) in [
        ("missing", None, "No such file"),
        ("empty", Some(""), "no certificate in PEM format"),
        ("cut.pem", Some("-----BEGIN CERTIFICATE-----\nAAAA\n"), "not usable"),
        (
            "odd.pem",
            Some("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
            "not usable",
        ),
    ] {
        let path = text.map_or_else(|| home.0.path().join(name), |text| home.write(name, text));
        params.ssl_root_cert = Some(RootCert::File(path.clone()));
        let text = home.trust(&params).unwrap_err().to_string();
        assert!(text.contains(complaint) && text.contains(path.to_str().unwrap()), "{text}");
    }
    params.ssl_root_cert = Some(RootCert::File(home.write("good.pem", &pem().0)));
    assert!(matches!(home.trust(&params).unwrap(), Trust::Chain(_)));
}

#[test]
fn the_systems_roots_go_with_verify_full_only() {
    for mode in [SslMode::Prefer, SslMode::Require, SslMode::VerifyCa] {
        let mut params = with_mode(mode);
        params.ssl_root_cert = Some(RootCert::System);
        let text = Home::new().trust(&params).unwrap_err().to_string();
        let expected = format!("sslrootcert=system needs sslmode=verify-full, not {mode}");
        assert_eq!(text, expected);
    }
}

#[test]
fn a_client_certificate_needs_both_files_and_a_readable_key() {
    let home = Home::new();
    let (cert, key) = pem();
    let (cert, key) = (home.write("c.crt", &cert), home.write("c.key", &key));
    let mut params = with_mode(SslMode::Require);
    assert!(client_identity(&params).unwrap().is_none());
    params.ssl_cert = Some(cert);
    let text = client_identity(&params).unwrap_err().to_string();
    assert!(text.contains("sslcert is set without sslkey"), "{text}");
    params.ssl_key = Some(key);
    assert!(client_identity(&params).unwrap().is_some());
    params.ssl_key = Some(home.write(
        "locked.key",
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n",
    ));
    let text = client_identity(&params).unwrap_err().to_string();
    assert!(text.contains("encrypted"), "{text}");
    params.ssl_cert = None;
    let text = client_identity(&params).unwrap_err().to_string();
    assert!(text.contains("sslkey is set without sslcert"), "{text}");
}

#[test]
fn keys_are_read_in_every_usual_form() {
    let home = Home::new();
    let sec1 = include_str!("../../../tests/fixtures/version1.key");
    let path = home.write("sec1.key", sec1);
    assert!(matches!(read_key("the key", &path).unwrap(), PrivateKeyDer::Sec1(_)));
    let path = home.write("pkcs8.key", &pem().1);
    assert!(matches!(read_key("the key", &path).unwrap(), PrivateKeyDer::Pkcs8(_)));
    let path = home.write(
        "pkcs1.key",
        "-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----\n",
    );
    assert!(matches!(read_key("the key", &path).unwrap(), PrivateKeyDer::Pkcs1(_)));
}
