//! What a pool counts.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use super::classes::ErrorClasses;
use crate::breaker::CircuitBreakerState;
use crate::histogram::{DurationHistogram, Histogram};
use crate::server_error::SqlState;

/// Figures of one pool at one moment: the Go plugin's PoolStats.
#[derive(Debug, Clone, Default)]
pub struct PoolStats {
    /// Server connections, being opened and being closed included.
    pub total_connections: u32,
    /// Those that wait for a caller.
    pub idle_connections: u32,
    /// Those in use.
    pub active_connections: u32,
    /// Callers waiting for one.
    pub waiting_clients: u32,
    /// How long the one of them has waited that came first.
    pub longest_wait: Duration,
    /// How long callers had connections, until they gave them back.
    pub busy_duration: Duration,
    /// Connections handed out since the start.
    pub total_acquired: u64,
    /// Connections taken back since the start.
    pub total_released: u64,
    /// Successful acquisitions.
    pub acquire_count: u64,
    /// Time spent in them, waiting included.
    pub acquire_duration: Duration,
    /// Acquisitions that were given up: timed out, or the caller vanished.
    pub canceled_acquire_count: u64,
    /// Connections being opened.
    pub constructing_connections: u32,
    /// Upper bound of `total_connections`.
    pub max_connections: u32,
    /// Statements executed.
    pub query_count: u64,
    /// Time spent in them.
    pub query_duration: Duration,
    /// Statements that failed.
    pub error_count: u64,
    /// Statements slower than the slow-query threshold.
    pub slow_query_count: u64,
    /// Idle connections that the server had closed.
    pub lost_idle_connections: u64,
    /// Health checks that passed.
    pub health_checks_passed: u64,
    /// Health checks that failed.
    pub health_checks_failed: u64,
    /// When the last one ended.
    pub last_health_check: Option<SystemTime>,
    /// The last error of a health check or of opening a connection.
    pub last_error: Option<String>,
    /// Transactions that callers hold open.
    pub transactions_open: u32,
    /// Sessions that callers hold open.
    pub sessions_open: u32,
    /// Clients of the PostgreSQL door that keep a connection for what they have in its session
    /// (`mode: auto`).
    pub pinned_clients: u32,
    /// How often that has begun, by what for.
    pub pins: BTreeMap<&'static str, u64>,
    /// State of the circuit breaker, where there is one.
    pub breaker: Option<CircuitBreakerState>,
    /// Statements answered from memory.
    pub cache_hits: u64,
    /// Statements that could have been, and had to be executed.
    pub cache_misses: u64,
    /// Most connections that callers may hold across statements.
    pub max_held: u32,
    /// How long acquisitions took.
    pub acquire_times: DurationHistogram,
    /// How long statements took.
    pub query_times: DurationHistogram,
    /// Errors that callers were given, by class of SQLSTATE;
    /// [`OTHER_CLASS`](super::OTHER_CLASS) for those that PostgreSQL
    /// does not name.
    pub errors_by_class: Vec<(&'static str, u64)>,
    /// Transactions of several statements that were begun.
    pub transaction_count: u64,
    /// Statements that were executed as they were prepared before.
    pub statement_cache_hits: u64,
    /// Statements that had to be prepared.
    pub statement_cache_misses: u64,
    /// Connections that were opened.
    pub opened_count: u64,
    /// Attempts to open one that failed.
    pub connect_error_count: u64,
}

/// Statements found prepared, and not; counted by every connection of a pool.
#[derive(Debug, Default)]
pub(crate) struct CacheUse {
    hits: AtomicU64,
    misses: AtomicU64,
}

impl CacheUse {
    pub(crate) fn hit(&self) {
        self.hits.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn miss(&self) {
        self.misses.fetch_add(1, Ordering::Relaxed);
    }
}

/// What only the pool itself can see.
pub(super) struct Gauges {
    pub(super) total: u32,
    pub(super) idle: u32,
    pub(super) max: u32,
    pub(super) max_held: u32,
    pub(super) waiting: usize,
    pub(super) longest_wait: Duration,
    pub(super) busy: Duration,
    pub(super) canceled: u64,
    pub(super) breaker: Option<CircuitBreakerState>,
}

#[derive(Default)]
pub(crate) struct Counters {
    acquired: Histogram,
    released: AtomicU64,
    constructing: AtomicU32,
    queries: Histogram,
    classes: ErrorClasses,
    cache: Arc<CacheUse>,
    connect_errors: AtomicU64,
    begun: AtomicU64,
    errors: AtomicU64,
    slow: AtomicU64,
    lost_idle: AtomicU64,
    opened: AtomicU64,
    passed: AtomicU64,
    failed: AtomicU64,
    transactions: AtomicI64,
    sessions: AtomicI64,
    pinned: AtomicI64,
    pins: Mutex<BTreeMap<&'static str, u64>>,
    cache_hits: AtomicU64,
    cache_misses: AtomicU64,
    last: Mutex<Last>,
}

#[derive(Default)]
struct Last {
    checked: Option<SystemTime>,
    error: Option<String>,
}

/// Counts one connection being opened for as long as it lives.
pub(super) struct Constructing<'a>(&'a AtomicU32);

impl Drop for Constructing<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Counters {
    pub(super) fn acquired(&self, took: Duration) {
        self.acquired.add(took, 1);
    }

    pub(super) fn released(&self) {
        self.released.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn constructing(&self) -> Constructing<'_> {
        self.constructing.fetch_add(1, Ordering::Relaxed);
        Constructing(&self.constructing)
    }

    pub(super) fn connected(&self) {
        self.opened.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn connect_failed(&self, error: &str) {
        self.connect_errors.fetch_add(1, Ordering::Relaxed);
        self.last().error = Some(error.to_owned());
    }

    /// What its connections count statements in that are prepared, and those that are not.
    pub(super) fn cache(&self) -> &Arc<CacheUse> {
        &self.cache
    }

    /// A caller was given an error.
    pub(crate) fn failed(&self, code: SqlState) {
        self.classes.add(code);
    }

    /// Transactions of several statements were begun.
    pub(crate) fn begun(&self, transactions: u64) {
        self.begun.fetch_add(transactions, Ordering::Relaxed);
    }

    /// Whether any connection was ever opened.
    pub(super) fn was_used(&self) -> bool {
        self.opened.load(Ordering::Relaxed) > 0
    }

    pub(super) fn lost_idle(&self) {
        self.lost_idle.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn health_checked(&self, error: Option<&str>) {
        let counter = if error.is_none() { &self.passed } else { &self.failed };
        counter.fetch_add(1, Ordering::Relaxed);
        let mut last = self.last();
        last.checked = Some(SystemTime::now());
        if let Some(error) = error {
            last.error = Some(error.to_owned());
        }
    }

    /// Statements that ended together after `took`.
    pub(super) fn queries(&self, took: Duration, ended: u64, failed: u64, slow: bool) {
        self.queries.add(took, ended);
        if failed > 0 {
            self.errors.fetch_add(failed, Ordering::Relaxed);
        }
        if slow {
            self.slow.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// A statement was answered from memory, or was not there.
    pub(crate) fn cached(&self, hit: bool) {
        let counter = if hit { &self.cache_hits } else { &self.cache_misses };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// A transaction was opened (1) or has ended (-1).
    pub(crate) fn transactions(&self, change: i64) {
        self.transactions.fetch_add(change, Ordering::Relaxed);
    }

    /// A session was opened (1) or has ended (-1).
    pub(crate) fn sessions(&self, change: i64) {
        self.sessions.fetch_add(change, Ordering::Relaxed);
    }

    /// A client keeps a connection from now on, for what this names in a word of ours.
    pub(crate) fn pinned(&self, reason: &'static str) {
        self.pinned.fetch_add(1, Ordering::Relaxed);
        *self.pins.lock().unwrap_or_else(PoisonError::into_inner).entry(reason).or_default() += 1;
    }

    /// It keeps it no longer.
    pub(crate) fn unpinned(&self) {
        self.pinned.fetch_sub(1, Ordering::Relaxed);
    }

    pub(super) fn snapshot(&self, gauges: &Gauges) -> PoolStats {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let open =
            |gauge: &AtomicI64| u32::try_from(gauge.load(Ordering::Relaxed)).unwrap_or_default();
        let constructing = self.constructing.load(Ordering::Relaxed);
        let (acquired, queries) = (self.acquired.snapshot(), self.queries.snapshot());
        let last = self.last();
        PoolStats {
            total_connections: gauges.total,
            idle_connections: gauges.idle,
            active_connections: (gauges.total - gauges.idle).saturating_sub(constructing),
            waiting_clients: u32::try_from(gauges.waiting).unwrap_or(u32::MAX),
            longest_wait: gauges.longest_wait,
            busy_duration: gauges.busy,
            total_acquired: acquired.count(),
            total_released: read(&self.released),
            acquire_count: acquired.count(),
            acquire_duration: acquired.sum,
            canceled_acquire_count: gauges.canceled,
            constructing_connections: constructing,
            max_connections: gauges.max,
            query_count: queries.count(),
            query_duration: queries.sum,
            error_count: read(&self.errors),
            slow_query_count: read(&self.slow),
            lost_idle_connections: read(&self.lost_idle),
            health_checks_passed: read(&self.passed),
            health_checks_failed: read(&self.failed),
            last_health_check: last.checked,
            last_error: last.error.clone(),
            transactions_open: open(&self.transactions),
            sessions_open: open(&self.sessions),
            pinned_clients: open(&self.pinned),
            pins: self.pins.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            breaker: gauges.breaker,
            cache_hits: read(&self.cache_hits),
            cache_misses: read(&self.cache_misses),
            max_held: gauges.max_held,
            acquire_times: acquired,
            query_times: queries,
            errors_by_class: self.classes.counted(),
            transaction_count: read(&self.begun),
            statement_cache_hits: read(&self.cache.hits),
            statement_cache_misses: read(&self.cache.misses),
            opened_count: read(&self.opened),
            connect_error_count: read(&self.connect_errors),
        }
    }

    fn last(&self) -> std::sync::MutexGuard<'_, Last> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
