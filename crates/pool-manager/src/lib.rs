//! PostgreSQL connections, pools and statement execution.
//!
//! Everything that decides which server connection a caller gets, and what may happen on it,
//! lives here. The crate knows nothing of goridge, of configuration files or of metrics
//! exporters, and is usable on its own: start at [`DatabasePool`].

mod backends;
mod batch;
mod breaker;
mod cache;
pub mod certificates;
pub mod classify;
pub mod config;
pub mod connect;
mod connection;
mod cursor;
mod database_pool;
pub mod dsn;
mod engine;
mod error;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzz;
mod held;
mod histogram;
mod pool;
mod rate;
mod registry;
mod relayed;
mod rows;
mod secret;
mod server_error;
mod statement;
mod top;
mod transaction;
pub mod values;

pub use backends::{
    Backend, Backends, BackendsOptions, BadPattern, LoadBalance, OwnWrites, Route, RoutingRules,
    ServerStatus, wants_cache,
};
pub use batch::{Batch, BatchEnd, BatchResults};
pub use breaker::{Attempt, CircuitBreaker, CircuitBreakerState, Refusal};
pub use cache::{CacheUse, ResultCache};
pub use connection::{
    CommandTag, Discard, ResultSink, STATEMENT_PREFIX, ServerConnection, SettingError, Settings,
    SettingsQuestion, SinkError,
};
pub use database_pool::{
    DEFAULT_MAX_MESSAGE, DEFAULT_SLOW_THRESHOLD, DEFAULT_TOP_STATEMENTS, DatabasePool, PoolLimits,
    PoolPlan,
};
pub use engine::{LinkError, Parameters, TransactionStatus};
pub use error::Error;
pub use held::{CursorId, HeldConnections, HeldKind, HeldLimits, Owner};
pub use histogram::DurationHistogram;
pub use pool::{BreakerLimits, Checkout, OTHER_CLASS, PoolStats, ServerInfo, StoredPassword};
pub use rate::{RateExceeded, RateLimit, RequestBucket};
pub use registry::{PRIMARY, PoolRegistry};
pub use relayed::InFlight;
pub use rows::{QueryRow, QueryRows};
pub use secret::Secret;
pub use server_error::{ServerError, SqlState};
pub use statement::{Statement, TimeLimit};
pub use top::{StatementOrder, StatementStats, Tally, top_statements};
pub use transaction::{IsolationLevel, Session, Transaction, TransactionOptions, parse_isolation};
