//! The whole `pgpool:` section.

use std::collections::BTreeMap;

use pool_manager::PRIMARY;
use pool_manager::config::{BackendConfig, SettingError, TransactionsConfig};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::backends::check_database_name;
use super::{
    BackendsConfig, DatabaseConfig, FeaturesConfig, LoggingConfig, MonitoringConfig, ProxyConfig,
    ReplicaConfig, RoutingConfig, RpcConfig, ShutdownConfig,
};
use crate::config::values::ListenAddress;

/// Most runtime threads.
const MAX_THREADS: u16 = 512;
/// Most entries of `databases`.
const MAX_DATABASES: usize = 1000;

/// Everything that can be set; [`Config::load`] reads it as RoadRunner would.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Serve at all; false idles without listeners.
    pub enabled: bool,
    /// The goridge listener that PHP calls.
    pub rpc: RpcConfig,
    /// The default database.
    pub backends: BackendsConfig,
    /// Further databases by name.
    pub databases: BTreeMap<String, DatabaseConfig>,
    /// Limits of RPC transactions and sessions.
    pub transactions: TransactionsConfig,
    /// How the process ends.
    pub shutdown: ShutdownConfig,
    /// Threads that serve; 0 = one for each core.
    #[schemars(range(min = 0, max = 512))]
    pub threads: u16,
    /// What is written to the log.
    pub logging: LoggingConfig,
    /// The PostgreSQL front door.
    pub proxy: ProxyConfig,
    /// Which backend gets a statement.
    pub routing: RoutingConfig,
    /// What is counted, and where it can be read.
    pub monitoring: MonitoringConfig,
    /// Features that are off until asked for.
    pub features: FeaturesConfig,
    /// Keys that the user has set, in the order of the file; filled by [`Config::load`].
    #[serde(skip)]
    #[schemars(skip)]
    pub set_keys: Vec<SetKey>,
}

/// A key that the user has set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetKey {
    /// Full path, such as `pgpool.backends.replicas[0].dsn`.
    pub key: String,
    /// Where: `FILE:LINE`, or `-o`.
    pub place: String,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            enabled: true,
            rpc: RpcConfig::default(),
            backends: BackendsConfig::default(),
            databases: BTreeMap::new(),
            transactions: TransactionsConfig::default(),
            shutdown: ShutdownConfig::default(),
            threads: 1,
            logging: LoggingConfig::default(),
            proxy: ProxyConfig::default(),
            routing: RoutingConfig::default(),
            monitoring: MonitoringConfig::default(),
            features: FeaturesConfig::default(),
            set_keys: Vec::new(),
        }
    }
}

impl Config {
    /// Checks every section against its limits and the others.
    ///
    /// # Errors
    /// The first wrong setting, by its key within `pgpool`.
    pub fn validate(&self) -> Result<(), SettingError> {
        let within = |section: &'static str| move |error: SettingError| error.within(section);
        self.rpc.validate().map_err(within("rpc"))?;
        self.backends.validate(self.enabled).map_err(within("backends"))?;
        self.validate_databases().map_err(within("databases"))?;
        self.transactions.validate().map_err(within("transactions"))?;
        SettingError::check_range("threads", self.threads, &(0..=MAX_THREADS))?;
        self.validate_proxy().map_err(within("proxy"))?;
        self.routing.validate().map_err(within("routing"))?;
        self.validate_monitoring().map_err(within("monitoring"))?;
        self.features.validate().map_err(within("features"))
    }

    fn validate_proxy(&self) -> Result<(), SettingError> {
        self.proxy.validate()?;
        let is_shared = self.proxy.address.get() == Some(&self.rpc.listen);
        // The system chooses two ports where both are 0.
        let is_chosen = matches!(self.rpc.listen, ListenAddress::Tcp { port: 0, .. });
        if self.enabled && is_shared && !is_chosen {
            let reason = "is rpc.listen, too; the two protocols need an address each";
            return Err(SettingError::new("address", reason));
        }
        if self.enabled && self.proxy.address.get().is_some() {
            for (_, backend) in self.primaries() {
                self.proxy.keys_for(backend)?;
            }
        }
        Ok(())
    }

    /// HTTP has addresses of its own, too.
    fn validate_monitoring(&self) -> Result<(), SettingError> {
        self.monitoring.validate()?;
        let addresses = [
            ("prometheus.address", self.monitoring.metrics_address()),
            ("status.address", self.monitoring.status_address()),
        ];
        let doors =
            [("rpc.listen", Some(&self.rpc.listen)), ("proxy.address", self.proxy.address.get())];
        for (key, address) in addresses {
            let is_shared = |door: &(&str, Option<&ListenAddress>)| door.1 == address;
            let is_chosen = matches!(address, Some(ListenAddress::Tcp { port: 0, .. }) | None);
            if let Some((door, _)) = doors.iter().find(|door| is_shared(door))
                && !is_chosen
                && self.enabled
            {
                let reason = format!("is {door}, too; HTTP needs an address of its own");
                return Err(SettingError::new(key, reason));
            }
        }
        Ok(())
    }

    /// The replicas and the routing of a database.
    pub fn replication(&self, database: &str) -> (&[ReplicaConfig], &RoutingConfig) {
        match self.databases.get(database) {
            Some(own) => (&own.replicas, own.routing.as_ref().unwrap_or(&self.routing)),
            None => (&self.backends.replicas, &self.routing),
        }
    }

    /// The primary of every database, by the database's name.
    pub fn primaries(&self) -> impl Iterator<Item = (&str, &BackendConfig)> {
        let further =
            self.databases.iter().map(|(name, database)| (name.as_str(), &database.primary));
        std::iter::once((PRIMARY, &self.backends.primary)).chain(further)
    }

    fn validate_databases(&self) -> Result<(), SettingError> {
        if self.databases.len() > MAX_DATABASES {
            let reason = format!("more than {MAX_DATABASES} databases");
            return Err(SettingError::new("", reason));
        }
        for (name, database) in &self.databases {
            check_database_name(name)?;
            database.validate().map_err(|error| error.within(name))?;
        }
        Ok(())
    }
}
