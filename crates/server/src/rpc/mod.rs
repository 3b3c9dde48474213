//! The goridge door: connections, and the methods of the service `pgpool`.
//!
//! ```text
//! listen.rs ── accepts ─► connection ── frame ──► dispatch ──► methods::* ──► pool-manager
//!                             ▲                                   │
//!                             └────────── reply frame ────────────┘
//! ```

mod connection;
mod dispatch;
mod document;
mod forward;
mod methods;
mod protobuf;
mod reply;
mod result;
mod service;
mod shapes;
mod stray;

pub use connection::serve_client;
pub use service::{CacheOptions, FEATURES, RpcStats, Service, ServiceOptions};
