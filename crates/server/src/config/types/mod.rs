//! The sections of `pgpool:`, one file each. Types, defaults and limits; reads nothing.

mod backends;
mod features;
mod logging;
mod monitoring;
mod proxy;
mod replica;
mod root;
mod routing;
mod rpc;
mod shutdown;

pub use backends::{BackendsConfig, DatabaseConfig, RESERVED_DATABASE_NAMES};
pub use features::{CacheConfig, CircuitBreakerConfig, FeaturesConfig, RateLimitConfig};
pub use logging::{LogFormat, LogLevel, LoggingConfig, SlowQueryConfig};
pub use monitoring::{METRIC_GROUPS, MonitoringConfig, PrometheusConfig, StatusConfig};
pub use proxy::{AuthMode, DoorKeys, ProxyConfig, ProxyTlsConfig, TlsMode, UserConfig};
pub use replica::ReplicaConfig;
pub use root::{Config, SetKey};
pub use routing::{FailoverConfig, LoadBalance, ReadYourWrites, RoutingConfig};
pub use rpc::RpcConfig;
pub use shutdown::ShutdownConfig;
