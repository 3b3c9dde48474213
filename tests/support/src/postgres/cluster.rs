//! A whole throw-away cluster: its directory, its port, its server, and ways to talk to it. It
//! never survives the process that made it.

use std::net::TcpListener;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rand::RngExt;
use tempfile::TempDir;
use tokio::sync::OnceCell;
use tokio_postgres::{Client, NoTls};

use super::account::Account;
use super::builder::{Auth, ClusterBuilder};
use super::database::TestDatabase;
use super::programs::Programs;
use super::server::{Server, StartError, StopMode, log_file};
use super::template;
use super::watchdog::Watchdog;
use super::{DATABASE, PASSWORD, ROLE, SUPERUSER};

/// Below the range from which systems number outgoing connections, so that a port stays free
/// while its server is stopped.
const PORTS: std::ops::Range<u16> = 15_000..32_000;
/// How often another port is tried when somebody took ours between the look and the bind.
const PORT_ATTEMPTS: u32 = 20;
/// How long a restarted server waits for its own port to become free.
const PORT_PATIENCE: Duration = Duration::from_secs(10);

/// The cluster that all tests of one binary share.
static SHARED: OnceCell<TestCluster> = OnceCell::const_new();

/// A real PostgreSQL server of the test's own. Clones are handles to the same cluster; the last
/// one dropped stops the server and removes everything.
#[derive(Clone, Debug)]
pub struct TestCluster {
    pub(super) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(super) struct Inner {
    programs: Programs,
    pub(super) account: Account,
    pub(super) port: u16,
    /// `None` while stopped.
    server: Mutex<Option<Server>>,
    /// Databases whose tests are over, dropped before the next one is made.
    finished: Mutex<Vec<String>>,
    /// Declared last but one: the server is stopped first, then the watchdog removes the directory.
    watchdog: Option<Watchdog>,
    pub(super) dir: TempDir,
}

impl TestCluster {
    /// A private cluster with the default settings.
    ///
    /// # Panics
    /// When PostgreSQL is missing or does not start.
    pub async fn start() -> Self {
        Self::builder().start().await
    }

    /// A private cluster with settings of its own.
    #[must_use]
    pub fn builder() -> ClusterBuilder {
        ClusterBuilder::default()
    }

    /// The cluster shared by all tests of this binary, started by the first one that asks. Take a
    /// [`TestCluster::database`] from it, and never stop it.
    pub async fn shared() -> &'static Self {
        SHARED.get_or_init(Self::start).await
    }

    pub(super) async fn start_with(builder: ClusterBuilder) -> Self {
        let md5 = builder.auth == Auth::Md5;
        let cluster = blocking(move || Self::make(&builder)).await;
        if md5 {
            // Stored again, this time in the MD5 form that the settings now ask for.
            cluster.batch(&format!("ALTER ROLE {ROLE} PASSWORD '{PASSWORD}'")).await;
        }
        cluster
    }

    fn make(builder: &ClusterBuilder) -> Self {
        let programs = Programs::find();
        let account = Account::find();
        let dir = template::scratch_dir(&account);
        let watchdog = Watchdog::start(dir.path());
        template::copy_to(&dir.path().join("data"), &programs, &account);
        builder.configure(dir.path(), &account);
        for _ in 0..PORT_ATTEMPTS {
            let port = free_port();
            match Server::start(dir.path(), port, &programs, &account) {
                Ok(server) => {
                    let inner = Inner {
                        programs,
                        account,
                        port,
                        server: Mutex::new(Some(server)),
                        finished: Mutex::default(),
                        watchdog: Some(watchdog),
                        dir,
                    };
                    return Self { inner: Arc::new(inner) };
                }
                Err(StartError::PortTaken) => {}
                Err(StartError::Failed(why)) => panic!("{why}"),
            }
        }
        panic!("no free port for PostgreSQL after {PORT_ATTEMPTS} attempts")
    }

    /// The TCP port on 127.0.0.1; it stays the same over restarts.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.inner.port
    }

    /// The directory that holds the server's Unix socket.
    #[must_use]
    pub fn socket_dir(&self) -> &Path {
        self.inner.dir.path()
    }

    /// The URL of the default database for the ordinary role, over TCP.
    #[must_use]
    pub fn dsn(&self) -> String {
        self.dsn_of(ROLE, PASSWORD, DATABASE)
    }

    /// The URL of any role and database, over TCP. The parts must need no escaping.
    #[must_use]
    pub fn dsn_of(&self, role: &str, password: &str, database: &str) -> String {
        format!("postgres://{role}:{password}@127.0.0.1:{}/{database}", self.inner.port)
    }

    /// The key=value form of the default database for the ordinary role, over the Unix socket.
    #[must_use]
    pub fn socket_dsn(&self) -> String {
        format!(
            "host={} port={} user={ROLE} password={PASSWORD} dbname={DATABASE}",
            self.socket_dir().display(),
            self.inner.port
        )
    }

    /// A fresh, empty database, owned by the ordinary role; dropped some time after the value is.
    pub async fn database(&self) -> TestDatabase {
        let admin = self.admin().await;
        let finished = std::mem::take(&mut *lock(&self.inner.finished));
        for name in finished {
            let sql = format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)");
            let _ = admin.batch_execute(&sql).await;
        }
        let name = format!("t_{:016x}", rand::random::<u64>());
        let sql = format!("CREATE DATABASE {name} OWNER {ROLE} TEMPLATE template0");
        admin.batch_execute(&sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
        TestDatabase::new(self.clone(), name)
    }

    pub(super) fn forget_database(&self, name: String) {
        lock(&self.inner.finished).push(name);
    }

    /// A superuser's client in the database `postgres`, over the Unix socket.
    pub async fn admin(&self) -> Client {
        self.admin_in("postgres").await
    }

    /// A superuser's client in the given database, over the Unix socket.
    pub async fn admin_in(&self, database: &str) -> Client {
        let mut config = tokio_postgres::Config::new();
        config.host_path(self.socket_dir()).port(self.inner.port).user(SUPERUSER).dbname(database);
        connect(&config).await
    }

    /// The ordinary role's client in the given database, over TCP.
    pub async fn client_in(&self, database: &str) -> Client {
        let mut config = tokio_postgres::Config::new();
        config.host("127.0.0.1").port(self.inner.port).user(ROLE).password(PASSWORD);
        config.dbname(database);
        connect(&config).await
    }

    /// Runs statements as the superuser in the default database of the ordinary role.
    pub async fn batch(&self, sql: &str) {
        let admin = self.admin_in(DATABASE).await;
        admin.batch_execute(sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    }

    /// Terminates the client backends for which `filter`, a condition over `pg_stat_activity`
    /// such as `usename = 'app'`, holds, waits until they are gone, and says how many they were.
    pub async fn kill_backends(&self, filter: &str) -> i64 {
        // The second argument makes the server wait for each to end, in milliseconds.
        let sql = format!(
            "SELECT count(*) FROM (SELECT pg_terminate_backend(pid, 10000) AS gone \
             FROM pg_stat_activity WHERE backend_type = 'client backend' \
             AND pid <> pg_backend_pid() AND ({filter})) AS ended WHERE gone"
        );
        let admin = self.admin().await;
        let row = admin.query_one(&sql, &[]).await;
        row.unwrap_or_else(|error| panic!("{sql}: {error:?}")).get(0)
    }

    /// How many client backends, except the one that counts, satisfy `filter` (as in
    /// [`TestCluster::kill_backends`]).
    pub async fn count_backends(&self, filter: &str) -> i64 {
        let sql = format!(
            "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' \
             AND pid <> pg_backend_pid() AND ({filter})"
        );
        let row = self.admin().await.query_one(&sql, &[]).await;
        row.unwrap_or_else(|error| panic!("{sql}: {error:?}")).get(0)
    }

    /// Stops the server and returns when it is gone. Nothing to do when it is stopped.
    pub async fn stop(&self, mode: StopMode) {
        let running = lock(&self.inner.server).take();
        if let Some(server) = running {
            blocking(move || server.stop(mode)).await;
        }
    }

    /// Starts a stopped server on the same port and returns when it accepts connections.
    ///
    /// # Panics
    /// When it runs already or does not start.
    pub async fn start_again(&self) {
        let inner = Arc::clone(&self.inner);
        blocking(move || {
            let mut slot = lock(&inner.server);
            assert!(slot.is_none(), "the server runs already");
            *slot = Some(inner.launch());
        })
        .await;
    }

    /// [`TestCluster::stop`], then [`TestCluster::start_again`].
    pub async fn restart(&self, mode: StopMode) {
        self.stop(mode).await;
        self.start_again().await;
    }

    /// Whether the server process runs.
    #[must_use]
    pub fn is_running(&self) -> bool {
        lock(&self.inner.server).as_mut().is_some_and(Server::is_running)
    }

    /// Replaces `pg_hba.conf` by these lines (after the superuser's own, which stays) and has the
    /// server read it.
    pub fn set_hba(&self, lines: &str) {
        let text = format!("local all {SUPERUSER} trust\n{lines}\n");
        let path = self.inner.dir.path().join("data/pg_hba.conf");
        std::fs::write(&path, text).expect("write pg_hba.conf");
        self.inner.account.own(&path);
        if let Some(server) = lock(&self.inner.server).as_ref() {
            server.reload();
        }
    }

    /// All that the server has logged.
    #[must_use]
    pub fn log(&self) -> String {
        let bytes = std::fs::read(log_file(self.inner.dir.path())).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

impl Inner {
    /// The same programs for a directory that holds a copy; not started.
    pub(super) fn copied_to(&self, dir: TempDir) -> Self {
        Self {
            programs: self.programs.clone(),
            account: self.account,
            port: free_port(),
            server: Mutex::new(None),
            finished: Mutex::default(),
            watchdog: Some(Watchdog::start(dir.path())),
            dir,
        }
    }

    fn launch(&self) -> Server {
        let deadline = Instant::now() + PORT_PATIENCE;
        loop {
            match Server::start(self.dir.path(), self.port, &self.programs, &self.account) {
                Ok(server) => return server,
                Err(StartError::PortTaken) if Instant::now() < deadline => {}
                Err(StartError::PortTaken) => panic!("port {} was taken meanwhile", self.port),
                Err(StartError::Failed(why)) => panic!("{why}"),
            }
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let server = self.server.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(server) = server {
            // A panic here, while a test's own panic unwinds, would abort the whole test binary.
            let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                server.stop(StopMode::Immediate);
            }));
        }
        drop(self.watchdog.take());
    }
}

async fn connect(config: &tokio_postgres::Config) -> Client {
    let (client, connection) = config
        .connect(NoTls)
        .await
        .unwrap_or_else(|error| panic!("cannot connect to the test cluster: {error:?}"));
    tokio::spawn(connection);
    client
}

/// Runs what blocks off the test's runtime; a paused clock stands still meanwhile.
pub(super) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(value) => value,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

/// A port on which nobody listens at this moment. Somebody may before we do: callers retry.
fn free_port() -> u16 {
    let mut rng = rand::rng();
    (0..1000)
        .map(|_| rng.random_range(PORTS))
        .find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .expect("no free TCP port on 127.0.0.1")
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
