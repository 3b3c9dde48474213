//! What a SQL text does to the connection it runs on, judged from its tokens alone.
//!
//! [`classify`] is meant to run once per SQL text, its answer to be kept with the text. It takes
//! linear time, allocates nothing, never fails and never panics. In doubt a statement is neither
//! clean nor read-only, which costs a reset; it is never refused for not being understood.
//!
//! What tokens cannot show, and so is not seen: what views, triggers, rules, column defaults,
//! row-level policies, operators, casts and `row.function` notation call; a user's function that
//! bears a built-in one's name, found by its argument types or by a `search_path` that puts its
//! schema before `pg_catalog`; and SQL read with `standard_conforming_strings` off.

mod calls;
mod frames;
mod functions;
mod lexemes;
mod mask;
mod need;
mod plain;
mod query;
mod settings;
pub(crate) mod shape;
mod statement;
pub mod token;
mod utility;
mod words;

#[cfg(test)]
mod tests;

pub use functions::{FunctionName, SafeFunctions};
pub use mask::mask_literals;
pub use need::SessionNeed;
pub use settings::{Deallocated, TouchedSettings, custom_setting, deallocated, touched_settings};

use std::cell::RefCell;
use std::collections::BTreeSet;

use functions::CallName;
use lexemes::Lexemes;
use statement::Statement;
use token::TokenKind;

/// What is known of a SQL text. See [`classify`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Classification {
    /// Number of statements between top-level semicolons, empty ones not counted; 0 for an empty
    /// query. The body of `BEGIN ATOMIC … END` belongs to its `CREATE FUNCTION`.
    pub statements: usize,
    /// Kind of the first statement.
    pub kind: StatementKind,
    /// Leaves the connection as it found it: at most one statement, a query (or `EXPLAIN` or `SHOW`)
    /// that calls only functions known to be harmless to the session and creates no table.
    pub clean: bool,
    /// Every statement of the text leaves the connection as it found it, but for the settings that
    /// [`settings`](Self::settings) tells of: `SET`, transaction control and clean statements.
    pub neutral: bool,
    /// Which settings of the session it may change for longer than its transaction.
    pub settings: SettingsEffect,
    /// Only reads, so that running it a second time does no harm: no data-modifying part, no row
    /// lock, no function that may write.
    pub read_only: bool,
    /// Would be `read_only` but for functions that only the catalogue knows: [`called_functions`]
    /// names them.
    pub asks_catalogue: bool,
    /// First word of the command tag that the server gives when the statement is what it looks
    /// like. Set for queries, `EXPLAIN` and `SHOW`, as a single statement only.
    pub expected_tag: Option<&'static str>,
    /// Set when some statement of the text is useless outside a session or transaction: the first
    /// of them, or the first one that leaves [something for good](SessionNeed::lasts).
    pub needs_session: Option<SessionNeed>,
    /// How the first statement that does so begins, ends or divides a transaction.
    pub transaction: TransactionControl,
    /// Leaves behind, or takes away, what a reset does not put right (`PREPARE`, `DEALLOCATE`,
    /// `DISCARD ALL`, `LOAD`): the connection is to be closed, not reset.
    pub taints: bool,
    /// Worth a named prepared statement: a single query without `INTO`.
    pub cacheable: bool,
}

/// Kind of a statement, by its leading keywords.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StatementKind {
    /// Nothing but blanks, comments and semicolons.
    Empty,
    /// `SELECT`, also in parentheses or after `WITH`.
    Select,
    /// `SELECT … INTO`
    SelectInto,
    /// `VALUES`
    Values,
    /// `TABLE`
    Table,
    /// `INSERT`
    Insert,
    /// `UPDATE`
    Update,
    /// `DELETE`
    Delete,
    /// `MERGE`
    Merge,
    /// `EXPLAIN` of anything
    Explain,
    /// `SHOW`
    Show,
    /// `SET`
    Set,
    /// `RESET`
    Reset,
    /// `BEGIN`, `COMMIT`, `SAVEPOINT` and all else in [`TransactionControl`]
    Transaction,
    /// `COPY`
    Copy,
    /// `CALL`
    Call,
    /// `DO`
    Do,
    /// `LISTEN`
    Listen,
    /// `UNLISTEN`
    Unlisten,
    /// `NOTIFY`
    Notify,
    /// `PREPARE` of a statement
    Prepare,
    /// `EXECUTE`
    Execute,
    /// `DEALLOCATE`
    Deallocate,
    /// `DECLARE`
    Declare,
    /// `FETCH` or `MOVE`
    Fetch,
    /// `CLOSE`
    Close,
    /// `DISCARD`
    Discard,
    /// `LOAD`
    Load,
    /// `LOCK`
    Lock,
    /// `CREATE`
    Create,
    /// `ALTER`
    Alter,
    /// `DROP`
    Drop,
    /// `TRUNCATE`
    Truncate,
    /// Anything else
    Other,
}

/// Which settings of the session a text may change for longer than its transaction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SettingsEffect {
    /// None that its tokens show.
    #[default]
    None,
    /// Those that [`touched_settings`] finds in it: `SET`, `RESET`.
    Named,
    /// Any: `RESET ALL`, `DISCARD ALL`, `set_config()`.
    Any,
}

/// How a statement controls transactions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum TransactionControl {
    /// Not at all.
    #[default]
    None,
    /// `BEGIN`, `START TRANSACTION`
    Begin {
        /// `READ ONLY`, and not `SERIALIZABLE`: a replica can do it.
        read_only: bool,
    },
    /// `COMMIT`, `END`
    Commit {
        /// `AND CHAIN`: a new transaction follows at once.
        chain: bool,
    },
    /// `ROLLBACK`, `ABORT`
    Rollback {
        /// `AND CHAIN`: a new transaction follows at once.
        chain: bool,
    },
    /// `SAVEPOINT`
    Savepoint,
    /// `RELEASE SAVEPOINT`
    Release,
    /// `ROLLBACK TO SAVEPOINT`
    RollbackTo,
    /// `PREPARE TRANSACTION`
    PrepareTransaction,
    /// `COMMIT PREPARED`
    CommitPrepared,
    /// `ROLLBACK PREPARED`
    RollbackPrepared,
}

/// Judges `sql`; `session_safe_functions` are the user's functions that leave a session as it was.
#[must_use]
pub fn classify(sql: &str, session_safe_functions: &SafeFunctions) -> Classification {
    plain::classify(sql.as_bytes()).unwrap_or_else(|| classify_in_full(sql, session_safe_functions))
}

/// The same for a text in whatever encoding a client may have. What is not UTF-8 is neither clean
/// nor read-only, since where a string ends is not certain in all of them.
#[must_use]
pub fn classify_bytes(sql: &[u8], session_safe_functions: &SafeFunctions) -> Classification {
    if let Some(plain) = plain::classify(sql) {
        return plain;
    }
    match std::str::from_utf8(sql) {
        Ok(sql) => classify_in_full(sql, session_safe_functions),
        Err(_) => Classification {
            clean: false,
            neutral: false,
            read_only: false,
            asks_catalogue: false,
            ..classify_in_full(&String::from_utf8_lossy(sql), session_safe_functions)
        },
    }
}

fn classify_in_full(sql: &str, session_safe_functions: &SafeFunctions) -> Classification {
    read(sql, Functions { safe: session_safe_functions, called: None })
}

/// The functions that a text calls, each once, at most `limit` of them and of those that only the
/// catalogue knows.
#[must_use]
pub fn called_functions(
    sql: &str,
    session_safe_functions: &SafeFunctions,
    limit: usize,
) -> CalledFunctions {
    let called = RefCell::default();
    read(sql, Functions { safe: session_safe_functions, called: Some((&called, limit)) });
    called.into_inner()
}

/// See [`called_functions`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CalledFunctions {
    /// All of them.
    pub all: BTreeSet<FunctionName>,
    /// Those of which nothing is known but the name.
    pub unknown: BTreeSet<FunctionName>,
}

/// What is known of functions, and who wants to hear which are called.
#[derive(Clone, Copy, Debug)]
struct Functions<'f> {
    safe: &'f SafeFunctions,
    called: Option<(&'f RefCell<CalledFunctions>, usize)>,
}

impl Functions<'_> {
    /// Notes a function that is called.
    fn note(self, call: CallName<'_>, is_known: bool) {
        let Some((called, limit)) = self.called else { return };
        let Some(name) = FunctionName::of(call) else { return };
        let CalledFunctions { all, unknown } = &mut *called.borrow_mut();
        if !is_known && unknown.len() < limit {
            unknown.insert(name.clone());
        }
        if all.len() < limit {
            all.insert(name);
        }
    }
}

fn read(sql: &str, functions: Functions<'_>) -> Classification {
    let mut lexemes = Lexemes::new(sql);
    let mut text = Classification {
        statements: 0,
        kind: StatementKind::Empty,
        clean: true,
        neutral: true,
        settings: SettingsEffect::None,
        read_only: true,
        asks_catalogue: false,
        expected_tag: None,
        needs_session: None,
        transaction: TransactionControl::None,
        taints: false,
        cacheable: false,
    };
    while let Some(lexeme) = lexemes.peek() {
        if lexeme.token.kind == TokenKind::Semicolon {
            lexemes.next();
        } else {
            text.add(&statement::read(&mut lexemes, functions));
        }
    }
    text
}

impl Classification {
    fn add(&mut self, statement: &Statement) {
        self.statements += 1;
        let single = self.statements == 1;
        if single {
            self.kind = statement.kind;
        }
        self.clean = single && statement.clean;
        self.neutral &= statement.neutral;
        self.settings = self.settings.max(statement.settings);
        self.read_only = single && statement.read_only;
        self.asks_catalogue = single && statement.asks_catalogue;
        self.cacheable = single && statement.cacheable;
        self.expected_tag = if single { statement.expected_tag() } else { None };
        self.needs_session = need::weightier(self.needs_session, statement.need);
        if self.transaction == TransactionControl::None {
            self.transaction = statement.transaction;
        }
        self.taints |= statement.taints;
    }
}
