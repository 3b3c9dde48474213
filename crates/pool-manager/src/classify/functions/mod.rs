//! What is known of a function by its name: harmless, writing, or touching the session.
//!
//! The list of harmless names was taken from PostgreSQL 15's own catalogue,
//!
//! ```sql
//! SELECT DISTINCT proname COLLATE "C" FROM pg_proc
//!  WHERE pronamespace = 'pg_catalog'::regnamespace AND prokind IN ('f', 'a', 'w')
//!    AND NOT EXISTS (SELECT FROM unnest(proargtypes) AS t(oid)
//!                     WHERE oid IN ('internal'::regtype, 'cstring'::regtype))
//! ```
//!
//! less those that return triggers and handlers, keep session or server state (settings, seeds,
//! sequences, locks, large object descriptors, replication origins and slots, statistics,
//! backups), signal other sessions, or run SQL given as text (`query_to_xml`, `ts_stat`, ...);
//! plus what releases 16 to 18 added. Overloads share a name, so one bad overload excludes it.
//! Nothing here looks at arguments or at the database.

mod safe;

use std::cmp::Ordering;

use super::need::SessionNeed;
use super::token::{Token, TokenKind};
use super::words::compare_folded;

pub use safe::SafeFunctions;

/// What calling a function does, as far as its name tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// Reads and computes only.
    Harmless,
    /// Does something, but leaves the session as it was.
    SessionSafe,
    /// Leaves the session as it was, says its owner: whether it writes, the catalogue knows.
    Listed,
    /// Touches the session, or is unknown.
    Unknown,
    /// Is of use only to a caller that keeps its session or transaction.
    Needs(SessionNeed),
    /// `set_config`, where the third argument decides.
    SetConfig,
}

/// The name before a call's parenthesis, `function` or `schema.function`.
#[derive(Clone, Copy, Debug)]
pub(super) struct CallName<'a> {
    pub(super) schema: Option<Token<'a>>,
    pub(super) name: Token<'a>,
}

impl CallName<'_> {
    /// Whether it can be told which name it is.
    pub(super) fn is_readable(self) -> bool {
        Part::of(self.name).is_some() && self.schema.is_none_or(|schema| Part::of(schema).is_some())
    }
}

/// A function's name, as the catalogue has it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FunctionName {
    /// `None`: whichever the search_path finds.
    pub schema: Option<Box<str>>,
    /// The name.
    pub name: Box<str>,
}

impl FunctionName {
    /// None where an identifier cannot be read.
    pub(super) fn of(call: CallName<'_>) -> Option<Self> {
        let schema = match call.schema {
            Some(schema) => Some(Part::of(schema)?.folded()),
            None => None,
        };
        Some(Self { schema, name: Part::of(call.name)?.folded() })
    }
}

/// Looks a called function up: first among the user's own safe ones, then among the built-in.
pub(super) fn effect(call: CallName<'_>, safe: &SafeFunctions) -> Effect {
    let Some(name) = Part::of(call.name) else { return Effect::Unknown };
    let schema = match call.schema.map(Part::of) {
        Some(None) => return Effect::Unknown,
        Some(Some(schema)) => Some(schema),
        None => None,
    };
    let built_in = schema.is_none_or(|schema| schema.compare("pg_catalog").is_eq());
    if built_in && let Some(effect) = touching(name) {
        return effect;
    }
    if built_in && BUILT_IN.binary_search_by(|text| name.compare(text)).is_ok() {
        return Effect::Harmless;
    }
    if safe.contains(schema, name) {
        return Effect::Listed;
    }
    match schema {
        Some(schema) if is_information_schema_helper(schema, name) => Effect::Harmless,
        _ => Effect::Unknown,
    }
}

/// Built-in functions that are not in the harmless list and about which more is known.
fn touching(name: Part<'_>) -> Option<Effect> {
    let at = TOUCHING.binary_search_by(|(text, _)| name.compare(text)).ok()?;
    TOUCHING.get(at).map(|(_, effect)| *effect)
}

const TOUCHING: &[(&str, Effect)] = &[
    ("currval", Effect::Needs(SessionNeed::SequenceValue)),
    ("lastval", Effect::Needs(SessionNeed::SequenceValue)),
    ("lo_close", Effect::Needs(SessionNeed::LargeObject)),
    ("lo_lseek", Effect::Needs(SessionNeed::LargeObject)),
    ("lo_lseek64", Effect::Needs(SessionNeed::LargeObject)),
    ("lo_open", Effect::Needs(SessionNeed::LargeObject)),
    ("lo_tell", Effect::Needs(SessionNeed::LargeObject)),
    ("lo_tell64", Effect::Needs(SessionNeed::LargeObject)),
    ("lo_truncate", Effect::Needs(SessionNeed::LargeObject)),
    ("lo_truncate64", Effect::Needs(SessionNeed::LargeObject)),
    ("loread", Effect::Needs(SessionNeed::LargeObject)),
    ("lowrite", Effect::Needs(SessionNeed::LargeObject)),
    // What they leave, lastval() and currval(), is kept apart from the session's other state.
    ("nextval", Effect::SessionSafe),
    ("pg_advisory_lock", Effect::Needs(SessionNeed::AdvisoryLock)),
    ("pg_advisory_lock_shared", Effect::Needs(SessionNeed::AdvisoryLock)),
    ("pg_advisory_unlock", Effect::Needs(SessionNeed::AdvisoryUnlock)),
    ("pg_advisory_unlock_all", Effect::Needs(SessionNeed::AdvisoryUnlock)),
    ("pg_advisory_unlock_shared", Effect::Needs(SessionNeed::AdvisoryUnlock)),
    // Released when the statement's own transaction ends.
    ("pg_advisory_xact_lock", Effect::SessionSafe),
    ("pg_advisory_xact_lock_shared", Effect::SessionSafe),
    ("pg_current_xact_id", Effect::SessionSafe),
    ("pg_notify", Effect::SessionSafe),
    ("pg_try_advisory_lock", Effect::Needs(SessionNeed::AdvisoryLock)),
    ("pg_try_advisory_lock_shared", Effect::Needs(SessionNeed::AdvisoryLock)),
    ("pg_try_advisory_xact_lock", Effect::SessionSafe),
    ("pg_try_advisory_xact_lock_shared", Effect::SessionSafe),
    ("set_config", Effect::SetConfig),
    ("setval", Effect::SessionSafe),
    ("txid_current", Effect::SessionSafe),
];

/// `information_schema._pg_expandarray` and its like, which drivers use to read the catalogue.
fn is_information_schema_helper(schema: Part<'_>, name: Part<'_>) -> bool {
    let prefix = name.text.get(.."_pg_".len());
    schema.compare("information_schema").is_eq()
        && prefix.is_some_and(|prefix| prefix.eq_ignore_ascii_case("_pg_"))
}

/// One identifier of a name, ready to be compared.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part<'a> {
    text: &'a str,
    quoted: bool,
}

impl<'a> Part<'a> {
    /// None for an identifier with escapes in it (`U&"…"`, `""`), which matches nothing.
    fn of(token: Token<'a>) -> Option<Self> {
        if token.kind == TokenKind::Word {
            return Some(Self { text: token.text, quoted: false });
        }
        let text = token.text.strip_prefix('"')?.strip_suffix('"')?;
        (!text.contains('"')).then_some(Self { text, quoted: true })
    }

    /// Orders the lower-case `text` against this identifier: letter by letter if quoted, else
    /// folded to lower case.
    fn compare(self, text: &str) -> Ordering {
        if self.quoted { text.cmp(self.text) } else { compare_folded(text, self.text) }
    }

    /// As PostgreSQL reads it.
    fn folded(self) -> Box<str> {
        if self.quoted { self.text.into() } else { self.text.to_ascii_lowercase().into() }
    }

    fn bytes(self) -> impl Iterator<Item = u8> {
        let quoted = self.quoted;
        self.text.bytes().map(move |byte| if quoted { byte } else { byte.to_ascii_lowercase() })
    }
}

const BUILT_IN_TEXT: &str = include_str!("builtin.txt");
const BUILT_IN: &[&str] = &lines::<{ count_lines(BUILT_IN_TEXT) }>(BUILT_IN_TEXT);

const fn count_lines(text: &str) -> usize {
    let bytes = text.as_bytes();
    let (mut at, mut lines) = (0, 0);
    while at < bytes.len() {
        if bytes[at] == b'\n' {
            lines += 1;
        }
        at += 1;
    }
    lines
}

/// Cuts the data file into its lines while compiling; every line ends in a line feed.
const fn lines<const COUNT: usize>(text: &'static str) -> [&'static str; COUNT] {
    let mut lines = [""; COUNT];
    let (mut rest, mut line) = (text, 0);
    while line < COUNT {
        let mut length = 0;
        while rest.as_bytes()[length] != b'\n' {
            length += 1;
        }
        let (name, after) = rest.split_at(length);
        lines[line] = name;
        rest = after.split_at(1).1;
        line += 1;
    }
    lines
}

#[cfg(test)]
mod tests;
