//! A replica is promoted: writes follow through both doors, and every answer about one is true.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use e2e::{Replicated, eventually, in_time, ok};
use serde_json::json;
use test_support::postgres::StopMode;
use test_support::wire::{errors, rows};
use test_support::{RpcClient, WireClient, WireFault};

#[tokio::test]
async fn writes_follow_a_promotion() {
    let all = Replicated::with(
        2,
        json!({"read_write_split": true, "read_your_writes": "off",
        "failover": {"enabled": true, "retry_interval": "50ms", "max_failures": 2}}),
    )
    .await;
    let mut client = all.server.client().await;
    ok(client.execute("CREATE TABLE t (a int PRIMARY KEY)", json!([])).await);
    all.caught_up().await;
    // Every write is answered, and every one that is acknowledged is there afterwards, once.
    let mut acknowledged = Vec::new();
    let mut n = 0_i64;
    let mut write = async |client: &mut RpcClient| {
        n += 1;
        let insert = json!({"query": "INSERT INTO t VALUES ($1)", "args": [n], "timeout": 2000});
        let reply = client.call("Execute", insert).await.unwrap();
        (n, reply.get("error").is_none())
    };
    for _ in 0..20 {
        let (n, done) = write(&mut client).await;
        assert!(done);
        acknowledged.push(n);
    }
    // What is acknowledged is on the replica that is promoted: that much is the administrator's work.
    let replica = &all.replicas[0];
    eventually("it has all", || async {
        let count = replica.admin_in("app").await.query_one("SELECT count(*) FROM t", &[]).await;
        count.is_ok_and(|row| row.get::<_, i64>(0) == 20)
    })
    .await;
    all.primary.stop(StopMode::Immediate).await;
    let (_, done) = write(&mut client).await;
    assert!(!done, "there is nobody who takes it");
    replica.promote().await;
    let promoted = tokio::time::Instant::now();
    let follows = async {
        loop {
            let (n, done) = write(&mut client).await;
            if done {
                return n;
            }
        }
    };
    acknowledged.push(in_time("writes follow", follows).await);
    assert!(promoted.elapsed() < Duration::from_secs(2), "{:?}", promoted.elapsed());
    for _ in 0..20 {
        let (n, done) = write(&mut client).await;
        assert!(done);
        acknowledged.push(n);
    }
    let request =
        json!({"query": "SELECT array_agg(a ORDER BY a) AS a FROM t", "route": "primary"});
    let reply = ok(client.call("Execute", request).await);
    assert_eq!(reply["rows"][0]["a"], json!(acknowledged));
}

#[tokio::test]
async fn clients_of_the_postgresql_door_follow_a_promotion_too() {
    let all = Replicated::with(
        1,
        json!({
        "failover": {"enabled": true, "retry_interval": "50ms", "max_failures": 2}}),
    )
    .await;
    let mut client = all.server.wire().await;
    client.rows("CREATE TABLE t (a int)").await;
    all.caught_up().await;
    all.primary.stop(StopMode::Immediate).await;
    assert_eq!(
        client.query("INSERT INTO t VALUES (1)").await.unwrap().len(),
        2,
        "an error, and ready"
    );
    all.replicas[0].promote().await;
    let promoted = tokio::time::Instant::now();
    let follows = async {
        while !errors(&client.query("INSERT INTO t VALUES (2)").await.unwrap()).is_empty() {}
    };
    in_time("writes follow", follows).await;
    assert!(promoted.elapsed() < Duration::from_secs(2), "{:?}", promoted.elapsed());
    assert_eq!(client.rows("SELECT a FROM t").await, ["2"]);
}

/// With nobody looking by itself: what goes wrong at either door has the servers looked at.
#[tokio::test]
async fn a_failure_at_any_door_has_the_servers_looked_at() {
    for by_rpc in [false, true] {
        let routing = json!({
            "failover": {"enabled": true, "retry_interval": "1h", "max_failures": 1},
        });
        let all = Replicated::with(1, routing).await;
        let (mut rpc, mut wire) = (all.server.client().await, all.server.wire().await);
        wire.rows("CREATE TABLE t (a int)").await;
        all.caught_up().await;
        all.primary.stop(StopMode::Immediate).await;
        all.replicas[0].promote().await;
        let follows = async {
            loop {
                let is_done = if by_rpc {
                    let begin = json!({"tx_id": "t"});
                    rpc.call("TransactionBegin", begin).await.unwrap().get("error").is_none()
                } else {
                    errors(&wire.query("INSERT INTO t VALUES (1)").await.unwrap()).is_empty()
                };
                if is_done {
                    return;
                }
            }
        };
        in_time("writes follow", follows).await;
    }
}

/// A primary that has become a replica, in place, and says so only by its errors.
#[tokio::test]
async fn a_write_that_is_refused_as_read_only_has_the_servers_looked_at() {
    let routing = json!({"failover": {"enabled": true, "retry_interval": "1h", "max_failures": 1}});
    let all = Replicated::with(1, routing).await;
    let mut wire = all.server.wire().await;
    wire.rows("CREATE TABLE t (a int)").await;
    all.caught_up().await;
    // The other one becomes the primary of a newer timeline; this one refuses writes from now on.
    all.replicas[0].promote().await;
    all.primary.batch("ALTER SYSTEM SET default_transaction_read_only = on").await;
    all.primary.batch("SELECT pg_reload_conf()").await;
    let promoted = all.replicas[0].port().to_string();
    let follows = async {
        loop {
            let insert = "INSERT INTO t VALUES (1) RETURNING inet_server_port()";
            let replies = wire.query(insert).await.unwrap();
            if rows(&replies) == [promoted.clone()] {
                return;
            }
        }
    };
    in_time("writes follow", follows).await;
}

#[tokio::test]
async fn a_primary_that_was_replaced_gets_no_writes_when_it_is_back() {
    let routing =
        json!({"failover": {"enabled": true, "retry_interval": "50ms", "max_failures": 1}});
    let (all, link, _to_replica) = Replicated::linked(routing).await;
    let mut client = all.server.client().await;
    ok(client.execute("CREATE TABLE t (p int)", json!([])).await);
    all.caught_up().await;
    // The network loses it, but it lives.
    link.blackhole();
    all.replicas[0].promote().await;
    let promoted = i64::from(all.replicas[0].port());
    let insert = json!({
        "query": "INSERT INTO t VALUES (inet_server_port()) RETURNING p", "timeout": 300,
    });
    eventually("writes follow", || async {
        let reply = all.server.client().await.call("Execute", insert.clone()).await.unwrap();
        reply["rows"][0]["p"] == promoted
    })
    .await;
    link.resume();
    link.reset_all();
    let heard = || link.counters().to_client;
    let before = heard();
    eventually("it has been asked again and again", || async { heard() > before + 4096 }).await;
    for _ in 0..20 {
        let reply = ok(client.call("Execute", insert.clone()).await);
        assert_eq!(reply["rows"][0]["p"], promoted);
        let rows = all.server.wire().await.rows("SELECT inet_server_port()").await;
        assert_eq!(rows, [promoted.to_string()]);
    }
}

/// What the callers were told.
#[derive(Default)]
struct Told {
    acknowledged: Mutex<Vec<i64>>,
    unknown: Mutex<HashSet<i64>>,
    is_over: AtomicBool,
}

impl Told {
    fn note(&self, n: i64, code: Option<&str>) {
        match code {
            None => self.acknowledged.lock().unwrap().push(n),
            Some("40003") => drop(self.unknown.lock().unwrap().insert(n)),
            // Everything else says that nothing was executed.
            Some(_) => {}
        }
    }

    fn goes_on(&self) -> bool {
        !self.is_over.load(Ordering::Relaxed)
    }

    fn count(&self) -> usize {
        self.acknowledged.lock().unwrap().len()
    }
}

/// Numbers that no other caller uses.
const SHARE: i64 = 1_000_000;

async fn write_by_rpc(mut client: RpcClient, share: i64, told: Arc<Told>) {
    for n in share * SHARE.. {
        if !told.goes_on() {
            return;
        }
        let insert = json!({"query": "INSERT INTO t VALUES ($1)", "args": [n], "timeout": 5000});
        let reply = client.call("Execute", insert).await.unwrap();
        told.note(n, reply.get("error").map(|_| reply["sqlstate"].as_str().unwrap()));
    }
}

async fn write_by_wire(mut client: WireClient, share: i64, told: Arc<Told>) {
    for n in share * SHARE.. {
        if !told.goes_on() {
            return;
        }
        let replies = client.query(&format!("INSERT INTO t VALUES ({n})")).await.unwrap();
        told.note(n, errors(&replies).first().map(WireFault::code));
    }
}

#[tokio::test]
async fn under_load_from_both_doors_no_acknowledged_write_is_lost_and_none_is_there_twice() {
    let routing =
        json!({"failover": {"enabled": true, "retry_interval": "50ms", "max_failures": 2}});
    let all = Replicated::with(1, routing).await;
    let mut client = all.server.client().await;
    // Without a key, so that a write that is executed twice is there twice.
    ok(client.execute("CREATE TABLE t (a bigint)", json!([])).await);
    all.caught_up().await;
    // What is acknowledged is on the replica, too, or its promotion alone would lose it.
    let admin = all.primary.admin().await;
    admin.batch_execute("ALTER SYSTEM SET synchronous_standby_names = '*'").await.unwrap();
    admin.batch_execute("ALTER SYSTEM SET synchronous_commit = on").await.unwrap();
    admin.batch_execute("SELECT pg_reload_conf()").await.unwrap();
    eventually("commits wait for the replica", || async {
        let sql = "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'";
        admin.query_one(sql, &[]).await.is_ok_and(|row| row.get::<_, i64>(0) == 1)
    })
    .await;
    let told = Arc::new(Told::default());
    let mut tasks = Vec::new();
    for share in 0..4 {
        let client = all.server.client().await;
        tasks.push(tokio::spawn(write_by_rpc(client, share, Arc::clone(&told))));
        let client = all.server.wire().await;
        tasks.push(tokio::spawn(write_by_wire(client, share + 4, Arc::clone(&told))));
    }
    eventually("they write", || async { told.count() > 100 }).await;
    all.primary.stop(StopMode::Immediate).await;
    all.replicas[0].promote().await;
    let before = told.count();
    eventually("they write again", || async { told.count() > before + 100 }).await;
    told.is_over.store(true, Ordering::Relaxed);
    for task in tasks {
        task.await.unwrap();
    }
    let rows = all.replicas[0].admin_in("app").await.query("SELECT a FROM t", &[]).await.unwrap();
    let there: Vec<i64> = rows.iter().map(|row| row.get(0)).collect();
    let once: HashSet<i64> = there.iter().copied().collect();
    assert_eq!(once.len(), there.len(), "a write was executed twice");
    let acknowledged: HashSet<i64> = told.acknowledged.lock().unwrap().iter().copied().collect();
    let lost: Vec<_> = acknowledged.difference(&once).collect();
    assert!(lost.is_empty(), "acknowledged, and not there: {lost:?}");
    let unknown = told.unknown.lock().unwrap();
    let untrue: Vec<_> =
        once.iter().filter(|n| !acknowledged.contains(n) && !unknown.contains(n)).collect();
    assert!(untrue.is_empty(), "called not executed, and executed: {untrue:?}");
}

/// With `failover.wait` what is asked for during the gap is answered after it, by whoever takes over.
#[tokio::test]
async fn statements_wait_for_a_promotion() {
    let routing = json!({"failover":
        {"enabled": true, "retry_interval": "50ms", "max_failures": 1, "wait": "20s"}});
    let all = Replicated::with(1, routing).await;
    ok(all.server.client().await.execute("CREATE TABLE t (a int)", json!([])).await);
    all.caught_up().await;
    let mut wire = all.server.wire().await;
    wire.rows("SELECT 1").await;
    let mut newcomer = all.server.wire().await;
    all.primary.stop(StopMode::Immediate).await;
    let (mut rpc, mut begins) = (all.server.client().await, all.server.client().await);
    let insert = json!({"query": "INSERT INTO t VALUES (1)", "timeout": 15000});
    let by_rpc = tokio::spawn(async move { rpc.call("Execute", insert).await });
    let begun = tokio::spawn(async move {
        let insert = json!({"tx_id": "t", "query": "INSERT INTO t VALUES (2)"});
        let mut replies = Vec::new();
        for (method, request) in [
            ("TransactionBegin", json!({"tx_id": "t"})),
            ("Execute", insert),
            ("TransactionCommit", json!({"tx_id": "t"})),
        ] {
            replies.push(begins.call(method, request).await);
        }
        replies
    });
    let by_wire = tokio::spawn(async move { wire.query("INSERT INTO t VALUES (3)").await });
    let by_newcomer = tokio::spawn(async move {
        newcomer.query("SET application_name = 'x'").await.unwrap();
        newcomer.query("INSERT INTO t VALUES (4)").await
    });
    all.replicas[0].promote().await;
    ok(in_time("by RPC", by_rpc).await.unwrap());
    for reply in in_time("a transaction", begun).await.unwrap() {
        ok(reply);
    }
    for replies in [in_time("by wire", by_wire).await, in_time("a newcomer", by_newcomer).await] {
        let replies = replies.unwrap().unwrap();
        assert!(errors(&replies).is_empty(), "{replies:?}");
    }
    let mut client = all.server.wire().await;
    assert_eq!(client.rows("SELECT a FROM t ORDER BY a").await, ["1", "2", "3", "4"]);
}

/// The wait ends.
#[tokio::test]
async fn nobody_waits_for_a_primary_for_ever() {
    let routing = json!({"failover":
        {"enabled": true, "retry_interval": "50ms", "max_failures": 1, "wait": "200ms"}});
    let all = Replicated::with(1, routing).await;
    let mut client = all.server.client().await;
    ok(client.execute("CREATE TABLE t (a int)", json!([])).await);
    all.primary.stop(StopMode::Immediate).await;
    for _ in 0..2 {
        let started = tokio::time::Instant::now();
        let insert = json!({"query": "INSERT INTO t VALUES (1)"});
        let reply = in_time("an answer", client.call("Execute", insert)).await.unwrap();
        assert!(reply["error"].is_string(), "{reply}");
        assert!(started.elapsed() >= Duration::from_millis(150), "{:?}", started.elapsed());
    }
}

/// A wrong password is nothing that another server, or time, puts right.
#[tokio::test]
async fn what_is_wrong_with_the_login_is_told_and_not_waited_for() {
    let routing = json!({"failover":
        {"enabled": true, "retry_interval": "50ms", "max_failures": 1, "wait": "1h"}});
    let all = Replicated::with(1, routing).await;
    let mut client = all.server.client().await;
    ok(client.execute("SELECT 1", json!([])).await);
    all.primary.batch("ALTER ROLE app PASSWORD 'another'").await;
    all.primary.kill_backends("usename = 'app'").await;
    let select = async {
        loop {
            let reply = client.call("Execute", json!({"query": "SELECT 1"})).await.unwrap();
            // The one that was idle is found to be gone first.
            if reply["sqlstate"] == "28P01" {
                return;
            }
            assert!(reply["error"].is_string(), "{reply}");
        }
    };
    in_time("an answer", select).await;
}
