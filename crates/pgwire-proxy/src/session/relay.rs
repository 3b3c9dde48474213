//! From the server to the client: what was received is looked at where it lies, message by
//! message; runs of messages that are the client's go out as they are, without being copied.

use std::sync::Arc;

use bytes::BytesMut;
use pool_manager::{LinkError, TransactionStatus};

use super::ClientState;
use super::attached::Attached;
use super::replies::Action;
use crate::message::{HEADER_LEN, backend, reply};

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
        loop {
            if self.passing > 0 {
                let there = self.connection.received().len() - self.cleared;
                let passed = self.passing.min(there);
                self.cleared += passed;
                self.passing -= passed;
                if self.passing > 0 {
                    return Ok(Scanned::More(0));
                }
            }
            let at = self.cleared;
            let Some((tag, len)) = self.connection.header_at(at)? else {
                return Ok(Scanned::More(at + HEADER_LEN));
            };
            let total = HEADER_LEN + len;
            let there = self.connection.received().len() - at;
            let streams = total > STREAMED && is_streamed(tag);
            let looked_at = if streams { HEADER_LEN } else { total.min(MAX_LOOKED_INTO) };
            if there < looked_at {
                return Ok(Scanned::More(at + looked_at));
            }
            if !streams && total > MAX_LOOKED_INTO && tag != reply::ERROR_RESPONSE {
                return Err(self.connection.out_of_step());
            }
            match tag {
                reply::ERROR_RESPONSE | reply::READY_FOR_QUERY | reply::PARAMETER_STATUS => {
                    self.connection.note_at(at, tag, looked_at - HEADER_LEN)?;
                }
                _ => {}
            }
            if tag == reply::READY_FOR_QUERY {
                match self.ready(client, output)? {
                    Some(scanned) => return Ok(scanned),
                    None => continue,
                }
            }
            let body = at + HEADER_LEN..at + looked_at;
            match self.step(tag, body, client)? {
                Action::Forward => {
                    self.cleared += total.min(there);
                    self.passing = total.saturating_sub(there);
                }
                Action::Swallow => {
                    if there < total {
                        return Err(self.connection.out_of_step());
                    }
                    self.cut(total, output);
                }
                Action::Replace(bytes) => {
                    if there < total {
                        return Err(self.connection.out_of_step());
                    }
                    self.cut(total, output);
                    output.extend_from_slice(&bytes);
                }
            }
            self.synthesise(output);
        }
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
        let is_own = self.unit_ended()?;
        if is_own {
            self.cut(LEN, output);
            self.synthesise(output);
            return Ok(None);
        }
        let is_last = self.is_free();
        let idle = self.status() == TransactionStatus::Idle;
        if is_last && idle && self.touched.is_some() {
            self.cut(LEN, output);
            return Ok(Some(Scanned::Unsettled));
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
        backend::changed_parameters(output, &client.told, &now);
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
