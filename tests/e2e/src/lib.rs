//! What the end-to-end tests share: the server in this process on a thread and a runtime of its
//! own, its configuration, and reading replies. It never looks into the server: tests speak to it
//! as PHP does.
//!
//! Everything here panics when it cannot do its work: the test has failed then.
#![allow(clippy::panic, reason = "test support: a test without its support has failed")]

mod replicated;
mod reply;
mod server;
mod setup;

pub use replicated::{Replicated, WHERE};
pub use reply::{eventually, failed, in_time, ok};
pub use server::{ConfigFile, TestServer, config};
pub use setup::{Linked, Setup};
