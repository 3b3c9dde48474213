//! Several statements in one round trip where they can travel together ([flights](super::flight)), and
//! one by one where not.

use std::time::{Duration, Instant};

use super::ServerConnection;
use super::execute::{ExecuteError, Execution, Outcome, SendSink, Within};
use super::extended::not_executed;
use super::flight::{Fate, Landing};
use super::transaction::EndError;
use crate::engine::LinkError;

/// Takes what the statements of a batch come to. A statement that is run anew begins anew.
pub(crate) trait BatchSink: Send {
    /// Takes the rows of the statement at `index`.
    fn rows(&mut self, index: usize) -> &mut dyn SendSink;
    /// The statement at `index` has ended, having run for `took`.
    fn ended(&mut self, index: usize, result: Result<Outcome, ExecuteError>, took: Duration);
}

/// How the statements of a batch belong together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bond {
    /// Not at all: each stands for itself.
    None,
    /// All or none, in the transaction that is open: the first error ends the batch.
    Held,
    /// All or none, in a transaction that is begun with the batch; its end is the caller's.
    Begun,
    /// All or none, in one flight: what is sent up to one Sync is a transaction.
    Whole,
}

/// The statements of a batch, and how they belong together.
pub(crate) struct BatchExecution<'a> {
    pub(crate) statements: Vec<Execution<'a>>,
    pub(crate) bond: Bond,
    /// Nothing more is sent from here on.
    pub(crate) deadline: Option<(Instant, Duration)>,
}

impl BatchExecution<'_> {
    /// The error of what was not sent in time, when the time is over.
    pub(super) fn late(&self) -> Option<ExecuteError> {
        let (deadline, limit) = self.deadline?;
        (Instant::now() >= deadline).then_some(ExecuteError::TimedOut(limit))
    }
}

/// How a batch has ended.
#[derive(Debug)]
pub(crate) enum BatchRun {
    /// Every statement has its answer.
    Done,
    /// It was stopped by an error that only says that a plan was out of date.
    Stale,
    /// All have succeeded, but not the commit that ends a [whole](Bond::Whole) one.
    Uncommitted(EndError),
    /// The server does not react to cancel requests: not every statement has its answer.
    Stuck,
}

impl ServerConnection {
    /// [`execute_batch`](Self::execute_batch), cancelled at the server when it takes longer than
    /// `limit`.
    pub(crate) async fn execute_batch_within(
        &mut self,
        batch: &BatchExecution<'_>,
        sinks: &mut dyn BatchSink,
        limit: Option<Duration>,
    ) -> BatchRun {
        let Some(limit) = limit else { return self.execute_batch(batch, sinks).await };
        match self.canceller().within(limit, self.execute_batch(batch, sinks)).await {
            Within::Done(run) | Within::Cancelled(run) => run,
            Within::Stuck => BatchRun::Stuck,
        }
    }

    /// Executes the statements in order.
    ///
    /// Not cancel safe for the connection, as [`execute`](Self::execute).
    async fn execute_batch(
        &mut self,
        batch: &BatchExecution<'_>,
        sinks: &mut dyn BatchSink,
    ) -> BatchRun {
        if batch.bond == Bond::Whole {
            return self.execute_whole(batch, sinks).await;
        }
        let mut opens = batch.bond == Bond::Begun;
        let mut at = 0;
        // Up to here each runs alone.
        let mut alone_to = 0;
        while let Some(rest) = batch.statements.get(at..).filter(|rest| !rest.is_empty()) {
            if let Some(ExecuteError::TimedOut(limit)) = batch.late() {
                end_rest(batch, at, sinks, || ExecuteError::TimedOut(limit));
                return BatchRun::Done;
            }
            let fate = self.fate(rest, opens);
            let flight = if at < alone_to { &[] } else { self.flight(rest, fate) };
            let landing = match (flight, rest.first()) {
                ([] | [_], Some(what)) => self.alone(what, at, opens, sinks).await,
                _ => self.fly(flight, at, fate, batch, sinks).await,
            };
            opens = false;
            let end = at + flight.len().max(1);
            if let Some(fatal) = landing.lost {
                let lost = || not_executed(LinkError::Closed(fatal.clone()));
                end_rest(batch, end, sinks, lost);
                return BatchRun::Done;
            }
            if batch.bond != Bond::None && landing.failed {
                end_rest(batch, end, sinks, || ExecuteError::NotReached);
                return if landing.stale { BatchRun::Stale } else { BatchRun::Done };
            }
            (at, alone_to) = if landing.undone { (at, end) } else { (end, alone_to) };
        }
        BatchRun::Done
    }

    /// All of them in one flight, which is a transaction.
    async fn execute_whole(
        &mut self,
        batch: &BatchExecution<'_>,
        sinks: &mut dyn BatchSink,
    ) -> BatchRun {
        let landing = self.fly(&batch.statements, 0, Fate::Whole, batch, sinks).await;
        match (landing.failed, landing.uncommitted) {
            (true, _) if landing.stale => BatchRun::Stale,
            (false, Some(error)) => BatchRun::Uncommitted(error),
            _ => BatchRun::Done,
        }
    }

    /// A statement that does not travel with others; with `opens` it begins the transaction.
    async fn alone(
        &mut self,
        what: &Execution<'_>,
        at: usize,
        opens: bool,
        sinks: &mut dyn BatchSink,
    ) -> Landing {
        let started = Instant::now();
        let begun = if opens { self.begin("BEGIN").await } else { Ok(()) };
        let result = match begun {
            Ok(()) => self.execute(what, sinks.rows(at)).await,
            Err(error) => Err(error),
        };
        let mut landing = Landing { stale: is_stale(&result), ..Landing::default() };
        landing.note(&result);
        sinks.ended(at, result, started.elapsed());
        landing
    }
}

fn is_stale(result: &Result<Outcome, ExecuteError>) -> bool {
    matches!(result, Err(ExecuteError::Server(error)) if error.is_stale_plan())
}

fn end_rest(
    batch: &BatchExecution<'_>,
    from: usize,
    sinks: &mut dyn BatchSink,
    error: impl Fn() -> ExecuteError,
) {
    for index in from..batch.statements.len() {
        sinks.ended(index, Err(error()), Duration::ZERO);
    }
}
