//! A throw-away PostgreSQL: found on the machine, started from a copied template, removed with the
//! test process however that ends. It never touches a cluster that it did not make.

mod account;
mod builder;
mod cluster;
mod database;
mod programs;
mod replica;
mod server;
mod template;
mod watchdog;

#[cfg(test)]
mod tests;

pub use builder::{Auth, ClusterBuilder};
pub use cluster::TestCluster;
pub use database::TestDatabase;
pub use server::StopMode;

/// The superuser of every test cluster.
pub const SUPERUSER: &str = "postgres";
/// The ordinary role that tests connect as.
pub const ROLE: &str = "app";
/// The password of [`ROLE`] and of [`SUPERUSER`] over TCP.
pub const PASSWORD: &str = "secret";
/// The database that [`ROLE`] owns in every cluster.
pub const DATABASE: &str = "app";
