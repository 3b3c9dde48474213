//! Several statements in one round trip: their messages go out in one write, and the replies are read
//! in order.
//!
//! Only single queries (`Classification::cacheable`) travel together, in flights; all else runs alone,
//! between them:
//!
//! ```text
//!                          reads           writes
//! outside a transaction    one Sync        a Sync each, prepared before and without a result
//! inside                   one Sync, prepared before
//! ```
//! Reads under one Sync spare the server a transaction and a write for each. Outside they must not
//! share a fate: should one fail, all of its flight run again, alone, since what looks like a read may
//! call what writes. What is still to be prepared could mean something else behind a write, or spoil
//! the caller's transaction; and what returns rows could have an old plan, and be run again only
//! before anything else has.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::ServerConnection;
use super::execute::{ExecuteError, Execution, Outcome, Progress, SendSink, Within};
use super::extended::{Replies, not_executed};
use super::statements::Prepared;
use crate::engine::{LinkError, TransactionStatus, tag};
use crate::server_error::ServerError;

/// Most queries of a flight: what is behind them when the time is over is not sent any more.
const MAX_FLIGHT: usize = 64;
/// The same of writes that stand for themselves, each of which may have to be cancelled.
const MAX_WRITES: usize = 8;

/// Takes what the statements of a batch come to. A statement that is run anew begins anew.
pub(crate) trait BatchSink: Send {
    /// Takes the rows of the statement at `index`.
    fn rows(&mut self, index: usize) -> &mut dyn SendSink;
    /// The statement at `index` has ended, having run for `took`.
    fn ended(&mut self, index: usize, result: Result<Outcome, ExecuteError>, took: Duration);
}

/// The statements of a batch, and how they belong together.
pub(crate) struct BatchExecution<'a> {
    pub(crate) statements: Vec<Execution<'a>>,
    /// The first error ends the batch, which is in a transaction.
    pub(crate) stop: bool,
    /// Nothing more is sent from here on.
    pub(crate) deadline: Option<(Instant, Duration)>,
}

impl BatchExecution<'_> {
    /// The error of what was not sent in time, when the time is over.
    fn late(&self) -> Option<ExecuteError> {
        let (deadline, limit) = self.deadline?;
        (Instant::now() >= deadline).then_some(ExecuteError::TimedOut(limit))
    }
}

/// How a batch has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BatchRun {
    /// Every statement has its answer.
    Done,
    /// It was stopped by an error that only says that a plan was out of date.
    Stale,
    /// The server does not react to cancel requests: not every statement has its answer.
    Stuck,
}

/// What has become of a flight, or of a statement that ran alone.
#[derive(Default)]
struct Landing {
    /// One of them failed.
    failed: bool,
    /// Because its plan was out of date.
    stale: bool,
    /// The connection is gone, after this farewell if there was one.
    lost: Option<Option<Box<ServerError>>>,
    /// Reads of which one has failed: nothing of them has taken effect, and none is answered.
    undone: bool,
}

impl Landing {
    fn note(&mut self, result: &Result<Outcome, ExecuteError>) {
        match result {
            Ok(_) | Err(ExecuteError::NotReached) => return,
            Err(ExecuteError::Lost { error, .. }) if self.lost.is_none() => {
                self.lost = Some(fatal_of(error));
            }
            Err(_) => {}
        }
        self.failed = true;
    }
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
        let mut at = 0;
        // Up to here each runs alone.
        let mut alone_to = 0;
        while let Some(rest) = batch.statements.get(at..).filter(|rest| !rest.is_empty()) {
            if let Some(ExecuteError::TimedOut(limit)) = batch.late() {
                end_rest(batch, at, sinks, || ExecuteError::TimedOut(limit));
                return BatchRun::Done;
            }
            let flight = if at < alone_to { &[] } else { self.flight(rest) };
            let landing = match (flight, rest.first()) {
                ([] | [_], Some(what)) => self.alone(what, at, sinks).await,
                _ => self.fly(flight, at, batch, sinks).await,
            };
            let end = at + flight.len().max(1);
            if let Some(fatal) = landing.lost {
                let lost = || not_executed(LinkError::Closed(fatal.clone()));
                end_rest(batch, end, sinks, lost);
                return BatchRun::Done;
            }
            if batch.stop && landing.failed {
                end_rest(batch, end, sinks, || ExecuteError::NotReached);
                return if landing.stale { BatchRun::Stale } else { BatchRun::Done };
            }
            (at, alone_to) = if landing.undone { (at, end) } else { (end, alone_to) };
        }
        BatchRun::Done
    }

    /// As many of the statements at the front as can travel together.
    fn flight<'a, 'b>(&mut self, rest: &'a [Execution<'b>]) -> &'a [Execution<'b>] {
        let outside = self.link.status() == TransactionStatus::Idle;
        let reads = rest.first().is_some_and(|what| what.class.read_only);
        // No more than are kept at a time: none may be evicted by another one.
        let most = if outside && !reads { MAX_WRITES } else { MAX_FLIGHT };
        let most = most.min(self.statements.limit());
        let joins = |what: &Execution<'_>| {
            if outside && reads {
                return what.class.read_only && self.is_kept(what);
            }
            let prepared = self.prepared(what);
            prepared.is_some_and(|statement| {
                !outside || (!what.class.read_only && statement.columns.is_none())
            })
        };
        let count = rest.iter().take(most).map(joins).take_while(|joins| *joins).count();
        rest.get(..count).unwrap_or_default()
    }

    /// A statement that does not travel with others.
    async fn alone(
        &mut self,
        what: &Execution<'_>,
        at: usize,
        sinks: &mut dyn BatchSink,
    ) -> Landing {
        let started = Instant::now();
        let result = self.execute(what, sinks.rows(at)).await;
        let mut landing = Landing { stale: is_stale(&result), ..Landing::default() };
        landing.note(&result);
        sinks.ended(at, result, started.elapsed());
        landing
    }

    /// A flight, whose first query is number `at`.
    async fn fly(
        &mut self,
        flight: &[Execution<'_>],
        at: usize,
        batch: &BatchExecution<'_>,
        sinks: &mut dyn BatchSink,
    ) -> Landing {
        let changes = self.link.parameter_changes();
        let outside = self.link.status() == TransactionStatus::Idle;
        let one_sync = !outside || flight.iter().all(|what| what.class.read_only);
        let mut statements = self.prepare_all(flight).await;
        for statement in &mut statements {
            if let Some(late) = batch.late()
                && statement.is_ok()
            {
                *statement = Err(late);
            }
        }
        for what in flight {
            self.will_execute(what.class);
        }
        let sent = self.queue_all(flight, &mut statements, one_sync, batch.stop);
        let mut landing = Landing::default();
        // Whether the Sync that they share was answered: then nothing more comes.
        let mut over = !sent;
        let mut started = Instant::now();
        for (offset, (what, statement)) in flight.iter().zip(statements).enumerate() {
            let result = match (statement, &landing.lost) {
                (Err(error), _) => Err(error),
                (Ok(_), Some(fatal)) => Err(sent_and_lost(fatal.clone())),
                (Ok(_), None) if one_sync && (over || (batch.stop && landing.failed)) => {
                    Err(ExecuteError::NotReached)
                }
                (Ok(statement), None) => {
                    let mut replies = Replies::default();
                    let rows = sinks.rows(at + offset);
                    let read = self.read_one(&statement, rows, &mut replies, one_sync).await;
                    over |= *read.as_ref().unwrap_or(&true);
                    if replies.statement_is_stale() {
                        self.forget_text(what.sql);
                        landing.stale = true;
                    }
                    read.and_then(|_| replies.into_result()).map_err(certainly_sent)
                }
            };
            landing.note(&result);
            // A failure to deliver has not kept the server from going on.
            if result.is_err() && outside && one_sync && sent && over {
                return undone(landing, flight, at, sinks);
            }
            self.has_executed(what.class, &result);
            let now = Instant::now();
            sinks.ended(at + offset, result, now.saturating_duration_since(started));
            started = now;
        }
        if one_sync && !over && landing.lost.is_none() {
            self.read_to_ready(&mut landing).await;
        }
        self.dirty |= self.link.parameter_changes() != changes;
        self.link.shrink();
        landing
    }

    /// Prepares those that are not yet, in one round trip.
    async fn prepare_all(
        &mut self,
        flight: &[Execution<'_>],
    ) -> Vec<Result<Arc<Prepared>, ExecuteError>> {
        let mut asked: Vec<(&Execution<'_>, Result<String, ExecuteError>)> = Vec::new();
        for what in flight {
            let is_asked = asked.iter().any(|(other, _)| other.sql == what.sql);
            if !is_asked && self.prepared(what).is_none() {
                asked.push((what, self.begin_prepare(what)));
            }
        }
        let mut described = Vec::new();
        for (what, name) in asked {
            described.push(match name {
                Ok(name) => Ok((what, name, self.read_description().await)),
                Err(error) => Err((what, error)),
            });
        }
        // What has to be looked up for them is asked only now that nothing else is under way.
        let mut failed = Vec::new();
        for one in described {
            let (what, result) = match one {
                Ok((what, name, description)) => {
                    (what, self.finish_prepare(what, name, description).await)
                }
                Err((what, error)) => (what, Err(error)),
            };
            failed.extend(result.err().map(|error| (what.sql, error)));
        }
        let mut statements = Vec::new();
        for what in flight {
            let failure = failed.iter().position(|(sql, _)| *sql == what.sql);
            statements.push(match failure {
                Some(at) => Err(failed.swap_remove(at).1),
                // Kept by now; or a text that failed before, and is asked about again.
                None => self.prepare(what).await,
            });
        }
        statements
    }

    /// Queues Bind and Execute of each, with one Sync behind all or one behind each; whether there is
    /// any. One that cannot be sent becomes its error, and with `stop` is the last.
    fn queue_all(
        &mut self,
        flight: &[Execution<'_>],
        statements: &mut [Result<Arc<Prepared>, ExecuteError>],
        one_sync: bool,
        stop: bool,
    ) -> bool {
        let mut sent = false;
        for (what, place) in flight.iter().zip(statements) {
            let Ok(statement) = &*place else { continue };
            let queued = statement.check_count(what.args);
            match queued.and_then(|()| self.queue_run(statement, what.args)) {
                Ok(()) if one_sync => sent = true,
                Ok(()) => self.link.request().sync(),
                Err(error) => {
                    *place = Err(error);
                    if stop {
                        break;
                    }
                }
            }
        }
        if sent {
            self.link.request().sync();
        }
        sent
    }

    /// Reads the replies to one of them; `true` when ReadyForQuery was among them.
    async fn read_one(
        &mut self,
        statement: &Prepared,
        rows: &mut dyn SendSink,
        replies: &mut Replies,
        one_sync: bool,
    ) -> Result<bool, ExecuteError> {
        if let Some(columns) = &statement.columns {
            // It runs in any case.
            replies.note_sink(rows.begin(columns));
        }
        while self.next_reply(statement.columns.as_ref(), rows, replies).await? {
            if one_sync && replies.is_complete() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Reads on to the end of a flight whose queries have all been answered.
    async fn read_to_ready(&mut self, landing: &mut Landing) {
        loop {
            match self.link.next().await {
                Ok(frame) if frame.tag == tag::READY_FOR_QUERY => return,
                Ok(_) => {}
                Err(error) => {
                    landing.lost = Some(fatal_of(&error));
                    return;
                }
            }
        }
    }
}

/// One of the reads of a flight has failed. When the connection is lost, so is what they may have
/// done besides.
fn undone(
    landing: Landing,
    flight: &[Execution<'_>],
    at: usize,
    sinks: &mut dyn BatchSink,
) -> Landing {
    if let Some(fatal) = &landing.lost {
        for index in at..at + flight.len() {
            sinks.ended(index, Err(sent_and_lost(fatal.clone())), Duration::ZERO);
        }
    }
    Landing { undone: true, ..landing }
}

/// Of a statement that was sent and not answered.
fn sent_and_lost(fatal: Option<Box<ServerError>>) -> ExecuteError {
    ExecuteError::Lost { error: LinkError::Closed(fatal), progress: Progress::Sent }
}

/// What follows a query may not have reached the socket, but itself may have.
fn certainly_sent(error: ExecuteError) -> ExecuteError {
    match error {
        ExecuteError::Lost { error, progress: Progress::NotSent } => {
            ExecuteError::Lost { error, progress: Progress::Sent }
        }
        other => other,
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

fn fatal_of(error: &LinkError) -> Option<Box<ServerError>> {
    match error {
        LinkError::Closed(fatal) => fatal.clone(),
        LinkError::Io(_) | LinkError::Protocol(_) => None,
    }
}
