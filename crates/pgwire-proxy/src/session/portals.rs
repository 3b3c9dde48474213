//! Which statements a client's portals run.

use std::collections::HashMap;
use std::sync::Arc;

use crate::statement::Statement;

/// Portals whose statements are remembered; what runs from others is taken for anything.
const MAX_PORTALS: usize = 1000;

/// The statements that portals run.
#[derive(Default)]
pub(super) struct Portals {
    unnamed: Option<Arc<Statement>>,
    named: HashMap<Box<[u8]>, Option<Arc<Statement>>>,
}

impl Portals {
    pub(super) fn bind(&mut self, name: &[u8], statement: Option<Arc<Statement>>) {
        if name.is_empty() {
            self.unnamed = statement;
        } else if self.named.len() < MAX_PORTALS || self.named.contains_key(name) {
            self.named.insert(name.into(), statement);
        }
    }

    pub(super) fn get(&self, name: &[u8]) -> Option<&Arc<Statement>> {
        if name.is_empty() { self.unnamed.as_ref() } else { self.named.get(name)?.as_ref() }
    }

    /// One is closed.
    pub(super) fn close(&mut self, name: &[u8]) {
        if name.is_empty() {
            self.unnamed = None;
        } else {
            self.named.remove(name);
        }
    }

    /// They end with their transaction.
    pub(super) fn clear(&mut self) {
        self.unnamed = None;
        if !self.named.is_empty() {
            self.named = HashMap::new();
        }
    }
}
