//! Several statements in one round trip: what the connection lacks is prepared first, then all are
//! sent in one write, and their replies read in order.
//!
//! Only single queries (`Classification::cacheable`) travel together. They cannot change what the
//! texts behind them mean, nor ask for data of a COPY; all else runs alone, between them.
//!
//! Each is followed by a Sync of its own, and so commits by itself. Queries that only read share one
//! Sync, which spares the server a transaction and a write for each. Should one of those fail, all of
//! them are run again by themselves: what looks like a read may call what writes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::ServerConnection;
use super::execute::{ExecuteError, Execution, Outcome, Progress, SendSink};
use super::extended::{Replies, not_executed};
use super::statements::Prepared;
use crate::engine::{LinkError, TransactionStatus, tag};
use crate::server_error::ServerError;

/// Most statements that are under way at a time: what is behind them when the time is over is
/// not sent any more.
const MAX_TOGETHER: usize = 64;
/// The same of those that do not only read. Each may have to be cancelled by itself.
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
    /// The first error ends the batch.
    pub(crate) stop: bool,
    /// Nothing more is sent from here on.
    pub(crate) deadline: Option<(Instant, Duration)>,
}

/// What has become of statements that were run together.
#[derive(Default)]
struct Round {
    /// One of them failed.
    failed: bool,
    /// The connection is gone.
    lost: Option<Option<Box<ServerError>>>,
    /// Those whose plans were out of date: nothing of them has run.
    stale: Vec<usize>,
    /// An error has kept those from this one on from running.
    resume: Option<usize>,
    /// They were a unit that has failed, and nothing of it has taken effect.
    undone: bool,
}

/// How queries were sent.
#[derive(Clone, Copy)]
struct Sent {
    /// One Sync is behind all of them, and the first error skips the rest.
    as_unit: bool,
    /// Anything was sent at all.
    any: bool,
    /// Outside a transaction of the caller's.
    outside: bool,
}

impl ServerConnection {
    /// Executes the statements in order. With `stop`, in a transaction of the caller's, the first
    /// error keeps the rest from running, and `true` is returned for a failure that only says that
    /// a plan was out of date.
    ///
    /// Not cancel safe for the connection, as [`execute`](Self::execute).
    pub(crate) async fn execute_batch(
        &mut self,
        batch: &BatchExecution<'_>,
        sinks: &mut dyn BatchSink,
    ) -> bool {
        let mut at = 0;
        // Up to here everything is run by itself.
        let mut singly = 0;
        while at < batch.statements.len() {
            if let Some((deadline, limit)) = batch.deadline
                && Instant::now() >= deadline
            {
                end_rest(batch, at, sinks, || ExecuteError::TimedOut(limit));
                return false;
            }
            let rest = batch.statements.get(at..).unwrap_or_default();
            // No more than are kept at a time: none may be evicted by another one.
            let most = MAX_TOGETHER.min(self.statements.limit());
            let count = rest.iter().take(most).take_while(|what| self.is_kept(what)).count();
            let queries = self.flight(rest.get(..count).unwrap_or_default(), batch.stop);
            let round = match (queries, rest.first()) {
                ([], Some(what)) => self.alone(what, at, sinks).await,
                _ => self.together(queries, at, batch, at < singly, sinks).await,
            };
            if round.undone && round.lost.is_none() {
                singly = at + queries.len();
                continue;
            }
            at += round.resume.unwrap_or(queries.len().max(1));
            if let Some(fatal) = round.lost {
                let lost = || not_executed(LinkError::Closed(fatal.clone()));
                end_rest(batch, at, sinks, lost);
                return false;
            }
            if batch.stop && round.failed {
                end_rest(batch, at, sinks, || ExecuteError::NotReached);
                return !round.stale.is_empty();
            }
        }
        false
    }

    /// As many of the queries at the front as can be sent together. None goes that is still to be
    /// prepared and might mean something else, or spoil the transaction, behind those in front of it.
    fn flight<'a, 'b>(&mut self, queries: &'a [Execution<'b>], stop: bool) -> &'a [Execution<'b>] {
        let queries = if stop { queries } else { of_one_kind(queries) };
        let in_transaction = self.link.status() != TransactionStatus::Idle;
        let mut writes = 0;
        for (index, what) in queries.iter().enumerate() {
            let before = queries.get(..index).unwrap_or_default();
            let is_new = || !before.iter().any(|other| other.sql == what.sql);
            let matters = in_transaction || writes > 0;
            let waits = index > 0 && matters && is_new() && self.prepared(what).is_none();
            writes += usize::from(!what.class.read_only);
            if waits || writes > MAX_WRITES {
                return before;
            }
        }
        queries
    }

    /// A statement that does not travel with others.
    async fn alone(&mut self, what: &Execution<'_>, at: usize, sinks: &mut dyn BatchSink) -> Round {
        let started = Instant::now();
        let result = self.execute(what, sinks.rows(at)).await;
        let mut round = Round { failed: result.is_err(), ..Round::default() };
        if let Err(ExecuteError::Lost { error, .. }) = &result {
            round.lost = Some(fatal_of(error));
        }
        sinks.ended(at, result, started.elapsed());
        round
    }

    /// Queries that are sent in one write, the first of them being number `at`.
    async fn together(
        &mut self,
        queries: &[Execution<'_>],
        at: usize,
        batch: &BatchExecution<'_>,
        singly: bool,
        sinks: &mut dyn BatchSink,
    ) -> Round {
        let changes = self.link.parameter_changes();
        let mut prepared = self.prepare_all(queries).await;
        if self.link.is_dead() {
            // Those that were prepared already were not sent, either.
            let lost = |one: Result<_, _>| match one {
                Ok(_) => Err(not_executed(LinkError::Closed(None))),
                error => error,
            };
            prepared = prepared.into_iter().map(lost).collect();
        }
        let outside = self.link.status() == TransactionStatus::Idle;
        if let Some((deadline, limit)) = batch.deadline
            && Instant::now() >= deadline
        {
            let late = |one: Result<_, _>| one.and(Err(ExecuteError::TimedOut(limit)));
            prepared = prepared.into_iter().map(late).collect();
        }
        let all_prepared = prepared.iter().all(Result::is_ok);
        let reads = !singly && queries.len() > 1 && queries.iter().all(|what| what.class.read_only);
        let as_unit = batch.stop || (reads && all_prepared);
        let mut sent = Sent { as_unit, any: false, outside };
        if all_prepared || !batch.stop {
            for what in queries {
                self.will_execute(what.class);
            }
            sent.any = self.queue_all(queries, &mut prepared, as_unit, batch.stop);
        }
        let mut round = self.read_all(queries, prepared, at, batch, sent, sinks).await;
        self.dirty |= self.link.parameter_changes() != changes;
        self.link.shrink();
        if outside && !as_unit {
            self.run_stale_anew(queries, at, &mut round, batch.deadline, sinks).await;
        }
        round
    }

    /// Reads the replies to all of them.
    async fn read_all(
        &mut self,
        queries: &[Execution<'_>],
        prepared: Vec<Result<Arc<Prepared>, ExecuteError>>,
        at: usize,
        batch: &BatchExecution<'_>,
        sent: Sent,
        sinks: &mut dyn BatchSink,
    ) -> Round {
        let mut round = Round::default();
        let mut started = Instant::now();
        let mut over = false;
        for (offset, (what, statement)) in queries.iter().zip(prepared).enumerate() {
            let result = match statement {
                Err(error) => Err(error),
                Ok(_) if round.lost.is_some() => Err(lost_behind(&round)),
                Ok(_) if batch.stop && (round.failed || !sent.any) => Err(ExecuteError::NotReached),
                Ok(_) if sent.as_unit && over => {
                    round.resume = Some(offset);
                    break;
                }
                Ok(statement) => {
                    let mut replies = Replies::default();
                    let rows = sinks.rows(at + offset);
                    let read = self.read_one(&statement, rows, &mut replies, sent.as_unit).await;
                    over |= *read.as_ref().unwrap_or(&true);
                    let result = self.result_of(read, replies, what, offset, &mut round);
                    // Not one that merely could not be delivered: the server goes on with the rest.
                    if result.is_err() && over && sent.as_unit && !batch.stop && sent.outside {
                        return undone(queries, at, &result, sinks);
                    }
                    result
                }
            };
            if let Err(ExecuteError::Lost { error, .. }) = &result {
                round.lost.get_or_insert_with(|| fatal_of(error));
            }
            round.failed |= result.is_err() && !matches!(result, Err(ExecuteError::NotReached));
            self.has_executed(what.class, &result);
            let now = Instant::now();
            sinks.ended(at + offset, result, now.saturating_duration_since(started));
            started = now;
        }
        if sent.as_unit && sent.any && !over && round.lost.is_none() {
            self.read_to_ready(&mut round).await;
        }
        round
    }

    /// What the replies to one of them come to.
    fn result_of(
        &mut self,
        read: Result<bool, ExecuteError>,
        replies: Replies,
        what: &Execution<'_>,
        offset: usize,
        round: &mut Round,
    ) -> Result<Outcome, ExecuteError> {
        match read {
            Ok(_) => {
                if replies.statement_is_stale() {
                    self.forget_text(what.sql);
                    round.stale.push(offset);
                }
                replies.into_result()
            }
            // What follows it may not have reached the socket, but itself may have.
            Err(ExecuteError::Lost { error, progress: Progress::NotSent }) => {
                Err(ExecuteError::Lost { error, progress: Progress::Sent })
            }
            Err(error) => Err(error),
        }
    }

    /// Prepares those that are not yet, in one round trip.
    async fn prepare_all(
        &mut self,
        queries: &[Execution<'_>],
    ) -> Vec<Result<Arc<Prepared>, ExecuteError>> {
        let mut prepared: Vec<Option<Result<Arc<Prepared>, ExecuteError>>> = Vec::new();
        let mut asked = Vec::new();
        for (index, what) in queries.iter().enumerate() {
            let same = |other: &usize| queries.get(*other).is_some_and(|o| o.sql == what.sql);
            prepared.push(self.prepared(what).map(Ok));
            if prepared.last().is_some_and(Option::is_none) && !asked.iter().any(same) {
                asked.push(index);
            }
        }
        self.describe_all(queries, &asked, &mut prepared).await;
        for index in 0..queries.len() {
            // The same text as one that was asked about: it is kept now, or failed for both.
            if prepared.get(index).is_some_and(Option::is_none)
                && let Some(what) = queries.get(index)
            {
                let again = self.prepare(what).await;
                if let Some(place) = prepared.get_mut(index) {
                    *place = Some(again);
                }
            }
        }
        prepared.into_iter().map(|one| one.unwrap_or(Err(ExecuteError::NotReached))).collect()
    }

    /// Sends Parse and Describe of those that were `asked` about, each with a Sync of its own, and
    /// takes note of the answers.
    async fn describe_all(
        &mut self,
        queries: &[Execution<'_>],
        asked: &[usize],
        prepared: &mut [Option<Result<Arc<Prepared>, ExecuteError>>],
    ) {
        let mut sent = Vec::new();
        for &index in asked {
            let Some(what) = queries.get(index) else { continue };
            match self.begin_prepare(what) {
                Ok(name) => sent.push((index, what, name)),
                Err(error) => put(prepared, index, Err(error)),
            }
        }
        let mut raw = Vec::new();
        for (index, what, name) in sent {
            let description = self.read_description().await;
            raw.push((index, what, name, description));
        }
        // What has to be looked up for them is asked only now that nothing else is under way.
        for (index, what, name, description) in raw {
            let statement = self.finish_prepare(what, name, description).await;
            put(prepared, index, statement);
        }
    }

    /// Queues Bind and Execute of each, with one Sync behind all of a unit or one behind each; whether
    /// there is any. One that cannot be sent becomes its error, and with `stop` is the last.
    fn queue_all(
        &mut self,
        queries: &[Execution<'_>],
        prepared: &mut [Result<Arc<Prepared>, ExecuteError>],
        as_unit: bool,
        stop: bool,
    ) -> bool {
        let mut any = false;
        for (what, place) in queries.iter().zip(prepared) {
            let Ok(statement) = &*place else { continue };
            match self.queue_run(statement, what.args) {
                Ok(()) => {
                    any = true;
                    if !as_unit {
                        self.link.request().sync();
                    }
                }
                Err(error) => {
                    *place = Err(error);
                    if stop {
                        break;
                    }
                }
            }
        }
        if any && as_unit {
            self.link.request().sync();
        }
        any
    }

    /// Reads the replies to one of them; `true` when ReadyForQuery was among them.
    async fn read_one(
        &mut self,
        statement: &Prepared,
        rows: &mut dyn SendSink,
        replies: &mut Replies,
        within_unit: bool,
    ) -> Result<bool, ExecuteError> {
        if let Some(columns) = &statement.columns {
            // It runs in any case.
            replies.note_sink(rows.begin(columns));
        }
        while self.next_reply(statement.columns.as_ref(), rows, replies).await? {
            if within_unit && replies.is_complete() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Reads on to the end of a batch whose statements have all been answered.
    async fn read_to_ready(&mut self, round: &mut Round) {
        loop {
            match self.link.next().await {
                Ok(frame) if frame.tag == tag::READY_FOR_QUERY => return,
                Ok(_) => {}
                Err(error) => {
                    round.lost = Some(fatal_of(&error));
                    return;
                }
            }
        }
    }

    /// Those reads that found their plans out of date, unless something that was sent behind them may
    /// have changed what they would find.
    async fn run_stale_anew(
        &mut self,
        queries: &[Execution<'_>],
        at: usize,
        round: &mut Round,
        deadline: Option<(Instant, Duration)>,
        sinks: &mut dyn BatchSink,
    ) {
        for index in std::mem::take(&mut round.stale) {
            let from_here = queries.get(index..).unwrap_or_default();
            let is_late = deadline.is_some_and(|(deadline, _)| Instant::now() >= deadline);
            let reads = from_here.iter().all(|what| what.class.read_only);
            if round.lost.is_some() || is_late || !reads {
                continue;
            }
            if let Some(what) = queries.get(index) {
                let again = self.alone(what, at + index, sinks).await;
                round.lost = again.lost;
            }
        }
    }
}

/// A unit of reads has failed. When its connection is lost, so is what it may have done besides.
fn undone(
    queries: &[Execution<'_>],
    at: usize,
    result: &Result<Outcome, ExecuteError>,
    sinks: &mut dyn BatchSink,
) -> Round {
    let mut round = Round { failed: true, undone: true, ..Round::default() };
    if let Err(ExecuteError::Lost { error, .. }) = result {
        let fatal = fatal_of(error);
        for index in at..at + queries.len() {
            let error = LinkError::Closed(fatal.clone());
            let lost = ExecuteError::Lost { error, progress: Progress::Sent };
            sinks.ended(index, Err(lost), Duration::ZERO);
        }
        round.lost = Some(fatal);
    }
    round
}

/// The queries at the front that only read, if there are several; else those up to the next such.
fn of_one_kind<'a, 'b>(queries: &'a [Execution<'b>]) -> &'a [Execution<'b>] {
    let reads = queries.iter().take_while(|what| what.class.read_only).count();
    let both_read = |pair: &[Execution<'_>]| pair.iter().all(|what| what.class.read_only);
    let count = match reads {
        0 | 1 => queries.windows(2).position(both_read).unwrap_or(queries.len()),
        reads => reads,
    };
    queries.get(..count).unwrap_or(queries)
}

/// For those behind the one at which the connection was lost: they were sent, too.
fn lost_behind(round: &Round) -> ExecuteError {
    let fatal = round.lost.clone().flatten();
    // The server ended itself at an earlier one.
    let progress = if fatal.is_some() { Progress::NotSent } else { Progress::Sent };
    ExecuteError::Lost { error: LinkError::Closed(fatal), progress }
}

fn put<T>(places: &mut [Option<T>], index: usize, value: T) {
    if let Some(place) = places.get_mut(index) {
        *place = Some(value);
    }
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
