//! The commands of the binary, run as a shell would: exit codes, what goes to which stream, and
//! that nothing is left behind.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

mod commands;
mod demo;
mod generate;
mod logging;
mod memory;
mod notify;
mod packaging;
mod reload;
mod serve;
mod support;
