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

/// Counts for one database since the start.
#[derive(Debug, Default)]
pub(crate) struct DoorCounters {
    received: AtomicU64,
    sent: AtomicU64,
    rate_limited: AtomicU64,
    logins: AtomicU64,
    parses: AtomicU64,
    server_parses: AtomicU64,
    binds: AtomicU64,
    transactions: AtomicU64,
    assignments: AtomicU64,
}

/// What is counted only when the server has answered.
#[derive(Debug, Default)]
pub(crate) struct Finished {
    pub(crate) transactions: u64,
    pub(crate) server_parses: u64,
    pub(crate) parses: u64,
    pub(crate) binds: u64,
}

/// The counts of a database at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counted {
    /// Bytes from clients after their login.
    pub(crate) received: u64,
    /// Bytes to them.
    pub(crate) sent: u64,
    pub(crate) logins: u64,
    /// Statements that clients have named or prepared.
    pub(crate) parses: u64,
    /// Statements that were prepared at the server for them.
    pub(crate) server_parses: u64,
    pub(crate) binds: u64,
    /// Transactions that have ended, those of one statement included.
    pub(crate) transactions: u64,
    /// How often a client was given a server connection.
    pub(crate) assignments: u64,
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

    pub(crate) fn logged_in(&self) {
        self.logins.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn assigned(&self) {
        self.assignments.fetch_add(1, Ordering::Relaxed);
    }

    /// What has come and ended on a server connection since it was counted last.
    pub(crate) fn ended(&self, finished: &Finished) {
        for (counter, more) in [
            (&self.transactions, finished.transactions),
            (&self.server_parses, finished.server_parses),
            (&self.parses, finished.parses),
            (&self.binds, finished.binds),
        ] {
            if more > 0 {
                counter.fetch_add(more, Ordering::Relaxed);
            }
        }
    }

    pub(crate) fn now(&self) -> Counted {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counted {
            received: read(&self.received),
            sent: read(&self.sent),
            logins: read(&self.logins),
            parses: read(&self.parses),
            server_parses: read(&self.server_parses),
            binds: read(&self.binds),
            transactions: read(&self.transactions),
            assignments: read(&self.assignments),
        }
    }
}
