//! The client's messages after startup: where one ends, and what is in those that are looked into.
//! What cannot be read here is not refused: it goes to the server as it is, which says what is
//! wrong with it.

use bytes::{BufMut, BytesMut};

use super::{HEADER_LEN, message, put_cstr, request, take, take_cstr};

/// Longest message of a kind that is never long, its length field included: PostgreSQL's own limit.
const SMALL: usize = 10_000;
/// The same for queries, parameters and data: two bytes less than 1 GiB.
const LARGE: usize = (1 << 30) - 2;

/// What stands at the front of the client's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Header {
    /// Less than a header.
    Incomplete,
    /// A message and its length, type byte included; not all of it need have arrived.
    Message { tag: u8, total: usize },
    /// No message has this type byte.
    UnknownType(u8),
    /// No message of this type is that long.
    BadLength,
}

/// Reads the header of the message at the front of `bytes`.
pub(crate) fn header(bytes: &[u8]) -> Header {
    let Some(&[tag, a, b, c, d]) = bytes.first_chunk() else {
        // As the server does: a wrong type byte is told at once.
        return match bytes.first() {
            Some(tag) if limit(*tag).is_none() => Header::UnknownType(*tag),
            _ => Header::Incomplete,
        };
    };
    let Some(limit) = limit(tag) else { return Header::UnknownType(tag) };
    let len = u32::from_be_bytes([a, b, c, d]) as usize;
    if !(HEADER_LEN - 1..=limit).contains(&len) {
        return Header::BadLength;
    }
    Header::Message { tag, total: len + 1 }
}

/// Longest value of the length field of a message of this type.
fn limit(tag: u8) -> Option<usize> {
    match tag {
        request::QUERY
        | request::FUNCTION_CALL
        | request::BIND
        | request::PARSE
        | request::COPY_DATA => Some(LARGE),
        request::TERMINATE
        | request::CLOSE
        | request::DESCRIBE
        | request::EXECUTE
        | request::FLUSH
        | request::SYNC
        | request::COPY_DONE
        | request::COPY_FAIL => Some(SMALL),
        _ => None,
    }
}

/// Body of a Parse.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Parse<'a> {
    pub(crate) name: &'a [u8],
    pub(crate) sql: &'a [u8],
    /// Number and oids of the parameter types, as they stand in the message.
    pub(crate) types: &'a [u8],
}

impl<'a> Parse<'a> {
    pub(crate) fn read(mut body: &'a [u8]) -> Option<Self> {
        let name = take_cstr(&mut body)?;
        let sql = take_cstr(&mut body)?;
        let types = body;
        let count = usize::from(u16::from_be_bytes(take(&mut body)?));
        (body.len() == count * 4).then_some(Self { name, sql, types })
    }
}

/// Front of the body of a Bind; what follows it is the server's business.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bind<'a> {
    pub(crate) portal: &'a [u8],
    pub(crate) statement: &'a [u8],
    pub(crate) rest: &'a [u8],
}

impl<'a> Bind<'a> {
    pub(crate) fn read(mut body: &'a [u8]) -> Option<Self> {
        let portal = take_cstr(&mut body)?;
        let statement = take_cstr(&mut body)?;
        Some(Self { portal, statement, rest: body })
    }
}

impl<'a> Bind<'a> {
    /// The parameters' values, as far as they are there and not NULL.
    pub(crate) fn values(&self) -> impl Iterator<Item = &'a [u8]> {
        self.parameters().flatten().map(|(_, value)| value)
    }

    /// The parameters as far as they are there: whether binary, and the value; `None` for NULL.
    pub(crate) fn parameters(&self) -> impl Iterator<Item = Option<(bool, &'a [u8])>> {
        let mut rest = self.rest;
        let (formats, count) = take_formats(&mut rest).unwrap_or_default();
        (0..usize::from(count)).map_while(move |index| {
            // One format is that of all.
            let at = if formats.len() == 2 { 0 } else { index * 2 };
            let is_binary = formats.get(at..at + 2).is_some_and(|format| format != [0, 0]);
            Some(take_value(&mut rest)?.map(|value| (is_binary, value)))
        })
    }
}

/// Takes the formats and the number of values from the rest of a Bind.
fn take_formats<'a>(rest: &mut &'a [u8]) -> Option<(&'a [u8], u16)> {
    let len = usize::from(u16::from_be_bytes(take(rest)?)) * 2;
    let (formats, behind) = rest.split_at_checked(len)?;
    *rest = behind;
    Some((formats, u16::from_be_bytes(take(rest)?)))
}

/// Takes a value: `None` when it is not there, `Some(None)` for NULL.
fn take_value<'a>(rest: &mut &'a [u8]) -> Option<Option<&'a [u8]>> {
    let Ok(len) = usize::try_from(i32::from_be_bytes(take(rest)?)) else { return Some(None) };
    let (value, behind) = rest.split_at_checked(len)?;
    *rest = behind;
    Some(Some(value))
}

/// What a Describe or Close is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Target<'a> {
    Statement(&'a [u8]),
    Portal(&'a [u8]),
}

impl<'a> Target<'a> {
    pub(crate) fn read(mut body: &'a [u8]) -> Option<Self> {
        let [kind] = take(&mut body)?;
        let name = take_cstr(&mut body)?;
        match (kind, body) {
            (b'S', []) => Some(Self::Statement(name)),
            (b'P', []) => Some(Self::Portal(name)),
            _ => None,
        }
    }
}

/// The portal that an Execute runs.
pub(crate) fn executed_portal(mut body: &[u8]) -> Option<&[u8]> {
    let portal = take_cstr(&mut body)?;
    (body.len() == 4).then_some(portal)
}

/// The text of a Query.
pub(crate) fn query_text(mut body: &[u8]) -> Option<&[u8]> {
    let sql = take_cstr(&mut body)?;
    body.is_empty().then_some(sql)
}

/// Appends a Parse; `types` as [`Parse::types`] has them.
pub(crate) fn put_parse(out: &mut BytesMut, name: &str, sql: &[u8], types: &[u8]) {
    message(out, request::PARSE, |out| {
        put_cstr(out, name.as_bytes());
        put_cstr(out, sql);
        out.put_slice(types);
    });
}

/// Appends a Bind with the rest of a client's own.
pub(crate) fn put_bind(out: &mut BytesMut, portal: &[u8], statement: &[u8], rest: &[u8]) {
    put_bind_head(out, portal, statement, rest.len());
    out.put_slice(rest);
}

/// Appends the begin of a Bind that `rest` bytes are to follow.
pub(crate) fn put_bind_head(out: &mut BytesMut, portal: &[u8], statement: &[u8], rest: usize) {
    let len = HEADER_LEN - 1 + portal.len() + 1 + statement.len() + 1 + rest;
    out.put_u8(request::BIND);
    out.put_u32(u32::try_from(len).unwrap_or(u32::MAX));
    put_cstr(out, portal);
    put_cstr(out, statement);
}

/// Appends a Describe of a prepared statement.
pub(crate) fn put_describe_statement(out: &mut BytesMut, name: &str) {
    message(out, request::DESCRIBE, |out| {
        out.put_u8(b'S');
        put_cstr(out, name.as_bytes());
    });
}

/// Appends a Close of a prepared statement.
pub(crate) fn put_close_statement(out: &mut BytesMut, name: &str) {
    message(out, request::CLOSE, |out| {
        out.put_u8(b'S');
        put_cstr(out, name.as_bytes());
    });
}

/// Appends a Flush.
pub(crate) fn put_flush(out: &mut BytesMut) {
    message(out, request::FLUSH, |_| {});
}

/// Appends a Query.
pub(crate) fn put_query(out: &mut BytesMut, sql: &str) {
    message(out, request::QUERY, |out| put_cstr(out, sql.as_bytes()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_checked_before_the_body_is_waited_for() {
        assert_eq!(header(b""), Header::Incomplete);
        assert_eq!(header(b"Q\0\0\0"), Header::Incomplete);
        assert_eq!(header(b"S\0\0\0\x04"), Header::Message { tag: b'S', total: 5 });
        assert_eq!(header(b"Q\0\0\x01\0"), Header::Message { tag: b'Q', total: 257 });
        assert_eq!(header(b"!"), Header::UnknownType(b'!'));
        assert_eq!(header(b"p\0\0\0\x04"), Header::UnknownType(b'p'));
        assert_eq!(header(b"S\0\0\0\x03"), Header::BadLength);
        assert_eq!(header(b"S\0\0\x40\0"), Header::BadLength);
        assert_eq!(header(b"Q\xff\xff\xff\xff"), Header::BadLength);
        assert_eq!(header(b"d\x3f\xff\xff\xff"), Header::BadLength);
    }

    #[test]
    fn bodies_are_read_to_their_end_or_not_at_all() {
        let parse = Parse::read(b"s\0select $1\0\0\x01\0\0\0\x17").unwrap();
        assert_eq!((parse.name, parse.sql), (&b"s"[..], &b"select $1"[..]));
        assert_eq!(parse.types, b"\0\x01\0\0\0\x17");
        for bad in [&b"s\0select"[..], b"s\0x\0", b"s\0x\0\0\x01\0\0", b"s\0x\0\0\0!", b""] {
            assert_eq!(Parse::read(bad), None, "{bad:?}");
        }
        let bind = Bind::read(b"p\0s\0\0\0\0\0\0\0").unwrap();
        assert_eq!((bind.portal, bind.statement, bind.rest.len()), (&b"p"[..], &b"s"[..], 6));
        assert_eq!(Bind::read(b"p\0s"), None);
        let values = b"\0\x01\0\0\0\x03\0\0\0\x01a\xff\xff\xff\xff\0\0\0\x09bc";
        let bind = Bind { portal: b"", statement: b"", rest: values };
        assert_eq!(bind.values().collect::<Vec<_>>(), [b"a"], "the last is cut off");
        assert_eq!(Bind { rest: b"\0\x09\0", ..bind }.values().count(), 0);
        assert_eq!(Target::read(b"Sname\0"), Some(Target::Statement(b"name")));
        assert_eq!(Target::read(b"P\0"), Some(Target::Portal(b"")));
        for bad in [&b"Xname\0"[..], b"Sname", b"Sname\0!", b""] {
            assert_eq!(Target::read(bad), None, "{bad:?}");
        }
        assert_eq!(executed_portal(b"p\0\0\0\0\0"), Some(&b"p"[..]));
        assert_eq!(executed_portal(b"p\0\0\0\0"), None);
        assert_eq!(query_text(b"select 1\0"), Some(&b"select 1"[..]));
        assert_eq!(query_text(b"select 1\0!\0"), None);
        assert_eq!(query_text(b"select 1"), None);
    }
}
