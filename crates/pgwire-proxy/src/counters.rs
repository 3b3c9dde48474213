//! What the door counts of a database's clients.

use std::sync::atomic::{AtomicU64, Ordering};

/// Figures of one database at the door, at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DoorStats {
    /// The database's name.
    pub database: String,
    /// Clients that are connected.
    pub clients: usize,
    /// Bytes received from clients after their login, as PostgreSQL's protocol has them.
    pub received_bytes: u64,
    /// Bytes sent to them.
    pub sent_bytes: u64,
    /// Requests that were refused because their client asks too often.
    pub rate_limited: u64,
}

#[derive(Debug, Default)]
pub(crate) struct DoorCounters {
    received: AtomicU64,
    sent: AtomicU64,
    rate_limited: AtomicU64,
}

impl DoorCounters {
    pub(crate) fn received(&self, bytes: usize) {
        self.received.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(crate) fn sent(&self, bytes: usize) {
        self.sent.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(crate) fn rate_limited(&self) {
        self.rate_limited.fetch_add(1, Ordering::Relaxed);
    }

    /// Adds what was counted to `stats`.
    pub(crate) fn add_to(&self, stats: &mut DoorStats) {
        stats.received_bytes += self.received.load(Ordering::Relaxed);
        stats.sent_bytes += self.sent.load(Ordering::Relaxed);
        stats.rate_limited += self.rate_limited.load(Ordering::Relaxed);
    }
}
