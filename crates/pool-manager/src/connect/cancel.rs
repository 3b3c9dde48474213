//! Cancelling what a session is running: a second socket that carries nothing but CancelRequest.
//! It never touches the session's own stream.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use postgres_protocol::message::frontend;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::Settings;
use super::attempt::tls_client;
use super::socket::{Address, Socket};
use super::startup::BackendKey;
use super::stream::ServerStream;
use super::tls::Negotiated;
use crate::dsn::Host;

/// Bound on a whole cancellation.
const CANCEL_TIMEOUT: Duration = Duration::from_secs(5);

/// Whom to ask to cancel a session's statement. Its key is shown to nobody but the server.
#[derive(Clone)]
pub struct CancelTarget(Arc<Target>);

struct Target {
    settings: Arc<Settings>,
    host: Host,
    address: Address,
    tls: bool,
    key: Option<BackendKey>,
}

impl fmt::Debug for CancelTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CancelTarget")
            .field("place", &self.0.address.place(&self.0.host))
            .field("tls", &self.0.tls)
            .finish_non_exhaustive()
    }
}

impl CancelTarget {
    pub(super) fn new(
        settings: Arc<Settings>,
        host: Host,
        address: Address,
        tls: bool,
        key: Option<BackendKey>,
    ) -> Self {
        Self(Arc::new(Target { settings, host, address, tls, key }))
    }

    /// The server's address, or `unix`, and its port.
    pub(crate) fn peer(&self) -> (String, u16) {
        match (&self.0.address, &self.0.host) {
            (Address::Tcp(address), _) => (address.ip().to_string(), address.port()),
            (Address::Unix(_), Host::Unix { port, .. } | Host::Tcp { port, .. }) => {
                ("unix".to_owned(), *port)
            }
        }
    }

    /// Asks the server to cancel whatever the session is running, and returns when the server has
    /// closed the socket: it has then sent its signal, and none is still to come from here.
    ///
    /// The signal itself may still be on its way within the server, and it hits whatever runs when
    /// it arrives, so the session must also see ReadyForQuery before it runs anything else.
    ///
    /// Not cancel safe: dropped half-way, the request may or may not have been sent.
    ///
    /// # Errors
    /// When the server cannot be reached the way the session was, does not end the exchange in
    /// order, or all of it takes longer than 5 s. The request may have been carried out all the
    /// same.
    pub async fn cancel(&self) -> io::Result<()> {
        match tokio::time::timeout(CANCEL_TIMEOUT, self.0.cancel()).await {
            Ok(result) => result,
            Err(_elapsed) => Err(io::Error::new(
                io::ErrorKind::TimedOut,
                "the server did not take the cancel request in time",
            )),
        }
    }
}

impl Target {
    async fn cancel(&self) -> io::Result<()> {
        let Some(key) = self.key else {
            return Err(io::Error::new(
                io::ErrorKind::Unsupported,
                "the server gave this session no key to cancel it with",
            ));
        };
        let mut stream = self.open().await?;
        let mut request = BytesMut::with_capacity(16);
        frontend::cancel_request(key.process_id, key.secret, &mut request);
        stream.write_all(&request).await?;
        stream.flush().await?;
        wait_for_end(&mut stream).await
    }

    /// A stream of the session's own kind: a key sent in the clear would let anybody on the wire
    /// cancel the session ever after.
    async fn open(&self) -> io::Result<ServerStream> {
        match self.address.open(&self.settings.params).await? {
            Socket::Unix(unix) => Ok(ServerStream::Unix(unix)),
            Socket::Tcp(tcp) if !self.tls => Ok(ServerStream::Plain(tcp)),
            Socket::Tcp(tcp) => {
                let client = tls_client(&self.settings).map_err(io::Error::other)?;
                match client.negotiate(tcp, &self.host).await.map_err(io::Error::other)? {
                    Negotiated::Tls(tls) => Ok(ServerStream::Tls(tls)),
                    Negotiated::NotOffered(_) => {
                        Err(io::Error::other("the server no longer offers TLS"))
                    }
                }
            }
        }
    }
}

async fn wait_for_end(stream: &mut ServerStream) -> io::Result<()> {
    let mut ignored = [0; 64];
    loop {
        match stream.read(&mut ignored).await {
            Ok(0) => return Ok(()),
            Ok(_) => {}
            // TLS without its farewell: the server has closed all the same.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
            Err(error) => return Err(error),
        }
    }
}
