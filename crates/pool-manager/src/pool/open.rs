//! From admission to a usable connection: an idle one that still lives, or a new one.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use rand::RngExt;
use tokio::time::timeout;

use super::Pool;
use super::admission::Permits;
use super::checkout::Checkout;
use super::slot::PooledSlot;
use crate::connection::{ConnectionOptions, ServerConnection, close};
use crate::error::Error;

/// After this much idleness a connection is probed before it is used: the server may have
/// closed it unseen. It costs no round trip.
const PROBE_AFTER: Duration = Duration::from_millis(5);
/// Lifetimes are spread over this share of `max_lifetime`, so that connections opened together
/// are not closed together.
const LIFETIME_JITTER: f64 = 0.1;

impl Pool {
    /// Finds an idle connection or opens one, within `limit`.
    pub(super) async fn find_or_open(
        &self,
        permits: Permits,
        limit: Duration,
    ) -> Result<Checkout, Error> {
        loop {
            let Some((slot, connection)) = self.0.idle.take().await else {
                return Err(Error::Closed(Arc::clone(self.name())));
            };
            let Some(mut connection) = connection else {
                self.check_breaker()?;
                return self.open(slot, permits, limit).await;
            };
            if !self.is_current(&connection) {
                self.0.runtime.spawn(close(*connection));
                continue;
            }
            let now = Instant::now();
            let fresh = connection.idle_for(now) < PROBE_AFTER;
            if fresh || connection.probe().await {
                connection.note_taken(now);
                return Ok(Checkout::new(connection, slot, permits, self.clone()));
            }
            tracing::debug!(
                pool = %self.name(),
                backend_pid = connection.process_id(),
                "an idle connection was closed by the server"
            );
            self.0.counters.lost_idle();
            // It keeps its slot until the server has ended it, which mostly is long ago.
            self.0.runtime.spawn(close(*connection));
        }
    }

    /// An idle connection that is certainly usable, without waiting for anything.
    pub(super) fn find_idle(&self, permits: Permits, now: Instant) -> Option<Checkout> {
        let (slot, mut connection) = self.0.idle.try_take()?;
        if !self.is_current(&connection) {
            self.0.runtime.spawn(close(*connection));
            return None;
        }
        let fresh = connection.idle_for(now) < PROBE_AFTER;
        if fresh || connection.probe().now_or_never() == Some(true) {
            connection.note_taken(now);
            return Some(Checkout::new(connection, slot, permits, self.clone()));
        }
        self.0.counters.lost_idle();
        self.0.runtime.spawn(close(*connection));
        None
    }

    /// Opens a connection in a task of its own: when the caller vanishes meanwhile, the
    /// connection is finished and laid among the idle ones.
    async fn open(
        &self,
        slot: PooledSlot,
        permits: Permits,
        limit: Duration,
    ) -> Result<Checkout, Error> {
        let pool = self.clone();
        let task = self.0.runtime.spawn(async move {
            let connection = pool.connect().await?;
            connection.note_taken(Instant::now());
            Ok(Checkout::new(Box::new(connection), slot, permits, pool))
        });
        match timeout(limit, task).await {
            Ok(Ok(opened)) => opened,
            Ok(Err(_)) => Err(Error::Closed(Arc::clone(self.name()))),
            Err(_) => Err(Error::CannotConnectInTime { pool: Arc::clone(self.name()), limit }),
        }
    }

    /// Opens one connection: few at a time, each within its slot.
    pub(super) async fn connect(&self) -> Result<ServerConnection, Error> {
        let closed = |_| Error::Closed(Arc::clone(self.name()));
        let _turn = self.0.connecting.acquire().await.map_err(closed)?;
        let _constructing = self.0.counters.constructing();
        let slot = self.0.slots.take().await.map_err(closed)?;
        let breaker = self.breaker();
        let attempt = self.begin_attempt(breaker.as_deref())?;
        // Before the server is chosen: whatever changes meanwhile, it is one of the old ones then.
        let generation = self.0.servers.generation();
        let connector = self.0.wiring.load().connector.clone();
        match connector.connect().await {
            Ok(connected) => {
                attempt.succeeded();
                let expires = self.expiry();
                let options = self.options();
                let options = ConnectionOptions {
                    statement_cache_size: options.behavior.statement_cache_size as usize,
                    max_message: options.max_message,
                    expires,
                    cache: Arc::clone(self.0.counters.cache()),
                };
                self.0.counters.connected();
                let place = self.0.servers.add(&connected, generation);
                Ok(ServerConnection::new(connected, &options, slot, place))
            }
            Err(error) => {
                attempt.failed(&error);
                self.doubt();
                self.0.counters.connect_failed(&error.to_string());
                Err(Error::Connect(error))
            }
        }
    }

    /// Whether a connection is one that callers may get: opened since the last renewal.
    pub(super) fn is_current(&self, connection: &ServerConnection) -> bool {
        connection.generation() == self.0.servers.generation()
    }

    fn expiry(&self) -> Option<Instant> {
        let lifetime = self.options().pool.max_lifetime.limit()?;
        let share = 1.0 - rand::rng().random_range(0.0..LIFETIME_JITTER);
        Some(Instant::now() + lifetime.mul_f64(share))
    }
}
