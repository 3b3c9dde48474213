//! The circuit breaker: stops asking a backend that keeps failing, for a while. It knows neither
//! what is attempted nor why that fails: whoever asks for leave says how it went.
//!
//! ```text
//!            threshold failures in a row          timeout is over
//!   Closed ────────────────────────────► Open ─────────────────────► HalfOpen
//!     ▲                                   ▲                            │  │
//!     │                                   └──────── probe failed ──────┘  │
//!     └───────────────────── probe succeeded, or anything else did ───────┘
//! ```
//! A success counts in every state: it is the best evidence that there is. A failure counts while
//! closed; later only the probe's does, so that what had begun before neither prolongs nor decides.

use std::sync::atomic::{AtomicBool, Ordering};
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

impl CircuitBreakerState {
    /// The state in a word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half-open",
        }
    }
}

#[derive(Clone, Copy)]
enum State {
    Closed {
        failures: u32,
    },
    Open {
        until: Instant,
    },
    /// `probe`: the number of the attempt that is under way, if one is.
    HalfOpen {
        probe: Option<u64>,
    },
}

/// Told of each change of state, in order, with the breaker locked.
type Listener = Box<dyn Fn(CircuitBreakerState) + Send + Sync>;

/// A circuit breaker. Share it by reference or in an `Arc`.
pub struct CircuitBreaker {
    threshold: u32,
    timeout: Duration,
    listener: Option<Listener>,
    /// Closed, and the last attempt did not fail: then a success need not be noted. Looked at
    /// without the lock, because that is the case after nearly every statement.
    is_calm: AtomicBool,
    inner: Mutex<Inner>,
}

struct Inner {
    state: State,
    /// Probes so far: a number is never that of two.
    probes: u64,
}

/// An attempt was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal {
    /// When the next probe may go; zero while one is under way.
    pub retry_in: Duration,
}

/// Leave for one attempt. Dropped without a report it counts for nothing, and if it was the probe,
/// the next one to ask is.
#[must_use = "how the attempt went is to be reported"]
pub struct Attempt<'a> {
    breaker: &'a CircuitBreaker,
    probe: Option<u64>,
}

impl CircuitBreaker {
    /// A closed breaker that opens after `threshold` failures in a row (at least 1) and lets a
    /// probe through `timeout` later.
    pub fn new(threshold: u32, timeout: Duration) -> Self {
        Self {
            threshold: threshold.max(1),
            timeout,
            listener: None,
            is_calm: AtomicBool::new(true),
            inner: Mutex::new(Inner { state: State::Closed { failures: 0 }, probes: 0 }),
        }
    }

    /// The same with somebody who is told of each change of state. It must not call the breaker.
    #[must_use]
    pub fn with_listener(
        self,
        listener: impl Fn(CircuitBreakerState) + Send + Sync + 'static,
    ) -> Self {
        Self { listener: Some(Box::new(listener)), ..self }
    }

    /// Asks for leave to try. In the half-open state only one attempt has it.
    ///
    /// # Errors
    /// The backend is not to be asked now.
    pub fn allow(&self) -> Result<Attempt<'_>, Refusal> {
        if self.is_calm.load(Ordering::Acquire) {
            return Ok(Attempt { breaker: self, probe: None });
        }
        let mut inner = self.lock();
        if let Some(refusal) = refusal(inner.state) {
            return Err(refusal);
        }
        if let State::Closed { .. } = inner.state {
            return Ok(Attempt { breaker: self, probe: None });
        }
        inner.probes += 1;
        let probe = Some(inner.probes);
        self.enter(&mut inner, State::HalfOpen { probe });
        Ok(Attempt { breaker: self, probe })
    }

    /// Why [`allow`](Self::allow) would refuse an attempt now, without asking for leave.
    pub fn refusal(&self) -> Option<Refusal> {
        if self.is_calm.load(Ordering::Acquire) {
            return None;
        }
        refusal(self.lock().state)
    }

    /// The current state.
    pub fn state(&self) -> CircuitBreakerState {
        match self.lock().state {
            State::Closed { .. } => CircuitBreakerState::Closed,
            State::Open { until } if Instant::now() < until => CircuitBreakerState::Open,
            State::Open { .. } | State::HalfOpen { .. } => CircuitBreakerState::HalfOpen,
        }
    }

    /// Something failed that no leave was asked for.
    pub fn record_failure(&self) {
        let mut inner = self.lock();
        if let State::Closed { failures } = inner.state {
            let failures = failures.saturating_add(1);
            let state = if failures < self.threshold {
                State::Closed { failures }
            } else {
                State::Open { until: Instant::now() + self.timeout }
            };
            self.enter(&mut inner, state);
        }
    }

    /// Something succeeded, with or without leave.
    pub fn record_success(&self) {
        if !self.is_calm.load(Ordering::Acquire) {
            self.reset();
        }
    }

    /// Closes the breaker by hand.
    pub fn reset(&self) {
        self.enter(&mut self.lock(), State::Closed { failures: 0 });
    }

    fn enter(&self, inner: &mut Inner, state: State) {
        let before = std::mem::replace(&mut inner.state, state);
        self.is_calm.store(matches!(state, State::Closed { failures: 0 }), Ordering::Release);
        if let Some(listener) = &self.listener
            && name(before) != name(state)
        {
            listener(name(state));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the listener is told of a state.
fn name(state: State) -> CircuitBreakerState {
    match state {
        State::Closed { .. } => CircuitBreakerState::Closed,
        State::Open { .. } => CircuitBreakerState::Open,
        State::HalfOpen { .. } => CircuitBreakerState::HalfOpen,
    }
}

fn refusal(state: State) -> Option<Refusal> {
    match state {
        State::Closed { .. } | State::HalfOpen { probe: None } => None,
        State::HalfOpen { probe: Some(_) } => Some(Refusal { retry_in: Duration::ZERO }),
        State::Open { until } => {
            let retry_in = until.saturating_duration_since(Instant::now());
            (!retry_in.is_zero()).then_some(Refusal { retry_in })
        }
    }
}

impl Attempt<'_> {
    /// It succeeded.
    pub fn succeeded(mut self) {
        self.probe = None;
        self.breaker.record_success();
    }

    /// It failed.
    pub fn failed(mut self) {
        let until = Instant::now() + self.breaker.timeout;
        if self.probe.is_none() || !self.probe_ends_in(State::Open { until }) {
            self.breaker.record_failure();
        }
    }

    /// Enters `state` if this is the probe that is being waited for; whether it was.
    fn probe_ends_in(&mut self, state: State) -> bool {
        let Some(own) = self.probe.take() else { return false };
        let mut inner = self.breaker.lock();
        let is_awaited = matches!(inner.state, State::HalfOpen { probe } if probe == Some(own));
        if is_awaited {
            self.breaker.enter(&mut inner, state);
        }
        is_awaited
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        self.probe_ends_in(State::HalfOpen { probe: None });
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::time::advance;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn open(timeout: Duration) -> CircuitBreaker {
        let breaker = CircuitBreaker::new(1, timeout);
        breaker.record_failure();
        assert_eq!(breaker.state(), CircuitBreakerState::Open);
        breaker
    }

    #[tokio::test(start_paused = true)]
    async fn opens_after_failures_in_a_row_and_closes_after_a_good_probe() {
        let breaker = CircuitBreaker::new(3, 30 * SECOND);
        breaker.record_failure();
        breaker.allow().unwrap().failed();
        breaker.record_success();
        breaker.record_failure();
        breaker.allow().unwrap().failed();
        assert_eq!(breaker.state(), CircuitBreakerState::Closed);
        breaker.record_failure();
        assert_eq!(breaker.state(), CircuitBreakerState::Open);
        advance(10 * SECOND).await;
        let refused = Refusal { retry_in: 20 * SECOND };
        assert_eq!(breaker.allow().err(), Some(refused));
        assert_eq!(breaker.refusal(), Some(refused));
        advance(20 * SECOND).await;
        assert_eq!(breaker.refusal(), None, "asking why is not asking for leave");
        let probe = breaker.allow().unwrap();
        assert_eq!(breaker.allow().err(), Some(Refusal { retry_in: Duration::ZERO }), "only one");
        advance(1000 * SECOND).await;
        assert!(breaker.allow().is_err(), "however long it takes");
        probe.succeeded();
        assert_eq!(breaker.state(), CircuitBreakerState::Closed);
        breaker.allow().unwrap().succeeded();
    }

    #[tokio::test(start_paused = true)]
    async fn a_bad_probe_opens_it_again_and_an_abandoned_one_is_replaced() {
        let breaker = open(SECOND);
        advance(SECOND).await;
        breaker.allow().unwrap().failed();
        assert_eq!(breaker.allow().err(), Some(Refusal { retry_in: SECOND }));
        advance(SECOND).await;
        drop(breaker.allow().unwrap());
        assert_eq!(breaker.state(), CircuitBreakerState::HalfOpen);
        breaker.allow().unwrap().succeeded();
        assert_eq!(breaker.state(), CircuitBreakerState::Closed);
    }

    #[tokio::test(start_paused = true)]
    async fn what_began_before_it_opened_neither_prolongs_nor_decides() {
        let breaker = CircuitBreaker::new(1, 2 * SECOND);
        let (early, late) = (breaker.allow().unwrap(), breaker.allow().unwrap());
        breaker.record_failure();
        advance(SECOND).await;
        early.failed();
        assert_eq!(breaker.refusal(), Some(Refusal { retry_in: SECOND }));
        advance(SECOND).await;
        let probe = breaker.allow().unwrap();
        late.failed();
        breaker.record_failure();
        assert_eq!(breaker.state(), CircuitBreakerState::HalfOpen);
        probe.succeeded();
        assert_eq!(breaker.state(), CircuitBreakerState::Closed);
    }

    #[tokio::test(start_paused = true)]
    async fn any_success_closes_it_and_a_forgotten_probe_is_nobody_elses() {
        let breaker = open(SECOND);
        breaker.record_success();
        assert_eq!(breaker.state(), CircuitBreakerState::Closed, "while it is open, too");
        breaker.record_failure();
        advance(SECOND).await;
        let (first, forgotten) = (breaker.allow().unwrap(), breaker.refusal());
        assert!(forgotten.is_some());
        breaker.reset();
        breaker.record_failure();
        advance(SECOND).await;
        let second = breaker.allow().unwrap();
        drop(first);
        assert!(breaker.allow().is_err(), "the second one is still under way");
        second.failed();
        assert_eq!(breaker.state(), CircuitBreakerState::Open);
    }

    #[tokio::test(start_paused = true)]
    async fn each_change_is_told_once() {
        let told = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&told);
        let breaker = CircuitBreaker::new(2, SECOND)
            .with_listener(move |state| heard.lock().unwrap().push(state.as_str()));
        for _ in 0..5 {
            breaker.record_failure();
        }
        advance(SECOND).await;
        drop(breaker.allow().unwrap());
        breaker.allow().unwrap().failed();
        advance(SECOND).await;
        breaker.allow().unwrap().succeeded();
        breaker.record_success();
        let expected = ["open", "half-open", "open", "half-open", "closed"];
        assert_eq!(*told.lock().unwrap(), expected);
    }
}
