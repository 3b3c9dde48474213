//! The pool as its callers see it, against a real PostgreSQL. Every trap that the design names is
//! a test of its own here.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail by panicking")]

mod bounds;
mod cancel;
mod classes;
mod commit;
mod common;
mod control;
mod drops;
mod held;
mod idle;
mod leftovers;
mod marked;
mod protocol;
mod queue;
mod registry;
mod reset;
mod reset_slips;
mod settings;
mod sizes;
mod statements;
