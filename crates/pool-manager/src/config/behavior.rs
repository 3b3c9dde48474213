//! `behavior`: what happens to a connection between its callers, and to statements on it.

use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{GoDuration, SettingError};

/// Most prepared statements kept on one connection.
const MAX_STATEMENT_CACHE: u32 = 100_000;
/// Most entries of `session_safe_functions`.
const MAX_SAFE_FUNCTIONS: usize = 10_000;

/// How connections of one backend behave.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct BehaviorConfig {
    /// When the proxy gives a client's connection to others: session, transaction or statement.
    pub mode: PoolMode,
    /// Reset a connection for its next caller: true (when in doubt), always, or false (never).
    pub reset_on_return: ResetOnReturn,
    /// Connect at first use instead of at start.
    pub lazy_connect: bool,
    /// Prepared statements kept on each connection; 0 = off.
    #[schemars(range(min = 0, max = 100_000))]
    pub statement_cache_size: u32,
    /// Keep unnamed statements of the proxy's clients prepared when they come again.
    pub cache_unnamed: bool,
    /// Most clients of the proxy at the same time; 0 = no limit but proxy.max_clients.
    pub max_clients: u32,
    /// Longest run time of a statement that names no timeout of its own; 0 = no limit.
    pub query_timeout: GoDuration,
    /// Functions outside pg_catalog known to leave the session as it is, such as app.total.
    pub session_safe_functions: Vec<String>,
}

/// When the proxy takes a client's connection back into the pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum PoolMode {
    /// When the client disconnects.
    Session,
    /// After each transaction.
    #[default]
    Transaction,
    /// After each statement; transactions of several statements are refused.
    Statement,
    /// After each transaction, unless the client has something in its session that cannot be made
    /// again on another connection: then when it discards that, or disconnects.
    Auto,
}

/// Whether a connection is reset before its next caller gets it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ResetOnReturn {
    /// `false`: never. Session state may pass from one caller to the next.
    Never,
    /// `true`: unless the statements run are known to leave no session state.
    #[default]
    WhenNeeded,
    /// `always`: after every use.
    Always,
}

impl Default for BehaviorConfig {
    fn default() -> Self {
        Self {
            mode: PoolMode::default(),
            reset_on_return: ResetOnReturn::default(),
            lazy_connect: false,
            statement_cache_size: 100,
            cache_unnamed: true,
            max_clients: 0,
            query_timeout: GoDuration::from_secs(30),
            session_safe_functions: Vec::new(),
        }
    }
}

impl BehaviorConfig {
    /// Checks every value against its limits.
    ///
    /// # Errors
    /// The first wrong setting.
    pub fn validate(&self) -> Result<(), SettingError> {
        SettingError::check_range(
            "statement_cache_size",
            self.statement_cache_size,
            &(0..=MAX_STATEMENT_CACHE),
        )?;
        let count = self.session_safe_functions.len();
        if count > MAX_SAFE_FUNCTIONS {
            let reason = format!("{count} entries are more than {MAX_SAFE_FUNCTIONS}");
            return Err(SettingError::new("session_safe_functions", reason));
        }
        match self.session_safe_functions.iter().find(|name| !is_function_name(name)) {
            None => Ok(()),
            Some(name) => Err(SettingError::new(
                "session_safe_functions",
                format!(
                    "{name:?} is not a function name; write total or app.total, without \
                     parentheses and quotes"
                ),
            )),
        }
    }
}

/// `name` or `schema.name`, of the characters that need no quotes in SQL.
fn is_function_name(name: &str) -> bool {
    let is_word = |part: &str| {
        let first = part.chars().next();
        part.len() <= 63
            && first.is_some_and(|c| c.is_alphabetic() || c == '_')
            && part.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '$')
    };
    name.split('.').count() <= 2 && name.split('.').all(is_word)
}

/// `true` and `false` as booleans, `always` as text.
impl Serialize for ResetOnReturn {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Never => serializer.serialize_bool(false),
            Self::WhenNeeded => serializer.serialize_bool(true),
            Self::Always => serializer.serialize_str("always"),
        }
    }
}

impl<'de> Deserialize<'de> for ResetOnReturn {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ResetVisitor)
    }
}

struct ResetVisitor;

impl Visitor<'_> for ResetVisitor {
    type Value = ResetOnReturn;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("true, false or always")
    }

    fn visit_bool<E: de::Error>(self, on: bool) -> Result<ResetOnReturn, E> {
        Ok(if on { ResetOnReturn::WhenNeeded } else { ResetOnReturn::Never })
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<ResetOnReturn, E> {
        match text.trim().to_ascii_lowercase().as_str() {
            "always" => Ok(ResetOnReturn::Always),
            "true" | "t" | "1" => Ok(ResetOnReturn::WhenNeeded),
            "false" | "f" | "0" => Ok(ResetOnReturn::Never),
            _ => Err(E::custom("must be true, false or always")),
        }
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<ResetOnReturn, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<ResetOnReturn, E> {
        self.visit_str(&number.to_string())
    }
}

impl JsonSchema for ResetOnReturn {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "ResetOnReturn".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "enum": [true, false, "always"] })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reset_on_return_has_three_values() {
        for (json, reset) in [
            ("true", ResetOnReturn::WhenNeeded),
            ("false", ResetOnReturn::Never),
            ("\"always\"", ResetOnReturn::Always),
            ("\"true\"", ResetOnReturn::WhenNeeded),
            ("\"False\"", ResetOnReturn::Never),
            ("1", ResetOnReturn::WhenNeeded),
        ] {
            assert_eq!(serde_json::from_str::<ResetOnReturn>(json).unwrap(), reset, "{json}");
        }
        let error = serde_json::from_str::<ResetOnReturn>("\"sometimes\"").unwrap_err();
        assert!(error.to_string().contains("must be true, false or always"));
        assert_eq!(serde_json::to_string(&ResetOnReturn::Always).unwrap(), "\"always\"");
        assert_eq!(serde_json::to_string(&ResetOnReturn::Never).unwrap(), "false");
    }

    #[test]
    fn safe_functions_are_plain_names() {
        let with = |name: &str| BehaviorConfig {
            session_safe_functions: vec![name.to_owned()],
            ..BehaviorConfig::default()
        };
        for name in ["total", "app.total", "App._t$1", "größe"] {
            assert_eq!(with(name).validate(), Ok(()), "{name}");
        }
        for name in ["", "total()", "a.b.c", "1st", ".total", "\"t\"", "a b"] {
            assert!(with(name).validate().is_err(), "{name}");
        }
    }
}
