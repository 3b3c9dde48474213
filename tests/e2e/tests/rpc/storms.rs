//! Servers that take no connection, or all of them lost at once, with clients at both doors.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use e2e::{Replicated, WHERE, eventually, in_time, ok};
use serde_json::json;
use test_support::postgres::{ROLE, StopMode};
use test_support::wire::{errors, rows};
use test_support::{RpcClient, WireClient};

/// What a client may be told while its server restarts: nothing was executed, nobody knows, or there is
/// no server. The last ones are errors of PostgreSQL's own.
const EXPECTED: [&str; 7] = ["08001", "08006", "40003", "53300", "57P01", "57P02", "57P03"];
const CLIENTS: usize = 20;
const SIZE: i64 = 5;

fn split() -> serde_json::Value {
    json!({"read_write_split": true, "read_your_writes": "off",
        "failover": {"retry_interval": "50ms", "max_failures": 1}})
}

/// A replica that has no room for us: reads go to the primary, and nobody is told.
#[tokio::test]
async fn a_replica_at_its_connection_limit_costs_no_error() {
    let all = Replicated::with(1, split()).await;
    let mut rpc = all.server.client().await;
    all.primary.batch(&format!("ALTER ROLE {ROLE} CONNECTION LIMIT 4")).await;
    let limited = || async {
        let sql = format!("SELECT rolconnlimit = 4 FROM pg_roles WHERE rolname = '{ROLE}'");
        all.replicas[0].admin().await.query_one(&sql, &[]).await.is_ok_and(|row| row.get(0))
    };
    eventually("the limit has come to the replica", limited).await;
    // Ours are counted, too: the housekeeping connection, if it is there already.
    let mut taken = Vec::new();
    for _ in 0..3 {
        taken.push(all.replicas[0].client_in("app").await);
    }
    eventually("there is no room", || async {
        let sql = format!("usename = '{ROLE}'");
        all.replicas[0].count_backends(&sql).await == 4
    })
    .await;
    let mut wire = all.server.wire().await;
    for _ in 0..10 {
        assert!(!Replicated::seen(&mut rpc, WHERE, json!({})).await.0);
        assert_eq!(wire.rows("SELECT pg_is_in_recovery()").await, ["f"]);
    }
    drop(taken);
    eventually("reads return", || async {
        Replicated::seen(&mut all.server.client().await, WHERE, json!({})).await.0
    })
    .await;
}

/// Every server is restarted under load: every client works again afterwards, by itself, and at no time
/// there are more connections than there may be.
#[tokio::test]
async fn a_restart_of_all_servers_is_no_storm() {
    let more = json!({"routing": split(),
        "backends": {"primary": {"pool": {"max_connections": SIZE, "acquire_timeout": "20s"}}}});
    let all = Replicated::with_more(1, more).await;
    ok(all.server.client().await.execute("CREATE TABLE t (a int)", json!([])).await);
    all.caught_up().await;
    let load = Load::default();
    let mut clients = Vec::new();
    for _ in 0..CLIENTS {
        clients.push(tokio::spawn(call_by_rpc(all.server.client().await, load.clone())));
        clients.push(tokio::spawn(call_by_wire(all.server.wire().await, load.clone())));
    }
    let all_work = || async { load.worked.load(Ordering::Relaxed) >= 2 * CLIENTS };
    eventually("they work", all_work).await;
    for server in [&all.primary, &all.replicas[0]] {
        server.restart(StopMode::Immediate).await;
        let ours = format!("usename = '{ROLE}'");
        load.worked.store(0, Ordering::Relaxed);
        let works_again = async {
            while load.worked.load(Ordering::Relaxed) < 10 * CLIENTS {
                let admin = server.admin().await;
                let sql = format!("SELECT count(*) FROM pg_stat_activity WHERE {ours}");
                let count: i64 = admin.query_one(&sql, &[]).await.unwrap().get(0);
                // One for housekeeping.
                assert!(count <= SIZE + 1, "{count} connections");
            }
        };
        in_time("they work again", works_again).await;
    }
    load.ends.store(true, Ordering::Relaxed);
    for client in clients {
        let worked = in_time("the last calls", client).await.unwrap();
        assert!(worked > 0, "each has got answers");
    }
}

#[derive(Clone, Default)]
struct Load {
    ends: Arc<AtomicBool>,
    /// Calls that have succeeded.
    worked: Arc<AtomicUsize>,
}

impl Load {
    /// Counts the outcome of a call.
    fn count(&self, code: Option<&str>, mine: &mut usize) {
        match code {
            None => {
                self.worked.fetch_add(1, Ordering::Relaxed);
                *mine += 1;
            }
            Some(code) => assert!(EXPECTED.contains(&code), "{code}"),
        }
    }

    fn goes_on(&self) -> bool {
        !self.ends.load(Ordering::Relaxed)
    }
}

async fn call_by_rpc(mut client: RpcClient, load: Load) -> usize {
    let mut worked = 0;
    while load.goes_on() {
        for sql in ["SELECT count(*) AS n FROM t", "INSERT INTO t VALUES (1)"] {
            let reply = client.call("Execute", json!({"query": sql})).await.unwrap();
            load.count(reply["sqlstate"].as_str(), &mut worked);
        }
    }
    worked
}

async fn call_by_wire(mut client: WireClient, load: Load) -> usize {
    let mut worked = 0;
    while load.goes_on() {
        for sql in ["SELECT 'mine' FROM t LIMIT 1", "INSERT INTO t VALUES (2)"] {
            let replies = client.query(sql).await.unwrap();
            let fault = errors(&replies).into_iter().next();
            load.count(fault.as_ref().map(test_support::WireFault::code), &mut worked);
            assert!(rows(&replies).iter().all(|row| row == "mine"), "{replies:?}");
        }
    }
    worked
}
