//! Entry points for fuzzing: one a parser, each with what must hold for any bytes. Only in builds with
//! the feature `fuzzing`, and in the tests, which run each of them on a few thousand inputs.
#![allow(clippy::panic, reason = "a broken promise is what a fuzzer looks for")]

use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::FutureExt;
use postgres_protocol::authentication::sasl::{ChannelBinding, ScramSha256};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::classify::{
    SafeFunctions, SessionNeed, classify, classify_bytes, custom_setting, deallocated,
    mask_literals, touched_settings,
};
use crate::connection::CommandTag;
use crate::engine::{Link, LinkError, Parameters, TransactionStatus};
use crate::server_error::ServerError;
use crate::values::{Columns, TypeCatalogue};

/// Longest message that the link of [`backend_stream`] keeps.
const MAX_MESSAGE: usize = 1000;

/// The tokeniser and all that is read from a text with it.
pub fn sql(text: &[u8]) {
    let safe = SafeFunctions::default();
    let class = classify_bytes(text, &safe);
    let shown = String::from_utf8_lossy(text);
    let _ = (touched_settings(&shown), deallocated(&shown), custom_setting(text));
    let masked = mask_literals(&shown);
    // What is masked once is not changed by masking it again.
    assert_eq!(mask_literals(&masked), masked, "{shown:?}");
    if let Ok(text) = std::str::from_utf8(text) {
        assert_eq!(classify(text, &safe), class, "{text:?}");
        // A comment in front, or a blank behind, changes nothing.
        let commented = format!("/* a */ {text}\n");
        let again = classify(&commented, &safe);
        assert_eq!((again.statements, again.kind), (class.statements, class.kind), "{text:?}");
        assert_eq!(again.clean, class.clean, "{text:?}");
    }
    if class.clean {
        assert!(class.statements <= 1, "{shown:?}");
        assert!(class.needs_session.and_then(SessionNeed::lasting).is_none(), "{shown:?}");
    }
}

/// Bodies of messages of a server.
pub fn backend_message(body: &[u8]) {
    let error = ServerError::from_body(body);
    assert_eq!(error.code.as_str().len(), 5);
    let _ = (CommandTag::parse(body).rows_affected(), TransactionStatus::parse(body));
    if let Ok(oids) = Columns::type_oids(body) {
        let columns = Columns::parse(body, &TypeCatalogue::default());
        assert!(columns.is_ok_and(|columns| columns.len() == oids.len()));
    }
}

/// A server that says anything, in pieces: the link ends in an error, or wants more, and never keeps
/// more than a message.
pub fn backend_stream(bytes: &[u8]) {
    let (piece, bytes) = bytes.split_first().map_or((1, bytes), |(piece, rest)| (*piece, rest));
    let server = Server { bytes, piece: usize::from(piece).max(1) };
    let mut link = Link::new(server, Parameters::new(), MAX_MESSAGE);
    link.request().sync();
    loop {
        match link.next().now_or_never() {
            Some(Ok(frame)) => assert!(frame.body.len() <= MAX_MESSAGE),
            Some(Err(LinkError::Io(error))) => panic!("{error}"),
            Some(Err(_)) => break,
            None => return,
        }
    }
    assert!(link.is_dead(), "after an error nothing more is sent");
}

/// The client's side of SCRAM, as connections to servers speak it.
pub fn scram_client(bytes: &[u8]) {
    let (first, last) = bytes.split_at(bytes.len() / 2);
    let mut scram = ScramSha256::new(b"secret", ChannelBinding::unsupported());
    if scram.update(first).is_ok() {
        assert!(scram.finish(last).is_err(), "nobody knows the password");
    }
    // The nonce that the server has to repeat is known by now.
    let scram = ScramSha256::new(b"secret", ChannelBinding::unsupported());
    let ours = String::from_utf8_lossy(scram.message()).into_owned();
    let nonce = ours.split("r=").nth(1).unwrap_or_default();
    let mut scram = scram;
    let message = [b"r=", nonce.as_bytes(), first].concat();
    if scram.update(&message).is_ok() {
        assert!(scram.finish(last).is_err(), "nobody knows the password");
    }
}

/// Reads pieces of some bytes, then waits; takes whatever is written.
struct Server<'a> {
    bytes: &'a [u8],
    piece: usize,
}

impl AsyncRead for Server<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let count = self.piece.min(self.bytes.len()).min(buf.remaining());
        if count == 0 {
            return Poll::Pending;
        }
        let (piece, rest) = self.bytes.split_at(count);
        buf.put_slice(piece);
        self.bytes = rest;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Server<'_> {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use test_support::smoke;

    #[test]
    fn sql() {
        let seeds: [&[u8]; 8] = [
            b"SELECT 'it''s', $a$ b $a$, E'\\'', \"q\" FROM t -- c\n WHERE a = $1 /* n /* o */ */",
            b"BEGIN; SET LOCAL search_path = a, b; COMMIT AND CHAIN",
            b"CREATE OR REPLACE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT CASE WHEN true THEN 1 END; END",
            b"DEALLOCATE PREPARE \"S1\"; DISCARD ALL; RESET ALL; LISTEN a",
            b"SELECT set_config('a.b', $1, false), U&'\\0041' UESCAPE '!', lastval()",
            b"WITH a AS (INSERT INTO t VALUES (1) RETURNING *) SELECT * INTO TEMP u FROM a FOR UPDATE",
            b"DECLARE c CURSOR WITH HOLD FOR SELECT 1; EXPLAIN (ANALYZE) DELETE FROM t",
            b"COPY t FROM STDIN; SELECT 1::numeric(3,2) OPERATOR(pg_catalog.+) 2",
        ];
        smoke("sql", &seeds, super::sql);
    }

    #[test]
    fn backend_message() {
        let seeds: [&[u8]; 4] = [
            b"SERROR\0VERROR\0C22012\0Mdivision by zero\0Fint.c\0L841\0Rint4div\0\0",
            b"INSERT 0 12\0",
            b"\0\x02a\0\0\0\x40\x01\0\x01\0\0\0\x17\0\x04\xff\xff\xff\xff\0\0b\0\0\0\0\0\0\0\0\0\0\x19\xff\xff\xff\xff\xff\xff\0\0",
            b"T",
        ];
        smoke("backend_message", &seeds, super::backend_message);
    }

    #[test]
    fn backend_stream() {
        let seeds: [&[u8]; 4] = [
            b"\x071\0\0\0\x042\0\0\0\x04T\0\0\0\x06\0\0C\0\0\0\x0dSELECT 1\0Z\0\0\0\x05I",
            b"\xffS\0\0\0\x0aa\0bcd\0N\0\0\0\x0bSERROR\0\0E\0\0\0\x14SFATAL\0C57P01\0\0",
            b"\x01D\0\0\0\x0e\0\x01\0\0\0\x04abcdD\0\x01\0\0Z\0\0\0\x05T",
            b"\x03A\0\0\0\x0c\0\0\0\x01a\0b\0Z\0\0\0\x05E",
        ];
        smoke("backend_stream", &seeds, super::backend_stream);
    }

    #[test]
    fn scram_client() {
        let seeds: [&[u8]; 2] = [
            b"abc,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=2v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
            b"e=other-error",
        ];
        smoke("scram_client", &seeds, super::scram_client);
    }
}
