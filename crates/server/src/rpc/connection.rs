//! One RPC connection: frames in, replies out in the order in which calls finish.
//!
//! All calls of a connection run inside its task: when the client goes away the task drops them,
//! which cancels their statements. An idle connection holds no buffer and is never closed by us:
//! PHP's goridge does not reconnect.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{self, Poll, ready};
use std::time::Instant;

use bytes::{Buf, BytesMut};
use futures_util::stream::{FuturesUnordered, Stream};
use goridge_framing::{FrameError, RpcDecoder, RpcFrame};
use pool_manager::{Owner, RateExceeded, RateLimit, RequestBucket};
use tokio::io::AsyncReadExt;
use tokio::net::{TcpStream, UnixStream};

use super::dispatch::{answer, counts};
use super::service::{Context, Service, Writes};
use super::stray::{self, Stray};
use crate::listen::{Accepted, Place};

/// Room made for reading when nothing is known about the frame to come.
const READ_CHUNK: usize = 4 * 1024;
/// Bytes that may wait unserved in our buffer while as many calls run as may run.
const READ_AHEAD: usize = READ_CHUNK;
/// Most that is made room for at once; a large frame grows the buffer as it arrives.
const MAX_READ_CHUNK: usize = 1024 * 1024;

/// A client's socket.
enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Socket {
    fn poll_read_ready(&self, cx: &mut task::Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(stream) => stream.poll_read_ready(cx),
            Self::Unix(stream) => stream.poll_read_ready(cx),
        }
    }

    fn poll_write_ready(&self, cx: &mut task::Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(stream) => stream.poll_write_ready(cx),
            Self::Unix(stream) => stream.poll_write_ready(cx),
        }
    }

    /// Not `try_read`: only this one learns from a short read that there is no more, and saves
    /// the system call that would say so.
    fn poll_read(
        &mut self,
        cx: &mut task::Context<'_>,
        buffer: &mut BytesMut,
    ) -> Poll<io::Result<usize>> {
        match self {
            Self::Tcp(stream) => pin!(stream.read_buf(buffer)).poll(cx),
            Self::Unix(stream) => pin!(stream.read_buf(buffer)).poll(cx),
        }
    }

    fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.try_write(bytes),
            Self::Unix(stream) => stream.try_write(bytes),
        }
    }
}

/// Serves one client until it goes away or breaks the protocol. `_place` is its place among those
/// that may be connected.
pub async fn serve_client(service: Arc<Service>, socket: Accepted, _place: Place) {
    let socket = match socket {
        Accepted::Tcp(stream) => Socket::Tcp(stream),
        Accepted::Unix(stream) => Socket::Unix(stream),
    };
    match Connection::new(socket, service).serve().await {
        ConnectionEnd::Closed => {}
        ConnectionEnd::Stray => {
            tracing::warn!(
                "a PostgreSQL client has come to rpc.listen; it belongs to proxy.address"
            );
        }
        ConnectionEnd::Io(error) => tracing::debug!("RPC client lost: {error}"),
        ConnectionEnd::Frame(error) => {
            tracing::warn!("RPC client disconnected, its bytes are no goridge frame: {error}");
        }
    }
}

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
enum ConnectionEnd {
    #[error("the client closed the connection")]
    Closed,
    #[error("socket: {0}")]
    Io(#[from] io::Error),
    #[error("not a goridge frame: {0}")]
    Frame(#[from] FrameError),
    #[error("a PostgreSQL client")]
    Stray,
}

type Call = Pin<Box<dyn Future<Output = Vec<u8>> + Send>>;

/// A client's connection and the calls it has in flight.
struct Connection {
    socket: Socket,
    service: Arc<Service>,
    owner: Owner,
    writes: Arc<Writes>,
    /// How often it may ask, as far as it knows.
    limit: Option<RateLimit>,
    /// What it may still ask, where that is limited.
    bucket: Option<RequestBucket>,
    decoder: RpcDecoder,
    /// Requests that may be in flight.
    max_in_flight: usize,
    incoming: BytesMut,
    calls: FuturesUnordered<Call>,
    replies: VecDeque<Vec<u8>>,
    /// Bytes of the first reply that were written.
    written: usize,
}

impl Connection {
    fn new(socket: Socket, service: Arc<Service>) -> Self {
        Self {
            owner: service.client_came(),
            writes: Arc::default(),
            limit: None,
            bucket: None,
            decoder: RpcDecoder::new(service.live().options.max_frame_size),
            max_in_flight: service.live().options.max_in_flight,
            socket,
            service,
            incoming: BytesMut::new(),
            calls: FuturesUnordered::new(),
            replies: VecDeque::new(),
            written: 0,
        }
    }

    /// Serves the client until it goes away or breaks the protocol.
    async fn serve(mut self) -> ConnectionEnd {
        match poll_fn(|cx| self.poll(cx)).await {
            Ok(never) => match never {},
            Err(end) => end,
        }
    }

    /// Never ready but when the connection ends.
    fn poll(
        &mut self,
        cx: &mut task::Context<'_>,
    ) -> Poll<Result<std::convert::Infallible, ConnectionEnd>> {
        loop {
            self.start_calls()?;
            let taken = self.in_flight();
            self.poll_calls(cx);
            self.poll_write(cx)?;
            if self.in_flight() < taken {
                // Room for requests, and some may lie in the buffer already.
                continue;
            }
            // A little is read even when there is no room: that is how it shows that the client
            // has gone.
            let is_full = taken >= self.max_in_flight;
            if is_full && self.incoming.len() >= READ_AHEAD {
                return Poll::Pending;
            }
            ready!(self.poll_read(cx))?;
        }
    }

    /// Requests taken whose replies were not written yet.
    fn in_flight(&self) -> usize {
        self.calls.len() + self.replies.len()
    }

    /// Turns buffered frames into calls.
    fn start_calls(&mut self) -> Result<(), ConnectionEnd> {
        while self.in_flight() < self.max_in_flight {
            self.turn_strays_away()?;
            let Some(frame) = self.decoder.decode(&mut self.incoming)? else { break };
            let service = Arc::clone(&self.service);
            let (owner, writes, live) = (self.owner, Arc::clone(&self.writes), service.live());
            self.max_in_flight = live.options.max_in_flight;
            let exceeded = self.exceeded(&frame, live.options.rate_limit);
            self.calls.push(Box::pin(async move {
                let writes = &*writes;
                let context = Context { service: &service, live: &live, owner, writes, exceeded };
                answer(&context, frame).await
            }));
        }
        self.release_idle_buffer();
        Ok(())
    }

    /// Counts a request against the client's limit, in the order in which they come.
    fn exceeded(&mut self, frame: &RpcFrame, limit: Option<RateLimit>) -> Option<RateExceeded> {
        if limit != self.limit {
            self.limit = limit;
            self.bucket = limit.map(|limit| RequestBucket::new(limit, Instant::now()));
        }
        let bucket = self.bucket.as_mut().filter(|_| counts(frame))?;
        let exceeded = bucket.take(Instant::now()).err()?;
        self.service.count_rate_limited();
        Some(exceeded)
    }

    /// What a PostgreSQL client says first is answered in its own language.
    fn turn_strays_away(&mut self) -> Result<(), ConnectionEnd> {
        while let Some(stray) = stray::recognise(&self.incoming) {
            // It has said little, and heard nothing: there is room in its socket.
            match stray {
                Stray::AsksForEncryption => {
                    self.socket.try_write(b"N")?;
                    self.incoming.advance(stray::REQUEST_LEN);
                }
                Stray::Starts => {
                    self.socket.try_write(&stray::refusal())?;
                    return Err(ConnectionEnd::Stray);
                }
            }
        }
        Ok(())
    }

    fn release_idle_buffer(&mut self) {
        if self.incoming.is_empty() {
            self.incoming = BytesMut::new();
        }
    }

    /// Collects the replies of finished calls.
    fn poll_calls(&mut self, cx: &mut task::Context<'_>) {
        while let Poll::Ready(Some(reply)) = Pin::new(&mut self.calls).poll_next(cx) {
            self.replies.push_back(reply);
        }
    }

    fn poll_write(&mut self, cx: &mut task::Context<'_>) -> Result<(), ConnectionEnd> {
        while let Some(reply) = self.replies.front() {
            let rest = reply.get(self.written..).unwrap_or_default();
            if rest.is_empty() {
                self.replies.pop_front();
                self.written = 0;
                continue;
            }
            match self.socket.try_write(rest) {
                Ok(0) => return Err(ConnectionEnd::Closed),
                Ok(n) => {
                    self.service.sent(n);
                    self.written += n;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    match self.socket.poll_write_ready(cx)? {
                        Poll::Ready(()) => {}
                        Poll::Pending => break,
                    }
                }
                Err(error) => return Err(error.into()),
            }
        }
        if self.replies.is_empty() {
            self.replies.shrink_to(1);
        }
        Ok(())
    }

    fn poll_read(&mut self, cx: &mut task::Context<'_>) -> Poll<Result<(), ConnectionEnd>> {
        // First, so that an idle connection holds no buffer.
        ready!(self.socket.poll_read_ready(cx))?;
        let wanted = self.decoder.needed(self.incoming.len());
        self.incoming.reserve(wanted.clamp(READ_CHUNK, MAX_READ_CHUNK));
        match self.socket.poll_read(cx, &mut self.incoming) {
            Poll::Ready(Ok(0)) => Poll::Ready(Err(ConnectionEnd::Closed)),
            Poll::Ready(Ok(read)) => {
                self.service.received(read);
                Poll::Ready(Ok(()))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error.into())),
            Poll::Pending => {
                self.release_idle_buffer();
                Poll::Pending
            }
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        // The running calls first: they may be working on what is rolled back next.
        self.calls.clear();
        self.service.client_left(self.owner);
    }
}
