//! What a checked-out connection does for a client that speaks PostgreSQL's protocol itself, beyond
//! moving its messages: the client's settings, and the account of a loss.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::connection::{Progress, Settings, SettingsQuestion};
use crate::engine::LinkError;
use crate::error::{Error, Exposure};
use crate::pool::Checkout;
use crate::server_error::SqlState;
use crate::statement::TimeLimit;
use crate::top::Tally;

/// A Query, or a batch up to its Sync, whose ReadyForQuery has not come: what decides whether it
/// can have taken effect.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct InFlight {
    /// It began inside an explicit transaction and does not end it.
    pub in_transaction: bool,
    /// It only reads.
    pub read_only: bool,
    /// It commits as a whole at its Sync, so that a FATAL before its first CommandComplete means
    /// that it was rolled back.
    pub atomic: bool,
    /// It commits a transaction.
    pub commits: bool,
    /// All of it has reached the socket.
    pub sent: bool,
    /// A CommandComplete was read.
    pub completed: bool,
}

impl InFlight {
    /// What its client is told when the connection is lost: it was not executed, or nobody knows.
    #[must_use]
    pub fn lost(self, error: LinkError) -> Error {
        let progress = match (self.sent, self.completed) {
            (false, _) => Progress::NotSent,
            (true, true) => Progress::Completed,
            (true, false) => Progress::Sent,
        };
        let what = if self.commits { "COMMIT" } else { "the statement" };
        let Self { in_transaction, read_only, atomic, .. } = self;
        Exposure { in_transaction, read_only, atomic, what }.lost(error, progress)
    }
}

impl Checkout {
    /// Brings the session's settings to exactly `wanted`, within `behavior.query_timeout`. To be
    /// called outside a transaction, with nothing under way.
    ///
    /// Not cancel safe for the connection: dropped half-way, it is busy, and will be closed.
    ///
    /// # Errors
    /// The server refuses a value, and nothing was changed; or the connection is lost.
    pub async fn settle_settings(&mut self, wanted: &Arc<Settings>) -> Result<(), Error> {
        let pool = self.pool().clone();
        let settle = self.connection_mut().settle_settings(wanted, pool.types());
        pool.within_limit(TimeLimit::Configured, settle).await
    }

    /// Finds out which settings are in force after statements that may have changed them, where
    /// `before` were. The same rules apply.
    ///
    /// # Errors
    /// The connection is lost, or the server refuses to tell.
    pub async fn capture_settings(
        &mut self,
        before: &Settings,
        question: &SettingsQuestion,
    ) -> Result<Settings, Error> {
        let pool = self.pool().clone();
        let capture = self.connection_mut().capture_settings(before, question, pool.types());
        pool.within_limit(TimeLimit::Configured, capture).await
    }

    /// Rolls back whatever transaction is open, with nothing under way. A failure leaves a
    /// connection that will be closed, which rolls back too.
    pub async fn roll_back(&mut self) {
        let _ = self.connection_mut().rollback().await;
    }

    /// Counts statements that ended together after `took`, some of them with an error.
    pub fn count_queries(&self, took: Duration, ended: u32, failed: u32) {
        self.pool().count_queries(took, ended, failed);
    }

    /// Where calls of a text are counted; `kept` remembers it for the next time.
    pub fn tally(&self, sql: &[u8], kept: &Mutex<Option<Arc<Tally>>>) -> Option<Arc<Tally>> {
        self.pool().tally(&String::from_utf8_lossy(sql), kept)
    }

    /// Counts an error that the client is told.
    pub fn count_error(&self, code: SqlState) {
        self.pool().counters().failed(code);
    }

    /// Counts transactions of several statements that have ended.
    pub fn count_transactions(&self, ended: u64) {
        self.pool().counters().begun(ended);
    }

    /// Notes an error that the server has answered with: one of them says that it takes no writes.
    pub fn note_refusal(&self, code: SqlState) {
        self.pool().note_refusal(code);
    }
}
