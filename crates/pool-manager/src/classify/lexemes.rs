//! The tokens that mean something, each with the keyword it spells.
//!
//! Blanks and comments are dropped here and nowhere else. Knows no grammar.

use super::token::{Token, TokenKind, Tokens};
use super::words::Keyword;

/// A token that is neither blank nor comment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lexeme<'a> {
    pub(super) token: Token<'a>,
    /// Set only for unquoted words.
    pub(super) keyword: Option<Keyword>,
}

impl Lexeme<'_> {
    pub(super) fn is(&self, keyword: Keyword) -> bool {
        self.keyword == Some(keyword)
    }

    /// A semicolon.
    pub(super) fn ends_statement(&self) -> bool {
        self.token.kind == TokenKind::Semicolon
    }

    /// A word or a quoted identifier.
    pub(super) fn is_name(&self) -> bool {
        matches!(self.token.kind, TokenKind::Word | TokenKind::QuotedIdentifier)
    }
}

/// Iterator over the lexemes of a text; cloning it is how to look further ahead than one.
#[derive(Clone, Debug)]
pub(super) struct Lexemes<'a> {
    tokens: Tokens<'a>,
    /// Read ahead, so that looking at it costs nothing and no token is cut twice.
    ahead: Option<Lexeme<'a>>,
}

impl<'a> Lexemes<'a> {
    pub(super) fn new(sql: &'a str) -> Self {
        let mut lexemes = Self { tokens: Tokens::new(sql), ahead: None };
        lexemes.ahead = lexemes.read();
        lexemes
    }

    /// The next lexeme, which stays to be read.
    pub(super) fn peek(&self) -> Option<Lexeme<'a>> {
        self.ahead
    }

    /// The keyword the next lexeme spells.
    pub(super) fn peek_keyword(&self) -> Option<Keyword> {
        self.ahead.and_then(|lexeme| lexeme.keyword)
    }

    /// Reads the next lexeme if it spells one of `wanted`.
    pub(super) fn accept_any(&mut self, wanted: &[Keyword]) -> Option<Keyword> {
        let found = self.peek_keyword().filter(|keyword| wanted.contains(keyword))?;
        self.next();
        Some(found)
    }

    /// Reads the next lexeme if it spells `wanted`.
    pub(super) fn accept(&mut self, wanted: Keyword) -> bool {
        self.accept_any(&[wanted]).is_some()
    }

    fn read(&mut self) -> Option<Lexeme<'a>> {
        let token = self.tokens.find(|token| !token.is_blank())?;
        let keyword = match token.kind {
            TokenKind::Word => Keyword::of(token.text),
            _ => None,
        };
        Some(Lexeme { token, keyword })
    }
}

impl<'a> Iterator for Lexemes<'a> {
    type Item = Lexeme<'a>;

    fn next(&mut self) -> Option<Lexeme<'a>> {
        let lexeme = self.ahead?;
        self.ahead = self.read();
        Some(lexeme)
    }
}
