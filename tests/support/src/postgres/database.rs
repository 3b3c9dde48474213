//! A database of the test's own inside a cluster that other tests use too. It never shares its
//! contents; roles, settings and backends of the cluster are common to all.

use tokio_postgres::Client;

use super::cluster::TestCluster;
use super::{PASSWORD, ROLE};

/// A fresh database, owned by the ordinary role. Dropping the value marks it for removal, at the
/// latest with the cluster.
#[derive(Debug)]
pub struct TestDatabase {
    cluster: TestCluster,
    name: String,
}

impl TestDatabase {
    pub(super) fn new(cluster: TestCluster, name: String) -> Self {
        Self { cluster, name }
    }

    /// The URL for the ordinary role, over TCP.
    #[must_use]
    pub fn dsn(&self) -> String {
        self.cluster.dsn_of(ROLE, PASSWORD, &self.name)
    }

    /// The database's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The cluster it is in.
    #[must_use]
    pub fn cluster(&self) -> &TestCluster {
        &self.cluster
    }

    /// A direct client of the ordinary role, over TCP.
    pub async fn client(&self) -> Client {
        self.cluster.client_in(&self.name).await
    }

    /// A direct client of the superuser, over the Unix socket.
    pub async fn admin(&self) -> Client {
        self.cluster.admin_in(&self.name).await
    }

    /// Runs statements as the ordinary role.
    pub async fn batch(&self, sql: &str) {
        let client = self.client().await;
        client.batch_execute(sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    }

    /// [`TestCluster::kill_backends`], of this database only.
    pub async fn kill_backends(&self, filter: &str) -> i64 {
        self.cluster.kill_backends(&self.only_here(filter)).await
    }

    /// [`TestCluster::count_backends`], of this database only.
    pub async fn count_backends(&self, filter: &str) -> i64 {
        self.cluster.count_backends(&self.only_here(filter)).await
    }

    fn only_here(&self, filter: &str) -> String {
        format!("datname = '{}' AND ({filter})", self.name)
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        self.cluster.forget_database(std::mem::take(&mut self.name));
    }
}
