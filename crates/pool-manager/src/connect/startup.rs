//! The stream that tokio-postgres sees while it starts a session. It hands over one whole backend
//! message at a time and nothing after the first ReadyForQuery, so that the real stream can be
//! taken back with no byte lost; and it notes what the server reports. It never answers a message.
//!
//! Lengths are checked before anything is allocated. That also bounds what a hostile server can
//! put into a SCRAM exchange, such as an endless nonce (the class of CVE-2026-6665); SCRAM's
//! iteration count is capped by postgres-protocol (0.6.12: 100,000).

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::error::ConnectCause;
use crate::server_error::ServerError;

/// Longest backend message during startup, its type byte included. PostgreSQL's own are below a
/// few hundred bytes; a server's error text is the longest that may come.
pub(super) const MAX_STARTUP_MESSAGE: usize = 64 * 1024;
/// Bound on all messages of one startup together.
pub(super) const MAX_STARTUP_BYTES: usize = 1024 * 1024;
/// Type byte and length.
const HEADER: usize = 5;

/// What happens once the session is ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Afterwards {
    /// The stream is taken back: nothing more is read or written through here.
    HandBack,
    /// The stream stays with tokio-postgres: bytes pass as they come.
    PassThrough,
}

/// Where the reading side stands.
///
/// ```text
/// Header --length known--> Body --complete--> Handover --given--> Header
///                                                 `--was ReadyForQuery--> Over
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Header,
    Body,
    Handover { given: usize },
    Over,
}

/// Identifies a session to the server when one of its statements is to be cancelled.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct BackendKey {
    pub(super) process_id: i32,
    pub(super) secret: i32,
}

impl fmt::Debug for BackendKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// What the server said during startup.
#[derive(Debug, Default)]
pub(super) struct Record {
    /// Every ParameterStatus, the last value of each.
    pub(super) parameters: BTreeMap<String, String>,
    /// BackendKeyData.
    pub(super) key: Option<BackendKey>,
    /// The ErrorResponse that ended it.
    pub(super) error: Option<ServerError>,
    /// Whether the server got as far as authentication: a refusal before that is pg_hba's.
    pub(super) authenticating: bool,
    /// Whether it asked for a password in any form.
    pub(super) password_asked: bool,
    /// What went wrong on the stream itself.
    pub(super) failure: Option<ConnectCause>,
}

/// A record that outlives the stream it is made on.
#[derive(Debug, Clone, Default)]
pub(super) struct SharedRecord(Arc<Mutex<Record>>);

impl SharedRecord {
    /// What was noted so far; leaves an empty record behind.
    pub(super) fn take(&self) -> Record {
        self.with(std::mem::take)
    }

    fn with<T>(&self, f: impl FnOnce(&mut Record) -> T) -> T {
        f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A stream during startup.
pub(super) struct Startup<S> {
    stream: S,
    afterwards: Afterwards,
    phase: Phase,
    /// The current message, as long as it is known to become.
    message: Vec<u8>,
    /// How much of it has arrived.
    filled: usize,
    total: usize,
    record: SharedRecord,
}

impl<S> Startup<S> {
    /// Wraps a stream on which nothing of the session has been sent yet.
    pub(super) fn new(stream: S, afterwards: Afterwards, record: SharedRecord) -> Self {
        Self {
            stream,
            afterwards,
            phase: Phase::Header,
            message: vec![0; HEADER],
            filled: 0,
            total: 0,
            record,
        }
    }

    /// The stream itself, exactly behind ReadyForQuery; `None` while startup is under way, when
    /// bytes may already have been read.
    pub(super) fn into_stream(self) -> Option<S> {
        (self.phase == Phase::Over).then_some(self.stream)
    }

    fn fail(&self, cause: ConnectCause) -> io::Error {
        let error = io::Error::new(io::ErrorKind::InvalidData, cause.to_string());
        self.record.with(|record| {
            record.failure.get_or_insert(cause);
        });
        error
    }

    fn passes_through(&self) -> bool {
        self.phase == Phase::Over && self.afterwards == Afterwards::PassThrough
    }

    fn is_closed_to_writes(&self) -> bool {
        self.phase == Phase::Over && self.afterwards == Afterwards::HandBack
    }

    /// Learns the length of the message whose header has arrived.
    fn read_header(&mut self) -> io::Result<()> {
        let length = match self.message.get(1..HEADER).map(<[u8; 4]>::try_from) {
            Some(Ok(bytes)) => u32::from_be_bytes(bytes),
            _ => 0,
        };
        let total = usize::try_from(length).unwrap_or(usize::MAX).saturating_add(1);
        if !(HEADER..=MAX_STARTUP_MESSAGE).contains(&total) {
            let text = format!("a message of {length} bytes during startup");
            return Err(self.fail(ConnectCause::Protocol(text)));
        }
        self.total = self.total.saturating_add(total);
        if self.total > MAX_STARTUP_BYTES {
            let text = format!("more than {MAX_STARTUP_BYTES} bytes during startup");
            return Err(self.fail(ConnectCause::Protocol(text)));
        }
        self.message.resize(total, 0);
        self.phase = Phase::Body;
        Ok(())
    }

    fn note_message(&mut self) {
        let (Some(tag), Some(body)) = (self.message.first(), self.message.get(HEADER..)) else {
            return;
        };
        self.record.with(|record| record.note(*tag, body));
    }

    /// After a message was handed over whole.
    fn next_message(&mut self) {
        if self.message.first() == Some(&b'Z') {
            self.phase = Phase::Over;
            self.message = Vec::new();
        } else {
            self.phase = Phase::Header;
            self.message.truncate(HEADER);
        }
        self.filled = 0;
    }
}

impl Record {
    fn note(&mut self, tag: u8, body: &[u8]) {
        match tag {
            b'E' => self.error = Some(ServerError::from_body(body)),
            b'K' => self.key = read_key(body),
            b'R' => {
                self.authenticating = true;
                self.password_asked |= matches!(body, [0, 0, 0, 3 | 5 | 10, ..]);
            }
            b'S' => {
                let mut texts = body.split(|byte| *byte == 0).map(String::from_utf8_lossy);
                if let (Some(name), Some(value)) = (texts.next(), texts.next()) {
                    self.parameters.insert(name.into_owned(), value.into_owned());
                }
            }
            _ => {}
        }
    }
}

fn read_key(body: &[u8]) -> Option<BackendKey> {
    let (process_id, secret) = body.split_first_chunk::<4>()?;
    let secret = <[u8; 4]>::try_from(secret).ok()?;
    Some(BackendKey {
        process_id: i32::from_be_bytes(*process_id),
        secret: i32::from_be_bytes(secret),
    })
}

impl<S: AsyncRead + Unpin> Startup<S> {
    /// Reads until the current part of the message is complete; `false` at the end of the stream.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        loop {
            let rest = self.message.get_mut(self.filled..).unwrap_or_default();
            if rest.is_empty() {
                return Poll::Ready(Ok(true));
            }
            let mut rest = ReadBuf::new(rest);
            match ready!(Pin::new(&mut self.stream).poll_read(cx, &mut rest)) {
                Ok(()) if rest.filled().is_empty() => {
                    self.fail(ConnectCause::Closed);
                    return Poll::Ready(Ok(false));
                }
                Ok(()) => self.filled += rest.filled().len(),
                Err(error) => {
                    return Poll::Ready(Err(self.fail(ConnectCause::from_io(error))));
                }
            }
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Startup<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        loop {
            match this.phase {
                Phase::Header => {
                    if !ready!(this.poll_fill(cx))? {
                        return Poll::Ready(Ok(()));
                    }
                    this.read_header()?;
                }
                Phase::Body => {
                    if !ready!(this.poll_fill(cx))? {
                        return Poll::Ready(Ok(()));
                    }
                    this.note_message();
                    this.phase = Phase::Handover { given: 0 };
                }
                Phase::Handover { given } => {
                    let rest = this.message.get(given..).unwrap_or_default();
                    let part = rest.get(..buf.remaining().min(rest.len())).unwrap_or_default();
                    buf.put_slice(part);
                    let given = given + part.len();
                    this.phase = Phase::Handover { given };
                    if given == this.message.len() {
                        this.next_message();
                    }
                    return Poll::Ready(Ok(()));
                }
                Phase::Over if this.passes_through() => {
                    return Pin::new(&mut this.stream).poll_read(cx, buf);
                }
                Phase::Over => return Poll::Ready(Err(startup_is_over())),
            }
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Startup<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.is_closed_to_writes() {
            return Poll::Ready(Err(startup_is_over()));
        }
        let result = ready!(Pin::new(&mut this.stream).poll_write(cx, buf));
        Poll::Ready(result.map_err(|error| this.fail(ConnectCause::from_io(error))))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let result = ready!(Pin::new(&mut this.stream).poll_flush(cx));
        Poll::Ready(result.map_err(|error| this.fail(ConnectCause::from_io(error))))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.is_closed_to_writes() {
            return Poll::Ready(Err(startup_is_over()));
        }
        Pin::new(&mut this.stream).poll_shutdown(cx)
    }
}

fn startup_is_over() -> io::Error {
    io::Error::other("startup is over, the stream belongs to somebody else")
}

#[cfg(test)]
#[path = "startup_tests.rs"]
mod tests;
