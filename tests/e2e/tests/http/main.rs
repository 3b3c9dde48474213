//! What is served over HTTP: metrics, health checks, the status page.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod docs;
mod metrics;
mod requests;
mod scrape;
mod status;
