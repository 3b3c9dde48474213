//! TLS below a [`WireClient`]: asked for, or begun with. It trusts one authority, and verifies the
//! name.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use ring::digest::{SHA256, digest};
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::TlsConnector;

use super::{Binding, WireClient, message};
use crate::CertFiles;

/// How a client sets up TLS.
#[derive(Clone, Debug)]
pub struct WireTls {
    /// Whom it trusts, a PEM file.
    pub roots: PathBuf,
    /// The name that the server's certificate must have.
    pub name: String,
    /// The certificate that it shows.
    pub identity: Option<CertFiles>,
    /// Protocols that it offers in ALPN.
    pub alpn: Vec<Vec<u8>>,
    /// Room of its socket for what comes, bytes; the system's when not set.
    pub receive_buffer: Option<u32>,
}

impl WireTls {
    /// Trusts this authority to vouch for `localhost`, offers `postgresql`, and shows nothing.
    #[must_use]
    pub fn trusting(roots: PathBuf) -> Self {
        Self {
            roots,
            name: "localhost".to_owned(),
            identity: None,
            alpn: vec![b"postgresql".to_vec()],
            receive_buffer: None,
        }
    }

    async fn dial(&self, address: &str) -> io::Result<TcpStream> {
        let address = address.trim_start_matches("tcp://").parse().map_err(io::Error::other)?;
        let socket = TcpSocket::new_v4()?;
        if let Some(size) = self.receive_buffer {
            socket.set_recv_buffer_size(size)?;
        }
        socket.connect(address).await
    }

    fn config(&self) -> ClientConfig {
        let certificates = |path| CertificateDer::pem_file_iter(path).expect("read certificates");
        let mut roots = RootCertStore::empty();
        for root in certificates(&self.roots) {
            roots.add(root.expect("a certificate")).expect("trust a certificate");
        }
        let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .expect("TLS versions")
            .with_root_certificates(roots);
        let mut config = match &self.identity {
            None => builder.with_no_client_auth(),
            Some(files) => {
                let chain = certificates(&files.cert).map(|found| found.expect("a certificate"));
                let key = PrivateKeyDer::from_pem_file(&files.key).expect("read a key");
                builder.with_client_auth_cert(chain.collect(), key).expect("a client certificate")
            }
        };
        config.alpn_protocols.clone_from(&self.alpn);
        config
    }
}

impl WireClient {
    /// Asks for TLS; an error when the server refuses it or the handshake fails.
    pub async fn connect_tls(address: &str, tls: &WireTls) -> io::Result<Self> {
        let mut tcp = tls.dial(address).await?;
        tcp.write_all(&message::ssl_request()).await?;
        match tcp.read_u8().await? {
            b'S' => Self::shake_hands(tcp, tls).await,
            other => Err(io::Error::other(format!("TLS refused: {:?}", char::from(other)))),
        }
    }

    /// Begins with TLS at once.
    pub async fn connect_tls_directly(address: &str, tls: &WireTls) -> io::Result<Self> {
        let tcp = tls.dial(address).await?;
        Self::shake_hands(tcp, tls).await
    }

    async fn shake_hands(tcp: TcpStream, tls: &WireTls) -> io::Result<Self> {
        tcp.set_nodelay(true)?;
        let name = ServerName::try_from(tls.name.clone()).map_err(io::Error::other)?;
        let connector = TlsConnector::from(Arc::new(tls.config()));
        let stream = connector.connect(name, tcp).await?;
        let shown = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
        // The test authority signs with SHA-256, which the binding then has, too (RFC 5929).
        let binding = shown.map(|der| digest(&SHA256, der).as_ref().to_vec());
        let mut client = Self::over(Box::new(stream));
        client.binding = binding.map_or(Binding::Unsupported, Binding::EndPoint);
        Ok(client)
    }
}
