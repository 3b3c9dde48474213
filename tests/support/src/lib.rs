//! What the tests stand on: a real PostgreSQL, a faulty TCP link, clients of both doors, seeds and
//! certificates. It never tests anything by itself, and no shipped crate depends on it.
//!
//! Everything here panics when it cannot do its work: a test that has no server to run against
//! has failed, and the panic says why.
#![allow(clippy::panic, reason = "test support: a test without its support has failed")]

pub mod certs;
pub mod http;
pub mod link;
pub mod postgres;
pub mod rpc;
pub mod seed;
mod smoke;
pub mod stream;
pub mod wire;

pub use certs::{CertFiles, TestCa};
pub use http::{HttpReply, http_get, http_raw};
pub use link::{Direction, FaultyLink, LinkBuilder, LinkCounters};
pub use postgres::{Auth, ClusterBuilder, StopMode, TestCluster, TestDatabase};
pub use rpc::{RpcClient, RpcFault, RpcFrame};
pub use seed::Seed;
pub use smoke::smoke;
pub use wire::{Reply, WireClient, WireError, WireFault};
