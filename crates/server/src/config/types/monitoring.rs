//! `monitoring`: what is counted, and where it can be read.

use pool_manager::config::{GoDuration, SettingError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What is counted, and where it can be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct MonitoringConfig {
    /// Collect metrics.
    pub enabled: bool,
    /// Time between updates.
    pub interval: GoDuration,
    /// Make metrics available over RPC.
    pub expose_rpc: bool,
    /// Metrics for Prometheus.
    pub prometheus: PrometheusConfig,
    /// Names of the metrics to collect, or all.
    pub collect: Vec<String>,
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
}

impl Default for MonitoringConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            interval: GoDuration::from_secs(10),
            expose_rpc: true,
            prometheus: PrometheusConfig::default(),
            collect: vec!["all".to_owned()],
        }
    }
}

impl Default for PrometheusConfig {
    fn default() -> Self {
        Self { enabled: false, namespace: "roadrunner".into(), subsystem: "pgpool".into() }
    }
}

impl MonitoringConfig {
    /// Checks the interval and the names.
    ///
    /// # Errors
    /// The first wrong setting.
    pub fn validate(&self) -> Result<(), SettingError> {
        SettingError::check_positive("interval", self.interval)?;
        check_name("prometheus.namespace", &self.prometheus.namespace)?;
        check_name("prometheus.subsystem", &self.prometheus.subsystem)?;
        for (index, name) in self.collect.iter().enumerate() {
            if name.is_empty() || !is_metric_name(name) {
                return Err(SettingError::new(
                    format!("collect[{index}]"),
                    "must be all, or names made of letters, digits and underscores",
                ));
            }
        }
        Ok(())
    }
}

/// Either part of a metric's name may be left out.
fn check_name(key: &str, name: &str) -> Result<(), SettingError> {
    if is_metric_name(name) {
        return Ok(());
    }
    Err(SettingError::new(
        key,
        "must be made of letters, digits and underscores, without a digit in front",
    ))
}

fn is_metric_name(name: &str) -> bool {
    name.len() <= 64
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}
