//! Errors among the server's replies: what the client is told, and what will not come true, because
//! the server passes over everything up to the next Sync.

use std::ops::Range;

use bytes::BytesMut;
use pool_manager::{Error, LinkError, STATEMENT_PREFIX, ServerError, SqlState};

use super::attached::Attached;
use super::expect::{Effect, Expect, OwnQuery, Parsing};
use super::names::Change;
use super::replies::Action;
use super::{ClientState, refusal};
use crate::message::backend;
use crate::statement::Statement;

impl Attached {
    /// An ErrorResponse: the rest of the batch is skipped by the server.
    pub(super) fn error(
        &mut self,
        body: Range<usize>,
        client: &mut ClientState,
    ) -> Result<Action, LinkError> {
        let text = self.connection.received().get(body).unwrap_or_default();
        let error = ServerError::from_body(text);
        if error.is_fatal() {
            // The end of the stream comes next, and the client is told then.
            return Ok(Action::Swallow);
        }
        self.failed = Some(error.code);
        self.connection.note_refusal(error.code);
        let (code, tally) = (error.code, self.tally_of_front());
        let late = self.out_of_time.take().filter(|_| error.code == SqlState::QUERY_CANCELED);
        let action = self.error_of_front(error, client)?;
        if action != Action::Swallow {
            self.connection.count_error(code);
            self.calls.failed(tally);
        }
        match (action, late) {
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
        let kept_back = self.copy_fails(error.code);
        match self.owed.front_mut() {
            Some(Expect::Own(OwnQuery::Fails)) => return Ok(Action::Swallow),
            Some(Expect::Query(query)) => {
                let effect = std::mem::take(&mut query.ending.effect);
                let action = effect.told_of(error);
                self.put_back(effect, client);
                if let Some(sync) = kept_back {
                    self.put_sync(&sync);
                }
                return Ok(action);
            }
            Some(Expect::FunctionCall | Expect::Sync(..)) => return Ok(Action::Forward),
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
        let failed = self.owed.pop_front();
        if let Some(Expect::Bind(Some(named)) | Expect::DescribeStatement(Some(named))) = &failed
            && is_stale_plan(&error)
            && self.will_replay(client)
        {
            self.portals.clear();
            self.check_stale(&named.statement, &error, client);
            return Ok(Action::Swallow);
        }
        self.skip_to_sync(client);
        if let Some(sync) = kept_back {
            client.skipping = false;
            self.put_sync(&sync);
        }
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
            // That the transaction has failed already, or that the message makes no sense, comes
            // first.
            Expect::Refused(_) if error.code != SqlState::INVALID_STATEMENT_NAME => Action::Forward,
            Expect::Refused(told) => replaced(&told),
            Expect::ParseUnnamed(mut change) => {
                self.unnamed = None;
                // The server drops the old one before it looks at the new one.
                change.before = None;
                self.undo(change, client);
                Action::Forward
            }
            Expect::Parse(mut parsing) => {
                let change = parsing.change.as_mut();
                if let Some(change) = change.filter(|change| change.name.is_empty()) {
                    change.before = None;
                }
                let name = parsing.change.as_ref().map(|change| change.name.clone());
                self.undo_parse(*parsing, client);
                match name {
                    Some(name) if error.code == SqlState::DUPLICATE_PREPARED_STATEMENT => {
                        renamed(error, &name)
                    }
                    _ => Action::Forward,
                }
            }
            Expect::Bind(Some(named)) | Expect::DescribeStatement(Some(named)) => {
                self.portals.clear();
                self.check_stale(&named.statement, &error, client);
                renamed(error, &named.name)
            }
            Expect::Execute(ending) => {
                let action = ending.effect.told_of(error);
                self.put_back(ending.effect, client);
                action
            }
            _ => Action::Forward,
        }
    }

    /// A Parse that the server has refused or never came to.
    fn undo_parse(&mut self, parsing: Parsing, client: &mut ClientState) {
        if let Some(name) = &parsing.server_name {
            self.parsing.retain(|(_, other)| other != name);
        } else {
            // It may have been the unnamed one.
            self.unnamed = None;
        }
        if let Some(change) = parsing.change {
            self.undo(change, client);
        }
    }

    /// Takes a change of a name back; if there was another one since, that one now stands on what
    /// this one was made on.
    pub(super) fn undo(&mut self, change: Change, client: &mut ClientState) {
        let mut later = self.owed.iter_mut();
        match later.find_map(|owed| owed.change_mut(&change.name)) {
            Some(later) => later.before = change.before,
            None => client.names.undo(change),
        }
    }

    /// The server has skipped everything up to the next Sync, and so what was to come of it.
    pub(super) fn skip_to_sync(&mut self, client: &mut ClientState) {
        let is_sync = |owed: &Expect| matches!(owed, Expect::Sync(..));
        let skipped = self.owed.iter().position(is_sync).unwrap_or(self.owed.len());
        if skipped == self.owed.len() {
            client.skipping = true;
        }
        let skipped: Vec<Expect> = self.owed.drain(..skipped).collect();
        for owed in skipped.into_iter().rev() {
            self.undo_skipped(owed, client);
        }
    }

    fn undo_skipped(&mut self, skipped: Expect, client: &mut ClientState) {
        match skipped {
            Expect::Parse(parsing) => self.undo_parse(*parsing, client),
            Expect::ParseUnnamed(change) => {
                self.unnamed = None;
                self.undo(change, client);
            }
            Expect::Synthetic(synthetic) => {
                self.synthetic -= 1;
                self.undo(synthetic.change, client);
            }
            Expect::CopyEnd => self.synthetic -= 1,
            // What the portals run now is anybody's guess.
            Expect::Bind(_) => self.portals.clear(),
            // Not closed: another time.
            Expect::CloseOwn(name) => self.connection.close_statement_later(name.into()),
            // The server skips queries, too: their answers will not come.
            Expect::Query(query) => {
                self.connection.forgive();
                self.put_back(query.ending.effect, client);
                if let Some(change) = query.change {
                    self.undo(change, client);
                }
            }
            Expect::Execute(ending) => self.put_back(ending.effect, client),
            other if other.ends_with_ready() => self.connection.forgive(),
            _ => {}
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
        if is_stale_plan(error) || error.code == SqlState::INVALID_STATEMENT_NAME {
            self.connection.forget_statement(statement.number());
            statement.renumber(client.database.new_number());
        }
    }
}

/// Whether a statement was refused because it has other columns than when it was prepared.
fn is_stale_plan(error: &ServerError) -> bool {
    error.code == SqlState::FEATURE_NOT_SUPPORTED
        && error.routine.as_deref() == Some("RevalidateCachedQuery")
}

impl Effect {
    /// What the client is told of a statement that has failed.
    fn told_of(&self, error: ServerError) -> Action {
        match self {
            Self::Deallocates(change) => renamed(error, &change.name),
            _ => Action::Forward,
        }
    }
}

fn replaced(told: &ServerError) -> Action {
    let mut bytes = BytesMut::new();
    backend::error(&mut bytes, told);
    Action::Replace(bytes)
}

/// The error with the client's name for a statement in place of ours.
fn renamed(mut error: ServerError, name: &[u8]) -> Action {
    let names_statement = matches!(
        error.code,
        SqlState::INVALID_STATEMENT_NAME
            | SqlState::DUPLICATE_PREPARED_STATEMENT
            | SqlState::PROTOCOL_VIOLATION
    );
    if !names_statement {
        return Action::Forward;
    }
    let Some(start) = error.message.find(STATEMENT_PREFIX) else { return Action::Forward };
    if name.is_empty() && error.code == SqlState::INVALID_STATEMENT_NAME {
        return replaced(&refusal::no_unnamed_statement());
    }
    let ours = error.message.get(start..).unwrap_or_default();
    let end = ours.find('"').unwrap_or(ours.len());
    error.message.replace_range(start..start + end, &String::from_utf8_lossy(name));
    replaced(&error)
}
