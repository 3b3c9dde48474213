//! A primary with replicas, and a server over them.

use std::net::SocketAddr;

use serde_json::{Value, json};
use test_support::{FaultyLink, RpcClient, TestCluster};

use crate::{TestServer, eventually, ok};

/// A primary with replicas, and a server over them.
pub struct Replicated {
    /// The server.
    pub server: TestServer,
    /// The configured primary.
    pub primary: TestCluster,
    /// Its replicas, as they are configured.
    pub replicas: Vec<TestCluster>,
}

impl Replicated {
    /// With so many replicas, and this `routing`.
    ///
    /// # Panics
    /// They do not start, as everywhere here.
    pub async fn with(count: usize, routing: Value) -> Self {
        Self::with_more(count, json!({"routing": routing})).await
    }

    /// A primary and one replica, each behind a link.
    pub async fn linked(routing: Value) -> (Self, FaultyLink, FaultyLink) {
        let (primary, replicas) = TestCluster::with_replicas(1).await;
        let (first, its_dsn) = behind_a_link(&primary).await;
        let (second, other_dsn) = behind_a_link(&replicas[0]).await;
        let all =
            Self::over(its_dsn, vec![other_dsn], json!({"routing": routing}), primary, replicas)
                .await;
        (all, first, second)
    }

    /// The same, with more settings than `routing`.
    pub async fn with_more(count: usize, more: Value) -> Self {
        let (primary, replicas) = TestCluster::with_replicas(count).await;
        let dsns = replicas.iter().map(TestCluster::dsn).collect();
        Self::over(primary.dsn(), dsns, more, primary, replicas).await
    }

    async fn over(
        dsn: String,
        others: Vec<String>,
        mut more: Value,
        primary: TestCluster,
        replicas: Vec<TestCluster>,
    ) -> Self {
        // Weights of 1, 3, 5, for those who ask for them.
        let weighed = (1_u32..).step_by(2).zip(others);
        let others: Vec<Value> =
            weighed.map(|(weight, dsn)| json!({"dsn": dsn, "weight": weight})).collect();
        more["backends"]["replicas"] = others.into();
        let server = TestServer::start(&dsn, &more).await;
        Self { server, primary, replicas }
    }

    /// Runs a statement and tells whether it ran on a replica, and on which port.
    pub async fn seen(client: &mut RpcClient, sql: &str, more: Value) -> (bool, i64) {
        let mut request = more;
        request["query"] = sql.into();
        let reply = ok(client.call("Execute", request).await);
        let row = &reply["rows"][0];
        match (row["r"].as_bool(), row["p"].as_i64()) {
            (Some(on_replica), Some(port)) => (on_replica, port),
            _ => panic!("{sql}: {reply}"),
        }
    }

    /// Waits until a table that the primary has is on every replica.
    pub async fn caught_up(&self) {
        for replica in &self.replicas {
            eventually("the replica has followed", || async {
                let admin = replica.admin().await;
                let sql = "SELECT to_regclass('public.t') IS NOT NULL";
                replica.admin_in("app").await.query_one(sql, &[]).await.is_ok_and(|row| row.get(0))
                    && admin.query_one("SELECT pg_is_in_recovery()", &[]).await.is_ok()
            })
            .await;
        }
    }
}

async fn behind_a_link(cluster: &TestCluster) -> (FaultyLink, String) {
    let link = FaultyLink::to(SocketAddr::from(([127, 0, 0, 1], cluster.port()))).await;
    let port = |port: u16| format!("127.0.0.1:{port}/");
    let dsn = cluster.dsn().replace(&port(cluster.port()), &port(link.port()));
    (link, dsn)
}

/// Says whether it runs on a replica, and on which port.
pub const WHERE: &str = "SELECT pg_is_in_recovery() AS r, inet_server_port() AS p";
