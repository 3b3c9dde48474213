//! The prepared statements of one client by its own names. Changes are made when the client asks
//! for them, so that the next message finds them, and undone when it turns out that the server
//! never came so far.

use std::collections::HashMap;
use std::sync::Arc;

use crate::statement::Statement;

/// Most statements that one client may have prepared.
const MAX_STATEMENTS: usize = 20_000;
/// Most bytes that their texts may have together.
const MAX_BYTES: usize = 256 * 1024 * 1024;

#[derive(Default)]
pub(super) struct Names {
    named: HashMap<Box<[u8]>, Arc<Statement>>,
    unnamed: Option<Arc<Statement>>,
    bytes: usize,
}

/// A change of one name, and what stood there before.
#[derive(Debug)]
pub(super) struct Change {
    pub(super) name: Box<[u8]>,
    before: Option<Arc<Statement>>,
}

impl Names {
    /// The statement of that name; the empty one is that of the unnamed statement.
    pub(super) fn get(&self, name: &[u8]) -> Option<&Arc<Statement>> {
        if name.is_empty() { self.unnamed.as_ref() } else { self.named.get(name) }
    }

    /// Whether a statement of this size may be added.
    pub(super) fn has_room_for(&self, size: usize) -> bool {
        self.named.len() < MAX_STATEMENTS && self.bytes.saturating_add(size) <= MAX_BYTES
    }

    /// Gives a name to a statement, or with `None` takes it away.
    pub(super) fn set(&mut self, name: &[u8], statement: Option<Arc<Statement>>) -> Change {
        let before = if name.is_empty() {
            self.set_unnamed(statement)
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

    /// Gives a statement the empty name, or with `None` takes it away; what it was before.
    pub(super) fn set_unnamed(
        &mut self,
        statement: Option<Arc<Statement>>,
    ) -> Option<Arc<Statement>> {
        std::mem::replace(&mut self.unnamed, statement)
    }

    /// Takes a change back. Several are taken back in the reverse order.
    pub(super) fn undo(&mut self, change: Change) {
        self.set(&change.name, change.before);
    }

    /// The statement that has this number, and a name of it.
    pub(super) fn by_number(&self, number: u64) -> Option<(&[u8], &Arc<Statement>)> {
        let named = self.named.iter().map(|(name, statement)| (&**name, statement));
        let unnamed = self.unnamed.as_ref().map(|statement| (&b""[..], statement));
        named.chain(unnamed).find(|(_, statement)| statement.number() == number)
    }

    /// Forgets the unnamed statement, as a simple query makes the server do.
    pub(super) fn forget_unnamed(&mut self) {
        self.unnamed = None;
    }

    /// Forgets all of them.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
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
        let changes = vec![
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
        names.clear();
        assert_eq!(names.bytes, 0);
    }
}
