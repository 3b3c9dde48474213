//! Transactions and sessions by name: found from any RPC connection, owned by one, expiring.
//!
//! ```text
//! reserved ──► live ──┬─ commit, rollback, end ──► finished
//!                     ├─ idle for idle_timeout ──► expired (25P03)
//!                     ├─ max_lifetime is over ───► expired (25P04)
//!                     ├─ its owner is gone ──────► rolled back
//!                     └─ a call was cut off ─────► lost
//! ```
//!
//! The end of a name is remembered for a while, so that a late call is told why.

mod cursors;
mod entry;
mod names;
mod watch;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use rand::RngExt;

use crate::batch::{Batch, BatchEnd, BatchResults};
use crate::connection::{CommandTag, ResultSink, Settings};
use crate::error::Error;
use crate::pool::Pool;
use crate::server_error::SqlState;
use crate::statement::Statement;
use crate::transaction::{HeldState, Session, Transaction, TransactionOptions};
pub use cursors::CursorId;
use entry::{Call, Entry, Holding};
use names::{Ending, Names};

/// Longest name that a caller may choose, bytes.
const MAX_NAME: usize = 128;

/// Whose transactions and sessions these are: one RPC connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Owner(pub u64);

/// What a name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum HeldKind {
    /// A transaction (`tx_id`).
    Transaction,
    /// A session (`session_id`).
    Session,
    /// A cursor in a transaction of its own (`cursor_id`).
    Cursor,
}

impl HeldKind {
    fn noun(self) -> &'static str {
        match self {
            Self::Transaction => "transaction",
            Self::Session => "session",
            Self::Cursor => "cursor",
        }
    }
}

/// How long a transaction or session may be idle, and how long it may last. `None`: no limit.
#[derive(Debug, Clone, Copy)]
pub struct HeldLimits {
    /// Between two calls.
    pub idle_timeout: Option<Duration>,
    /// From its begin.
    pub max_lifetime: Option<Duration>,
}

/// All transactions and sessions that callers hold by name. Cheap to clone.
#[derive(Clone, Default)]
pub struct HeldConnections(Arc<Names>);

impl HeldConnections {
    /// Begins a transaction under `name`, or under a random one.
    pub async fn begin_transaction(
        &self,
        pool: &crate::DatabasePool,
        owner: Owner,
        name: Option<&str>,
        options: &TransactionOptions,
        limits: HeldLimits,
    ) -> Result<String, Error> {
        let begin =
            async { Transaction::begin(pool.pool(), options).await.map(Holding::Transaction) };
        self.begin(HeldKind::Transaction, owner, name, limits, begin).await
    }

    /// Begins a session under `name`, or under a random one.
    pub async fn begin_session(
        &self,
        pool: &crate::DatabasePool,
        owner: Owner,
        name: Option<&str>,
        settings: &Settings,
        limits: HeldLimits,
    ) -> Result<String, Error> {
        let begin = async { Session::begin(pool.pool(), settings).await.map(Holding::Session) };
        self.begin(HeldKind::Session, owner, name, limits, begin).await
    }

    async fn begin(
        &self,
        kind: HeldKind,
        owner: Owner,
        name: Option<&str>,
        limits: HeldLimits,
        begin: impl Future<Output = Result<Holding, Error>>,
    ) -> Result<String, Error> {
        let name = match name {
            Some(name) => check_name(kind, name)?.to_owned(),
            None => random_name(),
        };
        // Before the connection is taken: two begins of one name must not both succeed. The
        // reservation is given up when this future is dropped.
        let reservation = self.0.reserve(kind, &name)?;
        let holding = begin.await?;
        let entry = Arc::new(Entry::new(name.as_str().into(), kind, owner, limits, holding));
        reservation.fill(&entry);
        watch::start(Arc::clone(&self.0), entry);
        Ok(name)
    }

    /// Executes a statement in the transaction or session of that name. Calls with one name run
    /// one after another.
    pub async fn execute(
        &self,
        kind: HeldKind,
        name: &str,
        statement: &Statement<'_>,
        sink: &mut (impl ResultSink + Send),
    ) -> Result<CommandTag, Error> {
        let entry = self.0.find(kind, name)?;
        let mut call = entry.enter(&self.0).await?;
        // The reason alone would say "rolled back" of what may have been committed.
        let cut_off = call.cut_off(statement);
        let run = entry.unless_ended(&self.0, call.execute(statement, sink));
        let result = run.await.map_err(|why| cut_off.unwrap_or(why))?;
        retire_if_over(kind, &mut call);
        result
    }

    /// Executes several statements in the transaction or session of that name, in one turn.
    pub async fn execute_batch<R: BatchResults>(
        &self,
        kind: HeldKind,
        name: &str,
        batch: &Batch<'_>,
        results: &mut R,
    ) -> Result<BatchEnd, Error> {
        let entry = self.0.find(kind, name)?;
        let mut call = entry.enter(&self.0).await?;
        let statements = batch.statements.iter().map(|(sql, args)| Statement::new(sql, args));
        let cut_off = statements.filter_map(|statement| call.cut_off(&statement)).next();
        let run = entry.unless_ended(&self.0, call.execute_batch(batch, results));
        let result = run.await.map_err(|why| cut_off.unwrap_or(why))?;
        retire_if_over(kind, &mut call);
        result
    }

    /// Refuses a caller who takes the transaction or session for one of another database: its
    /// statement would run where it was not meant to.
    pub fn check_database(&self, kind: HeldKind, name: &str, database: &str) -> Result<(), Error> {
        let entry = self.0.find(kind, name)?;
        if entry.database() == database {
            return Ok(());
        }
        Err(Error::refused(
            SqlState::INVALID_PARAMETER_VALUE,
            format!(
                "this {} is one of database {:?}, not of {database:?}; leave database out",
                kind.noun(),
                entry.database(),
            ),
        ))
    }

    /// The database of the transaction or session of that name, if there is one.
    pub fn database(&self, kind: HeldKind, name: &str) -> Option<String> {
        Some(self.0.find(kind, name).ok()?.database().to_owned())
    }

    /// Whether there is such a transaction or session, other than a READ ONLY one.
    pub fn may_write(&self, kind: HeldKind, name: &str) -> bool {
        self.0.find(kind, name).is_ok_and(|entry| entry.may_write())
    }

    /// Commits the transaction of that name.
    pub async fn commit(&self, name: &str) -> Result<(), Error> {
        match self.take(HeldKind::Transaction, name).await? {
            Holding::Transaction(transaction) => transaction.commit().await,
            Holding::Session(session) => session.end().await,
        }
    }

    /// Rolls back the transaction of that name.
    pub async fn rollback(&self, name: &str) -> Result<(), Error> {
        match self.take(HeldKind::Transaction, name).await? {
            Holding::Transaction(transaction) => transaction.rollback().await,
            Holding::Session(session) => session.end().await,
        }
    }

    /// Ends the session of that name.
    pub async fn end_session(&self, name: &str) -> Result<(), Error> {
        self.take(HeldKind::Session, name).await?.release().await;
        Ok(())
    }

    /// Takes what the name stands for after the calls before, and retires the name: from here
    /// on nobody else can end it.
    async fn take(&self, kind: HeldKind, name: &str) -> Result<Holding, Error> {
        let entry = self.0.find(kind, name)?;
        let mut call = entry.enter(&self.0).await?;
        call.take(Ending::Finished).ok_or_else(|| self.0.why_ended(kind, name))
    }

    /// Rolls back and ends everything that `owner` began: its RPC connection is gone.
    pub fn end_owner(&self, owner: Owner) {
        for entry in self.0.owned_by(owner) {
            self.0.end(&entry, Ending::OwnerGone);
        }
    }

    /// Rolls back and ends everything that is on a server of that database, and waits until it is
    /// done.
    pub async fn end_database(&self, database: &str) {
        self.0.end_all(Ending::Killed, |entry| entry.database() == database).await;
    }

    /// Rolls back and ends everything, and waits until it is done.
    pub async fn end_all(&self) {
        self.0.end_all(Ending::Shutdown, |_| true).await;
    }
}

/// Retires a name whose transaction a statement has ended, or whose connection is gone.
fn retire_if_over(kind: HeldKind, call: &mut Call<'_>) {
    match (kind, call.state()) {
        (HeldKind::Transaction, Some(HeldState::Idle)) => call.finish(Ending::Finished),
        (_, Some(HeldState::Unusable)) => call.finish(Ending::Lost),
        _ => {}
    }
}

fn check_name(kind: HeldKind, name: &str) -> Result<&str, Error> {
    if (1..=MAX_NAME).contains(&name.len()) {
        return Ok(name);
    }
    Err(Error::refused(
        SqlState::INVALID_PARAMETER_VALUE,
        format!("the id of a {} has 1 to {MAX_NAME} bytes, not {}", kind.noun(), name.len()),
    ))
}

/// 128 bits of a generator that the system seeds: whoever knows an id may use it.
fn random_name() -> String {
    format!("{:032x}", rand::rng().random::<u128>())
}

impl Pool {
    fn count_held(&self, kind: HeldKind, change: i64) {
        if kind == HeldKind::Transaction && change > 0 {
            self.counters().begun(1);
        }
        match kind {
            HeldKind::Transaction | HeldKind::Cursor => self.counters().transactions(change),
            HeldKind::Session => self.counters().sessions(change),
        }
    }
}
