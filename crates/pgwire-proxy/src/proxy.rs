//! The door as a whole: its databases, limits and clients. It accepts no sockets itself; whoever
//! does hands them to [`Proxy::serve`].

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use pool_manager::RateLimit;

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
}

/// The PostgreSQL front door.
pub struct Proxy {
    databases: BTreeMap<String, Arc<Database>>,
    pub(crate) options: ProxyOptions,
    pub(crate) registry: Arc<Registry>,
    pub(crate) welcomes: Welcomes,
    clients: Arc<ClientLimit>,
    refused: AtomicU64,
}

impl Proxy {
    /// A door to these databases, by the names of their pools.
    #[must_use]
    pub fn new(databases: Vec<Database>, options: ProxyOptions) -> Arc<Self> {
        let named = |database: Database| (database.name().to_owned(), Arc::new(database));
        let clients = ClientLimit::new(Some(options.max_clients));
        Arc::new(Self {
            databases: databases.into_iter().map(named).collect(),
            options,
            registry: Arc::default(),
            welcomes: Welcomes::default(),
            clients,
            refused: AtomicU64::new(0),
        })
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
        self.options.max_clients
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
        self.databases.values().map(|database| database.stats()).collect()
    }

    /// Tells every client that the server is shutting down, and disconnects it.
    pub fn end_all(&self) {
        self.registry.end_all();
    }

    /// The database of that name: a pool's, or else the database's own at its server.
    pub(crate) fn database(&self, name: &str) -> Option<&Arc<Database>> {
        let by_server_name = || self.databases.values().find(|other| other.server_name == name);
        let primary = || self.databases.get(pool_manager::PRIMARY);
        self.databases
            .get(name)
            .or_else(|| primary().filter(|primary| primary.server_name == name))
            .or_else(by_server_name)
    }

    /// Whose users a client must be one of that asks for a database which does not exist.
    pub(crate) fn any_database(&self) -> Option<&Arc<Database>> {
        self.databases.get(pool_manager::PRIMARY).or_else(|| self.databases.values().next())
    }

    /// The names by which clients can ask for databases.
    pub(crate) fn database_names(&self) -> String {
        self.databases.keys().map(String::as_str).collect::<Vec<_>>().join(", ")
    }

    /// Counts a client in; `None` when there are as many as there may be.
    pub(crate) fn enter(&self) -> Option<Seat> {
        self.clients.enter()
    }
}
