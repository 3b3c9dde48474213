//! The servers of one database: which of them gets a statement.
//!
//! ```text
//!                 route asked for ── primary, replica ─────────────────────────────┐
//! statement ──►   write_patterns, read_patterns ───────────────────────────────────┤
//!                 the classifier: only reads? ── split off, or wrote just now ─────┤
//!                                                                                  ▼
//!                 the primary, or one of the replicas that are up and not too far behind
//! ```
//! What the servers are like is found out by [`watch`], never by a statement that waits.

mod balance;
mod functions;
mod member;
mod rules;
mod standby;
mod watch;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use crate::DatabasePool;
use crate::classify::{Classification, StatementKind};
use balance::Balance;
pub use balance::LoadBalance;
use functions::{Functions, Which};
use member::{Member, MemberRole};
pub use rules::{BadPattern, RoutingRules, wants_cache};
pub(crate) use standby::Standby;

/// Where a caller wants a statement to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Route {
    /// Wherever it can.
    #[default]
    Auto,
    /// On the server that takes writes.
    Primary,
    /// On a replica, if there is one that is up.
    Replica,
}

/// How replicas and failures are dealt with.
#[derive(Debug, Clone)]
pub struct BackendsOptions {
    /// Reads go to replicas.
    pub split: bool,
    /// How one of them is chosen.
    pub balance: LoadBalance,
    /// The primary is looked for among all servers when the configured one is none.
    pub failover: bool,
    /// Failures in a row after which a server counts as down.
    pub max_failures: u32,
    /// Time between two looks at a server.
    pub interval: Duration,
    /// A replica that is further behind takes no reads, bytes of WAL.
    pub max_lag: Option<u64>,
    /// The same in time since its last transaction.
    pub max_lag_time: Option<Duration>,
    /// Where a caller reads that has written.
    pub own_writes: OwnWrites,
    /// How long statements for the primary wait while there is none that works.
    pub patience: Duration,
}

/// Where a caller reads that has written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OwnWrites {
    /// Where others do.
    Ignored,
    /// For this long on the primary.
    OnPrimary(Duration),
    /// On the primary until a replica is known to have replayed what was written.
    Replayed,
}

/// A server of a database.
pub struct Backend {
    /// Its connections.
    pub pool: DatabasePool,
    /// Its share of the reads.
    pub weight: u32,
}

/// What is known of a server.
pub struct ServerStatus<'a> {
    /// Its connections.
    pub pool: &'a DatabasePool,
    /// It takes the writes.
    pub is_primary: bool,
    /// Whether it answers; true where it is the only one, which nobody watches.
    pub is_up: bool,
    /// How far a replica is behind the primary, bytes of WAL.
    pub lag_bytes: Option<u64>,
    /// The same in time: since the last transaction that it has replayed.
    pub lag: Option<Duration>,
}

/// The servers of one database. Cheap to clone.
#[derive(Clone)]
pub struct Backends(Arc<Inner>);

struct Inner {
    name: String,
    /// The first one is the configured primary.
    members: Vec<Member>,
    /// Which one takes writes now.
    primary: AtomicUsize,
    /// How often that has changed.
    failovers: AtomicU64,
    balance: Balance,
    rules: RoutingRules,
    functions: Functions,
    /// A server was looked at.
    looked: Notify,
    options: BackendsOptions,
}

impl Backends {
    /// A database with one server, which gets everything.
    pub fn single(pool: DatabasePool) -> Self {
        let options = BackendsOptions {
            split: false,
            balance: LoadBalance::RoundRobin,
            failover: false,
            max_failures: 1,
            interval: Duration::from_secs(1),
            max_lag: None,
            max_lag_time: None,
            own_writes: OwnWrites::Ignored,
            patience: Duration::ZERO,
        };
        let primary = Backend { pool, weight: 1 };
        Self::new(primary, Vec::new(), RoutingRules::default(), options)
    }

    /// A database with replicas. They are watched from now on, until nobody has it any more.
    pub fn new(
        primary: Backend,
        replicas: Vec<Backend>,
        rules: RoutingRules,
        options: BackendsOptions,
    ) -> Self {
        let name = primary.pool.name().to_owned();
        let functions = Functions::new(primary.pool.safe_functions().clone());
        let roles = [MemberRole::Primary].into_iter().chain(std::iter::repeat(MemberRole::Replica));
        let members: Vec<Member> = std::iter::once(primary)
            .chain(replicas)
            .zip(roles)
            .map(|(backend, role)| Member::new(backend, role))
            .collect();
        let balance = Balance::new(options.balance);
        let backends = Self(Arc::new(Inner {
            name,
            members,
            primary: AtomicUsize::new(0),
            failovers: AtomicU64::new(0),
            balance,
            rules,
            functions,
            looked: Notify::new(),
            options,
        }));
        if backends.0.members.len() > 1 {
            watch::start(&backends.0);
        }
        let several = backends.has_replicas();
        let standby = several.then(|| Standby::of(&backends.0));
        backends.pools().for_each(|pool| pool.pool().stand_by(standby.clone()));
        backends
    }

    /// The same, beginning with what `before` knows of the servers that both have: a database whose
    /// settings change goes on with the primary that it has.
    #[must_use]
    pub fn continuing(self, before: &Self) -> Self {
        let same = |member: &Member, other: &&Member| other.pool.is(&member.pool);
        let primary = before.0.primary_member();
        for (index, member) in self.0.members.iter().enumerate() {
            if same(member, &primary) {
                self.0.primary.store(index, Ordering::Relaxed);
            }
            if let Some(old) = before.0.members.iter().find(|old| same(member, old)) {
                member.continues(old);
            }
        }
        self
    }

    /// The database's name.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The server that takes writes.
    pub fn primary(&self) -> &DatabasePool {
        self.0.primary()
    }

    /// Every server's pool, the configured primary first.
    pub fn pools(&self) -> impl Iterator<Item = &DatabasePool> {
        self.0.members.iter().map(|member| &member.pool)
    }

    /// Every server as it was when it was last looked at, the configured primary first.
    pub fn servers(&self) -> impl Iterator<Item = ServerStatus<'_>> {
        let primary = self.0.primary.load(Ordering::Relaxed);
        self.0.members.iter().enumerate().map(move |(index, member)| {
            let (is_up, lag_bytes, lag) = member.condition();
            ServerStatus { pool: &member.pool, is_primary: index == primary, is_up, lag_bytes, lag }
        })
    }

    /// How often writes have gone to another server than before.
    pub fn failovers(&self) -> u64 {
        self.0.failovers.load(Ordering::Relaxed)
    }

    /// The server for statements that stay together, all of which must be reads to leave the primary;
    /// and whether they count as a write of their caller's. `wrote`: when it wrote last.
    pub fn for_statements<'a>(
        &self,
        mut texts: impl Iterator<Item = &'a str>,
        route: Route,
        wrote: Option<Instant>,
    ) -> (&DatabasePool, bool) {
        let is_read = |sql| self.is_read(sql, &self.primary().classify(sql));
        let reads = self.splits() && texts.all(is_read);
        (self.server(route, wrote, reads), !reads && self.follows_writes())
    }

    /// The server for a transaction, and the same of it: one that may write is at the primary, whatever
    /// the route.
    pub fn for_transaction(
        &self,
        read_only: bool,
        route: Route,
        wrote: Option<Instant>,
    ) -> (&DatabasePool, bool) {
        let server = if read_only { self.server(route, wrote, true) } else { self.primary() };
        (server, !read_only && self.follows_writes())
    }

    /// Whether reads of a caller depend on when it wrote last.
    pub fn follows_writes(&self) -> bool {
        self.splits() && self.0.options.own_writes != OwnWrites::Ignored
    }

    /// A caller has written: how far the servers are is found out soon, where reads depend on it.
    pub fn note_write(&self) {
        if self.splits() && self.0.options.own_writes == OwnWrites::Replayed {
            self.0.members.iter().for_each(Member::look_again);
        }
    }

    /// The server for statements that are reads, or are not, of a caller that has written then.
    pub fn server(&self, route: Route, wrote: Option<Instant>, reads: bool) -> &DatabasePool {
        let least = match route {
            Route::Primary => None,
            Route::Replica => self.has_replicas().then_some(0),
            Route::Auto if self.splits() && reads => self.least_position(wrote),
            Route::Auto => None,
        };
        let primary = self.0.primary.load(Ordering::Relaxed);
        let options = &self.0.options;
        let replica = |least| self.0.balance.choose(&self.0.members, primary, options, least);
        if let Some(member) = least.and_then(replica) {
            return &member.pool;
        }
        if reads && wrote.is_some() {
            // Perhaps one of them has come so far meanwhile.
            self.note_write();
        }
        self.primary()
    }

    /// The server that takes writes, once there is one that does, or the time for waiting is over.
    /// Cancel safe.
    pub async fn primary_at_work(&self) -> &DatabasePool {
        if self.waits() {
            self.0.wait_for_primary(tokio::time::Instant::now() + self.0.options.patience).await;
        }
        self.primary()
    }

    /// Whether there is more than one server.
    pub fn has_replicas(&self) -> bool {
        self.0.members.len() > 1
    }

    /// Whether a statement of this class is a read, by the rules, by itself, or by what the catalogue
    /// says of the functions that it calls.
    pub fn is_read(&self, sql: &str, class: &Classification) -> bool {
        self.0.rules.decide(sql).unwrap_or_else(|| {
            if class.kind == StatementKind::Show && rules::asks_for_role(sql) {
                return false;
            }
            class.read_only || (class.asks_catalogue && self.calls_only(sql, Which::Unknown))
        })
    }

    /// Whether the result of a statement may be answered again for a while: it only reads, and calls
    /// nothing that is volatile.
    pub fn is_cacheable(&self, sql: &str) -> bool {
        let class = self.primary().classify(sql);
        let reads = class.read_only || class.asks_catalogue;
        reads && self.calls_only(sql, Which::All)
    }

    fn calls_only(&self, sql: &str, which: Which) -> bool {
        self.0.functions.only_read(sql, which, &self.0)
    }

    /// Whether reads leave the primary.
    pub fn splits(&self) -> bool {
        self.has_replicas() && self.0.options.split
    }

    fn waits(&self) -> bool {
        self.has_replicas() && !self.0.options.patience.is_zero()
    }

    /// The position to which a replica must have come for a caller that has written then; `None`:
    /// that is not known, or it is too early.
    fn least_position(&self, wrote: Option<Instant>) -> Option<u64> {
        let Some(wrote) = wrote else { return Some(0) };
        match self.0.options.own_writes {
            OwnWrites::Ignored => Some(0),
            OwnWrites::OnPrimary(window) => (wrote.elapsed() >= window).then_some(0),
            OwnWrites::Replayed => self.0.primary_member().position_after(wrote),
        }
    }
}

impl Inner {
    fn primary_member(&self) -> &Member {
        let index = self.primary.load(Ordering::Relaxed);
        match self.members.get(index).or_else(|| self.members.first()) {
            Some(member) => member,
            None => unreachable!("a database has a primary"),
        }
    }

    fn primary(&self) -> &DatabasePool {
        &self.primary_member().pool
    }
}
