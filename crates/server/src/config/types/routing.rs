//! `routing`: which backend gets a statement.

use pool_manager::config::{GoDuration, SettingError};
use pool_manager::{BackendsOptions, OwnWrites, RoutingRules};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::values::ByteSize;

/// Most patterns in one list.
const MAX_PATTERNS: usize = 1000;

/// How statements find their backend.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
    /// A replica that is further behind takes no reads; 0 = however far.
    pub max_lag: ByteSize,
    /// The same in time since the last transaction that it has replayed; 0 = however long.
    pub max_lag_time: GoDuration,
    /// Where a client reads that has written: off (wherever others do), primary (there, for a while)
    /// or lsn (there, until a replica has replayed what was written).
    pub read_your_writes: ReadYourWrites,
    /// With primary: for how long.
    pub read_your_writes_window: GoDuration,
    /// What happens when a backend is down.
    pub failover: FailoverConfig,
}

/// Where a client reads that has just written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum ReadYourWrites {
    /// Wherever others do: it may find what was there before.
    Off,
    /// On the primary, for a while.
    #[default]
    Primary,
    /// On the primary until a replica is known to have replayed it.
    Lsn,
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
    /// How long statements for the primary wait while there is none that works, as during a
    /// promotion; 0 = they fail at once.
    pub wait: GoDuration,
}

impl Default for RoutingConfig {
    fn default() -> Self {
        Self {
            read_write_split: false,
            read_patterns: Vec::new(),
            write_patterns: Vec::new(),
            load_balance: LoadBalance::default(),
            max_lag: ByteSize::new(0),
            max_lag_time: GoDuration::ZERO,
            read_your_writes: ReadYourWrites::default(),
            read_your_writes_window: GoDuration::from_secs(1),
            failover: FailoverConfig::default(),
        }
    }
}

impl Default for FailoverConfig {
    fn default() -> Self {
        let retry_interval = GoDuration::from_secs(1);
        Self { enabled: false, retry_interval, max_failures: 3, wait: GoDuration::ZERO }
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
        self.rules()?;
        let failover = &self.failover;
        SettingError::check_positive("failover.retry_interval", failover.retry_interval)?;
        SettingError::check_range("failover.max_failures", failover.max_failures, &(1..=u32::MAX))
    }
}

impl RoutingConfig {
    /// The patterns, compiled.
    ///
    /// # Errors
    /// One of them is no regular expression.
    pub fn rules(&self) -> Result<RoutingRules, SettingError> {
        RoutingRules::new(&self.read_patterns, &self.write_patterns).map_err(|error| {
            let lists =
                [("read_patterns", &self.read_patterns), ("write_patterns", &self.write_patterns)];
            let each = lists.into_iter().flat_map(|(key, patterns)| {
                patterns.iter().enumerate().map(move |(index, one)| (key, index, one))
            });
            let guilty = { each }.find_map(|(key, index, pattern)| {
                let error = RoutingRules::new(std::slice::from_ref(pattern), &[]).err()?;
                Some(SettingError::new(format!("{key}[{index}]"), error.to_string()))
            });
            // Too large only all together.
            guilty.unwrap_or_else(|| SettingError::new("read_patterns", error.to_string()))
        })
    }

    /// What the servers' keeper has to know.
    pub fn options(&self) -> BackendsOptions {
        BackendsOptions {
            split: self.read_write_split,
            balance: match self.load_balance {
                LoadBalance::RoundRobin => pool_manager::LoadBalance::RoundRobin,
                LoadBalance::LeastConnections => pool_manager::LoadBalance::LeastConnections,
                LoadBalance::Random => pool_manager::LoadBalance::Random,
                LoadBalance::Weighted => pool_manager::LoadBalance::Weighted,
            },
            failover: self.failover.enabled,
            max_failures: self.failover.max_failures,
            interval: self.failover.retry_interval.get(),
            max_lag: Some(self.max_lag.bytes()).filter(|most| *most > 0),
            max_lag_time: self.max_lag_time.limit(),
            own_writes: match (self.read_your_writes, self.read_your_writes_window.limit()) {
                (ReadYourWrites::Off, _) | (ReadYourWrites::Primary, None) => OwnWrites::Ignored,
                (ReadYourWrites::Primary, Some(window)) => OwnWrites::OnPrimary(window),
                (ReadYourWrites::Lsn, _) => OwnWrites::Replayed,
            },
            patience: self.failover.wait.get(),
        }
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
