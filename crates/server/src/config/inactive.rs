//! Settings that are accepted and checked, but have no effect yet.

use super::types::Config;

/// A setting of the user's that has no effect yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InactiveKey {
    /// Full path, such as `pgpool.routing.load_balance`.
    pub key: String,
    /// Where it is set: `FILE:LINE`, or `-o`.
    pub place: String,
}

impl Config {
    /// The keys that the user has set and that have no effect in this release, in the file's order.
    pub fn inactive(&self) -> Vec<InactiveKey> {
        self.set_keys
            .iter()
            .filter(|set| is_inactive(&set.key))
            .map(|set| InactiveKey { key: set.key.clone(), place: set.place.clone() })
            .collect()
    }
}

fn is_inactive(key: &str) -> bool {
    let parts: Vec<&str> = key.split('.').skip(1).collect();
    match parts[..] {
        ["monitoring", "expose_rpc"] => false,
        ["monitoring", ..] => true,
        _ => false,
    }
}
