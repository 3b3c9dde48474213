//! One pool for one backend: which caller gets which server connection, and when.
//!
//! bb8 stores the idle connections (last in, first out). Everything else is decided here:
//! admission in order of arrival ([`admission`]), opening ([`open`]), what happens to a
//! connection that comes back ([`checkout`]), its lifetime ([`maintain`]), when a server that fails
//! is left alone ([`breaker`]), and what an administrator may change ([`control`]).
//!
//! Invariants:
//! * A caller holds an admission permit for as long as it has a connection, and a connection
//!   being reset or closed keeps the permit of its last caller: so whoever is admitted finds an
//!   idle connection or room for a new one.
//! * Every connection holds a slot permit until the server has ended the session: so PostgreSQL
//!   never sees more than `max_connections` of them. When that is lowered, those too many are closed
//!   as they come back, and none is opened meanwhile.

mod admission;
mod breaker;
mod checkout;
mod classes;
mod control;
mod maintain;
mod open;
mod places;
mod servers;
mod slot;
mod stats;
mod stored;

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::ops::Deref;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::{ArcSwap, ArcSwapOption, Guard};
use lru::LruCache;
use tokio::runtime::Handle;
use tokio::sync::{Notify, Semaphore, watch};

use crate::backends::Standby;
use crate::breaker::CircuitBreaker;
use crate::classify::{Classification, SafeFunctions, classify, classify_bytes};
use crate::config::{BehaviorConfig, PoolConfig};
use crate::connect::{Connector, Housekeeping};
use crate::connection::ExecuteError;
use crate::error::Error;
use crate::server_error::SqlState;
use crate::top::{StatementStats, Tally, TopStatements};
use crate::values::TypeCatalogue;
use admission::Admission;
pub use breaker::BreakerLimits;
pub use checkout::Checkout;
pub use classes::OTHER_CLASS;
pub(crate) use places::{Permit, Places};
pub use servers::ServerInfo;
pub(crate) use servers::ServerPlace;
use servers::Servers;
use slot::Idle;
pub(crate) use stats::CacheUse;
use stats::Counters;
pub use stats::PoolStats;
pub use stored::StoredPassword;

/// Statement texts whose classification is remembered.
const CLASSIFICATIONS: NonZeroUsize = NonZeroUsize::new(4096).unwrap();
/// Longer statements are classified anew each time, so that the cache stays small.
const MAX_CLASSIFIED_TEXT: usize = 16 * 1024;
/// Connections opened at the same time, at most: a restart must not become a storm.
const MAX_CONCURRENT_CONNECTS: usize = 8;

/// Everything that a pool is made of.
#[derive(Debug, Clone)]
pub(crate) struct PoolOptions {
    /// The pool's name, as callers know it.
    pub(crate) name: String,
    /// The database that it is a server of.
    pub(crate) database: String,
    /// Size and lifetimes.
    pub(crate) pool: PoolConfig,
    /// Statement cache, reset, time limits.
    pub(crate) behavior: BehaviorConfig,
    /// Largest message accepted from the server, bytes. Larger rows are refused, not buffered.
    pub(crate) max_message: usize,
    /// Statements that take longer are counted as slow.
    pub(crate) slow_threshold: Duration,
    /// When to stop asking a server that fails.
    pub(crate) breaker: Option<BreakerLimits>,
    /// Statements that are counted one by one; 0: none is.
    pub(crate) top_statements: usize,
}

/// What is known of a text: what it does, and where its calls are counted.
pub(crate) struct Known {
    class: Classification,
    tally: Mutex<Option<Arc<Tally>>>,
}

impl Deref for Known {
    type Target = Classification;

    fn deref(&self) -> &Classification {
        &self.class
    }
}

/// A pool of server connections. Cheap to clone; every clone is the same pool.
#[derive(Clone)]
pub(crate) struct Pool(Arc<Shared>);

struct Shared {
    name: Arc<str>,
    database: Arc<str>,
    options: ArcSwap<PoolOptions>,
    wiring: ArcSwap<Wiring>,
    breaker: ArcSwapOption<CircuitBreaker>,
    /// The server may not be what it was taken for.
    doubted: Notify,
    /// How often that was so, and how many of these times were looked into.
    doubts: AtomicU64,
    settled_doubts: AtomicU64,
    idle: Idle,
    admission: Admission,
    slots: Arc<Places>,
    servers: Arc<Servers>,
    connecting: Semaphore,
    types: TypeCatalogue,
    safe_functions: SafeFunctions,
    known: Mutex<LruCache<Box<str>, Arc<Known>>>,
    counters: Counters,
    /// The servers that may take its place.
    standby: ArcSwapOption<Standby>,
    top: TopStatements,
    /// Tells the pool's tasks that it is being closed.
    closing: watch::Sender<bool>,
    /// The same, for those who look at it all the time.
    is_closing: AtomicBool,
    /// Tells them that the options have changed.
    changed: watch::Sender<u64>,
    runtime: Handle,
}

/// How to reach the server.
struct Wiring {
    connector: Connector,
    housekeeping: Housekeeping,
}

impl Wiring {
    fn new(connector: Connector) -> Self {
        Self { housekeeping: Housekeeping::new(connector.clone()), connector }
    }
}

impl PoolOptions {
    /// How many connections there may be, and how many of them callers may hold.
    fn sizes(&self) -> (usize, usize) {
        (self.pool.max_connections as usize, self.pool.effective_max_held() as usize)
    }
}

impl Pool {
    /// Builds the pool and starts its maintenance; opens nothing yet. Must be called inside a
    /// Tokio runtime, which the pool's own tasks use from then on.
    pub(crate) fn new(options: PoolOptions, connector: Connector) -> Self {
        let (size, max_held) = options.sizes();
        let (closing, _) = watch::channel(false);
        let (changed, _) = watch::channel(0);
        let breaker = options.breaker.map(|limits| limits.breaker(&options.name));
        let pool = Self(Arc::new(Shared {
            name: options.name.as_str().into(),
            database: options.database.as_str().into(),
            breaker: breaker.map(Arc::new).into(),
            doubted: Notify::new(),
            doubts: AtomicU64::new(0),
            settled_doubts: AtomicU64::new(0),
            wiring: ArcSwap::from_pointee(Wiring::new(connector)),
            idle: Idle::new(),
            admission: Admission::new(
                options.name.as_str().into(),
                size,
                max_held,
                options.pool.wait_queue_size as usize,
            ),
            slots: Places::new(size),
            servers: Arc::default(),
            connecting: Semaphore::new(MAX_CONCURRENT_CONNECTS),
            types: TypeCatalogue::default(),
            safe_functions: SafeFunctions::new(&options.behavior.session_safe_functions),
            known: Mutex::new(LruCache::new(CLASSIFICATIONS)),
            counters: Counters::default(),
            standby: ArcSwapOption::empty(),
            top: TopStatements::new(options.top_statements),
            closing,
            is_closing: AtomicBool::new(false),
            changed,
            runtime: Handle::current(),
            options: ArcSwap::from_pointee(options),
        }));
        pool.start_maintenance();
        pool
    }

    /// The pool's name.
    pub(crate) fn name(&self) -> &Arc<str> {
        &self.0.name
    }

    /// Whether it is this one.
    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// The database that it is a server of.
    pub(crate) fn database(&self) -> &str {
        &self.0.database
    }

    /// How it is configured at this moment. Not to be kept while waiting for anything.
    pub(crate) fn options(&self) -> Guard<Arc<PoolOptions>> {
        self.0.options.load()
    }

    /// The types that this database is known to have.
    pub(crate) fn types(&self) -> &TypeCatalogue {
        &self.0.types
    }

    /// The runtime that the pool's tasks run on.
    pub(crate) fn runtime(&self) -> &Handle {
        &self.0.runtime
    }

    fn admission(&self) -> &Admission {
        &self.0.admission
    }

    pub(crate) fn counters(&self) -> &Counters {
        &self.0.counters
    }

    /// Counts a statement that ended after `took`.
    pub(crate) fn count_query(&self, took: Duration, error: Option<&ExecuteError>) {
        let slow = took >= self.options().slow_threshold;
        self.0.counters.queries(took, 1, u64::from(error.is_some()), slow);
        match error {
            None => self.note_success(),
            Some(ExecuteError::Server(error)) => self.note_refusal(error.code),
            Some(_) => {}
        }
    }

    /// Counts statements that ended together after `took`, some of them with an error.
    pub(crate) fn count_queries(&self, took: Duration, ended: u32, failed: u32) {
        let slow = took >= self.options().slow_threshold;
        self.0.counters.queries(took, ended.into(), failed.into(), slow);
        if ended > failed {
            self.note_success();
        }
    }

    /// An error of the server's.
    pub(crate) fn note_refusal(&self, code: SqlState) {
        if code == SqlState::READ_ONLY_TRANSACTION {
            self.doubt();
        }
    }

    /// Something has happened that a server which is what it was taken for does not do.
    pub(super) fn doubt(&self) {
        self.0.doubts.fetch_add(1, Ordering::Relaxed);
        self.0.doubted.notify_one();
    }

    /// How often that was so.
    pub(crate) fn doubts(&self) -> u64 {
        self.0.doubts.load(Ordering::Relaxed)
    }

    /// The server was looked at after so many of these times, and works.
    pub(crate) fn settle_doubts(&self, doubts: u64) {
        self.0.settled_doubts.store(doubts, Ordering::Relaxed);
    }

    /// Whether nobody has looked since the last one.
    pub(crate) fn is_in_doubt(&self) -> bool {
        self.doubts() != self.0.settled_doubts.load(Ordering::Relaxed)
    }

    /// Resolves when [`doubt`](Self::doubt) was called.
    pub(crate) async fn doubted(&self) {
        self.0.doubted.notified().await;
    }

    /// What kind of statement this is; remembered by text.
    pub(crate) fn classify(&self, sql: &str) -> Arc<Known> {
        let judge = || {
            let class = classify(sql, &self.0.safe_functions);
            Arc::new(Known { class, tally: Mutex::new(None) })
        };
        if sql.len() > MAX_CLASSIFIED_TEXT {
            return judge();
        }
        let lock = || self.0.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = lock().get(sql) {
            return Arc::clone(known);
        }
        let known = judge();
        lock().put(sql.into(), Arc::clone(&known));
        known
    }

    /// Where calls of this text are counted, which `kept` remembers.
    pub(crate) fn tally(&self, sql: &str, kept: &Mutex<Option<Arc<Tally>>>) -> Option<Arc<Tally>> {
        let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.as_ref().is_none_or(|tally| !tally.is_seen()) {
            *kept = self.0.top.tally(sql);
        }
        kept.clone()
    }

    /// The same for a text that is known.
    pub(crate) fn tally_of(&self, sql: &str, known: &Known) -> Option<Arc<Tally>> {
        self.tally(sql, &known.tally)
    }

    /// Counts a call of a text that ended after `took`, with so many rows or an error.
    pub(crate) fn count_call(
        &self,
        sql: &str,
        known: &Known,
        took: Duration,
        result: Result<u64, &Error>,
    ) {
        if let Err(error) = result {
            self.0.counters.failed(error.sqlstate());
        }
        if let Some(tally) = self.tally_of(sql, known) {
            tally.add(took, result.unwrap_or(0), result.is_err());
        }
    }

    /// What statements came to, added to `all` by text.
    pub(crate) fn collect_statements(&self, all: &mut HashMap<String, StatementStats>) {
        self.0.top.collect(all);
    }

    /// Functions that the user has listed as harmless to a session.
    pub(crate) fn safe_functions(&self) -> &SafeFunctions {
        &self.0.safe_functions
    }

    /// The same, judged anew, for a text in any encoding.
    pub(crate) fn judge(&self, sql: &[u8]) -> Classification {
        classify_bytes(sql, &self.0.safe_functions)
    }

    /// A connection for one statement, in order of arrival, within `acquire_timeout`.
    pub(crate) async fn acquire(&self) -> Result<Checkout, Error> {
        self.checkout(false).await
    }

    /// A connection to be held over several calls: at most `max_held` of them at a time.
    pub(crate) async fn acquire_held(&self) -> Result<Checkout, Error> {
        self.checkout(true).await
    }

    /// A connection that is idle right now, if nobody waits for one: what [`acquire`](Self::acquire)
    /// would give at once, without its detours.
    pub(crate) fn try_acquire(&self, now: Instant) -> Option<Checkout> {
        if self.0.is_closing.load(Ordering::Relaxed) || self.0.idle.count() == 0 {
            return None;
        }
        let checkout = self.find_idle(self.0.admission.try_enter()?, now)?;
        Some(checkout.hand_out(Duration::ZERO))
    }

    /// Whether somebody waits for a connection.
    pub(crate) fn has_waiters(&self) -> bool {
        self.0.admission.waiting() > 0
    }

    /// Has others of these servers take this one's place while it cannot be connected to.
    pub(crate) fn stand_by(&self, standby: Option<Standby>) {
        self.0.standby.store(standby.map(Arc::new));
    }

    async fn checkout(&self, hold: bool) -> Result<Checkout, Error> {
        let result = match self.checkout_here(hold).await {
            Err(error) if error.is_of_server() => self.checkout_instead(hold, error).await,
            result => result,
        };
        if let Err(error) = &result {
            self.0.counters.failed(error.sqlstate());
        }
        result
    }

    /// A connection to another server, or the error for which there is none to this one.
    async fn checkout_instead(&self, hold: bool, error: Error) -> Result<Checkout, Error> {
        match self.0.standby.load_full() {
            Some(standby) => standby.checkout_instead(self, hold, error).await,
            None => Err(error),
        }
    }

    /// A connection of this very pool.
    pub(crate) async fn checkout_here(&self, hold: bool) -> Result<Checkout, Error> {
        if self.0.is_closing.load(Ordering::Relaxed) {
            return Err(Error::Closed(Arc::clone(&self.0.name)));
        }
        if self.0.idle.count() == 0 {
            // Before the queue: nobody waits for what will not be.
            self.check_breaker()?;
        }
        let started = Instant::now();
        let limit = self.options().pool.acquire_timeout.get();
        let permits = self.0.admission.enter(hold, limit).await?;
        let left = limit.saturating_sub(started.elapsed());
        let checkout = self.find_or_open(permits, left).await?;
        Ok(checkout.hand_out(started.elapsed()))
    }

    /// Current figures.
    pub(crate) fn stats(&self) -> PoolStats {
        let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        let total = number(self.total());
        self.0.counters.snapshot(&stats::Gauges {
            total,
            idle: u32::try_from(self.0.idle.count()).unwrap_or(total).min(total),
            max: number(self.0.slots.size()),
            max_held: self.options().pool.effective_max_held(),
            waiting: self.0.admission.waiting(),
            longest_wait: self.0.admission.longest_wait(),
            busy: self.0.servers.busy(),
            canceled: self.0.admission.canceled(),
            breaker: self.0.breaker.load().as_ref().map(|breaker| breaker.state()),
        })
    }

    /// Refuses new callers, lets those inside finish within `limit`, and closes every
    /// connection.
    pub(crate) async fn close(&self, limit: Duration) {
        self.0.is_closing.store(true, Ordering::Relaxed);
        self.0.closing.send_replace(true);
        self.drain(limit).await;
    }
}
