//! One goridge connection with one call in flight, as a PHP worker uses it. It allocates nothing
//! per call once its buffers have grown.

use std::io;

use bytes::{Bytes, BytesMut};
use goridge_framing::{Codec, DEFAULT_MAX_FRAME_SIZE, RpcDecoder, encode_request};
use test_support::stream::{self, Stream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// An open connection.
pub(crate) struct Client {
    stream: Box<dyn Stream>,
    decoder: RpcDecoder,
    incoming: BytesMut,
    outgoing: Vec<u8>,
    codec: Codec,
    seq: u32,
}

impl Client {
    /// Connects to `tcp://host:port` or `unix://path`.
    pub(crate) async fn connect(address: &str, codec: Codec) -> io::Result<Self> {
        Ok(Self {
            stream: stream::connect(address).await?,
            decoder: RpcDecoder::new(DEFAULT_MAX_FRAME_SIZE),
            incoming: BytesMut::new(),
            outgoing: Vec::new(),
            codec,
            seq: 0,
        })
    }

    /// Sends an `Execute` whose body is ready and returns the reply's body, or the error: of the
    /// frame, or of the statement.
    pub(crate) async fn execute(&mut self, body: &[u8]) -> io::Result<Bytes> {
        self.seq = self.seq.wrapping_add(1);
        self.outgoing.clear();
        encode_request(&mut self.outgoing, self.codec, self.seq, "pgpool.Execute", body)
            .map_err(io::Error::other)?;
        self.stream.write_all(&self.outgoing).await?;
        let frame = loop {
            if let Some(frame) =
                self.decoder.decode(&mut self.incoming).map_err(io::Error::other)?
            {
                break frame;
            }
            if self.stream.read_buf(&mut self.incoming).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        };
        if frame.seq != self.seq {
            return Err(io::Error::other("a reply to another request"));
        }
        if frame.is_error() || has_error(&frame.body) {
            return Err(io::Error::other(String::from_utf8_lossy(&frame.body).into_owned()));
        }
        Ok(frame.body)
    }
}

/// Whether the reply names a SQLSTATE, which every failed reply does and no other: cheaper than
/// decoding it, and the statements used here return no such text.
fn has_error(body: &[u8]) -> bool {
    body.windows(8).any(|part| part == b"sqlstate")
}

/// The body of an `Execute` request: the statement and at most one integer argument.
pub(crate) fn execute_body(codec: Codec, query: &str, key: Option<u32>, out: &mut Vec<u8>) {
    let args: &[u32] = key.as_slice();
    let body = serde_json::json!({"query": query, "args": args});
    out.clear();
    match codec {
        Codec::MsgPack => msgpack_body(query, args, out),
        _ => out.extend_from_slice(body.to_string().as_bytes()),
    }
}

/// A map of two entries in MessagePack, whose few forms needed here are quickly written by hand.
fn msgpack_body(query: &str, args: &[u32], out: &mut Vec<u8>) {
    const STR_32: u8 = 0xdb;
    const UINT_32: u8 = 0xce;
    out.extend_from_slice(b"\x82\xa5query");
    out.push(STR_32);
    out.extend_from_slice(&u32::try_from(query.len()).unwrap_or(u32::MAX).to_be_bytes());
    out.extend_from_slice(query.as_bytes());
    out.extend_from_slice(b"\xa4args");
    out.push(0x90 | u8::from(!args.is_empty()));
    for arg in args.iter().take(1) {
        out.push(UINT_32);
        out.extend_from_slice(&arg.to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_hold_the_statement_and_the_key() {
        let mut out = Vec::new();
        execute_body(Codec::Json, "SELECT $1", Some(7), &mut out);
        assert_eq!(out, br#"{"query":"SELECT $1","args":[7]}"#);
        execute_body(Codec::MsgPack, "SELECT $1", Some(7), &mut out);
        assert_eq!(out, b"\x82\xa5query\xdb\0\0\0\x09SELECT $1\xa4args\x91\xce\0\0\0\x07");
        execute_body(Codec::MsgPack, "", None, &mut out);
        assert_eq!(out, b"\x82\xa5query\xdb\0\0\0\0\xa4args\x90");
    }

    #[test]
    fn errors_are_seen_without_decoding() {
        assert!(has_error(br#"{"error":"no","sqlstate":"42P01"}"#));
        assert!(!has_error(br#"{"rows":[{"abalance":0}],"rows_affected":1}"#));
    }
}
