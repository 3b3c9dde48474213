//! A goridge client for the commands that talk to a running server: one call, one answer.

use std::io;
use std::time::Duration;

use bytes::BytesMut;
use goridge_framing::{Codec, FrameError, RpcDecoder, encode_request};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;

use crate::config::ListenAddress;

/// Largest reply taken: 1 GiB, as large as a server can be configured to send.
const MAX_REPLY: usize = 1 << 30;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum CallError {
    #[error("{origin}: {reason} (found {found:?})")]
    Address { origin: &'static str, reason: &'static str, found: String },
    #[error("no server at {address}: {source}; is `rr-pgpool serve` running there?")]
    Unreachable { address: String, source: io::Error },
    #[error("no answer from {address} within {} ms", .limit.as_millis())]
    Timeout { address: String, limit: Duration },
    #[error("the connection failed: {0}")]
    Io(#[from] io::Error),
    #[error("what answers is no goridge server: {0}")]
    Frame(#[from] FrameError),
    #[error("{0}")]
    Refused(String),
    #[error("the answer is not JSON: {0}")]
    Json(#[from] serde_json::Error),
}

/// Calls `method` on the server at `target` and waits `limit` for the answer.
pub(super) fn call(
    target: &ListenAddress,
    limit: Duration,
    method: &str,
    request: &Value,
) -> Result<Value, CallError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let exchange = async {
        let unreachable = |source| CallError::Unreachable { address: target.to_string(), source };
        match target {
            ListenAddress::Tcp { host, port } => {
                let host = if host.is_empty() { "127.0.0.1" } else { host };
                let stream = TcpStream::connect((host, *port)).await.map_err(unreachable)?;
                exchange(stream, method, request).await
            }
            ListenAddress::Unix(path) => {
                exchange(UnixStream::connect(path).await.map_err(unreachable)?, method, request)
                    .await
            }
        }
    };
    runtime.block_on(async {
        match timeout(limit, exchange).await {
            Ok(result) => result,
            Err(_) => Err(CallError::Timeout { address: target.to_string(), limit }),
        }
    })
}

async fn exchange(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    method: &str,
    request: &Value,
) -> Result<Value, CallError> {
    let mut frame = Vec::new();
    encode_request(&mut frame, Codec::Json, 1, method, request.to_string().as_bytes())
        .map_err(|error| CallError::Refused(error.to_string()))?;
    stream.write_all(&frame).await?;
    let mut decoder = RpcDecoder::new(MAX_REPLY);
    let mut buffer = BytesMut::new();
    loop {
        if let Some(reply) = decoder.decode(&mut buffer)? {
            if let Some(text) = reply.error_text() {
                return Err(CallError::Refused(text.into_owned()));
            }
            return Ok(serde_json::from_slice(&reply.body)?);
        }
        if stream.read_buf(&mut buffer).await? == 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
    }
}
