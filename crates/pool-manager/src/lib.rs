//! PostgreSQL connections, pools and statement execution.
//!
//! Everything that decides which server connection a caller gets, and what may happen on it,
//! lives here. The crate knows nothing of goridge, of configuration files or of metrics
//! exporters, and is usable on its own: start at [`DatabasePool`].

pub mod classify;
pub mod config;
pub mod connect;
pub mod dsn;
mod secret;
mod server_error;
pub mod values;

pub use secret::Secret;
pub use server_error::{ServerError, SqlState};
