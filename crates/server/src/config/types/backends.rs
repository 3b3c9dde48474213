//! `backends` and `databases`: the servers behind the pools.

use pool_manager::config::{BackendConfig, SettingError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ReplicaConfig, RoutingConfig};

/// Names that a database cannot have: the default one's, and those of admin consoles.
pub const RESERVED_DATABASE_NAMES: &[&str] = &["primary", "pgpool", "pgbouncer"];

/// Longest name of a database; PostgreSQL's own names end here, too.
const MAX_NAME: usize = 63;

/// The default database: one primary, and replicas for reads.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct BackendsConfig {
    /// The server that takes writes; callers name it "primary".
    pub primary: BackendConfig,
    /// Servers that take reads.
    pub replicas: Vec<ReplicaConfig>,
}

/// A further database; starts from the defaults, not from backends.primary.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DatabaseConfig {
    /// The server that takes writes.
    pub primary: BackendConfig,
    /// Servers that take reads.
    pub replicas: Vec<ReplicaConfig>,
    /// How its statements find their backend; the global routing when not set.
    pub routing: Option<RoutingConfig>,
}

impl BackendsConfig {
    /// Checks every backend; the primary may be missing when nothing is going to be served.
    ///
    /// # Errors
    /// The first wrong setting.
    pub fn validate(&self, primary_needed: bool) -> Result<(), SettingError> {
        let untouched = self.primary == BackendConfig::default();
        if primary_needed || !untouched {
            self.primary.validate().map_err(|error| error.within("primary"))?;
        }
        check_replicas(&self.replicas)
    }
}

impl DatabaseConfig {
    /// Checks every backend and the routing.
    ///
    /// # Errors
    /// The first wrong setting.
    pub fn validate(&self) -> Result<(), SettingError> {
        self.primary.validate().map_err(|error| error.within("primary"))?;
        check_replicas(&self.replicas)?;
        match &self.routing {
            Some(routing) => routing.validate().map_err(|error| error.within("routing")),
            None => Ok(()),
        }
    }
}

fn check_replicas(replicas: &[ReplicaConfig]) -> Result<(), SettingError> {
    for (index, replica) in replicas.iter().enumerate() {
        replica.validate().map_err(|error| error.within(&format!("replicas[{index}]")))?;
    }
    Ok(())
}

/// Checks a name under `databases`.
///
/// # Errors
/// Says which names will do.
pub(crate) fn check_database_name(name: &str) -> Result<(), SettingError> {
    if RESERVED_DATABASE_NAMES.contains(&name) {
        let reason = match name {
            "primary" => "is the name of backends.primary; configure it there",
            _ => "is reserved for the admin console; choose another name",
        };
        return Err(SettingError::new(name, reason));
    }
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    let rest_is_fine = name.bytes().all(|byte| plain(byte) || byte == b'-');
    if name.len() <= MAX_NAME && name.bytes().next().is_some_and(plain) && rest_is_fine {
        return Ok(());
    }
    Err(SettingError::new(
        name.chars().take(MAX_NAME).collect::<String>(),
        "a database's name is 1 to 63 letters, digits, underscores and hyphens, without a hyphen \
         in front",
    ))
}
