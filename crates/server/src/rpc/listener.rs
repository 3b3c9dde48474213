//! Listening for RPC clients: TCP or a Unix-domain socket, a bounded number of connections.

use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpListener, TcpStream, UnixListener};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use super::connection::{Connection, ConnectionEnd, Socket};
use super::service::Service;
use crate::config::ListenAddress;

/// Pause after a failed accept: out of file descriptors, it would fail again at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// A client that vanished without a word is noticed after about a minute, and its transactions
/// rolled back.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(30);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);

/// Why an address cannot be listened on.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// Somebody else listens there.
    #[error(
        "cannot listen on {address}: it is in use; is another rr-pgpool running? Under \
         RoadRunner's service plugin set process_num: 1"
    )]
    InUse {
        /// The address.
        address: String,
    },
    /// Anything else.
    #[error("cannot listen on {address}: {source}")]
    Other {
        /// The address.
        address: String,
        /// What the system said.
        source: io::Error,
    },
}

enum Kind {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// A listening socket. A Unix-domain socket's file is removed when it is dropped.
pub struct BoundListener {
    kind: Kind,
    address: String,
    path: Option<PathBuf>,
}

impl BoundListener {
    /// Listens on `address`; `file_mode` is the mode of a Unix-domain socket's file.
    pub async fn bind(address: &ListenAddress, file_mode: u32) -> Result<Self, ListenError> {
        let shown = address.to_string();
        let bound = match address {
            ListenAddress::Tcp { host, port } => {
                TcpListener::bind((all_if_empty(host), *port)).await.map(|listener| Self {
                    kind: Kind::Tcp(listener),
                    address: shown.clone(),
                    path: None,
                })
            }
            ListenAddress::Unix(path) => bind_unix(path, file_mode).await.map(|listener| Self {
                kind: Kind::Unix(listener),
                address: shown.clone(),
                path: Some(path.clone()),
            }),
        };
        bound.map_err(|source| match source.kind() {
            io::ErrorKind::AddrInUse => ListenError::InUse { address: shown },
            _ => ListenError::Other { address: shown, source },
        })
    }

    /// The address as configured.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The TCP address with the port that the system chose, for port 0.
    pub fn local_addr(&self) -> Option<SocketAddr> {
        match &self.kind {
            Kind::Tcp(listener) => listener.local_addr().ok(),
            Kind::Unix(_) => None,
        }
    }

    /// Accepts clients until `stop` says so, then lets those connected go on until they leave or
    /// the returned future is dropped.
    pub async fn serve(
        self,
        service: Arc<Service>,
        max_connections: usize,
        mut stop: watch::Receiver<bool>,
    ) {
        let places = Arc::new(Semaphore::new(max_connections));
        let mut clients = JoinSet::new();
        loop {
            tokio::select! {
                () = stopped(&mut stop) => break,
                accepted = self.accept() => match accepted {
                    Ok(socket) => {
                        let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
                            tracing::warn!(max_connections, "RPC client refused: too many");
                            continue;
                        };
                        let connection = Connection::new(socket, Arc::clone(&service));
                        clients.spawn(async move {
                            log_end(&connection.serve().await);
                            drop(place);
                        });
                    }
                    Err(error) => {
                        tracing::warn!("cannot accept an RPC client: {error}");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                },
                Some(_) = clients.join_next() => {}
            }
        }
        drop(self);
        while clients.join_next().await.is_some() {}
    }

    async fn accept(&self) -> io::Result<Socket> {
        match &self.kind {
            Kind::Tcp(listener) => {
                let (stream, _) = listener.accept().await?;
                prepare(&stream);
                Ok(Socket::Tcp(stream))
            }
            Kind::Unix(listener) => Ok(Socket::Unix(listener.accept().await?.0)),
        }
    }
}

impl Drop for BoundListener {
    fn drop(&mut self) {
        if let Some(path) = &self.path {
            // Gone already is as good.
            let _ = std::fs::remove_file(path);
        }
    }
}

/// As in Go, an address without a host means every address of the machine.
fn all_if_empty(host: &str) -> &str {
    if host.is_empty() { "0.0.0.0" } else { host }
}

/// Resolves when told to stop.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    // The sender is gone only when the server is.
    let _ = stop.wait_for(|stop| *stop).await;
}

fn prepare(stream: &TcpStream) {
    let keepalive = TcpKeepalive::new().with_time(KEEPALIVE_IDLE).with_interval(KEEPALIVE_INTERVAL);
    // Neither is worth refusing a client for.
    let _ = stream.set_nodelay(true);
    let _ = SockRef::from(stream).set_tcp_keepalive(&keepalive);
}

/// Binds a Unix-domain socket; a file left behind by a process that is gone is replaced.
async fn bind_unix(path: &Path, file_mode: u32) -> io::Result<UnixListener> {
    let listener = match UnixListener::bind(path) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            if tokio::net::UnixStream::connect(path).await.is_ok() {
                return Err(error);
            }
            if !std::fs::symlink_metadata(path)?.file_type().is_socket() {
                let why = "a file of that name exists, and it is no socket";
                return Err(io::Error::new(io::ErrorKind::AlreadyExists, why));
            }
            std::fs::remove_file(path)?;
            UnixListener::bind(path)?
        }
        other => other?,
    };
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(file_mode))?;
    Ok(listener)
}

fn log_end(end: &ConnectionEnd) {
    match end {
        ConnectionEnd::Closed => {}
        ConnectionEnd::Io(error) => tracing::debug!("RPC client lost: {error}"),
        ConnectionEnd::Frame(error) => {
            tracing::warn!("RPC client disconnected, its bytes are no goridge frame: {error}");
        }
    }
}
