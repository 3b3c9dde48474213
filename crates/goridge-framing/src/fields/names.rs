//! Field names as they come and as they are declared: comparing, and suggesting the one that was
//! meant. It never sees a value.

use std::borrow::Cow;
use std::fmt;

use serde::Deserializer;
use serde::de::{DeserializeSeed, Error, Visitor};

/// Most bytes of a caller's name that are compared for similarity or quoted in an error.
const MAX_QUOTED: usize = 64;

/// A key of a map.
pub(super) enum Key<'de> {
    /// A name, as bytes because MessagePack may send it so.
    Name(Cow<'de, [u8]>),
    /// Nil: PHP's MessagePack puts an object's class under it.
    Nil,
}

/// Reads a key without copying it when the input can be borrowed.
pub(super) struct KeySeed;

impl<'de> DeserializeSeed<'de> for KeySeed {
    type Value = Key<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Key<'de>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for KeySeed {
    type Value = Key<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_borrowed_str<E>(self, name: &'de str) -> Result<Key<'de>, E> {
        Ok(Key::Name(Cow::Borrowed(name.as_bytes())))
    }

    fn visit_str<E>(self, name: &str) -> Result<Key<'de>, E> {
        Ok(Key::Name(Cow::Owned(name.as_bytes().to_vec())))
    }

    fn visit_borrowed_bytes<E>(self, name: &'de [u8]) -> Result<Key<'de>, E> {
        Ok(Key::Name(Cow::Borrowed(name)))
    }

    fn visit_bytes<E>(self, name: &[u8]) -> Result<Key<'de>, E> {
        Ok(Key::Name(Cow::Owned(name.to_vec())))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Key<'de>, E> {
        Ok(Key::Name(Cow::Owned(number.to_string().into_bytes())))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Key<'de>, E> {
        Ok(Key::Name(Cow::Owned(number.to_string().into_bytes())))
    }

    fn visit_unit<E: Error>(self) -> Result<Key<'de>, E> {
        Ok(Key::Nil)
    }
}

/// The index of the declared name that `name` means. An exact match is tried first, as it is what
/// nearly every caller sends.
pub(super) fn find(name: &[u8], known: &[&str]) -> Option<usize> {
    known
        .iter()
        .position(|candidate| candidate.as_bytes() == name)
        .or_else(|| known.iter().position(|candidate| same(candidate.as_bytes(), name)))
}

/// True when two names differ in nothing but ASCII case and underscores.
fn same(a: &[u8], b: &[u8]) -> bool {
    letters(a).eq(letters(b))
}

/// What counts of a name.
fn letters(name: &[u8]) -> impl Iterator<Item = u8> + '_ {
    name.iter().filter(|byte| **byte != b'_').map(u8::to_ascii_lowercase)
}

/// The error for a name that means no field.
pub(super) fn unknown(name: &[u8], known: &[&str]) -> String {
    let mut text = format!("unknown field {}", quoted(name));
    if let Some(meant) = closest(name, known) {
        text.push_str(&format!(", did you mean \"{meant}\"?"));
    }
    if known.is_empty() {
        text.push_str(" (this request has no fields)");
    } else {
        text.push_str(&format!(" (known fields: {})", known.join(", ")));
    }
    text
}

/// A caller's name in quotes, shortened, with everything escaped that could break a log line.
pub(super) fn quoted(name: &[u8]) -> String {
    let shown = name.get(..MAX_QUOTED).unwrap_or(name);
    let more = if shown.len() < name.len() { "..." } else { "" };
    format!("{:?}{more}", String::from_utf8_lossy(shown))
}

/// The declared name nearest to `name`, if it is near enough to have been meant: one typing error
/// in four letters, at least one.
fn closest<'a>(name: &[u8], known: &[&'a str]) -> Option<&'a str> {
    let typed: Vec<u8> = letters(name.get(..=MAX_QUOTED).unwrap_or(name)).collect();
    known
        .iter()
        .map(|candidate| {
            let wanted: Vec<u8> = letters(candidate.as_bytes()).collect();
            let allowed = (wanted.len().max(typed.len()) / 4).max(1);
            (distance(&typed, &wanted), allowed, *candidate)
        })
        .filter(|(distance, allowed, _)| distance <= allowed)
        .min_by_key(|(distance, _, _)| *distance)
        .map(|(_, _, candidate)| candidate)
}

/// Typing errors between two names: letters inserted, left out, replaced, or swapped with their
/// neighbour.
fn distance(a: &[u8], b: &[u8]) -> usize {
    // Rows of the usual table, one per letter of `a`; a swap looks two rows back.
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    let mut previous_letter = None;
    for (i, &x) in a.iter().enumerate() {
        let mut row = Vec::with_capacity(last.len());
        row.push(i + 1);
        for (j, &y) in b.iter().enumerate() {
            let at = |row: &[usize], column: usize| row.get(column).copied().unwrap_or(usize::MAX);
            let replaced = at(&last, j) + usize::from(x != y);
            let mut best = replaced.min(at(&last, j + 1) + 1).min(at(&row, j) + 1);
            let swapped =
                j.checked_sub(1).filter(|k| b.get(*k) == Some(&x) && previous_letter == Some(y));
            if let Some(k) = swapped {
                best = best.min(at(&before, k).saturating_add(1));
            }
            row.push(best);
        }
        before = std::mem::replace(&mut last, row);
        previous_letter = Some(x);
    }
    last.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distance_counts_typing_errors() {
        let cases: [(&str, &str, usize); 7] = [
            ("", "", 0),
            ("", "abc", 3),
            ("abc", "abc", 0),
            ("txid2", "txid", 1),
            ("qurey", "query", 1),
            ("tmeout", "timeout", 1),
            ("database", "dtabsae", 2),
        ];
        for (a, b, expected) in cases {
            assert_eq!(distance(a.as_bytes(), b.as_bytes()), expected, "{a} {b}");
            assert_eq!(distance(b.as_bytes(), a.as_bytes()), expected, "{b} {a}");
        }
    }

    #[test]
    fn exact_name_wins_over_a_lenient_one() {
        assert_eq!(find(b"a_b", &["ab", "a_b"]), Some(1));
        assert_eq!(find(b"A__B_", &["ab", "a_b"]), Some(0));
        assert_eq!(find(b"", &["ab"]), None);
    }

    #[test]
    fn only_near_names_are_suggested() {
        assert_eq!(closest(b"txid2", &["database", "tx_id"]), Some("tx_id"));
        assert_eq!(closest(b"QUREY", &["database", "query"]), Some("query"));
        assert_eq!(closest(b"sql", &["database", "query"]), None);
        assert_eq!(closest(&[b'q'; 100_000], &["query"]), None);
    }

    #[test]
    fn quoted_names_are_short_and_harmless() {
        assert_eq!(quoted(b"a\n\xff"), "\"a\\n\u{fffd}\"");
        assert_eq!(quoted(&[b'x'; 1000]).len(), MAX_QUOTED + 5);
    }
}
