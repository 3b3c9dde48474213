//! TLS to the server: which files and which verification an `sslmode` means, the SSLRequest, and
//! the handshake. The decision whether to go on without TLS is never taken here.

mod binding;
mod certificates;
mod verify;

use std::io;
use std::sync::Arc;

use bytes::BytesMut;
use postgres_protocol::message::frontend;
use rustls::ClientConfig;
use rustls::client::Resumption;
use rustls::crypto::{CryptoProvider, ring};
use rustls_pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

pub use binding::tls_server_end_point;
pub use certificates::CertificateError;
use certificates::{client_identity, home_dir, trust_for};
use verify::ServerVerifier;

use super::error::ConnectCause;
use crate::dsn::{ConnectParams, Host, SslMode, SslNegotiation};

/// The protocol name that libpq 17 offers too, so that a certificate shared with another service
/// cannot be used to answer in its name.
const ALPN: &[u8] = b"postgresql";

/// What the server said to SSLRequest.
pub(super) enum Negotiated {
    /// It agreed, and the handshake is done.
    Tls(Box<TlsStream<TcpStream>>),
    /// It has no TLS; the socket is as it was.
    NotOffered(TcpStream),
}

/// Sets up TLS sessions as one set of parameters demands.
#[derive(Clone)]
pub(super) struct TlsClient {
    connector: TlsConnector,
    /// Whether certificates must be issued for the host's name.
    checks_name: bool,
    /// Whether the connection begins with TLS.
    is_direct: bool,
}

impl TlsClient {
    /// Reads the certificate files once; `None` when the parameters never lead to TLS.
    pub(super) fn new(params: &ConnectParams) -> Result<Option<Self>, CertificateError> {
        // Sockets of the file system never use TLS, so their parameters need no certificates.
        let only_unix = params.hosts.iter().all(|host| matches!(host, Host::Unix { .. }));
        if params.ssl_mode == SslMode::Disable || only_unix {
            return Ok(None);
        }
        let provider = Arc::new(ring::default_provider());
        let trust = trust_for(params, home_dir().as_deref())?;
        let checks_name = trust.checks_name();
        let config = client_config(params, provider, trust)?;
        let connector = TlsConnector::from(Arc::new(config));
        let is_direct = params.ssl_negotiation == SslNegotiation::Direct;
        Ok(Some(Self { connector, checks_name, is_direct }))
    }

    /// Asks for TLS and, when the server agrees, does the handshake; or does it at once.
    ///
    /// Exactly one byte is read before the handshake, so nothing that somebody on the wire slips in
    /// ahead of it can ever be taken for an answer within the session (CVE-2021-23222).
    pub(super) async fn negotiate(
        &self,
        mut tcp: TcpStream,
        host: &Host,
    ) -> Result<Negotiated, ConnectCause> {
        if self.is_direct {
            return self.begin(tcp, host).await;
        }
        let mut request = BytesMut::with_capacity(8);
        frontend::ssl_request(&mut request);
        tcp.write_all(&request).await.map_err(ConnectCause::from_io)?;
        match tcp.read_u8().await.map_err(ConnectCause::from_io)? {
            b'S' => {
                let name = self.server_name(&tcp, host).map_err(ConnectCause::Tls)?;
                let tls = self.connector.connect(name, tcp).await.map_err(ConnectCause::Tls)?;
                Ok(Negotiated::Tls(Box::new(tls)))
            }
            b'N' => Ok(Negotiated::NotOffered(tcp)),
            // What follows is not read: it comes from an unauthenticated peer (CVE-2024-10977).
            b'E' => Err(ConnectCause::Protocol(
                "the server answered the request for TLS with an error".to_owned(),
            )),
            _ => Err(ConnectCause::Protocol(
                "unexpected answer to the request for TLS; is this a PostgreSQL server?".to_owned(),
            )),
        }
    }

    /// The handshake at once. A server that does not name the protocol in it may be one of another
    /// protocol altogether.
    async fn begin(&self, tcp: TcpStream, host: &Host) -> Result<Negotiated, ConnectCause> {
        let name = self.server_name(&tcp, host).map_err(ConnectCause::Tls)?;
        let tls = self.connector.connect(name, tcp).await.map_err(ConnectCause::Tls)?;
        if tls.get_ref().1.alpn_protocol() != Some(ALPN) {
            return Err(ConnectCause::Protocol(
                "the server does not speak PostgreSQL's protocol in a connection that begins with \
                 TLS (sslnegotiation=direct); is it older than PostgreSQL 17?"
                    .to_owned(),
            ));
        }
        Ok(Negotiated::Tls(Box::new(tls)))
    }

    /// The name for SNI and verification. What cannot be a name in a certificate stands in the way
    /// only when the name is to be verified.
    fn server_name(&self, tcp: &TcpStream, host: &Host) -> io::Result<ServerName<'static>> {
        let address = tcp.peer_addr()?.ip();
        let name = match host {
            Host::Tcp { host, .. } if !host.is_empty() => host.clone(),
            _ => address.to_string(),
        };
        match ServerName::try_from(name) {
            Ok(name) => Ok(name),
            Err(_) if !self.checks_name => Ok(ServerName::from(address)),
            Err(error) => Err(io::Error::new(io::ErrorKind::InvalidInput, error)),
        }
    }
}

fn client_config(
    params: &ConnectParams,
    provider: Arc<CryptoProvider>,
    trust: verify::Trust,
) -> Result<ClientConfig, CertificateError> {
    let verifier = ServerVerifier::new(trust, provider.signature_verification_algorithms);
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(CertificateError::Unusable)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier));
    let mut config = match client_identity(params)? {
        None => builder.with_no_client_auth(),
        Some((chain, key)) => {
            builder.with_client_auth_cert(chain, key).map_err(CertificateError::Unusable)?
        }
    };
    config.alpn_protocols = vec![ALPN.to_vec()];
    // PostgreSQL issues no session tickets; without resumption every session is verified anew.
    config.resumption = Resumption::disabled();
    Ok(config)
}
