//! A batch that fails because a statement's plan is out of date, after a migration, is sent again:
//! the client has asked for a new plan, or could not know that there is an old one.
//!
//! Only where nothing can have happened yet, and nothing comes in between: outside a transaction,
//! when the message that fails is the first of its batch that was sent, its Sync is there, and
//! nothing follows it.

use bytes::BytesMut;

use super::attached::Attached;
use super::expect::{Expect, OwnQuery};
use super::{ClientState, Session};
use crate::database::Mode;
use crate::message::request;

/// Longer batches are not kept to be sent again, bytes.
const MAX_KEPT: usize = 16 * 1024;

/// The batch that is under way, as far as it may be sent again.
#[derive(Debug, Default)]
pub(super) struct Replay {
    /// Its messages from the first one that was sent.
    kept: BytesMut,
    state: State,
    /// Something of the open batch was sent.
    has_sent: bool,
    /// This one is sent again: a second time, the client is told.
    is_second: bool,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Nothing is kept.
    #[default]
    Off,
    /// More of it is to come.
    Open,
    /// Its Sync is there.
    Whole,
    /// Its failure is being waited out.
    Due,
}

impl Session {
    /// Whether a batch that begins with the next message may be sent again.
    pub(super) fn is_replayable(&self) -> bool {
        matches!(self.client.mode, Mode::Transaction | Mode::Auto)
            && self.server.as_ref().is_none_or(|server| {
                server.owed.is_empty()
                    && !server.replay.has_sent
                    && !server.may_be_in_transaction()
                    && !server.connection.is_pinned()
            })
    }

    /// Keeps a message that was taken; `begins`: nothing of its batch was sent before it.
    pub(super) fn keep_for_replay(&mut self, tag: u8, message: &[u8], begins: bool) {
        let Some(server) = self.server.as_deref_mut() else { return };
        let replay = &mut server.replay;
        replay.has_sent = server.batch.is_some() && (replay.has_sent || !server.owed.is_empty());
        let named = || {
            let owed = (server.owed.len() == 1).then(|| server.owed.front()).flatten();
            matches!(owed, Some(Expect::Bind(Some(_)) | Expect::DescribeStatement(Some(_))))
        };
        match replay.state {
            State::Open => {}
            _ if begins && matches!(tag, request::BIND | request::DESCRIBE) && named() => {
                replay.kept.clear();
                replay.state = State::Open;
            }
            _ => return,
        }
        if replay.kept.len() + message.len() > MAX_KEPT {
            replay.state = State::Off;
            return;
        }
        replay.kept.extend_from_slice(message);
        if tag == request::SYNC {
            replay.state = State::Whole;
        }
    }

    /// Puts a batch that is to be sent again in front of the input.
    pub(super) fn replay(&mut self) {
        let Some(server) = self.server.as_deref_mut().filter(|server| server.is_free()) else {
            return;
        };
        let Some(batch) = server.replay.take() else { return };
        server.replay.is_second = true;
        server.replay.has_sent = false;
        self.put_in_front(batch);
    }

    /// Has these messages taken before whatever waits.
    pub(super) fn put_in_front(&mut self, mut messages: BytesMut) {
        messages.extend_from_slice(&self.input);
        self.input = messages;
        self.needed = 0;
        // It has been counted.
        self.enter_unit();
    }
}

impl Attached {
    /// Decides, when the message at the front has failed for its plan and is taken off, whether its
    /// batch is sent again: then nobody is told.
    pub(super) fn will_replay(&mut self, client: &mut ClientState) -> bool {
        let is_sync = |owed: &Expect| matches!(owed, Expect::Sync(..));
        let alone = self.owed.iter().position(is_sync) == self.owed.len().checked_sub(1);
        let possible = self.replay.state == State::Whole && !self.replay.is_second;
        if !possible || !alone || self.batch.is_some() {
            return false;
        }
        self.skip_to_sync(client);
        self.owed.pop_back();
        self.owed.push_back(Expect::Own(OwnQuery::Fails));
        self.failed = None;
        self.replay.state = State::Due;
        true
    }

    /// A unit of the client's was answered.
    pub(super) fn replay_is_over(&mut self) {
        if self.replay.state != State::Due {
            self.replay.is_second = false;
            self.replay.state = State::Off;
        }
    }
}

impl Replay {
    /// Whether a batch waits to be sent again.
    pub(super) fn is_due(&self) -> bool {
        self.state == State::Due
    }

    /// Something of the batch was done: it must not be done twice.
    pub(super) fn begins_to_succeed(&mut self) {
        if !self.is_due() {
            self.state = State::Off;
        }
    }

    /// Takes such a batch, of which nothing has happened.
    pub(super) fn take(&mut self) -> Option<BytesMut> {
        let due = self.is_due();
        self.state = State::Off;
        due.then(|| self.kept.split())
    }

    /// Forgets everything: the connection goes to somebody else.
    pub(super) fn forget(&mut self) {
        self.kept.clear();
        self.state = State::Off;
        self.has_sent = false;
        self.is_second = false;
    }
}
