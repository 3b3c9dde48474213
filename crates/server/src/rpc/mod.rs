//! The goridge door: listeners, connections, and the methods of the service `pgpool`.
//!
//! ```text
//! listener ── accepts ──► connection ── frame ──► dispatch ──► methods::* ──► pool-manager
//!                             ▲                                   │
//!                             └────────── reply frame ────────────┘
//! ```

mod connection;
mod dispatch;
mod listener;
mod methods;
mod reply;
mod result;
mod service;

pub use listener::{BoundListener, ListenError};
pub use service::{FEATURES, Service, ServiceOptions};
