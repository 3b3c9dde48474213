//! Listening for clients of either door: TCP or a Unix-domain socket, a bounded number of
//! connections. What a client says is its door's business.

use std::fs::{File, TryLockError};
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpListener, TcpSocket, TcpStream, UnixListener, UnixStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::config::ListenAddress;

/// Pause after a failed accept: out of file descriptors, it would fail again at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Connections that may wait to be accepted: PHP workers come all at once.
const BACKLOG: u32 = 1024;
/// A client that vanished without a word is noticed after about a minute, and its transactions
/// rolled back.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(30);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
/// How long a Unix-domain socket's directory may be locked by others that bind there, and how often
/// that is tried.
const LOCK_TIMEOUT: Duration = Duration::from_secs(2);
const LOCK_PAUSE: Duration = Duration::from_millis(1);

/// Why an address cannot be listened on.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// Somebody else listens there.
    #[error(
        "cannot listen on {address} ({key}): it is in use; is another rr-pgpool running? Under \
         RoadRunner's service plugin set process_num: 1"
    )]
    InUse {
        /// The setting that says so.
        key: &'static str,
        /// The address.
        address: String,
    },
    /// Anything else.
    #[error("cannot listen on {address} ({key}): {source}")]
    Other {
        /// The setting that says so.
        key: &'static str,
        /// The address.
        address: String,
        /// What the system said.
        source: io::Error,
    },
}

/// A client that has connected.
pub enum Accepted {
    /// Over TCP.
    Tcp(TcpStream),
    /// Over a Unix-domain socket.
    Unix(UnixStream),
}

/// How many clients may be connected at a listener.
pub struct Places {
    most: AtomicUsize,
    taken: AtomicUsize,
}

/// One client's place; given back when dropped.
pub struct Place(Arc<Places>);

impl Places {
    /// So many.
    pub fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { most: AtomicUsize::new(most), taken: AtomicUsize::new(0) })
    }

    /// Has it be so many from now on. Those who are connected stay.
    pub fn resize(&self, most: usize) {
        self.most.store(most, Ordering::Relaxed);
    }

    fn most(&self) -> usize {
        self.most.load(Ordering::Relaxed)
    }

    fn take(self: &Arc<Self>) -> Option<Place> {
        let before = self.taken.fetch_add(1, Ordering::Relaxed);
        let place = Place(Arc::clone(self));
        (before < self.most()).then_some(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.taken.fetch_sub(1, Ordering::Relaxed);
    }
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
    /// Listens on `address`, which the setting `key` has named; `file_mode` is the mode of a
    /// Unix-domain socket's file.
    pub async fn bind(
        key: &'static str,
        address: &ListenAddress,
        file_mode: u32,
    ) -> Result<Self, ListenError> {
        let shown = address.to_string();
        let bound = match address {
            ListenAddress::Tcp { host, port } => {
                bind_tcp(all_if_empty(host), *port).await.map(|listener| Self {
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
            io::ErrorKind::AddrInUse => ListenError::InUse { key, address: shown },
            _ => ListenError::Other { key, address: shown, source },
        })
    }

    /// Where clients connect: the TCP address with the port that the system chose, for port 0, or
    /// the address as configured.
    pub fn address(&self) -> String {
        match &self.kind {
            Kind::Tcp(listener) => match listener.local_addr() {
                Ok(address) => format!("tcp://{address}"),
                Err(_) => self.address.clone(),
            },
            Kind::Unix(_) => self.address.clone(),
        }
    }

    /// Accepts clients until `stop` says so, then lets those connected go on until they leave or
    /// the returned future is dropped. `name` is what the log calls them. Whoever serves a client
    /// keeps its permit as long as it is connected.
    pub async fn serve<F: Future<Output = ()> + Send + 'static>(
        self,
        name: &'static str,
        places: Arc<Places>,
        mut stop: watch::Receiver<bool>,
        serve_client: impl Fn(Accepted, Place) -> F,
    ) {
        let mut clients = JoinSet::new();
        loop {
            tokio::select! {
                () = stopped(&mut stop) => break,
                accepted = self.accept() => match accepted {
                    Ok(socket) => {
                        let Some(place) = places.take() else {
                            let max_connections = places.most();
                            tracing::warn!(max_connections, "{name} client refused: too many");
                            continue;
                        };
                        clients.spawn(serve_client(socket, place));
                    }
                    Err(error) => {
                        tracing::warn!("cannot accept a client of {name}: {error}");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                },
                Some(_) = clients.join_next() => {}
            }
        }
        drop(self);
        while clients.join_next().await.is_some() {}
    }

    async fn accept(&self) -> io::Result<Accepted> {
        match &self.kind {
            Kind::Tcp(listener) => Ok(Accepted::Tcp(listener.accept().await?.0)),
            Kind::Unix(listener) => Ok(Accepted::Unix(listener.accept().await?.0)),
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

/// Binds the first of a host's addresses that can be bound.
async fn bind_tcp(host: &str, port: u16) -> io::Result<TcpListener> {
    let mut failure = None;
    for address in tokio::net::lookup_host((host, port)).await? {
        match listen_tcp(address) {
            Ok(listener) => return Ok(listener),
            Err(error) => failure = Some(error),
        }
    }
    Err(failure.unwrap_or_else(|| io::Error::new(io::ErrorKind::NotFound, "no such address")))
}

/// Without Nagle's delay and with keepalives: what a listening socket has, those that it accepts
/// have too, and no system call is spent on each of them.
fn listen_tcp(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    // Neither is worth failing for.
    let _ = socket.set_nodelay(true);
    let keepalive = TcpKeepalive::new().with_time(KEEPALIVE_IDLE).with_interval(KEEPALIVE_INTERVAL);
    let _ = SockRef::from(&socket).set_tcp_keepalive(&keepalive);
    socket.listen(BACKLOG)
}

/// Binds a Unix-domain socket; a file left behind by a process that is gone is replaced. Of two
/// processes that do so at once, one must not remove the other's file: hence the lock.
async fn bind_unix(path: &Path, file_mode: u32) -> io::Result<UnixListener> {
    let _only_one = lock_directory(path).await?;
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

/// Locks the directory of `path` until what is returned is dropped: no file is left behind by it.
async fn lock_directory(path: &Path) -> io::Result<File> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let directory = File::open(parent.unwrap_or(Path::new(".")))?;
    let until = Instant::now() + LOCK_TIMEOUT;
    loop {
        match directory.try_lock() {
            Ok(()) => return Ok(directory),
            Err(TryLockError::Error(error)) => return Err(error),
            Err(TryLockError::WouldBlock) if Instant::now() >= until => {
                let why = "another process keeps its directory locked";
                return Err(io::Error::new(io::ErrorKind::TimedOut, why));
            }
            Err(TryLockError::WouldBlock) => tokio::time::sleep(LOCK_PAUSE).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each in a thread of its own, and all at once.
    fn bind_at_once(path: &Path) -> Vec<Result<BoundListener, ListenError>> {
        let start = std::sync::Barrier::new(4);
        let bind = || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let address = ListenAddress::Unix(path.to_owned());
            let runtime = runtime.expect("a runtime");
            start.wait();
            runtime.block_on(BoundListener::bind("rpc.listen", &address, 0o600))
        };
        std::thread::scope(|threads| {
            let all: Vec<_> = (0..4).map(|_| threads.spawn(bind)).collect();
            all.into_iter().map(|one| one.join().expect("no panic")).collect()
        })
    }

    #[test]
    fn of_many_that_bind_one_socket_at_once_one_listens() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("pool.sock");
        for round in 0..300 {
            if round % 2 == 0 {
                drop(std::os::unix::net::UnixListener::bind(&path).expect("a file left behind"));
            }
            let bound = bind_at_once(&path);
            let listening = bound.iter().filter(|one| one.is_ok()).count();
            assert_eq!(listening, 1, "in round {round}");
            let reached = std::os::unix::net::UnixStream::connect(&path);
            assert!(reached.is_ok(), "whoever listens can be reached, in round {round}");
        }
    }
}
