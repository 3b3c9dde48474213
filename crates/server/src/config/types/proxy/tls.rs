//! `proxy.tls`: TLS with PostgreSQL clients.

use std::path::PathBuf;

use pgwire_proxy::{TlsFiles, TlsServer};
use pool_manager::config::SettingError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// TLS with clients that connect by TCP.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ProxyTlsConfig {
    /// Whether clients use TLS: disable, allow, prefer, require, verify-ca or verify-full; when not
    /// set, prefer where there is a certificate, else disable.
    pub mode: Option<TlsMode>,
    /// File of the certificate that clients are shown, with those that lead to its root (PEM).
    pub cert: Option<PathBuf>,
    /// File of the certificate's key (PEM).
    pub key: Option<PathBuf>,
    /// File of the authorities that sign clients' certificates (PEM).
    pub client_ca: Option<PathBuf>,
}

/// Whether clients use TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub enum TlsMode {
    /// Never.
    Disable,
    /// If they ask for it.
    Allow,
    /// If they ask for it.
    Prefer,
    /// Always.
    Require,
    /// Always, and with a certificate that client_ca has signed.
    VerifyCa,
    /// The same, and in the user's name.
    VerifyFull,
}

impl From<TlsMode> for pgwire_proxy::TlsMode {
    fn from(mode: TlsMode) -> Self {
        match mode {
            TlsMode::Disable => Self::Disable,
            TlsMode::Allow | TlsMode::Prefer => Self::Prefer,
            TlsMode::Require => Self::Require,
            TlsMode::VerifyCa => Self::VerifyCa,
            TlsMode::VerifyFull => Self::VerifyFull,
        }
    }
}

impl ProxyTlsConfig {
    /// The mode in force.
    #[must_use]
    pub fn effective_mode(&self) -> pgwire_proxy::TlsMode {
        let unsaid = if self.cert.is_some() { TlsMode::Prefer } else { TlsMode::Disable };
        self.mode.unwrap_or(unsaid).into()
    }

    /// Checks what belongs together; reads no file.
    ///
    /// # Errors
    /// The first wrong setting.
    pub fn validate(&self) -> Result<(), SettingError> {
        use pgwire_proxy::TlsMode as Mode;

        let mode = self.effective_mode();
        let wrong = match (&self.cert, &self.key) {
            (Some(_), None) => Some(("key", "is missing: cert needs its private key")),
            (None, Some(_)) => Some(("cert", "is missing: key belongs to a certificate")),
            (None, None) if mode != Mode::Disable => {
                Some(("cert", "is missing: TLS needs a certificate and its key"))
            }
            _ if mode >= Mode::VerifyCa && self.client_ca.is_none() => Some((
                "client_ca",
                "is missing: who signs the certificates that clients must show?",
            )),
            _ => None,
        };
        wrong.map_or(Ok(()), |(key, reason)| Err(SettingError::new(key, reason)))
    }

    /// Reads the files; `None` where clients use no TLS.
    ///
    /// # Errors
    /// A file that cannot be used.
    pub fn server(&self) -> Result<Option<TlsServer>, SettingError> {
        let mode = self.effective_mode();
        let (Some(cert), Some(key)) = (&self.cert, &self.key) else { return Ok(None) };
        if mode == pgwire_proxy::TlsMode::Disable {
            return Ok(None);
        }
        let files =
            TlsFiles { cert: cert.clone(), key: key.clone(), client_ca: self.client_ca.clone() };
        TlsServer::new(&files, mode)
            .map(Some)
            .map_err(|error| SettingError::new("tls", error.to_string()))
    }
}
