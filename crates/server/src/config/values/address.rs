//! Addresses to listen on, as RoadRunner writes them: `tcp://host:port`, `unix://path`.

use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::text_value;

/// Longest path that fits a socket address on Linux, in bytes.
const MAX_UNIX_PATH: usize = 107;

/// Where a listener listens.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ListenAddress {
    /// TCP.
    Tcp {
        /// Name or address without brackets; empty means every address of the machine.
        host: String,
        /// Port; 0 lets the system choose one.
        port: u16,
    },
    /// A Unix-domain socket.
    Unix(PathBuf),
}

impl ListenAddress {
    /// A TCP address.
    pub fn tcp(host: impl Into<String>, port: u16) -> Self {
        Self::Tcp { host: host.into(), port }
    }

    /// Whether only processes on this machine can reach it.
    ///
    /// A name other than `localhost` counts as reachable from elsewhere: where it leads may change.
    pub fn is_local(&self) -> bool {
        match self {
            Self::Unix(_) => true,
            Self::Tcp { host, .. } => match host.parse::<IpAddr>() {
                Ok(address) => address.to_canonical().is_loopback(),
                Err(_) => host.eq_ignore_ascii_case("localhost"),
            },
        }
    }

    /// The path of a Unix-domain socket.
    pub fn unix_path(&self) -> Option<&Path> {
        match self {
            Self::Unix(path) => Some(path),
            Self::Tcp { .. } => None,
        }
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } if host.contains(':') => write!(f, "tcp://[{host}]:{port}"),
            Self::Tcp { host, port } => write!(f, "tcp://{host}:{port}"),
            Self::Unix(path) => write!(f, "unix://{}", path.display()),
        }
    }
}

impl FromStr for ListenAddress {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some(path) = text.strip_prefix("unix://") {
            return match path.len() {
                0 => Err("a Unix-domain socket needs a path: unix:///run/pgpool.sock"),
                1..=MAX_UNIX_PATH => Ok(Self::Unix(PathBuf::from(path))),
                _ => Err("the path of a Unix-domain socket must not exceed 107 bytes"),
            };
        }
        let Some(rest) = text.strip_prefix("tcp://") else {
            return Err("an address is written tcp://host:port or unix://path");
        };
        let Some((host, port)) = rest.rsplit_once(':') else {
            return Err("the port is missing: tcp://host:port");
        };
        let port = port.parse().map_err(|_| "the port must be a number from 0 to 65535")?;
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let host = bare.unwrap_or(host);
        if host.contains(':') && (bare.is_none() || host.parse::<IpAddr>().is_err()) {
            return Err("an IPv6 address needs brackets: tcp://[::1]:6002");
        }
        if host.contains(|c: char| c.is_whitespace() || c.is_control() || "/@[]".contains(c)) {
            return Err("the host is not a name or an address: tcp://host:port");
        }
        Ok(Self::Tcp { host: host.to_owned(), port })
    }
}

text_value!(ListenAddress, "an address like tcp://127.0.0.1:6002 or unix:///run/pgpool.sock", {
    "type": "string",
    "pattern": "^(tcp://[^/]*:[0-9]+|unix://.+)$"
});

/// Where a listener listens, if it does.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct OptionalAddress(Option<ListenAddress>);

impl OptionalAddress {
    /// Listens nowhere.
    pub const OFF: Self = Self(None);

    /// The address; `None` when it is off.
    pub fn get(&self) -> Option<&ListenAddress> {
        self.0.as_ref()
    }
}

impl From<ListenAddress> for OptionalAddress {
    fn from(address: ListenAddress) -> Self {
        Self(Some(address))
    }
}

impl fmt::Display for OptionalAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_ref().map_or(Ok(()), |address| address.fmt(f))
    }
}

impl FromStr for OptionalAddress {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.is_empty() {
            Ok(Self::OFF)
        } else {
            text.parse().map(|address| Self(Some(address)))
        }
    }
}

text_value!(
    OptionalAddress,
    "an address like tcp://127.0.0.1:5433 or unix:///run/pgpool.pg.sock, or '' for none",
    {
        "type": "string",
        "pattern": "^(tcp://[^/]*:[0-9]+|unix://.+|)$"
    }
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_printed() {
        for (text, address) in [
            ("tcp://127.0.0.1:6002", ListenAddress::tcp("127.0.0.1", 6002)),
            ("tcp://:6002", ListenAddress::tcp("", 6002)),
            ("tcp://[::1]:6002", ListenAddress::tcp("::1", 6002)),
            ("tcp://localhost:0", ListenAddress::tcp("localhost", 0)),
            ("unix:///run/pgpool.sock", ListenAddress::Unix("/run/pgpool.sock".into())),
            ("unix://pgpool.sock", ListenAddress::Unix("pgpool.sock".into())),
        ] {
            assert_eq!(text.parse(), Ok(address.clone()));
            assert_eq!(address.to_string(), text);
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        let long = format!("unix:///{}", "x".repeat(107));
        for (text, reason) in [
            ("127.0.0.1:6002", "tcp://host:port"),
            ("http://127.0.0.1:6002", "tcp://host:port"),
            ("tcp://127.0.0.1", "port is missing"),
            ("tcp://127.0.0.1:", "port must be a number"),
            ("tcp://127.0.0.1:65536", "port must be a number"),
            ("tcp://::1:6002", "brackets"),
            ("tcp://[::g]:6002", "brackets"),
            ("tcp://a/b:6002", "host is not"),
            ("unix://", "needs a path"),
            (&long, "107 bytes"),
        ] {
            let error = text.parse::<ListenAddress>().unwrap_err();
            assert!(error.contains(reason), "{text}: {error}");
        }
    }

    #[test]
    fn an_empty_address_is_none() {
        assert_eq!("".parse(), Ok(OptionalAddress::OFF));
        assert_eq!(OptionalAddress::OFF.to_string(), "");
        let address = ListenAddress::tcp("127.0.0.1", 5433);
        assert_eq!("tcp://127.0.0.1:5433".parse(), Ok(OptionalAddress::from(address)));
        assert!("5433".parse::<OptionalAddress>().is_err());
    }

    #[test]
    fn only_loopback_and_sockets_are_local() {
        for text in [
            "tcp://127.0.0.1:1",
            "tcp://127.9.9.9:1",
            "tcp://localhost:1",
            "tcp://[::1]:1",
            "tcp://[::ffff:127.0.0.1]:1",
            "unix:///x",
        ] {
            assert!(text.parse::<ListenAddress>().unwrap().is_local(), "{text}");
        }
        for text in
            ["tcp://:1", "tcp://0.0.0.0:1", "tcp://[::]:1", "tcp://10.0.0.1:1", "tcp://db:1"]
        {
            assert!(!text.parse::<ListenAddress>().unwrap().is_local(), "{text}");
        }
    }
}
