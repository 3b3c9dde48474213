//! A server that was lost: what each message under way comes to, and a transaction that goes on as
//! a failed one.
//!
//! The client's own connection stays. A transaction that its server took with it is, for the
//! client, one that has failed: nothing it still sends can run outside of it, and ROLLBACK ends it.
//! In session mode the session itself is lost, and the client is told so in PostgreSQL's own way.

use pool_manager::classify::{Classification, TransactionControl};
use pool_manager::{Error, InFlight, LinkError, ServerError, SqlState, TransactionStatus};

use super::attached::Attached;
use super::expect::Expect;
use super::input::Taken;
use super::{Session, Step, refusal};
use crate::database::Mode;
use crate::message::backend;

/// A transaction whose server connection is gone.
pub(super) struct LostTransaction {
    /// Set until the client has been told.
    pub(super) untold: Option<Box<ServerError>>,
}

/// Nothing was under way: whatever the transaction did is rolled back.
const NOTHING_SENT: InFlight = InFlight {
    in_transaction: true,
    read_only: true,
    atomic: true,
    commits: false,
    sent: false,
    completed: false,
};

impl Attached {
    /// What a loss means that ends the client's session, with all that is under way: as soon as
    /// nobody knows of one part, nobody knows.
    fn fate(&self, lost: impl Fn() -> LinkError) -> Error {
        let mut in_transaction = self.status() != TransactionStatus::Idle;
        let mut completed = self.completed;
        let sent = self.owed.iter().filter_map(Expect::unit).map(|unit| (unit, true));
        let mut known = None;
        for (unit, sent) in sent.chain(self.batch.map(|unit| (unit, false))) {
            let error = unit.in_flight(in_transaction, sent, completed).lost(lost());
            if matches!(error, Error::OutcomeUnknown { .. }) {
                return error;
            }
            known.get_or_insert(error);
            completed = false;
            in_transaction &= unit.keeps_transaction();
        }
        known.unwrap_or_else(|| NOTHING_SENT.lost(lost()))
    }
}

impl Session {
    /// The transaction status that the client is told.
    pub(super) fn status(&self) -> TransactionStatus {
        match (&self.server, &self.lost) {
            (Some(server), _) => server.status(),
            (None, Some(_)) => TransactionStatus::Failed,
            (None, None) => TransactionStatus::Idle,
        }
    }

    /// The server connection is lost: answers all that is under way.
    pub(super) fn lose(&mut self, error: LinkError) -> Option<Step> {
        let mut server = self.server.take()?;
        self.note_write();
        tracing::debug!("server connection lost: {error}");
        let in_the_middle = server.passing > 0;
        server.cut(0, &mut self.output);
        self.flush = true;
        if in_the_middle {
            // Of a message: nothing that makes sense can follow.
            return Some(Step::End);
        }
        let fatal = match error {
            LinkError::Closed(fatal) => fatal,
            LinkError::Io(_) | LinkError::Protocol(_) => None,
        };
        let of_protocol = |fatal: &ServerError| fatal.code == SqlState::PROTOCOL_VIOLATION;
        if self.breach.is_some() || fatal.as_deref().is_some_and(of_protocol) {
            // It is the client who has broken it.
            let silently = self.breach.is_some_and(|breach| breach.silently);
            if let Some(fatal) = fatal.filter(|_| !silently) {
                self.fatal(fatal.code, fatal.message);
            }
            return Some(Step::End);
        }
        if let Some(batch) = server.replay.take() {
            // Nothing has come of it, and nothing else is under way.
            server.undo_all(&mut self.client);
            self.put_in_front(batch);
            return None;
        }
        let lost = || LinkError::Closed(fatal.clone());
        if self.client.mode == Mode::Session || server.connection.is_pinned() {
            let error = server.fate(lost).to_server_error();
            server.tell_unanswered(&self.client, error.code);
            self.fatal(error.code, error.message);
            return Some(Step::End);
        }
        if server.is_free() {
            if server.status() != TransactionStatus::Idle {
                let untold = Some(Box::new(NOTHING_SENT.lost(lost()).to_server_error()));
                self.lost = Some(LostTransaction { untold });
            }
            return None;
        }
        self.answer_lost_units(&mut server, lost);
        None
    }

    /// One error and one ReadyForQuery for each Query and each Sync that is unanswered.
    fn answer_lost_units(&mut self, server: &mut Attached, lost: impl Fn() -> LinkError) {
        let mut in_transaction = server.status() != TransactionStatus::Idle;
        let unsent = server.connection.unsent() > 0;
        let mut completed = server.completed;
        // An error that the client has for this unit already is the only one it gets.
        let mut told = server.failed;
        let with_asked = |owed: &mut Expect| Some((owed.unit()?, owed.take_asked()));
        let units: Vec<_> = server.owed.iter_mut().filter_map(with_asked).collect();
        let last = units.len().saturating_sub(1);
        for (index, (unit, asked)) in units.into_iter().enumerate() {
            let is_last = index == last && server.batch.is_none();
            let in_flight = unit.in_flight(in_transaction, !(is_last && unsent), completed);
            let error = in_flight.lost(lost());
            if told.is_none() {
                self.tell(&error);
            }
            let code = told.take().unwrap_or_else(|| error.sqlstate());
            server.tell_ended(asked.unwrap_or_default(), &self.client, Some(code));
            completed = false;
            in_transaction &= unit.keeps_transaction();
            self.lost = in_transaction.then_some(LostTransaction { untold: None });
            let status = self.status();
            backend::ready(&mut self.output, status);
        }
        if let Some(unit) = server.batch {
            let error = unit.in_flight(in_transaction, false, false).lost(lost());
            if told.is_none() && !self.client.skipping {
                self.tell(&error);
            }
            let asked = std::mem::take(&mut server.asked);
            server.tell_ended(asked, &self.client, Some(error.sqlstate()));
            // Up to the Sync, which is answered here.
            self.client.skipping = true;
            in_transaction &= unit.keeps_transaction();
            self.lost = in_transaction.then_some(LostTransaction { untold: None });
        }
        server.undo_all(&mut self.client);
    }

    fn tell(&mut self, error: &Error) {
        let mut error = error.to_server_error();
        // It ends a statement, not the client's session.
        error.severity = "ERROR".to_owned();
        backend::error(&mut self.output, &error);
    }

    /// A Query in a transaction whose server is gone.
    pub(super) fn query_while_lost(&mut self, class: &Classification) -> Taken {
        let Some(lost) = &mut self.lost else { return Taken::Attach };
        let untold = lost.untold.take();
        match (class.transaction, untold) {
            (TransactionControl::Rollback { chain: false }, _)
            | (TransactionControl::Commit { chain: false }, None) => {
                self.lost = None;
                self.answer_query(|out| backend::command_complete(out, "ROLLBACK"))
            }
            (TransactionControl::Commit { chain: false }, Some(error)) => {
                self.lost = None;
                self.answer_query(|out| backend::error(out, &error))
            }
            (_, untold) => {
                let error = untold.map_or_else(refusal::in_failed_transaction, |error| *error);
                self.answer_query(|out| backend::error(out, &error))
            }
        }
    }

    /// Ends the session because the server's shutdown, or ours, asks for it.
    pub(super) fn say_goodbye(&mut self) {
        // In the middle of a message nothing that makes sense can follow.
        let in_the_middle = self.server.as_ref().is_some_and(|server| server.passing > 0);
        if !in_the_middle {
            self.fatal(
                SqlState::ADMIN_SHUTDOWN,
                "terminating connection due to administrator command",
            );
        }
    }
}
