//! Names to addresses, addresses to open sockets with their options set. It never speaks a byte of
//! any protocol.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpStream, UnixStream};

use crate::dsn::{ConnectParams, Host};

/// One place to dial.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Address {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

/// A connected socket.
#[derive(Debug)]
pub(super) enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Address {
    /// Every address of a host, in the resolver's order.
    pub(super) async fn resolve(host: &Host) -> io::Result<Vec<Self>> {
        let (name, port) = match host {
            Host::Unix { dir, port } => {
                return Ok(vec![Self::Unix(dir.join(format!(".s.PGSQL.{port}")))]);
            }
            Host::Tcp { addr: Some(ip), port, .. } => return Ok(vec![Self::tcp(*ip, *port)]),
            Host::Tcp { host, addr: None, port } => (host.as_str(), *port),
        };
        if let Ok(ip) = name.parse::<IpAddr>() {
            return Ok(vec![Self::tcp(ip, port)]);
        }
        let found: Vec<_> = tokio::net::lookup_host((name, port)).await?.map(Self::Tcp).collect();
        if found.is_empty() {
            return Err(io::Error::new(io::ErrorKind::NotFound, "the name has no address"));
        }
        Ok(found)
    }

    fn tcp(ip: IpAddr, port: u16) -> Self {
        Self::Tcp(SocketAddr::new(ip, port))
    }

    /// Opens a socket: without Nagle's delay, with keepalives as the parameters say.
    pub(super) async fn open(&self, params: &ConnectParams) -> io::Result<Socket> {
        match self {
            Self::Tcp(address) => {
                let stream = TcpStream::connect(address).await?;
                stream.set_nodelay(true)?;
                set_keepalive(&stream, params)?;
                Ok(Socket::Tcp(stream))
            }
            Self::Unix(path) => Ok(Socket::Unix(UnixStream::connect(path).await?)),
        }
    }

    /// How this address of `host` is named in errors.
    pub(super) fn place(&self, host: &Host) -> String {
        match (self, host) {
            (Self::Unix(path), _) => path.display().to_string(),
            (Self::Tcp(address), Host::Tcp { host, .. })
                if !host.is_empty() && host.parse::<IpAddr>().ok() != Some(address.ip()) =>
            {
                format!("{host}:{} ({})", address.port(), address.ip())
            }
            (Self::Tcp(address), _) => address.to_string(),
        }
    }
}

fn set_keepalive(stream: &TcpStream, params: &ConnectParams) -> io::Result<()> {
    let socket = SockRef::from(stream);
    match (params.keepalives, params.keepalives_idle) {
        (false, _) => socket.set_keepalive(false),
        (true, None) => socket.set_keepalive(true),
        (true, Some(idle)) => socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(idle)),
    }
}

/// How a host is named when it has no address yet.
pub(super) struct HostName<'a>(pub(super) &'a Host);

impl fmt::Display for HostName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Host::Tcp { host, port, .. } => write!(f, "{host}:{port}"),
            Host::Unix { dir, port } => write!(f, "{}/.s.PGSQL.{port}", dir.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tcp(host: &str, addr: Option<&str>) -> Host {
        Host::Tcp { host: host.to_owned(), addr: addr.map(|a| a.parse().unwrap()), port: 5432 }
    }

    #[tokio::test]
    async fn literal_addresses_and_hostaddr_need_no_resolver() {
        for (host, place) in [
            (tcp("127.0.0.1", None), "127.0.0.1:5432"),
            (tcp("::1", None), "[::1]:5432"),
            (tcp("no-such-name.invalid", Some("10.1.2.3")), "no-such-name.invalid:5432 (10.1.2.3)"),
            (tcp("", Some("10.1.2.3")), "10.1.2.3:5432"),
            (Host::Unix { dir: "/run/pg".into(), port: 5433 }, "/run/pg/.s.PGSQL.5433"),
        ] {
            let found = Address::resolve(&host).await.unwrap();
            assert_eq!(found.len(), 1);
            assert_eq!(found[0].place(&host), place);
        }
    }

    #[tokio::test]
    async fn keepalives_and_nodelay_are_set() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = Address::Tcp(listener.local_addr().unwrap());
        for (keepalives, idle) in [(true, Some(77)), (true, None), (false, Some(77))] {
            let mut params = super::super::tests::params("127.0.0.1", 1);
            params.keepalives = keepalives;
            params.keepalives_idle = idle.map(std::time::Duration::from_secs);
            let Socket::Tcp(stream) = address.open(&params).await.unwrap() else { panic!() };
            assert!(stream.nodelay().unwrap());
            let socket = SockRef::from(&stream);
            assert_eq!(socket.keepalive().unwrap(), keepalives);
            if keepalives && let Some(idle) = idle {
                assert_eq!(socket.tcp_keepalive_time().unwrap().as_secs(), idle);
            }
        }
    }
}
