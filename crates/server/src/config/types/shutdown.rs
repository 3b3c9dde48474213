//! `shutdown`: how long work in flight may take when the process is told to stop.

use pool_manager::config::GoDuration;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How the process ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ShutdownConfig {
    /// Service goes on this long after SIGINT or SIGTERM, or until nobody is connected.
    pub grace: GoDuration,
}

impl Default for ShutdownConfig {
    fn default() -> Self {
        Self { grace: GoDuration::from_secs(4) }
    }
}
