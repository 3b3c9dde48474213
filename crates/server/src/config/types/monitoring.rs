//! `monitoring`: what is counted, and where it can be read.

use pool_manager::DEFAULT_TOP_STATEMENTS;
use pool_manager::config::{GoDuration, SettingError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::values::{FileMode, HttpAddress, ListenAddress};

/// Most statements that are counted one by one in each pool.
const MAX_TOP_STATEMENTS: u32 = 10_000;

/// Groups of metrics, for `collect`.
pub const METRIC_GROUPS: [&str; 9] = [
    "connections",
    "queries",
    "transactions",
    "statements",
    "clients",
    "breakers",
    "replicas",
    "health",
    "process",
];

/// What is counted, and where it can be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct MonitoringConfig {
    /// Serve metrics and status, and count statements one by one; false: none of it.
    pub enabled: bool,
    /// Time between two samples of what is not simply counted: the status page's history, and memory and
    /// CPU time of the process.
    pub interval: GoDuration,
    /// Answer PoolStats and TopQueries over RPC.
    pub expose_rpc: bool,
    /// Metrics for Prometheus.
    pub prometheus: PrometheusConfig,
    /// Health checks and a page for people, over HTTP.
    pub status: StatusConfig,
    /// Permissions of the socket file when either address is unix://.
    pub file_mode: FileMode,
    /// Groups of metrics that Prometheus gets: all, or some of connections, queries, transactions, statements,
    /// clients, breakers, replicas, health, process.
    pub collect: Vec<String>,
    /// Statements that are counted one by one in each pool, by their text without constants; of more the
    /// least used are forgotten. 0 = none.
    #[schemars(range(min = 0, max = 10_000))]
    pub top_statements: u32,
}

/// Metrics for Prometheus.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PrometheusConfig {
    /// Serve metrics to Prometheus.
    pub enabled: bool,
    /// First part of every metric's name.
    pub namespace: String,
    /// Second part of every metric's name.
    pub subsystem: String,
    /// Where /metrics is served: host:port, :port, tcp://host:port or unix://path.
    pub address: HttpAddress,
}

/// Health checks and a page for people, over HTTP.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct StatusConfig {
    /// Where /health, /ready, /live and the page are served; it may be prometheus.address. '' = nowhere.
    pub address: HttpAddress,
}

impl Default for MonitoringConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            interval: GoDuration::from_secs(10),
            expose_rpc: true,
            prometheus: PrometheusConfig::default(),
            status: StatusConfig::default(),
            file_mode: FileMode::new(0o600),
            collect: vec!["all".to_owned()],
            top_statements: u32::try_from(DEFAULT_TOP_STATEMENTS).unwrap_or(u32::MAX),
        }
    }
}

impl Default for PrometheusConfig {
    fn default() -> Self {
        Self {
            enabled: false,
            namespace: "roadrunner".into(),
            subsystem: "pgpool".into(),
            address: ListenAddress::tcp("127.0.0.1", 2115).into(),
        }
    }
}

impl Default for StatusConfig {
    fn default() -> Self {
        Self { address: HttpAddress::OFF }
    }
}

impl MonitoringConfig {
    /// Checks the interval, the names and the addresses.
    ///
    /// # Errors
    /// The first wrong setting.
    pub fn validate(&self) -> Result<(), SettingError> {
        SettingError::check_positive("interval", self.interval)?;
        check_name("prometheus.namespace", &self.prometheus.namespace)?;
        check_name("prometheus.subsystem", &self.prometheus.subsystem)?;
        if self.prometheus.enabled && self.prometheus.address.get().is_none() {
            let reason = "is where /metrics is served; set enabled: false to serve it nowhere";
            return Err(SettingError::new("prometheus.address", reason));
        }
        for (index, name) in self.collect.iter().enumerate() {
            if name != "all" && !METRIC_GROUPS.contains(&name.as_str()) {
                let groups = METRIC_GROUPS.join(", ");
                let reason = format!("must be all, or of these groups: {groups}");
                return Err(SettingError::new(format!("collect[{index}]"), reason));
            }
        }
        let most = &(0..=MAX_TOP_STATEMENTS);
        SettingError::check_range("top_statements", self.top_statements, most)
    }

    /// Where metrics are served, if they are.
    pub fn metrics_address(&self) -> Option<&ListenAddress> {
        let is_on = self.enabled && self.prometheus.enabled;
        self.prometheus.address.get().filter(|_| is_on)
    }

    /// Where the status is served, if it is.
    pub fn status_address(&self) -> Option<&ListenAddress> {
        self.status.address.get().filter(|_| self.enabled)
    }

    /// Whether Prometheus gets this group.
    pub fn collects(&self, group: &str) -> bool {
        self.collect.iter().any(|name| name == "all" || name == group)
    }

    /// How many statements are counted one by one.
    pub(crate) fn counted_statements(&self) -> usize {
        if self.enabled { self.top_statements as usize } else { 0 }
    }
}

/// Either part of a metric's name may be left out.
fn check_name(key: &str, name: &str) -> Result<(), SettingError> {
    let is_name = name.len() <= 64
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if is_name {
        return Ok(());
    }
    Err(SettingError::new(
        key,
        "must be made of letters, digits and underscores, without a digit in front",
    ))
}
