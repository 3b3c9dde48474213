//! How often one client may ask: a bucket of requests that fills up again at a steady rate. It counts
//! and never waits; whoever has a client has its bucket, so nothing here is shared or locked.

use std::time::{Duration, Instant};

/// Requests that one client may make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimit {
    /// In the long run; at least 1.
    pub per_second: u32,
    /// At once, when it has been quiet before; at least 1.
    pub burst: u32,
}

/// What one client may still ask.
///
/// Not a number of requests but the moment at which the bucket is full again: a request moves it
/// on by the time that one request takes to come back. So nothing has to be filled up, and nothing is
/// lost in rounding.
#[derive(Debug)]
pub struct RequestBucket {
    limit: RateLimit,
    full_at: Instant,
}

/// A client asks too often.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "rate limit exceeded: {} requests per second, {} at once (features.rate_limit); retry after {} ms",
    limit.per_second, limit.burst, retry_in.as_micros().div_ceil(1000)
)]
pub struct RateExceeded {
    /// What it may.
    pub limit: RateLimit,
    /// When it may ask again.
    pub retry_in: Duration,
}

impl RequestBucket {
    /// A full bucket.
    pub fn new(limit: RateLimit, now: Instant) -> Self {
        let RateLimit { per_second, burst } = limit;
        let limit = RateLimit { per_second: per_second.max(1), burst: burst.max(1) };
        Self { limit, full_at: now }
    }

    /// Takes one request out.
    ///
    /// # Errors
    /// There is none. Asking changes nothing then.
    pub fn take(&mut self, now: Instant) -> Result<(), RateExceeded> {
        let one = Duration::from_secs(1) / self.limit.per_second;
        let room = one.saturating_mul(self.limit.burst - 1);
        let missing = self.full_at.saturating_duration_since(now);
        if missing > room {
            return Err(RateExceeded { limit: self.limit, retry_in: missing - room });
        }
        self.full_at = self.full_at.max(now) + one;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn bucket(per_second: u32, burst: u32) -> (RequestBucket, Instant) {
        let now = Instant::now();
        (RequestBucket::new(RateLimit { per_second, burst }, now), now)
    }

    /// How many can be taken at this moment.
    fn left(bucket: &mut RequestBucket, now: Instant) -> usize {
        (0..1000).take_while(|_| bucket.take(now).is_ok()).count()
    }

    #[test]
    fn a_burst_and_then_one_at_a_time() {
        let (mut bucket, start) = bucket(10, 3);
        assert_eq!(left(&mut bucket, start), 3);
        let refused = bucket.take(start + 30 * MS).unwrap_err();
        assert_eq!(refused.retry_in, 70 * MS);
        assert!(bucket.take(start + 99 * MS).is_err(), "being refused costs nothing");
        assert!(bucket.take(start + 100 * MS).is_ok(), "exactly when it was told to come");
        assert_eq!(left(&mut bucket, start + 100 * MS), 0);
        assert_eq!(left(&mut bucket, start + 350 * MS), 2);
        assert_eq!(left(&mut bucket, start + 100_000 * MS), 3, "never more than a burst");
    }

    #[test]
    fn in_the_long_run_it_is_the_rate() {
        let (mut bucket, start) = bucket(300, 7);
        let taken: usize = (0..10_000).map(|ms| left(&mut bucket, start + ms * MS)).sum();
        assert!((2999 + 7..=3001 + 7).contains(&taken), "{taken}");
    }

    #[test]
    fn the_extremes_are_no_trouble() {
        let (mut slow, start) = bucket(0, 0);
        assert_eq!(left(&mut slow, start), 1);
        assert_eq!(slow.take(start).unwrap_err().retry_in, 1000 * MS);
        let (mut fast, start) = bucket(u32::MAX, u32::MAX);
        assert_eq!(left(&mut fast, start), 1000);
        let (mut patient, start) = bucket(1, u32::MAX);
        assert_eq!(left(&mut patient, start), 1000);
        // The clock of another thread may be behind.
        assert!(patient.take(start - MS).is_ok());
    }

    #[test]
    fn the_text_has_the_limit_and_when_to_come_again() {
        let limit = RateLimit { per_second: 100, burst: 200 };
        let text = RateExceeded { limit, retry_in: Duration::from_micros(9001) }.to_string();
        assert_eq!(
            text,
            "rate limit exceeded: 100 requests per second, 200 at once (features.rate_limit); \
             retry after 10 ms"
        );
    }
}
