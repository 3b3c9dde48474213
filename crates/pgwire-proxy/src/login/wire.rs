//! The connection before its session: whole packets in, replies out. Bounded by what a login
//! needs.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use bytes::{Buf, BufMut, BytesMut};
use pool_manager::SqlState;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::Refusal;
use crate::auth::MAX_ANSWER;
use crate::message::startup;
use crate::message::{HEADER_LEN, request};
use crate::stream::ClientStream;
use crate::tls::{self, TlsServer};

/// First byte of a TLS record that holds a handshake (RFC 8446, section 5.1).
const TLS_HANDSHAKE: u8 = 0x16;
/// Room for one read; no login needs more at a time but a long startup packet.
const READ_CHUNK: usize = 1024;
/// Room for what a client is told at once when it is let in.
const USUAL_WELCOME: usize = 512;

pub(super) struct Wire {
    /// Gone only while it becomes a TLS stream, and for good when that fails.
    stream: Option<ClientStream>,
    /// What SCRAM can bind a proof to.
    binding: Option<Arc<[u8]>>,
    input: BytesMut,
    output: BytesMut,
}

impl Wire {
    pub(super) fn new(stream: ClientStream) -> Self {
        let (input, output) = (BytesMut::new(), BytesMut::new());
        Self { stream: Some(stream), binding: None, input, output }
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

    /// Whether TLS is possible: by TCP, and not there yet.
    pub(super) fn is_plain_tcp(&self) -> bool {
        matches!(self.stream, Some(ClientStream::Tcp(_)))
    }

    /// Whether it is a socket of the file system, which needs no TLS.
    pub(super) fn is_unix(&self) -> bool {
        matches!(self.stream, Some(ClientStream::Unix(_)))
    }

    /// Whether the client begins with TLS instead of asking for it; nothing is taken.
    pub(super) async fn begins_with_tls(&self) -> io::Result<bool> {
        let Some(ClientStream::Tcp(stream)) = &self.stream else { return Ok(false) };
        let mut first = [0];
        Ok(stream.peek(&mut first).await? == 1 && first == [TLS_HANDSHAKE])
    }

    /// Agrees to what SSLRequest asks for. Bytes that have come behind it would be read as if they
    /// had come by TLS: nobody sends them who waits for the answer (CVE-2021-23214).
    pub(super) async fn agree_to_tls(&mut self, tls: &TlsServer) -> Result<(), Refusal> {
        if !self.input.is_empty() {
            let message = "received unencrypted data after SSL request";
            return Err(Refusal::new(SqlState::PROTOCOL_VIOLATION, message));
        }
        self.output.put_u8(b'S');
        self.send().await?;
        self.secure(tls).await.map(drop)
    }

    /// TLS without having been asked, which is for those only who name the protocol.
    pub(super) async fn begin_with_tls(&mut self, tls: &TlsServer) -> Result<(), Refusal> {
        if self.secure(tls).await? {
            return Ok(());
        }
        let message = "received direct SSL connection request without ALPN protocol negotiation";
        Err(Refusal::new(SqlState::PROTOCOL_VIOLATION, message))
    }

    /// The handshake; whether the client has named the protocol in it.
    async fn secure(&mut self, tls: &TlsServer) -> Result<bool, Refusal> {
        let Some(ClientStream::Tcp(stream)) = self.stream.take() else {
            return Err(Refusal::Silent);
        };
        let stream = tls.accept(stream).await.inspect_err(|error| {
            tracing::debug!("TLS handshake with a client failed: {error}");
        })?;
        let named = tls::speaks_postgresql(&stream);
        self.binding = tls.binding().cloned();
        self.stream = Some(ClientStream::Tls(stream));
        Ok(named)
    }

    /// What SCRAM can bind a proof to.
    pub(super) fn binding(&self) -> Option<Arc<[u8]>> {
        self.binding.clone()
    }

    /// Where the client is; `None` on a socket of the file system.
    pub(super) fn peer(&self) -> Option<IpAddr> {
        let tcp = match self.stream.as_ref()? {
            ClientStream::Tcp(stream) => stream,
            ClientStream::Tls(stream) => stream.get_ref().0,
            ClientStream::Unix(_) => return None,
        };
        // A client that is gone already is allowed nothing.
        Some(tcp.peer_addr().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.ip()))
    }

    /// Both ends of a TCP connection, and whether it is encrypted.
    pub(super) fn ends(&self) -> (Option<SocketAddr>, Option<SocketAddr>, bool) {
        let Some(stream) = &self.stream else { return (None, None, false) };
        let (peer, local) = stream.ends();
        (peer, local, stream.is_tls())
    }

    /// Whether it comes by a socket of the file system from a process of the user that this one is.
    pub(super) fn is_own_user(&self) -> bool {
        let Some(ClientStream::Unix(stream)) = &self.stream else { return false };
        stream.peer_cred().is_ok_and(|peer| peer.uid() == rustix::process::geteuid().as_raw())
    }

    /// Whether it comes from this machine.
    pub(super) fn is_local(&self) -> bool {
        self.peer().is_none_or(|peer| peer.to_canonical().is_loopback())
    }

    /// The common name in the certificate that the client has shown.
    pub(super) fn certified_name(&self) -> Option<String> {
        match &self.stream {
            Some(ClientStream::Tls(stream)) => tls::common_name(stream),
            _ => None,
        }
    }

    /// Sends what is queued.
    pub(super) async fn send(&mut self) -> io::Result<()> {
        let stream = self.stream.as_mut().ok_or(io::ErrorKind::NotConnected)?;
        stream.write_all(&self.output).await?;
        stream.flush().await?;
        self.output.clear();
        Ok(())
    }

    /// Sends what is queued, and nothing more.
    pub(super) async fn end(&mut self) -> io::Result<()> {
        self.send().await?;
        match &mut self.stream {
            Some(stream) => stream.shutdown().await,
            None => Ok(()),
        }
    }

    /// The connection, and what was read ahead of the session.
    pub(super) fn into_parts(self) -> (Option<ClientStream>, BytesMut) {
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
            let stream = self.stream.as_mut().ok_or(Refusal::Silent)?;
            if stream.read_buf(&mut self.input).await? == 0 {
                return Err(Refusal::Silent);
            }
        }
        Ok(())
    }
}
