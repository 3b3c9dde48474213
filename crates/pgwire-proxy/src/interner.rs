//! Equal values that many clients hold, kept once: settings and reported parameters.
//! Sharing makes comparing them a comparison of pointers. It keeps nothing alive by itself.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// Below this number of entries nobody looks for dead ones.
const SMALL: usize = 64;

/// Values by content.
pub(crate) struct Interner<T> {
    hasher: RandomState,
    table: Mutex<Table<T>>,
}

struct Table<T> {
    values: HashMap<u64, Vec<Weak<T>>>,
    /// At this size dead entries are removed: amortised, that costs nothing.
    sweep_at: usize,
}

impl<T> Default for Interner<T> {
    fn default() -> Self {
        let table = Table { values: HashMap::new(), sweep_at: SMALL };
        Self { hasher: RandomState::new(), table: Mutex::new(table) }
    }
}

impl<T> Interner<T> {
    /// The shared value that equals this one.
    pub(crate) fn share(&self, value: &Arc<T>) -> Arc<T>
    where
        T: Hash + Eq,
    {
        let hash = self.hasher.hash_one(&**value);
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(candidates) = table.values.get(&hash) {
            let mut living = candidates.iter().filter_map(Weak::upgrade);
            if let Some(found) = living.find(|found| **found == **value) {
                return found;
            }
        }
        if table.values.len() >= table.sweep_at {
            table.sweep();
        }
        table.values.entry(hash).or_default().push(Arc::downgrade(value));
        Arc::clone(value)
    }
}

impl<T> Table<T> {
    fn sweep(&mut self) {
        self.values.retain(|_, candidates| {
            candidates.retain(|value| value.strong_count() > 0);
            !candidates.is_empty()
        });
        self.sweep_at = (self.values.len() * 2).max(SMALL);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_values_are_one() {
        let interner = Interner::default();
        let (a, b) = (interner.share(&Arc::new("a")), interner.share(&Arc::new("a")));
        assert!(Arc::ptr_eq(&a, &b));
        assert!(!Arc::ptr_eq(&a, &interner.share(&Arc::new("b"))));
    }

    #[test]
    fn what_nobody_holds_any_more_is_forgotten() {
        let interner = Interner::default();
        let kept = interner.share(&Arc::new(0_usize));
        for value in 1..10 * SMALL {
            drop(interner.share(&Arc::new(value)));
        }
        assert!(interner.table.lock().unwrap().values.len() <= SMALL);
        assert!(Arc::ptr_eq(&kept, &interner.share(&Arc::new(0))));
    }
}
