//! Cuts SQL text into PostgreSQL's tokens.
//!
//! Follows the server's own lexer with `standard_conforming_strings` on: nested comments, every
//! string form, dollar quotes, parameters, multi-character operators. Tokens cover the text from
//! the first byte to the last without gap or overlap, whatever the text holds. It never allocates,
//! never fails and never panics; what the server would refuse comes out as
//! [`TokenKind::Unterminated`] or [`TokenKind::Other`]. It knows no grammar and no keywords.

mod literal;
#[cfg(test)]
mod tests;

use literal::span;

/// What a [`Token`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TokenKind {
    /// Blanks, tabs, form feeds and line ends.
    Space,
    /// `-- …` up to, not including, the line end.
    LineComment,
    /// `/* … */`, nested ones included.
    BlockComment,
    /// An unquoted identifier or keyword.
    Word,
    /// `"…"` or `U&"…"`, quotes included.
    QuotedIdentifier,
    /// A string constant of any form, quotes and continuation lines included.
    String,
    /// A numeric constant, without sign.
    Number,
    /// `$1`.
    Parameter,
    /// An operator such as `=`, `->>` or `@>`.
    Operator,
    /// `::`
    TypeCast,
    /// `:=`
    ColonEquals,
    /// `=>`
    EqualsGreater,
    /// `..`
    DotDot,
    /// `,`
    Comma,
    /// `(`
    OpenParen,
    /// `)`
    CloseParen,
    /// `[`
    OpenBracket,
    /// `]`
    CloseBracket,
    /// `.`
    Dot,
    /// `;`
    Semicolon,
    /// `:`
    Colon,
    /// A comment, string or quoted identifier that has no end; it reaches to the end of the text.
    Unterminated,
    /// A character that starts nothing in SQL.
    Other,
}

/// One token: its kind and its text as it stands in the SQL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token<'a> {
    /// What it is.
    pub kind: TokenKind,
    /// Its bytes, quotes included.
    pub text: &'a str,
    /// Byte offset of its first byte in the SQL.
    pub start: usize,
}

impl Token<'_> {
    /// True for blanks and comments, which mean nothing to the server.
    #[must_use]
    pub fn is_blank(&self) -> bool {
        matches!(self.kind, TokenKind::Space | TokenKind::LineComment | TokenKind::BlockComment)
    }

    /// True for a word that spells `word` (given in lower case), whatever its case.
    #[must_use]
    pub fn is_word(&self, word: &str) -> bool {
        self.kind == TokenKind::Word && self.text.eq_ignore_ascii_case(word)
    }
}

/// Iterator over all tokens of a text, blanks and comments included.
#[derive(Clone, Debug)]
pub struct Tokens<'a> {
    sql: &'a str,
    position: usize,
}

impl<'a> Tokens<'a> {
    /// Starts at the first byte of `sql`.
    #[must_use]
    pub fn new(sql: &'a str) -> Self {
        Self { sql, position: 0 }
    }
}

impl<'a> Iterator for Tokens<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        let rest = self.sql.get(self.position..)?;
        if rest.is_empty() {
            return None;
        }
        let (kind, length) = scan(rest.as_bytes());
        // A token ends at an ASCII byte or at the end of the text, so always between characters.
        let text = rest.get(..length)?;
        let start = self.position;
        self.position = start + length;
        Some(Token { kind, text, start })
    }
}

/// Kind and length of the token that starts `bytes`, which is not empty; the length is at least 1.
fn scan(bytes: &[u8]) -> (TokenKind, usize) {
    match bytes {
        [first, ..] if is_space(*first) => (TokenKind::Space, span(bytes, 0, is_space)),
        [b'-', b'-', ..] => (TokenKind::LineComment, span(bytes, 0, |byte| !is_newline(byte))),
        [b'/', b'*', ..] => literal::block_comment(bytes),
        [b'\'', ..] => literal::string(bytes, 1, false),
        [b'e' | b'E', b'\'', ..] => literal::string(bytes, 2, true),
        [b'b' | b'B' | b'x' | b'X' | b'n' | b'N', b'\'', ..] => literal::string(bytes, 2, false),
        [b'u' | b'U', b'&', b'\'', ..] => literal::string(bytes, 3, false),
        [b'u' | b'U', b'&', b'"', ..] => literal::quoted_identifier(bytes, 3),
        [b'"', ..] => literal::quoted_identifier(bytes, 1),
        [b'$', b'0'..=b'9', ..] => {
            (TokenKind::Parameter, span(bytes, 1, |byte| byte.is_ascii_digit()))
        }
        [b'$', ..] => literal::dollar_quoted(bytes),
        [b'0'..=b'9', ..] | [b'.', b'0'..=b'9', ..] => {
            (TokenKind::Number, literal::number_length(bytes))
        }
        [first, ..] if is_word_start(*first) => (TokenKind::Word, span(bytes, 0, is_word_part)),
        [first, ..] if is_operator_part(*first) => operator(bytes),
        _ => punctuation(bytes),
    }
}

fn punctuation(bytes: &[u8]) -> (TokenKind, usize) {
    match bytes {
        [b':', b':', ..] => (TokenKind::TypeCast, 2),
        [b':', b'=', ..] => (TokenKind::ColonEquals, 2),
        [b'.', b'.', ..] => (TokenKind::DotDot, 2),
        [b':', ..] => (TokenKind::Colon, 1),
        [b'.', ..] => (TokenKind::Dot, 1),
        [b',', ..] => (TokenKind::Comma, 1),
        [b';', ..] => (TokenKind::Semicolon, 1),
        [b'(', ..] => (TokenKind::OpenParen, 1),
        [b')', ..] => (TokenKind::CloseParen, 1),
        [b'[', ..] => (TokenKind::OpenBracket, 1),
        [b']', ..] => (TokenKind::CloseBracket, 1),
        _ => (TokenKind::Other, 1),
    }
}

/// Longest operator that is read as one. The server allows 63 bytes; the bound keeps a run of
/// operator characters, which may be split again and again at its end, linear.
const MAX_OPERATOR: usize = 64;

/// An operator: the run of operator characters up to a comment. `+` and `-` at the end of a longer
/// run are signs of what follows, unless the run holds a character that standard SQL has not.
fn operator(bytes: &[u8]) -> (TokenKind, usize) {
    let run = bytes.get(..bytes.len().min(MAX_OPERATOR)).unwrap_or(bytes);
    let mut length = 0;
    let mut keeps_sign = false;
    while let Some([first, rest @ ..]) = run.get(length..) {
        let opens_comment =
            matches!((first, rest.first()), (b'-', Some(b'-')) | (b'/', Some(b'*')));
        if !is_operator_part(*first) || opens_comment {
            break;
        }
        keeps_sign |=
            matches!(first, b'~' | b'!' | b'@' | b'#' | b'^' | b'&' | b'|' | b'`' | b'?' | b'%');
        length += 1;
    }
    while !keeps_sign && length > 1 && matches!(run.get(length - 1), Some(b'+' | b'-')) {
        length -= 1;
    }
    let kind = match run.get(..length) {
        Some(b"=>") => TokenKind::EqualsGreater,
        _ => TokenKind::Operator,
    };
    (kind, length.max(1))
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c)
}

fn is_newline(byte: u8) -> bool {
    matches!(byte, b'\n' | b'\r')
}

/// Every byte of a non-ASCII character counts as a letter, as in the server.
fn is_word_start(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_' || byte >= 0x80
}

fn is_word_part(byte: u8) -> bool {
    is_word_start(byte) || byte.is_ascii_digit() || byte == b'$'
}

fn is_operator_part(byte: u8) -> bool {
    matches!(
        byte,
        b'~' | b'!'
            | b'@'
            | b'#'
            | b'^'
            | b'&'
            | b'|'
            | b'`'
            | b'?'
            | b'+'
            | b'-'
            | b'*'
            | b'/'
            | b'%'
            | b'<'
            | b'>'
            | b'='
    )
}
