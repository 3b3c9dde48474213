//! The server-connection engine: whole messages in, whole messages out, on one connection.
//!
//! It knows the protocol's framing, counts the replies that are still owed, and follows the
//! transaction status and the reported parameters. It never decides who may use the connection,
//! and never forwards a message it has not received whole.
//!
//! Invariants:
//! * `owed` counts every Query and every batch that ends in Sync, written (or queued), whose
//!   ReadyForQuery has not been read. It is raised before the first byte is sent.
//! * A connection is *at rest* when nothing is owed and no byte waits in either buffer, and
//!   *quiet* when it is also outside a transaction. Only a quiet connection is given back.

mod frame;
mod link;
mod request;

pub use frame::TransactionStatus;
pub(crate) use frame::tag;
pub(crate) use link::Link;
pub use link::{LinkError, Parameters};
