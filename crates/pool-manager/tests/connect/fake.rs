//! Scripted servers: each accepts connections and does to every one what the test says.

use std::future::Future;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Listens on a free port of 127.0.0.1 and treats every connection with `serve`.
pub(crate) async fn serve<F, Fut>(serve: F) -> u16
where
    F: Fn(TcpStream) -> Fut + Send + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream));
        }
    });
    port
}

/// Sends `bytes` after the client's first message and then waits for the client to go.
pub(crate) async fn says(bytes: Vec<u8>) -> u16 {
    serve(move |mut stream| {
        let bytes = bytes.clone();
        async move {
            read_first(&mut stream).await;
            let _ = stream.write_all(&bytes).await;
            let mut rest = Vec::new();
            let _ = stream.read_to_end(&mut rest).await;
        }
    })
    .await
}

/// Reads a message without a type byte: startup, SSLRequest, CancelRequest.
pub(crate) async fn read_first(stream: &mut TcpStream) -> Vec<u8> {
    let length = stream.read_u32().await.unwrap() as usize;
    let mut body = vec![0; length - 4];
    stream.read_exact(&mut body).await.unwrap();
    body
}

/// A backend message.
pub(crate) fn message(tag: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).unwrap();
    [&[tag], length.to_be_bytes().as_slice(), body].concat()
}

/// The end of a startup that asks for no password.
pub(crate) fn welcome(parameters: &[(&str, &str)]) -> Vec<u8> {
    let mut bytes = message(b'R', &[0; 4]);
    for (name, value) in parameters {
        bytes.extend(message(b'S', format!("{name}\0{value}\0").as_bytes()));
    }
    bytes.extend(message(b'K', &[0, 0, 0, 7, 0, 0, 0, 8]));
    bytes.extend(message(b'Z', b"I"));
    bytes
}

/// A port on which nobody listens.
pub(crate) async fn dead_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port()
}
