//! Whether a name before an opening parenthesis is called, or is an alias, a column list, a type
//! or a piece of syntax.
//!
//! Decides by what stands before the name. When it cannot tell, it says call: an unknown call
//! costs a reset, an overlooked one would leave its traces to the next caller.

use super::frames::Frame;
use super::functions::CallName;
use super::lexemes::Lexeme;
use super::token::TokenKind;
use super::words::{self, Keyword};

/// The last name read: one or more identifiers joined by dots, and what stands before them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Name<'a> {
    pub(super) before: Option<Lexeme<'a>>,
    pub(super) schema: Option<Lexeme<'a>>,
    pub(super) last: Lexeme<'a>,
    /// Three identifiers and more: too long for a function's name.
    pub(super) overlong: bool,
}

impl<'a> Name<'a> {
    pub(super) fn starting(last: Lexeme<'a>, before: Option<Lexeme<'a>>) -> Self {
        Self { before, schema: None, last, overlong: false }
    }

    /// The name with `.last` added.
    pub(super) fn extended(self, last: Lexeme<'a>) -> Self {
        Self { schema: Some(self.last), last, overlong: self.schema.is_some(), before: self.before }
    }

    pub(super) fn as_call(&self) -> CallName<'a> {
        CallName { schema: self.schema.map(|schema| schema.token), name: self.last.token }
    }

    /// The keyword it spells, if it is one unquoted identifier.
    fn keyword(&self) -> Option<Keyword> {
        if self.schema.is_none() { self.last.keyword } else { None }
    }
}

/// What an opening parenthesis after a name is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Opening {
    /// A call of the name.
    Call,
    /// Not a call; the frame tells what it holds.
    Syntax(Frame),
}

const EXPRESSIONS: Frame = Frame {
    names: false,
    expression_follows: false,
    set_config: false,
    with_list: false,
    group_by: false,
};
const NAMES: Frame = Frame { names: true, ..EXPRESSIONS };

/// Tells what the parenthesis after `name` opens. `level` is the frame it stands in, `closed` the
/// one that was last left.
pub(super) fn opening(name: &Name<'_>, level: Frame, closed: Frame) -> Opening {
    if level.names {
        return Opening::Syntax(NAMES);
    }
    if let Some(frame) = declared(name, level) {
        return Opening::Syntax(frame);
    }
    let keyword = name.keyword();
    if name.before.is_some_and(|before| ends_operand(before, closed)) {
        // No call can follow an operand: this is an alias without AS, or syntax like FILTER (.
        let alias = name.last.token.kind == TokenKind::QuotedIdentifier;
        let expression_follows = keyword == Some(Keyword::Operator);
        let syntax = Frame { expression_follows, ..EXPRESSIONS };
        return Opening::Syntax(if alias { NAMES } else { syntax });
    }
    let unquoted = name.last.token.kind == TokenKind::Word;
    if unquoted && name.schema.is_none() && words::never_function(name.last.token.text) {
        let distinct_on = keyword == Some(Keyword::On) && is_before(name, &[Keyword::Distinct]);
        // RETURNING WITH (OLD AS o) is followed by expressions.
        let expression_follows = distinct_on || keyword == Some(Keyword::With);
        return Opening::Syntax(Frame { expression_follows, ..EXPRESSIONS });
    }
    match keyword.and_then(|keyword| syntax(keyword, name, level)) {
        Some(frame) => Opening::Syntax(frame),
        None => Opening::Call,
    }
}

/// Names that are being declared or take no call for what stands before them.
fn declared(name: &Name<'_>, level: Frame) -> Option<Frame> {
    let before = name.before?;
    match before.keyword {
        Some(Keyword::As) if name.keyword() == Some(Keyword::Materialized) => Some(EXPRESSIONS),
        Some(
            Keyword::As | Keyword::Into | Keyword::With | Keyword::Recursive | Keyword::Ordinality,
        ) => Some(NAMES),
        Some(Keyword::Tablesample) if is_sampling_method(name) => Some(EXPRESSIONS),
        _ => match before.token.kind {
            TokenKind::TypeCast => Some(NAMES),
            TokenKind::Comma if level.with_list => Some(NAMES),
            _ => None,
        },
    }
}

/// The two built-in methods and those of the two contrib modules.
fn is_sampling_method(name: &Name<'_>) -> bool {
    name.schema.is_none()
        && ["bernoulli", "system", "system_rows", "system_time"]
            .iter()
            .any(|method| name.last.token.is_word(method))
}

/// Keywords that may name a function elsewhere, but not where they stand here.
fn syntax(keyword: Keyword, name: &Name<'_>, level: Frame) -> Option<Frame> {
    use Keyword as K;
    let before = |wanted: &[Keyword]| is_before(name, wanted);
    let is_syntax = match keyword {
        K::By => before(&[K::Group, K::Order, K::Partition]),
        K::Conflict => before(&[K::On]),
        K::First | K::Next => before(&[K::Fetch]),
        K::Insert => before(&[K::Then]),
        K::Materialized => before(&[K::Not]),
        K::Sets => before(&[K::Grouping]),
        K::Zone => before(&[K::Time]),
        K::Cube | K::Rollup => level.group_by,
        K::Varying => name.before.is_some_and(|before| before.token.kind == TokenKind::Word),
        K::Ilike | K::Like if before(&[K::Not]) => true,
        K::Columns
        | K::Escape
        | K::Ilike
        | K::Join
        | K::Like
        | K::Operator
        | K::Overlaps
        | K::Passing
        | K::Set
        | K::Value => name.before.is_some_and(is_plain_word),
        _ => false,
    };
    let inherits = matches!(keyword, K::Cube | K::Rollup | K::Sets);
    is_syntax.then_some(Frame {
        group_by: inherits,
        expression_follows: keyword == K::Operator,
        ..EXPRESSIONS
    })
}

fn is_before(name: &Name<'_>, wanted: &[Keyword]) -> bool {
    name.before.and_then(|before| before.keyword).is_some_and(|found| wanted.contains(&found))
}

/// A word that may be a column, a table or an alias.
fn is_plain_word(lexeme: Lexeme<'_>) -> bool {
    lexeme.token.kind == TokenKind::Word && !words::never_function(lexeme.token.text)
}

/// True for a token after which an expression cannot begin, because one ends with it.
fn ends_operand(lexeme: Lexeme<'_>, closed: Frame) -> bool {
    match lexeme.token.kind {
        TokenKind::String
        | TokenKind::Number
        | TokenKind::Parameter
        | TokenKind::QuotedIdentifier
        | TokenKind::CloseBracket => true,
        TokenKind::CloseParen => !closed.expression_follows,
        _ => false,
    }
}
