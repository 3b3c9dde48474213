//! What bb8 stores: a place for a connection.
//!
//! bb8 calls `connect` itself when nothing is idle, from a task of its own, and would turn every
//! failure into its own time-out. So it gets an empty slot at once; whoever took the slot fills
//! it, and has the real error in hand when that fails. An empty slot counts as broken: bb8
//! throws it away when it comes back.

use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use crate::connection::ServerConnection;

/// Empty slots that bb8 may hand out before idle connections show up behind them: at most one for
/// each caller inside, so this is for the largest pools.
const MAX_EMPTY_SLOTS: usize = 1024;

/// A place for one connection.
#[derive(Default)]
pub(super) struct Slot {
    connection: Option<Box<ServerConnection>>,
}

/// bb8's guard of one slot.
pub(super) type PooledSlot = bb8::PooledConnection<'static, SlotManager>;

pub(super) struct SlotManager;

impl bb8::ManageConnection for SlotManager {
    type Connection = Slot;
    type Error = Infallible;

    async fn connect(&self) -> Result<Slot, Infallible> {
        Ok(Slot::default())
    }

    /// Never called: `test_on_check_out` is off, the pool probes by itself.
    async fn is_valid(&self, _: &mut Slot) -> Result<(), Infallible> {
        Ok(())
    }

    fn has_broken(&self, slot: &mut Slot) -> bool {
        !slot.connection.as_ref().is_some_and(|connection| connection.is_quiet())
    }
}

/// The idle connections, last in, first out.
pub(super) struct Idle {
    slots: bb8::Pool<SlotManager>,
    /// bb8 counts the empty slots too that were made for somebody who found another one.
    connections: AtomicUsize,
}

impl Idle {
    pub(super) fn new() -> Self {
        let slots = bb8::Pool::builder()
            // The bound is the pool's own semaphore: bb8 would count empty slots as connections.
            .max_size(u32::MAX / 4)
            .test_on_check_out(false)
            .retry_connection(false)
            .idle_timeout(None)
            .max_lifetime(None)
            .queue_strategy(bb8::QueueStrategy::Lifo)
            .build_unchecked(SlotManager);
        Self { slots, connections: AtomicUsize::new(0) }
    }

    /// Connections that wait for a caller.
    pub(super) fn count(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    /// A slot: with a connection if any is idle, else empty. `None` only when bb8 itself gives up
    /// waiting for one.
    pub(super) async fn take(&self) -> Option<(PooledSlot, Option<Box<ServerConnection>>)> {
        let mut empty = 0;
        loop {
            let mut slot = self.slots.get_owned().await.ok()?;
            if let Some(connection) = slot.connection.take() {
                self.connections.fetch_sub(1, Ordering::Relaxed);
                return Some((slot, Some(connection)));
            }
            // One that was made for somebody who found another connection meanwhile?
            empty += 1;
            if self.count() == 0 || empty == MAX_EMPTY_SLOTS {
                return Some((slot, None));
            }
        }
    }

    /// Lays a connection among the idle ones, idle since `since`.
    pub(super) fn put(
        &self,
        mut connection: Box<ServerConnection>,
        mut slot: PooledSlot,
        since: Instant,
    ) {
        connection.rest(since);
        // Counted before anybody can take it: the count never falls below zero.
        self.connections.fetch_add(1, Ordering::Relaxed);
        let place: &mut Slot = &mut slot;
        place.connection = Some(connection);
    }

    /// Lays a connection that nobody has asked for among the idle ones.
    pub(super) fn add(&self, mut connection: Box<ServerConnection>) {
        connection.rest(Instant::now());
        self.connections.fetch_add(1, Ordering::Relaxed);
        let slot = Slot { connection: Some(connection) };
        if self.slots.add(slot).is_err() {
            // bb8 is at its own bound, far above ours: the connection was dropped.
            self.connections.fetch_sub(1, Ordering::Relaxed);
        }
    }
}
