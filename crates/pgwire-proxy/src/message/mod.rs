//! PostgreSQL's messages as bytes: cutting the client's, reading the few that matter, writing ours.
//! Splits first and parses second; never allocates for a length before it was checked, and knows
//! nothing of sessions or sockets.
//!
//! Source: PostgreSQL documentation, "Frontend/Backend Protocol", "Message Formats".

pub(crate) mod backend;
pub(crate) mod frontend;
pub(crate) mod startup;

use bytes::{BufMut, BytesMut};

/// Type byte and length in front of every message after startup.
pub(crate) const HEADER_LEN: usize = 5;

/// Type bytes of the client's messages.
pub(crate) mod request {
    pub(crate) const BIND: u8 = b'B';
    pub(crate) const CLOSE: u8 = b'C';
    pub(crate) const COPY_DATA: u8 = b'd';
    pub(crate) const COPY_DONE: u8 = b'c';
    pub(crate) const COPY_FAIL: u8 = b'f';
    pub(crate) const DESCRIBE: u8 = b'D';
    pub(crate) const EXECUTE: u8 = b'E';
    pub(crate) const FLUSH: u8 = b'H';
    pub(crate) const FUNCTION_CALL: u8 = b'F';
    pub(crate) const PARSE: u8 = b'P';
    pub(crate) const PASSWORD: u8 = b'p';
    pub(crate) const QUERY: u8 = b'Q';
    pub(crate) const SYNC: u8 = b'S';
    pub(crate) const TERMINATE: u8 = b'X';
}

/// Type bytes of the server's messages.
pub(crate) mod reply {
    pub(crate) const AUTHENTICATION: u8 = b'R';
    pub(crate) const BACKEND_KEY_DATA: u8 = b'K';
    pub(crate) const BIND_COMPLETE: u8 = b'2';
    pub(crate) const CLOSE_COMPLETE: u8 = b'3';
    pub(crate) const COMMAND_COMPLETE: u8 = b'C';
    pub(crate) const COPY_DATA: u8 = b'd';
    pub(crate) const COPY_DONE: u8 = b'c';
    pub(crate) const COPY_IN_RESPONSE: u8 = b'G';
    pub(crate) const COPY_OUT_RESPONSE: u8 = b'H';
    pub(crate) const DATA_ROW: u8 = b'D';
    pub(crate) const EMPTY_QUERY_RESPONSE: u8 = b'I';
    pub(crate) const ERROR_RESPONSE: u8 = b'E';
    pub(crate) const FUNCTION_CALL_RESPONSE: u8 = b'V';
    pub(crate) const NEGOTIATE_PROTOCOL_VERSION: u8 = b'v';
    pub(crate) const NO_DATA: u8 = b'n';
    pub(crate) const NOTICE_RESPONSE: u8 = b'N';
    pub(crate) const NOTIFICATION_RESPONSE: u8 = b'A';
    pub(crate) const PARAMETER_DESCRIPTION: u8 = b't';
    pub(crate) const PARAMETER_STATUS: u8 = b'S';
    pub(crate) const PARSE_COMPLETE: u8 = b'1';
    pub(crate) const PORTAL_SUSPENDED: u8 = b's';
    pub(crate) const READY_FOR_QUERY: u8 = b'Z';
    pub(crate) const ROW_DESCRIPTION: u8 = b'T';
}

/// Appends a message whose body `write` appends.
pub(crate) fn message(out: &mut BytesMut, tag: u8, write: impl FnOnce(&mut BytesMut)) {
    out.reserve(HEADER_LEN + 16);
    let start = out.len();
    out.put_u8(tag);
    out.put_u32(0);
    write(out);
    let len = u32::try_from(out.len() - start - 1).unwrap_or(u32::MAX);
    if let Some(place) = out.get_mut(start + 1..start + HEADER_LEN) {
        place.copy_from_slice(&len.to_be_bytes());
    }
}

/// A text up to its first NUL, and a NUL.
pub(crate) fn put_cstr(out: &mut BytesMut, text: &[u8]) {
    let end = text.iter().position(|byte| *byte == 0).unwrap_or(text.len());
    out.put_slice(text.get(..end).unwrap_or_default());
    out.put_u8(0);
}

/// Cuts a text that ends in a NUL off the front of `bytes`.
pub(crate) fn take_cstr<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let end = memchr::memchr(0, bytes)?;
    let (text, rest) = bytes.split_at(end);
    *bytes = rest.get(1..)?;
    Some(text)
}

/// Cuts a number of `N` bytes off the front of `bytes`.
pub(crate) fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (number, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(*number)
}
