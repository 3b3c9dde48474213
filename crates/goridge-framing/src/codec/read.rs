//! Reads one whole document in JSON or MessagePack. Leftover bytes are an error; an empty document
//! is an empty map.

use std::fmt;
use std::io;

use serde::Deserialize;
use serde::de::{Deserializer as _, Visitor};

/// Lists and maps may be nested this deep in a body, in every codec. It is serde_json's own bound,
/// which cannot be changed without giving it up.
pub const MAX_DEPTH: usize = 127;

/// Reads JSON text.
pub(super) fn json<'de, T: Deserialize<'de>>(body: &'de [u8]) -> Result<T, String> {
    let body = if body.is_empty() || is_empty_list(body) { b"{}" } else { body };
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let value = T::deserialize(&mut deserializer).map_err(|error| error.to_string())?;
    deserializer.end().map_err(|error| error.to_string())?;
    Ok(value)
}

/// Reads MessagePack.
pub(super) fn msgpack<'de, T: Deserialize<'de>>(body: &'de [u8]) -> Result<T, String> {
    const EMPTY_MAP: &[u8] = &[0x80];
    let body = match body {
        [] | [0x90] | [0xdc, 0, 0] | [0xdd, 0, 0, 0, 0] => EMPTY_MAP,
        body => body,
    };
    let mut deserializer = rmp_serde::Deserializer::from_read_ref(body);
    // The crate refuses the level at which its counter reaches zero.
    deserializer.set_max_depth(MAX_DEPTH + 1);
    let value = T::deserialize(&mut deserializer).map_err(|error| describe(&error))?;
    // The deserializer does not tell its position, but asking for an optional value reads one
    // marker and nothing else, and that fails in this one way at the end of the input.
    match deserializer.deserialize_option(Anything) {
        Err(rmp_serde::decode::Error::InvalidMarkerRead(error))
            if error.kind() == io::ErrorKind::UnexpectedEof =>
        {
            Ok(value)
        }
        _ => Err("trailing bytes after the document".to_owned()),
    }
}

/// True for a list without elements, white space included.
fn is_empty_list(body: &[u8]) -> bool {
    // The first byte decides for nearly every request.
    let Some((b'[' | b' ' | b'\t' | b'\r' | b'\n', _)) = body.split_first() else {
        return false;
    };
    let mut rest = body.iter().filter(|byte| !matches!(byte, b' ' | b'\t' | b'\r' | b'\n'));
    rest.next() == Some(&b'[') && rest.next() == Some(&b']') && rest.next().is_none()
}

/// rmp-serde reports a short body as an I/O error; there is no I/O here.
fn describe(error: &rmp_serde::decode::Error) -> String {
    use rmp_serde::decode::Error;
    match error {
        Error::InvalidMarkerRead(io) | Error::InvalidDataRead(io)
            if io.kind() == io::ErrorKind::UnexpectedEof =>
        {
            "the document ends too early".to_owned()
        }
        Error::Utf8Error(_) => "a text is not valid UTF-8".to_owned(),
        Error::DepthLimitExceeded => "nested too deep".to_owned(),
        other => other.to_string(),
    }
}

/// Accepts an optional value without reading what follows its marker.
struct Anything;

impl<'de> Visitor<'de> for Anything {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    fn visit_none<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_some<D: serde::Deserializer<'de>>(self, _: D) -> Result<(), D::Error> {
        Ok(())
    }
}
