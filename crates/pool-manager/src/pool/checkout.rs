//! A connection in a caller's hands, and what becomes of it when it is let go.
//!
//! ```text
//!             quiet and clean ──────────────► idle
//! let go ──┬─ quiet, dirty ──► reset ── ok ─► idle
//!          │                     └── failed ─► closed
//!          └─ busy, in a transaction, tainted, expired ─► closed (cancelled first when busy)
//! ```

use std::ops::{Deref, DerefMut};
use std::time::Instant;

use super::Pool;
use super::admission::Permits;
use super::slot::{Slot, SlotManager};
use crate::config::ResetOnReturn;
use crate::connection::{ServerConnection, close};

/// bb8's guard of one slot.
pub(super) type PooledSlot = bb8::PooledConnection<'static, SlotManager>;

/// A connection checked out of a pool. Dropping it, at any moment, is safe: a connection in
/// doubt is closed, and its place is free again when the server is done with it.
pub(crate) struct Checkout {
    /// `Some` until dropped. The box is a pointer move between bb8's slot and here.
    connection: Option<Box<ServerConnection>>,
    slot: Option<PooledSlot>,
    permits: Option<Permits>,
    pool: Pool,
}

impl Checkout {
    pub(super) fn new(
        connection: Box<ServerConnection>,
        slot: PooledSlot,
        permits: Permits,
        pool: Pool,
    ) -> Self {
        Self { connection: Some(connection), slot: Some(slot), permits: Some(permits), pool }
    }

    /// The pool it came from.
    pub(crate) fn pool(&self) -> &Pool {
        &self.pool
    }
}

impl Deref for Checkout {
    type Target = ServerConnection;

    #[allow(clippy::expect_used, reason = "present from `new` to `drop`")]
    fn deref(&self) -> &ServerConnection {
        self.connection.as_ref().expect("a checkout holds a connection until it is dropped")
    }
}

impl DerefMut for Checkout {
    #[allow(clippy::expect_used, reason = "present from `new` to `drop`")]
    fn deref_mut(&mut self) -> &mut ServerConnection {
        self.connection.as_mut().expect("a checkout holds a connection until it is dropped")
    }
}

impl Drop for Checkout {
    fn drop(&mut self) {
        let (Some(connection), Some(slot), Some(permits)) =
            (self.connection.take(), self.slot.take(), self.permits.take())
        else {
            return;
        };
        self.pool.counters().released();
        self.pool.take_back(connection, slot, permits);
    }
}

impl Pool {
    /// Decides what becomes of a connection that was let go.
    pub(super) fn take_back(
        &self,
        connection: Box<ServerConnection>,
        slot: PooledSlot,
        permits: Permits,
    ) {
        let now = Instant::now();
        let closing = *self.0.closing.borrow();
        if closing
            || !connection.is_quiet()
            || connection.is_tainted()
            || connection.is_expired(now)
        {
            self.discard(connection, slot, permits);
        } else if self.needs_reset(&connection) {
            let pool = self.clone();
            self.0.runtime.spawn(pool.reset(connection, slot, permits));
        } else {
            put_back(connection, slot, now);
            drop(permits);
        }
    }

    fn needs_reset(&self, connection: &ServerConnection) -> bool {
        match self.0.options.behavior.reset_on_return {
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
            put_back(connection, slot, Instant::now());
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

/// Lays a connection back among the idle ones.
pub(super) fn put_back(mut connection: Box<ServerConnection>, mut slot: PooledSlot, now: Instant) {
    connection.rest(now);
    let place: &mut Slot = &mut slot;
    place.connection = Some(connection);
}
