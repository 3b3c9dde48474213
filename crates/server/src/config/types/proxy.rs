//! `proxy`: the PostgreSQL front door.

use pool_manager::config::{GoDuration, SettingError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::values::ListenAddress;

/// Where PostgreSQL clients connect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ProxyConfig {
    /// Address to listen on: tcp://host:port or unix://path.
    pub address: ListenAddress,
    /// Most clients at the same time.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub max_clients: u32,
    /// A client that is idle this long is disconnected; 0 = never.
    pub client_timeout: GoDuration,
    /// How clients prove who they are: none, password or trust.
    pub auth_mode: AuthMode,
}

/// How clients of the proxy prove who they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum AuthMode {
    /// Not at all: every client is let in, whatever name it gives.
    None,
    /// By a password.
    #[default]
    Password,
    /// By name alone: the role must exist.
    Trust,
}

impl Default for ProxyConfig {
    fn default() -> Self {
        Self {
            address: ListenAddress::tcp("127.0.0.1", 5433),
            max_clients: 1000,
            client_timeout: GoDuration::ZERO,
            auth_mode: AuthMode::default(),
        }
    }
}

impl ProxyConfig {
    /// Checks the limits.
    ///
    /// # Errors
    /// The first wrong setting.
    pub fn validate(&self) -> Result<(), SettingError> {
        SettingError::check_range("max_clients", self.max_clients, &(1..=1_000_000))
    }
}
