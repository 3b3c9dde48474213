//! One reply of the server at a time: whose it is, whether the client sees it, and what it makes
//! true. A reply that fits nothing that is owed ends the connection.

use std::ops::Range;
use std::sync::Arc;

use bytes::BytesMut;
use pool_manager::{LinkError, TransactionStatus};

use super::ClientState;
use super::attached::Attached;
use super::expect::{Effect, Ending, Expect, Parsing};
use crate::database::Mode;
use crate::message::{backend, reply};

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
                let listens = client.mode == Mode::Session || self.connection.is_pinned();
                return Ok(if listens { Action::Forward } else { Action::Swallow });
            }
            reply::NOTICE_RESPONSE => {
                let is_own = self.owed.front().is_some_and(Expect::is_own);
                return Ok(if is_own { Action::Swallow } else { Action::Forward });
            }
            reply::ERROR_RESPONSE => return self.error(body, client),
            _ => self.replay.begins_to_succeed(),
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
                if let Some(Expect::Query(query)) = self.owed.front_mut() {
                    let effect = std::mem::take(&mut query.ending.effect);
                    let ending = Ending { tag: query.ending.tag, effect, tally: None };
                    let tag = self.connection.received().get(body.clone()).unwrap_or_default();
                    self.calls.part_of_query(tag);
                    self.completed = true;
                    self.copy_ends();
                    self.finish(&ending, body, client);
                }
            }
            reply::COPY_IN_RESPONSE if !is_own => self.copy_in_begins(),
            reply::ROW_DESCRIPTION
            | reply::DATA_ROW
            | reply::EMPTY_QUERY_RESPONSE
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
                self.copy_ends();
                if let Some(Expect::Execute(mut ending)) = self.owed.pop_front() {
                    let tag = self.connection.received().get(body.clone()).unwrap_or_default();
                    self.calls.executed(ending.tally.take(), tag);
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
        if matches!(ending.effect, Effect::DiscardsAll(_)) {
            client.want(Arc::clone(&client.startup));
            match self.pinned_behind.checked_sub(1) {
                Some(left) => self.pinned_behind = left,
                None => self.connection.unpin(),
            }
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
    pub(super) fn unit_ended(&mut self, client: &ClientState) -> Result<bool, LinkError> {
        let mut ended = match self.owed.pop_front() {
            Some(ended) if ended.ends_with_ready() => ended,
            _ => return Err(self.connection.out_of_step()),
        };
        self.completed = false;
        let failed = self.failed.take();
        if let Some(asked) = ended.take_asked() {
            self.tell_ended(asked, client, failed);
        }
        if self.status() == TransactionStatus::Idle {
            self.portals.clear();
        }
        self.calls.unit_ended(self.status() != TransactionStatus::Idle);
        if let Expect::Query(query) = &mut ended {
            self.calls.query_ended(query, failed.is_some());
        }
        let is_own = matches!(ended, Expect::Own(_));
        if !is_own {
            self.replay_is_over();
            self.ended.0 += 1;
            self.ended.1 += u32::from(failed.is_some());
            self.finished.transactions += u64::from(self.status() == TransactionStatus::Idle);
        }
        Ok(is_own)
    }
}
