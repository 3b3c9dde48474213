//! TLS with clients: which certificate is shown, and whether they must show one. It never decides
//! who is let in.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use pool_manager::certificates::{
    CertificateError, read_certificates, read_key, read_roots, tls_server_end_point,
};
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use x509_cert::Certificate;
use x509_cert::der::Decode;
use x509_cert::der::asn1::{PrintableStringRef, Utf8StringRef};
use x509_cert::der::oid::db::rfc4519::COMMON_NAME;

/// The protocol's name in ALPN; a client that begins with TLS must offer it.
const ALPN: &[u8] = b"postgresql";

/// Whether clients use TLS, as `sslmode` says it of servers. Unix-domain sockets never do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum TlsMode {
    /// Never.
    Disable,
    /// If they ask for it.
    Prefer,
    /// Always.
    Require,
    /// Always, and with a certificate that the authority has signed.
    VerifyCa,
    /// The same, and in the user's name.
    VerifyFull,
}

/// Files in PEM.
#[derive(Debug, Clone)]
pub struct TlsFiles {
    /// The certificate, and those that lead to its root.
    pub cert: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// The authorities that sign clients' certificates.
    pub client_ca: Option<PathBuf>,
}

/// TLS as the door offers it.
#[derive(Clone)]
pub struct TlsServer {
    acceptor: TlsAcceptor,
    mode: TlsMode,
    /// What SCRAM binds a proof to; `None` when the certificate's signature names no hash.
    binding: Option<Arc<[u8]>>,
}

impl fmt::Debug for TlsServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsServer").field("mode", &self.mode).finish_non_exhaustive()
    }
}

impl TlsServer {
    /// Reads the files.
    ///
    /// # Errors
    /// One of them cannot be used.
    pub fn new(files: &TlsFiles, mode: TlsMode) -> Result<Self, CertificateError> {
        let chain = read_certificates("the certificate file (cert)", &files.cert)?;
        let key = read_key("the key file (key)", &files.key)?;
        let binding = chain.first().and_then(|own| tls_server_end_point(own)).map(Arc::from);
        let provider = Arc::new(ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(CertificateError::Unusable)?;
        let builder = match &files.client_ca {
            None => builder.with_no_client_auth(),
            Some(path) => {
                const WHAT: &str = "the clients' authorities (client_ca)";
                let invalid =
                    |why: String| CertificateError::Invalid { what: WHAT, path: path.clone(), why };
                let (roots, _) = read_roots(WHAT, path)?;
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
                let verifier = if mode >= TlsMode::VerifyCa {
                    verifier
                } else {
                    verifier.allow_unauthenticated()
                };
                let verifier = verifier.build().map_err(|error| invalid(error.to_string()))?;
                builder.with_client_cert_verifier(verifier)
            }
        };
        let mut config =
            builder.with_single_cert(chain, key).map_err(CertificateError::Unusable)?;
        config.alpn_protocols = vec![ALPN.to_vec()];
        // As PostgreSQL: every session is verified anew, and nothing is kept for those that may come.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(Self { acceptor: TlsAcceptor::from(Arc::new(config)), mode, binding })
    }

    /// Whether clients use it.
    #[must_use]
    pub fn mode(&self) -> TlsMode {
        self.mode
    }

    /// The handshake.
    pub(crate) async fn accept(
        &self,
        stream: TcpStream,
    ) -> std::io::Result<Box<TlsStream<TcpStream>>> {
        self.acceptor.accept(stream).await.map(Box::new)
    }

    /// What SCRAM binds a proof to, of a stream that this has accepted.
    pub(crate) fn binding(&self) -> Option<&Arc<[u8]>> {
        self.binding.as_ref()
    }
}

/// Whether the client has said that PostgreSQL's protocol is what it speaks inside.
pub(crate) fn speaks_postgresql(stream: &TlsStream<TcpStream>) -> bool {
    stream.get_ref().1.alpn_protocol() == Some(ALPN)
}

/// The common name in the certificate that the client has shown, which was verified then.
pub(crate) fn common_name(stream: &TlsStream<TcpStream>) -> Option<String> {
    let certificate = stream.get_ref().1.peer_certificates()?.first()?;
    let parsed = Certificate::from_der(certificate).ok()?;
    let subject = parsed.tbs_certificate().subject();
    let mut names = subject.iter().filter(|attribute| attribute.oid == COMMON_NAME);
    // Two names, and nobody knows which one is meant.
    let (name, None) = (names.next()?, names.next()) else { return None };
    let text = match name.value.decode_as::<Utf8StringRef<'_>>() {
        Ok(text) => text.as_str().to_owned(),
        Err(_) => name.value.decode_as::<PrintableStringRef<'_>>().ok()?.as_str().to_owned(),
    };
    Some(text)
}
