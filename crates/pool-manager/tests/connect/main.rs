//! Opening server connections, against a real PostgreSQL and against servers that misbehave.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a helper that cannot do its work has failed its test"
)]

mod cancel;
mod fake;
mod hostile;
mod hosts;
mod housekeeping;
mod sessions;
mod support;
mod tls;
mod tls_clients;
