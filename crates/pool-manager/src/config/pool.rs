//! `pool`: the size of a pool, and how long its connections and its callers may wait and live.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{GoDuration, MaxHeld, SettingError};

/// Connections kept open when nothing is said about it.
const DEFAULT_MIN_CONNECTIONS: u32 = 5;
/// Largest pool; PostgreSQL's own `max_connections` ends here, too.
const MAX_CONNECTIONS: u32 = 262_143;
/// Longest queue of waiting callers.
const MAX_WAIT_QUEUE: u32 = 1_000_000;

/// Size and timing of one backend's pool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PoolConfig {
    /// Most connections open to the server at any time.
    #[schemars(range(min = 1, max = 262_143))]
    pub max_connections: u32,
    /// Connections kept open when idle; the default is 5, or max_connections when that is smaller.
    #[schemars(with = "u32", range(min = 0, max = 262_143), extend("default" = 5))]
    pub min_connections: Option<u32>,
    /// A connection is replaced when it is this old; 0 = never.
    pub max_lifetime: GoDuration,
    /// A connection above min_connections is closed after being idle this long; 0 = never.
    pub max_idle_time: GoDuration,
    /// How often the server is asked for a sign of life.
    pub health_check_period: GoDuration,
    /// How long a caller waits for a free connection.
    pub acquire_timeout: GoDuration,
    /// How many callers may wait for a connection at the same time; 0 = none.
    #[schemars(range(min = 0, max = 1_000_000))]
    pub wait_queue_size: u32,
    /// Most connections held by transactions and sessions: a number, or a share of the pool.
    pub max_held: MaxHeld,
}

impl Default for PoolConfig {
    fn default() -> Self {
        Self {
            max_connections: 25,
            min_connections: None,
            max_lifetime: GoDuration::from_secs(3600),
            max_idle_time: GoDuration::from_secs(30 * 60),
            health_check_period: GoDuration::from_secs(30),
            acquire_timeout: GoDuration::from_secs(5),
            wait_queue_size: 1000,
            max_held: MaxHeld::default(),
        }
    }
}

impl PoolConfig {
    /// Connections to keep open: what is set, else 5 or `max_connections`, whichever is smaller.
    pub fn effective_min_connections(&self) -> u32 {
        self.min_connections.unwrap_or(DEFAULT_MIN_CONNECTIONS.min(self.max_connections))
    }

    /// How many connections may be held across statements.
    pub fn effective_max_held(&self) -> u32 {
        self.max_held.of(self.max_connections)
    }

    /// Checks every value against its limits and the others.
    ///
    /// # Errors
    /// The first wrong setting.
    pub fn validate(&self) -> Result<(), SettingError> {
        SettingError::check_range("max_connections", self.max_connections, &(1..=MAX_CONNECTIONS))?;
        let min = self.effective_min_connections();
        if min > self.max_connections {
            return Err(SettingError::new(
                "min_connections",
                format!("{min} is more than max_connections, {}", self.max_connections),
            ));
        }
        SettingError::check_positive("health_check_period", self.health_check_period)?;
        SettingError::check_positive("acquire_timeout", self.acquire_timeout)?;
        SettingError::check_range("wait_queue_size", self.wait_queue_size, &(0..=MAX_WAIT_QUEUE))?;
        match self.max_held {
            MaxHeld::Count(count) if count > self.max_connections => Err(SettingError::new(
                "max_held",
                format!("{count} is more than max_connections, {}", self.max_connections),
            )),
            MaxHeld::Count(0) => Err(SettingError::new("max_held", "must be at least 1")),
            MaxHeld::Percent(percent) => SettingError::check_range("max_held", percent, &(1..=100))
                .map_err(|_| SettingError::new("max_held", "a share must be from 1% to 100%")),
            MaxHeld::Count(_) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(config: &PoolConfig) -> String {
        config.validate().unwrap_err().to_string()
    }

    #[test]
    fn the_defaults_are_valid() {
        let config = PoolConfig::default();
        assert_eq!(config.validate(), Ok(()));
        assert_eq!(config.effective_min_connections(), 5);
        assert_eq!(config.effective_max_held(), 20);
    }

    #[test]
    fn the_default_minimum_gives_way_to_a_smaller_maximum() {
        let config = PoolConfig { max_connections: 2, ..PoolConfig::default() };
        assert_eq!(config.validate(), Ok(()));
        assert_eq!(config.effective_min_connections(), 2);
    }

    #[test]
    fn a_minimum_above_the_maximum_is_an_error() {
        let config =
            PoolConfig { max_connections: 2, min_connections: Some(3), ..PoolConfig::default() };
        assert_eq!(wrong(&config), "min_connections: 3 is more than max_connections, 2");
    }

    #[test]
    fn values_out_of_range_are_named() {
        let default = PoolConfig::default;
        let zero = GoDuration::ZERO;
        for (config, key) in [
            (PoolConfig { max_connections: 0, ..default() }, "max_connections"),
            (PoolConfig { max_connections: 262_144, ..default() }, "max_connections"),
            (PoolConfig { health_check_period: zero, ..default() }, "health_check_period"),
            (PoolConfig { acquire_timeout: zero, ..default() }, "acquire_timeout"),
            (PoolConfig { wait_queue_size: 1_000_001, ..default() }, "wait_queue_size"),
            (PoolConfig { max_held: MaxHeld::Count(26), ..default() }, "max_held"),
            (PoolConfig { max_held: MaxHeld::Count(0), ..default() }, "max_held"),
            (PoolConfig { max_held: MaxHeld::Percent(101), ..default() }, "max_held"),
        ] {
            assert!(wrong(&config).starts_with(&format!("{key}: ")), "{}", wrong(&config));
        }
    }

    #[test]
    fn it_deserializes_over_the_defaults_and_refuses_unknown_fields() {
        let config: PoolConfig =
            serde_json::from_str(r#"{"max_connections": 7, "max_lifetime": "1h30m"}"#).unwrap();
        assert_eq!(config.max_connections, 7);
        assert_eq!(config.max_lifetime, GoDuration::from_secs(5400));
        assert_eq!(config.wait_queue_size, 1000);
        let error = serde_json::from_str::<PoolConfig>(r#"{"max_conections": 7}"#).unwrap_err();
        assert!(error.to_string().contains("max_conections"));
    }
}
