//! Calls to other services, passed on to RoadRunner's own RPC as they are: an application then needs
//! one address. What the calls mean is not known here.

use std::io;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::BytesMut;
use futures_util::FutureExt;
use goridge_framing::{FrameError, ReplyFrame, RpcDecoder, RpcFrame};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::config::ListenAddress;

/// How long connecting may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Connections that are kept for later calls.
const MAX_IDLE: usize = 16;
/// Calls that may be under way at a time; more wait.
const MAX_CALLS: usize = 256;
const READ_CHUNK: usize = 4 * 1024;

/// Why a call was not answered.
#[derive(Debug, thiserror::Error)]
pub(super) enum ForwardError {
    /// Nothing was sent.
    #[error(
        "pgpool.rpc.forward: cannot reach {address}: {reason}; is RoadRunner's rpc enabled there?"
    )]
    Unreachable {
        /// Where.
        address: String,
        /// What the system said.
        reason: String,
    },
    /// It may have been executed.
    #[error(
        "pgpool.rpc.forward: {address} did not answer {method}, which may have been executed: {reason}"
    )]
    Lost {
        /// Where.
        address: String,
        /// The method.
        method: String,
        /// What went wrong.
        reason: String,
    },
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// RoadRunner's RPC, and connections to it that are free.
pub(super) struct Forward {
    address: ListenAddress,
    max_frame_size: usize,
    idle: Mutex<Vec<Box<dyn Stream>>>,
    calls: Semaphore,
}

impl Forward {
    pub(super) fn new(address: ListenAddress, max_frame_size: usize) -> Self {
        let calls = Semaphore::new(MAX_CALLS);
        Self { address, max_frame_size, idle: Mutex::default(), calls }
    }

    /// Passes a request on, and appends the reply's frame to `out`.
    ///
    /// A dropped future closes the connection that it had.
    pub(super) async fn call(
        &self,
        request: &RpcFrame,
        out: &mut Vec<u8>,
    ) -> Result<(), ForwardError> {
        let _turn = self.calls.acquire().await;
        let mut frame = Vec::new();
        write_frame(&mut frame, request);
        let mut stream = self.connect().await?;
        let lost = |reason: String| ForwardError::Lost {
            address: self.address.to_string(),
            method: request.method().unwrap_or("the call").to_owned(),
            reason,
        };
        let reply =
            self.exchange(&mut *stream, &frame).await.map_err(|error| lost(error.to_string()))?;
        if reply.seq != request.seq {
            return Err(lost("the answer is one to something else".to_owned()));
        }
        write_frame(out, &reply);
        self.keep(stream);
        Ok(())
    }

    /// A connection that is free, or a new one.
    async fn connect(&self) -> Result<Box<dyn Stream>, ForwardError> {
        while let Some(mut stream) = self.take_idle() {
            // RoadRunner may have gone meanwhile. What it says unasked is not for us, either.
            let mut byte = [0];
            if stream.read(&mut byte).now_or_never().is_none() {
                return Ok(stream);
            }
        }
        let connect = timeout(CONNECT_TIMEOUT, open(&self.address)).await;
        let connected = connect.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
        connected.map_err(|error| ForwardError::Unreachable {
            address: self.address.to_string(),
            reason: error.to_string(),
        })
    }

    fn take_idle(&self) -> Option<Box<dyn Stream>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    fn keep(&self, stream: Box<dyn Stream>) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < MAX_IDLE {
            idle.push(stream);
        }
    }

    async fn exchange(&self, stream: &mut dyn Stream, request: &[u8]) -> Result<RpcFrame, Failure> {
        stream.write_all(request).await?;
        stream.flush().await?;
        let mut decoder = RpcDecoder::new(self.max_frame_size);
        let mut incoming = BytesMut::new();
        loop {
            if let Some(reply) = decoder.decode(&mut incoming)? {
                if !incoming.is_empty() {
                    return Err(Failure::TooMuch);
                }
                return Ok(reply);
            }
            incoming.reserve(READ_CHUNK);
            if stream.read_buf(&mut incoming).await? == 0 {
                return Err(Failure::Closed);
            }
        }
    }
}

/// Why an exchange failed.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error(transparent)]
    Frame(#[from] FrameError),
    #[error("it closed the socket")]
    Closed,
    #[error("it said more than one answer")]
    TooMuch,
}

async fn open(address: &ListenAddress) -> io::Result<Box<dyn Stream>> {
    Ok(match address {
        ListenAddress::Tcp { host, port } => {
            let stream = TcpStream::connect((host.as_str(), *port)).await?;
            stream.set_nodelay(true)?;
            Box::new(stream)
        }
        ListenAddress::Unix(path) => Box::new(UnixStream::connect(path).await?),
    })
}

fn write_frame(out: &mut Vec<u8>, frame: &RpcFrame) {
    let header = ReplyFrame::begin(out, frame.flags, frame.seq, frame.method_bytes());
    out.extend_from_slice(&frame.body);
    let finished = header.finish(out, usize::MAX);
    debug_assert!(finished.is_ok(), "it came in a frame");
}
