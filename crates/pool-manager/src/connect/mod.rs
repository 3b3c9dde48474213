//! Opening server connections. Sockets, hosts and TLS are ours; startup and authentication are
//! tokio-postgres'. What comes out is a quiet stream with the server's parameters and the means to
//! cancel; what runs on it afterwards is never this module's business.
//!
//! ```text
//! Connector -> hosts (which host, which address) -> attempt (socket, TLS by sslmode, timeout)
//!           -> session (startup through tokio-postgres) -> Connected
//! ```

mod attempt;
mod cancel;
mod error;
mod hosts;
mod housekeeping;
mod session;
mod socket;
mod startup;
mod stream;
mod tls;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use tokio_postgres::{Client, Config};

pub use cancel::CancelTarget;
pub use error::{ConnectCause, ConnectError, HostFailure};
pub use housekeeping::{Housekeeping, HousekeepingClient, HousekeepingError, HousekeepingManager};
pub use session::ClientDriver;
pub use stream::ServerStream;
pub use tls::{CertificateError, tls_server_end_point};

use crate::dsn::{ConnectParams, Host};
use session::{ClientSession, RawSession};
use tls::TlsClient;

/// Opens connections to one backend. Cheap to clone; holds the certificates, read once.
#[derive(Clone)]
pub struct Connector {
    settings: Arc<Settings>,
}

/// What every connection of a connector shares.
struct Settings {
    params: ConnectParams,
    /// The part of the parameters that tokio-postgres needs.
    startup: Config,
    /// `None` when the parameters never lead to TLS.
    tls: Option<TlsClient>,
}

/// An open session: authenticated, idle, not a byte of it read ahead.
pub struct Connected {
    /// The stream, exactly behind the first ReadyForQuery.
    pub stream: ServerStream,
    /// What the server reported by ParameterStatus (`server_version`, `TimeZone`, ...).
    pub parameters: BTreeMap<String, String>,
    /// Process id of the server's backend; 0 when the server sent none.
    pub process_id: i32,
    /// How to cancel what the session runs.
    pub cancel: CancelTarget,
    /// Which of the hosts answered.
    pub host: Host,
}

impl fmt::Debug for Connected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The process id is half of what a cancel request needs, so it stays out.
        f.debug_struct("Connected")
            .field("host", &self.host)
            .field("tls", &self.stream.is_tls())
            .field("parameters", &self.parameters)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connector").field("params", &self.settings.params).finish_non_exhaustive()
    }
}

impl Connector {
    /// Reads the certificate files that the parameters need and prepares TLS; dials nobody. The
    /// files are read from disk right here, once.
    ///
    /// # Errors
    /// [`ConnectError::Certificate`] when a needed file is missing or unusable.
    pub fn new(params: ConnectParams) -> Result<Self, ConnectError> {
        let tls = TlsClient::new(&params)?;
        let startup = session::startup_config(&params);
        Ok(Self { settings: Arc::new(Settings { params, startup, tls }) })
    }

    /// What this connector connects to.
    pub fn params(&self) -> &ConnectParams {
        &self.settings.params
    }

    /// Whether it shows or checks certificates, whose files it has read once.
    pub(crate) fn has_certificates(&self) -> bool {
        self.settings.tls.is_some()
    }

    /// Opens a session on the first host that answers and meets `target_session_attrs`.
    ///
    /// Every address of a host has the whole `connect_timeout` for itself. A server that refuses the
    /// role or its password ends the search; any other failure leads to the next address.
    ///
    /// Cancel safe: dropped, it closes whatever it had opened.
    ///
    /// # Errors
    /// [`ConnectError`] with what happened at each address tried.
    pub async fn connect(&self) -> Result<Connected, ConnectError> {
        let (opened, host) = hosts::open_any::<RawSession>(&self.settings).await?;
        let key = opened.record.key;
        let settings = Arc::clone(&self.settings);
        let cancel = CancelTarget::new(settings, host.clone(), opened.address, opened.tls, key);
        Ok(Connected {
            stream: opened.session.0,
            parameters: opened.record.parameters,
            process_id: key.map_or(0, |key| key.process_id),
            cancel,
            host,
        })
    }

    /// Opens a session for tokio-postgres' own client, through the same hosts, TLS and checks. The
    /// second half moves the client's bytes and must be spawned.
    ///
    /// # Errors
    /// As [`Connector::connect`].
    pub async fn connect_client(&self) -> Result<(Client, ClientDriver), ConnectError> {
        let (opened, _host) = hosts::open_any::<ClientSession>(&self.settings).await?;
        Ok((opened.session.client, opened.session.driver))
    }
}

#[cfg(test)]
mod tests;
