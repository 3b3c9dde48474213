//! Tests of the tokeniser against what PostgreSQL's lexer does.

use super::*;
use TokenKind as K;

fn kinds(sql: &str) -> Vec<TokenKind> {
    Tokens::new(sql).filter(|t| t.kind != K::Space).map(|t| t.kind).collect()
}

fn texts(sql: &str) -> Vec<&str> {
    Tokens::new(sql).filter(|t| t.kind != K::Space).map(|t| t.text).collect()
}

#[test]
fn comments() {
    assert_eq!(kinds("-- a"), [K::LineComment]);
    assert_eq!(texts("-- a\nb"), ["-- a", "b"]);
    assert_eq!(texts("-- a\rb"), ["-- a", "b"]);
    assert_eq!(kinds("/* a /* b */ c */"), [K::BlockComment]);
    assert_eq!(kinds("/* a /* b */"), [K::Unterminated]);
    assert_eq!(kinds("/*/"), [K::Unterminated]);
    assert_eq!(kinds("/**/"), [K::BlockComment]);
    assert_eq!(texts("a-- b"), ["a", "-- b"]);
    assert_eq!(texts("1/**/2"), ["1", "/**/", "2"]);
}

#[test]
fn strings() {
    assert_eq!(texts("'a''b' 'c'"), ["'a''b'", "'c'"]);
    assert_eq!(texts(r"'a\' 'b'"), [r"'a\'", "'b'"]);
    assert_eq!(texts(r"E'a\' ' b"), [r"E'a\' '", "b"]);
    assert_eq!(texts(r"e'\\' b"), [r"e'\\'", "b"]);
    assert_eq!(texts(r"U&'\' b"), [r"U&'\'", "b"]);
    for sql in ["''", "E''", "B'1'", "x'f'", "N'a'", "u&'a'", "$$a'b$$", "$t$ $$ $t$"] {
        assert_eq!(kinds(sql), [K::String], "{sql}");
    }
    for sql in ["'a", "E'a\\'", "'a''", "U&'a", "$$a", "$a$ $b$", "$a$ $a", "E'\\"] {
        assert_eq!(kinds(sql), [K::Unterminated], "{sql}");
    }
    assert_eq!(texts("ne'a'"), ["ne", "'a'"]);
}

#[test]
fn strings_go_on_after_a_line_end() {
    assert_eq!(kinds("'a'\n'b'"), [K::String]);
    assert_eq!(kinds("E'a'\n  '\\'b'"), [K::String]);
    assert_eq!(kinds("E'a' -- c\n -- d\n '\\'b'"), [K::String]);
    assert_eq!(kinds("'a' 'b'"), [K::String, K::String]);
    assert_eq!(kinds("'a'\n/* c */'b'"), [K::String, K::BlockComment, K::String]);
    assert_eq!(kinds("'a'\nE'b'"), [K::String, K::String]);
    assert_eq!(kinds("'a' -- 'b'"), [K::String, K::LineComment]);
}

#[test]
fn dollar_quotes_and_parameters() {
    assert_eq!(texts("$a$ $b$ $A$ $a$x"), ["$a$ $b$ $A$ $a$", "x"]);
    assert_eq!(texts("$a$x$b$a$"), ["$a$x$b$a$"]);
    assert_eq!(texts("$$$$$"), ["$$$$", "$"]);
    assert_eq!(texts("a$b$c"), ["a$b$c"]);
    assert_eq!(kinds("$1 $12,$3"), [K::Parameter, K::Parameter, K::Comma, K::Parameter]);
    assert_eq!(kinds("$"), [K::Other]);
    assert_eq!(kinds("$é$ $é$"), [K::String]);
    assert_eq!(kinds("$a b$"), [K::Other, K::Word, K::Word]);
}

#[test]
fn identifiers() {
    assert_eq!(kinds("abc _a a1 é a\u{a0}b"), [K::Word; 5]);
    assert_eq!(texts(r#""a""b"."c" U&"d""#), [r#""a""b""#, ".", r#""c""#, r#"U&"d""#]);
    assert_eq!(kinds("\"a"), [K::Unterminated]);
    assert_eq!(kinds("\"a\"\""), [K::Unterminated]);
    assert_eq!(texts("u & 'a' U&a"), ["u", "&", "'a'", "U", "&", "a"]);
}

#[test]
fn numbers() {
    for sql in ["1", "1.5", ".5", "1.", "1e10", "1.5E-3", "1_000", "0x1F", "0b11", "0o17"] {
        assert_eq!(kinds(sql), [K::Number], "{sql}");
    }
    assert_eq!(texts("1..2"), ["1", "..", "2"]);
    assert_eq!(texts("1e 1e+ 1x"), ["1", "e", "1", "e", "+", "1", "x"]);
    assert_eq!(texts("a[1:2]"), ["a", "[", "1", ":", "2", "]"]);
}

#[test]
fn operators() {
    assert_eq!(texts("a->>b #>> c ?| d @> e"), ["a", "->>", "b", "#>>", "c", "?|", "d", "@>", "e"]);
    assert_eq!(texts("a=-1 b<+2 c@-3 d*-4"), {
        ["a", "=", "-", "1", "b", "<", "+", "2", "c", "@-", "3", "d", "*", "-", "4"]
    });
    assert_eq!(texts("a+--b"), ["a", "+", "--b"]);
    assert_eq!(texts("a*/*b*/c"), ["a", "*", "/*b*/", "c"]);
    assert_eq!(texts("a::b:=c=>d<=e"), ["a", "::", "b", ":=", "c", "=>", "d", "<=", "e"]);
    assert_eq!(
        kinds(":: := => .. : . , ; ( ) [ ]"),
        [
            K::TypeCast,
            K::ColonEquals,
            K::EqualsGreater,
            K::DotDot,
            K::Colon,
            K::Dot,
            K::Comma,
            K::Semicolon,
            K::OpenParen,
            K::CloseParen,
            K::OpenBracket,
            K::CloseBracket,
        ]
    );
    assert_eq!(kinds("\\ { } \0"), [K::Other; 4]);
}

#[test]
fn words_compare_without_case() {
    let word = Tokens::new("SeLeCt").next().unwrap();
    assert!(word.is_word("select") && !word.is_word("selec") && !word.is_blank());
    assert!(!Tokens::new("\"select\"").next().unwrap().is_word("select"));
}
