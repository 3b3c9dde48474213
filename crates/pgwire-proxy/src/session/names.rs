//! The prepared statements of one client by its own names. Changes are made when the client asks
//! for them, so that the next message finds them, and undone when it turns out that the server
//! never came so far.

use std::collections::HashMap;
use std::sync::Arc;

use crate::statement::Statement;

/// Most statements that one client may have prepared.
const MAX_STATEMENTS: usize = 20_000;
/// Longest name that PostgreSQL tells from others, bytes.
const MAX_NAME: usize = 63;
/// Most bytes that their texts may have together.
const MAX_BYTES: usize = 256 * 1024 * 1024;

#[derive(Default)]
pub(super) struct Names {
    named: HashMap<Arc<[u8]>, Arc<Statement>>,
    unnamed: Option<Arc<Statement>>,
    bytes: usize,
    /// The name of the unnamed statement.
    empty: Arc<[u8]>,
}

/// A statement and what the client calls it.
#[derive(Debug, Clone)]
pub(super) struct Named {
    pub(super) name: Arc<[u8]>,
    pub(super) statement: Arc<Statement>,
}

/// A change of one name.
#[derive(Debug)]
pub(super) struct Change {
    pub(super) name: Box<[u8]>,
    /// What stood there before.
    pub(super) before: Option<Arc<Statement>>,
}

/// All named statements, taken away.
pub(super) type AllNames = HashMap<Arc<[u8]>, Arc<Statement>>;

/// As PostgreSQL cuts names that are too long for it.
pub(super) fn cut(name: &[u8]) -> &[u8] {
    name.get(..MAX_NAME).unwrap_or(name)
}

impl Names {
    /// The statement of that name; the empty one is that of the unnamed statement.
    pub(super) fn get(&self, name: &[u8]) -> Option<&Arc<Statement>> {
        if name.is_empty() { self.unnamed.as_ref() } else { self.named.get(cut(name)) }
    }

    /// The statement of that name, with the name.
    pub(super) fn named(&self, name: &[u8]) -> Option<Named> {
        let (name, statement) = if name.is_empty() {
            (&self.empty, self.unnamed.as_ref()?)
        } else {
            self.named.get_key_value(cut(name))?
        };
        Some(Named { name: Arc::clone(name), statement: Arc::clone(statement) })
    }

    /// Whether a statement of this size may be added.
    pub(super) fn has_room_for(&self, size: usize) -> bool {
        self.named.len() < MAX_STATEMENTS && self.bytes.saturating_add(size) <= MAX_BYTES
    }

    /// Gives a name to a statement, or with `None` takes it away.
    pub(super) fn set(&mut self, name: &[u8], statement: Option<Arc<Statement>>) -> Change {
        let name = cut(name);
        let before = if name.is_empty() {
            std::mem::replace(&mut self.unnamed, statement)
        } else {
            self.bytes += statement.as_ref().map_or(0, |statement| statement.size());
            let before = match statement {
                Some(statement) => self.named.insert(name.into(), statement),
                None => self.named.remove(name),
            };
            self.bytes -= before.as_ref().map_or(0, |before| before.size());
            before
        };
        Change { name: name.into(), before }
    }

    /// Takes a change back. Several are taken back in the reverse order.
    pub(super) fn undo(&mut self, change: Change) {
        self.set(&change.name, change.before);
    }

    /// Takes all away that have a name.
    pub(super) fn take_all(&mut self) -> AllNames {
        self.bytes = 0;
        std::mem::take(&mut self.named)
    }

    /// Puts them back, but for those whose names are in use again.
    pub(super) fn put_back(&mut self, names: AllNames) {
        for (name, statement) in names {
            if !self.named.contains_key(&name) {
                self.set(&name, Some(statement));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use pool_manager::classify::{SafeFunctions, classify};

    use super::*;

    fn statement(sql: &str) -> Arc<Statement> {
        let class = classify(sql, &SafeFunctions::default());
        Arc::new(Statement::new(sql.as_bytes(), b"\0\0", None, class, 1))
    }

    #[test]
    fn changes_are_undone_in_reverse() {
        let mut names = Names::default();
        names.set(b"a", Some(statement("select 1")));
        let changes = [
            names.set(b"a", None),
            names.set(b"a", Some(statement("select 2"))),
            names.set(b"", Some(statement("select 3"))),
        ];
        assert_eq!(&*names.get(b"a").unwrap().sql, b"select 2");
        for change in changes.into_iter().rev() {
            names.undo(change);
        }
        assert_eq!(&*names.get(b"a").unwrap().sql, b"select 1");
        assert!(names.get(b"").is_none());
        assert_eq!(names.bytes, 10);
    }

    #[test]
    fn what_was_taken_away_is_put_back_beside_what_is_new() {
        let mut names = Names::default();
        names.set(b"a", Some(statement("select 1")));
        names.set(b"b", Some(statement("select 2")));
        let taken = names.take_all();
        assert!(names.get(b"a").is_none());
        names.set(b"b", Some(statement("select 3")));
        names.put_back(taken);
        assert_eq!(&*names.get(b"a").unwrap().sql, b"select 1");
        assert_eq!(&*names.get(b"b").unwrap().sql, b"select 3");
        assert_eq!(names.bytes, 20);
    }

    #[test]
    fn their_number_and_size_are_bounded() {
        let mut names = Names::default();
        assert!(names.has_room_for(MAX_BYTES) && !names.has_room_for(MAX_BYTES + 1));
        let shared = statement("select 1");
        for number in 0..MAX_STATEMENTS {
            names.set(number.to_string().as_bytes(), Some(Arc::clone(&shared)));
        }
        assert!(!names.has_room_for(1));
        names.set(b"7", None);
        assert!(names.has_room_for(1));
        names.set(&[b'n'; 100], Some(shared));
        assert!(names.get(&[b'n'; 63]).is_some() && names.get(&[b'n'; 80]).is_some());
        names.take_all();
        assert_eq!(names.bytes, 0);
    }
}
