//! One statement as a caller asks for it, and running it on a connection of a pool: refusals,
//! settings, time limit, what it counts as, and how its failure is explained.

use std::future::Future;
use std::time::{Duration, Instant};

use tokio::time::timeout;

use crate::classify::{Classification, TransactionControl};
use crate::connection::{
    CommandTag, ExecuteError, Execution, Outcome, Restore, SendSink, ServerConnection, Settings,
};
use crate::engine::TransactionStatus;
use crate::error::{Error, Exposure};
use crate::pool::{Checkout, Known, Pool};
use crate::server_error::SqlState;
use crate::values::Arg;

/// How long a statement may run, counted from its first byte sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum TimeLimit {
    /// `behavior.query_timeout`.
    #[default]
    Configured,
    /// No limit.
    None,
    /// This long.
    After(Duration),
}

/// A statement to execute.
#[derive(Clone, Copy)]
pub struct Statement<'a> {
    /// SQL text with `$1`, `$2`, … for its parameters.
    pub sql: &'a str,
    /// Positional arguments.
    pub args: &'a [Arg],
    /// Settings for this statement only.
    pub settings: &'a Settings,
    /// How long it may run.
    pub limit: TimeLimit,
    /// Simple protocol: several statements, no arguments, the last result is the answer.
    pub simple: bool,
}

/// Settings for the many statements that want none.
static NO_SETTINGS: Settings = Settings::none();

impl<'a> Statement<'a> {
    /// A statement with arguments and nothing special about it.
    pub fn new(sql: &'a str, args: &'a [Arg]) -> Self {
        Self { sql, args, settings: &NO_SETTINGS, limit: TimeLimit::Configured, simple: false }
    }
}

impl Pool {
    /// Runs one statement by itself on any connection of the pool.
    pub(crate) async fn execute(
        &self,
        statement: &Statement<'_>,
        sink: &mut dyn SendSink,
    ) -> Result<CommandTag, Error> {
        let class = self.classify(statement.sql);
        check_text(statement, &class)?;
        refuse_outside_session(statement, &class)?;
        let mut checkout = self.acquire().await?;
        let connection: &mut ServerConnection = &mut checkout;
        let apply = connection.apply_settings(statement.settings, self.types());
        self.within_limit(statement.limit, apply).await?;
        let outcome = self.run(connection, statement, &class, sink).await?;
        end_stray_transaction(connection).await?;
        Ok(outcome.tag)
    }

    /// Runs a statement on `connection`, with its time limit, and counts it.
    pub(crate) async fn run(
        &self,
        connection: &mut ServerConnection,
        statement: &Statement<'_>,
        known: &Known,
        sink: &mut dyn SendSink,
    ) -> Result<Outcome, Error> {
        let class: &Classification = known;
        let exposure = exposure(connection.status(), class, statement.simple);
        let what = Execution {
            sql: statement.sql,
            args: statement.args,
            class,
            simple: statement.simple,
            types: self.types(),
        };
        let limit = self.limit(statement.limit);
        let started = Instant::now();
        let result = connection.execute_within(&what, sink, limit).await;
        let took = started.elapsed();
        self.count_query(took, result.as_ref().err());
        sink.ended(took);
        let result = result.map_err(|error| exposure.explain(error));
        let rows = result.as_ref().map(|outcome| outcome.tag.rows_affected());
        self.count_call(statement.sql, known, took, rows);
        result
    }

    /// Bounds what is sent before a statement. When the time is over its connection is busy, and
    /// closed by whoever lets go of it.
    pub(crate) async fn within_limit<T>(
        &self,
        limit: TimeLimit,
        work: impl Future<Output = Result<T, ExecuteError>>,
    ) -> Result<T, Error> {
        let result = match self.limit(limit) {
            None => work.await,
            Some(limit) => match timeout(limit, work).await {
                Ok(result) => result,
                Err(_) => return Err(Error::TimedOut(limit)),
            },
        };
        result.map_err(|error| before_statement().explain(error))
    }

    pub(crate) fn limit(&self, limit: TimeLimit) -> Option<Duration> {
        match limit {
            TimeLimit::Configured => self.options().behavior.query_timeout.limit(),
            TimeLimit::None => None,
            TimeLimit::After(limit) => Some(limit),
        }
    }
}

/// What losing the connection during this statement means.
pub(crate) fn exposure(
    status: TransactionStatus,
    class: &Classification,
    simple: bool,
) -> Exposure {
    let ends = matches!(
        class.transaction,
        TransactionControl::Commit { .. } | TransactionControl::PrepareTransaction
    ) || class.statements > 1;
    Exposure {
        in_transaction: status != TransactionStatus::Idle && !ends,
        read_only: class.read_only,
        atomic: class.cacheable && !simple,
        what: match class.transaction {
            TransactionControl::Commit { .. } => "COMMIT",
            _ => "the statement",
        },
    }
}

/// What a caller is told whose statement on a held connection was cut off in the middle, when it
/// may have taken effect; `None` when it cannot have.
pub(crate) fn cut_off(checkout: &Checkout, statement: &Statement<'_>) -> Option<Error> {
    let class = checkout.pool().classify(statement.sql);
    exposure(checkout.status(), &class, statement.simple).cut_off()
}

/// For what is sent before the statement itself: losing it harms nobody.
fn before_statement() -> Exposure {
    Exposure { in_transaction: false, read_only: true, atomic: true, what: "the statement" }
}

/// One statement per text unless the simple protocol was asked for.
pub(crate) fn check_text(statement: &Statement<'_>, class: &Classification) -> Result<(), Error> {
    if class.statements > 1 && !statement.simple {
        return Err(Error::refused(
            SqlState::SYNTAX_ERROR,
            "cannot execute several statements at once; send them one by one, or with \
             \"simple\": true and no arguments",
        ));
    }
    if statement.simple && !statement.args.is_empty() {
        return Err(Error::refused(
            SqlState::INVALID_PARAMETER_VALUE,
            "\"simple\" takes no arguments: the simple protocol has no parameters",
        ));
    }
    Ok(())
}

/// What makes no sense on a connection that is gone after the statement.
pub(crate) fn refuse_outside_session(
    statement: &Statement<'_>,
    class: &Classification,
) -> Result<(), Error> {
    if statement.simple && class.statements > 1 {
        return Ok(());
    }
    let command = match class.transaction {
        TransactionControl::None => match class.needs_session {
            None => return Ok(()),
            Some(need) => return Err(Error::NeedsSession(need)),
        },
        TransactionControl::Begin { .. } => "BEGIN",
        TransactionControl::Commit { .. } => "COMMIT",
        TransactionControl::Rollback { .. } => "ROLLBACK",
        TransactionControl::PrepareTransaction => "PREPARE TRANSACTION",
        // These work by themselves.
        TransactionControl::CommitPrepared | TransactionControl::RollbackPrepared => return Ok(()),
        _ => "SAVEPOINT",
    };
    Err(Error::refused(
        SqlState::FEATURE_NOT_SUPPORTED,
        format!(
            "{command} by SQL needs a connection of its own: begin with TransactionBegin and \
             send its tx_id with every statement (or SessionBegin and session_id)"
        ),
    ))
}

/// After a statement by itself the connection must be outside a transaction; what a multi-statement
/// text left open is rolled back, and its caller told.
async fn end_stray_transaction(connection: &mut ServerConnection) -> Result<(), Error> {
    if connection.status() == TransactionStatus::Idle {
        return Ok(());
    }
    // A failure leaves the connection in its transaction, and it is closed.
    let _ = connection.rollback().await;
    Err(Error::refused(
        SqlState::INVALID_TRANSACTION_STATE,
        "the text left a transaction open; it was rolled back. Begin with TransactionBegin and \
         send its tx_id with every statement",
    ))
}

/// Runs a statement on a connection that its caller holds.
pub(crate) async fn run_held(
    checkout: &mut Checkout,
    statement: &Statement<'_>,
    sink: &mut dyn SendSink,
) -> Result<CommandTag, Error> {
    let pool = checkout.pool().clone();
    let class = pool.classify(statement.sql);
    check_text(statement, &class)?;
    let before = checkout.status();
    let settings = settings_of(statement, &class, before)?;
    let push = checkout.push_settings(settings, pool.types());
    let pushed = pool.within_limit(statement.limit, push).await?;
    let result = pool.run(checkout, statement, &class, sink).await;
    if let Some(restore) = pushed {
        // A statement that begins or ends a transaction may have taken them back already.
        let ended = class.transaction != TransactionControl::None;
        put_settings_back(checkout, restore, ended, statement.limit).await;
    }
    let tag = result?.tag;
    let asked_to_commit = matches!(
        class.transaction,
        TransactionControl::Commit { .. } | TransactionControl::PrepareTransaction
    );
    // In a failed transaction the COMMIT was the first thing that the server accepted, whatever
    // the text went on with.
    let rolled_back = before == TransactionStatus::Failed
        || (before == TransactionStatus::InTransaction && tag.command() == "ROLLBACK");
    if asked_to_commit && rolled_back {
        return Err(commit_became_rollback());
    }
    Ok(tag)
}

/// Puts the settings of a held connection back to what they were before some were pushed. A failure
/// leaves a session whose settings are not known.
pub(crate) async fn put_settings_back(
    checkout: &mut Checkout,
    restore: Restore,
    ended: bool,
    limit: TimeLimit,
) {
    if !checkout.at_rest() {
        return;
    }
    let pool = checkout.pool().clone();
    let restore = checkout.restore_settings(restore, ended, pool.types());
    if pool.within_limit(limit, restore).await.is_err() {
        checkout.mark_dirty();
    }
}

/// The settings to put in force around a statement on a held connection, and to put back after it.
///
/// None around what begins, divides or rolls back a transaction: a rollback to that point would
/// bring them back. In a failed transaction only such statements are possible.
fn settings_of<'a>(
    statement: &Statement<'a>,
    class: &Classification,
    status: TransactionStatus,
) -> Result<&'a Settings, Error> {
    let commits = matches!(
        class.transaction,
        TransactionControl::None
            | TransactionControl::Commit { .. }
            | TransactionControl::PrepareTransaction
            | TransactionControl::CommitPrepared
            | TransactionControl::RollbackPrepared
    );
    if commits && status != TransactionStatus::Failed {
        return Ok(statement.settings);
    }
    if class.statements > 1 && !statement.settings.is_empty() {
        return Err(Error::refused(
            SqlState::FEATURE_NOT_SUPPORTED,
            "settings cannot go with a text that begins or rolls back a transaction among other \
             statements; send them one by one",
        ));
    }
    Ok(&NO_SETTINGS)
}

/// COMMIT of a failed transaction: PostgreSQL answers ROLLBACK without an error.
pub(crate) fn commit_became_rollback() -> Error {
    Error::refused(
        SqlState::IN_FAILED_TRANSACTION,
        "the transaction was rolled back, not committed: an earlier statement in it had failed",
    )
}
