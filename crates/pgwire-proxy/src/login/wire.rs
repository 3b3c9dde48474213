//! The connection before its session: whole packets in, replies out. Bounded by what a login
//! needs.

use std::io;

use bytes::{Buf, BufMut, BytesMut};
use pool_manager::SqlState;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::Refusal;
use crate::auth::MAX_ANSWER;
use crate::message::startup;
use crate::message::{HEADER_LEN, request};
use crate::stream::ClientStream;

/// Room for one read; no login needs more at a time but a long startup packet.
const READ_CHUNK: usize = 1024;
/// Room for what a client is told at once when it is let in.
const USUAL_WELCOME: usize = 512;

pub(super) struct Wire {
    stream: ClientStream,
    input: BytesMut,
    output: BytesMut,
}

impl Wire {
    pub(super) fn new(stream: ClientStream) -> Self {
        Self { stream, input: BytesMut::new(), output: BytesMut::new() }
    }

    /// Queues what `write` appends.
    pub(super) fn say(&mut self, write: impl FnOnce(&mut BytesMut)) {
        self.output.reserve(USUAL_WELCOME);
        write(&mut self.output);
    }

    /// Queues the answer to a request for encryption.
    pub(super) fn refuse_encryption(&mut self) {
        self.output.put_u8(b'N');
    }

    /// Sends what is queued.
    pub(super) async fn send(&mut self) -> io::Result<()> {
        self.stream.write_all(&self.output).await?;
        self.output.clear();
        Ok(())
    }

    /// The connection, and what was read ahead of the session.
    pub(super) fn into_parts(self) -> (ClientStream, BytesMut) {
        // An idle client holds no buffer.
        let input = if self.input.is_empty() { BytesMut::new() } else { self.input };
        (self.stream, input)
    }

    /// Reads the next packet without a type byte, and says how long it is.
    pub(super) async fn packet(&mut self) -> Result<usize, Refusal> {
        self.fill(4).await?;
        let field = self.input.first_chunk().copied().unwrap_or_default();
        // Not PostgreSQL's protocol at all: whoever it is would not understand an answer.
        let len = startup::packet_len(field).map_err(|_| Refusal::Silent)?;
        self.fill(len).await?;
        Ok(len)
    }

    /// The first `len` bytes of what was read.
    pub(super) fn front(&self, len: usize) -> &[u8] {
        self.input.get(..len).unwrap_or_default()
    }

    /// Done with the first `len` bytes.
    pub(super) fn consume(&mut self, len: usize) {
        self.input.advance(len.min(self.input.len()));
    }

    /// The body of the next password message.
    pub(super) async fn answer(&mut self) -> Result<BytesMut, Refusal> {
        self.fill(HEADER_LEN).await?;
        let [tag, a, b, c, d] = self.input.first_chunk().copied().unwrap_or_default();
        let len = u32::from_be_bytes([a, b, c, d]) as usize;
        if tag != request::PASSWORD {
            let message = format!("expected password response, got message type {tag}");
            return Err(Refusal::new(SqlState::PROTOCOL_VIOLATION, message));
        }
        if !(4..=MAX_ANSWER).contains(&len) {
            return Err(Refusal::new(SqlState::PROTOCOL_VIOLATION, "invalid message length"));
        }
        self.fill(len + 1).await?;
        let mut message = self.input.split_to(len + 1);
        message.advance(HEADER_LEN);
        Ok(message)
    }

    /// Reads until `len` bytes are there.
    async fn fill(&mut self, len: usize) -> Result<(), Refusal> {
        while self.input.len() < len {
            self.input.reserve(READ_CHUNK.max(len - self.input.len()));
            if self.stream.read_buf(&mut self.input).await? == 0 {
                return Err(Refusal::Silent);
            }
        }
        Ok(())
    }
}
