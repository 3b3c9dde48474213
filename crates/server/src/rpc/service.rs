//! What every RPC call works with: the pools, the held connections, limits and log settings.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use pgwire_proxy::Control;
use pool_manager::{
    Backends, Error, HeldConnections, HeldLimits, Owner, PoolRegistry, RateExceeded, RateLimit,
    ResultCache,
};

use super::forward::Forward;
use crate::config::ListenAddress;
use crate::query_log::QueryLog;

/// What this server can do beyond the Go plugin's API, as `pgpool.Version` lists it. A client may
/// rely on a name that it finds here.
pub const FEATURES: [&str; 17] = [
    "batch",
    "cache",
    "cursors",
    "forward",
    "gob",
    "json",
    "msgpack",
    "protobuf",
    "raw",
    "request_id",
    "route",
    "sessions",
    "settings",
    "simple",
    "sqlstate",
    "top_queries",
    "transactions",
];

/// Settings of the RPC door.
#[derive(Debug, Clone)]
pub struct ServiceOptions {
    /// Largest frame in either direction, bytes.
    pub max_frame_size: usize,
    /// Requests in flight per connection.
    pub max_in_flight: usize,
    /// Default expiry of transactions and sessions.
    pub held: HeldLimits,
    /// Which statements are logged.
    pub query_log: QueryLog,
    /// Answers from memory.
    pub cache: CacheOptions,
    /// How often each client may ask.
    pub rate_limit: Option<RateLimit>,
    /// Whether PoolStats and TopQueries may be called.
    pub expose_stats: bool,
    /// Whether the pools count statements one by one.
    pub counts_statements: bool,
    /// Where calls to other services go.
    pub forward: Option<ListenAddress>,
}

/// Answers from memory.
#[derive(Debug, Clone, Copy)]
pub struct CacheOptions {
    /// Most memory for them, bytes; `None`: there are none.
    pub max_size: Option<u64>,
    /// How old they may be where the caller does not say.
    pub ttl: Duration,
}

/// The service behind the RPC door. Shared by all connections.
pub struct Service {
    /// Transactions and sessions by name.
    pub held: HeldConnections,
    live: ArcSwap<Live>,
    control: OnceLock<Weak<dyn Control>>,
    owners: AtomicU64,
    clients: AtomicUsize,
    received: AtomicU64,
    sent: AtomicU64,
    rate_limited: AtomicU64,
}

/// Figures of the RPC door at one moment.
#[derive(Debug, Clone, Copy, Default)]
pub struct RpcStats {
    /// Clients that are connected.
    pub clients: usize,
    /// Bytes received from clients.
    pub received_bytes: u64,
    /// Bytes sent to them.
    pub sent_bytes: u64,
    /// Requests that were refused because their client asks too often.
    pub rate_limited: u64,
}

/// What is as the configuration says that holds at the moment.
pub struct Live {
    /// The pools by name.
    pub registry: PoolRegistry,
    /// Limits and log settings.
    pub options: ServiceOptions,
    pub(super) forward: Option<Forward>,
    /// Results that may be answered again, where that is wanted.
    pub(super) cache: Option<Arc<ResultCache>>,
    /// Whether reads of a client depend on when it wrote last, in any database.
    pub(super) follows_writes: bool,
}

impl Live {
    /// What `before` remembers is remembered still, if as much may be.
    fn new(registry: PoolRegistry, options: ServiceOptions, before: Option<&Self>) -> Self {
        let same_cache = before.filter(|it| it.options.cache.max_size == options.cache.max_size);
        let cache = match same_cache {
            Some(before) => before.cache.clone(),
            None => options.cache.max_size.map(|size| Arc::new(ResultCache::new(size))),
        };
        let forward = options.forward.clone();
        let follows_writes = registry.databases().any(Backends::follows_writes);
        Self {
            forward: forward.map(|address| Forward::new(address, options.max_frame_size)),
            follows_writes,
            cache,
            registry,
            options,
        }
    }
}

impl Service {
    /// A service over these pools.
    pub fn new(registry: PoolRegistry, options: ServiceOptions) -> Self {
        Self {
            live: ArcSwap::from_pointee(Live::new(registry, options, None)),
            held: HeldConnections::default(),
            control: OnceLock::new(),
            owners: AtomicU64::new(0),
            clients: AtomicUsize::new(0),
            received: AtomicU64::new(0),
            sent: AtomicU64::new(0),
            rate_limited: AtomicU64::new(0),
        }
    }

    /// What is as the configuration says now.
    pub fn live(&self) -> Arc<Live> {
        self.live.load_full()
    }

    /// Has the service work with these pools and limits from now on. Calls under way go on with what
    /// they have.
    pub(crate) fn adopt(&self, registry: PoolRegistry, options: ServiceOptions) {
        let before = self.live();
        self.live.store(Arc::new(Live::new(registry, options, Some(&before))));
    }

    /// Has Reload turn to this. Once.
    pub(crate) fn control_by(&self, control: Weak<dyn Control>) {
        let _ = self.control.set(control);
    }

    /// Whom Reload turns to.
    pub(super) fn control(&self) -> Option<Arc<dyn Control>> {
        self.control.get().and_then(Weak::upgrade)
    }

    /// RPC clients that are connected.
    pub fn clients(&self) -> usize {
        self.clients.load(Ordering::Relaxed)
    }

    /// What was counted of them.
    pub fn stats(&self) -> RpcStats {
        RpcStats {
            clients: self.clients(),
            received_bytes: self.received.load(Ordering::Relaxed),
            sent_bytes: self.sent.load(Ordering::Relaxed),
            rate_limited: self.rate_limited.load(Ordering::Relaxed),
        }
    }

    pub(super) fn received(&self, bytes: usize) {
        self.received.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(super) fn sent(&self, bytes: usize) {
        self.sent.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(super) fn count_rate_limited(&self) {
        self.rate_limited.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a client in; it owns what it begins under an identity that no other client has.
    pub(super) fn client_came(&self) -> Owner {
        self.clients.fetch_add(1, Ordering::Relaxed);
        Owner(self.owners.fetch_add(1, Ordering::Relaxed))
    }

    /// Counts a client out and rolls back what it left open.
    pub(super) fn client_left(&self, owner: Owner) {
        self.held.end_owner(owner);
        self.clients.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What a method gets besides its request.
pub(super) struct Context<'a> {
    pub(super) service: &'a Service,
    /// As it was when the call came.
    pub(super) live: &'a Live,
    /// The client that calls.
    pub(super) owner: Owner,
    /// When it wrote last, for all of its calls.
    pub(super) writes: &'a Writes,
    /// Set when this call is one too many.
    pub(super) exceeded: Option<RateExceeded>,
}

/// When a client has written last.
#[derive(Debug, Default)]
pub(super) struct Writes(Mutex<Option<Instant>>);

impl Writes {
    /// Notes that it may have written just now.
    pub(super) fn note(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// When.
    pub(super) fn last(&self) -> Option<Instant> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Context<'_> {
    /// To be asked by every method that counts, before it does anything.
    pub(super) fn admit(&self) -> Result<(), Error> {
        self.exceeded.map_or(Ok(()), |exceeded| Err(exceeded.into()))
    }
}
