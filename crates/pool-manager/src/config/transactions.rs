//! `transactions`: how long RPC transactions and sessions may hold a connection.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{GoDuration, SettingError};

/// Limits of RPC transactions and sessions; each may be set for one of them when it begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TransactionsConfig {
    /// A transaction or session with no call for this long is rolled back.
    pub idle_timeout: GoDuration,
    /// A transaction or session is rolled back at this age, idle or not.
    pub max_lifetime: GoDuration,
}

impl Default for TransactionsConfig {
    fn default() -> Self {
        Self {
            idle_timeout: GoDuration::from_secs(60),
            max_lifetime: GoDuration::from_secs(10 * 60),
        }
    }
}

impl TransactionsConfig {
    /// Checks that both limits are limits.
    ///
    /// # Errors
    /// The first wrong setting.
    pub fn validate(&self) -> Result<(), SettingError> {
        SettingError::check_positive("idle_timeout", self.idle_timeout)?;
        SettingError::check_positive("max_lifetime", self.max_lifetime)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_of_zero_is_refused() {
        assert_eq!(TransactionsConfig::default().validate(), Ok(()));
        let config: TransactionsConfig = serde_json::from_str(r#"{"max_lifetime": 0}"#).unwrap();
        assert_eq!(config.validate().unwrap_err().to_string(), "max_lifetime: must be more than 0");
    }
}
