//! A plain HTTP client for tests: one request a connection, and what came back as it came.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use crate::stream;

/// An answer that takes longer is lost.
const PATIENCE: Duration = Duration::from_secs(30);

/// An answer.
#[derive(Debug, Clone)]
pub struct HttpReply {
    /// Its status code.
    pub status: u16,
    /// Its fields, names in lower case.
    pub fields: Vec<(String, String)>,
    /// Its body.
    pub body: String,
}

impl HttpReply {
    /// A field; empty when there is none.
    #[must_use]
    pub fn field(&self, name: &str) -> &str {
        self.fields.iter().find(|field| field.0 == name).map_or("", |field| &field.1)
    }
}

/// GET of a path.
///
/// # Errors
/// There is no answer.
pub async fn http_get(address: &str, path: &str) -> io::Result<HttpReply> {
    let request = format!("GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
    http_raw(address, request.as_bytes()).await
}

/// Whatever `request` says, which should ask for the connection's end.
///
/// # Errors
/// There is no answer, or none of HTTP's.
pub async fn http_raw(address: &str, request: &[u8]) -> io::Result<HttpReply> {
    let exchange = async {
        let mut stream = stream::connect(address).await?;
        // Who is refused early may not be able to say all.
        let _ = stream.write_all(request).await;
        let mut answer = Vec::new();
        let read = stream.read_to_end(&mut answer).await;
        if answer.is_empty() {
            read?;
        }
        Ok::<_, io::Error>(answer)
    };
    let answer = timeout(PATIENCE, exchange).await??;
    parse(&String::from_utf8_lossy(&answer))
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "no HTTP answer"))
}

fn parse(answer: &str) -> Option<HttpReply> {
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let mut lines = head.lines();
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let fields = lines.filter_map(|line| line.split_once(':'));
    let fields = fields.map(|(name, value)| (name.to_lowercase(), value.trim().to_owned()));
    Some(HttpReply { status, fields: fields.collect(), body: body.to_owned() })
}
