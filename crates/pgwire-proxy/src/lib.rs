//! The PostgreSQL front door: clients speak the wire protocol, and their transactions run on pooled
//! server connections that they share with each other and with RPC callers.
//!
//! Start at [`Proxy`]: it is given databases and limits, and whoever accepts sockets hands them to
//! [`Proxy::serve`]. Which server connection a client gets, and what becomes of it afterwards, is
//! `pool-manager`'s business.

mod admin;
mod auth;
mod counters;
mod database;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzz;
mod interner;
mod limit;
mod login;
mod message;
mod proxy;
mod query_log;
mod session;
mod signals;
mod statement;
mod stream;
mod tls;

pub use admin::{Control, ControlFuture, Setting, ShutdownKind};
pub use auth::{AuthMode, BadCredential, Credential, User, UserLookup, Users};
pub use counters::DoorStats;
pub use database::{Database, DatabaseOptions, Mode};
pub use proxy::{Proxy, ProxyOptions};
pub use query_log::{EndedQuery, QueryLog};
pub use stream::ClientStream;
pub use tls::{TlsFiles, TlsMode, TlsServer};
