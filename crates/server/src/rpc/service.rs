//! What every RPC call works with: the pools, the held connections, limits and log settings.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use pool_manager::{HeldConnections, HeldLimits, Owner, PoolRegistry};

/// What this server can do beyond the Go plugin's API, as `pgpool.Version` lists it. A client may
/// rely on a name that it finds here.
pub const FEATURES: [&str; 9] = [
    "json",
    "msgpack",
    "raw",
    "request_id",
    "sessions",
    "settings",
    "simple",
    "sqlstate",
    "transactions",
];

/// Settings of the RPC door.
#[derive(Debug, Clone)]
pub struct ServiceOptions {
    /// Largest frame in either direction, bytes.
    pub max_frame_size: usize,
    /// Requests in flight per connection.
    pub max_in_flight: usize,
    /// Default expiry of transactions and sessions.
    pub held: HeldLimits,
    /// Statements from this duration on are logged; `None`: never.
    pub slow_query: Option<Duration>,
    /// Whether every statement is logged.
    pub log_queries: bool,
    /// Whether arguments and literals appear in the log.
    pub log_params: bool,
    /// Whether PoolStats may be called.
    pub expose_stats: bool,
}

/// The service behind the RPC door. Shared by all connections.
pub struct Service {
    /// The pools by name.
    pub registry: PoolRegistry,
    /// Transactions and sessions by name.
    pub held: HeldConnections,
    /// Limits and log settings.
    pub options: ServiceOptions,
    owners: AtomicU64,
}

impl Service {
    /// A service over these pools.
    pub fn new(registry: PoolRegistry, options: ServiceOptions) -> Self {
        Self { registry, held: HeldConnections::default(), options, owners: AtomicU64::new(0) }
    }

    /// An owner that no other connection has.
    pub(super) fn next_owner(&self) -> Owner {
        Owner(self.owners.fetch_add(1, Ordering::Relaxed))
    }
}
