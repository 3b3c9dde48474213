//! Looking after idle connections: lifetime, idleness, `min_connections`, health.
//!
//! bb8's own reaper is off: it would close connections without freeing their slots in order, and
//! knows no jitter.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tokio::sync::watch;
use tokio::time::{Interval, MissedTickBehavior, interval, sleep, timeout};

use super::{Pool, StoredPassword};
use crate::connection::close;
use crate::error::Error;
use crate::secret::Secret;
use crate::server_error::SqlState;

/// Shortest and longest time between two rounds.
const ROUND: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));
/// How long a health check may take.
const HEALTH_TIMEOUT: Duration = Duration::from_secs(5);
/// How often it is looked whether the last caller has gone.
const DRAIN_POLL: Duration = Duration::from_millis(1);

fn rounds(period: Duration) -> Interval {
    let mut rounds = interval(period);
    rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
    rounds
}

/// Resolves when the next round is due, or before that when the options are other ones: whether
/// that is why.
async fn due(rounds: &mut Interval, changed: &mut watch::Receiver<u64>) -> bool {
    tokio::select! {
        _ = rounds.tick() => false,
        changed = changed.changed() => changed.is_ok(),
    }
}

impl Pool {
    /// Starts the pool's own tasks; they end when the pool is closed, or when nobody has it any
    /// more.
    pub(super) fn start_maintenance(&self) {
        let mut closing = self.0.closing.subscribe();
        let (idle, health) = (self.look_after_idle(), self.watch_health());
        self.0.runtime.spawn(async move {
            tokio::select! {
                () = idle => {}
                () = health => {}
                // An error means that the pool is gone.
                _ = closing.wait_for(|closing| *closing) => {}
            }
        });
    }

    fn look_after_idle(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut rounds = rounds(self.idle_round());
        let mut changed = self.0.changed.subscribe();
        let pool = Arc::downgrade(&self.0);
        async move {
            let mut failing = false;
            loop {
                if due(&mut rounds, &mut changed).await {
                    let Some(pool) = pool.upgrade().map(Pool) else { return };
                    rounds = self::rounds(pool.idle_round());
                    continue;
                }
                let Some(pool) = pool.upgrade().map(Pool) else { return };
                pool.close_what_is_over().await;
                if pool.waits_for_first_use() {
                    continue;
                }
                let refilled = pool.refill().await;
                match &refilled {
                    // Once, not every round of an outage.
                    Err(error) if !failing => {
                        tracing::warn!(pool = %pool.name(), "cannot keep min_connections: {error}");
                    }
                    Ok(()) if failing => {
                        tracing::info!(pool = %pool.name(), "min_connections are open again");
                    }
                    _ => {}
                }
                failing = refilled.is_err();
            }
        }
    }

    /// Time between two looks at the idle connections.
    fn idle_round(&self) -> Duration {
        let config = &self.options().pool;
        [config.max_idle_time.limit(), config.max_lifetime.limit()]
            .into_iter()
            .flatten()
            .min()
            .map_or(ROUND.1, |limit| (limit / 4).clamp(ROUND.0, ROUND.1))
    }

    /// Takes the idle connections out one by one, as a caller would, and puts back those that
    /// are still good, oldest first, so that the order stays.
    pub(super) async fn close_what_is_over(&self) {
        let now = Instant::now();
        let mut keep = Vec::new();
        while self.0.idle.count() > 0 {
            // With no permit free the pool is busy: nothing is idle for long.
            let Some(permits) = self.0.admission.try_enter_paused() else { break };
            let Some((slot, connection)) = self.0.idle.take().await else { break };
            let Some(mut connection) = connection else { break };
            if !self.is_current(&connection) {
                self.discard(connection, slot, permits);
                continue;
            }
            if !connection.probe().await {
                self.0.counters.lost_idle();
                self.discard(connection, slot, permits);
                continue;
            }
            keep.push((connection, slot, permits));
        }
        let options = self.0.options.load_full();
        let min = options.pool.effective_min_connections() as usize;
        let idle_limit = options.pool.max_idle_time.limit();
        let most = self.0.slots.size();
        let mut left = self.total();
        // `keep` runs from the most to the least recently used.
        while let Some((connection, slot, permits)) = keep.pop() {
            let idle_too_long = idle_limit.is_some_and(|limit| connection.idle_for(now) >= limit);
            if connection.is_expired(now) || left > most || (idle_too_long && left > min) {
                left = left.saturating_sub(1);
                self.discard(connection, slot, permits);
            } else {
                let since = connection.idle_since();
                self.0.idle.put(connection, slot, since);
                drop(permits);
            }
        }
    }

    /// Opens connections until there are `min_connections`.
    async fn refill(&self) -> Result<(), Error> {
        let min = self.options().pool.effective_min_connections() as usize;
        while self.total() < min && !*self.0.closing.borrow() {
            // Not while it is paused.
            let Some(permits) = self.0.admission.try_enter() else { break };
            let connection = self.connect().await?;
            self.0.idle.add(Box::new(connection));
            drop(permits);
        }
        Ok(())
    }

    /// Connections that exist, being opened and being closed included.
    pub(super) fn total(&self) -> usize {
        self.0.slots.taken()
    }

    /// With lazy_connect the first caller opens the first connection.
    fn waits_for_first_use(&self) -> bool {
        self.options().behavior.lazy_connect && !self.0.counters.was_used()
    }

    fn watch_health(&self) -> impl Future<Output = ()> + Send + use<> {
        let period = |pool: &Pool| pool.options().pool.health_check_period.get();
        let mut rounds = rounds(period(self));
        let mut changed = self.0.changed.subscribe();
        let pool = Arc::downgrade(&self.0);
        async move {
            rounds.tick().await;
            let mut healthy = true;
            loop {
                let is_other = due(&mut rounds, &mut changed).await;
                let Some(pool) = pool.upgrade().map(Pool) else { return };
                if is_other {
                    rounds = self::rounds(period(&pool));
                    rounds.tick().await;
                }
                if is_other || pool.waits_for_first_use() {
                    continue;
                }
                let result = pool.check_health().await;
                match (&result, healthy) {
                    (Err(error), true) => {
                        tracing::warn!(pool = %pool.name(), "health check failed: {error}");
                    }
                    (Ok(()), false) => tracing::info!(pool = %pool.name(), "healthy again"),
                    _ => {}
                }
                healthy = result.is_ok();
            }
        }
    }

    /// One round trip on the housekeeping connection, counted.
    pub(crate) async fn check_health(&self) -> Result<(), Error> {
        // Handing out the client includes asking the server for an answer.
        let wiring = self.0.wiring.load_full();
        let check = timeout(HEALTH_TIMEOUT, wiring.housekeeping.client()).await;
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
        Ok(self.ask("SHOW server_version").await?.get(0))
    }

    /// One row, asked for on the housekeeping connection.
    pub(crate) async fn ask(&self, query: &str) -> Result<tokio_postgres::Row, Error> {
        let wiring = self.0.wiring.load_full();
        let client = wiring.housekeeping.client().await?;
        client.query_one(query, &[]).await.map_err(|_| Error::NotExecuted(None))
    }

    /// Rows of a query about some names, from the same.
    pub(crate) async fn ask_about(
        &self,
        query: &str,
        names: &[&str],
    ) -> Result<Vec<tokio_postgres::Row>, Error> {
        let wiring = self.0.wiring.load_full();
        let client = wiring.housekeeping.client().await?;
        client.query(query, &[&names]).await.map_err(|_| Error::NotExecuted(None))
    }

    /// Connections that are not idle.
    pub(crate) fn in_use(&self) -> usize {
        self.total().saturating_sub(self.0.idle.count())
    }

    /// What a query of two or three columns says of a user: see
    /// [`DatabasePool::stored_password`](crate::DatabasePool::stored_password).
    pub(crate) async fn stored_password(
        &self,
        query: &str,
        user: &str,
    ) -> Result<Option<StoredPassword>, Error> {
        let wiring = self.0.wiring.load_full();
        let client = wiring.housekeeping.client().await?;
        let failed = |error: tokio_postgres::Error| {
            let code = error.code().map_or("", |code| code.code());
            tracing::warn!(pool = %self.name(), code, "auth_query failed: {error}");
            Error::refused(
                SqlState::CANNOT_CONNECT_NOW,
                "users cannot be looked up now; the log of rr-pgpool says why",
            )
        };
        // Whatever the role's own search_path is: nobody may put a function or table in front.
        client.batch_execute("SET search_path = pg_catalog").await.map_err(failed)?;
        let rows = client.query(query, &[&user]).await.map_err(failed)?;
        let Some(row) = rows.first() else { return Ok(None) };
        let Some(password) = row.try_get::<_, Option<String>>(1).map_err(failed)? else {
            return Ok(None);
        };
        let valid_until = if row.len() > 2 { row.try_get(2).map_err(failed)? } else { None };
        Ok(Some(StoredPassword { password: Secret::new(password), valid_until }))
    }

    /// Waits until no caller is inside (at most `limit`), then closes what is idle.
    pub(super) async fn drain(&self, limit: Duration) {
        let everybody_out = async {
            while self.0.admission.inside() > 0 {
                sleep(DRAIN_POLL).await;
            }
        };
        let _ = timeout(limit, everybody_out).await;
        self.close_idle().await;
    }

    /// Closes what is idle.
    pub(super) async fn close_idle(&self) {
        let mut ending = Vec::new();
        while self.0.idle.count() > 0 {
            let Some((_slot, Some(connection))) = self.0.idle.take().await else { break };
            ending.push(close(*connection));
        }
        join_all(ending).await;
    }
}
