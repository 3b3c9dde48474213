//! The PostgreSQL door, from raw protocol messages in front to a real PostgreSQL behind it. One
//! program, so that all tests share one throw-away cluster.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

mod auto;
mod breaker;
mod cancel;
mod console;
mod differential;
mod disconnects;
mod docs;
mod failures;
mod leaks;
mod limits;
mod login;
mod marked_rows;
mod modes;
mod prepared;
mod protocol;
mod rate;
mod reload;
mod replicas;
mod settings;
mod talk;
mod tls;
mod users;
