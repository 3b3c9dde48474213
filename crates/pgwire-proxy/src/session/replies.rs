//! One reply of the server at a time: whose it is, whether the client sees it, and what it makes
//! true. A reply that fits nothing that is owed ends the connection.

use std::ops::Range;
use std::sync::Arc;

use bytes::BytesMut;
use pool_manager::{Error, LinkError, STATEMENT_PREFIX, ServerError, SqlState, TransactionStatus};

use super::ClientState;
use super::attached::Attached;
use super::expect::{Effect, Ending, Expect, OwnQuery, Parsing};
use crate::database::Mode;
use crate::message::{backend, reply};
use crate::statement::Statement;

/// What becomes of a message.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Action {
    Forward,
    Swallow,
    /// The client gets this instead.
    Replace(BytesMut),
}

impl Attached {
    /// Judges a message other than ReadyForQuery; `body` is where its body lies in what was
    /// received.
    pub(super) fn step(
        &mut self,
        tag: u8,
        body: Range<usize>,
        client: &mut ClientState,
    ) -> Result<Action, LinkError> {
        match tag {
            reply::PARAMETER_STATUS => return Ok(Action::Swallow),
            reply::NOTIFICATION_RESPONSE => {
                let listens = client.mode == Mode::Session;
                return Ok(if listens { Action::Forward } else { Action::Swallow });
            }
            reply::NOTICE_RESPONSE => {
                let is_own = self.owed.front().is_some_and(Expect::is_own);
                return Ok(if is_own { Action::Swallow } else { Action::Forward });
            }
            reply::ERROR_RESPONSE => return self.error(body, client),
            _ => {}
        }
        match self.owed.front() {
            Some(Expect::Query(..) | Expect::Own(_)) => self.query_reply(tag, body, client),
            Some(Expect::FunctionCall) if tag == reply::FUNCTION_CALL_RESPONSE => {
                Ok(Action::Forward)
            }
            Some(_) => self.batch_reply(tag, body, client),
            None => Err(self.connection.out_of_step()),
        }
    }

    /// Within the replies to a Query.
    fn query_reply(
        &mut self,
        tag: u8,
        body: Range<usize>,
        client: &mut ClientState,
    ) -> Result<Action, LinkError> {
        let is_own = matches!(self.owed.front(), Some(Expect::Own(_)));
        match tag {
            reply::COMMAND_COMPLETE => {
                if let Some(Expect::Query(_, ending)) = self.owed.front_mut() {
                    let effect = std::mem::take(&mut ending.effect);
                    let ending = Ending { tag: ending.tag, effect };
                    self.completed = true;
                    self.finish(&ending, body, client);
                }
            }
            reply::ROW_DESCRIPTION
            | reply::DATA_ROW
            | reply::EMPTY_QUERY_RESPONSE
            | reply::COPY_IN_RESPONSE
            | reply::COPY_OUT_RESPONSE
            | reply::COPY_DATA
            | reply::COPY_DONE => {}
            _ => return Err(self.connection.out_of_step()),
        }
        Ok(if is_own { Action::Swallow } else { Action::Forward })
    }

    /// Within the replies to a batch.
    fn batch_reply(
        &mut self,
        tag: u8,
        body: Range<usize>,
        client: &mut ClientState,
    ) -> Result<Action, LinkError> {
        let action = match (tag, self.owed.front()) {
            (reply::DATA_ROW | reply::COPY_DATA, Some(Expect::Execute(_))) => {
                return Ok(Action::Forward);
            }
            (reply::BIND_COMPLETE, Some(Expect::Bind(_)))
            | (reply::PARSE_COMPLETE, Some(Expect::ParseUnnamed(_)))
            | (reply::CLOSE_COMPLETE, Some(Expect::ClosePortal))
            | (
                reply::ROW_DESCRIPTION | reply::NO_DATA,
                Some(Expect::DescribeStatement(_) | Expect::DescribePortal),
            )
            | (reply::EMPTY_QUERY_RESPONSE | reply::PORTAL_SUSPENDED, Some(Expect::Execute(_))) => {
                Action::Forward
            }
            (reply::COMMAND_COMPLETE, Some(Expect::Execute(_))) => {
                self.completed = true;
                self.copying_in = false;
                self.elided_sync = false;
                if let Some(Expect::Execute(ending)) = self.owed.pop_front() {
                    self.finish(&ending, body, client);
                }
                return Ok(Action::Forward);
            }
            (reply::PARAMETER_DESCRIPTION, Some(Expect::DescribeStatement(_)))
            | (reply::COPY_OUT_RESPONSE | reply::COPY_DONE, Some(Expect::Execute(_))) => {
                return Ok(Action::Forward);
            }
            (reply::COPY_IN_RESPONSE, Some(Expect::Execute(_))) => {
                self.copy_in_begins();
                return Ok(Action::Forward);
            }
            (reply::CLOSE_COMPLETE, Some(Expect::CloseOwn(_))) => Action::Swallow,
            (reply::PARSE_COMPLETE, Some(Expect::Parse(_))) => {
                let Some(Expect::Parse(parsing)) = self.owed.pop_front() else {
                    return Err(self.connection.out_of_step());
                };
                return Ok(self.parsed(*parsing));
            }
            _ => return Err(self.connection.out_of_step()),
        };
        self.owed.pop_front();
        Ok(action)
    }

    /// A statement is prepared under a name.
    fn parsed(&mut self, parsing: Parsing) -> Action {
        if let Some(name) = parsing.server_name {
            let number = parsing.statement.number();
            self.parsing.retain(|(_, other)| *other != name);
            if parsing.private {
                self.private.push((number, name));
            } else {
                self.connection.keep_statement(number, name);
            }
        }
        if parsing.shown { Action::Forward } else { Action::Swallow }
    }

    /// A statement has succeeded.
    fn finish(&mut self, ending: &Ending, tag: Range<usize>, client: &mut ClientState) {
        let tag = self.connection.received().get(tag).unwrap_or_default();
        let as_expected = ending.tag.is_none_or(|begin| tag.starts_with(begin.as_bytes()));
        if !as_expected {
            self.connection.soil();
        }
        match &ending.effect {
            Effect::None => {}
            Effect::Deallocates(name) => {
                if let Some(statement) = client.names.get(name.as_bytes()) {
                    self.connection.forget_statement(statement.number());
                    client.names.set(name.as_bytes(), None);
                }
            }
            Effect::DeallocatesAll | Effect::DiscardsAll => {
                client.names.clear();
                self.unnamed = None;
                self.connection.forget_statements();
                if ending.effect == Effect::DiscardsAll {
                    client.want(Arc::clone(&client.startup));
                }
            }
        }
    }

    /// COPY FROM STDIN has begun: the Syncs that the server finds in front of the end of the data
    /// are ignored by it.
    fn copy_in_begins(&mut self) {
        self.copying_in = true;
        while let Some(Expect::Sync(unit)) = self.owed.get(1) {
            let unit = *unit;
            self.owed.remove(1);
            self.elided_sync = true;
            if self.owed.iter().any(|owed| matches!(owed, Expect::Sync(_))) || self.batch.is_some()
            {
                self.connection.forgive();
            } else {
                // Its batch goes on, until a Sync that the server answers.
                self.batch = Some(unit);
            }
        }
        if matches!(self.owed.get(1), Some(Expect::CopyEnd)) {
            self.copying_in = false;
        }
    }

    /// An ErrorResponse: the rest of the batch is skipped by the server.
    fn error(&mut self, body: Range<usize>, client: &mut ClientState) -> Result<Action, LinkError> {
        let text = self.connection.received().get(body).unwrap_or_default();
        let error = ServerError::from_body(text);
        if error.is_fatal() {
            // The end of the stream comes next, and the client is told then.
            return Ok(Action::Swallow);
        }
        self.failed = true;
        let late = self.out_of_time.take().filter(|_| error.code == SqlState::QUERY_CANCELED);
        match (self.error_of_front(error, client)?, late) {
            (Action::Forward, Some(limit)) => {
                Ok(replaced(&Error::TimedOut(limit).to_server_error()))
            }
            (action, _) => Ok(action),
        }
    }

    fn error_of_front(
        &mut self,
        error: ServerError,
        client: &mut ClientState,
    ) -> Result<Action, LinkError> {
        match self.owed.front() {
            Some(Expect::Own(OwnQuery::Fails)) => return Ok(Action::Swallow),
            Some(Expect::Query(..) | Expect::FunctionCall | Expect::Sync(_)) => {
                return Ok(Action::Forward);
            }
            Some(Expect::QueryRefused(told)) => {
                // That the transaction has failed already comes first.
                let has_failed = error.code == SqlState::IN_FAILED_TRANSACTION;
                return Ok(if has_failed { Action::Forward } else { replaced(told) });
            }
            Some(Expect::Own(OwnQuery::MustSucceed) | Expect::CloseOwn(_)) | None => {
                return Err(self.connection.out_of_step());
            }
            Some(_) => {}
        }
        if self.elided_sync && error.code == SqlState::QUERY_CANCELED {
            // Was the Sync read before or after the cancellation? Its answer may still come.
            self.connection.taint();
        }
        self.copying_in = false;
        self.elided_sync = false;
        let failed = self.owed.pop_front();
        self.skip_to_sync(client);
        Ok(match failed {
            Some(failed) => self.failed_message(failed, error, client),
            None => Action::Forward,
        })
    }

    /// What the client is told of the message that failed, and what it means for us.
    fn failed_message(
        &mut self,
        failed: Expect,
        error: ServerError,
        client: &mut ClientState,
    ) -> Action {
        match failed {
            Expect::Refused(_) if error.code == SqlState::IN_FAILED_TRANSACTION => Action::Forward,
            Expect::Refused(told) => replaced(&told),
            Expect::ParseUnnamed(_) => {
                // The server drops the one before it comes to the text.
                self.unnamed = None;
                client.names.set_unnamed(None);
                Action::Forward
            }
            Expect::Parse(parsing) => {
                let name = parsing.change.as_ref().map(|change| change.name.clone());
                self.undo_parse(*parsing, client);
                match name {
                    Some(name) if error.code == SqlState::DUPLICATE_PREPARED_STATEMENT => {
                        renamed(error, &name)
                    }
                    _ => Action::Forward,
                }
            }
            Expect::Bind(Some(number)) | Expect::DescribeStatement(Some(number)) => {
                let Some((name, statement)) = client.names.by_number(number) else {
                    return Action::Forward;
                };
                self.check_stale(statement, &error, client);
                renamed(error, name)
            }
            _ => Action::Forward,
        }
    }

    /// A Parse that the server has refused or never came to.
    fn undo_parse(&mut self, parsing: Parsing, client: &mut ClientState) {
        if let Some(name) = &parsing.server_name {
            self.parsing.retain(|(_, other)| other != name);
        }
        if let Some(change) = parsing.change {
            client.names.undo(change);
        }
        // One of ours may have been the unnamed one.
        self.unnamed = None;
    }

    /// The server has skipped everything up to the next Sync, and so what was to come of it.
    fn skip_to_sync(&mut self, client: &mut ClientState) {
        let skipped = self
            .owed
            .iter()
            .position(|owed| matches!(owed, Expect::Sync(_)))
            .unwrap_or(self.owed.len());
        if skipped == self.owed.len() {
            client.skipping = true;
        }
        let skipped: Vec<Expect> = self.owed.drain(..skipped).collect();
        for owed in skipped.into_iter().rev() {
            match owed {
                Expect::Parse(parsing) => self.undo_parse(*parsing, client),
                Expect::ParseUnnamed(before) => {
                    self.unnamed = None;
                    client.names.set_unnamed(before);
                }
                Expect::CopyEnd => self.synthetic -= 1,
                Expect::Synthetic(synthetic) => {
                    self.synthetic -= 1;
                    client.names.undo(synthetic.change);
                }
                // Not closed: another time.
                Expect::CloseOwn(name) => self.connection.close_statement_later(name.into()),
                // The server skips queries, too: their answers will not come.
                other if other.ends_with_ready() => self.connection.forgive(),
                _ => {}
            }
        }
    }

    /// Takes back what messages that will never be answered have changed.
    pub(super) fn undo_all(&mut self, client: &mut ClientState) {
        let skipping = client.skipping;
        while !self.owed.is_empty() {
            self.skip_to_sync(client);
            self.owed.pop_front();
        }
        client.skipping = skipping;
    }

    /// A prepared statement that the server no longer takes, after a migration or because somebody
    /// has dropped it, is prepared again by whoever wants it next, on every connection.
    fn check_stale(&mut self, statement: &Statement, error: &ServerError, client: &ClientState) {
        let plan = error.code == SqlState::FEATURE_NOT_SUPPORTED
            && error.routine.as_deref() == Some("RevalidateCachedQuery");
        if plan || error.code == SqlState::INVALID_STATEMENT_NAME {
            self.connection.forget_statement(statement.number());
            statement.renumber(client.database.new_number());
        }
    }

    /// Answers of ours whose turn has come.
    pub(super) fn synthesise(&mut self, output: &mut BytesMut) {
        while self.synthetic > 0 {
            match self.owed.front() {
                Some(Expect::Synthetic(synthetic)) => {
                    let tag = synthetic.tag;
                    self.cut(0, output);
                    backend::bare(output, tag);
                }
                Some(Expect::CopyEnd) => {}
                _ => return,
            }
            self.owed.pop_front();
            self.synthetic -= 1;
        }
    }

    /// A ReadyForQuery has come; whether it answers something of ours.
    pub(super) fn unit_ended(&mut self) -> Result<bool, LinkError> {
        let ended = match self.owed.pop_front() {
            Some(ended) if ended.ends_with_ready() => ended,
            _ => return Err(self.connection.out_of_step()),
        };
        self.completed = false;
        self.failed = false;
        if self.status() == TransactionStatus::Idle {
            self.portals.clear();
        }
        Ok(matches!(ended, Expect::Own(_)))
    }
}

fn replaced(told: &ServerError) -> Action {
    let mut bytes = BytesMut::new();
    backend::error(&mut bytes, told);
    Action::Replace(bytes)
}

/// The error with the client's name for a statement in place of ours.
fn renamed(mut error: ServerError, name: &[u8]) -> Action {
    let Some(start) = error.message.find(STATEMENT_PREFIX) else { return Action::Forward };
    let ours = error.message.get(start..).unwrap_or_default();
    let end = ours.find('"').unwrap_or(ours.len());
    error.message.replace_range(start..start + end, &String::from_utf8_lossy(name));
    replaced(&error)
}
