//! Transactions and sessions: connections that a caller holds over several statements.

use std::fmt::Write;
use std::time::Duration;

use tokio::time::timeout;

use crate::batch::{Batch, BatchEnd, BatchResults, run_batch_held};
use crate::connection::{CommandTag, Discard, Ended, ResultSink, Settings};
use crate::cursor::Cursors;
use crate::engine::TransactionStatus;
use crate::error::Error;
use crate::pool::{Checkout, Pool};
use crate::rows::{QueryRow, QueryRows, RowCollector};
use crate::server_error::SqlState;
use crate::statement::{Statement, TimeLimit, commit_became_rollback, cut_off, run_held};
use crate::values::Arg;

/// PostgreSQL's isolation levels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IsolationLevel {
    /// The same as read committed in PostgreSQL.
    ReadUncommitted,
    /// PostgreSQL's default.
    ReadCommitted,
    /// Snapshot isolation.
    RepeatableRead,
    /// Serializable snapshot isolation.
    Serializable,
}

impl IsolationLevel {
    /// Reads `read_committed`, `READ COMMITTED`, `read-committed` and the like.
    pub fn parse(text: &str) -> Option<Self> {
        let name: String = text
            .chars()
            .filter(|c| !matches!(c, ' ' | '_' | '-'))
            .map(|c| c.to_ascii_lowercase())
            .collect();
        Some(match name.as_str() {
            "readuncommitted" => Self::ReadUncommitted,
            "readcommitted" => Self::ReadCommitted,
            "repeatableread" => Self::RepeatableRead,
            "serializable" => Self::Serializable,
            _ => return None,
        })
    }

    fn sql(self) -> &'static str {
        match self {
            Self::ReadUncommitted => "READ UNCOMMITTED",
            Self::ReadCommitted => "READ COMMITTED",
            Self::RepeatableRead => "REPEATABLE READ",
            Self::Serializable => "SERIALIZABLE",
        }
    }
}

/// How a transaction begins.
#[derive(Debug, Clone, Default)]
pub struct TransactionOptions {
    /// Isolation level; `None`: the session's default.
    pub isolation: Option<IsolationLevel>,
    /// READ ONLY.
    pub read_only: bool,
    /// DEFERRABLE.
    pub deferrable: bool,
    /// Settings in force for the whole transaction.
    pub settings: Settings,
}

impl TransactionOptions {
    fn begin_sql(&self) -> String {
        let mut sql = "BEGIN".to_owned();
        if let Some(level) = self.isolation {
            let _ = write!(sql, " ISOLATION LEVEL {}", level.sql());
        }
        if self.read_only {
            sql.push_str(" READ ONLY");
        }
        if self.deferrable {
            sql.push_str(" DEFERRABLE");
        }
        sql
    }
}

/// What both kinds of held connection have in common: their parts, and short forms of `execute`.
macro_rules! short_forms {
    () => {
        /// The connection, and the cursors that are open on it.
        pub(crate) fn parts(&mut self) -> (&mut Checkout, &mut Cursors) {
            (&mut self.checkout, &mut self.cursors)
        }

        /// Executes a statement, throwing its rows away.
        pub async fn exec(&mut self, sql: &str, args: &[Arg]) -> Result<CommandTag, Error> {
            self.execute(&Statement::new(sql, args), &mut Discard).await
        }

        /// Executes a statement and collects its rows.
        pub async fn query(&mut self, sql: &str, args: &[Arg]) -> Result<QueryRows, Error> {
            let mut rows = RowCollector::new(self.pool().options().max_message);
            let tag = self.execute(&Statement::new(sql, args), &mut rows).await?;
            Ok(rows.finish(tag))
        }

        /// Executes a statement and returns its first row, `None` when there is none.
        pub async fn query_row(
            &mut self,
            sql: &str,
            args: &[Arg],
        ) -> Result<Option<QueryRow>, Error> {
            Ok(self.query(sql, args).await?.into_iter().next())
        }
    };
}

/// An open transaction. Dropped without [`commit`](Self::commit), it is rolled back by closing
/// its connection.
pub struct Transaction {
    checkout: Checkout,
    cursors: Cursors,
    is_read_only: bool,
}

impl Transaction {
    short_forms!();

    pub(crate) async fn begin(pool: &Pool, options: &TransactionOptions) -> Result<Self, Error> {
        let mut checkout = hold(pool, &options.settings).await?;
        let begin_sql = options.begin_sql();
        pool.within_limit(TimeLimit::Configured, checkout.begin(&begin_sql)).await?;
        Ok(Self { checkout, cursors: Cursors::default(), is_read_only: options.read_only })
    }

    /// Whether it was begun READ ONLY.
    pub(crate) fn is_read_only(&self) -> bool {
        self.is_read_only
    }

    /// Executes a statement in the transaction.
    ///
    /// # Errors
    /// `25P01` when a COMMIT or ROLLBACK sent as a statement has ended it; else as the server
    /// says.
    pub async fn execute(
        &mut self,
        statement: &Statement<'_>,
        sink: &mut (impl ResultSink + Send),
    ) -> Result<CommandTag, Error> {
        self.check_open()?;
        run_held(&mut self.checkout, statement, sink).await
    }

    /// Executes several statements in it; `atomic` ones up to a savepoint.
    pub async fn execute_batch<R: BatchResults>(
        &mut self,
        batch: &Batch<'_>,
        results: &mut R,
    ) -> Result<BatchEnd, Error> {
        self.check_open()?;
        run_batch_held(&mut self.checkout, batch, results).await
    }

    /// Commits. `Ok` means that the server said COMMIT; every other answer is an error that
    /// tells whether it was rolled back or cannot be known. It cannot when the server has not
    /// answered after `behavior.query_timeout`.
    pub async fn commit(mut self) -> Result<(), Error> {
        self.check_open()?;
        commit(&mut self.checkout).await
    }

    /// Rolls back. A lost connection is success too: the server rolls back by itself.
    pub async fn rollback(mut self) -> Result<(), Error> {
        match self.checkout.rollback().await {
            Ok(_) => Ok(()),
            Err(crate::connection::EndError::NotSent(_)) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Outside its transaction a statement would take effect by itself, and COMMIT succeed whatever
    /// became of the transaction.
    fn check_open(&self) -> Result<(), Error> {
        match self.state() {
            HeldState::Idle => Err(Error::refused(
                SqlState::NO_ACTIVE_TRANSACTION,
                "the transaction was ended by an earlier COMMIT or ROLLBACK",
            )),
            HeldState::InTransaction | HeldState::Unusable => Ok(()),
        }
    }

    /// Whether the transaction is still open on a usable connection. A COMMIT or ROLLBACK sent
    /// as a statement ends it.
    pub(crate) fn state(&self) -> HeldState {
        held_state(&self.checkout)
    }

    pub(crate) fn pool(&self) -> &Pool {
        self.checkout.pool()
    }

    /// What is said of `statement` when it is cut off, if it may have taken effect.
    pub(crate) fn cut_off(&self, statement: &Statement<'_>) -> Option<Error> {
        cut_off(&self.checkout, statement)
    }
}

/// A connection held without a transaction. Dropped, it is reset and goes back to the pool.
pub struct Session {
    checkout: Checkout,
    cursors: Cursors,
}

impl Session {
    short_forms!();

    pub(crate) async fn begin(pool: &Pool, settings: &Settings) -> Result<Self, Error> {
        let mut checkout = hold(pool, settings).await?;
        pool.within_limit(TimeLimit::Configured, checkout.forget_sequences()).await?;
        Ok(Self { checkout, cursors: Cursors::default() })
    }

    /// Executes a statement in the session.
    pub async fn execute(
        &mut self,
        statement: &Statement<'_>,
        sink: &mut (impl ResultSink + Send),
    ) -> Result<CommandTag, Error> {
        let result = run_held(&mut self.checkout, statement, sink).await;
        if self.checkout.status() == TransactionStatus::Idle {
            self.cursors.clear();
        }
        result
    }

    /// Executes several statements in it.
    pub async fn execute_batch<R: BatchResults>(
        &mut self,
        batch: &Batch<'_>,
        results: &mut R,
    ) -> Result<BatchEnd, Error> {
        run_batch_held(&mut self.checkout, batch, results).await
    }

    /// Ends the session; a transaction left open in it is rolled back.
    pub async fn end(mut self) -> Result<(), Error> {
        if self.checkout.at_rest() && self.checkout.status() != TransactionStatus::Idle {
            // When this fails the connection is closed, which rolls back too.
            let _ = self.checkout.rollback().await;
        }
        Ok(())
    }

    pub(crate) fn state(&self) -> HeldState {
        held_state(&self.checkout)
    }

    pub(crate) fn pool(&self) -> &Pool {
        self.checkout.pool()
    }

    /// What is said of `statement` when it is cut off, if it may have taken effect.
    pub(crate) fn cut_off(&self, statement: &Statement<'_>) -> Option<Error> {
        cut_off(&self.checkout, statement)
    }
}

/// Commits what is open on a connection; every answer but the server's COMMIT is an error.
pub(crate) async fn commit(checkout: &mut Checkout) -> Result<(), Error> {
    let limit = checkout.pool().limit(TimeLimit::Configured);
    // Not cancelled: a COMMIT that waits for a standby would then call itself successful.
    let ended = timeout(limit.unwrap_or(Duration::MAX), checkout.commit()).await;
    match ended.map_err(|_| Error::OutcomeUnknown { what: "COMMIT" })?? {
        Ended::Committed => Ok(()),
        Ended::RolledBack => Err(commit_became_rollback()),
    }
}

/// A connection to hold, with these settings in force.
async fn hold(pool: &Pool, settings: &Settings) -> Result<Checkout, Error> {
    let mut checkout = pool.acquire_held().await?;
    let apply = checkout.apply_settings(settings, pool.types());
    pool.within_limit(TimeLimit::Configured, apply).await?;
    Ok(checkout)
}

/// What a held connection is like between two calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HeldState {
    /// Usable, outside a transaction.
    Idle,
    /// Usable, inside a transaction.
    InTransaction,
    /// Lost, or something is still under way on it.
    Unusable,
}

fn held_state(checkout: &Checkout) -> HeldState {
    match (checkout.at_rest(), checkout.status()) {
        (false, _) => HeldState::Unusable,
        (true, TransactionStatus::Idle) => HeldState::Idle,
        (true, _) => HeldState::InTransaction,
    }
}

/// Reads an isolation level or says which there are.
pub fn parse_isolation(text: &str) -> Result<IsolationLevel, Error> {
    IsolationLevel::parse(text).ok_or_else(|| {
        let shown: String = text.chars().take(64).collect();
        Error::refused(
            SqlState::INVALID_PARAMETER_VALUE,
            format!(
                "isolation_level {shown:?} does not exist: use read_committed, repeatable_read \
                 or serializable"
            ),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn begin_names_what_was_asked_for() {
        let mut options = TransactionOptions::default();
        assert_eq!(options.begin_sql(), "BEGIN");
        options.isolation = IsolationLevel::parse("Serializable");
        options.read_only = true;
        options.deferrable = true;
        assert_eq!(options.begin_sql(), "BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY DEFERRABLE");
    }

    #[test]
    fn isolation_levels_are_read_in_every_spelling() {
        for text in ["repeatable_read", "REPEATABLE READ", "Repeatable-Read", "RepeatableRead"] {
            assert_eq!(IsolationLevel::parse(text), Some(IsolationLevel::RepeatableRead), "{text}");
        }
        assert!(parse_isolation("snapshot").is_err());
    }
}
