//! How many clients there may be at a time: at the door, of a database, of a user.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A bound, and how many are inside.
#[derive(Debug)]
pub(crate) struct ClientLimit {
    most: AtomicUsize,
    inside: AtomicUsize,
}

/// One client's place; given back when dropped.
#[derive(Debug)]
pub(crate) struct Seat(Arc<ClientLimit>);

impl ClientLimit {
    /// `None`: no bound but those of others.
    pub(crate) fn new(most: Option<usize>) -> Arc<Self> {
        let most = AtomicUsize::new(most.unwrap_or(usize::MAX));
        Arc::new(Self { most, inside: AtomicUsize::new(0) })
    }

    /// Lets one more in, if there is a place.
    pub(crate) fn enter(self: &Arc<Self>) -> Option<Seat> {
        let before = self.inside.fetch_add(1, Ordering::Relaxed);
        let seat = Seat(Arc::clone(self));
        (before < self.most()).then_some(seat)
    }

    /// How many there may be.
    pub(crate) fn most(&self) -> usize {
        self.most.load(Ordering::Relaxed)
    }

    /// Has it be as many as for `other` from now on. Those inside stay.
    pub(crate) fn become_as(&self, other: &Self) {
        self.most.store(other.most(), Ordering::Relaxed);
    }

    /// How many are inside.
    pub(crate) fn inside(&self) -> usize {
        self.inside.load(Ordering::Relaxed)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.inside.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_counted_and_given_back() {
        let limit = ClientLimit::new(Some(2));
        let (first, _second) = (limit.enter().unwrap(), limit.enter().unwrap());
        assert!(limit.enter().is_none());
        assert_eq!(limit.inside(), 2);
        drop(first);
        assert!(limit.enter().is_some());
        assert!(ClientLimit::new(Some(0)).enter().is_none());
        assert!(ClientLimit::new(None).enter().is_some());
    }
}
