//! The `pgpool:` section of `.rr.yaml`: its types, and loading it as RoadRunner would.
//!
//! Loading goes file → tree → environment → overrides → typed settings → limits. The process
//! environment is never read here: the caller passes a function, so that tests run in parallel.
//! No error, `Debug` or rendered text holds a secret.

mod check;
mod de;
mod dotenv;
mod env;
mod error;
mod load;
mod overrides;
mod schema;
mod suggest;
mod tree;
mod types;
mod unset;
mod values;
mod yaml;

#[cfg(test)]
mod tests;

pub use check::{check_config, render};
pub use error::ConfigError;
pub use load::LoadOptions;
pub use pool_manager::config::{
    BackendConfig, BehaviorConfig, GoDuration, MaxHeld, PoolConfig, PoolMode, ResetOnReturn,
    SettingError, TransactionsConfig,
};
pub use schema::json_schema;
pub use types::*;
pub use values::{ByteSize, FileMode, HttpAddress, ListenAddress, OptionalAddress};
