//! The extended protocol: Parse, Bind, Describe, Execute, Close, Flush, Sync.
//!
//! A client's statement has a name of ours on each server connection. A connection that lacks it
//! is sent a Parse that the client never sees; where it is prepared already, the client's own Parse
//! is answered here. What is to fail is made to fail at the server, so that both sides skip the
//! same messages and agree about the transaction.

use std::sync::Arc;

use pool_manager::classify::{SettingsEffect, custom_setting};
use pool_manager::{STATEMENT_PREFIX, ServerError, SqlState};

use super::changed::changes_reading;
use super::expect::{Ending, Expect, Parsing};
use super::input::Taken;
use super::names::Named;
use super::{Session, refusal};
use crate::database::Mode;
use crate::message::frontend::{self, Bind, Parse, Target};
use crate::message::{backend, reply};
use crate::statement::Statement;

/// A name of ours that no server connection has a statement for.
pub(super) const NO_STATEMENT: &str = "rrp_refused";
/// Longest text that is kept to be prepared on other connections, bytes.
const MAX_NAMED_TEXT: usize = 16 * 1024 * 1024;

impl Session {
    /// Whether the client's names are the server's.
    pub(super) fn names_are_native(&self) -> bool {
        self.client.mode == Mode::Session
    }

    /// Whether what a name stands for depends on the outcome of an earlier batch.
    fn name_is_uncertain(&self, name: &[u8]) -> bool {
        self.server.as_ref().is_some_and(|server| server.may_change(name))
    }

    pub(super) fn parse(&mut self, message: &[u8], body: &[u8]) -> Taken {
        let Some(parse) = Parse::read(body) else { return self.unreadable(message) };
        if !parse.name.is_empty() && self.name_is_uncertain(parse.name) {
            return Taken::Wait;
        }
        if parse.name.is_empty() {
            return self.parse_unnamed(&parse, message);
        }
        let statement = self.statement_of(&parse);
        let has_room = self.client.names.has_room_for(statement.size());
        let native = self.names_are_native();
        let who = self.client.who();
        let Some(server) = self.attached() else { return Taken::Attach };
        server.finished.parses += 1;
        server.prepare_for(Some(&statement.class), who);
        server.batch();
        if native {
            return self.parse_as_it_is(&parse, message, statement);
        }
        if !has_room || parse.sql.len() > MAX_NAMED_TEXT {
            return self.refuse(too_many_statements());
        }
        if let Some(existing) = self.client.names.get(parse.name).cloned() {
            return self.parse_duplicate(&parse, &existing);
        }
        self.parse_shared(parse.name, &statement)
    }

    /// A Parse of a statement that has, or gets, a name of ours at the server.
    fn parse_shared(&mut self, name: &[u8], statement: &Arc<Statement>) -> Taken {
        let Some(server) = self.server.as_deref_mut() else { return Taken::Attach };
        let change = self.client.names.set(name, Some(Arc::clone(statement)));
        if server.can_share() && server.server_name(statement).is_some() {
            server.answer(reply::PARSE_COMPLETE, change, &mut self.output);
        } else {
            server.prepare(statement, Some(change), true);
        }
        Taken::Done
    }

    /// The statement that a Parse makes; shared with whoever has prepared the same.
    fn statement_of(&self, parse: &Parse<'_>) -> Arc<Statement> {
        let context = self.client.context.as_deref();
        self.client.database.share_statement(parse.sql, parse.types, context)
    }

    /// A Parse of the unnamed statement. One that comes again is prepared under a name, as others
    /// are, so that the server need not read it every time; the same text over and over is what
    /// drivers send that keep no statements.
    fn parse_unnamed(&mut self, parse: &Parse<'_>, message: &[u8]) -> Taken {
        let statement = self.unnamed_statement(parse);
        let deallocated = self.deallocated_name(&statement);
        if let Some(name) = &deallocated
            && self.name_is_uncertain(name.as_bytes())
        {
            return Taken::Wait;
        }
        let who = self.client.who();
        let Some(server) = self.attached() else { return Taken::Attach };
        server.finished.parses += 1;
        server.prepare_for(Some(&statement.class), who);
        server.batch();
        let target = deallocated.and_then(|name| self.client.names.get(name.as_bytes()).cloned());
        if let Some(target) = target {
            return self.parse_deallocate(&target, parse.types, statement);
        }
        let Some(server) = self.server.as_deref_mut() else { return Taken::Attach };
        self.client.last_unnamed = Some(Arc::clone(&statement));
        if statement.is_worth_a_name() && server.can_share() {
            return self.parse_shared(b"", &statement);
        }
        server.unnamed = Some(statement.number());
        let change = self.client.names.set(b"", Some(statement));
        server.forward(message, Expect::ParseUnnamed(change));
        Taken::Done
    }

    fn unnamed_statement(&self, parse: &Parse<'_>) -> Arc<Statement> {
        let database = &self.client.database;
        let context = self.client.context.as_deref();
        let native = self.names_are_native();
        if let Some(last) = &self.client.last_unnamed
            && last.says(parse.sql, parse.types)
            && last.is_of(context)
            && (last.is_worth_a_name() || !last.class.cacheable || native)
        {
            return Arc::clone(last);
        }
        if !native && database.comes_again(parse.sql, parse.types) {
            return database.share_statement(parse.sql, parse.types, context);
        }
        Arc::new(database.new_statement(parse.sql, parse.types, context))
    }

    /// A Parse that goes to the server under the client's own name for it.
    fn parse_as_it_is(
        &mut self,
        parse: &Parse<'_>,
        message: &[u8],
        statement: Arc<Statement>,
    ) -> Taken {
        let Some(server) = self.server.as_deref_mut() else { return Taken::Attach };
        let change = Some(self.client.names.set(parse.name, Some(Arc::clone(&statement))));
        let parsing = Parsing { shown: true, statement, server_name: None, private: false, change };
        server.forward(message, Expect::Parse(Box::new(parsing)));
        Taken::Done
    }

    /// The client has a statement of that name: the server, asked to prepare the same name again,
    /// says what it says, the text's own errors first.
    fn parse_duplicate(&mut self, parse: &Parse<'_>, existing: &Arc<Statement>) -> Taken {
        let Some(server) = self.server.as_deref_mut() else { return Taken::Attach };
        server.ensure(existing);
        let Some(name) = server.server_name(existing).map(str::to_owned) else {
            return Taken::Done;
        };
        frontend::put_parse(server.connection.outgoing(), &name, parse.sql, parse.types);
        let change = Some(self.client.names.set(parse.name, Some(Arc::clone(existing))));
        let statement = Arc::clone(existing);
        let parsing = Parsing { shown: true, statement, server_name: None, private: false, change };
        server.owed.push_back(Expect::Parse(Box::new(parsing)));
        Taken::Done
    }

    pub(super) fn bind(&mut self, message: &[u8], body: &[u8]) -> Taken {
        let Some(bind) = Bind::read(body) else { return self.unreadable(message) };
        self.bind_parts(&bind, 0)
    }

    /// A Bind of which `missing` bytes are still to come.
    pub(super) fn bind_parts(&mut self, bind: &Bind<'_>, missing: usize) -> Taken {
        if self.name_is_uncertain(bind.statement) {
            return Taken::Wait;
        }
        let who = self.client.who();
        let named = self.client.names.named(bind.statement);
        let Some(server) = self.attached() else { return Taken::Attach };
        server.prepare_for(named.as_ref().map(|named| &named.statement.class), who);
        server.batch();
        let Some(named) = named else { return self.bind_unknown(bind, missing) };
        let (class, sql) = (&named.statement.class, &named.statement.sql);
        if let Some(error) = self.refusal(class, sql).or_else(|| self.pin_for(class, sql)) {
            return self.refuse_large(error);
        }
        let named = self.under_current_settings(named);
        let statement = &named.statement;
        let native = self.names_are_native();
        let Some(server) = self.server.as_deref_mut() else { return Taken::Attach };
        if native {
            if bind.statement.is_empty() {
                server.ensure_unnamed(statement);
            }
            server.put_bind(bind, bind.statement, missing);
        } else if bind.statement.is_empty() && server.has_as_unnamed(statement) {
            server.ensure_unnamed(statement);
            server.put_bind(bind, b"", missing);
        } else {
            server.ensure(statement);
            server.put_bind_of(bind, statement, missing);
        }
        if statement.class.settings == SettingsEffect::Any {
            // A setting's name may be among the values.
            server.touch(bind.values().filter_map(custom_setting), false);
            if bind.values().any(changes_reading) {
                server.connection.taint();
            }
        }
        server.note_params(bind, &self.client);
        server.finished.binds += 1;
        server.portals.bind(bind.portal, Some(Arc::clone(statement)));
        server.owed.push_back(Expect::Bind(Some(named)));
        Taken::Done
    }

    /// A statement that the client has not: nobody else's may be found under that name.
    fn bind_unknown(&mut self, bind: &Bind<'_>, missing: usize) -> Taken {
        let error = self.unknown_statement(bind.statement);
        let Some(server) = self.server.as_deref_mut() else { return Taken::Attach };
        server.portals.bind(bind.portal, None);
        if let Some(error) = error {
            server.put_bind(bind, NO_STATEMENT.as_bytes(), missing);
            server.owed.push_back(Expect::Refused(Box::new(error)));
        } else {
            server.put_bind(bind, bind.statement, missing);
            server.owed.push_back(Expect::Bind(None));
        }
        Taken::Done
    }

    /// What to say of a statement that the client has not, unless the server can say it: it does
    /// not know the name, or knows it from an SQL PREPARE of this client's.
    fn unknown_statement(&self, name: &[u8]) -> Option<ServerError> {
        if self.names_are_native() {
            return None;
        }
        let message = match name {
            [] => return Some(refusal::no_unnamed_statement()),
            ours if ours.starts_with(STATEMENT_PREFIX.as_bytes()) => {
                let name = String::from_utf8_lossy(ours);
                format!("prepared statement \"{name}\" does not exist")
            }
            _ => return None,
        };
        Some(ServerError::new(SqlState::INVALID_STATEMENT_NAME, message))
    }

    /// The same statement for the settings in force.
    fn under_current_settings(&mut self, named: Named) -> Named {
        let context = self.client.context.as_deref();
        let Named { name, statement } = &named;
        if statement.is_of(context) || (name.is_empty() && !statement.is_worth_a_name()) {
            return named;
        }
        let other = self.client.database.share_statement(&statement.sql, &statement.types, context);
        self.client.names.set(name, Some(Arc::clone(&other)));
        Named { statement: other, ..named }
    }

    pub(super) fn describe(&mut self, message: &[u8], body: &[u8]) -> Taken {
        let Some(target) = Target::read(body) else { return self.unreadable(message) };
        if let Target::Statement(name) = target
            && self.name_is_uncertain(name)
        {
            return Taken::Wait;
        }
        let who = self.client.who();
        let Some(server) = self.attached() else { return Taken::Attach };
        server.prepare_for(None, who);
        server.batch();
        let Target::Statement(name) = target else {
            server.forward(message, Expect::DescribePortal);
            return Taken::Done;
        };
        let Some(named) = self.client.names.named(name) else {
            if let Some(error) = self.unknown_statement(name) {
                return self.refuse(error);
            }
            let Some(server) = self.server.as_deref_mut() else { return Taken::Attach };
            server.forward(message, Expect::DescribeStatement(None));
            return Taken::Done;
        };
        let named = self.under_current_settings(named);
        let statement = &named.statement;
        let native = self.names_are_native();
        let Some(server) = self.server.as_deref_mut() else { return Taken::Attach };
        if native {
            if name.is_empty() {
                server.ensure_unnamed(statement);
            }
            server.connection.outgoing().extend_from_slice(message);
        } else if name.is_empty() && server.has_as_unnamed(statement) {
            server.ensure_unnamed(statement);
            server.connection.outgoing().extend_from_slice(message);
        } else {
            server.ensure(statement);
            let name = server.server_name(statement).map(str::to_owned).unwrap_or_default();
            frontend::put_describe_statement(server.connection.outgoing(), &name);
        }
        server.owed.push_back(Expect::DescribeStatement(Some(named)));
        Taken::Done
    }

    pub(super) fn execute(&mut self, message: &[u8], body: &[u8]) -> Taken {
        let Some(portal) = frontend::executed_portal(body) else { return self.unreadable(message) };
        let is_logged = self.client.teller.is_some();
        let who = self.client.who();
        let Some(server) = self.attached() else { return Taken::Attach };
        server.prepare_for(None, who);
        let Some(statement) = server.portals.get(portal) else {
            server.will_run_anything(who.number);
            server.batch().add_anything();
            server.forward(message, Expect::Execute(Ending::NONE));
            return Taken::Done;
        };
        let class = statement.class;
        let tally = server.connection.tally(&statement.sql, &statement.tally);
        // Of a clean one the text makes no difference any more.
        let text = (!class.clean || is_logged).then(|| Arc::clone(statement));
        server.batch().add(&class);
        let sql = text.as_ref().filter(|_| !class.clean).map_or(&b""[..], |text| &text.sql);
        let mut ending = self.run(&class, sql);
        ending.tally = tally;
        if let Some(server) = self.server.as_deref_mut() {
            if let Some(text) = text.filter(|_| is_logged) {
                server.note_execute(text);
            }
            server.forward(message, Expect::Execute(ending));
        }
        Taken::Done
    }

    pub(super) fn close(&mut self, message: &[u8], body: &[u8]) -> Taken {
        let Some(target) = Target::read(body) else { return self.unreadable(message) };
        let native = self.names_are_native();
        match target {
            Target::Statement(name) if !native => self.close_statement(name),
            _ => {
                let who = self.client.who();
                if let Target::Statement(name) = target {
                    self.client.names.set(name, None);
                }
                let Some(server) = self.attached() else { return Taken::Attach };
                server.prepare_for(None, who);
                server.batch();
                if let Target::Portal(name) = target {
                    server.portals.close(name);
                }
                server.forward(message, Expect::ClosePortal);
                Taken::Done
            }
        }
    }

    /// The statement stays prepared at the server, for others and for later.
    fn close_statement(&mut self, name: &[u8]) -> Taken {
        let change = self.client.names.set(name, None);
        match self.server.as_deref_mut() {
            Some(server) => {
                server.batch();
                server.answer(reply::CLOSE_COMPLETE, change, &mut self.output);
            }
            None => backend::bare(&mut self.output, reply::CLOSE_COMPLETE),
        }
        Taken::Done
    }

    pub(super) fn sync(&mut self, message: &[u8], body: &[u8]) -> Taken {
        self.client.skipping = false;
        if self.refusing.is_some() && self.server.as_ref().is_some_and(|server| server.is_free()) {
            // The server has not seen its batch, and what comes next is answered here, too.
            return self.answer_query(|_| {});
        }
        if !body.is_empty() && self.refusing.is_none() && self.attached().is_none() {
            return Taken::Attach;
        }
        let Some(server) = self.server.as_deref_mut() else {
            return self.answer_query(|_| {});
        };
        if !server.keeps_sync_back(message) {
            server.put_sync(message);
        }
        Taken::Done
    }

    pub(super) fn flush(&mut self, message: &[u8], body: &[u8]) -> Taken {
        if !body.is_empty() {
            return self.unreadable(message);
        }
        self.flush = true;
        if let Some(server) = self.server.as_deref_mut().filter(|server| !server.is_free()) {
            server.connection.outgoing().extend_from_slice(message);
        }
        Taken::Done
    }

    /// Lets a message of a batch fail with this error, by sending one in its place that the server
    /// refuses.
    pub(super) fn refuse(&mut self, error: ServerError) -> Taken {
        let Some(server) = self.server.as_deref_mut() else { return Taken::Attach };
        let rest = b"\0\0\0\0\0\0";
        frontend::put_bind(server.connection.outgoing(), b"", NO_STATEMENT.as_bytes(), rest);
        server.owed.push_back(Expect::Refused(Box::new(error)));
        Taken::Done
    }

    /// The same for a message whose end may still have to come, and goes nowhere.
    fn refuse_large(&mut self, error: ServerError) -> Taken {
        match self.refuse(error) {
            Taken::Done => Taken::Dropped,
            other => other,
        }
    }
}

fn too_many_statements() -> ServerError {
    let mut error = ServerError::new(
        SqlState::CONFIGURATION_LIMIT_EXCEEDED,
        "too many prepared statements on this connection, or too large ones",
    );
    error.hint =
        Some("Close those that are needed no more, or send large ones unnamed.".to_owned());
    error
}
