//! What of statements is logged, at either door: `pgpool.logging`.

use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use test_support::postgres::{PASSWORD, ROLE};
use test_support::wire::{errors, message};
use test_support::{RpcClient, TestCluster, TestDatabase, WireClient};

use crate::support::{Process, Serving, eventually};

/// A server that logs in JSON with these settings.
struct Logging {
    serving: Serving,
    db: TestDatabase,
}

impl Logging {
    async fn start(settings: &str) -> Self {
        let db = TestCluster::shared().await.database().await;
        let section = format!(
            "  logging: {{format: json, {settings}}}\n  databases:\n    sessions:\n      \
             primary: {{dsn: '{}', behavior: {{mode: session}}}}\n",
            db.dsn()
        );
        Self { serving: Serving::start(&db.dsn(), &section), db }
    }

    async fn client(&self) -> WireClient {
        self.client_of("primary").await
    }

    /// `sessions` is in session mode.
    async fn client_of(&self, database: &str) -> WireClient {
        let who = [("user", ROLE), ("database", database)];
        WireClient::login(&self.serving.proxy_address(), PASSWORD, &who).await.unwrap()
    }

    /// Ends it; the events of its log, none of which is more or less than a line.
    fn log(mut self) -> Vec<Value> {
        self.serving.process.signal("TERM");
        self.serving.process.wait();
        self.serving.log().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// The log of a server with these settings that has executed two statements over RPC, a fast and a
/// slow one.
async fn logged(settings: &str) -> Vec<Value> {
    let logging = Logging::start(settings).await;
    let mut client = RpcClient::connect(&logging.serving.address()).await.unwrap();
    client.execute("SELECT 'hidden' || $1 AS v", json!(["private"])).await.unwrap();
    client.execute("SELECT pg_sleep(0.3), 'hidden', $1::text", json!(["private"])).await.unwrap();
    drop(client);
    logging.log()
}

fn with<'a>(log: &'a [Value], message: &str) -> Vec<&'a Value> {
    log.iter().filter(|line| line["message"] == message).collect()
}

/// What these events say of this field.
fn field<'a>(events: &[&'a Value], name: &str) -> Vec<&'a Value> {
    events.iter().map(|event| &event[name]).collect()
}

#[tokio::test]
async fn statements_are_not_logged_unless_that_is_wanted() {
    let log = logged("level: debug, slow_query: {enabled: false}").await;
    assert_eq!((with(&log, "query").len(), with(&log, "slow query").len()), (0, 0), "{log:?}");
    assert!(!with(&log, "stopped").is_empty());
}

#[tokio::test]
async fn slow_statements_are_logged_without_values() {
    let log = logged("slow_query: {enabled: true, threshold: 200ms}").await;
    let slow = with(&log, "slow query");
    assert_eq!((with(&log, "query").len(), slow.len()), (0, 1), "{log:?}");
    assert!(slow[0]["sql"].as_str().unwrap().contains("pg_sleep"), "{log:?}");
    assert!(slow[0]["took_us"].as_u64().unwrap() >= 300_000, "{log:?}");
    assert_eq!((&slow[0]["door"], &slow[0]["database"]), (&json!("rpc"), &json!("primary")));
    let text = format!("{log:?}");
    assert!(!text.contains("hidden") && !text.contains("private"), "{text}");
}

#[tokio::test]
async fn log_queries_logs_every_one_and_log_params_the_values() {
    let log = logged("log_queries: true, slow_query: {enabled: false}").await;
    assert_eq!(with(&log, "query").len(), 2, "{log:?}");
    let text = format!("{log:?}");
    assert!(!text.contains("hidden") && !text.contains("private"), "{text}");
    let log = logged("log_queries: true, log_params: true, slow_query: {enabled: false}").await;
    let text = format!("{:?}", with(&log, "query"));
    assert!(text.contains("hidden") && text.contains("private"), "{text}");
}

#[tokio::test]
async fn statements_of_transactions_and_cursors_are_logged_with_their_database() {
    let logging = Logging::start("log_queries: true, slow_query: {enabled: false}").await;
    let mut client = RpcClient::connect(&logging.serving.address()).await.unwrap();
    client.call("TransactionBegin", json!({"tx_id": "t"})).await.unwrap();
    let select = json!({"tx_id": "t", "query": "SELECT 1"});
    client.call("Execute", select).await.unwrap();
    client.call("CursorOpen", json!({"query": "SELECT 'hidden'"})).await.unwrap();
    drop(client);
    let log = logging.log();
    let queries = with(&log, "query");
    assert_eq!(field(&queries, "sql"), ["SELECT ?", "SELECT ?"], "{log:?}");
    assert_eq!(field(&queries, "database"), ["primary", "primary"], "{log:?}");
}

#[tokio::test]
async fn the_level_is_the_least_that_is_logged() {
    let log = logged("level: warn, log_queries: true").await;
    assert_eq!(with(&log, "query").len(), 0, "an INFO: {log:?}");
    assert_eq!(with(&log, "stopped").len(), 0, "{log:?}");
}

#[tokio::test]
async fn slow_statements_of_postgresql_clients_are_logged_without_values() {
    let logging = Logging::start("slow_query: {threshold: 200ms}").await;
    let mut client = logging.client().await;
    client.query("SELECT 'hidden'").await.unwrap();
    client.query("SELECT pg_sleep(0.3),\n 'hidden'").await.unwrap();
    let prepared = "SELECT pg_sleep(0.3), 'hidden', $1::text";
    let batch = [
        message::parse("s", prepared),
        message::bind("", "s", &[Some("private")]),
        message::execute("", 0),
        message::sync(),
    ];
    client.exchange(&batch).await.unwrap();
    drop(client);
    let log = logging.log();
    let slow = with(&log, "slow query");
    let masked = ["SELECT pg_sleep(?), ?", "SELECT pg_sleep(?), ?, $1::text"];
    assert_eq!(field(&slow, "sql"), masked, "{log:?}");
    assert_eq!(field(&slow, "user"), [ROLE, ROLE], "{log:?}");
    assert_eq!(field(&slow, "door"), ["postgresql", "postgresql"], "{log:?}");
    assert!(slow.iter().all(|event| event["took_us"].as_u64().unwrap() >= 300_000), "{log:?}");
    assert!(slow.iter().all(|event| event["level"] == "WARN"), "{log:?}");
    let text = format!("{log:?}");
    assert!(!text.contains("hidden") && !text.contains("private"), "{text}");
}

#[tokio::test]
async fn the_time_that_a_postgresql_client_thinks_is_not_the_statements() {
    let logging = Logging::start("slow_query: {threshold: 200ms}").await;
    let mut client = logging.client().await;
    client.query("BEGIN").await.unwrap();
    // A client that is busy elsewhere for longer than a statement may take.
    logging.db.batch("SELECT pg_sleep(0.4)").await;
    client.query("SELECT 1").await.unwrap();
    client.query("COMMIT").await.unwrap();
    drop(client);
    let log = logging.log();
    assert_eq!(with(&log, "slow query").len(), 0, "{log:?}");
}

#[tokio::test]
async fn every_query_and_batch_of_postgresql_clients_is_logged_if_wanted() {
    let settings = "log_queries: true, log_params: true, slow_query: {enabled: false}";
    let logging = Logging::start(settings).await;
    let mut client = logging.client().await;
    let batch = [
        message::parse("a", "SELECT $1::text"),
        message::bind("", "a", &[Some("private")]),
        message::execute("", 0),
        message::bind("", "a", &[None]),
        message::execute("", 0),
        message::sync(),
        message::parse("", "SELECT 1/$1::int"),
        message::bind("", "", &[Some("0")]),
        message::execute("", 0),
        message::sync(),
        message::parse("b", "SELECT 'only prepared'"),
        message::sync(),
        message::query("SELECT 'last'"),
    ];
    client.send_all(&batch).await.unwrap();
    for _ in 0..4 {
        client.until_ready().await.unwrap();
    }
    drop(client);
    let log = logging.log();
    let queries = with(&log, "query");
    let texts = ["SELECT $1::text; SELECT $1::text", "SELECT 1/$1::int", "SELECT 'last'"];
    assert_eq!(field(&queries, "sql"), texts, "{log:?}");
    let params = ["[\"private\"], [null]", "[\"0\"]", ""];
    assert_eq!(field(&queries, "params"), params, "{log:?}");
    assert_eq!(field(&queries, "sqlstate"), [&Value::Null, &json!("22012"), &Value::Null]);
    assert_eq!(field(&queries, "statements"), [&json!(2), &Value::Null, &Value::Null]);
}

#[tokio::test]
async fn what_waited_for_a_connection_is_not_slow_and_the_log_says_how_long() {
    let settings = "log_queries: true, slow_query: {threshold: 200ms}";
    let logging = Logging::start(settings).await;
    let mut clients = Vec::new();
    // All connections of the pool are in a transaction.
    for _ in 0..25 {
        let mut client = logging.client().await;
        client.query("BEGIN").await.unwrap();
        clients.push(client);
    }
    let mut late = logging.client().await;
    late.send(&message::query("SELECT 'late'")).await.unwrap();
    logging.db.batch("SELECT pg_sleep(0.4)").await;
    clients.clear();
    assert!(errors(&late.until_ready().await.unwrap()).is_empty());
    drop(late);
    let log = logging.log();
    assert_eq!(with(&log, "slow query").len(), 0, "{log:?}");
    let queries = with(&log, "query");
    let late = queries.iter().find(|event| event["sql"] == "SELECT ?").unwrap();
    assert!(late["wait_us"].as_u64().unwrap() >= 300_000, "{late}");
}

#[tokio::test]
async fn statements_that_end_with_their_server_or_client_are_logged_too() {
    let settings = "log_queries: true, slow_query: {enabled: false}";
    for database in ["primary", "sessions"] {
        let logging = Logging::start(settings).await;
        let db = &logging.db;
        let mut client = logging.client_of(database).await;
        client.send(&message::query("SELECT pg_sleep(60), 'lost'")).await.unwrap();
        let lost = "state = 'active' AND query LIKE '%sleep(60)%'";
        until(async || db.kill_backends(lost).await == 1).await;
        let _ = client.until_ready().await;
        let mut client = logging.client_of(database).await;
        client.send(&message::query("SELECT pg_sleep(61)")).await.unwrap();
        let left = "state = 'active' AND query LIKE '%sleep(61)%'";
        until(async || db.count_backends(left).await == 1).await;
        drop(client);
        until(async || db.count_backends(left).await == 0).await;
        let log = logging.log();
        let queries = with(&log, "query");
        assert_eq!(queries.len(), 2, "{database}: {log:?}");
        // Of a SELECT it makes no difference that nobody knows.
        assert_eq!(field(&queries, "sqlstate"), ["57P01", "57014"], "{database}: {log:?}");
        let text = format!("{log:?}");
        assert!(!text.contains("'lost'"), "{text}");
    }
}

/// Looks again and again until it `holds`.
async fn until(mut holds: impl AsyncFnMut() -> bool) {
    let looking = async { while !holds().await {} };
    tokio::time::timeout(Duration::from_secs(30), looking).await.unwrap();
}

#[test]
fn on_a_terminal_the_log_is_for_people() {
    let directory = tempfile::tempdir().unwrap();
    let start = |format: &str| {
        let config = directory.path().join(format!("{format}.yaml"));
        let text = format!(
            "version: '3'\npgpool:\n  backends: {{primary: {{dsn: 'host=127.0.0.1 port=1 user=a \
             dbname=d'}}}}\n  rpc: {{listen: 'tcp://127.0.0.1:0'}}\n  proxy: {{address: ''}}\n  \
             logging: {{format: {format}}}\n",
        );
        std::fs::write(&config, text).unwrap();
        let screen = directory.path().join(format!("{format}.screen"));
        let command = format!("{} serve -c {}", env!("CARGO_BIN_EXE_rr-pgpool"), config.display());
        let child = Command::new("script")
            .args(["-qfec", &command])
            .arg(&screen)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn();
        let _process = Process(child.unwrap());
        let shown = || std::fs::read_to_string(&screen).unwrap_or_default();
        eventually("it has logged", || shown().contains("primary"));
        shown()
    };
    let people = start("text");
    assert!(people.contains("\u{1b}[32m INFO\u{1b}[0m"), "in colour: {people:?}");
    let machines = start("json");
    assert!(!machines.contains('\u{1b}'), "{machines:?}");
    assert!(machines.contains("{\"timestamp\":"), "{machines:?}");
}
