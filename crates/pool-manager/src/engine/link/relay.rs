//! The link in the hands of a relay, which forwards a client's own messages and looks at the
//! replies itself, in place, where they were received. What a message says about the session is
//! followed here all the same; who gets to see it is the relay's business.

use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite};

use super::{HEADER_LEN, Link, LinkError, Parameters, READ_CHUNK};

/// Longest ErrorResponse or other message that [`Link::note_at`] is ever asked to look into, bytes.
/// Servers keep theirs far below.
pub(crate) const MAX_NOTED: usize = 64 * 1024;

impl<S: AsyncRead + AsyncWrite + Unpin> Link<S> {
    /// Where whole frontend messages are put, to be sent by the next
    /// [`poll_receive`](Self::poll_receive) or [`poll_send`](Self::poll_send).
    pub(crate) fn outgoing(&mut self) -> &mut BytesMut {
        &mut self.outgoing
    }

    /// Counts a ReadyForQuery that is to come: before its Query, or before the first message of
    /// the batch that its Sync will end.
    pub(crate) fn owe(&mut self) {
        self.owed += 1;
    }

    /// How many ReadyForQuery are to come.
    pub(crate) fn owed(&self) -> u32 {
        self.owed
    }

    /// Bytes that have not reached the socket.
    pub(crate) fn unsent(&self) -> usize {
        self.outgoing.len()
    }

    /// What was received and not [consumed](Self::consume): whole messages and the begin of one.
    pub(crate) fn received(&self) -> &[u8] {
        self.incoming.get(self.consumed..).unwrap_or_default()
    }

    /// Lets go of the first `len` bytes of [`received`](Self::received).
    pub(crate) fn consume(&mut self, len: usize) {
        self.incoming.advance(self.consumed + len);
        self.consumed = 0;
    }

    /// Tag and body length of the message that begins at `at` in [`received`](Self::received), as
    /// soon as its header is there.
    pub(crate) fn header_at(&mut self, at: usize) -> Result<Option<(u8, usize)>, LinkError> {
        let Some(&[tag, a, b, c, d]) = self.received().get(at..).and_then(|b| b.first_chunk())
        else {
            return Ok(None);
        };
        match (u32::from_be_bytes([a, b, c, d]) as usize).checked_sub(4) {
            Some(body) if body <= i32::MAX as usize => Ok(Some((tag, body))),
            _ => {
                self.dead = true;
                Err(LinkError::Protocol("impossible message length"))
            }
        }
    }

    /// Follows what the whole message at `at` says about the session.
    pub(crate) fn note_at(&mut self, at: usize, tag: u8, len: usize) -> Result<(), LinkError> {
        self.note(tag, self.consumed + at + HEADER_LEN, len.min(MAX_NOTED))
    }

    /// Writes what is queued; ready when all of it has reached the socket. A failure shows only
    /// when reading: the server's farewell may still be readable.
    pub(crate) fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match self.poll_flush(cx) {
            Poll::Ready(Ok(())) => Poll::Ready(()),
            _ => Poll::Pending,
        }
    }

    /// Writes what is queued and reads once, with room for at least `wanted` bytes of what is not
    /// consumed. Ready when something was read.
    pub(crate) fn poll_receive(
        &mut self,
        cx: &mut Context<'_>,
        wanted: usize,
    ) -> Poll<Result<(), LinkError>> {
        self.release_consumed();
        if self.incoming.capacity() < wanted {
            let missing = wanted.saturating_sub(self.incoming.len());
            self.incoming.reserve(missing + READ_CHUNK);
        }
        let result = ready!(self.poll_drive(cx));
        self.dead |= result.is_err();
        Poll::Ready(result)
    }

    /// Has these kept in place of the equal ones that were received.
    pub(crate) fn share_parameters(&mut self, parameters: &Arc<Parameters>) {
        if *self.parameters == **parameters {
            self.parameters = Arc::clone(parameters);
        }
    }

    /// A Sync that the server took while it read the data of a COPY: it is not answered.
    pub(crate) fn forgive(&mut self) {
        self.owed = self.owed.saturating_sub(1);
    }
}
