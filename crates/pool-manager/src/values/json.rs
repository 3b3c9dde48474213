//! json and jsonb values: verbatim into JSON, transcoded into other codecs without losing digits.
//! It never nests deeper than PHP can follow: what does is given as text.

use std::borrow::Cow;
use std::cell::Cell;

use serde::ser::{Error, Serialize, SerializeMap, SerializeSeq, Serializer};
use serde_json::value::RawValue;

use super::number::lossless_float;

/// Nesting up to which documents are transcoded; PHP's json_decode stops there too.
const MAX_DEPTH: usize = 512;

/// Gives a document to a serializer.
///
/// To serde_json it goes as it is, once found well formed: numbers keep their digits, `\u0000`
/// and unpaired surrogates (possible in json, not in jsonb) stay escapes. Elsewhere integers
/// become integers, numbers that a double holds without loss become doubles and the others
/// strings; unpaired surrogates become U+FFFD.
pub(super) fn serialize<S: Serializer>(document: &str, s: S) -> Result<S::Ok, S::Error> {
    if s.is_human_readable() {
        match serde_json::from_str::<&RawValue>(document) {
            Ok(raw) => raw.serialize(s),
            Err(_) => s.serialize_str(document),
        }
    } else {
        match Shape::of(document) {
            Some(shape) => {
                let reader = Reader::new(document, &shape.lengths);
                Node(&reader).serialize(s)
            }
            None => s.serialize_str(document),
        }
    }
}

/// The length of every list and object of a document, in the order of their opening: codecs like
/// MessagePack want it first.
struct Shape {
    lengths: Vec<usize>,
}

impl Shape {
    /// Checks a document and counts; `None` if it is malformed or nested too deeply.
    fn of(document: &str) -> Option<Self> {
        let mut lengths = Vec::new();
        let mut open: Vec<(u8, usize)> = Vec::new();
        let reader = Reader::new(document, &[]);
        loop {
            // A value.
            match reader.token()? {
                bracket @ (b'{' | b'[') => {
                    if open.len() == MAX_DEPTH {
                        return None;
                    }
                    reader.skip(1);
                    open.push((bracket, lengths.len()));
                    lengths.push(0);
                    if reader.token()? != bracket + 2 {
                        reader.key_if(bracket == b'{')?;
                        continue;
                    }
                }
                _ => {
                    reader.scalar()?;
                    if let Some((_, index)) = open.last() {
                        *lengths.get_mut(*index)? += 1;
                    }
                }
            }
            // What follows it.
            loop {
                let Some((bracket, _)) = open.last().copied() else {
                    return reader.token().is_none().then_some(Self { lengths });
                };
                let next = reader.token()?;
                reader.skip(1);
                if next == b',' {
                    reader.key_if(bracket == b'{')?;
                    break;
                } else if next != bracket + 2 {
                    return None;
                }
                open.pop();
                if let Some((_, index)) = open.last() {
                    *lengths.get_mut(*index)? += 1;
                }
            }
        }
    }
}

/// A value that is neither a list nor an object.
enum Scalar<'a> {
    Null,
    Bool(bool),
    Number(&'a str),
    /// What stands between the quotes, its escapes still in it.
    String(&'a str),
}

/// A place in a document. Shared by the values that are read from it, one after another.
struct Reader<'a> {
    document: &'a str,
    at: Cell<usize>,
    lengths: &'a [usize],
    next_length: Cell<usize>,
}

impl<'a> Reader<'a> {
    fn new(document: &'a str, lengths: &'a [usize]) -> Self {
        Self { document, at: Cell::new(0), lengths, next_length: Cell::new(0) }
    }

    fn rest(&self) -> &'a str {
        self.document.get(self.at.get()..).unwrap_or_default()
    }

    fn skip(&self, bytes: usize) {
        self.at.set(self.at.get() + bytes);
    }

    /// The first byte after white space, not skipped.
    fn token(&self) -> Option<u8> {
        let rest = self.rest().as_bytes();
        let space = |b: &u8| matches!(b, b' ' | b'\t' | b'\n' | b'\r');
        let blank = rest.iter().position(|b| !space(b)).unwrap_or(rest.len());
        self.skip(blank);
        rest.get(blank).copied()
    }

    /// Skips the key of an object's entry, if one is to come.
    fn key_if(&self, object: bool) -> Option<()> {
        if object {
            self.key()?;
        }
        Some(())
    }

    fn key(&self) -> Option<&'a str> {
        if self.token()? != b'"' {
            return None;
        }
        let key = self.string()?;
        if self.token()? != b':' {
            return None;
        }
        self.skip(1);
        Some(key)
    }

    fn scalar(&self) -> Option<Scalar<'a>> {
        match self.token()? {
            b'"' => self.string().map(Scalar::String),
            b'n' => self.word("null", Scalar::Null),
            b't' => self.word("true", Scalar::Bool(true)),
            b'f' => self.word("false", Scalar::Bool(false)),
            _ => self.number().map(Scalar::Number),
        }
    }

    fn word(&self, word: &str, scalar: Scalar<'a>) -> Option<Scalar<'a>> {
        let found = self.rest().starts_with(word);
        self.skip(word.len());
        found.then_some(scalar)
    }

    fn string(&self) -> Option<&'a str> {
        let rest = self.rest();
        let bytes = rest.as_bytes();
        let mut at = 1;
        loop {
            at += match bytes.get(at)? {
                b'"' => break,
                b'\\' => escape_len(bytes.get(at + 1..)?)?,
                0..0x20 => return None,
                _ => 1,
            };
        }
        self.skip(at + 1);
        rest.get(1..at)
    }

    fn number(&self) -> Option<&'a str> {
        let rest = self.rest();
        let bytes = rest.as_bytes();
        let digits = |from: usize| {
            let tail = bytes.get(from..).unwrap_or_default();
            tail.iter().position(|b| !b.is_ascii_digit()).unwrap_or(tail.len())
        };
        let sign = usize::from(bytes.first() == Some(&b'-'));
        let whole = digits(sign);
        let mut end = sign + whole;
        if whole == 0 || (whole > 1 && bytes.get(sign) == Some(&b'0')) {
            return None;
        }
        if bytes.get(end) == Some(&b'.') {
            let fraction = digits(end + 1);
            end += 1 + Some(fraction).filter(|n| *n > 0)?;
        }
        if matches!(bytes.get(end), Some(b'e' | b'E')) {
            end += 1 + usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
            end += Some(digits(end)).filter(|n| *n > 0)?;
        }
        self.skip(end);
        rest.get(..end)
    }

    fn length(&self) -> Option<usize> {
        let index = self.next_length.replace(self.next_length.get() + 1);
        self.lengths.get(index).copied()
    }
}

/// Length of an escape, the backslash included, from what follows the backslash.
fn escape_len(rest: &[u8]) -> Option<usize> {
    match rest {
        [b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't', ..] => Some(2),
        [b'u', a, b, c, d, ..] => [a, b, c, d].iter().all(|b| b.is_ascii_hexdigit()).then_some(6),
        _ => None,
    }
}

/// The value at a reader's place.
struct Node<'r, 'a>(&'r Reader<'a>);

impl Serialize for Node<'_, '_> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        // `Shape::of` has read the whole document: nothing is missing.
        let malformed = || S::Error::custom("malformed json");
        let reader = self.0;
        match reader.token().ok_or_else(malformed)? {
            b'{' => {
                let len = reader.length().ok_or_else(malformed)?;
                let mut map = s.serialize_map(Some(len))?;
                for _ in 0..len {
                    // Over the brace or the comma.
                    reader.token();
                    reader.skip(1);
                    let key = reader.key().ok_or_else(malformed)?;
                    map.serialize_entry(&*unescape(key), &Self(reader))?;
                }
                self.close(len);
                map.end()
            }
            b'[' => {
                let len = reader.length().ok_or_else(malformed)?;
                let mut list = s.serialize_seq(Some(len))?;
                for _ in 0..len {
                    reader.token();
                    reader.skip(1);
                    list.serialize_element(&Self(reader))?;
                }
                self.close(len);
                list.end()
            }
            _ => match reader.scalar().ok_or_else(malformed)? {
                Scalar::Null => s.serialize_unit(),
                Scalar::Bool(v) => s.serialize_bool(v),
                Scalar::Number(digits) => number(digits, s),
                Scalar::String(text) => s.serialize_str(&unescape(text)),
            },
        }
    }
}

impl Node<'_, '_> {
    /// Over the closing bracket, and over the opening one if nothing came between.
    fn close(&self, len: usize) {
        if len == 0 {
            self.0.skip(1);
        }
        self.0.token();
        self.0.skip(1);
    }
}

fn number<S: Serializer>(digits: &str, s: S) -> Result<S::Ok, S::Error> {
    if digits != "-0" {
        if let Ok(n) = digits.parse::<i64>() {
            return s.serialize_i64(n);
        }
        if let Ok(n) = digits.parse::<u64>() {
            return s.serialize_u64(n);
        }
    }
    match lossless_float(digits) {
        Some(x) => s.serialize_f64(x),
        None => s.serialize_str(digits),
    }
}

fn unescape(text: &str) -> Cow<'_, str> {
    if !text.contains('\\') {
        return Cow::Borrowed(text);
    }
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, escape)) = rest.split_once('\\') {
        plain.push_str(before);
        let (c, len) = escaped(escape);
        plain.push(c);
        rest = escape.get(len..).unwrap_or_default();
    }
    plain.push_str(rest);
    Cow::Owned(plain)
}

/// The character of an escape and its length, from what follows the backslash.
fn escaped(escape: &str) -> (char, usize) {
    let c = match escape.as_bytes().first() {
        Some(b'b') => '\u{8}',
        Some(b'f') => '\u{c}',
        Some(b'n') => '\n',
        Some(b'r') => '\r',
        Some(b't') => '\t',
        Some(b'u') => return unicode(escape),
        Some(other) => char::from(*other),
        None => char::REPLACEMENT_CHARACTER,
    };
    (c, 1)
}

/// `uXXXX`, or `uXXXX\uXXXX` for a pair of surrogates.
fn unicode(escape: &str) -> (char, usize) {
    let unit = |from: usize| {
        let digits = escape.get(from..from + 4)?;
        u16::from_str_radix(digits, 16).ok()
    };
    let Some(first) = unit(1) else { return (char::REPLACEMENT_CHARACTER, escape.len()) };
    if let Some(c) = char::from_u32(first.into()) {
        return (c, 5);
    }
    let second = if escape.get(5..7) == Some("\\u") { unit(7) } else { None };
    match second.and_then(|second| char::decode_utf16([first, second]).next()) {
        Some(Ok(c)) => (c, 11),
        _ => (char::REPLACEMENT_CHARACTER, 5),
    }
}

#[cfg(test)]
#[path = "json_tests.rs"]
mod tests;
