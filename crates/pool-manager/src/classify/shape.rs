//! What a statement looks like when its constants do not count: the text by which statements that differ
//! only in those are one. A list of constants or parameters is as good as one of any other length, and
//! so is a list of rows of them.
//!
//! Nothing that a user may have typed as data is in it. Where a string ends is not certain when it has a
//! backslash and the server may take that for an escape: nothing behind such a one is shown.

use super::token::{Token, TokenKind, Tokens};

/// Stands for what is left out.
const MORE: &str = ", ...";

/// The pieces of the text, in order: put together they are the shape of `sql`.
pub(crate) struct Shape<'a> {
    tokens: Tokens<'a>,
    /// A token that something was put in front of.
    pending: Option<Token<'a>>,
    /// A piece that comes before the next token.
    queued: Option<&'static str>,
    begun: bool,
    ended: bool,
}

impl<'a> Shape<'a> {
    pub(crate) fn of(sql: &'a str) -> Self {
        let tokens = Tokens::new(sql);
        Self { tokens, pending: None, queued: None, begun: false, ended: false }
    }

    /// The next token that means something, and what stands for all that was passed over in front of it.
    /// What ends the last statement means nothing, and nothing is in front of the first token.
    fn next_token(&mut self) -> Option<(Token<'a>, Option<&'static str>)> {
        if let Some(token) = self.pending.take() {
            return Some((token, None));
        }
        let mut passed = None;
        loop {
            let token = self.tokens.next()?;
            if token.kind == TokenKind::Semicolon {
                passed = Some("; ");
            } else if token.is_blank() {
                passed = passed.or(Some(" "));
            } else {
                return Some((token, passed.filter(|_| self.begun)));
            }
        }
    }

    /// Passes over `, ?, ?` behind a constant, or `, (?, ?), (?, ?)` behind a row; whether there was any.
    fn pass_list(&mut self, passes_one: impl Fn(&mut Tokens<'a>) -> bool) -> bool {
        let mut passed = false;
        loop {
            let mut ahead = self.tokens.clone();
            if next(&mut ahead).is_none_or(|token| token.kind != TokenKind::Comma)
                || !passes_one(&mut ahead)
            {
                return passed;
            }
            self.tokens = ahead;
            passed = true;
        }
    }
}

impl<'a> Iterator for Shape<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        if let Some(queued) = self.queued.take() {
            return Some(queued);
        }
        if self.ended {
            return None;
        }
        let (token, passed) = self.next_token()?;
        if let Some(passed) = passed {
            self.pending = Some(token);
            return Some(passed);
        }
        self.begun = true;
        if !is_data(&token) {
            if token.kind == TokenKind::CloseParen && self.pass_list(row) {
                self.queued = Some(MORE);
            }
            return Some(token.text);
        }
        if is_uncertain(&token) {
            self.ended = true;
            self.queued = Some(" ...");
        } else if self.pass_list(constant) {
            self.queued = Some(MORE);
        }
        Some(if token.kind == TokenKind::Parameter { token.text } else { "?" })
    }
}

/// The next token that is no blank.
fn next<'a>(tokens: &mut Tokens<'a>) -> Option<Token<'a>> {
    tokens.find(|token| !token.is_blank())
}

/// Passes over a constant or parameter.
fn constant(tokens: &mut Tokens<'_>) -> bool {
    next(tokens).is_some_and(|token| is_data(&token) && !is_uncertain(&token))
}

/// Passes over `(?, ?)`.
fn row(tokens: &mut Tokens<'_>) -> bool {
    if next(tokens).is_none_or(|token| token.kind != TokenKind::OpenParen) {
        return false;
    }
    loop {
        if !constant(tokens) {
            return false;
        }
        match next(tokens).map(|token| token.kind) {
            Some(TokenKind::Comma) => {}
            Some(TokenKind::CloseParen) => return true,
            _ => return false,
        }
    }
}

fn is_data(token: &Token<'_>) -> bool {
    matches!(
        token.kind,
        TokenKind::String | TokenKind::Number | TokenKind::Parameter | TokenKind::Unterminated
    )
}

/// Whether it may end elsewhere: an ordinary string with a backslash, or one without an end.
fn is_uncertain(token: &Token<'_>) -> bool {
    let is_ordinary = token.kind == TokenKind::String && token.text.starts_with('\'');
    token.kind == TokenKind::Unterminated || (is_ordinary && token.text.contains('\\'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(sql: &str) -> String {
        Shape::of(sql).collect()
    }

    #[test]
    fn constants_comments_and_layout_make_no_difference() {
        for (sql, expected) in [
            ("SELECT  *\n FROM t -- x\n WHERE a = 'x''y'", "SELECT * FROM t WHERE a = ?"),
            ("  select 1.5e3 ; ", "select ?"),
            ("SELECT 1;; -- x", "SELECT ?"),
            ("; BEGIN;; SELECT 1;", "BEGIN; SELECT ?"),
            (";", ""),
            ("SELECT E'\\'secret', $$secret$$", "SELECT ?, ..."),
            ("SELECT \"Name\", $1 FROM t", "SELECT \"Name\", $1 FROM t"),
            ("SELECT /* secret */ a", "SELECT a"),
            ("", ""),
            (" -- nothing", ""),
        ] {
            assert_eq!(shape(sql), expected, "{sql}");
        }
    }

    #[test]
    fn lists_of_any_length_are_one() {
        let one = shape("SELECT a FROM t WHERE b IN (1, 2) AND c = 3");
        assert_eq!(one, "SELECT a FROM t WHERE b IN (?, ...) AND c = ?");
        assert_eq!(shape("SELECT a FROM t WHERE b IN (1,2,'x' , 4) AND c = 3"), one);
        assert_eq!(
            shape("SELECT a FROM t WHERE b IN ($1, $2)"),
            shape("SELECT a FROM t WHERE b IN ($1,$2,$3)")
        );
        let rows = shape("INSERT INTO t VALUES (1, 'a'), (2, 'b')");
        assert_eq!(rows, "INSERT INTO t VALUES (?, ...), ...");
        assert_eq!(
            shape("INSERT INTO t VALUES (1, 'a'), (2, 'b'), (3, NULL)"),
            "INSERT INTO t VALUES (?, ...), ..., (?, NULL)"
        );
        assert_eq!(shape("SELECT f(a), (b), 1"), "SELECT f(a), (b), ?");
    }

    #[test]
    fn nothing_is_shown_behind_a_string_that_may_end_elsewhere() {
        assert_eq!(shape(r"SELECT 'it\'s secret', a"), "SELECT ? ...");
        assert_eq!(shape(r"SELECT 1, 'it\'s secret', a"), "SELECT ?, ? ...");
        assert_eq!(shape("SELECT a, 'secret"), "SELECT a, ? ...");
    }
}
