//! A goridge client for tests: calls, pipelined frames, raw bytes, over TCP or a Unix socket. It
//! shares no code with the server's codec, so that a mistake there does not cancel out here.

mod frame;
mod msgpack;

#[cfg(test)]
mod tests;

use std::fmt;
use std::io;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::stream::{self, Stream};

pub use frame::{ERROR, JSON, MSGPACK, RAW, RpcFrame};

/// Why a call gave no result.
#[derive(Debug)]
pub enum RpcFault {
    /// The server answered with an ERROR frame; this is its text.
    Error(String),
    /// The server closed the connection before answering.
    Closed,
    /// The connection failed.
    Io(io::Error),
    /// The answer breaks the protocol, or its body does not decode.
    Protocol(String),
}

impl RpcFault {
    /// The text of an ERROR frame, if that is what came.
    #[must_use]
    pub fn error_text(&self) -> Option<&str> {
        match self {
            Self::Error(text) => Some(text),
            _ => None,
        }
    }
}

impl fmt::Display for RpcFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Error(text) => write!(f, "the server answered with an error frame: {text}"),
            Self::Closed => f.write_str("the server closed the connection"),
            Self::Io(error) => write!(f, "the connection failed: {error}"),
            Self::Protocol(what) => write!(f, "not goridge: {what}"),
        }
    }
}

impl std::error::Error for RpcFault {}

impl From<io::Error> for RpcFault {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// One goridge connection. A method that is dropped half way leaves the connection unusable.
pub struct RpcClient {
    stream: Box<dyn Stream>,
    last_seq: u32,
}

impl RpcClient {
    /// Connects to `tcp://host:port`, `unix://path`, or `host:port`.
    pub async fn connect(address: &str) -> io::Result<Self> {
        Ok(Self { stream: stream::connect(address).await?, last_seq: 0 })
    }

    /// Calls `pgpool.<method>` (or `method` itself when it holds a dot) with a JSON body.
    pub async fn call(&mut self, method: &str, params: Value) -> Result<Value, RpcFault> {
        let body = serde_json::to_vec(&params).expect("JSON values encode");
        let reply = self.round_trip(method, JSON, &body).await?;
        serde_json::from_slice(&reply).map_err(|error| RpcFault::Protocol(error.to_string()))
    }

    /// [`RpcClient::call`] with MessagePack bodies. An object `{"$bytea": base64}` goes as binary,
    /// and binary comes back as one.
    pub async fn call_msgpack(&mut self, method: &str, params: Value) -> Result<Value, RpcFault> {
        let reply = self.round_trip(method, MSGPACK, &msgpack::encode(&params)).await?;
        msgpack::decode(&reply).map_err(RpcFault::Protocol)
    }

    /// `Execute` of one statement with arguments; no other field set.
    pub async fn execute(&mut self, query: &str, args: Value) -> Result<Value, RpcFault> {
        self.call("Execute", serde_json::json!({"query": query, "args": args})).await
    }

    async fn round_trip(
        &mut self,
        method: &str,
        codec: u8,
        body: &[u8],
    ) -> Result<Vec<u8>, RpcFault> {
        let seq = self.next_seq();
        self.send(seq, method, codec, body).await?;
        let reply = self.recv().await?;
        if reply.seq != seq {
            return Err(RpcFault::Protocol(format!("reply {} to request {seq}", reply.seq)));
        }
        if reply.is_error() {
            return Err(RpcFault::Error(String::from_utf8_lossy(&reply.body).into_owned()));
        }
        if reply.flags != codec {
            return Err(RpcFault::Protocol(format!("flags {:#04x} in the reply", reply.flags)));
        }
        Ok(reply.body)
    }

    /// A sequence number not used before on this connection.
    pub fn next_seq(&mut self) -> u32 {
        self.last_seq = self.last_seq.wrapping_add(1);
        self.last_seq
    }

    /// Sends one request without waiting for its reply; `method` as in [`RpcClient::call`].
    pub async fn send(&mut self, seq: u32, method: &str, flags: u8, body: &[u8]) -> io::Result<()> {
        let bytes = RpcFrame::request(seq, &full_name(method), flags, body).encode();
        self.send_bytes(&bytes).await
    }

    /// [`RpcClient::send`] with a JSON body and the next sequence number, which it returns.
    pub async fn send_json(&mut self, method: &str, params: &Value) -> io::Result<u32> {
        let seq = self.next_seq();
        let body = serde_json::to_vec(params).expect("JSON values encode");
        self.send(seq, method, JSON, &body).await?;
        Ok(seq)
    }

    /// Receives the next reply, whichever request it answers.
    pub async fn recv(&mut self) -> Result<RpcFrame, RpcFault> {
        frame::read(&mut self.stream).await
    }

    /// Receives the next reply as its sequence number and its JSON body.
    pub async fn recv_json(&mut self) -> Result<(u32, Value), RpcFault> {
        let reply = self.recv().await?;
        if reply.is_error() {
            return Err(RpcFault::Error(String::from_utf8_lossy(&reply.body).into_owned()));
        }
        let value = serde_json::from_slice(&reply.body);
        Ok((reply.seq, value.map_err(|error| RpcFault::Protocol(error.to_string()))?))
    }

    /// Sends bytes as they are.
    pub async fn send_bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await?;
        self.stream.flush().await
    }

    /// Receives some bytes as they come, at most `limit`; empty at the end of the connection.
    pub async fn recv_bytes(&mut self, limit: usize) -> io::Result<Vec<u8>> {
        let mut buffer = vec![0; limit];
        let count = self.stream.read(&mut buffer).await?;
        buffer.truncate(count);
        Ok(buffer)
    }

    /// Whether the server has closed the connection: waits for the end or for bytes.
    pub async fn is_closed_by_server(&mut self) -> bool {
        !matches!(self.stream.read(&mut [0]).await, Ok(1..))
    }

    /// Ends our direction; replies can still be received.
    pub async fn shutdown(&mut self) -> io::Result<()> {
        self.stream.shutdown().await
    }
}

fn full_name(method: &str) -> String {
    if method.contains('.') { method.to_owned() } else { format!("pgpool.{method}") }
}
