//! DSNs: URL form (`postgres://…`) and key=value form, parsed as libpq documents them.
//!
//! Reads nothing but its argument: no `PG*` variables, no password or service files.
//!
//! Source: PostgreSQL documentation, "Connection Strings" and "Parameter Key Words" of libpq.

mod error;
mod format;
mod keyvalue;
pub(crate) mod keywords;
pub(crate) mod names;
mod params;
pub(crate) mod settings;
mod text;
mod url;

#[cfg(test)]
mod tests;

pub use error::DsnError;
pub use params::{
    ChannelBinding, ConnectParams, Host, RootCert, SslMode, SslNegotiation, TargetSessionAttrs,
};
pub use settings::{DEFAULT_APPLICATION_NAME, DEFAULT_CONNECT_TIMEOUT, DEFAULT_PORT};
pub use text::Dsn;

/// Longest DSN accepted, in bytes.
pub const MAX_DSN_LENGTH: usize = 64 * 1024;

/// Parses a DSN of either form.
///
/// Defaults: port 5432, database = user, `sslmode=prefer`, `connect_timeout=5`,
/// `application_name=rr-pgpool`. A host and a user must be given.
///
/// # Errors
/// [`DsnError`] says what is wrong without ever repeating the password.
pub fn parse(text: &str) -> Result<ConnectParams, DsnError> {
    // The end stays: an escaped space there belongs to a value.
    let text = text.trim_start();
    if text.is_empty() {
        return Err(DsnError::syntax("the DSN is empty"));
    }
    if text.len() > MAX_DSN_LENGTH {
        return Err(DsnError::syntax(format!("the DSN is longer than {MAX_DSN_LENGTH} bytes")));
    }
    if text.contains('\0') {
        return Err(DsnError::syntax("the DSN holds a zero byte"));
    }
    if let Some(rest) = url::strip_scheme(text) {
        return url::parse(rest.trim_end())?.build();
    }
    if let Some(error) = url::foreign_scheme(text) {
        return Err(error);
    }
    keyvalue::parse(text)?.build()
}
