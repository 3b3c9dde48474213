//! What these tests share: pools over a test database, direct or through a faulty link, and ways
//! to look at both ends.

use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use pool_manager::config::{BackendConfig, GoDuration};
use pool_manager::values::{Arg, Columns, Row};
use pool_manager::{
    DatabasePool, Discard, Error, PoolStats, ResultSink, Session, Settings, SinkError, Statement,
    TimeLimit, Transaction,
};
use test_support::{FaultyLink, TestCluster, TestDatabase};

/// How long a condition may take to come true on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(2);

/// A fresh database in the cluster that all tests here share.
pub(crate) async fn database() -> TestDatabase {
    TestCluster::shared().await.database().await
}

/// A pool of at most `size` connections, opened when they are needed.
pub(crate) fn pool(database: &TestDatabase, size: u32) -> DatabasePool {
    pool_with(database, size, |_| {})
}

/// The same with a changed configuration.
pub(crate) fn pool_with(
    database: &TestDatabase,
    size: u32,
    change: impl FnOnce(&mut BackendConfig),
) -> DatabasePool {
    DatabasePool::new("primary", &config(&database.dsn(), size, change)).expect("a pool")
}

/// The configuration of such pools.
pub(crate) fn config(
    dsn: &str,
    size: u32,
    change: impl FnOnce(&mut BackendConfig),
) -> BackendConfig {
    let mut config = BackendConfig::from_dsn(format!("{dsn}?sslmode=disable"));
    config.pool.max_connections = size;
    config.pool.min_connections = Some(0);
    config.behavior.lazy_connect = true;
    change(&mut config);
    config
}

/// A pool that reaches the database through `link` only.
pub(crate) fn pool_through(
    link: &FaultyLink,
    database: &TestDatabase,
    size: u32,
    change: impl FnOnce(&mut BackendConfig),
) -> DatabasePool {
    let dsn = format!("postgres://app:secret@{}/{}", link.address(), database.name());
    DatabasePool::new("primary", &config(&dsn, size, change)).expect("a pool")
}

/// Where the server of a database listens.
pub(crate) fn address(database: &TestDatabase) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], database.cluster().port()))
}

pub(crate) const fn millis(count: u32) -> GoDuration {
    GoDuration::from_millis(count)
}

/// The first value of the first row, as PostgreSQL prints it.
pub(crate) async fn value(pool: &DatabasePool, sql: &str) -> Result<String, Error> {
    let mut rows = Texts::default();
    pool.execute(&Statement::new(sql, &[]), &mut rows).await?;
    Ok(rows.first())
}

/// The same with settings.
pub(crate) async fn value_with(
    pool: &DatabasePool,
    sql: &str,
    settings: &[(&str, &str)],
) -> Result<String, Error> {
    let settings = settings_of(settings);
    let mut rows = Texts::default();
    pool.execute(&Statement { settings: &settings, ..Statement::new(sql, &[]) }, &mut rows).await?;
    Ok(rows.first())
}

/// Runs a text in the simple protocol.
pub(crate) async fn simple(pool: &DatabasePool, sql: &str) -> Result<String, Error> {
    let mut rows = Texts::default();
    pool.execute(&Statement { simple: true, ..Statement::new(sql, &[]) }, &mut rows).await?;
    Ok(rows.first())
}

/// Runs a statement with a time limit of its own.
pub(crate) async fn within(
    pool: &DatabasePool,
    sql: &str,
    limit: Duration,
) -> Result<String, Error> {
    let mut rows = Texts::default();
    let statement = Statement { limit: TimeLimit::After(limit), ..Statement::new(sql, &[]) };
    pool.execute(&statement, &mut rows).await?;
    Ok(rows.first())
}

pub(crate) fn settings_of(pairs: &[(&str, &str)]) -> Settings {
    let pairs = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Settings::new(pairs).expect("valid settings")
}

/// What a connection that somebody holds can do, whether transaction or session.
pub(crate) trait Held {
    async fn run(&mut self, statement: &Statement<'_>, rows: &mut Texts) -> Result<(), Error>;

    async fn value(&mut self, sql: &str) -> Result<String, Error> {
        let mut rows = Texts::default();
        self.run(&Statement::new(sql, &[]), &mut rows).await?;
        Ok(rows.first())
    }

    async fn value_with(&mut self, sql: &str, settings: &[(&str, &str)]) -> Result<String, Error> {
        let settings = settings_of(settings);
        let mut rows = Texts::default();
        let statement = Statement { settings: &settings, ..Statement::new(sql, &[]) };
        self.run(&statement, &mut rows).await?;
        Ok(rows.first())
    }

    async fn simple(&mut self, sql: &str) -> Result<String, Error> {
        let mut rows = Texts::default();
        let statement = Statement { simple: true, ..Statement::new(sql, &[]) };
        self.run(&statement, &mut rows).await?;
        Ok(rows.first())
    }
}

impl Held for Transaction {
    async fn run(&mut self, statement: &Statement<'_>, rows: &mut Texts) -> Result<(), Error> {
        self.execute(statement, rows).await.map(drop)
    }
}

impl Held for Session {
    async fn run(&mut self, statement: &Statement<'_>, rows: &mut Texts) -> Result<(), Error> {
        self.execute(statement, rows).await.map(drop)
    }
}

/// Collects rows as texts.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Texts {
    pub(crate) columns: Option<usize>,
    pub(crate) rows: Vec<Vec<Option<String>>>,
}

impl Texts {
    /// The first value of the first row; `NULL` and `nothing` are spelt out.
    pub(crate) fn first(&self) -> String {
        match self.rows.first().and_then(|row| row.first()) {
            Some(Some(value)) => value.clone(),
            Some(None) => "NULL".to_owned(),
            None => "nothing".to_owned(),
        }
    }
}

impl ResultSink for Texts {
    fn begin(&mut self, columns: &std::sync::Arc<Columns>) -> Result<(), SinkError> {
        self.rows.clear();
        self.columns = Some(columns.len());
        Ok(())
    }

    fn row(&mut self, columns: &Columns, body: &[u8]) -> Result<(), SinkError> {
        let row = Row::new(columns, body)?;
        self.rows.push((0..columns.len()).map(|index| row.display(index)).collect());
        Ok(())
    }
}

/// SQLSTATE of a failure.
pub(crate) fn code<T>(result: &Result<T, Error>) -> String {
    match result {
        Ok(_) => "00000".to_owned(),
        Err(error) => error.sqlstate().to_string(),
    }
}

/// Fails unless `result` is an error of this code whose text contains `text`.
#[track_caller]
pub(crate) fn assert_error<T>(result: &Result<T, Error>, code: &str, text: &str) {
    match result {
        Ok(_) => panic!("succeeded instead of failing with {code}"),
        Err(error) => {
            let shown = error.to_string();
            assert_eq!(error.sqlstate().as_str(), code, "{shown}");
            assert!(shown.contains(text), "{shown:?} does not contain {text:?}");
        }
    }
}

/// Runs a statement, throwing rows away.
pub(crate) async fn exec(pool: &DatabasePool, sql: &str) {
    let result = pool.execute(&Statement::new(sql, &[]), &mut Discard).await;
    result.unwrap_or_else(|error| panic!("{sql}: {error}"));
}

/// Waits until `condition` holds.
pub(crate) async fn eventually<F: Future<Output = bool>>(
    what: &str,
    mut condition: impl FnMut() -> F,
) {
    let deadline = Instant::now() + PATIENCE;
    while !condition().await {
        assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}");
        tokio::time::sleep(POLL).await;
    }
}

/// Waits until the statistics look like this.
pub(crate) async fn stats_where(
    pool: &DatabasePool,
    what: &str,
    condition: impl Fn(&PoolStats) -> bool,
) -> PoolStats {
    eventually(what, || std::future::ready(condition(&pool.stats()))).await;
    pool.stats()
}

/// Waits until nobody uses the pool any more and checks that nothing leaked.
pub(crate) async fn settled(pool: &DatabasePool) -> PoolStats {
    let stats = stats_where(pool, "the pool settles", |stats| {
        stats.active_connections == 0
            && stats.constructing_connections == 0
            && stats.waiting_clients == 0
            && stats.idle_connections == stats.total_connections
            && stats.total_acquired == stats.total_released
    })
    .await;
    assert!(stats.total_connections <= stats.max_connections, "{stats:?}");
    stats
}

/// The server process behind the connection that the next caller gets.
pub(crate) async fn backend_pid(pool: &DatabasePool) -> i32 {
    value(pool, "SELECT pg_backend_pid()").await.expect("a pid").parse().expect("a number")
}

/// Watches how many backends a database has, over a connection outside of it.
pub(crate) struct BackendWatch {
    admin: tokio_postgres::Client,
    database: String,
}

impl BackendWatch {
    pub(crate) async fn new(database: &TestDatabase) -> Self {
        let admin = database.cluster().admin().await;
        Self { admin, database: database.name().to_owned() }
    }

    /// Backends of pools in the database now that satisfy `filter`. A session of the test's own,
    /// which may still be ending, is none of them.
    pub(crate) async fn count(&self, filter: &str) -> i64 {
        let sql = format!(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = $1 \
             AND backend_type = 'client backend' AND application_name = $2 AND ({filter})"
        );
        let pool = pool_manager::dsn::DEFAULT_APPLICATION_NAME;
        let row = self.admin.query_one(&sql, &[&self.database, &pool]).await;
        row.unwrap_or_else(|error| panic!("{sql}: {error:?}")).get(0)
    }

    /// Waits until a statement that contains `text` sleeps. That it is active is not enough: it is
    /// while it is being parsed, too.
    pub(crate) async fn until_running(&self, text: &str) {
        let filter = format!("wait_event = 'PgSleep' AND query LIKE '%{text}%'");
        eventually(text, || async { self.count(&filter).await > 0 }).await;
    }
}

/// When a future that was polled a number of times is dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dropped {
    /// Right after the last poll.
    AtOnce,
    /// After something has woken it once more, so that what it waits for has happened.
    Awoken,
}

/// Polls a future `times` times, each time after something woke it, then drops it. The output
/// when it completed before that.
pub(crate) async fn poll_times<F: Future>(
    future: F,
    times: usize,
    dropped: Dropped,
) -> Option<F::Output> {
    let mut future = pin!(future);
    for turn in 1..=times {
        let at_once = turn == times && dropped == Dropped::AtOnce;
        let mut polled = false;
        let output = poll_fn(|cx| {
            if polled {
                return Poll::Ready(None);
            }
            match future.as_mut().poll(cx) {
                Poll::Ready(output) => Poll::Ready(Some(output)),
                Poll::Pending if at_once => Poll::Ready(None),
                Poll::Pending => {
                    polled = true;
                    Poll::Pending
                }
            }
        });
        if let Some(output) = output.await {
            return Some(output);
        }
    }
    None
}

/// Polls a future once, on nobody's behalf.
pub(crate) fn poll_once<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// An integer argument.
pub(crate) fn int(value: i64) -> Arg {
    Arg::Int(value)
}
