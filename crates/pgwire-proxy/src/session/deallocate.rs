//! DEALLOCATE and DISCARD ALL: a client's prepared statements have other names at the server, and
//! what others have prepared there is to stay. As a Query outside a batch they are answered here;
//! within one the server runs them, with our names in them.

use std::sync::Arc;

use bytes::BytesMut;
use pool_manager::classify::{Classification, Deallocated, StatementKind, deallocated};
use pool_manager::{STATEMENT_PREFIX, ServerError, SqlState, TransactionStatus};

use super::attached::Attached;
use super::expect::{Effect, Ending, Expect, Querying};
use super::input::Taken;
use super::names::AllNames;
use super::unit::Unit;
use super::{ClientState, Session, refusal};
use crate::database::Mode;
use crate::message::{backend, frontend};
use crate::statement::Statement;

impl Session {
    /// Answers DEALLOCATE of a statement that was prepared by message, and DISCARD ALL.
    pub(super) fn answer_locally(&mut self, class: &Classification, sql: &[u8]) -> Option<Taken> {
        let concerns_us = matches!(class.kind, StatementKind::Deallocate | StatementKind::Discard);
        if !concerns_us || class.statements != 1 || self.client.mode == Mode::Session {
            return None;
        }
        match &self.server {
            Some(server) if server.batch.is_some() => return self.deallocate_in_batch(class, sql),
            // What was sent before may change what is to be answered.
            Some(server) if !server.is_free() => return Some(Taken::Wait),
            _ => {}
        }
        if class.kind == StatementKind::Discard {
            if self.is_lingering() {
                self.linger_ends();
            }
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

    /// DEALLOCATE of a statement that was prepared by message, in a batch that it ends without a
    /// Sync: the server has it, or is given it, under our name.
    fn deallocate_in_batch(&mut self, class: &Classification, sql: &[u8]) -> Option<Taken> {
        let Some(Deallocated::Name(name)) = deallocated(&String::from_utf8_lossy(sql)) else {
            return None;
        };
        let target = self.client.names.get(name.as_bytes()).cloned()?;
        let server = self.server.as_deref_mut()?;
        server.ensure(&target);
        let asked = server.asked_by_query(sql, &self.client);
        let sql = format!("DEALLOCATE {}", server.server_name(&target).unwrap_or_default());
        let mut message = BytesMut::new();
        frontend::put_query(&mut message, &sql);
        let mut unit = Unit::NOTHING;
        unit.add(class);
        let change = self.client.names.set(name.as_bytes(), None);
        server.forget(target.number());
        let ending =
            Ending { tag: class.expected_tag, effect: Effect::Deallocates(change), tally: None };
        Some(self.send_query(&message, Querying { unit, ending, change: None, asked }))
    }

    fn deallocate(&mut self, name: Option<&str>) -> Taken {
        if self.status() == TransactionStatus::Failed {
            let error = refusal::in_failed_transaction();
            return self.answer_query(|out| backend::error(out, &error));
        }
        // As any Query does.
        self.client.names.set(b"", None);
        match name {
            Some(name) => drop(self.client.names.set(name.as_bytes(), None)),
            None => drop(self.client.names.take_all()),
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
        client.names.set(b"", None);
        client.names.take_all();
        client.want(Arc::clone(&client.startup));
        // What lastval() would answer is gone, too.
        client.number = client.database.new_number();
        let told = client.database.known_greeting(&client.startup);
        let told = told.unwrap_or_else(|| Arc::clone(&client.told));
        let before = std::mem::replace(&mut client.told, Arc::clone(&told));
        let database = Arc::clone(&client.database);
        Some(self.answer_query(|out| {
            backend::command_complete(out, "DISCARD ALL");
            database.tell_changes(out, &before, &told);
        }))
    }

    /// `DEALLOCATE` of a statement that was prepared by message: the server has it, or is given it,
    /// under our name.
    pub(super) fn parse_deallocate(
        &mut self,
        target: &Arc<Statement>,
        types: &[u8],
        statement: Arc<Statement>,
    ) -> Taken {
        let Some(server) = self.server.as_deref_mut() else { return Taken::Attach };
        server.ensure(target);
        let name = server.server_name(target).unwrap_or_default();
        let sql = format!("DEALLOCATE {name}");
        frontend::put_parse(server.connection.outgoing(), "", sql.as_bytes(), types);
        server.unnamed = Some(statement.number());
        let change = self.client.names.set(b"", Some(statement));
        server.owed.push_back(Expect::ParseUnnamed(change));
        Taken::Done
    }

    /// The name of a client's statement that a `DEALLOCATE` may mean.
    pub(super) fn deallocated_name(&self, statement: &Statement) -> Option<String> {
        if statement.class.kind != StatementKind::Deallocate || self.names_are_native() {
            return None;
        }
        match deallocated(&String::from_utf8_lossy(&statement.sql))? {
            Deallocated::All => None,
            Deallocated::Name(name) => Some(name),
        }
    }
}

impl Attached {
    /// What a statement that is sent now takes away, if it is one that does: it is taken out of our
    /// books at once, so that what follows does not count on it.
    pub(super) fn take_away(
        &mut self,
        class: &Classification,
        sql: &[u8],
        client: &mut ClientState,
    ) -> Effect {
        if class.statements != 1 {
            return Effect::None;
        }
        match class.kind {
            StatementKind::Discard if class.taints => {
                Effect::DiscardsAll(Box::new(self.take_all_away(client)))
            }
            StatementKind::Deallocate => match deallocated(&String::from_utf8_lossy(sql)) {
                Some(Deallocated::All) => {
                    Effect::DeallocatesAll(Box::new(self.take_all_away(client)))
                }
                Some(Deallocated::Name(name)) => {
                    let change = client.names.set(name.as_bytes(), None);
                    if let Some(statement) = &change.before {
                        self.forget(statement.number());
                    }
                    Effect::Deallocates(change)
                }
                None => Effect::None,
            },
            _ => Effect::None,
        }
    }

    fn take_all_away(&mut self, client: &mut ClientState) -> AllNames {
        self.unnamed = None;
        self.parsing.clear();
        self.private.clear();
        self.connection.forget_statements();
        for parsing in self.owed.iter_mut().filter_map(Expect::parsing) {
            parsing.server_name = None;
        }
        client.names.take_all()
    }

    /// Counts no longer on a statement, nor on those under way. Names that the server may still
    /// have are closed some time.
    fn forget(&mut self, number: u64) {
        self.connection.forget_statement(number);
        self.parsing.retain(|(other, _)| *other != number);
        for parsing in self.owed.iter_mut().filter_map(Expect::parsing) {
            if parsing.statement.number() == number
                && let Some(name) = parsing.server_name.take()
            {
                self.connection.close_statement_later(name);
            }
        }
    }

    /// It turns out that the server has not done it.
    pub(super) fn put_back(&mut self, effect: Effect, client: &mut ClientState) {
        match effect {
            Effect::None => {}
            Effect::Deallocates(change) => self.undo(change, client),
            Effect::DeallocatesAll(names) | Effect::DiscardsAll(names) => {
                client.names.put_back(*names);
                // It has statements that nobody knows, and that no reset takes away.
                self.connection.taint();
            }
        }
    }
}
