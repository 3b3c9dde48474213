//! What a server connection is sent so that it has a client's statement when it comes to the message
//! that needs it: a Parse of ours where it lacks one, and Bind with the name that it has there.

use std::sync::Arc;

use bytes::BytesMut;

use super::attached::Attached;
use super::expect::{Expect, Parsing, Synthetic};
use super::names::Change;
use crate::message::backend;
use crate::message::frontend::{self, Bind};
use crate::statement::Statement;

/// Room for the replies to a small batch, bytes.
const USUAL_REPLY: usize = 512;

impl Attached {
    /// Answers a message in the server's place, at once or when its turn comes.
    pub(super) fn answer(&mut self, tag: u8, change: Change, output: &mut BytesMut) {
        if self.owed.is_empty() {
            // Nothing comes before it that could fail and take it back.
            output.reserve(USUAL_REPLY);
            backend::bare(output, tag);
        } else {
            self.owe_synthetic(Expect::Synthetic(Box::new(Synthetic { tag, change })));
        }
    }

    /// Sends a Parse under a name of ours.
    pub(super) fn prepare(
        &mut self,
        statement: &Arc<Statement>,
        change: Option<Change>,
        shown: bool,
    ) {
        self.finished.server_parses += 1;
        let name = self.connection.new_statement_name();
        let out = self.connection.outgoing();
        frontend::put_parse(out, &name, &statement.sql, &statement.types);
        self.parsing.push((statement.number(), name.clone()));
        let statement = Arc::clone(statement);
        let (server_name, private) = (Some(name), self.is_changed());
        let parsing = Parsing { shown, statement, server_name, private, change };
        self.owed.push_back(Expect::Parse(Box::new(parsing)));
    }

    /// Sees to it that the server has a statement when it comes to the next message.
    pub(super) fn ensure(&mut self, statement: &Arc<Statement>) {
        if self.server_name(statement).is_none() {
            self.prepare(statement, None, false);
        }
    }

    /// Whether an unnamed statement is unnamed at the server, too: it is not known to come again,
    /// or the server was given it as it is.
    pub(super) fn has_as_unnamed(&self, statement: &Statement) -> bool {
        !statement.is_worth_a_name() || self.unnamed == Some(statement.number())
    }

    /// The same for the unnamed statement.
    pub(super) fn ensure_unnamed(&mut self, statement: &Arc<Statement>) {
        if self.unnamed == Some(statement.number()) {
            return;
        }
        frontend::put_parse(self.connection.outgoing(), "", &statement.sql, &statement.types);
        self.unnamed = Some(statement.number());
        let parsing = Parsing {
            shown: false,
            statement: Arc::clone(statement),
            server_name: None,
            private: false,
            change: None,
        };
        self.owed.push_back(Expect::Parse(Box::new(parsing)));
    }

    /// Sends a Bind of a statement by our name for it.
    pub(super) fn put_bind_of(&mut self, bind: &Bind<'_>, statement: &Statement, missing: usize) {
        let number = statement.number();
        let special = self.parsing.iter().chain(&self.private).rev();
        if let Some((_, name)) = { special }.find(|(other, _)| *other == number) {
            let name = name.clone();
            return self.put_bind(bind, name.as_bytes(), missing);
        }
        let Some((name, out)) = self.connection.statement_and_outgoing(number) else { return };
        frontend::put_bind_head(out, bind.portal, name.as_bytes(), bind.rest.len() + missing);
        out.extend_from_slice(bind.rest);
    }

    /// Sends a Bind, `missing` bytes of which are still to come.
    pub(super) fn put_bind(&mut self, bind: &Bind<'_>, statement: &[u8], missing: usize) {
        let out = self.connection.outgoing();
        frontend::put_bind_head(out, bind.portal, statement, bind.rest.len() + missing);
        out.extend_from_slice(bind.rest);
    }
}
