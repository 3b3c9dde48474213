//! Where comments, strings, quoted identifiers, dollar quotes and numbers end.
//!
//! Each function is given the text from the token's first byte and answers with kind and length.
//! A token without an end takes the rest of the text as [`TokenKind::Unterminated`]. Nothing here
//! looks at what a literal means.

use super::{TokenKind, is_newline, is_space, is_word_part, is_word_start};

/// Offset of the first byte at or after `from` that is not `wanted`, or the end.
pub(super) fn span(bytes: &[u8], from: usize, wanted: impl Fn(u8) -> bool) -> usize {
    let rest = bytes.get(from..).unwrap_or_default();
    rest.iter().position(|byte| !wanted(*byte)).map_or(bytes.len(), |length| from + length)
}

/// `/* … */`, where a comment inside counts its own end.
pub(super) fn block_comment(bytes: &[u8]) -> (TokenKind, usize) {
    let mut depth = 0_usize;
    let mut at = 0;
    loop {
        match bytes.get(at..) {
            Some([b'/', b'*', ..]) => {
                depth += 1;
                at += 2;
            }
            Some([b'*', b'/', ..]) => {
                depth -= 1;
                at += 2;
                if depth == 0 {
                    return (TokenKind::BlockComment, at);
                }
            }
            Some([_, ..]) => at += 1,
            _ => return (TokenKind::Unterminated, bytes.len()),
        }
    }
}

/// A string whose first quote ends just before `content`; `escapes` for `E'…'`.
///
/// A string that goes on after a line end (`'a'⏎'b'`) is one token, because the second part
/// follows the escape rules of the first.
pub(super) fn string(bytes: &[u8], content: usize, escapes: bool) -> (TokenKind, usize) {
    let mut at = content;
    loop {
        match bytes.get(at..) {
            Some([b'\\', _, ..]) if escapes => at += 2,
            Some([b'\'', b'\'', ..]) => at += 2,
            Some([b'\'', ..]) => match continuation(bytes, at + 1) {
                Some(next) => at = next,
                None => return (TokenKind::String, at + 1),
            },
            Some([_, ..]) => at += 1,
            _ => return (TokenKind::Unterminated, bytes.len()),
        }
    }
}

/// Offset after the quote that continues a string closed just before `from`, if one does: only
/// blanks and line comments between, and at least one line end.
fn continuation(bytes: &[u8], from: usize) -> Option<usize> {
    let mut at = from;
    let mut line_ended = false;
    loop {
        match bytes.get(at..)? {
            [b'\'', ..] if line_ended => return Some(at + 1),
            [b'-', b'-', ..] => at = span(bytes, at, |byte| !is_newline(byte)),
            [first, ..] if is_space(*first) => {
                line_ended |= is_newline(*first);
                at += 1;
            }
            _ => return None,
        }
    }
}

/// `"…"` with `""` inside for a quote; its content starts at `content`.
pub(super) fn quoted_identifier(bytes: &[u8], content: usize) -> (TokenKind, usize) {
    let mut at = content;
    loop {
        match bytes.get(at..) {
            Some([b'"', b'"', ..]) => at += 2,
            Some([b'"', ..]) => return (TokenKind::QuotedIdentifier, at + 1),
            Some([_, ..]) => at += 1,
            _ => return (TokenKind::Unterminated, bytes.len()),
        }
    }
}

/// `$tag$ … $tag$`, or a lone `$`.
pub(super) fn dollar_quoted(bytes: &[u8]) -> (TokenKind, usize) {
    let tag_end = match bytes.get(1) {
        Some(first) if is_word_start(*first) => {
            span(bytes, 1, |byte| is_word_part(byte) && byte != b'$')
        }
        _ => 1,
    };
    if bytes.get(tag_end) != Some(&b'$') {
        return (TokenKind::Other, 1);
    }
    let (delimiter, body) = bytes.split_at(tag_end + 1);
    let mut at = 0;
    // A tag holds no `$`, so comparing at each `$` reads no byte more than twice.
    while let Some(next) = body.get(at..).and_then(|rest| rest.iter().position(|b| *b == b'$')) {
        at += next;
        if body.get(at..).is_some_and(|rest| rest.starts_with(delimiter)) {
            return (TokenKind::String, delimiter.len() * 2 + at);
        }
        at += 1;
    }
    (TokenKind::Unterminated, bytes.len())
}

/// Length of a number: decimal, with fraction and exponent, or `0x`, `0o`, `0b`; digits may be
/// parted by underscores. `1..2` is a number, `..` and a number.
pub(super) fn number_length(bytes: &[u8]) -> usize {
    if let [b'0', b'x' | b'X' | b'o' | b'O' | b'b' | b'B', digit, ..] = bytes
        && digit.is_ascii_hexdigit()
    {
        return span(bytes, 2, |byte| byte.is_ascii_hexdigit() || byte == b'_');
    }
    let is_digit = |byte: u8| byte.is_ascii_digit() || byte == b'_';
    let mut end = span(bytes, 0, is_digit);
    if bytes.get(end) == Some(&b'.') && bytes.get(end + 1) != Some(&b'.') {
        end = span(bytes, end + 1, is_digit);
    }
    match bytes.get(end..) {
        Some([b'e' | b'E', b'0'..=b'9', ..]) => span(bytes, end + 1, is_digit),
        Some([b'e' | b'E', b'+' | b'-', b'0'..=b'9', ..]) => span(bytes, end + 2, is_digit),
        _ => end,
    }
}
