//! The connections of a pool as an administrator sees them: where each leads, since when, and what
//! it is doing. Whoever has a connection notes what it does here; nobody decides anything by it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use crate::connect::{CancelTarget, Connected};

/// One server connection at one moment.
#[derive(Debug, Clone)]
pub struct ServerInfo {
    /// A number that no other connection of the pool has.
    pub id: u64,
    /// Process id of the server's backend.
    pub process_id: i32,
    /// The server's address, or `unix`.
    pub address: String,
    /// The server's port.
    pub port: u16,
    /// Our end of a TCP connection.
    pub local: Option<SocketAddr>,
    /// Whether it is encrypted.
    pub tls: bool,
    /// When it was opened.
    pub opened: SystemTime,
    /// When a caller got it last.
    pub used: SystemTime,
    /// Whether a caller has it.
    pub active: bool,
    /// Whether it is closed as soon as its caller lets it go.
    pub close_needed: bool,
    /// Prepared statements on it, when it was last given back.
    pub statements: usize,
    /// The PostgreSQL door's client that has it; 0: none.
    pub client: u64,
}

/// What a connection's holders note of it.
pub(crate) struct ServerEntry {
    id: u64,
    /// It was opened when the pool's connections were those of this number.
    generation: u64,
    process_id: i32,
    cancel: CancelTarget,
    local: Option<SocketAddr>,
    tls: bool,
    opened: (SystemTime, Instant),
    /// Microseconds from there to when a caller got it last.
    used: AtomicU64,
    active: AtomicBool,
    statements: AtomicUsize,
    client: AtomicU64,
}

impl ServerEntry {
    /// A caller has it from now on.
    pub(crate) fn taken(&self, now: Instant) {
        self.used.store(self.since_opened(now), Ordering::Relaxed);
        self.active.store(true, Ordering::Relaxed);
    }

    /// Nobody has it from now on; for how long somebody had, microseconds.
    fn let_go(&self, now: Instant) -> u64 {
        self.client.store(0, Ordering::Relaxed);
        if !self.active.swap(false, Ordering::Relaxed) {
            return 0;
        }
        self.since_opened(now).saturating_sub(self.used.load(Ordering::Relaxed))
    }

    fn since_opened(&self, now: Instant) -> u64 {
        let since = now.saturating_duration_since(self.opened.1);
        u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
    }

    /// This client of the PostgreSQL door has it.
    pub(crate) fn used_by(&self, client: u64) {
        self.client.store(client, Ordering::Relaxed);
    }

    pub(crate) fn generation(&self) -> u64 {
        self.generation
    }

    fn info(&self, generation: u64) -> ServerInfo {
        let (address, port) = self.cancel.peer();
        let used = Duration::from_micros(self.used.load(Ordering::Relaxed));
        ServerInfo {
            id: self.id,
            process_id: self.process_id,
            address,
            port,
            local: self.local,
            tls: self.tls,
            opened: self.opened.0,
            used: self.opened.0 + used,
            active: self.active.load(Ordering::Relaxed),
            close_needed: self.generation != generation,
            statements: self.statements.load(Ordering::Relaxed),
            client: self.client.load(Ordering::Relaxed),
        }
    }
}

/// The connections that a pool has.
#[derive(Default)]
pub(crate) struct Servers {
    entries: Mutex<BTreeMap<u64, Arc<ServerEntry>>>,
    last: AtomicU64,
    /// Microseconds for which callers had connections that they have given back.
    busy: AtomicU64,
    /// Which connections are the pool's present ones: those with this number.
    generation: AtomicU64,
}

/// A connection's place among them; given back when dropped.
pub(crate) struct ServerPlace {
    servers: Arc<Servers>,
    entry: Arc<ServerEntry>,
}

impl ServerPlace {
    pub(crate) fn entry(&self) -> &ServerEntry {
        &self.entry
    }

    /// Nobody has it, and so many statements are prepared on it.
    pub(crate) fn rests(&self, statements: usize, now: Instant) {
        self.entry.statements.store(statements, Ordering::Relaxed);
        self.let_go(now);
    }

    fn let_go(&self, now: Instant) {
        self.servers.busy.fetch_add(self.entry.let_go(now), Ordering::Relaxed);
    }
}

impl Drop for ServerPlace {
    fn drop(&mut self) {
        self.let_go(Instant::now());
        self.servers.lock().remove(&self.entry.id);
    }
}

impl Servers {
    /// Adds one that began to be opened when the connections were those of `generation`.
    pub(crate) fn add(self: &Arc<Self>, connected: &Connected, generation: u64) -> ServerPlace {
        let id = self.last.fetch_add(1, Ordering::Relaxed) + 1;
        let entry = Arc::new(ServerEntry {
            id,
            generation,
            process_id: connected.process_id,
            cancel: connected.cancel.clone(),
            local: connected.stream.local_addr(),
            tls: connected.stream.is_tls(),
            opened: (SystemTime::now(), Instant::now()),
            used: AtomicU64::new(0),
            active: AtomicBool::new(false),
            statements: AtomicUsize::new(0),
            client: AtomicU64::new(0),
        });
        self.lock().insert(id, Arc::clone(&entry));
        ServerPlace { servers: Arc::clone(self), entry }
    }

    /// For how long callers had connections, those not counted that they have now.
    pub(crate) fn busy(&self) -> Duration {
        Duration::from_micros(self.busy.load(Ordering::Relaxed))
    }

    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Relaxed)
    }

    /// Has all that are open now closed when they are let go.
    pub(crate) fn renew(&self) {
        self.generation.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether any is open that is to be closed.
    pub(crate) fn has_old(&self) -> bool {
        let generation = self.generation();
        self.lock().values().any(|entry| entry.generation != generation)
    }

    pub(crate) fn infos(&self) -> Vec<ServerInfo> {
        let generation = self.generation();
        self.lock().values().map(|entry| entry.info(generation)).collect()
    }

    /// How to cancel what callers have running.
    pub(crate) fn running(&self) -> Vec<CancelTarget> {
        let is_active = |entry: &&Arc<ServerEntry>| entry.active.load(Ordering::Relaxed);
        self.lock().values().filter(is_active).map(|entry| entry.cancel.clone()).collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, Arc<ServerEntry>>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
