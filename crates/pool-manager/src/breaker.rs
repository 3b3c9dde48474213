//! The circuit breaker: stops asking a backend that keeps failing, for a while.
//!
//! ```text
//!            threshold failures in a row          timeout is over
//!   Closed ────────────────────────────► Open ─────────────────────► HalfOpen
//!     ▲                                   ▲                            │  │
//!     │                                   └──────── probe failed ──────┘  │
//!     └────────────────────────────────────────── probe succeeded ────────┘
//! ```

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// State of a breaker, with the Go plugin's numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i32)]
pub enum CircuitBreakerState {
    /// Everything passes.
    Closed = 0,
    /// Nothing passes.
    Open = 1,
    /// One probe passes; its outcome decides.
    HalfOpen = 2,
}

#[derive(Clone, Copy)]
enum State {
    Closed {
        failures: u32,
    },
    Open {
        until: Instant,
    },
    /// `probing_since`: when the probe was let through; one that never reports is given up
    /// after another timeout.
    HalfOpen {
        probing_since: Option<Instant>,
    },
}

/// A circuit breaker. Share it by reference or in an `Arc`.
pub struct CircuitBreaker {
    threshold: u32,
    timeout: Duration,
    state: Mutex<State>,
}

impl CircuitBreaker {
    /// A closed breaker that opens after `threshold` failures in a row (at least 1) and lets a
    /// probe through `timeout` later.
    pub fn new(threshold: u32, timeout: Duration) -> Self {
        Self {
            threshold: threshold.max(1),
            timeout,
            state: Mutex::new(State::Closed { failures: 0 }),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether an operation may go ahead. In the half-open state only one may: whoever gets
    /// `true` must report with [`record_success`](Self::record_success) or
    /// [`record_failure`](Self::record_failure).
    pub fn allow(&self) -> bool {
        let now = Instant::now();
        let mut state = self.lock();
        match *state {
            State::Closed { .. } => true,
            State::Open { until } if now < until => false,
            State::HalfOpen { probing_since: Some(since) } if now < since + self.timeout => false,
            State::Open { .. } | State::HalfOpen { .. } => {
                *state = State::HalfOpen { probing_since: Some(now) };
                true
            }
        }
    }

    /// The current state.
    pub fn state(&self) -> CircuitBreakerState {
        match *self.lock() {
            State::Closed { .. } => CircuitBreakerState::Closed,
            State::Open { until } if Instant::now() < until => CircuitBreakerState::Open,
            State::Open { .. } | State::HalfOpen { .. } => CircuitBreakerState::HalfOpen,
        }
    }

    /// When an open breaker lets the next probe through.
    pub fn retry_at(&self) -> Option<Instant> {
        match *self.lock() {
            State::Open { until } => Some(until),
            State::Closed { .. } | State::HalfOpen { .. } => None,
        }
    }

    /// An operation failed.
    pub fn record_failure(&self) {
        let open = State::Open { until: Instant::now() + self.timeout };
        let mut state = self.lock();
        *state = match *state {
            State::Closed { failures } if failures + 1 < self.threshold => {
                State::Closed { failures: failures + 1 }
            }
            // Operations that began before it opened do not prolong it.
            State::Open { until } => State::Open { until },
            State::Closed { .. } | State::HalfOpen { .. } => open,
        };
    }

    /// An operation succeeded.
    pub fn record_success(&self) {
        let mut state = self.lock();
        if !matches!(*state, State::Open { .. }) {
            *state = State::Closed { failures: 0 };
        }
    }

    /// Closes the breaker by hand.
    pub fn reset(&self) {
        *self.lock() = State::Closed { failures: 0 };
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn opens_after_failures_in_a_row_and_closes_after_a_good_probe() {
        let breaker = CircuitBreaker::new(3, Duration::from_secs(30));
        breaker.record_failure();
        breaker.record_failure();
        breaker.record_success();
        breaker.record_failure();
        breaker.record_failure();
        assert_eq!(breaker.state(), CircuitBreakerState::Closed);
        breaker.record_failure();
        assert_eq!(breaker.state(), CircuitBreakerState::Open);
        assert!(!breaker.allow());
        advance(Duration::from_secs(30)).await;
        assert!(breaker.allow(), "one probe");
        assert!(!breaker.allow(), "and only one");
        breaker.record_success();
        assert_eq!(breaker.state(), CircuitBreakerState::Closed);
        assert!(breaker.allow());
    }

    #[tokio::test(start_paused = true)]
    async fn a_bad_probe_opens_it_again_and_a_lost_one_is_replaced() {
        let breaker = CircuitBreaker::new(1, Duration::from_secs(1));
        breaker.record_failure();
        advance(Duration::from_secs(1)).await;
        assert!(breaker.allow());
        breaker.record_failure();
        assert!(!breaker.allow());
        advance(Duration::from_secs(1)).await;
        assert!(breaker.allow());
        advance(Duration::from_secs(1)).await;
        assert!(breaker.allow(), "the first probe never reported");
    }

    #[tokio::test(start_paused = true)]
    async fn late_results_do_not_disturb_an_open_breaker() {
        let breaker = CircuitBreaker::new(1, Duration::from_secs(2));
        breaker.record_failure();
        advance(Duration::from_secs(1)).await;
        breaker.record_failure();
        breaker.record_success();
        assert_eq!(breaker.state(), CircuitBreakerState::Open);
        advance(Duration::from_secs(1)).await;
        assert!(breaker.allow());
        breaker.reset();
        assert_eq!(breaker.state(), CircuitBreakerState::Closed);
    }
}
