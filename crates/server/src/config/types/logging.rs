//! `logging`: what is written to the log.

use pool_manager::config::GoDuration;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What is written to the log.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LoggingConfig {
    /// Least important level that is logged: debug, info, warn or error.
    pub level: LogLevel,
    /// How a line of the log looks: text or json.
    pub format: LogFormat,
    /// Statements that take long.
    pub slow_query: SlowQueryConfig,
    /// Log every statement of either door, with its constants masked.
    pub log_queries: bool,
    /// Log constants and parameters with the statements; they may be secrets.
    pub log_params: bool,
}

/// How important a line of the log is.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum LogLevel {
    /// For finding out why.
    Debug,
    /// What happens.
    #[default]
    Info,
    /// What should not happen often.
    Warn,
    /// What must not happen.
    Error,
}

/// How a line of the log looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One object: for RoadRunner's `logs.channels.service.mode: raw`, and for collectors.
    Json,
}

/// Statements that take long.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SlowQueryConfig {
    /// Log statements that take long, of either door, with their constants masked.
    pub enabled: bool,
    /// Time from which on a statement is slow.
    pub threshold: GoDuration,
}

impl Default for SlowQueryConfig {
    fn default() -> Self {
        Self { enabled: true, threshold: GoDuration::from_millis(100) }
    }
}
