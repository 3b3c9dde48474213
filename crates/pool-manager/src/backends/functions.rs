//! Which functions only read, by the catalogue's word (`pg_proc.provolatile`). A statement never
//! waits for that: until it is known, whoever calls the function goes to the primary.
//!
//! A name stands for every function that bears it, in whatever schema where none is named: all of
//! them must be STABLE or IMMUTABLE. One that stands for none is no call.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use lru::LruCache;
use tokio::time::timeout;

use super::Inner;
use crate::classify::{FunctionName, SafeFunctions, called_functions};

/// Functions that are remembered.
const FUNCTIONS: NonZeroUsize = NonZeroUsize::new(4096).unwrap();
/// Texts of which it is remembered what they call.
const TEXTS: NonZeroUsize = NonZeroUsize::new(1024).unwrap();
/// Longer texts, in bytes, go to the primary.
const MAX_TEXT: usize = 16 * 1024;
/// Texts that call more functions of which nothing is known go there, too.
const MAX_CALLED: usize = 32;
/// After this time the catalogue is asked again: functions are replaced, seldom.
const VALID: Duration = Duration::from_secs(60);
/// How long it may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// An aggregate is what its own functions are.
const QUESTION: &str = "
    SELECT n.nspname::text, p.proname::text, bool_and(CASE p.prokind
        WHEN 'a' THEN (SELECT bool_and(f.provolatile <> 'v') FROM pg_catalog.pg_aggregate AS a
            JOIN pg_catalog.pg_proc AS f
                ON f.oid IN (a.aggtransfn, a.aggfinalfn, a.aggmtransfn, a.aggminvtransfn)
            WHERE a.aggfnoid = p.oid)
        ELSE p.provolatile <> 'v' END)
    FROM pg_catalog.pg_proc AS p JOIN pg_catalog.pg_namespace AS n ON n.oid = p.pronamespace
    WHERE p.proname = ANY ($1::text[])
    GROUP BY n.nspname, p.proname";

/// What is known of functions.
pub(super) struct Functions {
    safe: SafeFunctions,
    state: Mutex<State>,
}

struct State {
    known: LruCache<FunctionName, Known>,
    called: LruCache<Box<str>, Called>,
    /// To be asked for.
    wanted: BTreeSet<FunctionName>,
    /// Somebody asks.
    is_asking: bool,
}

/// The functions that a text calls.
#[derive(Clone)]
struct Called {
    all: Arc<[FunctionName]>,
    unknown: Arc<[FunctionName]>,
}

/// Which of them matter.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Which {
    All,
    /// Those of which nothing is known but the name.
    Unknown,
}

#[derive(Clone, Copy)]
struct Known {
    reads: bool,
    since: Instant,
}

impl Functions {
    /// `safe`: those that are listed as harmless to a session, of which it is not known yet whether
    /// they write.
    pub(super) fn new(safe: SafeFunctions) -> Self {
        let state = State {
            known: LruCache::new(FUNCTIONS),
            called: LruCache::new(TEXTS),
            wanted: BTreeSet::new(),
            is_asking: false,
        };
        Self { safe, state: Mutex::new(state) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether none of those that a text calls is volatile, as far as that is known. What is not is
    /// found out, for the next time.
    pub(super) fn only_read(&self, sql: &str, which: Which, inner: &Arc<Inner>) -> bool {
        if sql.len() > MAX_TEXT {
            return false;
        }
        let mut state = self.state();
        let called = match state.called.get(sql) {
            Some(called) => called.clone(),
            None => {
                let found = called_functions(sql, &self.safe, MAX_CALLED + 1);
                let called = Called {
                    all: found.all.into_iter().collect(),
                    unknown: found.unknown.into_iter().collect(),
                };
                state.called.put(sql.into(), called.clone());
                called
            }
        };
        let called = if which == Which::All { called.all } else { called.unknown };
        if called.len() > MAX_CALLED {
            return false;
        }
        let mut all_read = true;
        for name in &*called {
            let known = state.known.get(name).copied();
            all_read &= known.is_some_and(|known| known.reads);
            if known.is_none_or(|known| known.since.elapsed() >= VALID)
                && state.wanted.len() < MAX_CALLED
            {
                state.wanted.insert(name.clone());
            }
        }
        if !state.wanted.is_empty() && !std::mem::replace(&mut state.is_asking, true) {
            tokio::spawn(ask(Arc::downgrade(inner)));
        }
        all_read
    }

    /// What is to be asked for; nothing ends the asking.
    fn take_wanted(&self) -> Vec<FunctionName> {
        let mut state = self.state();
        let wanted: Vec<_> = std::mem::take(&mut state.wanted).into_iter().collect();
        state.is_asking = !wanted.is_empty();
        wanted
    }

    fn learn(&self, name: FunctionName, reads: bool) {
        self.state().known.put(name, Known { reads, since: Instant::now() });
    }
}

/// Asks the catalogue of the primary until nothing is wanted any more. When it does not answer, what
/// was to be asked is asked for again by whoever needs it.
async fn ask(inner: Weak<Inner>) {
    while let Some(inner) = inner.upgrade() {
        let wanted = inner.functions.take_wanted();
        if wanted.is_empty() {
            return;
        }
        let names: Vec<&str> = wanted.iter().map(|wanted| &*wanted.name).collect();
        let answer = timeout(PATIENCE, inner.primary().ask_about(QUESTION, &names)).await;
        let Ok(Ok(rows)) = answer else {
            tracing::debug!(database = %inner.name, "the catalogue was not asked about functions");
            continue;
        };
        let mut found: BTreeMap<String, Vec<(String, bool)>> = BTreeMap::new();
        for row in rows {
            // What cannot be read counts as what writes.
            let schema: String = row.try_get(0).unwrap_or_default();
            let name: String = row.try_get(1).unwrap_or_default();
            found.entry(name).or_default().push((schema, row.try_get(2).unwrap_or(false)));
        }
        for wanted in wanted {
            let of_name = found.get(&*wanted.name).map_or(&[][..], Vec::as_slice);
            let is_meant =
                |schema: &str| wanted.schema.as_deref().is_none_or(|named| named == schema);
            let reads = of_name.iter().all(|(schema, reads)| *reads || !is_meant(schema));
            inner.functions.learn(wanted, reads);
        }
    }
}
