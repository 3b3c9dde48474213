//! Executing one statement on a connection: the common part of the two protocols, time limits,
//! and what a statement leaves behind.

use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::{Either, select};
use tokio::time::{sleep, timeout};

use super::{CommandTag, SequenceUse, ServerConnection};
use crate::classify::Classification;
use crate::connect::CancelTarget;
use crate::engine::LinkError;
use crate::server_error::{ServerError, SqlState};
use crate::values::{Arg, ArgError, Columns, MalformedMessage, TypeCatalogue};

/// How often a statement that ran out of time is cancelled before its connection is given up.
const CANCEL_ATTEMPTS: u32 = 5;
/// How long each of those cancels may take to show an effect.
const CANCEL_PATIENCE: Duration = Duration::from_secs(1);

/// Takes the rows of a result while they arrive. An error ends the delivery: the rest of the
/// result is read and thrown away, so that the connection stays in step.
pub trait ResultSink {
    /// A result begins, with these columns; what was delivered before belongs to an earlier one.
    fn begin(&mut self, columns: &Arc<Columns>) -> Result<(), SinkError>;
    /// One row: the body of a DataRow.
    fn row(&mut self, columns: &Columns, body: &[u8]) -> Result<(), SinkError>;
    /// The statement has ended, well or not, after running for `took`: without the time that its
    /// caller waited for a connection.
    fn ended(&mut self, took: Duration) {
        let _ = took;
    }
}

/// Why a sink takes no more rows.
#[derive(Debug, thiserror::Error)]
pub enum SinkError {
    /// The result is larger than the caller can take.
    #[error("the result exceeds {limit} bytes")]
    TooLarge {
        /// The limit, bytes.
        limit: usize,
    },
    /// A row is not what its description says.
    #[error(transparent)]
    Malformed(#[from] MalformedMessage),
    /// A value could not be encoded for the caller.
    #[error("the result cannot be encoded: {0}")]
    Encode(String),
}

/// A sink that throws every row away.
#[derive(Debug, Clone, Copy, Default)]
pub struct Discard;

impl ResultSink for Discard {
    fn begin(&mut self, _: &Arc<Columns>) -> Result<(), SinkError> {
        Ok(())
    }

    fn row(&mut self, _: &Columns, _: &[u8]) -> Result<(), SinkError> {
        Ok(())
    }
}

/// One statement to execute.
pub(crate) struct Execution<'a> {
    /// Its text.
    pub(crate) sql: &'a str,
    /// Its positional arguments.
    pub(crate) args: &'a [Arg],
    /// What the classifier found.
    pub(crate) class: &'a Classification,
    /// Whether the simple protocol is used (several statements, no arguments).
    pub(crate) simple: bool,
    /// The types known to the pool.
    pub(crate) types: &'a TypeCatalogue,
}

/// What an executed statement came to.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// The last CommandComplete.
    pub(crate) tag: CommandTag,
}

/// How far a statement had come when its connection was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Progress {
    /// The server cannot have seen all of it.
    NotSent,
    /// Sent; no CommandComplete was read.
    Sent,
    /// CommandComplete was read, but not the ReadyForQuery that follows the implicit commit.
    Completed,
}

/// Why a statement has no result.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ExecuteError {
    #[error(transparent)]
    Server(Box<ServerError>),
    #[error("{error}")]
    Lost { error: LinkError, progress: Progress },
    #[error(transparent)]
    Argument(#[from] ArgError),
    #[error("wrong number of arguments: the statement takes {expected}, given were {given}")]
    ArgumentCount { expected: usize, given: usize },
    /// The statement cannot be put into a protocol message (a NUL byte, more than 2 GiB).
    #[error("the statement cannot be sent: {0}")]
    Unsendable(#[from] io::Error),
    #[error(transparent)]
    Sink(#[from] SinkError),
    #[error("COPY with STDIN or STDOUT needs the PostgreSQL protocol")]
    Copy,
    /// An earlier statement of its batch has failed.
    #[error("not executed: an earlier statement of the batch has failed")]
    NotReached,
    /// The server confirmed the cancellation.
    #[error("cancelled after {0:?}")]
    TimedOut(Duration),
    /// The server did not react to the cancellation.
    #[error("no answer to a cancellation after {0:?}")]
    Stuck(Duration),
}

impl ServerConnection {
    /// Executes a statement and hands its rows to `sink`.
    ///
    /// Not cancel safe for the connection: when the future is dropped the connection is busy,
    /// says so ([`at_rest`](Self::at_rest)), and has to be closed.
    pub(crate) async fn execute(
        &mut self,
        what: &Execution<'_>,
        sink: &mut dyn SendSink,
    ) -> Result<Outcome, ExecuteError> {
        let changes = self.link.parameter_changes();
        self.will_execute(what.class);
        let result = if what.simple {
            self.simple(what, sink).await
        } else {
            self.extended(what, sink).await
        };
        self.has_executed(what.class, &result);
        self.dirty |= self.link.parameter_changes() != changes;
        // Here and not only on return to the pool: a held connection may lie idle for long.
        self.link.shrink();
        result
    }

    /// To be called before the first byte of a statement: a dropped future must not leave the flags
    /// unset.
    pub(super) fn will_execute(&mut self, class: &Classification) {
        if class.taints {
            // DEALLOCATE ALL and DISCARD ALL take our own statements with them.
            self.tainted = true;
            self.stale_names.extend(self.statements.clear());
        }
        self.dirty |= !class.clean || !self.link.has_standard_strings();
        self.used_sequences(class, SequenceUse::Others);
    }

    /// To be called after it: was it what it looked like?
    pub(super) fn has_executed(
        &mut self,
        class: &Classification,
        result: &Result<Outcome, ExecuteError>,
    ) {
        self.dirty |= match (result, class.expected_tag) {
            (Ok(outcome), Some(tag)) => !outcome.tag.as_str().starts_with(tag),
            _ => false,
        };
    }

    /// Like [`execute`](Self::execute), cancelled at the server when it takes longer than
    /// `limit`. Returns only when the cancellation can no longer hit a later statement.
    pub(crate) async fn execute_within(
        &mut self,
        what: &Execution<'_>,
        sink: &mut dyn SendSink,
        limit: Option<Duration>,
    ) -> Result<Outcome, ExecuteError> {
        let Some(limit) = limit else { return self.execute(what, sink).await };
        self.canceller().run(limit, self.execute(what, sink)).await
    }

    /// Cancels what runs on this connection.
    pub(super) fn canceller(&mut self) -> Canceller {
        self.was_cancelled = true;
        Canceller { target: self.cancel.clone(), cancelling: Arc::clone(&self.cancelling) }
    }
}

/// What became of something that had a time limit.
pub(super) enum Within<T> {
    /// It ended in time, for whatever reason.
    Done(T),
    /// It ended after a cancel request of ours.
    Cancelled(T),
    /// The server did not react.
    Stuck,
}

/// Ends, at the server, what takes too long.
pub(super) struct Canceller {
    target: CancelTarget,
    cancelling: Arc<AtomicBool>,
}

impl Canceller {
    /// What a statement comes to that may take no longer than `limit`.
    pub(super) async fn run<T>(
        &self,
        limit: Duration,
        statement: impl Future<Output = Result<T, ExecuteError>>,
    ) -> Result<T, ExecuteError> {
        match self.within(limit, statement).await {
            Within::Done(result) => result,
            Within::Cancelled(Err(ExecuteError::Server(error)))
                if error.code == SqlState::QUERY_CANCELED =>
            {
                Err(ExecuteError::TimedOut(limit))
            }
            Within::Cancelled(result) => result,
            Within::Stuck => Err(ExecuteError::Stuck(limit)),
        }
    }

    /// What `run` comes to, cancelled after `limit`.
    pub(super) async fn within<T>(
        &self,
        limit: Duration,
        run: impl Future<Output = T>,
    ) -> Within<T> {
        let mut run = pin!(run);
        match select(run.as_mut(), pin!(sleep(limit))).await {
            Either::Left((result, _)) => Within::Done(result),
            Either::Right(_) => {
                self.cancel_until_done(run).await.map_or(Within::Stuck, Within::Cancelled)
            }
        }
    }

    /// Leaves `cancelling` set, whether it returns or is dropped, unless every request's end was
    /// seen: one that may still be on its way would hit whoever comes next.
    async fn cancel_until_done<T, F: Future<Output = T>>(&self, mut run: Pin<&mut F>) -> Option<T> {
        self.cancelling.store(true, Ordering::Relaxed);
        let mut in_doubt = false;
        // A cancel that arrives between two of our batches is ignored by the server: hence again.
        for _ in 0..CANCEL_ATTEMPTS {
            let cancel = pin!(self.target.cancel());
            let (acknowledged, finished) = match select(run.as_mut(), cancel).await {
                Either::Left((result, cancel)) => (cancel.await, Some(result)),
                Either::Right((acknowledged, _)) => (acknowledged, None),
            };
            // Whoever does not even take the request will not take the next one.
            let is_silent =
                acknowledged.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::TimedOut);
            in_doubt |= acknowledged.is_err();
            let finished = match finished {
                Some(result) => Some(result),
                None => timeout(CANCEL_PATIENCE, run.as_mut()).await.ok(),
            };
            if let Some(result) = finished {
                self.cancelling.store(in_doubt, Ordering::Relaxed);
                return Some(result);
            }
            if is_silent {
                return None;
            }
        }
        None
    }
}

/// A sink that may cross threads with the future that feeds it.
pub(crate) trait SendSink: ResultSink + Send {}

impl<T: ResultSink + Send> SendSink for T {}
