//! One statement: tells queries, `EXPLAIN` and utility statements apart and has each read by its
//! own reader. Reads no further than the semicolon that ends the statement.

use super::lexemes::Lexemes;
use super::token::TokenKind;
use super::words::Keyword;
use super::{
    Functions, SessionNeed, SettingsEffect, StatementKind, TransactionControl, query, utility,
};

/// What one statement does; the fields mean what they mean in
/// [`Classification`](super::Classification).
#[derive(Clone, Copy, Debug)]
pub(super) struct Statement {
    pub(super) kind: StatementKind,
    pub(super) clean: bool,
    pub(super) neutral: bool,
    pub(super) read_only: bool,
    pub(super) asks_catalogue: bool,
    pub(super) need: Option<SessionNeed>,
    pub(super) transaction: TransactionControl,
    pub(super) taints: bool,
    pub(super) cacheable: bool,
    pub(super) settings: SettingsEffect,
}

impl Statement {
    /// A statement of which nothing good is known.
    pub(super) fn unknown(kind: StatementKind) -> Self {
        Self {
            kind,
            clean: false,
            neutral: false,
            read_only: false,
            asks_catalogue: false,
            need: None,
            transaction: TransactionControl::None,
            taints: false,
            cacheable: false,
            settings: SettingsEffect::None,
        }
    }

    pub(super) fn expected_tag(&self) -> Option<&'static str> {
        match self.kind {
            StatementKind::Select
            | StatementKind::SelectInto
            | StatementKind::Values
            | StatementKind::Table => Some("SELECT"),
            StatementKind::Insert => Some("INSERT"),
            StatementKind::Update => Some("UPDATE"),
            StatementKind::Delete => Some("DELETE"),
            StatementKind::Merge => Some("MERGE"),
            StatementKind::Explain => Some("EXPLAIN"),
            StatementKind::Show => Some("SHOW"),
            _ => None,
        }
    }
}

/// Reads the statement that starts here, its semicolon included.
pub(super) fn read(lexemes: &mut Lexemes<'_>, functions: Functions<'_>) -> Statement {
    if lexemes.accept(Keyword::Explain) {
        skip_explain_options(lexemes);
        let explained = query_or_utility(lexemes, functions);
        return Statement { kind: StatementKind::Explain, cacheable: false, ..explained };
    }
    query_or_utility(lexemes, functions)
}

fn query_or_utility(lexemes: &mut Lexemes<'_>, functions: Functions<'_>) -> Statement {
    if starts_query(lexemes) || lexemes.peek_keyword().is_some_and(modifies_data) {
        query::read(lexemes, functions)
    } else {
        utility::read(lexemes)
    }
}

/// True before `SELECT`, `WITH`, `VALUES`, `TABLE` or a parenthesis, which can only open a query.
fn starts_query(lexemes: &Lexemes<'_>) -> bool {
    let Some(first) = lexemes.peek() else { return false };
    first.token.kind == TokenKind::OpenParen
        || matches!(
            first.keyword,
            Some(Keyword::Select | Keyword::With | Keyword::Values | Keyword::Table)
        )
}

pub(super) fn modifies_data(keyword: Keyword) -> bool {
    matches!(keyword, Keyword::Insert | Keyword::Update | Keyword::Delete | Keyword::Merge)
}

/// Skips `ANALYZE VERBOSE` or `(option, …)`, but not the parenthesis of `EXPLAIN (SELECT …)`.
fn skip_explain_options(lexemes: &mut Lexemes<'_>) {
    let mut inside = lexemes.clone();
    let opens = inside.next().is_some_and(|first| first.token.kind == TokenKind::OpenParen);
    if !opens {
        let words = [Keyword::Analyze, Keyword::Analyse, Keyword::Verbose];
        while lexemes.accept_any(&words).is_some() {}
    } else if !starts_query(&inside) {
        let mut depth = 0_usize;
        for lexeme in lexemes.by_ref() {
            match lexeme.token.kind {
                TokenKind::OpenParen => depth += 1,
                TokenKind::CloseParen => depth = depth.saturating_sub(1),
                _ => {}
            }
            if depth == 0 {
                break;
            }
        }
    }
}
