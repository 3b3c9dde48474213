//! One database behind the door: its pool, how clients share it, and what they have in common.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Instant;

use bytes::BytesMut;
use lru::LruCache;
use pool_manager::classify::Classification;
use pool_manager::dsn::ConnectParams;
use pool_manager::{Backends, Checkout, DatabasePool, Error, Parameters, Route, Settings};

use crate::auth::Users;
use crate::counters::{DoorCounters, DoorStats};
use crate::interner::Interner;
use crate::limit::{ClientLimit, Seat};
use crate::message::backend;
use crate::statement::{Statement, Statements};

/// Combinations of startup settings whose reported parameters are remembered.
const GREETINGS: NonZeroUsize = NonZeroUsize::new(256).unwrap();

/// When a client's server connection is given to others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// When the client disconnects.
    Session,
    /// After each transaction.
    Transaction,
    /// After each transaction, unless the client has something in the session that cannot be made
    /// again on another connection: then it keeps this one.
    Auto,
    /// After each statement; transactions of several statements are refused.
    Statement,
}

impl Mode {
    /// Its name in the configuration.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::Transaction => "transaction",
            Self::Auto => "auto",
            Self::Statement => "statement",
        }
    }
}

/// A database that clients can connect to.
pub struct Database {
    /// Its servers, which RPC callers share.
    backends: Backends,
    /// How clients share them.
    pub mode: Mode,
    /// Who may connect.
    pub users: Users,
    /// Whether unnamed statements that come again are kept prepared.
    pub cache_unnamed: bool,
    /// The database's own name at the server, by which clients may ask for it, too.
    pub server_name: String,
    /// How its primary is reached.
    origin: ConnectParams,
    /// Most clients of it at the same time.
    limit: Arc<ClientLimit>,
    /// For users who log in at the server by a name of their own.
    own: BTreeMap<String, Arc<Database>>,
    shared: Arc<Shared>,
    /// What has taken its place since it was configured anew.
    successor: OnceLock<Arc<Database>>,
    /// It is not configured any more.
    removed: AtomicBool,
}

/// How a database is offered to clients.
pub struct DatabaseOptions {
    /// How clients share its connections.
    pub mode: Mode,
    /// Who may connect.
    pub users: Users,
    /// Whether unnamed statements that come again are kept prepared.
    pub cache_unnamed: bool,
    /// The database's own name at the server.
    pub server_name: String,
    /// Most clients of it at the same time.
    pub max_clients: Option<usize>,
    /// How its primary is reached.
    pub origin: ConnectParams,
}

/// What clients of a database have in common.
#[derive(Default)]
struct Shared {
    /// New clients are turned away.
    disabled: AtomicBool,
    counters: DoorCounters,
    settings: Interner<Settings>,
    parameters: Interner<Parameters>,
    statements: Statements,
    /// Some client has asked for lastval() outside a transaction.
    asks_for_sequences: AtomicBool,
    greetings: Mutex<Option<LruCache<Arc<Settings>, Arc<Parameters>>>>,
}

impl Database {
    /// A database that clients reach by the pool's name, or by `server_name`.
    pub fn new(backends: Backends, options: DatabaseOptions) -> Self {
        let DatabaseOptions { mode, users, cache_unnamed, server_name, max_clients, origin } =
            options;
        let (limit, own) = (ClientLimit::new(max_clients), BTreeMap::new());
        Self {
            backends,
            mode,
            users,
            cache_unnamed,
            server_name,
            origin,
            limit,
            own,
            shared: Arc::default(),
            successor: OnceLock::new(),
            removed: AtomicBool::new(false),
        }
    }

    /// Gives a user a pool of its own, whose connections are logged in as another role. Who it is,
    /// and how many there may be, is still decided here.
    pub fn add_own_pool(&mut self, user: String, pool: DatabasePool) {
        let options = DatabaseOptions {
            mode: self.mode,
            users: self.users.clone(),
            cache_unnamed: self.cache_unnamed,
            server_name: self.server_name.clone(),
            max_clients: None,
            origin: pool.params(),
        };
        self.own.insert(user, Arc::new(Self::new(Backends::single(pool), options)));
    }

    /// Has it take the place of `before`, which has the same pool: what clients have in common there
    /// goes on here.
    pub(crate) fn continue_from(&mut self, before: &Self) {
        before.limit.become_as(&self.limit);
        self.limit = Arc::clone(&before.limit);
        self.users.continue_from(&before.users);
        self.shared = Arc::clone(&before.shared);
        if self.origin != before.origin {
            // Reported parameters may be others there.
            self.shared.with_greetings(LruCache::clear);
        }
        for (user, own) in &mut self.own {
            let (Some(old), Some(own)) = (before.own.get(user), Arc::get_mut(own)) else {
                continue;
            };
            own.continue_from(old);
        }
    }

    /// Tells its clients where to go on.
    pub(crate) fn replaced_by(&self, successor: &Arc<Self>) {
        for (user, own) in &self.own {
            match successor.own.get(user) {
                Some(next) => own.replaced_by(next),
                None => own.remove(),
            }
        }
        let _ = self.successor.set(Arc::clone(successor));
    }

    /// Tells its clients that there is nothing to go on with.
    pub(crate) fn remove(&self) {
        self.own.values().for_each(|own| own.remove());
        self.removed.store(true, Ordering::Release);
    }

    /// What has taken its place at last; `None`: nothing has.
    pub(crate) fn latest(&self) -> Option<Arc<Self>> {
        let next = self.successor.get()?;
        Some(next.latest().unwrap_or_else(|| Arc::clone(next)))
    }

    pub(crate) fn is_removed(&self) -> bool {
        self.removed.load(Ordering::Acquire)
    }

    /// Turns new clients away, or lets them in again.
    pub(crate) fn disable(&self, disabled: bool) {
        self.shared.disabled.store(disabled, Ordering::Relaxed);
    }

    pub(crate) fn is_disabled(&self) -> bool {
        self.shared.disabled.load(Ordering::Relaxed)
    }

    /// What is counted of its clients.
    pub(crate) fn counters(&self) -> &DoorCounters {
        &self.shared.counters
    }

    /// How many clients it has, and may have.
    pub(crate) fn limit(&self) -> &ClientLimit {
        &self.limit
    }

    /// The pools that are some user's own, by the user.
    pub(crate) fn own(&self) -> &BTreeMap<String, Arc<Self>> {
        &self.own
    }

    /// Every pool that its clients and RPC callers of it use.
    pub(crate) fn pools(&self) -> impl Iterator<Item = &DatabasePool> {
        self.backends.pools().chain(self.own.values().map(|own| own.pool()))
    }

    /// Its servers.
    pub(crate) fn backends(&self) -> &Backends {
        &self.backends
    }

    /// The connections of the server that takes writes now.
    pub(crate) fn pool(&self) -> &DatabasePool {
        self.backends.primary()
    }

    /// The database's name.
    pub(crate) fn name(&self) -> &str {
        self.backends.name()
    }

    /// What a user works with, who has proved who it is.
    pub(crate) fn of_user<'a>(self: &'a Arc<Self>, user: &str) -> &'a Arc<Self> {
        self.own.get(user).unwrap_or(self)
    }

    /// Counts a client in; `None` when there are as many as there may be.
    pub(crate) fn enter(&self) -> Option<Seat> {
        self.limit.enter()
    }

    /// What reported parameters a client with these startup settings finds: asked of a server
    /// once, which also finds out whether the settings are valid at all.
    ///
    /// # Errors
    /// The server refuses a setting, or cannot be reached.
    pub(crate) async fn greeting(
        &self,
        settings: &Arc<Settings>,
    ) -> Result<Arc<Parameters>, Error> {
        if let Some(parameters) = self.known_greeting(settings) {
            return Ok(parameters);
        }
        let mut connection = match self.pool().try_checkout(Instant::now()) {
            Some(connection) => connection,
            None => match self.backends.primary_at_work().await.checkout(false).await {
                Err(error) if error.is_of_server() => self.greeted_by_replica(error).await?,
                other => other?,
            },
        };
        // No transaction of anybody's.
        self.counters().assigned();
        connection.settle_settings(settings).await?;
        let parameters = self.share_parameters(connection.parameters());
        connection.share_parameters(&parameters);
        self.shared.with_greetings(|greetings| {
            greetings.put(Arc::clone(settings), Arc::clone(&parameters));
        });
        Ok(parameters)
    }

    /// While the primary is away a replica knows the parameters as well.
    async fn greeted_by_replica(&self, error: Error) -> Result<Checkout, Error> {
        let replica = self.backends.server(Route::Replica, None, true);
        if std::ptr::eq(replica, self.pool()) { Err(error) } else { replica.checkout(false).await }
    }

    /// What a client with these startup settings was told when it came, if it is remembered.
    pub(crate) fn known_greeting(&self, settings: &Arc<Settings>) -> Option<Arc<Parameters>> {
        self.shared.with_greetings(|greetings| greetings.get(settings).cloned())
    }

    /// The settings equal to these that all clients share.
    pub(crate) fn share_settings(&self, settings: Settings) -> Arc<Settings> {
        self.shared.settings.share(&Arc::new(settings))
    }

    /// The parameters equal to these that all clients share.
    pub(crate) fn share_parameters(&self, parameters: &Arc<Parameters>) -> Arc<Parameters> {
        self.shared.parameters.share(parameters)
    }

    /// Tells a client of parameters that have changed. One of several servers need not know on which
    /// of them it is.
    pub(crate) fn tell_changes(&self, out: &mut BytesMut, told: &Parameters, now: &Parameters) {
        let hidden = self.backends.has_replicas().then_some("in_hot_standby");
        backend::changed_parameters(out, told, now, hidden);
    }

    /// The statement with this text that all clients share.
    pub(crate) fn share_statement(
        &self,
        sql: &[u8],
        types: &[u8],
        context: Option<&str>,
    ) -> Arc<Statement> {
        self.shared.statements.share(sql, types, context, |sql| self.judge(sql))
    }

    /// Whether an unnamed text is worth a prepared statement of its own: it has come before.
    pub(crate) fn comes_again(&self, sql: &[u8], types: &[u8]) -> bool {
        self.cache_unnamed && self.shared.statements.has_seen(sql, types)
    }

    /// A statement that only one client has.
    pub(crate) fn new_statement(
        &self,
        sql: &[u8],
        types: &[u8],
        context: Option<&str>,
    ) -> Statement {
        Statement::new(sql, types, context, self.judge(sql), self.new_number())
    }

    /// A number that stands for nothing yet.
    pub(crate) fn new_number(&self) -> u64 {
        self.shared.statements.new_number()
    }

    /// The same with that of users who have a pool of their own.
    pub(crate) fn stats(&self) -> DoorStats {
        let (database, clients) = (self.name().to_owned(), self.limit.inside());
        let mut stats = DoorStats { database, clients, ..DoorStats::default() };
        self.counters().add_to(&mut stats);
        self.own.values().for_each(|own| own.counters().add_to(&mut stats));
        stats
    }

    /// Notes that a client has asked for its sequences' values outside a transaction.
    pub(crate) fn note_sequence_question(&self) {
        self.shared.asks_for_sequences.store(true, Ordering::Relaxed);
    }

    /// Whether clients here do so.
    pub(crate) fn asks_for_sequences(&self) -> bool {
        self.shared.asks_for_sequences.load(Ordering::Relaxed)
    }

    /// What a statement does to the connection it runs on.
    pub(crate) fn judge(&self, sql: &[u8]) -> Classification {
        self.pool().judge(sql)
    }
}

impl Shared {
    fn with_greetings<T>(
        &self,
        work: impl FnOnce(&mut LruCache<Arc<Settings>, Arc<Parameters>>) -> T,
    ) -> T {
        let mut greetings = self.greetings.lock().unwrap_or_else(PoisonError::into_inner);
        work(greetings.get_or_insert_with(|| LruCache::new(GREETINGS)))
    }
}
