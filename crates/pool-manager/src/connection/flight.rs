//! Flights: statements of a batch whose messages go out in one write, their replies read in order.
//!
//! Only single queries (`Classification::cacheable`) travel together; all else runs alone, between
//! them:
//!
//! ```text
//!                             reads           writes
//! outside a transaction       one Sync        a Sync each, prepared before and without a result
//! inside, or at its begin     one Sync, prepared before
//! all or none of a batch      one Sync, prepared before: all reads, or none with a result
//! ```
//! Reads under one Sync spare the server a transaction and a write for each. Outside they must not
//! share a fate: should one fail, all of its flight run again, alone, since what looks like a read may
//! call what writes. What is still to be prepared could mean something else behind a write, or spoil
//! the caller's transaction; and what returns rows could have an old plan, and be run again only
//! before anything else has.
//!
//! What is sent up to one Sync outside a transaction is one, which the Sync commits. So a batch that
//! is all or nothing needs no more than that, unless its rows could turn out not to fit into the
//! reply: then COMMIT must wait for them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::batch::{BatchExecution, BatchSink, Bond};
use super::execute::{ExecuteError, Execution, Outcome, Progress};
use super::extended::Replies;
use super::statements::Prepared;
use super::transaction::EndError;
use super::{SendSink, SequenceUse, ServerConnection};
use crate::engine::{LinkError, TransactionStatus, tag};
use crate::server_error::ServerError;

/// Most queries of a flight: what is behind them when the time is over is not sent any more.
const MAX_FLIGHT: usize = 64;
/// The same of writes that stand for themselves, each of which may have to be cancelled.
const MAX_WRITES: usize = 8;

/// What the statements of a flight have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// Nothing: a Sync each.
    Own,
    /// One Sync, which they should not notice.
    Reads,
    /// The transaction that is open.
    Transaction,
    /// The transaction that BEGIN in front of them opens.
    Begun,
    /// The transaction that their Sync commits.
    Whole,
}

/// What has become of a flight, or of a statement that ran alone.
#[derive(Default)]
pub(super) struct Landing {
    /// One of them failed.
    pub(super) failed: bool,
    /// Because its plan was out of date.
    pub(super) stale: bool,
    /// The connection is gone, after this farewell if there was one.
    pub(super) lost: Option<Option<Box<ServerError>>>,
    /// The Sync that should have committed them did not, or may not have.
    pub(super) uncommitted: Option<EndError>,
    /// Reads of which one has failed: nothing of them has taken effect, and none is answered.
    pub(super) undone: bool,
}

impl Landing {
    pub(super) fn note(&mut self, result: &Result<Outcome, ExecuteError>) {
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
    /// Whether all or none of them can be had by sending them in one flight.
    pub(crate) fn travels_whole(&mut self, statements: &[Execution<'_>]) -> bool {
        let fits = statements.len() <= MAX_FLIGHT.min(self.statements.limit())
            && !self.needs_sequences_forgotten(statements);
        fits && (statements
            .iter()
            .all(|what| what.class.read_only && self.prepared(what).is_some())
            || statements.iter().all(|what| self.is_prepared_without_result(what)))
    }

    /// Whether they ask for lastval() and the like, which must not answer with another's value.
    fn needs_sequences_forgotten(&self, statements: &[Execution<'_>]) -> bool {
        self.sequences != SequenceUse::None
            && statements.iter().any(|what| what.class.needs_session.is_some())
    }

    fn is_prepared_without_result(&mut self, what: &Execution<'_>) -> bool {
        self.prepared(what).is_some_and(|statement| statement.columns.is_none())
    }

    /// What a flight that begins with the first of `rest` would have in common.
    pub(super) fn fate(&self, rest: &[Execution<'_>], opens: bool) -> Fate {
        if opens {
            return Fate::Begun;
        }
        if self.link.status() != TransactionStatus::Idle {
            return Fate::Transaction;
        }
        let reads = rest.first().is_some_and(|what| what.class.read_only);
        if reads { Fate::Reads } else { Fate::Own }
    }

    /// As many of the statements at the front as can travel together.
    pub(super) fn flight<'a, 'b>(
        &mut self,
        rest: &'a [Execution<'b>],
        fate: Fate,
    ) -> &'a [Execution<'b>] {
        if fate == Fate::Begun && self.needs_sequences_forgotten(rest) {
            // That has to come before the transaction.
            return &[];
        }
        // No more than are kept at a time: none may be evicted by another one.
        let most = if fate == Fate::Own { MAX_WRITES } else { MAX_FLIGHT };
        let most = most.min(self.statements.limit());
        let joins = |what: &Execution<'_>| match fate {
            Fate::Reads => what.class.read_only && self.is_kept(what),
            Fate::Own => !what.class.read_only && self.is_prepared_without_result(what),
            Fate::Transaction | Fate::Begun | Fate::Whole => self.prepared(what).is_some(),
        };
        let count = rest.iter().take(most).map(joins).take_while(|joins| *joins).count();
        rest.get(..count).unwrap_or_default()
    }

    /// A flight, whose first query is number `at`.
    pub(super) async fn fly(
        &mut self,
        flight: &[Execution<'_>],
        at: usize,
        fate: Fate,
        batch: &BatchExecution<'_>,
        sinks: &mut dyn BatchSink,
    ) -> Landing {
        let changes = self.link.parameter_changes();
        let one_sync = fate != Fate::Own;
        let stop = batch.bond != Bond::None;
        let mut statements = self.prepare_all(flight).await;
        // Once for all of them: what is sent of a whole batch is committed.
        if let Some(ExecuteError::TimedOut(limit)) = batch.late() {
            let late = |statement: &&mut Result<_, _>| statement.is_ok();
            for statement in statements.iter_mut().filter(late) {
                *statement = Err(ExecuteError::TimedOut(limit));
            }
        }
        for what in flight {
            self.will_execute(what.class);
        }
        let sent = self.queue_all(flight, &mut statements, fate, stop);
        let mut landing = Landing::default();
        // Whether the Sync that they share was answered: then nothing more comes.
        let mut over = !sent;
        if fate == Fate::Begun
            && sent
            && let Err(error) = self.read_begun().await
        {
            over = true;
            if let Some(first) = statements.first_mut() {
                *first = Err(error);
            }
        }
        let mut started = Instant::now();
        for (offset, (what, statement)) in flight.iter().zip(statements).enumerate() {
            let result = match (statement, &landing.lost) {
                (Err(error), _) => Err(error),
                (Ok(_), Some(fatal)) => Err(sent_and_lost(fatal.clone())),
                (Ok(_), None) if one_sync && (over || (stop && landing.failed)) => {
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
            if result.is_err() && fate == Fate::Reads && sent && over {
                return undone(landing, flight, at, sinks);
            }
            self.has_executed(what.class, &result);
            let now = Instant::now();
            sinks.ended(at + offset, result, now.saturating_duration_since(started));
            started = now;
        }
        if one_sync && !over && landing.lost.is_none() {
            self.read_to_ready(fate, &mut landing).await;
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
            if self.prepared(what).is_some() {
                self.statements.count_hit();
            } else if !is_asked {
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
    /// one behind all. One that cannot be sent becomes its error, and with `stop` is the last.
    fn queue_all(
        &mut self,
        flight: &[Execution<'_>],
        statements: &mut [Result<Arc<Prepared>, ExecuteError>],
        fate: Fate,
        stop: bool,
    ) -> bool {
        let mut sent = false;
        let start = self.link.request().queued();
        if fate == Fate::Begun
            && let Err(error) = self.queue_begin()
            && let Some(first) = statements.first_mut()
        {
            *first = Err(error);
        }
        for (what, place) in flight.iter().zip(statements) {
            let statement = match &*place {
                Ok(statement) => statement,
                Err(_) if matches!(fate, Fate::Begun | Fate::Whole) => {
                    sent = false;
                    break;
                }
                Err(_) if stop => break,
                Err(_) => continue,
            };
            let queued = statement.check_count(what.args);
            match queued.and_then(|()| self.queue_run(statement, what.args)) {
                Ok(()) if fate != Fate::Own => sent = true,
                Ok(()) => self.link.request().sync(),
                Err(error) => {
                    *place = Err(error);
                    if matches!(fate, Fate::Begun | Fate::Whole) {
                        // The Sync of a whole batch would commit those before it.
                        sent = false;
                        break;
                    }
                    if stop {
                        break;
                    }
                }
            }
        }
        if sent {
            self.link.request().sync();
        } else if fate != Fate::Own {
            self.link.request().forget_from(start);
        }
        sent
    }

    /// Queues BEGIN, under the Sync of what follows: should it fail, nothing of that is run.
    fn queue_begin(&mut self) -> Result<(), ExecuteError> {
        let begin = self.link.request().parse("", "BEGIN")?;
        begin.bind::<ExecuteError>("", 0, &[], |_| Ok(()))?.execute()?;
        Ok(())
    }

    /// Reads the replies to it, and up to ReadyForQuery when it has failed.
    async fn read_begun(&mut self) -> Result<(), ExecuteError> {
        let mut failure = None;
        loop {
            let lost = |error| ExecuteError::Lost { error, progress: Progress::Sent };
            let frame = self.link.next().await.map_err(lost)?;
            match frame.tag {
                tag::COMMAND_COMPLETE => return Ok(()),
                tag::ERROR_RESPONSE => {
                    failure = Some(Box::new(ServerError::from_body(frame.body)));
                }
                tag::READY_FOR_QUERY => {
                    let Some(error) = failure else { return Err(lost(self.link.out_of_step())) };
                    return Err(ExecuteError::Server(error));
                }
                _ => {}
            }
        }
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
    async fn read_to_ready(&mut self, fate: Fate, landing: &mut Landing) {
        loop {
            match self.link.next().await {
                Ok(frame) if frame.tag == tag::READY_FOR_QUERY => return,
                // A deferred constraint, or a serialization failure.
                Ok(frame) if frame.tag == tag::ERROR_RESPONSE => {
                    let error = Box::new(ServerError::from_body(frame.body));
                    landing.uncommitted = Some(EndError::Refused(error));
                }
                Ok(_) => {}
                Err(error) => {
                    landing.lost = Some(fatal_of(&error));
                    // The server may have come to the Sync.
                    if fate == Fate::Whole && !landing.failed {
                        landing.uncommitted = Some(EndError::Unknown(error));
                    }
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

fn fatal_of(error: &LinkError) -> Option<Box<ServerError>> {
    match error {
        LinkError::Closed(fatal) => fatal.clone(),
        LinkError::Io(_) | LinkError::Protocol(_) => None,
    }
}
