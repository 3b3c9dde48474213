//! The configuration read again while clients of both doors work.

use e2e::{ConfigFile, Setup, TestServer, config, eventually, in_time, ok};
use serde_json::{Value, json};
use test_support::postgres::{PASSWORD, ROLE};
use test_support::{Reply, RpcClient, WireClient};

use crate::talk::{ask, login, refused};

/// A server, what it reads again, and its database.
struct Reloading {
    server: TestServer,
    file: ConfigFile,
    base: Setup,
}

impl Reloading {
    async fn with(more: &Value) -> Self {
        let base = Setup::new().await;
        let config = config(&base.db.dsn(), more);
        let file = ConfigFile::new(&config);
        let server = TestServer::start_from(config, &file).await;
        Self { server, file, base }
    }

    /// Writes the file anew and has it read, over RPC; what has changed.
    async fn reload(&self, more: &Value) -> Vec<String> {
        self.file.write(Ok(config(&self.base.db.dsn(), more)));
        let mut rpc = self.server.client().await;
        changes(&ok(rpc.call("Reload", json!({})).await))
    }
}

fn changes(reply: &Value) -> Vec<String> {
    let lines = reply["changes"].as_array().expect("changes").iter();
    lines.filter_map(Value::as_str).map(str::to_owned).collect()
}

async fn pid(client: &mut WireClient) -> String {
    client.rows("SELECT pg_backend_pid()").await.remove(0)
}

async fn stats(rpc: &mut RpcClient) -> Value {
    ok(rpc.call("PoolStats", json!({"database": "*"})).await)["stats"].clone()
}

#[tokio::test]
async fn pools_grow_and_shrink_while_clients_stay() {
    let size = |size: u32| json!({"backends": {"primary": {"pool": {"max_connections": size}}}});
    let it = Reloading::with(&size(3)).await;
    let (mut one, mut other) = (it.server.wire().await, it.server.wire().await);
    let mut rpc = it.server.client().await;
    one.query("BEGIN").await.unwrap();
    let tx = ok(rpc.call("TransactionBegin", json!({})).await)["tx_id"].clone();
    let lines = it.reload(&size(1)).await;
    assert_eq!(lines, ["backends.primary.pool.max_connections: 3 -> 1"]);
    assert_eq!(stats(&mut rpc).await["primary"]["max_connections"], 1);
    ok(rpc.call("Execute", json!({"tx_id": tx, "query": "SELECT 1"})).await);
    ok(rpc.call("TransactionCommit", json!({"tx_id": tx})).await);
    assert_eq!(ask(&mut one, "COMMIT").await, "C(COMMIT) Z(I)");
    let first = pid(&mut one).await;
    assert_eq!(pid(&mut other).await, first, "there is one left");
    it.reload(&size(2)).await;
    one.query("BEGIN").await.unwrap();
    assert_ne!(pid(&mut one).await, pid(&mut other).await);
    assert_eq!(it.reload(&size(2)).await, Vec::<String>::new());
}

#[tokio::test]
async fn databases_come_and_go_and_their_clients_are_told() {
    let it = Reloading::with(&json!({})).await;
    let dsn = it.base.db.dsn();
    let further = json!({"databases": {"shop": {"primary": {"dsn": dsn}}}});
    let mut client = it.server.wire().await;
    let mut rpc = it.server.client().await;
    let unknown = rpc.call("Execute", json!({"database": "shop", "query": "SELECT 1"})).await;
    assert_eq!(unknown.unwrap()["sqlstate"], "3D000");
    let lines = it.reload(&further).await;
    assert!(lines.iter().any(|line| line.starts_with("databases.shop.primary.dsn: ")), "{lines:?}");
    assert!(lines.iter().all(|line| !line.contains(PASSWORD)), "{lines:?}");
    ok(rpc.call("Execute", json!({"database": "shop", "query": "SELECT 1"})).await);
    let mut idle = it.server.wire_with(&[("database", "shop")]).await.unwrap();
    let mut busy = it.server.wire_with(&[("database", "shop")]).await.unwrap();
    busy.query("BEGIN").await.unwrap();
    it.reload(&json!({})).await;
    let words = in_time("the end", idle.until_closed()).await;
    let fault = words.last().and_then(Reply::error).expect("why");
    assert_eq!(fault.code(), "57P01");
    assert!(fault.message().contains("removed from the configuration"), "{fault}");
    assert_eq!(busy.rows("SELECT 1").await, ["1"], "its transaction goes on");
    busy.query("COMMIT").await.unwrap();
    in_time("the end of the other", busy.until_closed()).await;
    let gone = rpc.call("Execute", json!({"database": "shop", "query": "SELECT 1"})).await;
    assert_eq!(gone.unwrap()["sqlstate"], "3D000");
    assert_eq!(client.rows("SELECT 1").await, ["1"]);
}

#[tokio::test]
async fn a_database_that_leads_elsewhere_never_has_more_connections_than_it_may() {
    let limits = json!({"backends": {"primary": {"pool": {
        "max_connections": 1, "acquire_timeout": "300ms",
    }}}});
    let it = Reloading::with(&limits).await;
    let other = Setup::new().await;
    let (mut client, mut second) = (it.server.wire().await, it.server.wire().await);
    client.query("BEGIN").await.unwrap();
    let mut elsewhere = limits.clone();
    elsewhere["backends"]["primary"]["dsn"] = other.db.dsn().into();
    it.reload(&elsewhere).await;
    assert_eq!(refused(&mut second, "SELECT 1").await.code(), "53300", "the old one counts");
    let name = "SELECT current_database()";
    assert_eq!(client.rows(name).await, [it.base.db.name()]);
    client.query("COMMIT").await.unwrap();
    assert_eq!(client.rows(name).await, [other.db.name()], "the client has gone along");
    assert_eq!(second.rows(name).await, [other.db.name()]);
    assert_eq!(it.base.count("true").await, 0);
}

#[tokio::test]
async fn prepared_statements_and_settings_of_clients_outlive_a_reload() {
    use test_support::wire::message::{bind, execute, parse, sync};
    let it = Reloading::with(&json!({})).await;
    let mut client = it.server.wire().await;
    ask(&mut client, "SET application_name = 'mine'").await;
    client.exchange(&[parse("s", "SELECT 41 + 1"), sync()]).await.unwrap();
    it.reload(&json!({"proxy": {"max_clients": 7}})).await;
    let replies = client.exchange(&[bind("", "s", &[]), execute("", 0), sync()]).await.unwrap();
    assert_eq!(test_support::wire::rows(&replies), ["42"]);
    let mut fresh = it.server.wire().await;
    fresh.exchange(&[parse("s", "SELECT 7"), sync()]).await.unwrap();
    let replies = fresh.exchange(&[bind("", "s", &[]), execute("", 0), sync()]).await.unwrap();
    assert_eq!(test_support::wire::rows(&replies), ["7"], "statements are not confused");
    assert_eq!(client.rows("SHOW application_name").await, ["mine"]);
}

#[tokio::test]
async fn users_passwords_and_limits_change() {
    let users = |users: Value| json!({"proxy": {"users": users}});
    let it = Reloading::with(&users(json!({"web": "old", "gone": "x"}))).await;
    let mut inside = login(&it.server, "web", "old").await.unwrap();
    let lines = it
        .reload(&users(json!({"web": {"password": "new", "max_clients": 1}, "fresh": "y"})))
        .await;
    assert!(lines.iter().all(|line| !line.contains("new") && !line.contains("old")), "{lines:?}");
    assert_eq!(inside.rows("SELECT 1").await, ["1"]);
    assert!(login(&it.server, "web", "old").await.is_err());
    assert!(login(&it.server, "gone", "x").await.is_err());
    login(&it.server, "fresh", "y").await.unwrap();
    let full = login(&it.server, "web", "new").await.err().expect("who is inside counts");
    assert!(full.to_string().contains("53300"), "{full}");
    drop(inside);
    eventually("there is room", || async { login(&it.server, "web", "new").await.is_ok() }).await;
}

#[tokio::test]
async fn a_bad_configuration_is_refused_whole() {
    let size = |size: u32| json!({"backends": {"primary": {"pool": {"max_connections": size}}}});
    let it = Reloading::with(&size(3)).await;
    let mut rpc = it.server.client().await;
    it.file.write(Err("file.yaml:3: pgpool.proxy: no such key".to_owned()));
    let failed = rpc.call("Reload", json!({})).await.unwrap();
    let text = failed["error"].as_str().expect("an error");
    assert!(text.contains("nothing was changed") && text.contains("file.yaml:3"), "{text}");
    let mut missing = size(2);
    missing["proxy"] = json!({"tls": {"cert": "/nowhere/cert.pem", "key": "/nowhere/key.pem"}});
    it.file.write(Ok(config(&it.base.db.dsn(), &missing)));
    let failed = rpc.call("Reload", json!({})).await.unwrap();
    assert!(failed["error"].as_str().expect("an error").contains("/nowhere"), "{failed}");
    assert_eq!(stats(&mut rpc).await["primary"]["max_connections"], 3);
}

#[tokio::test]
async fn what_needs_a_restart_is_named_and_stays() {
    let it = Reloading::with(&json!({})).await;
    let more = json!({"threads": 2, "proxy": {"address": "tcp://127.0.0.1:1", "max_clients": 9}});
    let lines = it.reload(&more).await;
    assert!(lines.iter().any(|line| line.starts_with("threads: 1 -> 2 (needs a restart")));
    assert!(lines.iter().any(|line| line.contains("proxy.address") && line.contains("restart")));
    assert!(lines.contains(&"proxy.max_clients: 1000 -> 9".to_owned()), "{lines:?}");
    assert_eq!(it.reload(&more).await.len(), 2, "they are still to come");
    it.server.wire().await;
}

#[tokio::test]
async fn a_console_reloads_too_and_forgets_what_set_has_changed() {
    let it = Reloading::with(&json!({"proxy": {"admin_users": [ROLE]}})).await;
    let mut console = it.server.wire_with(&[("database", "pgbouncer")]).await.unwrap();
    ask(&mut console, "SET max_client_conn = 5").await;
    let replies = console.query("RELOAD").await.unwrap();
    let notices: Vec<_> = replies.iter().filter_map(Reply::fault).collect();
    assert_eq!(notices.len(), 1);
    assert_eq!(notices[0].message(), "proxy.max_clients: 5 -> 1000");
    it.file.write(Err("broken".to_owned()));
    let fault = refused(&mut console, "RELOAD").await;
    assert!(fault.message().contains("nothing was changed: broken"), "{fault}");
}

#[tokio::test]
async fn an_open_breaker_is_closed_by_reconnect() {
    let it = Reloading::with(&json!({"features": {"circuit_breaker": {
        "enabled": true, "threshold": 1, "timeout": "1h",
    }}}))
    .await;
    let mut rpc = it.server.client().await;
    let mut wrong = json!({"features": {"circuit_breaker": {
        "enabled": true, "threshold": 1, "timeout": "1h",
    }}});
    wrong["backends"] = json!({"primary": {"dsn": "postgres://app:x@127.0.0.1:1/app"}});
    it.reload(&wrong).await;
    assert_eq!(rpc.execute("SELECT 1", json!([])).await.unwrap()["sqlstate"], "08001");
    assert_eq!(stats(&mut rpc).await["primary"]["breaker"], "open");
    let mut right = wrong.clone();
    right["backends"] = json!({"primary": {"dsn": it.base.db.dsn()}});
    it.reload(&right).await;
    assert_eq!(stats(&mut rpc).await["primary"]["breaker"], "closed");
    ok(rpc.execute("SELECT 1", json!([])).await);
}
