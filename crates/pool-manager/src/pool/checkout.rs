//! A connection in a caller's hands, and what becomes of it when it is let go.
//!
//! ```text
//!             quiet and clean ──────────────► idle
//! let go ──┬─ quiet, dirty ──► reset ── ok ─► idle
//!          │                     └── failed ─► closed
//!          └─ busy, in a transaction, tainted, expired ─► closed (cancelled first when busy)
//! ```

use std::ops::{Deref, DerefMut};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::Pool;
use super::admission::Permits;
use super::slot::PooledSlot;
use crate::config::ResetOnReturn;
use crate::connection::{ServerConnection, close};
use crate::error::Error;
use crate::server_error::SqlState;

/// A connection checked out of a pool. Dropping it, at any moment, is safe: a connection in
/// doubt is closed, and its place is free again when the server is done with it.
pub struct Checkout {
    /// `Some` until dropped.
    taken: Option<Taken>,
    pool: Pool,
    /// Counted as acquired, and so to be counted as released.
    counted: bool,
    /// Counted as pinned, and so to be counted as free of it.
    pinned: bool,
    /// It was pinned: whatever the configuration says, it is reset.
    was_pinned: bool,
}

/// A connection, its place in bb8, and the right to it.
struct Taken {
    /// The box is a pointer move between the idle connections and here.
    connection: Box<ServerConnection>,
    slot: PooledSlot,
    permits: Permits,
}

impl Checkout {
    pub(super) fn new(
        connection: Box<ServerConnection>,
        slot: PooledSlot,
        permits: Permits,
        pool: Pool,
    ) -> Self {
        Self {
            taken: Some(Taken { connection, slot, permits }),
            pool,
            counted: false,
            pinned: false,
            was_pinned: false,
        }
    }

    /// Notes that a caller got it, `took` after asking for it. One that was opened for a caller
    /// who has vanished meanwhile never counts.
    pub(super) fn hand_out(mut self, took: Duration) -> Self {
        self.pool.counters().acquired(took);
        self.counted = true;
        self
    }

    /// The connection itself.
    pub(crate) fn connection_mut(&mut self) -> &mut ServerConnection {
        self
    }

    /// The pool it came from.
    pub(crate) fn pool(&self) -> &Pool {
        &self.pool
    }

    /// Keeps it across transactions from now on, which at most `max_held` callers may do. It is
    /// reset before others get it.
    ///
    /// # Errors
    /// All places for that are taken.
    pub fn pin(&mut self, reason: &'static str) -> Result<(), Error> {
        let Some(taken) = &mut self.taken else { return Ok(()) };
        if let Err(places) = self.pool.admission().try_hold(&mut taken.permits) {
            return Err(Error::refused(
                SqlState::TOO_MANY_CONNECTIONS,
                format!(
                    "all places for what lasts in a session are taken (pool.max_held: {places})"
                ),
            ));
        }
        taken.connection.soil();
        self.was_pinned = true;
        if !std::mem::replace(&mut self.pinned, true) {
            self.pool.counters().pinned(reason);
        }
        Ok(())
    }

    /// Keeps it no longer: what it was kept for is gone.
    pub fn unpin(&mut self) {
        if !std::mem::replace(&mut self.pinned, false) {
            return;
        }
        self.pool.counters().unpinned();
        if let Some(taken) = &mut self.taken {
            taken.permits.let_go();
        }
    }

    /// Whether it is kept across transactions.
    pub fn is_pinned(&self) -> bool {
        self.pinned
    }

    /// Gives it back at this moment; what dropping it does, without another look at the clock.
    pub fn give_back(mut self, now: Instant) {
        self.go_back(|| now);
    }

    fn go_back(&mut self, now: impl FnOnce() -> Instant) {
        if let Some(taken) = self.taken.take() {
            if self.counted {
                self.pool.counters().released();
            }
            if self.pinned {
                self.pool.counters().unpinned();
            }
            self.pool.take_back(taken, self.was_pinned, now());
        }
    }
}

impl Deref for Checkout {
    type Target = ServerConnection;

    #[allow(clippy::expect_used, reason = "present from `new` to `drop`")]
    fn deref(&self) -> &ServerConnection {
        let taken = self.taken.as_ref();
        &taken.expect("a checkout holds a connection until it is dropped").connection
    }
}

impl DerefMut for Checkout {
    #[allow(clippy::expect_used, reason = "present from `new` to `drop`")]
    fn deref_mut(&mut self) -> &mut ServerConnection {
        let taken = self.taken.as_mut();
        &mut taken.expect("a checkout holds a connection until it is dropped").connection
    }
}

impl Drop for Checkout {
    fn drop(&mut self) {
        self.go_back(Instant::now);
    }
}

impl Pool {
    /// Decides what becomes of a connection that was let go.
    fn take_back(&self, taken: Taken, was_pinned: bool, now: Instant) {
        let Taken { connection, slot, permits } = taken;
        if connection.is_lost() {
            self.note_loss();
        }
        let closing = self.0.is_closing.load(Ordering::Relaxed);
        if closing
            || !connection.is_quiet()
            || connection.is_tainted()
            || connection.is_expired(now)
            || !self.is_current(&connection)
            || self.0.slots.are_too_many()
        {
            self.discard(connection, slot, permits);
        } else if was_pinned || self.needs_reset(&connection) {
            let pool = self.clone();
            self.0.runtime.spawn(pool.reset(connection, slot, permits));
        } else {
            self.0.idle.give_back(connection, slot, now);
            drop(permits);
        }
    }

    fn needs_reset(&self, connection: &ServerConnection) -> bool {
        match self.options().behavior.reset_on_return {
            ResetOnReturn::WhenNeeded => connection.is_dirty(),
            ResetOnReturn::Never => false,
            ResetOnReturn::Always => true,
        }
    }

    async fn reset(
        self,
        mut connection: Box<ServerConnection>,
        slot: PooledSlot,
        permits: Permits,
    ) {
        if connection.reset().await {
            self.0.idle.give_back(connection, slot, Instant::now());
            drop(permits);
        } else {
            self.discard(connection, slot, permits);
        }
    }

    /// Closes a connection; its permits are free when the server has ended the session.
    pub(super) fn discard(
        &self,
        connection: Box<ServerConnection>,
        slot: PooledSlot,
        permits: Permits,
    ) {
        // The slot goes back empty, and bb8 forgets it.
        drop(slot);
        self.0.runtime.spawn(async move {
            close(*connection).await;
            drop(permits);
        });
    }
}
