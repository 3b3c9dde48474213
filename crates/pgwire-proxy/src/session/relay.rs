//! From the server to the client: what was received is looked at where it lies, message by
//! message; runs of messages that are the client's go out as they are, without being copied.

use std::sync::Arc;

use bytes::BytesMut;
use pool_manager::{LinkError, TransactionStatus};

use super::ClientState;
use super::attached::Attached;
use super::expect::Expect;
use super::replies::Action;
use crate::message::{HEADER_LEN, reply};

/// Messages larger than this go on to the client before all of them has arrived.
const STREAMED: usize = 16 * 1024;
/// Longest message of a kind that has to be looked into, bytes.
const MAX_LOOKED_INTO: usize = 64 * 1024;

/// How far the looking came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scanned {
    /// All there is; more is needed, at least so many bytes that are not consumed.
    More(usize),
    /// Up to a ReadyForQuery after which the server owes nothing.
    Ready,
    /// The same, but the client's ReadyForQuery has to wait until its settings are found out.
    Unsettled,
}

impl Attached {
    /// Looks at what was received. What is the client's is counted in `cleared`, or put into
    /// `output` where something of ours comes in between.
    pub(super) fn scan(
        &mut self,
        client: &mut ClientState,
        output: &mut BytesMut,
    ) -> Result<Scanned, LinkError> {
        if self.passing > 0 && !self.pass() {
            return Ok(Scanned::More(0));
        }
        loop {
            let at = self.cleared;
            let Some((tag, len)) = self.connection.header_at(at)? else {
                return Ok(Scanned::More(at + HEADER_LEN));
            };
            let total = HEADER_LEN + len;
            let there = self.connection.received().len() - at;
            if there < total || total > MAX_LOOKED_INTO {
                match self.large(tag, total, there, client)? {
                    Some(scanned) => return Ok(scanned),
                    None => continue,
                }
            }
            match tag {
                reply::DATA_ROW | reply::COPY_DATA if self.takes_rows() => self.cleared += total,
                reply::READY_FOR_QUERY => {
                    self.connection.note_at(at, tag, len)?;
                    if let Some(scanned) = self.ready(client, output)? {
                        return Ok(scanned);
                    }
                }
                _ => {
                    self.message(tag, len, client, output)?;
                    self.synthesise(output);
                }
            }
        }
    }

    /// Takes a message that stands at `cleared` whole.
    fn message(
        &mut self,
        tag: u8,
        len: usize,
        client: &mut ClientState,
        output: &mut BytesMut,
    ) -> Result<(), LinkError> {
        if matches!(tag, reply::ERROR_RESPONSE | reply::PARAMETER_STATUS) {
            self.connection.note_at(self.cleared, tag, len)?;
        }
        let total = HEADER_LEN + len;
        let body = self.cleared + HEADER_LEN..self.cleared + total;
        match self.step(tag, body, client)? {
            Action::Forward => self.cleared += total,
            Action::Swallow => self.cut(total, output),
            Action::Replace(bytes) => {
                self.cut(total, output);
                output.extend_from_slice(&bytes);
            }
        }
        Ok(())
    }

    /// A message of which not all is there, or that is larger than is ever waited for: it passes
    /// on as it comes if nobody has to look into it. `None`: look at what comes behind it.
    #[cold]
    fn large(
        &mut self,
        tag: u8,
        total: usize,
        there: usize,
        client: &mut ClientState,
    ) -> Result<Option<Scanned>, LinkError> {
        let streams = is_streamed(tag) && total > STREAMED;
        let is_error = tag == reply::ERROR_RESPONSE;
        let looked_at = if streams { HEADER_LEN } else { total.min(MAX_LOOKED_INTO) };
        if there < looked_at {
            return Ok(Some(Scanned::More(self.cleared + looked_at)));
        }
        if !streams && !is_error {
            // Of these none is ever that long.
            return Err(self.connection.out_of_step());
        }
        if is_error {
            self.connection.note_at(self.cleared, tag, looked_at - HEADER_LEN)?;
        }
        let body = self.cleared + HEADER_LEN..self.cleared + looked_at;
        if self.step(tag, body, client)? != Action::Forward {
            // Nothing that is ours, or to be replaced, is that long.
            return Err(self.connection.out_of_step());
        }
        self.passing = total;
        Ok(if self.pass() { None } else { Some(Scanned::More(0)) })
    }

    /// Clears what has come of a large message; whether that was all of it.
    fn pass(&mut self) -> bool {
        let there = self.connection.received().len() - self.cleared;
        let passed = self.passing.min(there);
        self.cleared += passed;
        self.passing -= passed;
        self.passing == 0
    }

    /// Whether rows belong to the statement whose replies come now, and it is the client's.
    fn takes_rows(&self) -> bool {
        matches!(self.owed.front(), Some(Expect::Query(..) | Expect::Execute(_)))
    }

    /// Moves what is cleared to `output` and lets go of the `len` bytes behind it.
    pub(super) fn cut(&mut self, len: usize, output: &mut BytesMut) {
        let cleared = self.connection.received().get(..self.cleared).unwrap_or_default();
        output.extend_from_slice(cleared);
        self.connection.consume(self.cleared + len);
        self.cleared = 0;
    }

    /// A ReadyForQuery stands at `cleared`; `None`: the server owes more.
    fn ready(
        &mut self,
        client: &mut ClientState,
        output: &mut BytesMut,
    ) -> Result<Option<Scanned>, LinkError> {
        const LEN: usize = HEADER_LEN + 1;
        let is_own = self.unit_ended(client)?;
        self.hurried = false;
        if is_own {
            self.cut(LEN, output);
            self.synthesise(output);
            return Ok(None);
        }
        self.progressed = true;
        if self.status() == TransactionStatus::Idle {
            self.transaction_since = None;
        }
        let is_last = self.is_free();
        let idle = self.status() == TransactionStatus::Idle;
        if is_last && idle {
            self.reads_otherwise = false;
        }
        if is_last && idle && self.touched.is_some() {
            self.cut(LEN, output);
            let waits = self.settle_after_upload();
            return Ok(Some(if waits { Scanned::More(0) } else { Scanned::Unsettled }));
        }
        if !Arc::ptr_eq(&client.told, self.connection.parameters()) {
            self.cut(0, output);
            self.tell_parameters(client, output);
        }
        self.cleared += LEN;
        self.synthesise(output);
        Ok(is_last.then_some(Scanned::Ready))
    }

    /// Tells the client which reported parameters have other values than it knows.
    pub(super) fn tell_parameters(&mut self, client: &mut ClientState, output: &mut BytesMut) {
        let now = client.database.share_parameters(self.connection.parameters());
        self.connection.share_parameters(&now);
        client.database.tell_changes(output, &client.told, &now);
        client.told = now;
    }
}

/// Messages that are forwarded without being looked into.
fn is_streamed(tag: u8) -> bool {
    matches!(
        tag,
        reply::DATA_ROW
            | reply::COPY_DATA
            | reply::ROW_DESCRIPTION
            | reply::PARAMETER_DESCRIPTION
            | reply::FUNCTION_CALL_RESPONSE
            | reply::NOTICE_RESPONSE
            | reply::NOTIFICATION_RESPONSE
    )
}
