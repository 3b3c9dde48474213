//! Arrays as `array_out` prints them, as nested lists. It never allocates but for an element with
//! escapes.

use std::borrow::Cow;

use serde::ser::{Error, Serialize, SerializeSeq, Serializer};

use super::decode::Value;
use super::row::ValueStyle;
use super::types::{Format, TypeInfo};

/// PostgreSQL's MAXDIM.
const MAX_DIMENSIONS: u8 = 6;

/// The text of an array that has been found well formed.
#[derive(Clone, Copy)]
pub(super) struct ArrayText<'a> {
    /// What stands between the outer braces.
    inside: &'a [u8],
    delimiter: u8,
}

impl<'a> ArrayText<'a> {
    /// Reads the text of an array, `[0:1]={..}` included; `None` if it is none.
    pub(super) fn parse(text: &'a [u8], delimiter: u8) -> Option<Self> {
        let inside = strip_bounds(text)?.strip_prefix(b"{")?.strip_suffix(b"}")?;
        let array = Self { inside, delimiter };
        array.check(MAX_DIMENSIONS)?;
        Some(array)
    }

    fn check(self, dimensions: u8) -> Option<()> {
        let below = dimensions.checked_sub(1)?;
        for item in self.items() {
            if let Item::Nested(inside) = item? {
                Self { inside, ..self }.check(below)?;
            }
        }
        Some(())
    }

    fn items(self) -> Items<'a> {
        Items { rest: self.inside, delimiter: self.delimiter, first: true }
    }

    /// The array as a list of values of this type.
    pub(super) fn list(self, element: &'a TypeInfo) -> impl Serialize + 'a {
        List { array: self, element }
    }
}

/// Bounds that do not start at 1 are printed in front: `[0:1][-2:3]={..}`.
fn strip_bounds(text: &[u8]) -> Option<&[u8]> {
    if !text.starts_with(b"[") {
        return Some(text);
    }
    let end = text.iter().position(|b| *b == b'=')?;
    let (bounds, rest) = text.split_at_checked(end)?;
    let plain = |b: &u8| matches!(b, b'0'..=b'9' | b'-' | b'+' | b':' | b'[' | b']');
    if bounds.iter().all(plain) { rest.get(1..) } else { None }
}

#[derive(Debug, PartialEq)]
enum Item<'a> {
    Null,
    /// What stands between the braces of a further dimension.
    Nested(&'a [u8]),
    Plain(&'a [u8]),
    /// What stands between quotes, its escapes still in it.
    Quoted(&'a [u8]),
}

/// The elements between one pair of braces; ends after the first malformed one, a `None`.
struct Items<'a> {
    rest: &'a [u8],
    delimiter: u8,
    first: bool,
}

impl<'a> Iterator for Items<'a> {
    type Item = Option<Item<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let item = self.element();
        if item.is_none() {
            self.rest = &[];
        }
        Some(item)
    }
}

impl<'a> Items<'a> {
    fn element(&mut self) -> Option<Item<'a>> {
        if !std::mem::replace(&mut self.first, false) {
            self.rest = self.rest.strip_prefix(&[self.delimiter])?;
        }
        let item = match self.rest.first()? {
            b'"' => Item::Quoted(self.cut(1, quoted_len(self.rest)?)?),
            b'{' => Item::Nested(self.cut(1, nested_len(self.rest)?)?),
            _ => {
                let delimiter = self.delimiter;
                let special = |b: &u8| *b == delimiter || matches!(b, b'"' | b'\\' | b'{' | b'}');
                let len = self.rest.iter().position(special).unwrap_or(self.rest.len());
                match self.cut(0, len)? {
                    b"" => return None,
                    b"NULL" => Item::Null,
                    text => Item::Plain(text),
                }
            }
        };
        let complete = self.rest.first().is_none_or(|b| *b == self.delimiter);
        complete.then_some(item)
    }

    /// Takes `len` bytes and returns them without `frame` bytes at either end.
    fn cut(&mut self, frame: usize, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(len)?;
        self.rest = rest;
        taken.get(frame..len.checked_sub(frame)?)
    }
}

/// Length of a quoted string, its quotes included.
fn quoted_len(text: &[u8]) -> Option<usize> {
    let mut at = 1;
    loop {
        at += match text.get(at)? {
            b'"' => return Some(at + 1),
            b'\\' => 2,
            _ => 1,
        };
    }
}

/// Length of a nested list, its braces included.
fn nested_len(text: &[u8]) -> Option<usize> {
    let (mut at, mut open) = (0, 0usize);
    loop {
        match text.get(at)? {
            b'"' => at += quoted_len(text.get(at..)?)?,
            b'\\' => at += 2,
            b'{' => {
                open += 1;
                at += 1;
            }
            b'}' if open == 1 => return Some(at + 1),
            b'}' => {
                open = open.checked_sub(1)?;
                at += 1;
            }
            _ => at += 1,
        }
    }
}

fn unescape(text: &[u8]) -> Cow<'_, [u8]> {
    if !text.contains(&b'\\') {
        return Cow::Borrowed(text);
    }
    let mut plain = Vec::with_capacity(text.len());
    let mut bytes = text.iter();
    while let Some(byte) = bytes.next() {
        let byte = if *byte == b'\\' { bytes.next() } else { Some(byte) };
        plain.extend(byte);
    }
    Cow::Owned(plain)
}

struct List<'a> {
    array: ArrayText<'a>,
    element: &'a TypeInfo,
}

impl Serialize for List<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(Some(self.array.items().count()))?;
        for item in self.array.items() {
            // `parse` has seen every item.
            match item.ok_or_else(|| S::Error::custom("malformed array"))? {
                Item::Null => list.serialize_element(&())?,
                Item::Plain(text) => list.serialize_element(&self.value(text))?,
                Item::Quoted(text) => list.serialize_element(&self.value(&unescape(text)))?,
                Item::Nested(inside) => {
                    let array = ArrayText { inside, ..self.array };
                    list.serialize_element(&List { array, element: self.element })?;
                }
            }
        }
        list.end()
    }
}

impl<'a> List<'a> {
    fn value<'v>(&self, text: &'v [u8]) -> Value<'v>
    where
        'a: 'v,
    {
        Value {
            ty: self.element,
            format: Format::Text,
            bytes: Some(text),
            style: ValueStyle::Native,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn items(text: &str) -> Option<Vec<Item<'_>>> {
        ArrayText::parse(text.as_bytes(), b',')?.items().collect()
    }

    #[test]
    fn elements_are_told_apart() {
        assert_eq!(items("{}"), Some(Vec::new()));
        assert_eq!(
            items(r#"{NULL,"NULL",a b,"x\"\\,}",{1,{2}},""}"#).unwrap(),
            [
                Item::Null,
                Item::Quoted(b"NULL"),
                Item::Plain(b"a b"),
                Item::Quoted(br#"x\"\\,}"#),
                Item::Nested(b"1,{2}"),
                Item::Quoted(b""),
            ]
        );
        assert_eq!(&*unescape(br#"x\"\\,}"#), br#"x"\,}"#);
    }

    #[test]
    fn bounds_are_skipped() {
        assert_eq!(items("[0:1]={1,2}").unwrap().len(), 2);
        assert_eq!(
            items("[-2:-1][3:3]={{1},{2}}").unwrap(),
            [Item::Nested(b"1"), Item::Nested(b"2")]
        );
    }

    #[test]
    fn what_is_no_array_is_refused() {
        for bad in [
            "",
            "{",
            "}",
            "{a",
            "a}",
            "{,}",
            "{a,}",
            "{,a}",
            "{a}b",
            "{\"a}",
            "{\"a\"b}",
            "{a\"b\"}",
            "{{a}b}",
            "{{a}",
            "{a}}",
            "{\\}",
            "{\"\\\"}",
            "[0:1]{1}",
            "[x]={1}",
            "[=",
            "{a{b}}",
            "{{{{{{{1}}}}}}}",
        ] {
            assert_eq!(items(bad), None, "{bad}");
        }
        assert!(items("{{{{{{1}}}}}}").is_some(), "six dimensions");
    }
}
