//! The prepared statements of one connection: least recently used goes first.
//!
//! A statement is present only after its ParseComplete. What is evicted is closed in front of the
//! next Parse, so that nothing under way ever meets it: statements that travel together are fewer
//! than the cache holds.

use std::borrow::Cow;
use std::sync::Arc;

use lru::LruCache;

use crate::pool::CacheUse;
use crate::values::{Columns, TypeInfo};

/// Begins the name of every statement that we prepare on a server connection.
pub const STATEMENT_PREFIX: &str = "rrp_";

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

/// The statements prepared on a connection: those that we run, by SQL text and search_path, and
/// those of relayed clients, by the number of their text. They share one limit and one order.
pub(super) struct StatementCache {
    texts: LruCache<String, Kept<Arc<Prepared>>>,
    relayed: LruCache<u64, Kept<Box<str>>>,
    limit: usize,
    counter: u64,
    clock: u64,
    counts: Arc<CacheUse>,
}

/// A kept statement and when it was last used.
struct Kept<T> {
    what: T,
    used: u64,
}

impl StatementCache {
    /// A cache of at most `limit` statements; 0 keeps none. `counts` takes how often it was of use.
    pub(super) fn new(limit: usize, counts: Arc<CacheUse>) -> Self {
        let (texts, relayed) = (LruCache::unbounded(), LruCache::unbounded());
        Self { texts, relayed, limit, counter: 0, clock: 0, counts }
    }

    /// Counts a statement that is executed as it was prepared before.
    pub(super) fn count_hit(&self) {
        self.counts.hit();
    }

    /// Whether anything is ever kept.
    pub(super) fn is_enabled(&self) -> bool {
        self.limit > 0
    }

    /// Most statements that are kept.
    pub(super) fn limit(&self) -> usize {
        self.limit
    }

    /// The statement for `key`, which becomes the most recently used one.
    pub(super) fn get(&mut self, key: &str) -> Option<Arc<Prepared>> {
        let used = self.tick();
        let kept = self.texts.get_mut(key)?;
        kept.used = used;
        Some(Arc::clone(&kept.what))
    }

    /// The name of a relayed client's statement, which becomes the most recently used one.
    pub(super) fn name_of(&mut self, number: u64) -> Option<&str> {
        let used = self.tick();
        let kept = self.relayed.get_mut(&number)?;
        kept.used = used;
        Some(&kept.what)
    }

    /// Takes out a statement that must go before another one is added, if any, and gives its name.
    pub(super) fn evict_for_one_more(&mut self) -> Option<String> {
        if self.len() < self.limit { None } else { self.evict() }
    }

    /// Takes out a statement that is one too many, if any, and gives its name.
    pub(super) fn evict_surplus(&mut self) -> Option<String> {
        if self.len() <= self.limit { None } else { self.evict() }
    }

    /// The least recently used one goes.
    fn evict(&mut self) -> Option<String> {
        let text = self.texts.peek_lru().map(|(_, kept)| kept.used);
        let relayed = self.relayed.peek_lru().map(|(_, kept)| kept.used);
        let text_is_older = match (text, relayed) {
            (Some(text), Some(relayed)) => text < relayed,
            (text, _) => text.is_some(),
        };
        if text_is_older {
            self.texts.pop_lru().map(|(_, kept)| kept.what.name.clone())
        } else {
            self.relayed.pop_lru().map(|(_, kept)| kept.what.into())
        }
    }

    /// A name that this session has not used yet, for a statement that has to be prepared.
    pub(super) fn next_name(&mut self) -> String {
        self.counts.miss();
        self.counter += 1;
        format!("{STATEMENT_PREFIX}{}", self.counter)
    }

    /// Adds a statement whose ParseComplete has been read.
    pub(super) fn insert(&mut self, key: String, statement: Arc<Prepared>) {
        let used = self.tick();
        self.texts.put(key, Kept { what: statement, used });
    }

    /// Adds a relayed client's statement whose ParseComplete has been read; the name of one that
    /// it replaces is given back.
    pub(super) fn insert_relayed(&mut self, number: u64, name: String) -> Option<String> {
        let used = self.tick();
        let before = self.relayed.put(number, Kept { what: name.into(), used });
        before.map(|kept| kept.what.into())
    }

    /// Forgets a statement that the server no longer accepts; its name is still to be closed.
    pub(super) fn remove(&mut self, key: &str) -> Option<Arc<Prepared>> {
        self.texts.pop(key).map(|kept| kept.what)
    }

    /// The same for a relayed client's statement.
    pub(super) fn remove_relayed(&mut self, number: u64) -> Option<String> {
        self.relayed.pop(&number).map(|kept| kept.what.into())
    }

    /// Forgets every statement; their names are still to be closed.
    pub(super) fn clear(&mut self) -> Vec<String> {
        let mut names: Vec<String> =
            self.texts.iter().map(|(_, kept)| kept.what.name.clone()).collect();
        names.extend(self.relayed.iter().map(|(_, kept)| String::from(&*kept.what)));
        self.texts.clear();
        self.relayed.clear();
        names
    }

    /// How many statements are kept.
    pub(super) fn len(&self) -> usize {
        self.texts.len() + self.relayed.len()
    }

    fn tick(&mut self) -> u64 {
        self.clock += 1;
        self.clock
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
        let mut cache = StatementCache::new(2, Arc::default());
        for sql in ["a", "b"] {
            assert!(cache.evict_for_one_more().is_none());
            cache.insert(sql.to_owned(), statement(sql));
        }
        cache.get("a");
        assert_eq!(cache.evict_for_one_more(), Some("b".to_owned()));
        cache.insert("c".to_owned(), statement("c"));
        assert_eq!(cache.len(), 2);
        assert!(cache.get("b").is_none() && cache.get("a").is_some());
    }

    #[test]
    fn both_kinds_share_one_limit_and_one_order() {
        let mut cache = StatementCache::new(3, Arc::default());
        cache.insert("a".to_owned(), statement("a"));
        cache.insert_relayed(1, "r1".to_owned());
        cache.insert_relayed(2, "r2".to_owned());
        assert!(cache.get("a").is_some() && cache.name_of(1) == Some("r1"));
        assert_eq!(cache.evict_for_one_more(), Some("r2".to_owned()));
        assert_eq!(cache.evict_for_one_more(), None);
        cache.insert_relayed(3, "r3".to_owned());
        cache.insert_relayed(4, "r4".to_owned());
        assert_eq!(cache.evict_surplus(), Some("a".to_owned()));
        assert_eq!(cache.evict_surplus(), None);
        assert_eq!(cache.insert_relayed(4, "r5".to_owned()), Some("r4".to_owned()));
        let mut names = cache.clear();
        names.sort();
        assert_eq!(names, ["r1", "r3", "r5"]);
    }

    #[test]
    fn the_search_path_is_part_of_the_key() {
        assert_ne!(key("select 1", Some("a")), key("select 1", None));
        assert_ne!(key("select 1", Some("a")), key("select 1", Some("b")));
    }
}
