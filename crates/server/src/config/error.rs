//! Why a configuration cannot be used: the file, the key, the reason and the remedy.

use std::fmt;

use super::tree::Place;

/// One thing wrong with the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    /// File as it was named, or `-o` for an override.
    pub file: String,
    /// Line in the file, when known.
    pub line: Option<u32>,
    /// Full path of the key, such as `pgpool.backends.primary.pool.max_connections`; empty when
    /// the trouble is with the file itself.
    pub key: String,
    /// What is wrong, and what would do; never a secret.
    pub reason: String,
}

impl ConfigError {
    /// An error about a whole file.
    pub(crate) fn file(file: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { file: file.into(), line: None, key: String::new(), reason: reason.into() }
    }

    /// An error about one key.
    pub(crate) fn key(place: &Place, key: impl Into<String>, reason: impl Into<String>) -> Self {
        Self {
            file: place.file.to_string(),
            line: place.line,
            key: key.into(),
            reason: reason.into(),
        }
    }
}

/// `FILE:LINE: KEY: REASON`
impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        if !self.key.is_empty() {
            write!(f, ": {}", self.key)?;
        }
        write!(f, ": {}", self.reason)
    }
}

impl std::error::Error for ConfigError {}
