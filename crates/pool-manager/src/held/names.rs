//! The names: reserved, live, and for a while the ended ones with the reason.

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lru::LruCache;

use super::entry::Entry;
use super::{HeldKind, Owner};
use crate::error::Error;
use crate::server_error::SqlState;

/// Ended names that are remembered.
const REMEMBERED: NonZeroUsize = NonZeroUsize::new(10_000).unwrap();

/// Why a name no longer stands for anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// Committed, rolled back or ended by a caller.
    Finished,
    /// Idle for too long.
    Idle,
    /// Its lifetime was over.
    Lifetime,
    /// The RPC connection that began it has ended.
    OwnerGone,
    /// Its server connection was lost, or a call on it was abandoned.
    Lost,
    /// An administrator has ended all there was in its database.
    Killed,
    /// The server is shutting down.
    Shutdown,
}

impl Ending {
    fn sqlstate(self) -> SqlState {
        match self {
            Self::Idle => SqlState::IDLE_IN_TRANSACTION_TIMEOUT,
            Self::Lifetime => SqlState::TRANSACTION_TIMEOUT,
            Self::Finished | Self::OwnerGone | Self::Lost | Self::Killed | Self::Shutdown => {
                SqlState::INVALID_TRANSACTION_STATE
            }
        }
    }

    fn reason(self) -> &'static str {
        match self {
            Self::Finished => "is already finished",
            Self::Idle => "was rolled back: idle for longer than its idle_timeout",
            Self::Lifetime => "was rolled back: its max_lifetime is over",
            Self::OwnerGone => "was rolled back: the client that began it has left",
            Self::Lost => "is over: the server was lost, or a call on it was cut off",
            Self::Killed => "was rolled back: an administrator has ended it (KILL)",
            Self::Shutdown => "was rolled back: the pool is shutting down",
        }
    }
}

enum Slot {
    Reserved,
    Live(Arc<Entry>),
}

type Key = (HeldKind, Box<str>);

#[derive(Default)]
struct Tables {
    names: HashMap<Key, Slot>,
    ended: Option<LruCache<Key, Ending>>,
}

#[derive(Default)]
pub(super) struct Names(Mutex<Tables>);

/// A name that is taken but stands for nothing yet; dropped unfilled, it is free again.
pub(super) struct Reservation<'a> {
    names: &'a Names,
    key: Key,
    filled: bool,
}

impl Names {
    fn lock(&self) -> MutexGuard<'_, Tables> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn reserve(&self, kind: HeldKind, name: &str) -> Result<Reservation<'_>, Error> {
        let key: Key = (kind, name.into());
        let mut tables = self.lock();
        if tables.names.contains_key(&key) {
            return Err(Error::refused(
                SqlState::DUPLICATE_OBJECT,
                format!("{} {name:?} exists already", kind.noun()),
            ));
        }
        tables.names.insert(key.clone(), Slot::Reserved);
        if let Some(ended) = &mut tables.ended {
            ended.pop(&key);
        }
        Ok(Reservation { names: self, key, filled: false })
    }

    pub(super) fn find(&self, kind: HeldKind, name: &str) -> Result<Arc<Entry>, Error> {
        match self.lock().names.get(&(kind, name.into())) {
            Some(Slot::Live(entry)) => return Ok(Arc::clone(entry)),
            Some(Slot::Reserved) | None => {}
        }
        Err(self.why_ended(kind, name))
    }

    /// What to tell a caller whose name stands for nothing.
    pub(super) fn why_ended(&self, kind: HeldKind, name: &str) -> Error {
        let shown: String = name.chars().take(64).collect();
        let mut tables = self.lock();
        let ended = tables.ended.as_mut().and_then(|e| e.get(&(kind, name.into())).copied());
        match ended {
            Some(ending) => Error::refused(
                ending.sqlstate(),
                format!("{} {shown:?} {}", kind.noun(), ending.reason()),
            ),
            None => Error::refused(
                SqlState::NO_ACTIVE_TRANSACTION,
                format!("{} {shown:?} does not exist", kind.noun()),
            ),
        }
    }

    /// Retires a name. `false`: somebody else has done it.
    pub(super) fn retire(&self, entry: &Arc<Entry>, ending: Ending) -> bool {
        let key: Key = (entry.kind(), entry.name().into());
        let mut tables = self.lock();
        match tables.names.get(&key) {
            Some(Slot::Live(live)) if Arc::ptr_eq(live, entry) => {}
            _ => return false,
        }
        tables.names.remove(&key);
        entry.count_out();
        tables.ended.get_or_insert_with(|| LruCache::new(REMEMBERED)).put(key, ending);
        true
    }

    pub(super) fn all(&self) -> Vec<Arc<Entry>> {
        let live = |slot: &Slot| match slot {
            Slot::Live(entry) => Some(Arc::clone(entry)),
            Slot::Reserved => None,
        };
        self.lock().names.values().filter_map(live).collect()
    }

    pub(super) fn owned_by(&self, owner: Owner) -> Vec<Arc<Entry>> {
        let mut entries = self.all();
        entries.retain(|entry| entry.owner() == owner);
        entries
    }
}

impl Reservation<'_> {
    pub(super) fn fill(mut self, entry: &Arc<Entry>) {
        self.filled = true;
        self.names.lock().names.insert(self.key.clone(), Slot::Live(Arc::clone(entry)));
    }
}

impl Drop for Reservation<'_> {
    fn drop(&mut self) {
        if !self.filled {
            self.names.lock().names.remove(&self.key);
        }
    }
}
