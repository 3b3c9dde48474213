//! The admin console: the databases `pgbouncer` and `pgpool`, which exist in this process only. It
//! speaks PgBouncer's commands, with PgBouncer's columns, so that what is made for that works here.
//! It holds no server connection and executes no SQL.
//!
//! ```text
//! text ─► Command ─► may its user do that? ─► SHOW: a Table ─────────────┐
//!                                          └─► others: done, then a tag ─┴► simple or extended replies
//! ```

mod act;
mod averages;
mod command;
mod control;
mod extended;
mod queries;
mod session;
mod show;
mod sockets;
mod stats;
mod table;

use pool_manager::{ServerError, SqlState};

pub(crate) use averages::Averages;
pub use control::{Control, ControlFuture, Setting, ShutdownKind};
pub(crate) use session::{Console, is_console, serve};

/// What is wrong with a command.
type Fault = Box<ServerError>;

fn fault(code: SqlState, message: impl Into<String>) -> Fault {
    Box::new(ServerError::new(code, message))
}

/// What a user of the console may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rank {
    /// Everything.
    Admin,
    /// Looking.
    Stats,
}
