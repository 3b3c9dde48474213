//! What bb8 stores: a place for a connection.
//!
//! bb8 calls `connect` itself when nothing is idle, from a task of its own, and would turn every
//! failure into its own time-out. So it gets an empty slot at once; whoever took the slot fills
//! it, and has the real error in hand when that fails. An empty slot counts as broken: bb8
//! throws it away when it comes back.

use std::convert::Infallible;

use crate::connection::ServerConnection;

/// A place for one connection.
#[derive(Default)]
pub(super) struct Slot {
    pub(super) connection: Option<Box<ServerConnection>>,
}

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
