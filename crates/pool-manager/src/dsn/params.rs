//! What a DSN or a structured backend configuration comes down to: whom to connect to, and how.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::secret::Secret;

/// Everything needed to open a server connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectParams {
    /// Hosts in the order in which they are tried; never empty.
    pub hosts: Vec<Host>,
    /// Role to log in as.
    pub user: String,
    /// Password, when one is known.
    pub password: Option<Secret>,
    /// Database name.
    pub database: String,
    /// When TLS is used and what is verified.
    pub ssl_mode: SslMode,
    /// Whether TLS is asked for or begun with.
    pub ssl_negotiation: SslNegotiation,
    /// Trusted roots: `None` means libpq's default file (`~/.postgresql/root.crt`).
    pub ssl_root_cert: Option<RootCert>,
    /// Client certificate chain, PEM.
    pub ssl_cert: Option<PathBuf>,
    /// Client key, PEM.
    pub ssl_key: Option<PathBuf>,
    /// SCRAM channel binding.
    pub channel_binding: ChannelBinding,
    /// Which of the hosts will do.
    pub target_session_attrs: TargetSessionAttrs,
    /// Bound on connect, TLS and startup together, per host address.
    pub connect_timeout: Duration,
    /// `application_name` of server connections.
    pub application_name: Option<String>,
    /// `options` startup parameter (`-c name=value ...`).
    pub options: Option<String>,
    /// Whether TCP keepalives are sent on server connections.
    pub keepalives: bool,
    /// Idle time before the first keepalive; `None` leaves the system's default.
    pub keepalives_idle: Option<Duration>,
}

/// One place where a server may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Host {
    /// A host name or address over TCP.
    Tcp {
        /// Name, also the name that certificates are checked against.
        host: String,
        /// Address to connect to without looking the name up (libpq's `hostaddr`).
        addr: Option<IpAddr>,
        /// Port.
        port: u16,
    },
    /// A Unix-domain socket: directory and port make the file name `DIR/.s.PGSQL.PORT`.
    Unix {
        /// Directory.
        dir: PathBuf,
        /// Port.
        port: u16,
    },
}

/// libpq's `sslmode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub enum SslMode {
    /// Never TLS.
    Disable,
    /// Plain first, TLS when the server refuses plain.
    Allow,
    /// TLS when the server offers it, else plain. libpq's default.
    #[default]
    Prefer,
    /// TLS or nothing; the certificate is not verified unless a root certificate is given.
    Require,
    /// TLS, certificate signed by a trusted root.
    VerifyCa,
    /// TLS, certificate signed by a trusted root and issued for the host's name.
    VerifyFull,
}

/// libpq's `sslnegotiation`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub enum SslNegotiation {
    /// The server is asked for TLS first.
    #[default]
    Postgres,
    /// The connection begins with TLS, one round trip less; PostgreSQL 17 and newer.
    Direct,
}

/// libpq's `sslrootcert`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RootCert {
    /// A PEM file.
    File(PathBuf),
    /// `sslrootcert=system`: the system's trust store.
    System,
}

/// libpq's `channel_binding`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub enum ChannelBinding {
    /// Never.
    Disable,
    /// When the connection is TLS and the server offers it.
    #[default]
    Prefer,
    /// Refuse to authenticate without it.
    Require,
}

/// libpq's `target_session_attrs`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub enum TargetSessionAttrs {
    /// Any server.
    #[default]
    Any,
    /// Accepts writes by default.
    ReadWrite,
    /// Does not accept writes by default.
    ReadOnly,
    /// Not in recovery.
    Primary,
    /// In recovery.
    Standby,
    /// A standby if one of the hosts is, else any.
    PreferStandby,
}
