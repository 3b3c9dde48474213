//! What frameworks send must be recognised as clean: each statement of `clean.sql`, whose first
//! line tells the expected command tag and whether it only reads.

use super::super::functions::{self, CallName, Effect};
use super::super::token::{Token, Tokens};
use super::super::*;
use super::classify_plain;

pub(super) fn corpus() -> impl Iterator<Item = &'static str> {
    include_str!("clean.sql").split(";\n\n").map(|sql| sql.trim_end_matches(['\n', ';']))
}

#[test]
fn realistic_statements_are_clean() {
    let mut seen = 0;
    for sql in corpus() {
        let heading = sql.lines().next().unwrap_or_default();
        let mut words = heading.split(' ').skip(1);
        let (tag, mode) = (words.next(), words.next());
        let found = classify_plain(sql);
        assert_eq!(found.statements, 1, "{sql}");
        assert!(found.clean, "not clean: {sql}");
        assert_eq!(found.expected_tag, tag, "{sql}");
        assert_eq!(found.read_only, mode == Some("read"), "{sql}");
        assert!(matches!(mode, Some("read" | "write")), "{sql}");
        assert_eq!(found.needs_session, None, "{sql}");
        assert_eq!(found.transaction, TransactionControl::None, "{sql}");
        assert!(!found.taints, "{sql}");
        let query = !matches!(tag, Some("EXPLAIN" | "SHOW"));
        assert_eq!(found.cacheable, query, "{sql}");
        seen += 1;
    }
    assert!(seen > 110, "{seen}");
}

#[test]
fn the_corpus_stays_clean_with_a_semicolon() {
    for sql in corpus() {
        let ended = format!("{sql};");
        assert_eq!(classify_plain(&ended), classify_plain(sql), "{sql}");
    }
}

#[test]
fn configured_functions_are_clean_but_not_read_only() {
    let safe = SafeFunctions::new(["slugify", "app.total"]);
    let sql = "SELECT slugify(name), app.total(id) FROM t";
    let found = classify(sql, &safe);
    assert!(found.clean && !found.read_only);
    assert!(!classify_plain(sql).clean);
    assert!(!classify("SELECT app.slugify(name) FROM t", &safe).clean);
}

#[test]
fn sequences_and_settings_of_the_transaction_are_clean_but_not_read_only() {
    for sql in [
        "SELECT nextval('users_id_seq')",
        "SELECT pg_catalog.nextval('users_id_seq')",
        "INSERT INTO t (id) VALUES (nextval('s'))",
        "SELECT setval('s', 1)",
        "SELECT set_config('a.b', $1, true)",
    ] {
        let found = classify_plain(sql);
        assert!(found.clean && !found.read_only, "{sql}");
    }
}

#[test]
fn comments_alone_are_an_empty_query() {
    for sql in ["", " ", ";", " ; ;; ", "-- x", "/* a /* b */ c */ ; -- d\n"] {
        let found = classify_plain(sql);
        assert_eq!((found.statements, found.kind), (0, StatementKind::Empty), "{sql}");
        assert!(found.clean && found.read_only && !found.cacheable);
        assert_eq!(found.expected_tag, None);
    }
}

#[test]
fn every_call_in_the_corpus_is_looked_at() {
    let mut renamed = 0;
    for sql in corpus() {
        for call in built_in_calls(sql) {
            let end = call.start + call.text.len();
            let evil = format!("{}evil{}", &sql[..call.start], &sql[end..]);
            assert!(!classify_plain(&evil).clean, "{evil}");
            renamed += 1;
        }
    }
    assert!(renamed > 100, "{renamed}");
}

/// Unquoted built-in functions before a parenthesis, syntax like `LIKE (` left out.
fn built_in_calls(sql: &str) -> impl Iterator<Item = Token<'_>> {
    let tokens: Vec<_> = Tokens::new(sql).filter(|token| !token.is_blank()).collect();
    let called = |pair: &[Token<'_>]| {
        let name = CallName { schema: None, name: pair[0] };
        let effect = functions::effect(name, &SafeFunctions::default());
        pair[0].kind == TokenKind::Word
            && pair[1].kind == TokenKind::OpenParen
            && effect == Effect::Harmless
            && words::Keyword::of(pair[0].text).is_none()
            && !words::never_function(pair[0].text)
    };
    let calls: Vec<_> = tokens.windows(2).filter(|pair| called(pair)).map(|p| p[0]).collect();
    calls.into_iter()
}
