//! Why a server connection could not be opened, host by host. Its texts name places and causes and
//! never a password, a key or a DSN.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::tls::CertificateError;
use crate::dsn::{SslMode, TargetSessionAttrs};
use crate::server_error::{ServerError, SqlState};

/// No server connection could be had. Cheap to clone, so that one failure can answer many callers.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ConnectError {
    /// A certificate or key of the configuration cannot be used; nothing was dialled.
    #[error("{0}")]
    Certificate(#[source] Arc<CertificateError>),
    /// The only host (address) failed.
    #[error("cannot connect to PostgreSQL at {0}")]
    Host(#[source] Arc<HostFailure>),
    /// Several hosts or addresses were tried, in this order, and all failed.
    #[error("cannot connect to PostgreSQL: {}", Joined(.0))]
    AllHosts(Arc<[HostFailure]>),
}

/// One address that was tried and what went wrong there.
#[derive(Debug, thiserror::Error)]
#[error("{place}: {cause}")]
pub struct HostFailure {
    /// `host:port`, with the address behind it when the host is a name, or the socket's path.
    pub place: String,
    /// What went wrong.
    #[source]
    pub cause: ConnectCause,
}

/// What went wrong at one address.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectCause {
    /// Connecting, TLS and startup together took longer than `connect_timeout`.
    #[error("timed out after {}", Seconds(*.0))]
    Timeout(Duration),
    /// The host's name could not be resolved.
    #[error("cannot resolve the host name: {}", OsText(.0))]
    Resolve(#[source] io::Error),
    /// The socket failed: nothing listens, no route, reset.
    #[error("{}", OsText(.0))]
    Io(#[source] io::Error),
    /// The server ended the connection without saying why.
    #[error("server closed the connection unexpectedly")]
    Closed,
    /// TLS could not be set up: certificate refused, protocol mismatch, alert.
    #[error("TLS failed: {}", OsText(.0))]
    Tls(#[source] io::Error),
    /// The server does not offer TLS, and `sslmode` insists on it.
    #[error("the server does not offer TLS, which sslmode={mode} demands")]
    TlsNotOffered {
        /// The `sslmode` in force.
        mode: SslMode,
    },
    /// The server answered with an ErrorResponse.
    #[error("{0}")]
    Server(#[source] Box<ServerError>),
    /// The server asks for a password and none is configured.
    #[error("the server asks for a password and none is configured")]
    PasswordMissing,
    /// Authentication failed on our side: an unknown method, a server that does not know the
    /// password it asks for, channel binding demanded and not to be had.
    #[error("authentication failed: {0}")]
    Authentication(String),
    /// The other side does not speak PostgreSQL's protocol, or sends lengths beyond all reason.
    #[error("protocol violation: {0}")]
    Protocol(String),
    /// The server does not meet `target_session_attrs`.
    #[error("target_session_attrs={wanted} is not met: {found}")]
    Unsuitable {
        /// What was asked for.
        wanted: TargetSessionAttrs,
        /// What the server is instead.
        found: &'static str,
    },
    /// `sslmode=allow` or `prefer`: both ways were tried and failed.
    #[error("with TLS: {tls}; without TLS: {plain}")]
    BothWays {
        /// The failure over TLS.
        tls: Box<ConnectCause>,
        /// The failure without it.
        plain: Box<ConnectCause>,
    },
}

impl ConnectError {
    /// The one failure, or all of them.
    pub(super) fn from_failures(mut failures: Vec<HostFailure>) -> Self {
        match failures.pop() {
            Some(only) if failures.is_empty() => Self::Host(Arc::new(only)),
            last => Self::AllHosts(failures.into_iter().chain(last).collect()),
        }
    }

    /// The failures by address, in the order tried; empty when a certificate was the trouble.
    pub fn failures(&self) -> &[HostFailure] {
        match self {
            Self::Certificate(_) => &[],
            Self::Host(failure) => std::slice::from_ref(failure),
            Self::AllHosts(failures) => failures,
        }
    }

    /// The server's own code where a server answered (`28P01`, `3D000`, `53300`, ...), else
    /// `08001`: nobody could be reached.
    pub fn sqlstate(&self) -> SqlState {
        let mut codes = self.failures().iter().map(|failure| failure.cause.sqlstate());
        codes.find(|code| *code != SqlState::CANNOT_CONNECT).unwrap_or(SqlState::CANNOT_CONNECT)
    }

    /// The first ErrorResponse among the failures, with its detail and hint.
    pub fn server_error(&self) -> Option<&ServerError> {
        self.failures().iter().find_map(|failure| failure.cause.server_error())
    }
}

impl From<CertificateError> for ConnectError {
    fn from(error: CertificateError) -> Self {
        Self::Certificate(Arc::new(error))
    }
}

impl ConnectCause {
    /// The SQLSTATE of this failure.
    pub fn sqlstate(&self) -> SqlState {
        match self {
            Self::PasswordMissing => SqlState::INVALID_PASSWORD,
            other => other.server_error().map_or(SqlState::CANNOT_CONNECT, |error| error.code),
        }
    }

    /// The ErrorResponse behind this failure, if a server sent one.
    pub fn server_error(&self) -> Option<&ServerError> {
        match self {
            Self::Server(error) => Some(error),
            Self::BothWays { tls, plain } => plain.server_error().or_else(|| tls.server_error()),
            _ => None,
        }
    }

    /// Sorts a socket's error: TLS trouble and a sudden end are told apart from the rest.
    pub(super) fn from_io(error: io::Error) -> Self {
        if error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()).is_some() {
            return Self::Tls(error);
        }
        match error.kind() {
            io::ErrorKind::UnexpectedEof => Self::Closed,
            _ => Self::Io(error),
        }
    }
}

/// An I/O error without the ` (os error 111)` that the standard library appends.
struct OsText<'a>(&'a io::Error);

impl fmt::Display for OsText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.0.to_string();
        f.write_str(text.split(" (os error ").next().unwrap_or_default())
    }
}

struct Seconds(Duration);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} s", self.0.as_secs_f64())
    }
}

struct Joined<'a>(&'a [HostFailure]);

impl fmt::Display for Joined<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, failure) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            write!(f, "{separator}{failure}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(place: &str, cause: ConnectCause) -> HostFailure {
        HostFailure { place: place.to_owned(), cause }
    }

    fn refused() -> ConnectCause {
        ConnectCause::Io(io::Error::from_raw_os_error(111))
    }

    #[test]
    fn one_failure_reads_as_one_sentence() {
        let error = ConnectError::from_failures(vec![failure("127.0.0.1:5432", refused())]);
        assert_eq!(
            error.to_string(),
            "cannot connect to PostgreSQL at 127.0.0.1:5432: Connection refused"
        );
        assert_eq!(error.sqlstate(), SqlState::CANNOT_CONNECT);
    }

    #[test]
    fn several_failures_are_all_told_and_the_servers_code_wins() {
        let busy = ServerError::new(SqlState::TOO_MANY_CONNECTIONS, "sorry, too many clients");
        let error = ConnectError::from_failures(vec![
            failure("a:1", refused()),
            failure("b:2", ConnectCause::Server(Box::new(busy.clone()))),
            failure("c:3", ConnectCause::Timeout(Duration::from_millis(1500))),
        ]);
        assert_eq!(
            error.to_string(),
            "cannot connect to PostgreSQL: a:1: Connection refused; \
             b:2: sorry, too many clients; c:3: timed out after 1.5 s"
        );
        assert_eq!(error.sqlstate(), SqlState::TOO_MANY_CONNECTIONS);
        assert_eq!(error.server_error(), Some(&busy));
    }
}
