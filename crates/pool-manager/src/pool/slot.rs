//! What bb8 stores: a place for a connection.
//!
//! bb8 calls `connect` itself when nothing is idle, from a task of its own, and would turn every
//! failure into its own time-out. So it gets an empty slot at once; whoever took the slot fills
//! it, and has the real error in hand when that fails. An empty slot counts as broken: bb8
//! throws it away when it comes back.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use futures_util::FutureExt;

use crate::connection::ServerConnection;

/// Empty slots that bb8 may hand out before idle connections show up behind them: at most one for
/// each caller inside, so this is for the largest pools.
const MAX_EMPTY_SLOTS: usize = 1024;

/// Connections kept in front of bb8.
const MAX_HOT: usize = 16;

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
    /// Those that came back last, with the slots that bb8 believes to be in use: a busy pool hands
    /// the same few out again and again, and bb8's way in and out costs several times as much as
    /// this one (a timer, a notification, two clocks).
    hot: Mutex<VecDeque<(PooledSlot, Box<ServerConnection>)>>,
    /// How many those are; written under the lock only.
    hot_count: AtomicUsize,
    /// Connections in bb8, which counts the empty slots too that were made for somebody who found
    /// another one.
    cold_count: AtomicUsize,
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
        let hot = Mutex::new(VecDeque::with_capacity(MAX_HOT + 1));
        Self { slots, hot, hot_count: AtomicUsize::new(0), cold_count: AtomicUsize::new(0) }
    }

    /// Connections that wait for a caller.
    pub(super) fn count(&self) -> usize {
        self.hot_count.load(Ordering::Relaxed) + self.cold_count.load(Ordering::Relaxed)
    }

    /// A connection that is there at once.
    pub(super) fn try_take(&self) -> Option<(PooledSlot, Box<ServerConnection>)> {
        if self.count() == 0 {
            return None;
        }
        if let Some(taken) = self.take_hot() {
            return Some(taken);
        }
        let (slot, connection) = self.take_cold().now_or_never()??;
        Some((slot, connection?))
    }

    /// A slot: with a connection if any is idle, else empty. `None` only when bb8 itself gives up
    /// waiting for one.
    pub(super) async fn take(&self) -> Option<(PooledSlot, Option<Box<ServerConnection>>)> {
        match self.take_hot() {
            Some((slot, connection)) => Some((slot, Some(connection))),
            None => self.take_cold().await,
        }
    }

    fn take_hot(&self) -> Option<(PooledSlot, Box<ServerConnection>)> {
        let mut hot = self.lock_hot();
        let taken = hot.pop_back()?;
        self.hot_count.store(hot.len(), Ordering::Relaxed);
        Some(taken)
    }

    async fn take_cold(&self) -> Option<(PooledSlot, Option<Box<ServerConnection>>)> {
        let mut empty = 0;
        loop {
            let mut slot = self.slots.get_owned().await.ok()?;
            if let Some(connection) = slot.connection.take() {
                self.cold_count.fetch_sub(1, Ordering::Relaxed);
                return Some((slot, Some(connection)));
            }
            // One that was made for somebody who found another connection meanwhile?
            empty += 1;
            if self.count() == 0 || empty == MAX_EMPTY_SLOTS {
                return Some((slot, None));
            }
        }
    }

    /// Lays a connection that a caller gives back on top of the idle ones.
    pub(super) fn give_back(
        &self,
        mut connection: Box<ServerConnection>,
        slot: PooledSlot,
        now: Instant,
    ) {
        connection.rest(now);
        let displaced = {
            let mut hot = self.lock_hot();
            hot.push_back((slot, connection));
            let displaced = if hot.len() > MAX_HOT { hot.pop_front() } else { None };
            self.hot_count.store(hot.len(), Ordering::Relaxed);
            displaced
        };
        if let Some((slot, connection)) = displaced {
            self.lay_into(slot, connection);
        }
    }

    /// Lays a connection that was only looked at back among the idle ones, idle since `since`.
    pub(super) fn put(
        &self,
        mut connection: Box<ServerConnection>,
        slot: PooledSlot,
        since: Instant,
    ) {
        connection.rest(since);
        self.lay_into(slot, connection);
    }

    /// Lays a connection that nobody has asked for among the idle ones.
    pub(super) fn add(&self, mut connection: Box<ServerConnection>) {
        connection.rest(Instant::now());
        self.cold_count.fetch_add(1, Ordering::Relaxed);
        let slot = Slot { connection: Some(connection) };
        if self.slots.add(slot).is_err() {
            // bb8 is at its own bound, far above ours: the connection was dropped.
            self.cold_count.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Puts a connection into its slot, and the slot back into bb8.
    fn lay_into(&self, mut slot: PooledSlot, connection: Box<ServerConnection>) {
        // Counted before anybody can take it: the count never falls below zero.
        self.cold_count.fetch_add(1, Ordering::Relaxed);
        let place: &mut Slot = &mut slot;
        place.connection = Some(connection);
    }

    fn lock_hot(&self) -> MutexGuard<'_, VecDeque<(PooledSlot, Box<ServerConnection>)>> {
        self.hot.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
