//! The prepared statements of one connection: least recently used goes first.
//!
//! A statement is present only after its ParseComplete. Eviction happens while a batch is being
//! built, with the Close in front of the Parse that needs the room, so that no other caller's
//! batch ever meets it.

use std::borrow::Cow;
use std::sync::Arc;

use lru::LruCache;

use crate::values::{Columns, TypeInfo};

/// What the server told about a statement when it was prepared.
pub(super) struct Prepared {
    /// Its name in the session; empty for the unnamed statement.
    pub(super) name: String,
    /// Types of its parameters.
    pub(super) parameters: Vec<Arc<TypeInfo>>,
    /// Its result, or `None` when it returns no rows.
    pub(super) columns: Option<Arc<Columns>>,
    /// Formats that its result is asked for in, one a column.
    pub(super) formats: Vec<i16>,
}

/// Cache of prepared statements by SQL text and search_path.
pub(super) struct StatementCache {
    entries: LruCache<String, Arc<Prepared>>,
    limit: usize,
    counter: u64,
}

impl StatementCache {
    /// A cache of at most `limit` statements; 0 keeps none.
    pub(super) fn new(limit: usize) -> Self {
        Self { entries: LruCache::unbounded(), limit, counter: 0 }
    }

    /// Whether anything is ever kept.
    pub(super) fn is_enabled(&self) -> bool {
        self.limit > 0
    }

    /// The statement for `key`, which becomes the most recently used one.
    pub(super) fn get(&mut self, key: &str) -> Option<Arc<Prepared>> {
        self.entries.get(key).cloned()
    }

    /// Takes out the statement that must go before another one is added, if any.
    pub(super) fn evict_for_one_more(&mut self) -> Option<Arc<Prepared>> {
        if self.entries.len() < self.limit {
            return None;
        }
        self.entries.pop_lru().map(|(_, statement)| statement)
    }

    /// A name that this session has not used yet.
    pub(super) fn next_name(&mut self) -> String {
        self.counter += 1;
        format!("rrp_{}", self.counter)
    }

    /// Adds a statement whose ParseComplete has been read.
    pub(super) fn insert(&mut self, key: String, statement: Arc<Prepared>) {
        self.entries.put(key, statement);
    }

    /// Forgets a statement that the server no longer accepts; its name is still to be closed.
    pub(super) fn remove(&mut self, key: &str) -> Option<Arc<Prepared>> {
        self.entries.pop(key)
    }

    /// Forgets every statement; their names are still to be closed.
    pub(super) fn clear(&mut self) -> Vec<String> {
        let names = self.entries.iter().map(|(_, statement)| statement.name.clone()).collect();
        self.entries.clear();
        names
    }

    /// How many statements are kept.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }
}

/// The cache key. One SQL text means different tables under different search paths; SQL holds no
/// NUL, so the two parts cannot run into each other.
pub(super) fn key<'a>(sql: &'a str, search_path: Option<&str>) -> Cow<'a, str> {
    match search_path {
        None => Cow::Borrowed(sql),
        Some(path) => Cow::Owned(format!("{path}\0{sql}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn statement(name: &str) -> Arc<Prepared> {
        Arc::new(Prepared {
            name: name.to_owned(),
            parameters: Vec::new(),
            columns: None,
            formats: Vec::new(),
        })
    }

    #[test]
    fn the_least_recently_used_statement_is_evicted() {
        let mut cache = StatementCache::new(2);
        for sql in ["a", "b"] {
            assert!(cache.evict_for_one_more().is_none());
            cache.insert(sql.to_owned(), statement(sql));
        }
        cache.get("a");
        assert_eq!(cache.evict_for_one_more().map(|s| s.name.clone()), Some("b".to_owned()));
        cache.insert("c".to_owned(), statement("c"));
        assert_eq!(cache.len(), 2);
        assert!(cache.get("b").is_none() && cache.get("a").is_some());
    }

    #[test]
    fn the_search_path_is_part_of_the_key() {
        assert_ne!(key("select 1", Some("a")), key("select 1", None));
        assert_ne!(key("select 1", Some("a")), key("select 1", Some("b")));
    }
}
