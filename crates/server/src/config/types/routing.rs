//! `routing`: which backend gets a statement.

use pool_manager::config::{GoDuration, SettingError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Most patterns in one list.
const MAX_PATTERNS: usize = 1000;

/// How statements find their backend.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RoutingConfig {
    /// Send reads to replicas.
    pub read_write_split: bool,
    /// Regular expressions of statements that are reads, whatever they look like.
    pub read_patterns: Vec<String>,
    /// Regular expressions of statements that are writes, whatever they look like.
    pub write_patterns: Vec<String>,
    /// How a replica is chosen: round_robin, least_connections, random or weighted.
    pub load_balance: LoadBalance,
    /// What happens when a backend is down.
    pub failover: FailoverConfig,
}

/// How a replica is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum LoadBalance {
    /// One after the other.
    #[default]
    RoundRobin,
    /// The one with the fewest connections in use.
    LeastConnections,
    /// Any.
    Random,
    /// In proportion to their weights.
    Weighted,
}

/// What happens when a backend is down.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct FailoverConfig {
    /// Send statements to another backend when one is down.
    pub enabled: bool,
    /// Time before a backend that is down is tried again.
    pub retry_interval: GoDuration,
    /// Failures in a row after which a backend counts as down.
    #[schemars(range(min = 1))]
    pub max_failures: u32,
}

impl Default for FailoverConfig {
    fn default() -> Self {
        Self { enabled: false, retry_interval: GoDuration::from_secs(1), max_failures: 3 }
    }
}

impl RoutingConfig {
    /// Checks the limits.
    ///
    /// # Errors
    /// The first wrong setting.
    pub fn validate(&self) -> Result<(), SettingError> {
        check_patterns("read_patterns", &self.read_patterns)?;
        check_patterns("write_patterns", &self.write_patterns)?;
        let failover = &self.failover;
        SettingError::check_positive("failover.retry_interval", failover.retry_interval)?;
        SettingError::check_range("failover.max_failures", failover.max_failures, &(1..=u32::MAX))
    }
}

fn check_patterns(key: &str, patterns: &[String]) -> Result<(), SettingError> {
    if patterns.len() > MAX_PATTERNS {
        let reason = format!("{} patterns are more than {MAX_PATTERNS}", patterns.len());
        return Err(SettingError::new(key, reason));
    }
    match patterns.iter().position(String::is_empty) {
        None => Ok(()),
        Some(index) => Err(SettingError::new(
            format!("{key}[{index}]"),
            "an empty pattern would match every statement",
        )),
    }
}
