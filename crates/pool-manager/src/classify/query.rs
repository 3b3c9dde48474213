//! Reads one query: `SELECT`, `INSERT`, `UPDATE`, `DELETE`, `MERGE`, `VALUES`, `TABLE`, with or
//! without `WITH` before it.
//!
//! One pass with a short memory: the last two lexemes, the last name, the open parentheses. It
//! does not parse: what the server would refuse may pass, because then the server refuses it.

use super::calls::{self, Name, Opening};
use super::frames::{Frame, Frames};
use super::functions::{self, Effect};
use super::lexemes::{Lexeme, Lexemes};
use super::need::{self, SessionNeed};
use super::plain;
use super::statement::{Statement, modifies_data};
use super::token::TokenKind;
use super::words::{self, Keyword};
use super::{Functions, SettingsEffect, StatementKind};

/// Reads the query that starts here, its semicolon included.
pub(super) fn read<'a>(lexemes: &mut Lexemes<'a>, functions: Functions<'_>) -> Statement {
    let mut reader = Reader::new(functions);
    for lexeme in lexemes.by_ref() {
        if lexeme.token.kind == TokenKind::Semicolon && reader.frames.depth() == 0 {
            break;
        }
        reader.read(lexeme);
    }
    reader.verdict()
}

struct Reader<'a, 's> {
    functions: Functions<'s>,
    frames: Frames,
    /// The frame that was last left.
    closed: Frame,
    previous: Option<Lexeme<'a>>,
    before_previous: Option<Lexeme<'a>>,
    name: Option<Name<'a>>,
    kind: Option<StatementKind>,
    /// Only opening parentheses so far.
    leading: bool,
    /// Depth of the `WITH` that the statement itself begins with.
    with_depth: Option<usize>,
    /// Between `INTO` and the name of the table that a `SELECT` creates.
    into_target: bool,
    selects_into: bool,
    /// Something not known to leave the session alone.
    dirty: bool,
    /// Something that may write or lock.
    writes: bool,
    /// A call of a function that is not known, of whatever effect on the session.
    calls_unknown: bool,
    /// One that is known to leave the session alone, and may write.
    calls_listed: bool,
    need: Option<SessionNeed>,
    settings: SettingsEffect,
    /// The view of the settings is named somewhere.
    names_settings: bool,
}

impl<'a, 's> Reader<'a, 's> {
    fn new(functions: Functions<'s>) -> Self {
        Self {
            functions,
            frames: Frames::new(),
            closed: Frame::default(),
            previous: None,
            before_previous: None,
            name: None,
            kind: None,
            leading: true,
            with_depth: None,
            into_target: false,
            selects_into: false,
            dirty: false,
            writes: false,
            calls_unknown: false,
            calls_listed: false,
            need: None,
            settings: SettingsEffect::None,
            names_settings: false,
        }
    }

    fn read(&mut self, lexeme: Lexeme<'a>) {
        match lexeme.token.kind {
            TokenKind::Word => self.word(lexeme),
            TokenKind::QuotedIdentifier => self.name(lexeme),
            TokenKind::OpenParen => self.open_paren(),
            TokenKind::OpenBracket => self.frames.open(Frame::default()),
            TokenKind::CloseParen | TokenKind::CloseBracket => self.close(),
            TokenKind::Unterminated | TokenKind::Other | TokenKind::Semicolon => self.dirty = true,
            _ => {}
        }
        self.leading &= lexeme.token.kind == TokenKind::OpenParen;
        self.before_previous = self.previous;
        self.previous = Some(lexeme);
    }

    /// Adds an identifier to the name being read, or starts the next name with it.
    fn name(&mut self, lexeme: Lexeme<'a>) {
        if std::mem::take(&mut self.into_target) && is_temp_schema(lexeme) {
            self.need = need::weightier(self.need, Some(SessionNeed::TempObject));
        }
        self.names_settings |=
            lexeme.token.text.trim_matches('"').eq_ignore_ascii_case(plain::SETTINGS);
        // With UESCAPE its name may end long before the parenthesis of its call.
        self.dirty |= matches!(lexeme.token.text.as_bytes(), [b'u' | b'U', b'&', ..]);
        self.name = Some(match self.name {
            Some(name) if self.follows_dot() && self.before_previous_is_name() => {
                name.extended(lexeme)
            }
            _ => Name::starting(lexeme, self.previous),
        });
    }

    fn word(&mut self, lexeme: Lexeme<'a>) {
        // After AS and after a dot any word is a name.
        let label = self.follows(Keyword::As) || self.follows_dot();
        let declares = self.name;
        let into_target = self.into_target;
        self.name(lexeme);
        let Some(keyword) = lexeme.keyword.filter(|_| !label) else {
            return;
        };
        if into_target {
            self.target_word(keyword);
            return;
        }
        match keyword {
            Keyword::With if self.kind.is_none() && self.leading => {
                self.with_depth = Some(self.frames.depth());
            }
            Keyword::As => self.with_query(declares),
            Keyword::Into if !self.follows_any(&[Keyword::Insert, Keyword::Merge]) => {
                self.selects_into = true;
                self.into_target = true;
            }
            Keyword::Update | Keyword::Share | Keyword::No | Keyword::Key
                if self.follows(Keyword::For) =>
            {
                self.writes = true;
            }
            _ => {}
        }
        self.clause(keyword);
        if let Some(kind) = query_kind(keyword) {
            self.verb(keyword, kind);
        }
    }

    /// `SELECT … INTO TEMP TABLE name`: the words before the name.
    fn target_word(&mut self, keyword: Keyword) {
        match keyword {
            Keyword::Temp | Keyword::Temporary => {
                self.need = need::weightier(self.need, Some(SessionNeed::TempObject));
            }
            Keyword::Local | Keyword::Global | Keyword::Table => self.into_target = true,
            _ => {}
        }
    }

    /// `WITH name AS`: from here to its own verb the level holds a list of queries.
    fn with_query(&mut self, name: Option<Name<'a>>) {
        let follows_name = self.previous.is_some_and(|previous| previous.is_name());
        if follows_name && name.is_some_and(|name| begins_with_list(&name)) {
            self.set_with_list(true);
        }
    }

    fn set_with_list(&mut self, with_list: bool) {
        if let Some(level) = self.frames.current_mut() {
            level.with_list = with_list;
        }
    }

    /// Keeps track of where `GROUP BY` begins and ends.
    fn clause(&mut self, keyword: Keyword) {
        let group_by = match keyword {
            Keyword::Group => !self.follows(Keyword::Within),
            Keyword::Select
            | Keyword::Where
            | Keyword::Having
            | Keyword::Window
            | Keyword::Order
            | Keyword::Union
            | Keyword::Intersect
            | Keyword::Except
            | Keyword::Limit
            | Keyword::Offset
            | Keyword::Fetch
            | Keyword::For => false,
            _ => return,
        };
        if let Some(level) = self.frames.current_mut() {
            level.group_by = group_by;
        }
    }

    /// A word that may be the verb of the statement or of a query inside it.
    fn verb(&mut self, keyword: Keyword, kind: StatementKind) {
        let opens = self.previous.is_none()
            || self.previous.is_some_and(|previous| previous.token.kind == TokenKind::OpenParen);
        let ends_with_list = self.frames.current().with_list && !self.names_with_query();
        if !opens && !ends_with_list {
            return;
        }
        if ends_with_list {
            self.set_with_list(false);
        }
        self.writes |= modifies_data(keyword);
        let own = if ends_with_list {
            self.with_depth == Some(self.frames.depth())
        } else {
            self.leading
        };
        if own && self.kind.is_none() {
            let in_parentheses = self.frames.depth() > 0;
            self.kind = Some(if in_parentheses { StatementKind::Select } else { kind });
        }
    }

    /// True where the next name is that of a `WITH` query.
    fn names_with_query(&self) -> bool {
        self.follows_any(&[Keyword::With, Keyword::Recursive])
            || self.previous.is_some_and(|previous| previous.token.kind == TokenKind::Comma)
    }

    fn open_paren(&mut self) {
        let level = self.frames.current();
        let previous = self.previous.map(|previous| previous.token.kind);
        if level.with_list && previous == Some(TokenKind::CloseParen) {
            // WITH … (SELECT …): the list is over, and what follows can only be a SELECT.
            self.set_with_list(false);
            if self.kind.is_none() && self.with_depth == Some(self.frames.depth()) {
                self.kind = Some(StatementKind::Select);
            }
        }
        let named = matches!(previous, Some(TokenKind::Word | TokenKind::QuotedIdentifier));
        let frame = match self.name.filter(|_| named) {
            Some(name) => self.named_paren(&name, level),
            // `((a), b)` within GROUPING SETS and column lists is of its parent's kind.
            None => Frame { names: level.names, group_by: level.group_by, ..Frame::default() },
        };
        self.frames.open(frame);
    }

    fn named_paren(&mut self, name: &Name<'a>, level: Frame) -> Frame {
        match calls::opening(name, level, self.closed) {
            Opening::Syntax(frame) => {
                if begins_with_list(name) {
                    self.set_with_list(true);
                }
                frame
            }
            Opening::Call => self.call(name),
        }
    }

    fn call(&mut self, name: &Name<'a>) -> Frame {
        let call = name.as_call();
        let effect = if name.overlong {
            Effect::Unknown
        } else {
            functions::effect(call, self.functions.safe)
        };
        let is_known = !matches!(effect, Effect::Unknown | Effect::Listed);
        self.functions.note(call, is_known);
        match effect {
            Effect::Harmless => {}
            Effect::Unknown | Effect::Listed => {
                self.calls_unknown |= effect == Effect::Unknown;
                self.calls_listed |= effect == Effect::Listed;
                self.writes |= name.overlong || !call.is_readable();
            }
            // What set_config does, its last argument tells.
            Effect::SessionSafe | Effect::SetConfig => self.writes = true,
            Effect::Needs(need) => {
                self.writes = true;
                self.dirty = true;
                self.need = need::weightier(self.need, Some(need));
            }
        }
        Frame { set_config: effect == Effect::SetConfig, ..Frame::default() }
    }

    fn close(&mut self) {
        let Some(closed) = self.frames.close() else {
            self.dirty = true;
            return;
        };
        if closed.set_config {
            self.set_config();
        }
        self.closed = closed;
    }

    /// At the end of the arguments of `set_config`: with a plain `true` as the last one it is over
    /// when the transaction is.
    fn set_config(&mut self) {
        let last_argument = matches!(
            self.before_previous.map(|lexeme| lexeme.token.kind),
            Some(TokenKind::Comma | TokenKind::EqualsGreater | TokenKind::ColonEquals)
        );
        if last_argument && self.follows(Keyword::True) {
            return;
        }
        if last_argument && self.follows(Keyword::False) {
            self.need = self.need.or(Some(SessionNeed::SetConfig));
        }
        self.dirty = true;
        self.settings = SettingsEffect::Any;
    }

    fn verdict(mut self) -> Statement {
        let calls = self.calls_unknown || self.calls_listed;
        if (self.writes || calls) && self.names_settings {
            // An UPDATE of this view is a SET.
            self.dirty = true;
            self.settings = SettingsEffect::Any;
        }
        let unread = self.kind.is_none() || self.frames.too_deep() || self.frames.depth() > 0;
        let kind = match self.kind {
            _ if self.selects_into => StatementKind::SelectInto,
            Some(kind) => kind,
            None => StatementKind::Other,
        };
        let sound = !self.dirty && !self.selects_into && !unread;
        let clean = sound && !self.calls_unknown;
        Statement {
            clean,
            neutral: clean,
            read_only: clean && !self.writes && !calls,
            asks_catalogue: sound && !self.writes && calls,
            need: self.need,
            settings: self.settings,
            cacheable: !self.selects_into && self.kind.is_some(),
            ..Statement::unknown(kind)
        }
    }

    fn follows(&self, keyword: Keyword) -> bool {
        self.previous.is_some_and(|previous| previous.is(keyword))
    }

    fn follows_any(&self, keywords: &[Keyword]) -> bool {
        keywords.iter().any(|keyword| self.follows(*keyword))
    }

    fn follows_dot(&self) -> bool {
        self.previous.is_some_and(|previous| previous.token.kind == TokenKind::Dot)
    }

    fn before_previous_is_name(&self) -> bool {
        self.before_previous.is_some_and(|lexeme| lexeme.is_name())
    }
}

/// True for the first name of a `WITH` list; not for `WITH ORDINALITY` and `WITH UNIQUE`.
fn begins_with_list(name: &Name<'_>) -> bool {
    let last = name.last;
    let reserved = last.token.kind == TokenKind::Word && words::never_function(last.token.text);
    let follows_with =
        name.before.is_some_and(|before| before.is(Keyword::With) || before.is(Keyword::Recursive));
    follows_with && !reserved && name.schema.is_none() && !last.is(Keyword::Ordinality)
}

/// True for `pg_temp`, the schema of temporary objects.
pub(super) fn is_temp_schema(lexeme: Lexeme<'_>) -> bool {
    lexeme.token.is_word("pg_temp") || lexeme.token.text == "\"pg_temp\""
}

/// The kind of query that a verb begins.
fn query_kind(keyword: Keyword) -> Option<StatementKind> {
    Some(match keyword {
        Keyword::Select => StatementKind::Select,
        Keyword::Values => StatementKind::Values,
        Keyword::Table => StatementKind::Table,
        Keyword::Insert => StatementKind::Insert,
        Keyword::Update => StatementKind::Update,
        Keyword::Delete => StatementKind::Delete,
        Keyword::Merge => StatementKind::Merge,
        _ => return None,
    })
}
