//! COPY FROM STDIN: while the server reads data, it reads every message as part of that, and
//! ignores Sync and Flush. So what a Sync comes to depends on whether the server finds it before or
//! behind the end of the COPY, which it may reach by itself, with an error.
//!
//! * A Sync that comes while data is read is kept back, and sent only if the COPY ends with an
//!   error before the client has ended it.
//! * One that was sent before anybody knew of a COPY is known to be ignored when CopyInResponse
//!   comes. Only a cancellation may have come in between: the connection is not used again then.

use pool_manager::SqlState;

use super::Session;
use super::attached::Attached;
use super::expect::Expect;
use super::input::Taken;
use crate::message::request;

/// What is known of the COPY FROM STDIN at the front of what is owed.
#[derive(Debug, Default)]
pub(super) struct CopyIn {
    /// The server reads data, and the client has not sent the end of it.
    pub(super) reads: bool,
    /// A Sync was sent in front of the data.
    ignored_sync: bool,
    /// A Sync that was kept back, to be sent behind a message that is still under way.
    pub(super) late_sync: Option<Box<[u8]>>,
    /// Syncs that came among the data.
    kept_back: Vec<Box<[u8]>>,
}

impl Session {
    /// CopyData, CopyDone and CopyFail: ignored by the server when no COPY is under way, and so by
    /// us when nothing is.
    pub(super) fn copy(&mut self, tag: u8, message: &[u8]) -> Taken {
        let Some(server) = self.server.as_deref_mut().filter(|server| !server.is_free()) else {
            return Taken::Dropped;
        };
        server.connection.outgoing().extend_from_slice(message);
        if tag == request::COPY_DATA {
            return Taken::Done;
        }
        server.copy.kept_back.clear();
        if !std::mem::take(&mut server.copy.reads) && !server.owed.is_empty() {
            // The server has not come to the COPY yet, if it is one.
            server.owe_synthetic(Expect::CopyEnd);
        }
        Taken::Done
    }

    /// Whether a message has no place in the data of a COPY, which is what the server reads.
    pub(super) fn is_out_of_place(&self, tag: u8) -> bool {
        let has_place = matches!(
            tag,
            request::COPY_DATA
                | request::COPY_DONE
                | request::COPY_FAIL
                | request::SYNC
                | request::FLUSH
        );
        !has_place && self.server.as_ref().is_some_and(|server| server.copy.reads)
    }

    /// The client leaves: what it had not finished must not wait for more data.
    pub(super) fn copy_nothing_more(&mut self) {
        self.copy(request::COPY_FAIL, b"f\0\0\0\x18the client has left\0");
    }
}

impl Attached {
    /// Whether a Sync was kept back because the server would ignore it.
    pub(super) fn keeps_sync_back(&mut self, message: &[u8]) -> bool {
        if self.copy.reads && self.copy.kept_back.is_empty() {
            self.copy.kept_back.push(message.into());
        }
        self.copy.reads
    }

    /// CopyInResponse: the Syncs that the server finds in front of the end of the data are ignored
    /// by it.
    pub(super) fn copy_in_begins(&mut self) {
        self.copy.reads = true;
        let in_batch = matches!(self.owed.front(), Some(Expect::Execute(_)));
        while matches!(self.owed.get(1), Some(Expect::Sync(..))) {
            let Some(Expect::Sync(unit, asked)) = self.owed.remove(1) else { break };
            self.copy.ignored_sync = true;
            let goes_on = in_batch
                && self.batch.is_none()
                && !self.owed.iter().any(|owed| matches!(owed, Expect::Sync(..)));
            if goes_on {
                // Its batch does, until a Sync that the server answers.
                self.batch = Some(unit);
                self.asked = asked;
            } else {
                self.connection.forgive();
            }
        }
        if matches!(self.owed.get(1), Some(Expect::CopyEnd)) {
            self.owed.remove(1);
            self.synthetic -= 1;
            self.copy.reads = false;
        }
    }

    /// The statement at the front has succeeded.
    pub(super) fn copy_ends(&mut self) {
        self.copy = CopyIn::default();
    }

    /// The statement at the front has failed: what was kept back is sent, once what is owed is put
    /// right.
    pub(super) fn copy_fails(&mut self, code: SqlState) -> Option<Box<[u8]>> {
        if self.copy.ignored_sync && code == SqlState::QUERY_CANCELED {
            // Was the Sync read before or after the cancellation? Its answer may still come.
            self.connection.taint();
        }
        let sync = std::mem::take(&mut self.copy).kept_back.pop();
        if self.uploading {
            self.copy.late_sync = sync;
            return None;
        }
        sync
    }

    /// Sends a Sync: the end of the open batch, or of an empty one.
    pub(super) fn put_sync(&mut self, message: &[u8]) {
        let unit = *self.batch();
        self.batch = None;
        let asked = std::mem::take(&mut self.asked);
        self.forward(message, Expect::Sync(unit, asked));
    }
}
