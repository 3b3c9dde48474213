//! What most tests begin with: a database of their own in the shared cluster, and a server over
//! it. It never shares either with another test.

use std::net::SocketAddr;

use serde_json::{Value, json};
use test_support::{FaultyLink, LinkBuilder, RpcClient, TestCluster, TestDatabase, WireClient};

use crate::{TestServer, config};

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

/// A fresh database, a link in front of it, and a server that connects through the link.
pub struct Linked {
    /// Connects through the link.
    pub server: TestServer,
    /// Misbehaves when told to.
    pub link: FaultyLink,
    /// The database, and a server that connects to it directly.
    pub setup: Setup,
}

impl Linked {
    /// Starts it with more of the `pgpool:` section and a link that forwards faithfully.
    pub async fn with(more: &Value) -> Self {
        Self::through(FaultyLink::builder(), 1, more).await
    }

    /// Starts it with this link, on `threads` worker threads.
    pub async fn through(link: LinkBuilder, threads: usize, more: &Value) -> Self {
        let setup = Setup::new().await;
        let cluster = TestCluster::shared().await;
        let link = link.start(SocketAddr::from(([127, 0, 0, 1], cluster.port()))).await;
        let port = |port: u16| format!("127.0.0.1:{port}/");
        let dsn = setup.db.dsn().replace(&port(cluster.port()), &port(link.port()));
        let server = TestServer::start_on(threads, config(&dsn, more)).await;
        Self { server, link, setup }
    }
}
