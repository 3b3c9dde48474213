//! Several statements in one call: each by itself, or all or none of them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::classify::{Classification, TransactionControl};
use crate::connection::{
    BatchExecution, BatchRun, BatchSink, Bond, CommandTag, ExecuteError, Execution, Outcome,
    ResultSink, SendSink, Settings, SinkError,
};
use crate::engine::TransactionStatus;
use crate::error::Error;
use crate::pool::{Checkout, Known, Pool};
use crate::server_error::SqlState;
use crate::statement::{
    Statement, TimeLimit, check_text, exposure, put_settings_back, refuse_outside_session,
};
use crate::transaction::commit;
use crate::values::Arg;

/// Inside a transaction a batch that is all or nothing is one of these.
const SAVEPOINT: &str = "SAVEPOINT pgpool_batch";
const RELEASE: &str = "RELEASE SAVEPOINT pgpool_batch";
const UNDO: &str = "ROLLBACK TO SAVEPOINT pgpool_batch";

/// Statements to execute in one call.
#[derive(Clone, Copy)]
pub struct Batch<'a> {
    /// Texts and positional arguments.
    pub statements: &'a [(&'a str, &'a [Arg])],
    /// All or none: in a transaction of its own, or up to a savepoint of the caller's transaction.
    /// Otherwise each statement stands for itself, as if it had come alone.
    pub atomic: bool,
    /// Settings for these statements only.
    pub settings: &'a Settings,
    /// How long all of them together may run.
    pub limit: TimeLimit,
}

/// Takes what the statements of a batch come to.
pub trait BatchResults: Send {
    /// Takes rows.
    type Sink: ResultSink + Send;
    /// Takes the rows of the statement at `index`. Asked for again when that is run anew, or when
    /// the batch is: what came before is to be forgotten.
    fn rows(&mut self, index: usize) -> &mut Self::Sink;
    /// What the statement at `index` came to, having run for `took`.
    fn ended(&mut self, index: usize, result: Result<CommandTag, Error>, took: Duration);
}

/// What a batch that is all or nothing came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BatchEnd {
    /// Committed; or the statements stood for themselves.
    Done,
    /// The statement at this index failed, and nothing has taken effect.
    Failed(usize),
}

impl Pool {
    /// Runs a batch on any connection of the pool.
    pub(crate) async fn execute_batch<R: BatchResults>(
        &self,
        batch: &Batch<'_>,
        results: &mut R,
    ) -> Result<BatchEnd, Error> {
        let plan = Plan::new(self, batch, results, true);
        if let Some(index) = plan.refused {
            return Ok(BatchEnd::Failed(index));
        }
        let mut checkout = self.acquire().await?;
        let apply = checkout.apply_settings(batch.settings, self.types());
        self.within_limit(batch.limit, apply).await?;
        run(&mut checkout, batch, &plan, results).await
    }
}

/// Runs a batch on a connection that its caller holds.
pub(crate) async fn run_batch_held<R: BatchResults>(
    checkout: &mut Checkout,
    batch: &Batch<'_>,
    results: &mut R,
) -> Result<BatchEnd, Error> {
    let pool = checkout.pool().clone();
    let plan = Plan::new(&pool, batch, results, false);
    if let Some(index) = plan.refused {
        return Ok(BatchEnd::Failed(index));
    }
    let push = checkout.push_settings(batch.settings, pool.types());
    let pushed = pool.within_limit(batch.limit, push).await?;
    let result = run(checkout, batch, &plan, results).await;
    if let Some(restore) = pushed {
        put_settings_back(checkout, restore, false, batch.limit).await;
    }
    result
}

/// What is known of the statements beforehand.
struct Plan {
    /// Those that are not refused, with their places in the batch.
    classes: Vec<(usize, Arc<Known>)>,
    /// Of a batch that is all or nothing: the first one that cannot be run.
    refused: Option<usize>,
}

impl Plan {
    fn new<R: BatchResults>(
        pool: &Pool,
        batch: &Batch<'_>,
        results: &mut R,
        stands_alone: bool,
    ) -> Self {
        let mut plan = Self { classes: Vec::new(), refused: None };
        for (index, (sql, args)) in batch.statements.iter().enumerate() {
            let class = pool.classify(sql);
            match refuse(&Statement::new(sql, args), &class, stands_alone && !batch.atomic) {
                Ok(()) => plan.classes.push((index, class)),
                Err(error) => {
                    results.ended(index, Err(error), Duration::ZERO);
                    if batch.atomic {
                        plan.refused.get_or_insert(index);
                    }
                }
            }
        }
        if plan.refused.is_some() {
            for (index, _) in &plan.classes {
                results.ended(*index, Err(not_run()), Duration::ZERO);
            }
        }
        plan
    }

    fn executions<'a>(&'a self, pool: &'a Pool, batch: &Batch<'a>) -> Vec<Execution<'a>> {
        let execution = |(index, class): &'a (usize, Arc<Known>)| {
            let (sql, args) = batch.statements.get(*index)?;
            Some(Execution { sql, args, class, simple: false, types: pool.types() })
        };
        self.classes.iter().filter_map(execution).collect()
    }
}

fn refuse(statement: &Statement<'_>, class: &Classification, alone: bool) -> Result<(), Error> {
    check_text(statement, class)?;
    if alone {
        refuse_outside_session(statement, class)?;
    }
    if class.transaction == TransactionControl::None {
        return Ok(());
    }
    Err(Error::refused(
        SqlState::FEATURE_NOT_SUPPORTED,
        "a batch cannot hold BEGIN, COMMIT, SAVEPOINT and the like; set atomic, or send it within \
         a transaction (TransactionBegin and tx_id)",
    ))
}

/// What is said of statements of a batch that has failed before they were reached.
fn not_run() -> Error {
    Error::refused(SqlState::IN_FAILED_TRANSACTION, ExecuteError::NotReached.to_string())
}

async fn run<R: BatchResults>(
    checkout: &mut Checkout,
    batch: &Batch<'_>,
    plan: &Plan,
    results: &mut R,
) -> Result<BatchEnd, Error> {
    let pool = checkout.pool().clone();
    let mut execution = BatchExecution {
        statements: plan.executions(&pool, batch),
        bond: Bond::None,
        deadline: pool.limit(batch.limit).map(|limit| (Instant::now() + limit, limit)),
    };
    if !batch.atomic {
        run_once(checkout, &pool, plan, &execution, results, batch).await;
        return Ok(BatchEnd::Done);
    }
    let own = checkout.status() == TransactionStatus::Idle;
    // Each statement may meet an old plan once.
    let mut attempts = plan.classes.len() + 1;
    loop {
        attempts -= 1;
        execution.bond = match own {
            true if checkout.travels_whole(&execution.statements) => Bond::Whole,
            true => Bond::Begun,
            false => Bond::Held,
        };
        if !own {
            pool.within_limit(batch.limit, checkout.command(SAVEPOINT)).await?;
        }
        let (failed, run) = run_once(checkout, &pool, plan, &execution, results, batch).await;
        match (run, failed) {
            (BatchRun::Uncommitted(error), _) => return Err(error.into()),
            // All have succeeded, and the server says nothing more.
            (BatchRun::Stuck, None) if execution.bond == Bond::Whole => {
                return Err(Error::OutcomeUnknown { what: "COMMIT" });
            }
            (BatchRun::Stuck, None) => {
                return Err(Error::TimedOut(pool.limit(batch.limit).unwrap_or_default()));
            }
            (BatchRun::Done | BatchRun::Stale, None) => break,
            (run, Some(failed)) => {
                undo(checkout, own).await;
                // Nothing of it has happened: plans that were out of date are prepared anew.
                let stale = matches!(run, BatchRun::Stale);
                if !(stale && own && attempts > 0 && checkout.at_rest()) {
                    return Ok(BatchEnd::Failed(failed));
                }
            }
        }
    }
    match execution.bond {
        Bond::None | Bond::Whole => {}
        Bond::Begun => commit(checkout).await?,
        Bond::Held => {
            pool.within_limit(batch.limit, checkout.command(RELEASE)).await?;
        }
    }
    Ok(BatchEnd::Done)
}

/// Runs the statements once: the first one that failed, and how it went.
async fn run_once<R: BatchResults>(
    checkout: &mut Checkout,
    pool: &Pool,
    plan: &Plan,
    execution: &BatchExecution<'_>,
    results: &mut R,
    batch: &Batch<'_>,
) -> (Option<usize>, BatchRun) {
    let limit = pool.limit(batch.limit);
    let status = match execution.bond {
        Bond::Begun => TransactionStatus::InTransaction,
        Bond::None | Bond::Held | Bond::Whole => checkout.status(),
    };
    let atomic = execution.bond != Bond::None;
    let mut sinks = Explaining {
        pool,
        batch,
        plan,
        status,
        deadline: execution.deadline,
        atomic,
        results,
        ended: 0,
        failed: None,
    };
    let run = checkout.execute_batch_within(execution, &mut sinks, limit).await;
    if matches!(run, BatchRun::Stuck) {
        // Neither the one that runs, nor those behind it.
        for index in sinks.ended..plan.classes.len() {
            let error = ExecuteError::Stuck(limit.unwrap_or_default());
            sinks.ended(index, Err(error), Duration::ZERO);
        }
    }
    (sinks.failed, run)
}

/// Takes back what was done. When that fails the connection is closed, which does it, too.
async fn undo(checkout: &mut Checkout, own: bool) {
    if !checkout.at_rest() {
        return;
    }
    if own {
        // Nothing is open when BEGIN was not sent, or the server has undone it already.
        if checkout.status() != TransactionStatus::Idle {
            let _ = checkout.rollback().await;
        }
        return;
    }
    // A failure leaves the transaction failed, or its connection busy, which its caller is told next.
    let pool = checkout.pool().clone();
    if pool.within_limit(TimeLimit::Configured, checkout.command(UNDO)).await.is_ok() {
        let _ = pool.within_limit(TimeLimit::Configured, checkout.command(RELEASE)).await;
    }
}

/// Tells the caller, in its own terms, what the statements came to.
struct Explaining<'a, R> {
    pool: &'a Pool,
    batch: &'a Batch<'a>,
    plan: &'a Plan,
    /// Before the first of them.
    status: TransactionStatus,
    deadline: Option<(Instant, Duration)>,
    atomic: bool,
    results: &'a mut R,
    /// So many have ended.
    ended: usize,
    /// The first one that failed.
    failed: Option<usize>,
}

impl<R: BatchResults> BatchSink for Explaining<'_, R> {
    fn rows(&mut self, index: usize) -> &mut dyn SendSink {
        let place = self.plan.classes.get(index).map_or(index, |(place, _)| *place);
        self.results.rows(place)
    }

    fn ended(&mut self, index: usize, result: Result<Outcome, ExecuteError>, took: Duration) {
        let Some((place, known)) = self.plan.classes.get(index) else { return };
        self.ended = self.ended.max(index + 1);
        let never_ran = matches!(result, Err(ExecuteError::NotReached));
        if !never_ran {
            self.pool.count_query(took, result.as_ref().err());
        }
        if result.is_err() && !never_ran {
            self.failed.get_or_insert(*place);
        }
        let result = result.map(|outcome| outcome.tag).map_err(|error| self.explain(error, known));
        if !never_ran && let Some((sql, _)) = self.batch.statements.get(*place) {
            let rows = result.as_ref().map(CommandTag::rows_affected);
            self.pool.count_call(sql, known, took, rows);
        }
        self.results.ended(*place, result, took);
    }
}

impl<R> Explaining<'_, R> {
    fn explain(&self, error: ExecuteError, class: &Classification) -> Error {
        let late = self.deadline.filter(|(deadline, _)| Instant::now() >= *deadline);
        match (error, late) {
            (ExecuteError::Server(error), Some((_, limit)))
                if error.code == SqlState::QUERY_CANCELED =>
            {
                Error::TimedOut(limit)
            }
            (error @ ExecuteError::Sink(SinkError::TooLarge { .. }), _) if self.atomic => {
                Error::refused(
                    SqlState::PROGRAM_LIMIT_EXCEEDED,
                    format!("{error}; nothing of the batch has taken effect. Fetch less at a time"),
                )
            }
            (error, _) => exposure(self.status, class, false).explain(error),
        }
    }
}
