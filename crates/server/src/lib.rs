//! The rr-pgpool server as a library: configuration, the two doors, the command line.
//!
//! The binary is a thin shell around [`cli`]; tests run [`serve::Server`] in their own process.

mod assemble;
pub mod cli;
pub mod config;
pub mod listen;
mod logging;
mod monitoring;
pub mod notify;
pub mod query_log;
pub mod reload;
pub mod rpc;
pub mod serve;
mod signals;
mod time;
