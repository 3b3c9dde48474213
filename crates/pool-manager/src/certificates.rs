//! Certificate and key files in PEM, and what SCRAM's channel binding takes from a certificate: for
//! connections to servers here, and for whoever speaks TLS to clients.

use std::path::Path;

use rustls::RootCertStore;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

pub use crate::connect::CertificateError;
pub use crate::connect::tls_server_end_point;

/// Reads the certificates in a file, of which there must be at least one. `what` names the file's
/// purpose in errors.
///
/// # Errors
/// The file cannot be read, or holds no certificate.
pub fn read_certificates(
    what: &'static str,
    path: &Path,
) -> Result<Vec<CertificateDer<'static>>, CertificateError> {
    let invalid = |why: String| CertificateError::Invalid { what, path: path.into(), why };
    let text = read(what, path)?;
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(&text)
        .collect::<Result<_, _>>()
        .map_err(|error| invalid(error.to_string()))?;
    if certificates.is_empty() {
        return Err(invalid("it holds no certificate in PEM format".to_owned()));
    }
    Ok(certificates)
}

/// Reads the certificates of authorities in a file, of which there must be at least one: ready to verify
/// with, and as they are.
///
/// # Errors
/// The file cannot be read, or holds no certificate, or one that is no authority's.
pub fn read_roots(
    what: &'static str,
    path: &Path,
) -> Result<(RootCertStore, Vec<CertificateDer<'static>>), CertificateError> {
    let mut roots = RootCertStore::empty();
    let certificates = read_certificates(what, path)?;
    for certificate in &certificates {
        roots.add(certificate.clone()).map_err(|error| CertificateError::Invalid {
            what,
            path: path.into(),
            why: error.to_string(),
        })?;
    }
    Ok((roots, certificates))
}

/// Reads a private key in PKCS#8, PKCS#1 or SEC1 form.
///
/// # Errors
/// The file cannot be read, or holds no key that is not encrypted.
pub fn read_key(
    what: &'static str,
    path: &Path,
) -> Result<PrivateKeyDer<'static>, CertificateError> {
    let text = read(what, path)?;
    PrivateKeyDer::from_pem_slice(&text).map_err(|error| {
        let why = if text.windows(9).any(|part| part == b"ENCRYPTED") {
            "the key is encrypted; decrypt it, passphrases are not supported".to_owned()
        } else {
            error.to_string()
        };
        CertificateError::Invalid { what, path: path.into(), why }
    })
}

fn read(what: &'static str, path: &Path) -> Result<Vec<u8>, CertificateError> {
    std::fs::read(path).map_err(|source| CertificateError::Unreadable {
        what,
        path: path.into(),
        source,
    })
}
