//! A PostgreSQL client for tests that speaks the protocol message by message: what it sends may be
//! wrong, and what it receives is shown as it came. It shares no code with the server.

pub mod message;

mod login;
mod reply;
mod tls;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use crate::stream::{self, Stream};

pub use reply::{Reply, WireFault, errors, rows, summary};
pub use tls::WireTls;

/// A reply that takes longer is lost.
const PATIENCE: Duration = Duration::from_secs(30);
/// More than any test asks for; a larger length is a broken reply.
const MAX_BODY: usize = 1 << 30;

/// Why there is no reply.
#[derive(Debug)]
pub enum WireError {
    /// The server says so, and has ended the connection or is about to.
    Fatal(WireFault),
    /// The server has closed the connection.
    Closed,
    /// The connection failed.
    Io(io::Error),
    /// What came makes no sense.
    Protocol(String),
    /// Nothing came for too long.
    Silence,
}

impl WireError {
    /// The SQLSTATE, if that is what came.
    #[must_use]
    pub fn code(&self) -> &str {
        match self {
            Self::Fatal(fault) => fault.code(),
            _ => "",
        }
    }
}

impl fmt::Display for WireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fatal(fault) => write!(f, "{fault}"),
            Self::Closed => f.write_str("the server closed the connection"),
            Self::Io(error) => write!(f, "the connection failed: {error}"),
            Self::Protocol(what) => write!(f, "not PostgreSQL's protocol: {what}"),
            Self::Silence => write!(f, "nothing came for {PATIENCE:?}"),
        }
    }
}

impl std::error::Error for WireError {}

impl From<io::Error> for WireError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// One connection. A method that is dropped half way may leave it unusable.
pub struct WireClient {
    stream: Box<dyn Stream>,
    input: BytesMut,
    /// Reported parameters as they came.
    pub parameters: BTreeMap<String, String>,
    /// Body of BackendKeyData.
    pub key: Vec<u8>,
    /// Codes of the authentication requests that came.
    pub asked: Vec<u32>,
    /// What came before the first request for a proof, such as NegotiateProtocolVersion.
    pub preface: Vec<Reply>,
    /// What it says of channel binding when it is asked for SCRAM.
    pub binding: Binding,
}

/// What a client says of SCRAM's channel binding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Binding {
    /// It knows nothing of it.
    Unsupported,
    /// It would use it if the server could.
    Unrequested,
    /// It binds its proof to these bytes, `tls-server-end-point`.
    EndPoint(Vec<u8>),
}

impl WireClient {
    /// Opens a connection to `tcp://host:port` or `unix://path` and says nothing yet.
    pub async fn connect(address: &str) -> io::Result<Self> {
        Ok(Self::over(stream::connect(address).await?))
    }

    fn over(stream: Box<dyn Stream>) -> Self {
        Self {
            stream,
            input: BytesMut::new(),
            parameters: BTreeMap::new(),
            key: Vec::new(),
            asked: Vec::new(),
            preface: Vec::new(),
            binding: Binding::Unsupported,
        }
    }

    /// Connects and logs in, up to the first ReadyForQuery.
    pub async fn login(
        address: &str,
        password: &str,
        parameters: &[(&str, &str)],
    ) -> Result<Self, WireError> {
        let mut client = Self::connect(address).await?;
        client.start(0, password, parameters).await?;
        Ok(client)
    }

    /// Says who it is in protocol 3.`minor`, proves it, and waits for ReadyForQuery.
    pub async fn start(
        &mut self,
        minor: u16,
        password: &str,
        parameters: &[(&str, &str)],
    ) -> Result<(), WireError> {
        let user = parameters.iter().find(|(name, _)| *name == "user").map_or("", |user| user.1);
        self.send(&message::startup(minor, parameters)).await?;
        login::prove(self, user, password).await?;
        loop {
            let reply = self.recv_welcome().await?;
            match reply.tag {
                b'K' => self.key = reply.body,
                b'Z' => return Ok(()),
                b'S' => {}
                _ => return Err(WireError::Protocol(format!("{reply:?} after login"))),
            }
        }
    }

    /// Sends bytes as they are.
    pub async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await?;
        self.stream.flush().await
    }

    /// Sends several messages in one piece.
    pub async fn send_all(&mut self, messages: &[Vec<u8>]) -> io::Result<()> {
        self.send(&messages.concat()).await
    }

    /// Receives the next message.
    pub async fn recv(&mut self) -> Result<Reply, WireError> {
        let reply = timeout(PATIENCE, self.next()).await.map_err(|_| WireError::Silence)??;
        if let Some((name, value)) = reply.parameter() {
            self.parameters.insert(name, value);
        }
        Ok(reply)
    }

    /// The same before the session begins, where an error is the end.
    async fn recv_welcome(&mut self) -> Result<Reply, WireError> {
        loop {
            let reply = self.recv().await?;
            match (reply.tag, reply.error()) {
                (_, Some(fault)) => return Err(WireError::Fatal(fault)),
                (b'v' | b'N', _) => self.preface.push(reply),
                _ => return Ok(reply),
            }
        }
    }

    async fn next(&mut self) -> Result<Reply, WireError> {
        while self.input.len() < 5 {
            self.fill().await?;
        }
        let (tag, len) = (self.input[0], &self.input[1..5]);
        let len = u32::from_be_bytes([len[0], len[1], len[2], len[3]]) as usize;
        if !(4..=MAX_BODY).contains(&len) {
            return Err(WireError::Protocol(format!("a message {tag} of length {len}")));
        }
        while self.input.len() < len + 1 {
            self.fill().await?;
        }
        let message = self.input.split_to(len + 1);
        Ok(Reply { tag, body: message[5..].to_vec() })
    }

    async fn fill(&mut self) -> Result<(), WireError> {
        let read = self.stream.read_buf(&mut self.input).await?;
        if read == 0 {
            return Err(WireError::Closed);
        }
        Ok(())
    }

    /// Receives up to and including the next ReadyForQuery.
    pub async fn until_ready(&mut self) -> Result<Vec<Reply>, WireError> {
        self.until(b'Z').await
    }

    /// Receives up to and including the next message of this type. A FATAL error ends it.
    pub async fn until(&mut self, tag: u8) -> Result<Vec<Reply>, WireError> {
        let mut replies = Vec::new();
        loop {
            let reply = self.recv().await?;
            if let Some(fault) = reply.error().filter(|fault| fault.severity() == "FATAL") {
                return Err(WireError::Fatal(fault));
            }
            let is_last = reply.tag == tag;
            replies.push(reply);
            if is_last {
                return Ok(replies);
            }
        }
    }

    /// Sends messages and receives up to the next ReadyForQuery.
    pub async fn exchange(&mut self, messages: &[Vec<u8>]) -> Result<Vec<Reply>, WireError> {
        self.send_all(messages).await?;
        self.until_ready().await
    }

    /// A Query and its replies.
    pub async fn query(&mut self, sql: &str) -> Result<Vec<Reply>, WireError> {
        self.exchange(&[message::query(sql)]).await
    }

    /// The rows of a Query that must succeed, as [`rows`] writes them.
    ///
    /// # Panics
    /// When it does not.
    #[track_caller]
    pub fn rows(&mut self, sql: &str) -> impl Future<Output = Vec<String>> {
        let caller = std::panic::Location::caller();
        async move {
            let replies = self.query(sql).await;
            let replies = replies.unwrap_or_else(|error| panic!("{caller}: {sql}: {error}"));
            let failed = errors(&replies);
            assert!(failed.is_empty(), "{caller}: {sql}: {}", failed[0]);
            rows(&replies)
        }
    }

    /// Everything that comes until the server closes the connection.
    pub async fn until_closed(&mut self) -> Vec<Reply> {
        let mut replies = Vec::new();
        while let Ok(reply) = self.recv().await {
            replies.push(reply);
        }
        replies
    }

    /// Receives some bytes as they come, at most `limit`; empty at the end of the connection.
    pub async fn recv_bytes(&mut self, limit: usize) -> io::Result<Vec<u8>> {
        let mut buffer = vec![0; limit];
        let count = self.stream.read(&mut buffer).await?;
        buffer.truncate(count);
        Ok(buffer)
    }

    /// Ends our direction; replies can still be received.
    pub async fn shutdown(&mut self) -> io::Result<()> {
        self.stream.shutdown().await
    }
}

/// Sends a cancel request and waits until the server has dealt with it.
pub async fn cancel(address: &str, key: &[u8]) -> io::Result<()> {
    let mut client = WireClient::connect(address).await?;
    client.send(&message::cancel_request(key)).await?;
    let answer = client.recv_bytes(1).await?;
    assert!(answer.is_empty(), "a cancel request has no answer");
    Ok(())
}
