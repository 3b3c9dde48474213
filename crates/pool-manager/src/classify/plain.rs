//! Queries so plain that one look at each byte tells what they do: a `SELECT`, `UPDATE` or `DELETE`
//! without a parenthesis, and so without a call, without comments, odd strings and the few words
//! that make a difference. Frameworks that put values into the text send thousands of them, each
//! a new one.
//!
//! Says nothing at all in doubt; then the classifier proper has its say. Where this one answers,
//! both give the same answer.

use super::{Classification, SettingsEffect, StatementKind, TransactionControl};

/// The view of the settings: an UPDATE of it is a SET.
pub(super) const SETTINGS: &str = "pg_settings";

/// What a byte may be outside strings and names in quotes, one bit each.
mod is {
    pub(super) const SPACE: u8 = 1;
    /// Part of a word or number.
    pub(super) const WORD: u8 = 2;
    pub(super) const DIGIT: u8 = 4;
    /// Means the same wherever it stands.
    pub(super) const SIGN: u8 = 8;
    /// Has to be looked at more closely.
    pub(super) const SPECIAL: u8 = 16;
    /// Makes a word before it something else: `E'…'`, `U&"…"`, `a$b`.
    pub(super) const OPENS: u8 = 32;
}

const CLASSES: [u8; 256] = {
    let mut classes = [0; 256];
    let mut byte = 0;
    while byte < 128 {
        classes[byte] = match byte as u8 {
            b' ' | b'\t' | b'\n' | b'\r' => is::SPACE,
            b'a'..=b'z' | b'A'..=b'Z' | b'_' => is::WORD,
            b'0'..=b'9' => is::WORD | is::DIGIT,
            b',' | b'.' | b'=' | b'<' | b'>' | b'*' | b'+' | b'%' => is::SIGN,
            b'-' | b'/' | b';' => is::SPECIAL,
            b'\'' | b'"' | b'$' => is::SPECIAL | is::OPENS,
            _ => 0,
        };
        byte += 1;
    }
    classes
};

/// The answer for a plain query, in any encoding that has ASCII's letters and quotes for itself.
pub(super) fn classify(bytes: &[u8]) -> Option<Classification> {
    let start = bytes.iter().position(|byte| !has(*byte, is::SPACE))?;
    let (kind, tag) = verb(bytes.get(start..)?)?;
    is_plain(bytes, start + tag.len()).then_some(Classification {
        statements: 1,
        kind,
        clean: true,
        neutral: true,
        settings: SettingsEffect::None,
        read_only: kind == StatementKind::Select,
        asks_catalogue: false,
        expected_tag: Some(tag),
        needs_session: None,
        transaction: TransactionControl::None,
        taints: false,
        cacheable: true,
    })
}

fn verb(text: &[u8]) -> Option<(StatementKind, &'static str)> {
    let (kind, tag) = match text.first()? {
        b's' | b'S' => (StatementKind::Select, "SELECT"),
        b'u' | b'U' => (StatementKind::Update, "UPDATE"),
        b'd' | b'D' => (StatementKind::Delete, "DELETE"),
        _ => return None,
    };
    let word = text.get(..tag.len())?;
    let ends = text.get(tag.len()).is_some_and(|next| has(*next, is::SPACE));
    (ends && word.eq_ignore_ascii_case(tag.as_bytes())).then_some((kind, tag))
}

/// Whether all that follows the verb is plain.
fn is_plain(bytes: &[u8], mut at: usize) -> bool {
    while let Some(byte) = bytes.get(at) {
        let start = at;
        let mut class = CLASSES[usize::from(*byte)];
        while class & is::WORD != 0 {
            at += 1;
            class = bytes.get(at).map_or(is::SPACE, |byte| CLASSES[usize::from(*byte)]);
        }
        if at > start && (class & is::OPENS != 0 || is_telling(bytes.get(start..at))) {
            return false;
        }
        if class & (is::SPACE | is::SIGN) != 0 {
            at += 1;
        } else if class & is::SPECIAL != 0 {
            match special_end(bytes, at) {
                Some(end) => at = end,
                None => return false,
            }
        } else {
            return false;
        }
    }
    true
}

/// Whether it is one of the few words that make a difference; all others are names, or change
/// nothing. Before PostgreSQL 15 a word may follow a number without a blank between them.
fn is_telling(word: Option<&[u8]>) -> bool {
    let Some(word @ [first, ..]) = word else { return false };
    if has(*first, is::DIGIT) {
        let behind = word.iter().position(|byte| !has(*byte, is::DIGIT)).unwrap_or(word.len());
        let exponent = word.get(behind..).and_then(|rest| rest.split_first());
        return exponent.is_some_and(|(sign, digits)| {
            *sign | 0x20 != b'e' || !digits.iter().all(|byte| has(*byte, is::DIGIT))
        });
    }
    let telling: &[u8] = match (first | 0x20, word.len()) {
        (b'i', 4) => b"into",
        (b'f', 3) => b"for",
        (b'w', 4) => b"with",
        (b'p', 7) => b"pg_temp",
        (b'p', 11) => SETTINGS.as_bytes(),
        _ => return false,
    };
    word.eq_ignore_ascii_case(telling)
}

/// The end of what a special byte begins; `None` when it is not plain.
fn special_end(bytes: &[u8], at: usize) -> Option<usize> {
    let byte = *bytes.get(at)?;
    let next = bytes.get(at + 1).copied().unwrap_or(b' ');
    let plain = match byte {
        // A comment when it is doubled or a star follows.
        b'-' => next != b'-',
        b'/' => next != b'*',
        b'$' => has(next, is::DIGIT),
        b';' => {
            let rest = bytes.get(at + 1..)?;
            return rest.iter().all(|byte| has(*byte, is::SPACE)).then_some(bytes.len());
        }
        quote => {
            let end = quoted_end(bytes, at, quote)?;
            let is_name = quote == b'"' && is_telling(bytes.get(at + 1..end - 1));
            return (!is_name).then_some(end);
        }
    };
    plain.then_some(at + 1)
}

/// Behind the quote that closes the one at `start`. A doubled one closes and opens again, which
/// comes to the same.
fn quoted_end(bytes: &[u8], start: usize, quote: u8) -> Option<usize> {
    let content = bytes.get(start + 1..)?;
    let length = content.iter().position(|byte| *byte == quote)?;
    Some(start + length + 2)
}

fn has(byte: u8, classes: u8) -> bool {
    CLASSES[usize::from(byte)] & classes != 0
}

#[cfg(test)]
mod tests {
    use super::super::{SafeFunctions, classify_in_full};
    use super::*;

    fn agrees(sql: &str) -> bool {
        match classify(sql.as_bytes()) {
            Some(plain) => {
                assert_eq!(plain, classify_in_full(sql, &SafeFunctions::default()), "{sql}");
                true
            }
            None => false,
        }
    }

    #[test]
    fn plain_queries_are_answered_as_in_full() {
        for sql in [
            "SELECT abalance FROM pgbench_accounts WHERE aid = 12345;",
            " select * from \"users\" where \"id\" = '5' limit 1 ; ",
            "select 'it''s', \"a\"\"b\", -1, 2.5e3, a/b, $1 from t where a <> 'x--y /* ;'",
            "update t set a = a + 1 where b = 'x'",
            "DELETE FROM t WHERE a = $1 RETURNING b",
            "select a from t union all select b from u order by 1",
            "select 1.e5, 1..2, 3e5, 4E, a.b.c",
        ] {
            assert!(agrees(sql), "{sql}");
        }
    }

    #[test]
    fn what_might_be_more_is_left_to_the_classifier() {
        for sql in [
            "",
            "select",
            "selects 1",
            "select now()",
            "select a into b",
            "select a from b FOR UPDATE",
            "select 1; select 2",
            "select 1 -- x",
            "select 1 /* x */",
            "select e'\\''",
            "select U&\"a\"",
            "select 'open",
            "select \"open",
            "select $$a$$",
            "select $a$b$a$",
            "select a[1]",
            "select 1 where a @> b",
            "select \u{e4}",
            "with a as (select 1) select 1",
            "insert into t values (1)",
            "update pg_temp.t set a = 1",
            "select 11into t",
            "select $1into t",
            "select a from t where b = 1for update",
            "begin",
        ] {
            assert_eq!(classify(sql.as_bytes()), None, "{sql}");
        }
    }

    proptest::proptest! {
        #[test]
        fn both_classifiers_agree(
            verb in "(?i)(select|update|delete)",
            rest in r#"( |,|\.|=|\*|-|/|'|"|\$|;|\(|\)|::|a|e|1|into|for|with|from|x |lastval\(\)|pg_temp|\n|\\|&|U&'|E'|--|/\*){0,24}"#,
        ) {
            agrees(&format!("{verb} {rest}"));
        }
    }
}
