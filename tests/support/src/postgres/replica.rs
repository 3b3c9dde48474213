//! Streaming replicas of a test cluster: copies of its directory that follow it.

use std::fmt::Write as _;
use std::process::Command;
use std::sync::Arc;

use super::SUPERUSER;
use super::account::run;
use super::cluster::{TestCluster, blocking};
use super::server::StopMode;
use super::template;

/// What a cluster needs to have replicas.
const SETTINGS: [&str; 4] =
    ["wal_level = replica", "max_wal_senders = 10", "wal_keep_size = 64MB", "hot_standby = on"];

impl TestCluster {
    /// A cluster with so many replicas, all of them running.
    ///
    /// # Panics
    /// When PostgreSQL is missing or does not start.
    pub async fn with_replicas(count: usize) -> (Self, Vec<Self>) {
        let mut builder = Self::builder().hba(format!("local replication {SUPERUSER} trust"));
        for line in SETTINGS {
            builder = builder.setting(line);
        }
        let primary = builder.start().await;
        // A copy of a running server's files is none of a database.
        primary.stop(StopMode::Fast).await;
        let mut made = Vec::new();
        for _ in 0..count {
            let origin = primary.clone();
            made.push(blocking(move || origin.copy()).await);
        }
        primary.start_again().await;
        for replica in &made {
            replica.start_again().await;
        }
        (primary, made)
    }

    /// A copy that follows this stopped cluster, stopped as well.
    fn copy(&self) -> Self {
        let origin = &self.inner;
        let dir = template::scratch_dir(&origin.account);
        let (from, to) = (origin.dir.path().join("data"), dir.path().join("data"));
        run(Command::new("cp").arg("-Rp").arg(&from).arg(&to), "cp of the primary");
        let conf = to.join("postgresql.conf");
        let mut text = std::fs::read_to_string(&conf).expect("read postgresql.conf");
        let _ = write!(
            text,
            "unix_socket_directories = '{}'\nprimary_conninfo = 'host={} port={} user={SUPERUSER}'\n",
            dir.path().display(),
            origin.dir.path().display(),
            origin.port
        );
        std::fs::write(&conf, text).expect("write postgresql.conf");
        std::fs::write(to.join("standby.signal"), "").expect("write standby.signal");
        origin.account.own_tree(&to);
        Self { inner: Arc::new(origin.copied_to(dir)) }
    }

    /// Makes a replica a primary, and waits until it is one.
    pub async fn promote(&self) {
        self.batch("SELECT pg_promote(true, 60)").await;
    }
}
