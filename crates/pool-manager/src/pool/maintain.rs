//! Looking after idle connections: lifetime, idleness, `min_connections`, health.
//!
//! bb8's own reaper is off: it would close connections without freeing their slots in order, and
//! knows no jitter.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::{MissedTickBehavior, interval, timeout};

use super::Pool;
use super::checkout::put_back;
use super::slot::Slot;
use crate::error::Error;

/// Shortest and longest time between two rounds.
const ROUND: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));
/// How long a health check may take.
const HEALTH_TIMEOUT: Duration = Duration::from_secs(5);
/// After a failed attempt to keep `min_connections`, the next one waits this long.
const REFILL_PAUSE: Duration = Duration::from_secs(1);

impl Pool {
    /// Starts the pool's own tasks; they end when the pool is closed.
    pub(super) fn start_maintenance(&self) {
        let pool = self.clone();
        self.0.runtime.spawn(async move {
            let mut closing = pool.0.closing.subscribe();
            tokio::select! {
                () = pool.look_after_idle() => {}
                () = pool.watch_health() => {}
                _ = closing.wait_for(|closing| *closing) => {}
            }
        });
    }

    async fn look_after_idle(&self) {
        let config = &self.0.options.pool;
        let shortest = [config.max_idle_time.limit(), config.max_lifetime.limit()]
            .into_iter()
            .flatten()
            .min()
            .map_or(ROUND.1, |limit| (limit / 4).clamp(ROUND.0, ROUND.1));
        if self.0.options.behavior.lazy_connect {
            // The first caller opens the first connection.
        } else {
            self.refill().await;
        }
        let mut rounds = interval(shortest);
        rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            rounds.tick().await;
            self.close_what_is_over().await;
            let used = self.0.counters.was_used();
            if used || !self.0.options.behavior.lazy_connect {
                self.refill().await;
            }
        }
    }

    /// Takes the idle connections out one by one, as a caller would, and puts back those that
    /// are still good, oldest first, so that the order stays.
    async fn close_what_is_over(&self) {
        let now = Instant::now();
        let mut keep = Vec::new();
        while self.0.idle.state().idle_connections > 0 {
            // With no permit free the pool is busy: nothing is idle for long.
            let Some(permits) = self.0.admission.try_enter() else { break };
            let Ok(mut slot) = self.0.idle.get_owned().await else { break };
            let Some(mut connection) = slot.connection.take() else { continue };
            if !connection.probe().await {
                self.0.counters.lost_idle();
                self.discard(connection, slot, permits);
                continue;
            }
            keep.push((connection, slot, permits));
        }
        let min = self.0.options.pool.effective_min_connections() as usize;
        let idle_limit = self.0.options.pool.max_idle_time.limit();
        let mut left = self.total();
        // `keep` runs from the most to the least recently used.
        while let Some((connection, slot, permits)) = keep.pop() {
            let idle_too_long = idle_limit.is_some_and(|limit| connection.idle_for(now) >= limit);
            if connection.is_expired(now) || (idle_too_long && left > min) {
                left = left.saturating_sub(1);
                self.discard(connection, slot, permits);
            } else {
                let since = connection.idle_since();
                put_back(connection, slot, since);
                drop(permits);
            }
        }
    }

    /// Opens connections until there are `min_connections`.
    async fn refill(&self) {
        let min = self.0.options.pool.effective_min_connections() as usize;
        while self.total() < min && !*self.0.closing.borrow() {
            let Some(permits) = self.0.admission.try_enter() else { return };
            match self.connect().await {
                Ok(mut connection) => {
                    connection.rest(Instant::now());
                    let slot = Slot { connection: Some(Box::new(connection)) };
                    // Refused only when bb8 is at its own bound, far above ours.
                    let _ = self.0.idle.add(slot);
                    drop(permits);
                }
                Err(error) => {
                    tracing::warn!(pool = %self.name(), "cannot keep min_connections: {error}");
                    drop(permits);
                    tokio::time::sleep(REFILL_PAUSE).await;
                    return;
                }
            }
        }
    }

    /// Connections that exist, being opened and being closed included.
    pub(super) fn total(&self) -> usize {
        let size = self.0.options.pool.max_connections as usize;
        size.saturating_sub(self.0.slots.available_permits())
    }

    async fn watch_health(&self) {
        let mut rounds = interval(self.0.options.pool.health_check_period.get());
        rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
        rounds.tick().await;
        let mut healthy = true;
        loop {
            rounds.tick().await;
            let result = self.check_health().await;
            match (&result, healthy) {
                (Err(error), true) => {
                    tracing::warn!(pool = %self.name(), "health check failed: {error}");
                }
                (Ok(()), false) => tracing::info!(pool = %self.name(), "healthy again"),
                _ => {}
            }
            healthy = result.is_ok();
        }
    }

    /// One round trip on the housekeeping connection, counted.
    pub(crate) async fn check_health(&self) -> Result<(), Error> {
        // Handing out the client includes asking the server for an answer.
        let check = timeout(HEALTH_TIMEOUT, self.0.housekeeping.client()).await;
        let result = match check {
            Ok(client) => client.map(drop).map_err(Error::from),
            Err(_) => Err(Error::CannotConnectInTime {
                pool: Arc::clone(self.name()),
                limit: HEALTH_TIMEOUT,
            }),
        };
        let message = result.as_ref().err().map(ToString::to_string);
        self.0.counters.health_checked(message.as_deref());
        result
    }

    /// The server's version, asked for on the housekeeping connection.
    pub(crate) async fn server_version(&self) -> Result<String, Error> {
        let client = self.0.housekeeping.client().await?;
        let answer = client.query_one("SHOW server_version", &[]).await;
        answer.map(|row| row.get(0)).map_err(|_| Error::NotExecuted(None))
    }

    /// Waits until no caller is inside (at most `limit`), then closes what is idle.
    pub(super) async fn drain(&self, limit: Duration) {
        let _ = timeout(limit, self.0.admission.everybody_out()).await;
        while self.0.idle.state().idle_connections > 0 {
            let Ok(mut slot) = self.0.idle.get_owned().await else { break };
            if let Some(connection) = slot.connection.take() {
                drop(slot);
                crate::connection::close(*connection).await;
            }
        }
    }
}
