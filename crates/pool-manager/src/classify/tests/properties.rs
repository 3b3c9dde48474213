//! Properties that hold for any text: built from random pieces of SQL, and arbitrary.

use proptest::prelude::*;

use super::super::token::{Token, TokenKind, Tokens};
use super::super::*;
use super::classify_plain;
use super::clean::corpus;

/// Pieces from which texts are put together, valid SQL or not.
const PIECES: &[&str] = &[
    "select",
    "SELECT",
    "from",
    "t",
    "\"t\"",
    "insert",
    "into",
    "values",
    "update",
    "set",
    "delete",
    "merge",
    "using",
    "with",
    "recursive",
    "as",
    "materialized",
    "not",
    "(",
    ")",
    "[",
    "]",
    ",",
    ";",
    ".",
    "::",
    ":=",
    "=>",
    "..",
    "=",
    "->>",
    "?|",
    "-",
    "--",
    "/*",
    "*/",
    "'",
    "E'",
    "\\",
    "\"",
    "U&\"",
    "$$",
    "$a$",
    "$1",
    "1.5e3",
    "0x1F",
    "1..2",
    "lower",
    "evil",
    "set_config",
    "false",
    "lastval",
    "pg_catalog",
    "distinct",
    "on",
    "group",
    "by",
    "rollup",
    "for",
    "explain",
    "analyze",
    "create",
    "function",
    "begin",
    "atomic",
    "case",
    "end",
    "temp",
    "declare",
    "hold",
    "set",
    "local",
    "commit",
    "and",
    "chain",
    "prepare",
    "transaction",
    "discard",
    "all",
    "\n",
    " ",
    "\t",
    "é",
    "\u{a0}",
    "\0",
    "over",
    "filter",
    "tablesample",
];

fn pieces() -> impl Strategy<Value = String> {
    let glue = prop_oneof![Just(""), Just(" "), Just("\n")];
    prop::collection::vec((prop::sample::select(PIECES), glue), 0..60)
        .prop_map(|parts| parts.into_iter().flat_map(|(piece, glue)| [piece, glue]).collect())
}

fn any_text() -> impl Strategy<Value = String> {
    let known = prop::sample::select(corpus().collect::<Vec<_>>());
    let cut = (known.clone(), any::<prop::sample::Index>()).prop_map(|(sql, at)| {
        sql.chars().take(at.index(sql.chars().count() + 1)).collect::<String>()
    });
    prop_oneof![4 => pieces(), 1 => any::<String>(), 1 => known.prop_map(str::to_owned), 1 => cut]
}

/// The text with every unquoted word rewritten.
fn rewrite_words(sql: &str, rewrite: impl Fn(&str) -> String) -> String {
    let rewritten = |token: Token<'_>| match token.kind {
        TokenKind::Word => rewrite(token.text),
        _ => token.text.to_owned(),
    };
    Tokens::new(sql).map(rewritten).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn tokens_cover_the_text(sql in any_text()) {
        let mut end = 0;
        for token in Tokens::new(&sql) {
            prop_assert_eq!(token.start, end);
            prop_assert!(!token.text.is_empty());
            end += token.text.len();
        }
        prop_assert_eq!(end, sql.len());
    }

    #[test]
    fn a_comment_at_the_end_changes_nothing(sql in any_text()) {
        let found = classify_plain(&sql);
        for comment in [" /* x */", "\n-- x", "\n/* /* ; */ ( */ -- x\n"] {
            prop_assert_eq!(classify_plain(&format!("{sql}{comment}")), found);
        }
    }

    #[test]
    fn a_comment_for_a_blank_changes_nothing(sql in any_text()) {
        let commented: String = Tokens::new(&sql)
            .map(|token| match token.kind {
                TokenKind::Space => format!("{}/* x */ ", token.text),
                _ => token.text.to_owned(),
            })
            .collect();
        prop_assert_eq!(classify_plain(&commented), classify_plain(&sql));
    }

    #[test]
    fn the_case_of_words_changes_nothing(sql in any_text()) {
        let found = classify_plain(&sql);
        let upper = rewrite_words(&sql, str::to_ascii_uppercase);
        let lower = rewrite_words(&sql, str::to_ascii_lowercase);
        prop_assert_eq!(classify_plain(&upper), found);
        prop_assert_eq!(classify_plain(&lower), found);
    }

    #[test]
    fn clean_is_never_more_than_one_statement(sql in any_text()) {
        let found = classify_plain(&sql);
        prop_assert!(!found.clean || found.statements <= 1);
        prop_assert!(found.clean || !found.read_only);
        prop_assert!(!found.clean || found.needs_session.is_none() && !found.taints);
        prop_assert!(!found.clean || found.transaction == TransactionControl::None);
    }
}

#[test]
fn time_grows_with_the_text_and_not_faster() {
    // Each would take minutes if reading it were quadratic.
    for piece in
        ["(", "[", "$a", "$", "+-", "'a'\n", "/*", "--\n", "f(", "a.", "E'\\'", "with a as ("]
    {
        let found = classify_plain(&format!("select {}", piece.repeat(100_000)));
        assert!(found.statements <= 1);
    }
}
