//! A connection to an address as the configuration writes it. It knows no protocol.

use std::io;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

/// A socket of either kind.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Connects to `tcp://host:port` or `unix://path`.
pub async fn connect(address: &str) -> io::Result<Box<dyn Stream>> {
    if let Some(path) = address.strip_prefix("unix://") {
        return Ok(Box::new(UnixStream::connect(path).await?));
    }
    let stream = TcpStream::connect(address.strip_prefix("tcp://").unwrap_or(address)).await?;
    stream.set_nodelay(true)?;
    Ok(Box::new(stream))
}
