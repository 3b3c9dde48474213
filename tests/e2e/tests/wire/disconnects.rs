//! Clients that die anywhere: each costs at most one server connection and leaves nothing behind.

use std::time::Duration;

use e2e::{Setup, eventually, ok};
use serde_json::json;
use test_support::WireClient;
use test_support::wire::message::{bind, copy_data, execute, flush, parse, query, sync, terminate};
use tokio::time::timeout;

use crate::talk::{backend, refused};

/// How long a client waits for a first byte that may not come.
const A_MOMENT: Duration = Duration::from_millis(20);
const BIG: &str = "SELECT repeat('x', 50000000)";

async fn setup(mode: &str) -> Setup {
    let setup = Setup::with(&json!({"backends": {"primary": {
        "pool": {"max_connections": 1, "max_held": "100%"},
        "behavior": {"mode": mode},
    }}}))
    .await;
    setup.db.batch("CREATE TABLE t (a int)").await;
    setup
}

/// Nobody holds anything, nothing runs, and the table is as it was.
async fn nothing_is_left(setup: &Setup, what: &str) {
    eventually(what, || async {
        let stats = ok(setup.client().await.call("PoolStats", json!({})).await);
        let stats = &stats["stats"]["primary"];
        stats["active_connections"] == 0 && stats["waiting_clients"] == 0
    })
    .await;
    let open = "usename = 'app' AND state <> 'idle' AND pid <> pg_backend_pid()";
    eventually(what, || async { setup.count(open).await == 0 }).await;
    let mut next = setup.wire().await;
    assert_eq!(next.rows("SELECT count(*) FROM t").await, ["0"], "{what}");
    assert_eq!(refused(&mut next, "TABLE mine").await.code(), "42P01", "{what}");
    assert!(setup.count("usename = 'app'").await <= 2, "{what}: one, and one for housekeeping");
}

/// Leaves abruptly in the middle of everything that a client can be in the middle of.
#[tokio::test]
async fn anywhere() {
    let insert = "INSERT INTO t VALUES (1)";
    let opened = vec![query("BEGIN"), query(insert), query("CREATE TEMP TABLE mine (a int)")];
    let cases: Vec<(&str, Vec<Vec<u8>>)> = vec![
        ("in a transaction", opened),
        ("in a failed transaction", vec![query("BEGIN"), query(insert), query("nonsense")]),
        (
            "while a statement runs",
            vec![query("BEGIN; INSERT INTO t VALUES (1); SELECT pg_sleep(0.5)")],
        ),
        ("between Parse and Sync", vec![parse("s", insert), bind("", "s", &[]), execute("", 0)]),
        ("after a Flush", vec![parse("s", insert), bind("", "s", &[]), execute("", 0), flush()]),
        ("in COPY FROM STDIN", vec![query("COPY t FROM STDIN"), copy_data(b"1\n2\n")]),
        (
            "in COPY TO STDOUT",
            vec![query(
                "COPY (SELECT repeat('x', 1000) FROM generate_series(1, 100000)) TO STDOUT",
            )],
        ),
        ("in a big row", vec![query(BIG)]),
        ("in many rows", vec![query("SELECT * FROM generate_series(1, 3000000)")]),
        ("in the middle of a message", vec![query("BEGIN"), b"Q\0\0\x10\0SELECT".to_vec()]),
        (
            "in the middle of a large message",
            vec![b"Q\0\x10\0\0SELECT '".to_vec(), vec![b'x'; 50_000]],
        ),
        ("in the middle of a header", vec![b"Q\0".to_vec()]),
        ("in a pipeline", vec![query("SELECT pg_sleep(0.05)"); 50]),
    ];
    for mode in ["transaction", "session"] {
        let setup = setup(mode).await;
        for (what, messages) in &cases {
            for says_goodbye in [false, true] {
                let mut client = setup.wire().await;
                client.send_all(messages).await.unwrap();
                if says_goodbye {
                    let _ = client.send(&terminate()).await;
                }
                // Some are read, most are not.
                let _ = timeout(A_MOMENT, client.recv_bytes(1)).await;
                drop(client);
                nothing_is_left(&setup, &format!("{mode}: {what}, goodbye: {says_goodbye}")).await;
            }
        }
    }
}

#[tokio::test]
async fn while_waiting_for_a_connection() {
    let setup = setup("transaction").await;
    let mut holder = setup.wire().await;
    holder.query("BEGIN").await.unwrap();
    for _ in 0..5 {
        let mut waiter = setup.wire().await;
        waiter.send(&query("INSERT INTO t VALUES (1)")).await.unwrap();
        eventually("it waits", || async {
            let stats = ok(setup.client().await.call("PoolStats", json!({})).await);
            stats["stats"]["primary"]["waiting_clients"] == 1
        })
        .await;
        drop(waiter);
        eventually("it waits no more", || async {
            let stats = ok(setup.client().await.call("PoolStats", json!({})).await);
            stats["stats"]["primary"]["waiting_clients"] == 0
        })
        .await;
    }
    holder.query("COMMIT").await.unwrap();
    nothing_is_left(&setup, "while waiting").await;
}

#[tokio::test]
async fn a_client_that_has_only_gone_idle_costs_nothing() {
    let setup = setup("transaction").await;
    let mut other = setup.wire().await;
    let pid = backend(&mut other).await;
    for _ in 0..20 {
        let mut client: WireClient = setup.wire().await;
        assert_eq!(backend(&mut client).await, pid);
        client.exchange(&[parse("s", "SELECT 1"), sync()]).await.unwrap();
        drop(client);
    }
    assert_eq!(backend(&mut other).await, pid, "the connection has outlived them all");
}

#[tokio::test]
async fn one_that_reads_slowly_holds_nobody_else_up() {
    let setup =
        Setup::with(&json!({"backends": {"primary": {"pool": {"max_connections": 2}}}})).await;
    let (mut slow, mut quick) = (setup.wire().await, setup.wire().await);
    slow.send(&query(BIG)).await.unwrap();
    let _ = slow.recv_bytes(1).await.unwrap();
    for number in 0..50 {
        assert_eq!(quick.rows(&format!("SELECT {number}")).await, [number.to_string()]);
    }
    let replies = slow.until_ready().await;
    // One byte was taken above, so what follows makes no sense to the client; but all of it came.
    drop(replies);
}
