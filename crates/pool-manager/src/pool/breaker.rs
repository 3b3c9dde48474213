//! What the pool's circuit breaker guards: opening connections. One that is open already is used as
//! ever; it works, or tells that it does not.
//!
//! A failure is a server that cannot be reached, does not answer in time or starts, and a connection
//! that breaks off. Whatever a server says in words (an SQL error, a wrong password, too many
//! connections, a backend that an administrator ended) shows that it is there.

use std::sync::Arc;
use std::time::Duration;

use super::Pool;
use crate::breaker::{Attempt, CircuitBreaker, CircuitBreakerState, Refusal};
use crate::connect::ConnectError;
use crate::error::Error;
use crate::server_error::SqlState;

/// When a server that keeps failing is left alone, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BreakerLimits {
    /// Failures in a row after which it is not asked any more; at least 1.
    pub threshold: u32,
    /// How long it is not asked then.
    pub timeout: Duration,
}

impl BreakerLimits {
    /// A closed breaker that logs each change of its state.
    pub(super) fn breaker(self, pool: &str) -> CircuitBreaker {
        let Self { threshold, timeout } = self;
        let pool = pool.to_owned();
        CircuitBreaker::new(threshold, timeout).with_listener(move |state| match state {
            CircuitBreakerState::Open => tracing::warn!(
                %pool,
                "circuit breaker open: the server has failed {threshold} times in a row, or the \
                 one try in between; no connections are opened for {} ms",
                timeout.as_millis()
            ),
            CircuitBreakerState::HalfOpen => {
                tracing::info!(%pool, "circuit breaker half-open: one connection is being tried");
            }
            CircuitBreakerState::Closed => {
                tracing::info!(%pool, "circuit breaker closed: the server works again");
            }
        })
    }
}

/// Opening one connection, as the breaker sees it. Dropped without a report it counts for nothing.
pub(super) struct Opening<'a>(Option<Attempt<'a>>);

impl Opening<'_> {
    pub(super) fn succeeded(self) {
        if let Some(attempt) = self.0 {
            attempt.succeeded();
        }
    }

    pub(super) fn failed(self, error: &ConnectError) {
        match self.0 {
            Some(attempt) if is_down(error) => attempt.failed(),
            Some(attempt) => attempt.succeeded(),
            None => {}
        }
    }
}

/// Whether the error says that no server is there, or none that works yet.
fn is_down(error: &ConnectError) -> bool {
    matches!(error.sqlstate(), SqlState::CANNOT_CONNECT | SqlState::CANNOT_CONNECT_NOW)
}

impl Pool {
    /// Fails when a connection must not be opened now. Asks for nothing: the breaker is asked for
    /// leave in the moment before dialling.
    pub(super) fn check_breaker(&self) -> Result<(), Error> {
        match self.0.breaker.load().as_ref().and_then(|breaker| breaker.refusal()) {
            Some(refusal) => Err(self.circuit_open(refusal)),
            None => Ok(()),
        }
    }

    /// The breaker that is asked for leave.
    pub(super) fn breaker(&self) -> Option<Arc<CircuitBreaker>> {
        self.0.breaker.load_full()
    }

    /// Its leave to open one connection.
    pub(super) fn begin_attempt<'a>(
        &self,
        breaker: Option<&'a CircuitBreaker>,
    ) -> Result<Opening<'a>, Error> {
        let attempt = breaker.map(CircuitBreaker::allow).transpose();
        attempt.map(Opening).map_err(|refusal| self.circuit_open(refusal))
    }

    fn circuit_open(&self, refusal: Refusal) -> Error {
        Error::CircuitOpen { pool: Arc::clone(self.name()), retry_in: refusal.retry_in }
    }

    /// A connection that somebody had broke off.
    pub(super) fn note_loss(&self) {
        self.doubt();
        if let Some(breaker) = &*self.0.breaker.load() {
            breaker.record_failure();
        }
    }

    /// A statement has succeeded.
    pub(super) fn note_success(&self) {
        if let Some(breaker) = &*self.0.breaker.load() {
            breaker.record_success();
        }
    }
}
