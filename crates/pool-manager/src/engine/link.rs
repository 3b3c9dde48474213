//! One server connection: buffers, framing, owed replies, status and reported parameters.

mod relay;

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};

use super::frame::{Frame, TransactionStatus, tag};
use super::request::Request;
use crate::server_error::ServerError;

/// Most parameters that a server may report; PostgreSQL has about 15 such.
const MAX_PARAMETERS: usize = 1024;
/// Longest report of one, bytes.
const MAX_PARAMETER: usize = 64 * 1024;
/// Tag and length in front of every backend message.
const HEADER_LEN: usize = 5;
/// Room made in the read buffer before a read.
const READ_CHUNK: usize = 16 * 1024;
/// A buffer that grew past this is given back to the allocator once it is empty.
const KEEP_CAPACITY: usize = 64 * 1024;

/// What a session reports about itself by ParameterStatus, by name.
pub type Parameters = BTreeMap<String, String>;

/// Why a server connection can no longer be used.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// The server ended the connection, after this error if it sent one.
    #[error("server closed the connection unexpectedly")]
    Closed(Option<Box<ServerError>>),
    /// Reading or writing failed.
    #[error("connection to the server failed: {0}")]
    Io(#[source] io::Error),
    /// The server sent what the protocol does not allow here.
    #[error("protocol violation by the server: {0}")]
    Protocol(&'static str),
}

/// A server connection after startup, over stream `S`.
///
/// Every method is cancel safe in this sense: the reading and writing state lives here, not in
/// the future, so a dropped future leaves a connection that knows it is busy.
pub(crate) struct Link<S> {
    stream: S,
    incoming: BytesMut,
    outgoing: BytesMut,
    /// Bytes at the front of `incoming` that belong to the frame handed out last.
    consumed: usize,
    /// Bytes of an oversized message still to be thrown away.
    skip: usize,
    owed: u32,
    needs_flush: bool,
    dead: bool,
    /// The end came from the server, not from the network between us.
    ended_by_server: bool,
    /// It ended without a word of the server's.
    lost: bool,
    status: TransactionStatus,
    parameters: Arc<Parameters>,
    standard_strings: bool,
    parameter_changes: u64,
    last_fatal: Option<Box<ServerError>>,
    max_message: usize,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Link<S> {
    /// Takes over `stream` right after the first ReadyForQuery. Messages whose body is longer
    /// than `max_message` bytes are reported and thrown away instead of being buffered.
    pub(crate) fn new(stream: S, parameters: Parameters, max_message: usize) -> Self {
        Self {
            stream,
            incoming: BytesMut::new(),
            outgoing: BytesMut::new(),
            consumed: 0,
            skip: 0,
            owed: 0,
            needs_flush: false,
            dead: false,
            ended_by_server: false,
            lost: false,
            status: TransactionStatus::Idle,
            standard_strings: says_standard_strings(&parameters),
            parameters: Arc::new(parameters),
            parameter_changes: 0,
            last_fatal: None,
            max_message,
        }
    }

    /// Status in the last ReadyForQuery.
    pub(crate) fn status(&self) -> TransactionStatus {
        self.status
    }

    /// Whether strings mean to the server what our tokeniser takes them for.
    pub(crate) fn has_standard_strings(&self) -> bool {
        self.standard_strings
    }

    /// What the session has reported about itself.
    pub(crate) fn parameters(&self) -> &Arc<Parameters> {
        &self.parameters
    }

    /// How often a reported parameter has changed its value.
    pub(crate) fn parameter_changes(&self) -> u64 {
        self.parameter_changes
    }

    /// Whether part of what was queued has not reached the socket: the server has then not seen
    /// the end of the last batch.
    pub(crate) fn has_unsent(&self) -> bool {
        !self.outgoing.is_empty()
    }

    /// Whether every reply was read and no byte waits in either direction.
    pub(crate) fn at_rest(&self) -> bool {
        !self.dead
            && self.owed == 0
            && self.skip == 0
            && self.outgoing.is_empty()
            && self.incoming.len() == self.consumed
    }

    /// Whether the next caller may have this connection: at rest and outside a transaction.
    pub(crate) fn is_quiet(&self) -> bool {
        self.at_rest() && self.status == TransactionStatus::Idle
    }

    /// Declares the connection unusable: the server sent what is not expected here.
    pub(crate) fn out_of_step(&mut self) -> LinkError {
        self.dead = true;
        LinkError::Protocol("unexpected message")
    }

    /// Largest message body that is buffered, bytes.
    pub(crate) fn max_message(&self) -> usize {
        self.max_message
    }

    /// Whether the server or the network ended it.
    pub(crate) fn is_dead(&self) -> bool {
        self.dead
    }

    /// Whether it was cut off: by a network or a server that fails, not by one that says why.
    pub(crate) fn is_lost(&self) -> bool {
        self.lost
    }

    /// Whether the server may still be working for this connection: also after the network has
    /// lost it, which the server notices only when it next writes.
    pub(crate) fn may_be_running(&self) -> bool {
        self.owed > 0 && !self.ended_by_server
    }

    /// Queues messages. From here on the connection is busy until their replies were read.
    pub(crate) fn request(&mut self) -> Request<'_> {
        Request::new(&mut self.outgoing, &mut self.owed)
    }

    /// The next message of the server that is not a notice, a notification or a parameter
    /// report; writes what is queued while it waits, so that neither side can block the other.
    pub(crate) async fn next(&mut self) -> Result<Frame<'_>, LinkError> {
        self.release_consumed();
        let (tag, len) = loop {
            if let Some((tag, len)) = self.header()? {
                let total = HEADER_LEN + len;
                if len > self.max_message {
                    if matches!(tag, tag::NOTICE_RESPONSE | tag::NOTIFICATION_RESPONSE) {
                        self.skip_message(len);
                        continue;
                    }
                    return self.oversized(tag, len);
                }
                if self.incoming.len() >= total {
                    if self.absorb(tag, len)? {
                        self.incoming.advance(total);
                        continue;
                    }
                    break (tag, len);
                }
                // What is missing and the room that reading wants besides: growing by doubling, here
                // or there, would take twice a large value.
                let missing = total - self.incoming.len();
                if self.incoming.capacity() < total {
                    self.incoming.reserve(missing + READ_CHUNK);
                }
            }
            poll_fn(|cx| self.poll_drive(cx)).await?;
        };
        self.consumed = HEADER_LEN + len;
        let body = self.incoming.get(HEADER_LEN..HEADER_LEN + len).unwrap_or_default();
        Ok(Frame { tag, body, oversized: None })
    }

    /// Reads what a connection at rest may have been sent meanwhile, without waiting. An error
    /// means that it is unusable: the server ended it, with a farewell or without.
    pub(crate) fn check(&mut self, cx: &mut Context<'_>) -> Result<(), LinkError> {
        self.release_consumed();
        let outcome = self.read_unasked(cx);
        self.dead |= outcome.is_err();
        outcome
    }

    fn read_unasked(&mut self, cx: &mut Context<'_>) -> Result<(), LinkError> {
        loop {
            while let Some((tag, len)) = self.header()? {
                let total = HEADER_LEN + len;
                if len > self.max_message {
                    return Err(LinkError::Protocol("an oversized message that nobody asked for"));
                }
                if self.incoming.len() < total {
                    break;
                }
                // An ErrorResponse is the farewell of a server that closes next.
                if !self.absorb(tag, len)? && tag != tag::ERROR_RESPONSE {
                    return Err(LinkError::Protocol("a message that nobody asked for"));
                }
                self.incoming.advance(total);
            }
            match self.poll_drive(cx) {
                Poll::Ready(result) => result?,
                Poll::Pending if self.last_fatal.is_some() => {
                    return Err(LinkError::Closed(self.last_fatal.take()));
                }
                Poll::Pending if self.at_rest() => return Ok(()),
                Poll::Pending => return Err(LinkError::Protocol("half a message out of turn")),
            }
        }
    }

    /// Says goodbye and waits for the server's end of file: only then is its slot free.
    /// Whatever else it sends is thrown away. Bounded by the caller.
    ///
    /// A request that is only partly sent is not completed: the server sees the stream end in
    /// the middle of a message and never executes it.
    pub(crate) async fn terminate(&mut self) {
        let cut_off = self.has_unsent();
        if cut_off {
            self.outgoing.clear();
            if poll_fn(|cx| Pin::new(&mut self.stream).poll_shutdown(cx)).await.is_err() {
                self.dead = true;
            }
        } else {
            self.outgoing.extend_from_slice(&[b'X', 0, 0, 0, 4]);
        }
        while !self.dead {
            self.consumed = 0;
            self.incoming.clear();
            if poll_fn(|cx| self.poll_drive(cx)).await.is_err() {
                return;
            }
        }
    }

    /// Gives memory back after a large message.
    pub(crate) fn shrink(&mut self) {
        self.release_consumed();
        for buffer in [&mut self.incoming, &mut self.outgoing] {
            // Capacity counts only what is left behind the bytes already consumed; reclaiming,
            // which moves nothing in an empty buffer, shows what is really allocated.
            if buffer.is_empty() && buffer.try_reclaim(KEEP_CAPACITY + 1) {
                *buffer = BytesMut::new();
            }
        }
    }

    fn release_consumed(&mut self) {
        self.incoming.advance(self.consumed);
        self.consumed = 0;
    }

    /// Tag and body length of the message at the front, when its header is complete.
    fn header(&mut self) -> Result<Option<(u8, usize)>, LinkError> {
        let &[tag, a, b, c, d, ..] = &self.incoming[..] else { return Ok(None) };
        let len = u32::from_be_bytes([a, b, c, d]) as usize;
        match len.checked_sub(4) {
            Some(body) if body <= i32::MAX as usize => Ok(Some((tag, body))),
            _ => {
                self.dead = true;
                Err(LinkError::Protocol("impossible message length"))
            }
        }
    }

    fn oversized(&mut self, tag: u8, len: usize) -> Result<Frame<'_>, LinkError> {
        if self.owed == 0 {
            self.dead = true;
            return Err(LinkError::Protocol("an oversized message that nobody asked for"));
        }
        self.skip_message(len);
        Ok(Frame { tag, body: &[], oversized: Some(len) })
    }

    /// Throws the message at the front away, what has not arrived of it included.
    fn skip_message(&mut self, len: usize) {
        let total = HEADER_LEN + len;
        let have = self.incoming.len().min(total);
        self.incoming.advance(have);
        self.skip = total - have;
    }

    /// Takes note of the complete message at the front; `true` when nobody needs to see it.
    fn absorb(&mut self, tag: u8, len: usize) -> Result<bool, LinkError> {
        match tag {
            tag::NOTICE_RESPONSE | tag::NOTIFICATION_RESPONSE => Ok(true),
            tag::PARAMETER_STATUS | tag::READY_FOR_QUERY | tag::ERROR_RESPONSE => {
                self.note(tag, HEADER_LEN, len)?;
                Ok(tag == tag::PARAMETER_STATUS)
            }
            _ if self.owed == 0 => {
                self.dead = true;
                Err(LinkError::Protocol("a message that nobody asked for"))
            }
            _ => Ok(false),
        }
    }

    /// Follows what a message says about the session itself; its body is `len` bytes at `from`.
    fn note(&mut self, tag: u8, from: usize, len: usize) -> Result<(), LinkError> {
        let body = self.incoming.get(from..from + len).unwrap_or_default();
        match tag {
            tag::PARAMETER_STATUS => {
                let mut texts = body.split(|b| *b == 0).map(String::from_utf8_lossy);
                if let (Some(name), Some(value)) = (texts.next(), texts.next())
                    && self.parameters.get(&*name).map(String::as_str) != Some(&*value)
                {
                    let parameters = Arc::make_mut(&mut self.parameters);
                    parameters.insert(name.into_owned(), value.into_owned());
                    self.standard_strings = says_standard_strings(parameters);
                    self.parameter_changes += 1;
                }
                if len > MAX_PARAMETER || self.parameters.len() > MAX_PARAMETERS {
                    self.dead = true;
                    return Err(LinkError::Protocol("more reported parameters than there are"));
                }
            }
            tag::READY_FOR_QUERY => {
                match (TransactionStatus::parse(body), self.owed.checked_sub(1)) {
                    (Some(status), Some(owed)) => {
                        self.status = status;
                        self.owed = owed;
                    }
                    _ => {
                        self.dead = true;
                        return Err(LinkError::Protocol("unexpected ReadyForQuery"));
                    }
                }
            }
            tag::ERROR_RESPONSE => {
                let error = ServerError::from_body(body);
                if error.is_fatal() {
                    self.last_fatal = Some(Box::new(error));
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Writes what is queued and reads what is there; ready once something was read.
    fn poll_drive(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkError>> {
        // A failed write is not the end: the server's farewell may still be readable.
        let write = self.poll_flush(cx);
        match self.poll_read(cx) {
            Poll::Pending => match write {
                Poll::Ready(Err(error)) => Poll::Ready(Err(self.fail(error))),
                _ => Poll::Pending,
            },
            Poll::Ready(Ok(0)) => {
                self.dead = true;
                self.ended_by_server = true;
                self.lost = self.last_fatal.is_none();
                Poll::Ready(Err(LinkError::Closed(self.last_fatal.take())))
            }
            Poll::Ready(Ok(_)) => Poll::Ready(Ok(())),
            Poll::Ready(Err(error)) => Poll::Ready(Err(self.fail(error))),
        }
    }

    fn fail(&mut self, error: io::Error) -> LinkError {
        self.dead = true;
        match self.last_fatal.take() {
            Some(fatal) => {
                self.ended_by_server = true;
                LinkError::Closed(Some(fatal))
            }
            None => {
                self.lost = true;
                LinkError::Io(error)
            }
        }
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.outgoing.is_empty() {
            match Pin::new(&mut self.stream).poll_write(cx, &self.outgoing) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(n)) => {
                    self.outgoing.advance(n);
                    self.needs_flush = true;
                }
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => return Poll::Pending,
            }
        }
        if self.needs_flush {
            match Pin::new(&mut self.stream).poll_flush(cx) {
                Poll::Ready(Ok(())) => self.needs_flush = false,
                other => return other,
            }
        }
        Poll::Ready(Ok(()))
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if self.incoming.capacity() - self.incoming.len() < READ_CHUNK / 4 {
            self.incoming.reserve(READ_CHUNK);
        }
        let read = pin!(self.stream.read_buf(&mut self.incoming)).poll(cx);
        if let Poll::Ready(Ok(n)) = read {
            let skipped = self.skip.min(self.incoming.len());
            self.incoming.advance(skipped);
            self.skip -= skipped;
            return Poll::Ready(Ok(n));
        }
        read
    }
}

fn says_standard_strings(parameters: &Parameters) -> bool {
    // In these encodings a byte of ASCII may be the end of another character.
    let odd = ["BIG5", "GBK", "GB18030", "JOHAB", "SJIS", "SHIFT_JIS_2004", "UHC"];
    let encoding = parameters.get("client_encoding");
    let plain = encoding.is_none_or(|name| !odd.iter().any(|odd| name.eq_ignore_ascii_case(odd)));
    plain && parameters.get("standard_conforming_strings").is_none_or(|value| value == "on")
}

#[cfg(test)]
mod tests;
