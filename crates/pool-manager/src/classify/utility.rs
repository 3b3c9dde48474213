//! Reads one statement that is not a query: `SET`, `BEGIN`, `CREATE`, `LISTEN` and all others.
//!
//! Looks at the leading words, and at the rest only for what the statement's kind makes of
//! importance. Needs no complete list of SQL's statements: an unknown one is neither clean nor
//! refused.

use super::lexemes::Lexemes;
use super::need::{self, SessionNeed};
use super::query::is_temp_schema;
use super::statement::Statement;
use super::token::TokenKind;
use super::words::Keyword;
use super::{SettingsEffect, StatementKind, TransactionControl};

/// Reads the statement that starts here, its semicolon included.
pub(super) fn read(lexemes: &mut Lexemes<'_>) -> Statement {
    let mut head = lexemes.clone();
    let mut statement = match head.next().and_then(|first| first.keyword) {
        Some(keyword) => leading(keyword, head),
        None => Statement::unknown(StatementKind::Other),
    };
    let rest = skip(lexemes);
    match statement.kind {
        StatementKind::Create if rest.names_temp_schema => {
            statement.need = need::weightier(statement.need, Some(SessionNeed::TempObject));
        }
        StatementKind::Show => {
            statement.clean = rest.well_formed;
            statement.neutral = rest.well_formed;
            statement.read_only = rest.well_formed;
        }
        _ => {}
    }
    statement
}

/// What the leading keyword says; `head` stands behind it.
fn leading(keyword: Keyword, mut head: Lexemes<'_>) -> Statement {
    use StatementKind as Kind;
    let needing = |kind, need| Statement { need: Some(need), ..Statement::unknown(kind) };
    let tainting = |kind, need| Statement { taints: true, ..needing(kind, need) };
    match keyword {
        Keyword::Listen => needing(Kind::Listen, SessionNeed::Listen),
        Keyword::Unlisten => needing(Kind::Unlisten, SessionNeed::Unlisten),
        Keyword::Execute => needing(Kind::Execute, SessionNeed::Execute),
        Keyword::Fetch => needing(Kind::Fetch, SessionNeed::Fetch),
        Keyword::Move => needing(Kind::Fetch, SessionNeed::Move),
        Keyword::Close => needing(Kind::Close, SessionNeed::Close),
        Keyword::Lock => needing(Kind::Lock, SessionNeed::Lock),
        Keyword::Reset => {
            let readable = is_readable(head.clone());
            let settings = match readable && !head.accept(Keyword::All) {
                true => SettingsEffect::Named,
                false => SettingsEffect::Any,
            };
            Statement { settings, neutral: readable, ..needing(Kind::Reset, SessionNeed::Reset) }
        }
        Keyword::Declare => needing(Kind::Declare, declared_cursor(head)),
        Keyword::Set => set(head),
        Keyword::Load => tainting(Kind::Load, SessionNeed::Load),
        // It may name a statement that the connection keeps for its callers.
        Keyword::Deallocate => tainting(Kind::Deallocate, SessionNeed::Deallocate),
        Keyword::Discard => {
            let taints = head.accept(Keyword::All);
            let settings = if taints { SettingsEffect::Any } else { SettingsEffect::None };
            Statement { taints, settings, ..needing(Kind::Discard, SessionNeed::Discard) }
        }
        Keyword::Prepare if head.peek_keyword() != Some(Keyword::Transaction) => {
            tainting(Kind::Prepare, SessionNeed::Prepare)
        }
        Keyword::Create => created(head),
        Keyword::Notify => Statement { neutral: true, ..Statement::unknown(Kind::Notify) },
        _ => transaction(keyword, head).unwrap_or_else(|| Statement::unknown(plain_kind(keyword))),
    }
}

/// Kinds of which nothing but the name matters.
fn plain_kind(keyword: Keyword) -> StatementKind {
    match keyword {
        Keyword::Alter => StatementKind::Alter,
        Keyword::Call => StatementKind::Call,
        Keyword::Copy => StatementKind::Copy,
        Keyword::Do => StatementKind::Do,
        Keyword::Drop => StatementKind::Drop,
        Keyword::Show => StatementKind::Show,
        Keyword::Truncate => StatementKind::Truncate,
        _ => StatementKind::Other,
    }
}

fn transaction(keyword: Keyword, mut head: Lexemes<'_>) -> Option<Statement> {
    use TransactionControl as Control;
    let (control, need) = match keyword {
        Keyword::Begin => (begins(head), Some(SessionNeed::Begin)),
        Keyword::Start if head.accept(Keyword::Transaction) => {
            (begins(head), Some(SessionNeed::Begin))
        }
        Keyword::Commit if head.accept(Keyword::Prepared) => (Control::CommitPrepared, None),
        Keyword::Rollback if head.accept(Keyword::Prepared) => (Control::RollbackPrepared, None),
        Keyword::Prepare => (Control::PrepareTransaction, Some(SessionNeed::PrepareTransaction)),
        Keyword::Commit | Keyword::End => {
            (Control::Commit { chain: chains(head) }, Some(SessionNeed::Commit))
        }
        Keyword::Rollback | Keyword::Abort => {
            head.accept_any(&[Keyword::Work, Keyword::Transaction]);
            if head.accept(Keyword::To) {
                (Control::RollbackTo, Some(SessionNeed::Savepoint))
            } else {
                (Control::Rollback { chain: chains(head) }, Some(SessionNeed::Rollback))
            }
        }
        Keyword::Savepoint => (Control::Savepoint, Some(SessionNeed::Savepoint)),
        Keyword::Release => (Control::Release, Some(SessionNeed::Savepoint)),
        _ => return None,
    };
    let statement = Statement::unknown(StatementKind::Transaction);
    Some(Statement { transaction: control, need, neutral: true, ..statement })
}

/// Of the modes behind `BEGIN` the last of a kind counts. A serializable transaction counts as one that
/// writes: replicas have none.
fn begins(head: Lexemes<'_>) -> TransactionControl {
    let mut read_only = false;
    let mut reads = false;
    let mut serializable = false;
    for lexeme in head.take_while(|lexeme| lexeme.token.kind != TokenKind::Semicolon) {
        let only = lexeme.token.is_word("only");
        if reads && (only || lexeme.token.is_word("write")) {
            read_only = only;
        }
        reads = lexeme.token.is_word("read");
        serializable |= lexeme.token.is_word("serializable");
    }
    TransactionControl::Begin { read_only: read_only && !serializable }
}

/// `[WORK | TRANSACTION] AND CHAIN`, but not `AND NO CHAIN`.
fn chains(mut head: Lexemes<'_>) -> bool {
    head.accept_any(&[Keyword::Work, Keyword::Transaction]);
    head.accept(Keyword::And) && head.accept(Keyword::Chain)
}

/// `SET` in all its forms.
fn set(head: Lexemes<'_>) -> Statement {
    let readable = is_readable(head.clone());
    let need = set_form(head);
    let settings = match need {
        _ if !readable => SettingsEffect::Any,
        SessionNeed::SetLocal | SessionNeed::SetTransaction | SessionNeed::SetConstraints => {
            SettingsEffect::None
        }
        _ => SettingsEffect::Named,
    };
    let statement = Statement::unknown(StatementKind::Set);
    Statement { need: Some(need), neutral: readable, settings, ..statement }
}

/// Whether no name is written with Unicode escapes (`U&"…"`), which nobody here reads.
fn is_readable(mut head: Lexemes<'_>) -> bool {
    !head.any(|lexeme| matches!(lexeme.token.text.as_bytes(), [b'u' | b'U', b'&', ..]))
}

fn set_form(mut head: Lexemes<'_>) -> SessionNeed {
    match head.next().and_then(|second| second.keyword) {
        Some(Keyword::Local) => SessionNeed::SetLocal,
        Some(Keyword::Transaction) => SessionNeed::SetTransaction,
        Some(Keyword::Constraints) => SessionNeed::SetConstraints,
        Some(Keyword::Role) => SessionNeed::SetRole,
        Some(Keyword::Session) => match head.peek() {
            Some(third) if third.token.is_word("authorization") || third.is(Keyword::Role) => {
                SessionNeed::SetRole
            }
            _ => SessionNeed::Set,
        },
        _ => SessionNeed::Set,
    }
}

/// `DECLARE name options CURSOR [WITH HOLD] FOR query`; the query is not looked at.
fn declared_cursor(mut head: Lexemes<'_>) -> SessionNeed {
    head.next();
    while let Some(lexeme) = head.next() {
        match lexeme.keyword {
            Some(Keyword::With) if head.peek_keyword() == Some(Keyword::Hold) => {
                return SessionNeed::HoldCursor;
            }
            Some(Keyword::For) => break,
            _ if lexeme.token.kind == TokenKind::Semicolon => break,
            _ => {}
        }
    }
    SessionNeed::Cursor
}

/// `CREATE [OR REPLACE] [GLOBAL | LOCAL] TEMP …` and all other `CREATE`.
fn created(mut head: Lexemes<'_>) -> Statement {
    if head.accept(Keyword::Or) {
        head.accept(Keyword::Replace);
    }
    head.accept_any(&[Keyword::Global, Keyword::Local]);
    let temporary = head.accept_any(&[Keyword::Temp, Keyword::Temporary]).is_some();
    let statement = Statement::unknown(StatementKind::Create);
    Statement { need: temporary.then_some(SessionNeed::TempObject), ..statement }
}

/// What a statement holds besides its leading words.
struct Rest {
    names_temp_schema: bool,
    /// Every token is one that SQL knows.
    well_formed: bool,
}

/// Skips to behind the semicolon that ends the statement: one outside parentheses and outside the
/// body of a `CREATE FUNCTION … BEGIN ATOMIC … END`.
fn skip(lexemes: &mut Lexemes<'_>) -> Rest {
    let mut body = Body::new(lexemes.clone());
    let mut rest = Rest { names_temp_schema: false, well_formed: true };
    let mut depth = 0_usize;
    while let Some(lexeme) = lexemes.next() {
        match lexeme.token.kind {
            TokenKind::OpenParen => depth += 1,
            TokenKind::CloseParen => depth = depth.saturating_sub(1),
            TokenKind::Semicolon if depth == 0 && !body.is_open() => break,
            TokenKind::Unterminated | TokenKind::Other => rest.well_formed = false,
            _ => {}
        }
        rest.names_temp_schema |= is_temp_schema(lexeme)
            && lexemes.peek().is_some_and(|next| next.token.kind == TokenKind::Dot);
        body.read(lexeme.keyword, lexemes.peek_keyword());
    }
    rest
}

/// Counts `BEGIN ATOMIC`, `CASE` and `END` in the statements that may have such a body.
struct Body {
    possible: bool,
    depth: usize,
    /// The word before was `AS`, so that this one is a label.
    label: bool,
}

impl Body {
    fn new(mut head: Lexemes<'_>) -> Self {
        let mut possible = head.accept(Keyword::Create);
        if head.accept(Keyword::Or) {
            head.accept(Keyword::Replace);
        }
        possible &= head.accept_any(&[Keyword::Function, Keyword::Procedure]).is_some();
        Self { possible, depth: 0, label: false }
    }

    fn is_open(&self) -> bool {
        self.depth > 0
    }

    fn read(&mut self, keyword: Option<Keyword>, next: Option<Keyword>) {
        let label = std::mem::replace(&mut self.label, keyword == Some(Keyword::As));
        if !self.possible || label {
            return;
        }
        match keyword {
            Some(Keyword::Begin) if next == Some(Keyword::Atomic) => self.depth += 1,
            Some(Keyword::Case) if self.depth > 0 => self.depth += 1,
            Some(Keyword::End) => self.depth = self.depth.saturating_sub(1),
            _ => {}
        }
    }
}
