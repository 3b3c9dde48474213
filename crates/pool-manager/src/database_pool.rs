//! The public face of a pool: the Go plugin's DatabasePool.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::batch::{Batch, BatchEnd, BatchResults};
use crate::classify::{Classification, SafeFunctions};
use crate::config::{BackendConfig, PoolConfig};
use crate::connect::Connector;
use crate::connection::{CommandTag, Discard, ResultSink, Settings};
use crate::dsn::ConnectParams;
use crate::error::Error;
use crate::pool::{
    BreakerLimits, Checkout, Known, Pool, PoolOptions, PoolStats, ServerInfo, StoredPassword,
};
use crate::rows::{QueryRow, QueryRows, RowCollector};
use crate::server_error::SqlState;
use crate::statement::Statement;
use crate::top::StatementStats;
use crate::transaction::{Session, Transaction, TransactionOptions};
use crate::values::Arg;

/// Largest message taken from a server when nothing else is said: 64 MiB.
pub const DEFAULT_MAX_MESSAGE: usize = 64 * 1024 * 1024;
/// Statements slower than this are counted as slow when nothing else is said.
pub const DEFAULT_SLOW_THRESHOLD: Duration = Duration::from_millis(100);
/// Statements that are counted one by one when nothing else is said.
pub const DEFAULT_TOP_STATEMENTS: usize = 500;

/// A pool of connections to one PostgreSQL database. Cheap to clone.
#[derive(Clone)]
pub struct DatabasePool {
    pool: Pool,
}

/// Limits that are not part of the backend's own configuration.
#[derive(Debug, Clone, Copy)]
pub struct PoolLimits {
    /// Largest message taken from the server, bytes: larger rows are refused.
    pub max_message: usize,
    /// From this duration on a statement counts as slow.
    pub slow_threshold: Duration,
    /// When to stop asking a server that fails; `None`: never.
    pub breaker: Option<BreakerLimits>,
    /// Statements that are counted one by one, by their text without constants; 0: none is. Of more
    /// than that the least used are forgotten.
    pub top_statements: usize,
}

impl Default for PoolLimits {
    fn default() -> Self {
        Self {
            max_message: DEFAULT_MAX_MESSAGE,
            slow_threshold: DEFAULT_SLOW_THRESHOLD,
            breaker: None,
            top_statements: DEFAULT_TOP_STATEMENTS,
        }
    }
}

/// A pool that can be built: whatever could be wrong with it has been looked at.
pub struct PoolPlan {
    options: PoolOptions,
    connector: Connector,
}

impl PoolPlan {
    /// Plans a pool named `name` for a server of `database`; dials nobody.
    ///
    /// # Errors
    /// A configuration that cannot work: a malformed DSN, certificates that cannot be read.
    pub fn new(
        database: &str,
        name: &str,
        config: &BackendConfig,
        limits: PoolLimits,
    ) -> Result<Self, Error> {
        let refuse = |error: &dyn std::fmt::Display| {
            Error::refused(SqlState::INVALID_PARAMETER_VALUE, format!("pool {name:?}: {error}"))
        };
        let params = config.connect_params().map_err(|error| refuse(&error))?;
        let connector = Connector::new(params).map_err(|error| refuse(&error))?;
        let options = PoolOptions {
            name: name.to_owned(),
            database: database.to_owned(),
            pool: config.pool.clone(),
            behavior: config.behavior.clone(),
            max_message: limits.max_message,
            slow_threshold: limits.slow_threshold,
            breaker: limits.breaker,
            top_statements: limits.top_statements,
        };
        Ok(Self { options, connector })
    }

    /// The pool's name.
    pub fn name(&self) -> &str {
        &self.options.name
    }

    /// Builds it. Call it inside a Tokio runtime.
    pub fn build(self) -> DatabasePool {
        DatabasePool { pool: Pool::new(self.options, self.connector) }
    }
}

impl DatabasePool {
    /// A pool named `name` for the backend that `config` describes. Connections are opened in
    /// the background unless `behavior.lazy_connect` is set; an unreachable server is no error
    /// here. Call it inside a Tokio runtime.
    ///
    /// # Errors
    /// A configuration that cannot work: a malformed DSN, certificates that cannot be read.
    pub fn new(name: &str, config: &BackendConfig) -> Result<Self, Error> {
        Self::with_limits(name, config, PoolLimits::default())
    }

    /// [`new`](Self::new) with limits of one's own.
    pub fn with_limits(
        name: &str,
        config: &BackendConfig,
        limits: PoolLimits,
    ) -> Result<Self, Error> {
        Self::of_database(name, name, config, limits)
    }

    /// [`with_limits`](Self::with_limits), for another server of a database that is named otherwise.
    ///
    /// # Errors
    /// The same.
    pub fn of_database(
        database: &str,
        name: &str,
        config: &BackendConfig,
        limits: PoolLimits,
    ) -> Result<Self, Error> {
        PoolPlan::new(database, name, config, limits).map(PoolPlan::build)
    }

    /// Has the pool be as planned from now on, under the name that it has. Callers keep what they
    /// have; of fewer connections those too many are closed as they come back, and all of them if
    /// they lead elsewhere now.
    pub fn adopt(&self, plan: PoolPlan) {
        self.pool.adopt(plan.options, plan.connector);
    }

    /// Lets no caller have a connection until it is resumed: they wait as for a full pool.
    pub fn pause(&self) {
        self.pool.pause();
    }

    /// Resolves when a paused pool's last connection has been given back and closed, or it is
    /// resumed.
    pub async fn paused(&self) {
        self.pool.paused().await;
    }

    /// Lets callers have connections again.
    pub fn resume(&self) {
        self.pool.resume();
    }

    /// Whether it is paused.
    pub fn is_paused(&self) -> bool {
        self.pool.is_paused()
    }

    /// Has each connection that is open now replaced as soon as nobody has it, and the circuit
    /// breaker closed.
    pub fn reconnect(&self) {
        self.pool.renew();
    }

    /// Resolves when no connection is open any more that was to be replaced.
    pub async fn reconnected(&self) {
        self.pool.renewed().await;
    }

    /// Pauses the pool and cancels what runs on its connections, all of which are to be closed.
    pub async fn kill(&self) {
        self.pool.kill().await;
    }

    /// Its connections at this moment.
    pub fn servers(&self) -> Vec<ServerInfo> {
        self.pool.servers()
    }

    /// What it connects to, and as whom.
    pub fn params(&self) -> ConnectParams {
        self.pool.params()
    }

    /// How large it is, and how long its connections live.
    pub fn config(&self) -> PoolConfig {
        self.pool.options().pool.clone()
    }

    /// The pool's name.
    pub fn name(&self) -> &str {
        self.pool.name()
    }

    /// The database that it is a server of, by its name in the configuration.
    pub fn database(&self) -> &str {
        self.pool.database()
    }

    /// A connection of one's own for several statements, without a transaction.
    pub async fn acquire(&self) -> Result<Session, Error> {
        Session::begin(&self.pool, &Settings::default()).await
    }

    /// Begins a transaction.
    pub async fn begin(&self) -> Result<Transaction, Error> {
        self.begin_with(&TransactionOptions::default()).await
    }

    /// Begins a transaction with options.
    pub async fn begin_with(&self, options: &TransactionOptions) -> Result<Transaction, Error> {
        Transaction::begin(&self.pool, options).await
    }

    /// Executes a statement, throwing its rows away.
    pub async fn exec(&self, sql: &str, args: &[Arg]) -> Result<CommandTag, Error> {
        self.execute(&Statement::new(sql, args), &mut Discard).await
    }

    /// Executes a statement and collects its rows.
    pub async fn query(&self, sql: &str, args: &[Arg]) -> Result<QueryRows, Error> {
        let mut rows = RowCollector::new(self.pool.options().max_message);
        let tag = self.execute(&Statement::new(sql, args), &mut rows).await?;
        Ok(rows.finish(tag))
    }

    /// Executes a statement and returns its first row, `None` when there is none.
    pub async fn query_row(&self, sql: &str, args: &[Arg]) -> Result<Option<QueryRow>, Error> {
        Ok(self.query(sql, args).await?.into_iter().next())
    }

    /// Executes a statement and hands its rows to `sink` while they arrive. A dropped future
    /// cancels the statement at the server.
    pub async fn execute(
        &self,
        statement: &Statement<'_>,
        sink: &mut (impl ResultSink + Send),
    ) -> Result<CommandTag, Error> {
        self.pool.execute(statement, sink).await
    }

    /// Executes several statements in one call: each by itself, or all or none of them.
    ///
    /// # Errors
    /// Of the batch as a whole; each statement's own error goes to `results`.
    pub async fn execute_batch<R: BatchResults>(
        &self,
        batch: &Batch<'_>,
        results: &mut R,
    ) -> Result<BatchEnd, Error> {
        self.pool.execute_batch(batch, results).await
    }

    /// A connection for a client that speaks PostgreSQL's protocol itself, if one is idle and
    /// nobody waits for it.
    pub fn try_checkout(&self, now: Instant) -> Option<Checkout> {
        self.pool.try_acquire(now)
    }

    /// The same, in order of arrival, within `acquire_timeout`. With `hold` it is to be kept
    /// across transactions, which at most `max_held` callers may do at a time.
    pub async fn checkout(&self, hold: bool) -> Result<Checkout, Error> {
        if hold { self.pool.acquire_held().await } else { self.pool.acquire().await }
    }

    /// What kind of statement this is, judged anew: for texts that come only once.
    pub fn judge(&self, sql: &[u8]) -> Classification {
        self.pool.judge(sql)
    }

    /// Counts an answer from memory, or one that was not there.
    pub fn count_cached(&self, hit: bool) {
        self.pool.counters().cached(hit);
    }

    /// Whether somebody waits for a connection.
    pub fn has_waiters(&self) -> bool {
        self.pool.has_waiters()
    }

    /// One round trip to the server on the housekeeping connection.
    pub async fn health_check(&self) -> Result<(), Error> {
        self.pool.check_health().await
    }

    /// The server's version, as it reports it (`server_version`).
    pub async fn server_version(&self) -> Result<String, Error> {
        self.pool.server_version().await
    }

    /// What `query` says of a user, asked on the housekeeping connection with pg_catalog as its
    /// search_path. `$1` is the user's name; the second column is the stored password, NULL for
    /// nobody who can log in, and a third one, a `timestamptz`, until when that is valid.
    ///
    /// # Errors
    /// The server cannot be reached, or refuses the query; the log says why.
    pub async fn stored_password(
        &self,
        query: &str,
        user: &str,
    ) -> Result<Option<StoredPassword>, Error> {
        self.pool.stored_password(query, user).await
    }

    /// The same, remembered by text.
    pub(crate) fn classify(&self, sql: &str) -> Arc<Known> {
        self.pool.classify(sql)
    }

    /// Functions that the user has listed as harmless to a session.
    pub(crate) fn safe_functions(&self) -> &SafeFunctions {
        self.pool.safe_functions()
    }

    /// Resolves when its server may not be what it was taken for.
    pub(crate) async fn doubted(&self) {
        self.pool.doubted().await;
    }

    /// How often that was so.
    pub(crate) fn doubts(&self) -> u64 {
        self.pool.doubts()
    }

    /// Its server was looked at after so many of these times, and works.
    pub(crate) fn settle_doubts(&self, doubts: u64) {
        self.pool.settle_doubts(doubts);
    }

    /// Whether nobody has looked since the last one.
    pub(crate) fn is_in_doubt(&self) -> bool {
        self.pool.is_in_doubt()
    }

    /// Connections that callers have at this moment.
    pub(crate) fn in_use(&self) -> usize {
        self.pool.in_use()
    }

    /// Rows about some names from the housekeeping connection.
    pub(crate) async fn ask_about(
        &self,
        query: &str,
        names: &[&str],
    ) -> Result<Vec<tokio_postgres::Row>, Error> {
        self.pool.ask_about(query, names).await
    }

    /// One row from the housekeeping connection.
    pub(crate) async fn ask(&self, query: &str) -> Result<tokio_postgres::Row, Error> {
        self.pool.ask(query).await
    }

    /// What its statements came to, added to `all` by text: of several pools it is the sum.
    pub(crate) fn collect_statements(&self, all: &mut HashMap<String, StatementStats>) {
        self.pool.collect_statements(all);
    }

    /// Whether it is this one.
    pub fn is(&self, other: &Self) -> bool {
        self.pool.is(&other.pool)
    }

    /// Current figures.
    pub fn stats(&self) -> PoolStats {
        self.pool.stats()
    }

    /// Refuses new work, lets running work finish for at most `limit`, closes all connections.
    pub async fn close(&self, limit: Duration) {
        self.pool.close(limit).await;
    }

    pub(crate) fn pool(&self) -> &Pool {
        &self.pool
    }
}
