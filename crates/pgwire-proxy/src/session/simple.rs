//! Query: one text of any number of statements. A few are answered without the server, because
//! what they are about is here: a client's prepared statements have other names there, and
//! DISCARD ALL would discard what others have prepared.

use std::sync::Arc;

use pool_manager::classify::{
    Classification, Deallocated, SettingsEffect, StatementKind, TransactionControl, deallocated,
};
use pool_manager::{STATEMENT_PREFIX, ServerError, SqlState, TransactionStatus};

use super::attached::Attached;
use super::expect::{Effect, Ending, Expect};
use super::input::Taken;
use super::unit::Unit;
use super::{Session, refusal};
use crate::database::Mode;
use crate::message::{backend, frontend};

impl Session {
    pub(super) fn query(&mut self, message: &[u8], body: &[u8]) -> Taken {
        let Some(sql) = frontend::query_text(body) else { return self.unreadable(message) };
        let class = self.client.database.judge(sql);
        if self.lost.is_some() {
            return self.query_while_lost(&class);
        }
        if let Some(taken) = self.answer_locally(&class, sql) {
            return taken;
        }
        if let Some(error) = self.refusal(&class, sql) {
            return self.refuse_query(error);
        }
        let number = self.client.number;
        let is_session = self.client.mode == Mode::Session;
        let Some(server) = self.attached() else { return Taken::Attach };
        server.prepare_for(Some(&class), number);
        server.unnamed = None;
        let ending = run(server, &class, sql, number, is_session);
        let mut unit = Unit::NOTHING;
        unit.add(&class);
        server.connection.owe();
        server.forward(message, Expect::Query(unit, ending));
        self.client.names.forget_unnamed();
        Taken::Done
    }

    /// The begin of a Query that is too long to be looked at.
    pub(super) fn large_query(&mut self, begin: &[u8]) -> Taken {
        if self.lost.is_some() {
            let class = self.client.database.judge(b"SELECT");
            return self.query_while_lost(&class);
        }
        let number = self.client.number;
        let Some(server) = self.attached() else { return Taken::Attach };
        server.prepare_for(None, number);
        server.unnamed = None;
        server.connection.will_run_anything();
        server.connection.owe();
        server.forward(begin, Expect::Query(Unit::ANYTHING, Ending::NONE));
        self.client.names.forget_unnamed();
        Taken::Done
    }

    /// Answers DEALLOCATE of a statement that was prepared by message, and DISCARD ALL.
    fn answer_locally(&mut self, class: &Classification, sql: &[u8]) -> Option<Taken> {
        let concerns_us = matches!(class.kind, StatementKind::Deallocate | StatementKind::Discard);
        if !concerns_us || class.statements != 1 || self.client.mode == Mode::Session {
            return None;
        }
        // What was sent before may change what is to be answered.
        if self.server.as_ref().is_some_and(|server| !server.is_free()) {
            return Some(Taken::Wait);
        }
        if class.kind == StatementKind::Discard {
            return if class.taints { self.discard_all() } else { None };
        }
        match deallocated(&String::from_utf8_lossy(sql))? {
            Deallocated::All if self.server.as_ref().is_some_and(|s| s.connection.is_tainted()) => {
                // Statements that SQL has prepared are to go, too.
                None
            }
            Deallocated::All => Some(self.deallocate(None)),
            Deallocated::Name(name) if self.client.names.get(name.as_bytes()).is_some() => {
                Some(self.deallocate(Some(&name)))
            }
            Deallocated::Name(name) if name.starts_with(STATEMENT_PREFIX) => {
                let message = format!("prepared statement \"{name}\" does not exist");
                let error = ServerError::new(SqlState::INVALID_STATEMENT_NAME, message);
                Some(self.refuse_query(error))
            }
            Deallocated::Name(_) => None,
        }
    }

    fn deallocate(&mut self, name: Option<&str>) -> Taken {
        if self.status() == TransactionStatus::Failed {
            let error = refusal::in_failed_transaction();
            return self.answer_query(|out| backend::error(out, &error));
        }
        match name {
            Some(name) => drop(self.client.names.set(name.as_bytes(), None)),
            None => self.client.names.clear(),
        }
        let tag = if name.is_some() { "DEALLOCATE" } else { "DEALLOCATE ALL" };
        self.answer_query(|out| backend::command_complete(out, tag))
    }

    /// Outside a transaction nothing of this client is left on any connection but what is here.
    fn discard_all(&mut self) -> Option<Taken> {
        if self.server.is_some() {
            // In a transaction, where the server refuses it.
            return None;
        }
        let client = &mut self.client;
        client.names.clear();
        client.want(Arc::clone(&client.startup));
        let told = client.database.known_greeting(&client.startup);
        let told = told.unwrap_or_else(|| Arc::clone(&client.told));
        let before = std::mem::replace(&mut client.told, Arc::clone(&told));
        Some(self.answer_query(|out| {
            backend::command_complete(out, "DISCARD ALL");
            backend::changed_parameters(out, &before, &told);
        }))
    }

    /// Answers a Query with an error of ours. In a transaction the server is made to fail, too, so
    /// that both agree about its state.
    pub(super) fn refuse_query(&mut self, error: ServerError) -> Taken {
        match self.server.as_deref_mut().filter(|server| server.is_in_block()) {
            None => self.answer_query(|out| backend::error(out, &error)),
            Some(server) => {
                server.connection.owe();
                let failing = format!("EXECUTE {STATEMENT_PREFIX}refused");
                frontend::put_query(server.connection.outgoing(), &failing);
                server.owed.push_back(Expect::QueryRefused(Box::new(error)));
                Taken::Done
            }
        }
    }
}

/// Notes that a statement is about to run, and tells what it must come to. A session's client finds
/// its settings as it left them, unless they are put back to what they were at its begin.
pub(super) fn run(
    server: &mut Attached,
    class: &Classification,
    sql: &[u8],
    client: u64,
    is_session: bool,
) -> Ending {
    let effect = effect(class, sql);
    let mut class = *class;
    if effect != Effect::None {
        // What is taken away is taken out of our books, too.
        class.taints = false;
        class.neutral = true;
    }
    server.will_run(&class, sql, client);
    if is_session && !server.touched.as_ref().is_some_and(refusal::puts_back) {
        server.touched = None;
    }
    if matches!(
        class.transaction,
        TransactionControl::Rollback { .. } | TransactionControl::RollbackTo
    ) {
        server.will_roll_back();
    }
    Ending { tag: class.expected_tag, effect }
}

/// Whether [`run`] looks at the text of such a statement.
pub(super) fn matters(class: &Classification) -> bool {
    class.settings != SettingsEffect::None
        || matches!(class.kind, StatementKind::Deallocate | StatementKind::Discard)
}

/// What a statement does to our books when it succeeds.
fn effect(class: &Classification, sql: &[u8]) -> Effect {
    match class.kind {
        StatementKind::Discard if class.taints && class.statements == 1 => Effect::DiscardsAll,
        StatementKind::Deallocate if class.statements == 1 => {
            match deallocated(&String::from_utf8_lossy(sql)) {
                Some(Deallocated::All) => Effect::DeallocatesAll,
                Some(Deallocated::Name(name)) => Effect::Deallocates(name.into()),
                None => Effect::None,
            }
        }
        _ => Effect::None,
    }
}
