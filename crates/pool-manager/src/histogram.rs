//! How long things take: counted in buckets with fixed bounds, so that counting one costs two additions
//! and keeps no sample. The number of all is the sum of the buckets, and is counted nowhere else.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Upper bounds of the buckets, microseconds; one more bucket takes all that is longer.
const BOUNDS_US: [u64; 18] = [
    100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000,
    1_000_000, 2_500_000, 5_000_000, 10_000_000, 30_000_000, 60_000_000,
];
const BUCKETS: usize = BOUNDS_US.len() + 1;

/// How long many things took, at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DurationHistogram {
    buckets: [u64; BUCKETS],
    /// Time spent in all of them together.
    pub sum: Duration,
}

impl DurationHistogram {
    /// How many there were.
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// How many took longer than the bound before, and at most this long. The last bound is `None`.
    pub fn buckets(&self) -> impl Iterator<Item = (Option<Duration>, u64)> {
        let bounds = BOUNDS_US.into_iter().map(|bound| Some(Duration::from_micros(bound)));
        bounds.chain([None]).zip(self.buckets)
    }

    /// Those that have come since `before`, an earlier one of the same.
    #[must_use]
    pub fn since(&self, before: &Self) -> Self {
        let mut since = *self;
        for (bucket, before) in since.buckets.iter_mut().zip(&before.buckets) {
            *bucket = bucket.saturating_sub(*before);
        }
        since.sum = self.sum.saturating_sub(before.sum);
        since
    }

    /// Adds those of another one.
    pub fn add(&mut self, other: &Self) {
        for (bucket, more) in self.buckets.iter_mut().zip(&other.buckets) {
            *bucket += more;
        }
        self.sum += other.sum;
    }

    /// How long the `share` (0 to 1) of them that was quickest took at most, as near as the buckets
    /// tell; `None` when there were none.
    pub fn quantile(&self, share: f64) -> Option<Duration> {
        let bounds = BOUNDS_US.map(Duration::from_micros);
        quantile(&self.buckets, share, |bucket| {
            let lower = bucket.checked_sub(1).and_then(|before| bounds.get(before).copied());
            (lower.unwrap_or_default(), bounds.get(bucket).copied())
        })
    }
}

/// Where the `share` of all that is counted ends, in the bucket that `bounds` tells the limits of: as if
/// what is in it were spread evenly. Of a bucket without an upper limit it is the lower one.
#[allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "an estimate"
)]
pub(crate) fn quantile(
    buckets: &[u64],
    share: f64,
    bounds: impl Fn(usize) -> (Duration, Option<Duration>),
) -> Option<Duration> {
    let count: u64 = buckets.iter().sum();
    let rank = ((count as f64 * share.clamp(0.0, 1.0)).ceil() as u64).max(1);
    let mut below = 0;
    for (bucket, inside) in buckets.iter().enumerate() {
        if below + inside >= rank {
            let (lower, upper) = bounds(bucket);
            let Some(upper) = upper else { return Some(lower) };
            let part = (rank - below) as f64 / *inside as f64;
            return Some(lower + (upper - lower).mul_f64(part));
        }
        below += inside;
    }
    None
}

/// The same while it is counted.
#[derive(Default)]
pub(crate) struct Histogram {
    buckets: [AtomicU64; BUCKETS],
    nanos: AtomicU64,
}

impl Histogram {
    /// Counts `many` that took this long together.
    pub(crate) fn add(&self, took: Duration, many: u64) {
        let each = if many > 1 { took / u32::try_from(many).unwrap_or(u32::MAX) } else { took };
        let bucket = BOUNDS_US.partition_point(|bound| Duration::from_micros(*bound) < each);
        if let Some(bucket) = self.buckets.get(bucket) {
            bucket.fetch_add(many, Ordering::Relaxed);
        }
        if !took.is_zero() {
            let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
            self.nanos.fetch_add(nanos, Ordering::Relaxed);
        }
    }

    pub(crate) fn snapshot(&self) -> DurationHistogram {
        let mut snapshot = DurationHistogram::default();
        for (bucket, counted) in snapshot.buckets.iter_mut().zip(&self.buckets) {
            *bucket = counted.load(Ordering::Relaxed);
        }
        snapshot.sum = Duration::from_nanos(self.nanos.load(Ordering::Relaxed));
        snapshot
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn each_goes_into_the_bucket_that_its_time_is_within() {
        let histogram = Histogram::default();
        for took in [Duration::ZERO, 100 * MS / 1000, 101 * MS / 1000, MS, 3600 * 1000 * MS] {
            histogram.add(took, 1);
        }
        let snapshot = histogram.snapshot();
        let filled: Vec<_> = snapshot.buckets().filter(|(_, count)| *count > 0).collect();
        let us = |us| Some(Duration::from_micros(us));
        assert_eq!(filled, [(us(100), 2), (us(250), 1), (us(1000), 1), (None, 1)]);
        assert_eq!(snapshot.count(), 5);
        assert_eq!(snapshot.sum, Duration::from_micros(100 + 101 + 1000) + 3_600_000 * MS);
    }

    #[test]
    fn what_ended_together_shares_its_time() {
        let histogram = Histogram::default();
        histogram.add(8 * MS, 4);
        let snapshot = histogram.snapshot();
        assert_eq!((snapshot.count(), snapshot.sum), (4, 8 * MS));
        assert!(snapshot.quantile(1.0).unwrap() <= 5 * MS / 2);
        histogram.add(MS, 0);
        assert_eq!((histogram.snapshot().count(), histogram.snapshot().sum), (4, 9 * MS));
    }

    #[test]
    fn a_quantile_is_within_the_bucket_that_holds_it() {
        let histogram = Histogram::default();
        assert_eq!(histogram.snapshot().quantile(0.5), None);
        histogram.add(2 * MS * 90, 90);
        histogram.add(40 * MS * 10, 10);
        let snapshot = histogram.snapshot();
        let within = |share, lower, upper| {
            let found = snapshot.quantile(share).unwrap();
            assert!(found > lower && found <= upper, "{share}: {found:?}");
        };
        within(0.0, MS, 5 * MS / 2);
        within(0.5, MS, 5 * MS / 2);
        within(0.9, MS, 5 * MS / 2);
        within(0.91, 25 * MS, 50 * MS);
        within(1.0, 25 * MS, 50 * MS);
        histogram.add(Duration::from_secs(100 * 1000), 1000);
        assert_eq!(histogram.snapshot().quantile(0.99), Some(Duration::from_secs(60)));
    }
}
