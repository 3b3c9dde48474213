//! What most tests begin with: a database of their own in the shared cluster, and a server over
//! it. It never shares either with another test.

use serde_json::{Value, json};
use test_support::{RpcClient, TestCluster, TestDatabase, WireClient};

use crate::TestServer;

/// A server over a fresh database.
pub struct Setup {
    /// Declared first: the server goes before its database.
    pub server: TestServer,
    /// The database.
    pub db: TestDatabase,
}

impl Setup {
    /// Starts a server with the default settings of [`config`](crate::config).
    pub async fn new() -> Self {
        Self::with(&json!({})).await
    }

    /// Starts a server with more of the `pgpool:` section.
    pub async fn with(more: &Value) -> Self {
        let db = TestCluster::shared().await.database().await;
        let server = TestServer::start(&db.dsn(), more).await;
        Self { server, db }
    }

    /// The same with settings of the primary's pool.
    pub async fn with_pool(pool: Value) -> Self {
        Self::with(&json!({"backends": {"primary": {"pool": pool}}})).await
    }

    /// A server and one RPC connection to it.
    pub async fn client(&self) -> RpcClient {
        self.server.client().await
    }

    /// A PostgreSQL client of it.
    #[track_caller]
    pub fn wire(&self) -> impl Future<Output = WireClient> {
        self.server.wire()
    }

    /// How many backends of the database satisfy `filter`, as in [`TestDatabase::count_backends`].
    pub async fn count(&self, filter: &str) -> i64 {
        self.db.count_backends(filter).await
    }
}
