//! Prepared statements as clients have named them: their texts and what is known of them. Clients
//! that prepare the same text share one, and with it the server's prepared statements, also when
//! the one has closed it before the other comes.

use std::hash::{BuildHasher, RandomState};
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use lru::LruCache;
use pool_manager::classify::Classification;
use pool_manager::{Settings, Tally};

/// Statements that are remembered, whether or not a client has them at the moment.
const REMEMBERED: NonZeroUsize = NonZeroUsize::new(8192).unwrap();
/// Longer texts, in bytes, are not remembered.
const MAX_REMEMBERED_TEXT: usize = 16 * 1024;
/// Unnamed texts of which it is remembered that they were seen.
const SEEN: NonZeroUsize = NonZeroUsize::new(8192).unwrap();

/// A prepared statement's text, and a number that stands for it on server connections.
#[derive(Debug)]
pub(crate) struct Statement {
    pub(crate) sql: Box<[u8]>,
    /// Number and oids of the parameter types, as a Parse has them.
    pub(crate) types: Box<[u8]>,
    /// The settings under which it was named, as [`context`] writes them.
    pub(crate) context: Option<Box<str>>,
    pub(crate) class: Classification,
    /// Where its calls are counted, once that was asked for.
    pub(crate) tally: Mutex<Option<Arc<Tally>>>,
    /// Clients that say the same share it.
    is_shared: bool,
    number: AtomicU64,
}

impl Statement {
    pub(crate) fn new(
        sql: &[u8],
        types: &[u8],
        context: Option<&str>,
        class: Classification,
        number: u64,
    ) -> Self {
        Self {
            sql: sql.into(),
            types: types.into(),
            context: context.map(Into::into),
            class,
            tally: Mutex::default(),
            is_shared: false,
            number: AtomicU64::new(number),
        }
    }

    /// Whether the server is to keep it under a name of ours, though its clients gave it none.
    pub(crate) fn is_worth_a_name(&self) -> bool {
        self.is_shared && self.class.cacheable
    }

    /// Stands for it on server connections.
    pub(crate) fn number(&self) -> u64 {
        self.number.load(Ordering::Relaxed)
    }

    /// Gives it another number: what is prepared under the old one, on any connection, is out of
    /// date.
    pub(crate) fn renumber(&self, number: u64) {
        self.number.store(number, Ordering::Relaxed);
    }

    /// Whether a Parse says the same.
    pub(crate) fn says(&self, sql: &[u8], types: &[u8]) -> bool {
        *self.sql == *sql && *self.types == *types
    }

    /// Whether it was named under these settings.
    pub(crate) fn is_of(&self, context: Option<&str>) -> bool {
        self.context.as_deref() == context
    }

    /// Bytes that it takes.
    pub(crate) fn size(&self) -> usize {
        self.sql.len() + self.types.len()
    }
}

/// Settings that decide what a text means when it is prepared: which tables, which moment or date
/// a constant is.
const READ_BY: [&str; 9] = [
    "array_nulls",
    "backslash_quote",
    "datestyle",
    "default_text_search_config",
    "intervalstyle",
    "lc_monetary",
    "search_path",
    "timezone",
    "transform_null_equals",
];

/// Those of a client's settings that decide what its texts mean; `None`: all are the server's own.
pub(crate) fn context(settings: &Settings) -> Option<Arc<str>> {
    let mut context = String::new();
    for name in READ_BY {
        if let Some(value) = settings.get(name) {
            context.extend([name, "=", value, "\0"]);
        }
    }
    (!context.is_empty()).then(|| context.into())
}

/// Whether a text may hold a constant such as `'now'::timestamptz`, which means the moment at which
/// it is prepared: what another client has prepared is something else then.
fn depends_on_the_moment(sql: &[u8]) -> bool {
    let words: [&[u8]; 4] = [b"now", b"today", b"tomorrow", b"yesterday"];
    // Within quotes it begins a word; wherever else it stands, little is lost.
    sql.contains(&b'\'')
        && sql
            .split(|byte| !byte.is_ascii_alphabetic())
            .any(|word| words.iter().any(|moment| word.eq_ignore_ascii_case(moment)))
}

/// The statements of one database's clients.
#[derive(Debug)]
pub(crate) struct Statements {
    hasher: RandomState,
    numbers: AtomicU64,
    /// By the hash of what they say and under which settings.
    remembered: Mutex<LruCache<u64, Arc<Statement>>>,
    /// Hashes of unnamed texts.
    seen: Mutex<LruCache<u64, ()>>,
}

impl Default for Statements {
    fn default() -> Self {
        Self {
            hasher: RandomState::new(),
            numbers: AtomicU64::new(0),
            remembered: Mutex::new(LruCache::new(REMEMBERED)),
            seen: Mutex::new(LruCache::new(SEEN)),
        }
    }
}

impl Statements {
    /// A number that stands for nothing yet.
    pub(crate) fn new_number(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::Relaxed)
    }

    /// The statement with this text that all clients share; `judge` tells what it does.
    pub(crate) fn share(
        &self,
        sql: &[u8],
        types: &[u8],
        context: Option<&str>,
        judge: impl FnOnce(&[u8]) -> Classification,
    ) -> Arc<Statement> {
        let hash = self.hasher.hash_one((sql, types, context));
        let mut remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = remembered.get(&hash)
            && found.says(sql, types)
            && found.is_of(context)
        {
            return Arc::clone(found);
        }
        let number = self.new_number();
        let made = Statement::new(sql, types, context, judge(sql), number);
        if depends_on_the_moment(sql) {
            return Arc::new(made);
        }
        let made = Arc::new(Statement { is_shared: true, ..made });
        if sql.len() <= MAX_REMEMBERED_TEXT {
            remembered.put(hash, Arc::clone(&made));
        }
        made
    }

    /// Whether an unnamed text has come before; from now on it has.
    pub(crate) fn has_seen(&self, sql: &[u8], types: &[u8]) -> bool {
        let hash = self.hasher.hash_one((sql, types));
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.put(hash, ()).is_some()
    }
}

#[cfg(test)]
mod tests {
    use pool_manager::classify::{SafeFunctions, classify};

    use super::*;

    fn share(statements: &Statements, sql: &str, path: Option<&str>) -> Arc<Statement> {
        let judge = |sql: &[u8]| classify(&String::from_utf8_lossy(sql), &SafeFunctions::default());
        statements.share(sql.as_bytes(), b"\0\0", path, judge)
    }

    #[test]
    fn one_text_under_the_same_settings_is_one_statement() {
        let statements = Statements::default();
        let first = share(&statements, "select 1", None);
        let number = first.number();
        drop(first);
        assert_eq!(share(&statements, "select 1", None).number(), number, "also after a while");
        assert_ne!(share(&statements, "select 2", None).number(), number);
        assert_ne!(share(&statements, "select 1", Some("a")).number(), number);
    }

    #[test]
    fn what_means_the_moment_is_nobody_elses() {
        let statements = Statements::default();
        for sql in ["select 'now'::timestamptz", "SELECT date ' TODAY '", "select $$x$$, 'now '"] {
            let number = share(&statements, sql, None).number();
            assert_ne!(share(&statements, sql, None).number(), number, "{sql}");
        }
        let number = share(&statements, "select now(), knows('it')", None).number();
        assert_ne!(share(&statements, "select now(), knows('it')", None).number(), number);
        let number = share(&statements, "select knows('it')", None).number();
        assert_eq!(share(&statements, "select knows('it')", None).number(), number);
    }

    #[test]
    fn the_context_is_what_texts_are_read_by() {
        let settings = |pairs: &[(&str, &str)]| {
            let owned = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
            Settings::accepted(owned)
        };
        assert_eq!(context(&settings(&[("application_name", "x")])), None);
        let two = context(&settings(&[("timezone", "UTC"), ("datestyle", "German")]));
        assert_eq!(two.as_deref(), Some("datestyle=German\0timezone=UTC\0"));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let statements = Statements::default();
        let first = share(&statements, "select 0", None).number();
        for n in 1..=REMEMBERED.get() {
            share(&statements, &format!("select {n}"), None);
        }
        assert_ne!(share(&statements, "select 0", None).number(), first);
        let long = format!("select '{}'", "x".repeat(MAX_REMEMBERED_TEXT));
        assert_ne!(
            share(&statements, &long, None).number(),
            share(&statements, &long, None).number()
        );
    }

    #[test]
    fn a_text_is_seen_from_its_second_time_on() {
        let statements = Statements::default();
        assert!(!statements.has_seen(b"select 1", b"\0\0"));
        assert!(statements.has_seen(b"select 1", b"\0\0"));
        assert!(!statements.has_seen(b"select 1", b"\0\x01\0\0\0\x17"));
    }
}
