//! A certificate authority for tests: server and client certificates in files, made on the spot.
//! It never touches the machine's own trust store.

use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use tempfile::TempDir;

/// A throw-away certificate authority. Its files live as long as the value.
pub struct TestCa {
    dir: TempDir,
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

/// A certificate and its private key in PEM files.
#[derive(Clone, Debug)]
pub struct CertFiles {
    /// The certificate.
    pub cert: PathBuf,
    /// The private key (PKCS#8), readable by the owner only.
    pub key: PathBuf,
}

impl TestCa {
    /// Makes an authority whose subject's common name is `common_name`.
    #[must_use]
    pub fn new(common_name: &str) -> Self {
        let key = KeyPair::generate().expect("generate the authority's key");
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.distinguished_name.push(DnType::CommonName, common_name);
        let certificate = params.self_signed(&key).expect("sign the authority's certificate");
        let dir = TempDir::new().expect("make a directory for certificates");
        let pem = certificate.pem();
        std::fs::write(dir.path().join("ca.pem"), &pem).expect("write the authority's certificate");
        Self { dir, issuer: Issuer::new(params, key), pem }
    }

    /// The authority's own certificate, PEM.
    #[must_use]
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// The file that holds [`TestCa::pem`]: a root certificate for clients or for the server.
    #[must_use]
    pub fn root_file(&self) -> PathBuf {
        self.dir.path().join("ca.pem")
    }

    /// A server certificate for the given names; IP addresses become address entries.
    #[must_use]
    pub fn server(&self, names: &[&str]) -> CertFiles {
        let common_name = names.first().copied().unwrap_or("localhost");
        self.issue(common_name, names, ExtendedKeyUsagePurpose::ServerAuth)
    }

    /// A client certificate whose common name is the role that may log in with it.
    #[must_use]
    pub fn client(&self, role: &str) -> CertFiles {
        self.issue(role, &[], ExtendedKeyUsagePurpose::ClientAuth)
    }

    fn issue(
        &self,
        common_name: &str,
        names: &[&str],
        purpose: ExtendedKeyUsagePurpose,
    ) -> CertFiles {
        let key = KeyPair::generate().expect("generate a key");
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).expect("certificate names");
        params.distinguished_name.push(DnType::CommonName, common_name);
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![purpose];
        let certificate = params.signed_by(&key, &self.issuer).expect("sign a certificate");
        let stem = format!("{:016x}", rand::random::<u64>());
        let files = CertFiles {
            cert: self.dir.path().join(format!("{stem}.crt")),
            key: self.dir.path().join(format!("{stem}.key")),
        };
        std::fs::write(&files.cert, certificate.pem()).expect("write a certificate");
        write_private(&files.key, &key.serialize_pem());
        files
    }
}

/// Writes a file that only its owner may read, as PostgreSQL and libpq demand of keys.
fn write_private(path: &Path, text: &str) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::write(path, text).expect("write a key");
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).expect("protect a key");
}
