//! Reading the certificate and key files of a configuration. It decides which files an `sslmode`
//! needs, as libpq documents, and never verifies anything itself.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::RootCertStore;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use super::verify::{Roots, Trust};
use crate::certificates::{read_certificates, read_key, read_roots};
use crate::dsn::{ConnectParams, RootCert, SslMode};

/// Where libpq looks for trusted roots when `sslrootcert` is not given, under the home directory.
const DEFAULT_ROOT: &str = ".postgresql/root.crt";

/// A certificate or key file (or setting) that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateError {
    /// A file cannot be read.
    #[error("cannot read {what} {path}: {source}", path = path.display())]
    Unreadable {
        /// What the file is for.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A file was read and does not hold what it should.
    #[error("{what} {path} is not usable: {why}", path = path.display())]
    Invalid {
        /// What the file is for.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// What is wrong with it; never its content.
        why: String,
    },
    /// Verification is asked for and nothing says whom to trust.
    #[error(
        "sslmode={mode} needs trusted root certificates and {path} does not exist: set sslrootcert \
         to a PEM file, or to \"system\" for the system's own (with sslmode=verify-full)",
        path = path.display()
    )]
    MissingRoot {
        /// The `sslmode` in force.
        mode: SslMode,
        /// The default file.
        path: PathBuf,
    },
    /// The system's roots vouch for anybody on the internet, so only the name tells servers apart.
    #[error("sslrootcert=system needs sslmode=verify-full, not {mode}")]
    SystemNeedsVerifyFull {
        /// The `sslmode` in force.
        mode: SslMode,
    },
    /// The system's trust store is empty or unreadable.
    #[error("sslrootcert=system: no trusted certificate was found on this system{why}")]
    NoSystemRoots {
        /// What the look-up said, with a leading colon, or nothing.
        why: String,
    },
    /// `sslcert` and `sslkey` belong together.
    #[error("{given} is set without {missing}: a client certificate needs both")]
    HalfIdentity {
        /// The one that is set.
        given: &'static str,
        /// The one that is not.
        missing: &'static str,
    },
    /// TLS refused what the files hold, for instance a key that belongs to another certificate.
    #[error("the TLS configuration is not usable: {0}")]
    Unusable(#[source] rustls::Error),
}

/// The home directory that holds libpq's default files.
pub(super) fn home_dir() -> Option<PathBuf> {
    std::env::home_dir().filter(|home| !home.as_os_str().is_empty())
}

/// Whom these parameters trust.
///
/// `require` verifies the chain when a root file is given or libpq's default one exists. `allow`
/// and `prefer` verify nothing: they would go on without TLS anyway, which protects less.
pub(super) fn trust_for(
    params: &ConnectParams,
    home: Option<&Path>,
) -> Result<Trust, CertificateError> {
    let mode = params.ssl_mode;
    if params.ssl_root_cert == Some(RootCert::System) && mode != SslMode::VerifyFull {
        return Err(CertificateError::SystemNeedsVerifyFull { mode });
    }
    let default = home.unwrap_or_else(|| Path::new("~")).join(DEFAULT_ROOT);
    let file = match &params.ssl_root_cert {
        _ if matches!(mode, SslMode::Disable | SslMode::Allow | SslMode::Prefer) => None,
        Some(RootCert::System) => return Ok(Trust::ChainAndName(system_roots()?)),
        Some(RootCert::File(file)) => Some(file.clone()),
        None if default.exists() => Some(default),
        None if mode == SslMode::Require => None,
        None => return Err(CertificateError::MissingRoot { mode, path: default }),
    };
    match (file, mode) {
        (None, _) => Ok(Trust::Anyone),
        (Some(file), SslMode::VerifyFull) => Ok(Trust::ChainAndName(file_roots(&file)?)),
        (Some(file), _) => Ok(Trust::Chain(file_roots(&file)?)),
    }
}

fn file_roots(path: &Path) -> Result<Roots, CertificateError> {
    const WHAT: &str = "the root certificate file (sslrootcert)";
    let (store, certificates) = read_roots(WHAT, path)?;
    Ok(Roots { store: Arc::new(store), certificates })
}

fn system_roots() -> Result<Roots, CertificateError> {
    let found = rustls_native_certs::load_native_certs();
    let mut store = RootCertStore::empty();
    // Systems ship a few certificates that rustls cannot read; they are left out, as browsers do.
    let (added, _ignored) = store.add_parsable_certificates(found.certs);
    if added == 0 {
        let why = found.errors.first().map(|error| format!(": {error}")).unwrap_or_default();
        return Err(CertificateError::NoSystemRoots { why });
    }
    Ok(Roots { store: Arc::new(store), certificates: Vec::new() })
}

/// The client's certificate chain and key, when they are configured.
pub(super) fn client_identity(
    params: &ConnectParams,
) -> Result<Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)>, CertificateError> {
    match (&params.ssl_cert, &params.ssl_key) {
        (None, None) => Ok(None),
        (Some(_), None) => {
            Err(CertificateError::HalfIdentity { given: "sslcert", missing: "sslkey" })
        }
        (None, Some(_)) => {
            Err(CertificateError::HalfIdentity { given: "sslkey", missing: "sslcert" })
        }
        (Some(cert), Some(key)) => {
            let chain = read_certificates("the client certificate file (sslcert)", cert)?;
            Ok(Some((chain, read_key("the client key file (sslkey)", key)?)))
        }
    }
}

#[cfg(test)]
#[path = "certificates_tests.rs"]
mod tests;
