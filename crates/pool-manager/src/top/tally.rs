//! What is counted of one statement: without a lock, and without keeping a sample.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use crate::histogram::quantile;

/// Times are told apart from 2^4 microseconds on, two buckets each time they double.
const FIRST_BIT: u32 = 4;
/// The last one holds all from 64 s on.
const BUCKETS: usize = 45;

/// The counters of one statement.
pub struct Tally {
    text: Box<str>,
    /// How often it took how long.
    buckets: [AtomicU64; BUCKETS],
    nanos: AtomicU64,
    rows: AtomicU64,
    errors: AtomicU64,
    /// Others came more often, and its place is theirs: whoever still holds it asks anew.
    is_dropped: AtomicBool,
}

/// What a statement came to so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatementStats {
    /// Its text without constants, comments and layout; cut where it is very long.
    pub text: String,
    /// How often it was executed.
    pub calls: u64,
    /// How often it failed.
    pub errors: u64,
    /// Rows that it returned or changed.
    pub rows: u64,
    /// Time spent in all of its calls together.
    pub total: Duration,
    /// What 99 of 100 calls took at most, within a fifth.
    pub p99: Duration,
    buckets: [u64; BUCKETS],
}

impl Tally {
    pub(super) fn new(text: Box<str>) -> Self {
        Self {
            text,
            buckets: [const { AtomicU64::new(0) }; BUCKETS],
            nanos: AtomicU64::new(0),
            rows: AtomicU64::new(0),
            errors: AtomicU64::new(0),
            is_dropped: AtomicBool::new(false),
        }
    }

    /// Counts one call.
    pub fn add(&self, took: Duration, rows: u64, failed: bool) {
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        if let Some(bucket) = self.buckets.get(bucket_of(nanos / 1000)) {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
        self.nanos.fetch_add(nanos, Ordering::Relaxed);
        if rows > 0 {
            self.rows.fetch_add(rows, Ordering::Relaxed);
        }
        if failed {
            self.errors.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Whether what is counted here is seen by anybody.
    pub fn is_seen(&self) -> bool {
        !self.is_dropped.load(Ordering::Relaxed)
    }

    pub(super) fn calls(&self) -> u64 {
        self.buckets.iter().map(|bucket| bucket.load(Ordering::Relaxed)).sum()
    }

    pub(super) fn drop_it(&self) {
        self.is_dropped.store(true, Ordering::Relaxed);
    }

    pub(super) fn stats(&self) -> StatementStats {
        let mut stats = StatementStats {
            text: self.text.to_string(),
            calls: 0,
            errors: self.errors.load(Ordering::Relaxed),
            rows: self.rows.load(Ordering::Relaxed),
            total: Duration::from_nanos(self.nanos.load(Ordering::Relaxed)),
            p99: Duration::ZERO,
            buckets: [0; BUCKETS],
        };
        for (bucket, counted) in stats.buckets.iter_mut().zip(&self.buckets) {
            *bucket = counted.load(Ordering::Relaxed);
        }
        stats.sum_up();
        stats
    }
}

impl fmt::Debug for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.stats().fmt(f)
    }
}

impl StatementStats {
    /// Average time of a call.
    pub fn mean(&self) -> Duration {
        let nanos = self.total.as_nanos().checked_div(self.calls.into()).unwrap_or(0);
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// Adds what the same statement came to elsewhere.
    pub(super) fn add(&mut self, other: &Self) {
        self.errors += other.errors;
        self.rows += other.rows;
        self.total += other.total;
        for (bucket, more) in self.buckets.iter_mut().zip(&other.buckets) {
            *bucket += more;
        }
        self.sum_up();
    }

    fn sum_up(&mut self) {
        self.calls = self.buckets.iter().sum();
        self.p99 = quantile(&self.buckets, 0.99, limits).unwrap_or_default();
    }
}

fn bucket_of(micros: u64) -> usize {
    let bits = micros.max(1 << FIRST_BIT).ilog2();
    let half = (micros >> (bits - 1)) & 1;
    let half = if micros < 1 << FIRST_BIT { 0 } else { half as usize };
    (2 * (bits - FIRST_BIT) as usize + half).min(BUCKETS - 1)
}

/// Between which times the calls in a bucket took.
fn limits(bucket: usize) -> (Duration, Option<Duration>) {
    let lower = |bucket: usize| {
        let whole = 1u64 << (FIRST_BIT as usize + bucket / 2);
        let micros = if bucket.is_multiple_of(2) { whole } else { whole + whole / 2 };
        Duration::from_micros(micros)
    };
    let from = if bucket == 0 { Duration::ZERO } else { lower(bucket) };
    (from, (bucket + 1 < BUCKETS).then(|| lower(bucket + 1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_time_is_within_the_limits_of_its_bucket() {
        for micros in (0..3000).chain([65_535, 1_000_000, 63_999_999, 67_108_864, u64::MAX / 2000])
        {
            let took = Duration::from_micros(micros);
            let (from, to) = limits(bucket_of(micros));
            assert!(took >= from && to.is_none_or(|to| took < to), "{micros}");
        }
    }

    #[test]
    fn calls_rows_errors_and_times_are_counted() {
        let tally = Tally::new("select ?".into());
        for call in 0..100 {
            let slow = call >= 98;
            let took = Duration::from_millis(if slow { 500 } else { 1 });
            tally.add(took, 2, slow);
        }
        let mut stats = tally.stats();
        assert_eq!((stats.calls, stats.rows, stats.errors), (100, 200, 2));
        assert_eq!(stats.total, Duration::from_millis(98 + 1000));
        assert_eq!(stats.mean(), Duration::from_micros(10_980));
        assert!((400..=600).contains(&stats.p99.as_millis()), "{:?}", stats.p99);
        stats.add(&tally.stats());
        assert_eq!((stats.calls, stats.rows, stats.errors), (200, 400, 4));
        let fast = Tally::new("".into());
        fast.add(Duration::ZERO, 0, false);
        assert!(fast.stats().p99 <= Duration::from_micros(24));
    }
}
