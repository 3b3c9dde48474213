//! A DSN as the user wrote it, which shows itself only with its password masked.

use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{ConnectParams, DsnError};
use crate::secret::Secret;

/// The text of a DSN, not parsed yet; prints masked, or as `***` when it cannot be parsed.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Dsn(Secret);

impl Dsn {
    /// Wraps the text of a DSN.
    pub fn new(text: impl Into<String>) -> Self {
        Self(Secret::new(text))
    }

    /// The text itself, password included.
    pub fn expose(&self) -> &str {
        self.0.expose()
    }

    /// Parses the text.
    ///
    /// # Errors
    /// See [`super::parse`].
    pub fn parse(&self) -> Result<ConnectParams, DsnError> {
        super::parse(self.0.expose())
    }
}

impl From<&str> for Dsn {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl From<String> for Dsn {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}

impl fmt::Display for Dsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.parse() {
            Ok(params) => f.write_str(&params.masked_dsn()),
            Err(_) => f.write_str("***"),
        }
    }
}

impl fmt::Debug for Dsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<'de> Deserialize<'de> for Dsn {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::new)
    }
}

/// Writes the masked text.
impl Serialize for Dsn {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl JsonSchema for Dsn {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Dsn".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string" })
    }
}
