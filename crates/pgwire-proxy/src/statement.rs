//! A prepared statement as a client has named it: its text and what is known of it. Clients that
//! prepare the same text share one, and with it the server's prepared statements.

use std::sync::atomic::{AtomicU64, Ordering};

use pool_manager::classify::Classification;

/// A prepared statement's text, and a number that stands for it on server connections.
#[derive(Debug)]
pub(crate) struct Statement {
    pub(crate) sql: Box<[u8]>,
    /// Number and oids of the parameter types, as a Parse has them.
    pub(crate) types: Box<[u8]>,
    /// The search path under which it was named: one text means other tables under another one.
    pub(crate) search_path: Option<Box<str>>,
    pub(crate) class: Classification,
    number: AtomicU64,
}

impl Statement {
    pub(crate) fn new(
        sql: &[u8],
        types: &[u8],
        search_path: Option<&str>,
        class: Classification,
        number: u64,
    ) -> Self {
        Self {
            sql: sql.into(),
            types: types.into(),
            search_path: search_path.map(Into::into),
            class,
            number: AtomicU64::new(number),
        }
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

    /// Whether it was named under this search path.
    pub(crate) fn is_of(&self, search_path: Option<&str>) -> bool {
        self.search_path.as_deref() == search_path
    }

    /// Bytes that it takes.
    pub(crate) fn size(&self) -> usize {
        self.sql.len() + self.types.len()
    }
}
