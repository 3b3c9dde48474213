//! Settings of one backend: whom to connect to, how large its pool is, how its connections behave.
//!
//! Types only: files, environment variables and overrides are the caller's business. Every type
//! has the Go plugin's names and defaults, deserializes from any format, refuses unknown fields,
//! and serializes with secrets masked.

mod backend;
mod behavior;
mod duration;
mod error;
mod max_held;
mod pool;
mod transactions;

pub use backend::BackendConfig;
pub use behavior::{BehaviorConfig, PoolMode, ResetOnReturn};
pub use duration::{DurationError, GoDuration};
pub use error::SettingError;
pub use max_held::MaxHeld;
pub use pool::PoolConfig;
pub use transactions::TransactionsConfig;
