//! `mode: auto`: what makes lastval() answer outside a transaction. A client that is known to ask for
//! it keeps its connection for a moment after it may have drawn from a sequence. Others are made to
//! wait that long at most, and only by clients that really ask: the answer is the client's own value
//! or 55000, never another client's.

use std::time::Duration;

use pool_manager::TransactionStatus;
use pool_manager::classify::{Classification, SessionNeed, StatementKind, TransactionControl};

use tokio::time::Instant;

use super::attached::Attached;
use super::{ClientState, Session};
use crate::database::{Database, Mode};

/// For how long a connection is kept: drivers ask in the next line.
pub(super) const LINGER: Duration = Duration::from_millis(20);
/// How often in a row the connection is kept for a client in vain, once it has asked.
const PATIENCE: u8 = 3;

/// How readily a client keeps its connection.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) enum Habit {
    /// Nothing is known of it: as others of its database do.
    #[default]
    Unknown,
    /// So many times more without being asked.
    Asks(u8),
}

impl Habit {
    pub(super) fn grants(&mut self, database: &Database) -> bool {
        if *self == Self::Unknown && database.asks_for_sequences() {
            *self = Self::Asks(1);
        }
        matches!(self, Self::Asks(1..))
    }

    fn was_in_vain(&mut self) {
        if let Self::Asks(times) = self {
            *times = times.saturating_sub(1);
        }
    }
}

impl Session {
    /// Notes when a client asks for lastval() outside a transaction.
    pub(super) fn note_sequence_question(&mut self, class: &Classification) {
        let asks = class.needs_session == Some(SessionNeed::SequenceValue);
        if asks && self.status() == TransactionStatus::Idle {
            self.client.linger = Habit::Asks(PATIENCE);
            self.client.database.note_sequence_question();
        }
    }

    /// Whether the connection is only kept in case that the client asks.
    pub(super) fn is_lingering(&self) -> bool {
        self.server.as_ref().is_some_and(|server| server.lingering.is_some() && server.is_free())
    }

    /// It has not asked in time.
    pub(super) fn linger_ends(&mut self) {
        self.client.linger.was_in_vain();
        if let Some(server) = self.server.as_deref_mut() {
            server.lingering = None;
        }
        self.release_if_done();
    }
}

impl Attached {
    /// Whether a connection that its client needs no more is kept for a moment.
    pub(super) fn lingers(&mut self, client: &mut ClientState) -> bool {
        if client.mode != Mode::Auto {
            return false;
        }
        if std::mem::take(&mut self.wrote) {
            self.lingering = client.linger.grants(&client.database).then(Instant::now);
        }
        self.lingering.is_some_and(|since| since.elapsed() < LINGER)
    }
}

/// Whether it may draw from a sequence, which a default of a column or a trigger does unseen.
pub(super) fn may_use_sequences(class: &Classification) -> bool {
    !class.read_only
        && class.transaction == TransactionControl::None
        && class.kind != StatementKind::Set
        && class.needs_session != Some(SessionNeed::SequenceValue)
}

/// Whether lastval() or currval() may be asked for in what this statement begins.
pub(super) fn may_ask_for_sequences(class: &Classification) -> bool {
    matches!(class.transaction, TransactionControl::Begin { .. })
        || !class.clean
        || class.needs_session == Some(SessionNeed::SequenceValue)
        || class.statements > 1
}
