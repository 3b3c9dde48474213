//! The door as a whole: its databases, limits and clients. It accepts no sockets itself; whoever
//! does hands them to [`Proxy::serve`].

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use arc_swap::ArcSwap;
use pool_manager::RateLimit;

use crate::admin::{Averages, Control};
use crate::counters::DoorStats;
use crate::database::Database;
use crate::limit::{ClientLimit, Seat};
use crate::login::Welcomes;
use crate::query_log::QueryLog;
use crate::session;
use crate::signals::Registry;
use crate::stream::ClientStream;
use crate::tls::TlsServer;

/// Limits of the door.
#[derive(Debug, Clone)]
pub struct ProxyOptions {
    /// Most clients at the same time.
    pub max_clients: usize,
    /// How long a client may take to say who it is and prove it.
    pub login_timeout: Duration,
    /// A client outside a transaction that is idle for this long is disconnected.
    pub client_timeout: Option<Duration>,
    /// The same inside a transaction.
    pub idle_transaction_timeout: Option<Duration>,
    /// Longest run time of a statement.
    pub query_timeout: Option<Duration>,
    /// A transaction that is open this long is rolled back, and its client disconnected.
    pub transaction_timeout: Option<Duration>,
    /// A client that waits this long for a server connection is told so.
    pub wait_notice: Option<Duration>,
    /// How often each client may ask.
    pub rate_limit: Option<RateLimit>,
    /// TLS with clients that connect by TCP.
    pub tls: Option<TlsServer>,
    /// Who is told of statements that have ended.
    pub query_log: Option<Arc<QueryLog>>,
    /// Users who may give orders in the admin console.
    pub admin_users: Vec<String>,
    /// Users who may look at it.
    pub stats_users: Vec<String>,
}

/// The PostgreSQL front door.
pub struct Proxy {
    databases: ArcSwap<BTreeMap<String, Arc<Database>>>,
    options: ArcSwap<ProxyOptions>,
    pub(crate) registry: Arc<Registry>,
    pub(crate) welcomes: Welcomes,
    clients: Arc<ClientLimit>,
    refused: AtomicU64,
    control: OnceLock<Arc<dyn Control>>,
    pub(crate) averages: Averages,
}

impl Proxy {
    /// A door to these databases, by the names of their pools.
    #[must_use]
    pub fn new(databases: Vec<Database>, options: ProxyOptions) -> Arc<Self> {
        let named = |database: Database| (database.name().to_owned(), Arc::new(database));
        let databases: BTreeMap<_, _> = databases.into_iter().map(named).collect();
        let clients = ClientLimit::new(Some(options.max_clients));
        let proxy = Arc::new(Self {
            databases: ArcSwap::from_pointee(databases),
            options: ArcSwap::from_pointee(options),
            registry: Arc::default(),
            welcomes: Welcomes::default(),
            clients,
            refused: AtomicU64::new(0),
            control: OnceLock::new(),
            averages: Averages::default(),
        });
        Averages::keep_up(&proxy);
        proxy
    }

    /// Has the door lead to these databases, and be limited like this, from now on. Clients of those
    /// that stay go on there with what they have; those of the others are disconnected as soon as
    /// they are outside a transaction.
    pub fn adopt(&self, databases: Vec<Database>, options: ProxyOptions) {
        let before = self.databases.load_full();
        let continued = databases.into_iter().map(|mut database| {
            let name = database.name().to_owned();
            if let Some(old) = before.get(&name) {
                database.continue_from(old);
            }
            (name, Arc::new(database))
        });
        let now: BTreeMap<_, _> = continued.collect();
        self.clients.become_as(&ClientLimit::new(Some(options.max_clients)));
        self.options.store(Arc::new(options));
        self.databases.store(Arc::new(now.clone()));
        for (name, old) in &*before {
            match now.get(name) {
                Some(new) => old.replaced_by(new),
                None => old.remove(),
            }
        }
        self.welcomes.forget();
        self.registry.renew_all();
    }

    /// Gives the admin console somebody to turn to for what concerns the whole process. Once.
    pub fn control_by(&self, control: Arc<dyn Control>) {
        let _ = self.control.set(control);
    }

    /// Whom the admin console turns to.
    pub(crate) fn control(&self) -> Option<&Arc<dyn Control>> {
        self.control.get()
    }

    /// The limits in force.
    pub(crate) fn options(&self) -> Arc<ProxyOptions> {
        self.options.load_full()
    }

    /// Serves one client until it leaves, breaks the protocol, or is told to go. `held` is dropped
    /// then, and not before.
    pub fn serve(
        self: Arc<Self>,
        stream: ClientStream,
        held: impl Send + 'static,
    ) -> impl Future<Output = ()> + Send {
        session::serve(self, stream, held)
    }

    /// Clients that are connected and have said who they are.
    pub fn clients(&self) -> usize {
        self.clients.inside()
    }

    /// Most clients that may be.
    pub fn max_clients(&self) -> usize {
        self.options().max_clients
    }

    /// Clients that were sent away before their session began.
    pub fn refused_logins(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// Counts one.
    pub(crate) fn count_refused(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    /// What was counted of each database's clients.
    pub fn stats(&self) -> Vec<DoorStats> {
        self.databases.load().values().map(|database| database.stats()).collect()
    }

    /// Tells every client that the server is shutting down, and disconnects it.
    pub fn end_all(&self) {
        self.registry.end_all();
    }

    /// The databases by name.
    pub(crate) fn databases(&self) -> Arc<BTreeMap<String, Arc<Database>>> {
        self.databases.load_full()
    }

    /// The database of that name: a pool's, or else the database's own at its server.
    pub(crate) fn database(&self, name: &str) -> Option<Arc<Database>> {
        let databases = self.databases.load();
        let by_server_name = || databases.values().find(|other| other.server_name == name);
        let primary = || databases.get(pool_manager::PRIMARY);
        let found = databases
            .get(name)
            .or_else(|| primary().filter(|primary| primary.server_name == name))
            .or_else(by_server_name);
        found.cloned()
    }

    /// Whose users a client must be one of that asks for a database which does not exist.
    pub(crate) fn any_database(&self) -> Option<Arc<Database>> {
        let databases = self.databases.load();
        databases.get(pool_manager::PRIMARY).or_else(|| databases.values().next()).cloned()
    }

    /// The names by which clients can ask for databases.
    pub(crate) fn database_names(&self) -> String {
        self.databases.load().keys().map(String::as_str).collect::<Vec<_>>().join(", ")
    }

    /// Counts a client in; `None` when there are as many as there may be.
    pub(crate) fn enter(&self) -> Option<Seat> {
        self.clients.enter()
    }
}
