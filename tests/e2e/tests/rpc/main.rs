//! The RPC door, from goridge frames in front to a real PostgreSQL behind it. One program, so that
//! all tests share one throw-away cluster.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

mod args;
mod balance;
mod batches;
mod batches_atomic;
mod breaker;
mod cache;
mod concurrency;
mod cursors;
mod disconnects;
mod errors;
mod expiry;
mod failures;
mod forward;
mod frames;
mod limits;
mod marked_rows;
mod observation;
mod promotion;
mod rate;
mod refusals;
mod replicas;
mod requests;
mod results;
mod sessions;
mod settings;
mod shutdown;
mod statements;
mod storms;
mod top_queries;
mod transactions;
mod types;
