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
mod member;
mod rules;
mod watch;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::DatabasePool;
use balance::Balance;
pub use balance::LoadBalance;
use member::{Member, MemberRole};
pub use rules::{BadPattern, RoutingRules};

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
    /// For how long a caller that has written reads from the primary.
    pub write_window: Duration,
}

/// A server of a database.
pub struct Backend {
    /// Its connections.
    pub pool: DatabasePool,
    /// Its share of the reads.
    pub weight: u32,
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
    balance: Balance,
    rules: RoutingRules,
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
            write_window: Duration::ZERO,
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
            balance,
            rules,
            options,
        }));
        if backends.0.members.len() > 1 {
            watch::start(&backends.0);
        }
        backends
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

    /// The server for statements that stay together, all of which must be reads to leave the primary;
    /// and whether their caller has to read from there afterwards. `wrote`: how long ago it wrote last.
    pub fn for_statements<'a>(
        &self,
        mut texts: impl Iterator<Item = &'a str>,
        route: Route,
        wrote: Option<Duration>,
    ) -> (&DatabasePool, bool) {
        let reads = self.splits() && texts.all(|sql| self.is_read(sql));
        (self.server(route, wrote, reads), !reads && self.follows_writes())
    }

    /// The server for a transaction, and the same of it: one that may write is at the primary, whatever
    /// the route.
    pub fn for_transaction(
        &self,
        read_only: bool,
        route: Route,
        wrote: Option<Duration>,
    ) -> (&DatabasePool, bool) {
        let server = if read_only { self.server(route, wrote, true) } else { self.primary() };
        (server, !read_only && self.follows_writes())
    }

    /// Whether reads of a caller depend on when it wrote last.
    pub fn follows_writes(&self) -> bool {
        self.splits() && !self.0.options.write_window.is_zero()
    }

    /// Whether there is more than one server.
    pub fn has_replicas(&self) -> bool {
        self.0.members.len() > 1
    }

    fn is_read(&self, sql: &str) -> bool {
        self.0.rules.decide(sql).unwrap_or_else(|| self.primary().is_read_only(sql))
    }

    fn splits(&self) -> bool {
        self.has_replicas() && self.0.options.split
    }

    /// A replica, if the route says so or lets what only reads leave the primary.
    fn server(&self, route: Route, wrote: Option<Duration>, reads: bool) -> &DatabasePool {
        let leaves = match route {
            Route::Primary => false,
            Route::Replica => self.has_replicas(),
            Route::Auto => {
                let waits = wrote.is_some_and(|ago| ago < self.0.options.write_window);
                self.splits() && reads && !waits
            }
        };
        let primary = self.0.primary.load(Ordering::Relaxed);
        let replica = || self.0.balance.choose(&self.0.members, primary, &self.0.options);
        let chosen = if leaves { replica() } else { None };
        chosen.map_or_else(|| self.primary(), |member| &member.pool)
    }
}

impl Inner {
    fn primary(&self) -> &DatabasePool {
        let index = self.primary.load(Ordering::Relaxed);
        match self.members.get(index).or_else(|| self.members.first()) {
            Some(member) => &member.pool,
            None => unreachable!("a database has a primary"),
        }
    }
}
