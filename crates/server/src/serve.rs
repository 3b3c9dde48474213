//! The server process: pools, listeners, signals and an orderly end.
//!
//! ```text
//! running ── SIGINT/SIGTERM ──► draining ── nobody connected, or grace is over ──► ended
//!                                  └────────────── second signal ───────────────────┘
//! ```
//! While draining everything works on, new connections included: RoadRunner's HTTP workers still
//! finish requests, and one of those may connect only now.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use pgwire_proxy::{BadCredential, ClientStream, Control, Proxy, ShutdownKind};
use pool_manager::{DatabasePool, Error, PoolRegistry};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::assemble::{self, Existing};
use crate::config::{Config, ListenAddress, SettingError};
use crate::listen::{Accepted, BoundListener, ListenError, Places};
use crate::monitoring::{self, Monitor, Offers};
use crate::notify::Notifier;
use crate::reload::{Reloader, Source};
use crate::rpc::{self, Service};
use crate::signals::{Signal, Signals};

/// How long rolling back may take after the grace, and then closing the pools.
const CLOSE_LIMIT: Duration = Duration::from_millis(500);
/// How often a draining server looks whether anybody is left.
const DRAIN_POLL: Duration = Duration::from_millis(20);
/// Connections of the PostgreSQL door beyond `proxy.max_clients`: for those that are told that
/// there are too many, and for cancel requests.
pub(crate) const SPARE_CONNECTIONS: u32 = 100;

/// Why the server cannot start.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// A pool cannot be built from its configuration.
    #[error(transparent)]
    Pool(#[from] Error),
    /// An address cannot be listened on.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// A setting of the PostgreSQL door cannot be used.
    #[error("{0}")]
    Proxy(SettingError),
    /// A stored password cannot be used.
    #[error("proxy.users: {0}")]
    Credential(#[from] BadCredential),
    /// Signals cannot be received.
    #[error("cannot receive signals: {0}")]
    Signals(std::io::Error),
}

/// A server that listens, ready to run.
pub struct Server {
    service: Arc<Service>,
    proxy: Option<Arc<Proxy>>,
    rpc_listener: Option<BoundListener>,
    proxy_listener: Option<BoundListener>,
    monitor: Arc<Monitor>,
    http_listeners: Vec<(BoundListener, Offers)>,
    reloader: Arc<Reloader>,
    rpc_places: Arc<Places>,
    proxy_places: Arc<Places>,
}

impl Server {
    /// Builds the pools and listens. With `enabled: false` there are neither.
    pub async fn start(config: &Config) -> Result<Self, ServeError> {
        Self::start_from(config, None).await
    }

    /// The same with a `source` from which the configuration can be read again.
    ///
    /// # Errors
    /// A pool cannot be built, or an address not be listened on.
    pub async fn start_from(config: &Config, source: Option<Source>) -> Result<Self, ServeError> {
        let pools = match config.enabled {
            true => assemble::pools(config, &mut Existing::default())?,
            false => assemble::Pools::default(),
        };
        let proxy_address = config.proxy.address.get().filter(|_| config.enabled);
        let proxy = match proxy_address {
            Some(_) => {
                let (databases, options) = assemble::door(config, &pools)?;
                Some(Proxy::new(databases, options))
            }
            None => None,
        };
        let own = pools.own.into_iter().map(|own| own.pool);
        let registry = PoolRegistry::with(pools.databases, own);
        let service = Arc::new(Service::new(registry, assemble::service_options(config)));
        let rpc_listener = if config.enabled {
            let (address, mode) = (&config.rpc.listen, config.rpc.file_mode.bits());
            Some(BoundListener::bind("pgpool.rpc.listen", address, mode).await?)
        } else {
            None
        };
        let proxy_listener = match proxy_address {
            Some(address) => {
                let mode = config.proxy.file_mode.bits();
                Some(BoundListener::bind("pgpool.proxy.address", address, mode).await?)
            }
            None => None,
        };
        let http_listeners =
            if config.enabled { http_listeners(config).await? } else { Vec::new() };
        let proxy_places = Places::new((config.proxy.max_clients + SPARE_CONNECTIONS) as usize);
        let places = Arc::clone(&proxy_places);
        let reloader = Reloader::new(config, source, &service, proxy.as_ref(), places);
        let control: Arc<dyn Control> = Arc::clone(&reloader) as Arc<dyn Control>;
        service.control_by(Arc::downgrade(&control));
        if let Some(proxy) = &proxy {
            proxy.control_by(control);
        }
        Ok(Self {
            monitor: Arc::new(Monitor::new(config, Arc::clone(&service), proxy.clone())),
            service,
            proxy,
            rpc_listener,
            proxy_listener,
            http_listeners,
            reloader,
            rpc_places: Places::new(config.rpc.max_connections as usize),
            proxy_places,
        })
    }

    /// Who changes its configuration.
    pub(crate) fn reloader(&self) -> Arc<Reloader> {
        Arc::clone(&self.reloader)
    }

    /// The service, for callers inside the process.
    pub fn service(&self) -> &Arc<Service> {
        &self.service
    }

    /// The PostgreSQL door, for callers inside the process.
    pub fn proxy(&self) -> Option<&Arc<Proxy>> {
        self.proxy.as_ref()
    }

    /// Where RPC clients connect.
    pub fn address(&self) -> Option<String> {
        self.rpc_listener.as_ref().map(BoundListener::address)
    }

    /// Where PostgreSQL clients connect.
    pub fn proxy_address(&self) -> Option<String> {
        self.proxy_listener.as_ref().map(BoundListener::address)
    }

    /// Where metrics and status are served, with what it is.
    pub fn http_addresses(&self) -> impl Iterator<Item = (String, &'static str)> {
        self.http_listeners.iter().map(|(listener, offers)| (listener.address(), offers.what()))
    }

    /// Serves until `stop` resolves, then drains: everything works on until nobody is connected
    /// or the grace is over. A resolved `stop_now` ends the draining at once. The console may order
    /// other ways to end.
    pub async fn run(mut self, stop: impl Future<Output = ()>, stop_now: impl Future<Output = ()>) {
        let (stop_listening, stopped) = watch::channel(false);
        let doors = self.open_doors(&stopped);
        let watching = self.begin_watching(&stopped);
        let mut stop = pin!(stop);
        let order = tokio::select! {
            () = &mut stop => None,
            kind = self.reloader.ordered() => Some(kind),
        };
        self.monitor.drains();
        match order {
            None => self.drain(stop_now).await,
            Some(ShutdownKind::Now) => {}
            Some(kind) => {
                stop_listening.send_replace(true);
                self.wait_for(kind, stop).await;
            }
        }
        stop_listening.send_replace(true);
        self.send_clients_away().await;
        for door in doors {
            door.abort();
            let _ = door.await;
        }
        for task in watching {
            task.abort();
            let _ = task.await;
        }
        let live = self.service.live();
        let closing = live.registry.iter().map(|pool| pool.close(CLOSE_LIMIT));
        futures_util::future::join_all(closing).await;
        tracing::info!("stopped");
    }

    /// Everything works on until nobody is connected, the grace is over, or the end is to be now.
    async fn drain(&self, stop_now: impl Future<Output = ()>) {
        let grace = self.reloader.grace();
        tracing::info!(?grace, "draining");
        let ordered_now = async {
            while self.reloader.ordered().await != ShutdownKind::Now {
                tokio::time::sleep(DRAIN_POLL).await;
            }
        };
        tokio::select! {
            () = self.nobody_left() => {}
            () = tokio::time::sleep(grace) => {
                tracing::info!(clients = self.clients(), "the grace is over");
            }
            () = stop_now => tracing::info!("ended by a second signal"),
            () = ordered_now => {}
        }
    }

    /// Nobody new is let in; however long it takes, until those inside have left or `stop` resolves.
    async fn wait_for(&self, kind: ShutdownKind, stop: impl Future<Output = ()>) {
        let live = self.service.live();
        let done = async {
            if kind == ShutdownKind::WaitForClients {
                return self.nobody_left().await;
            }
            live.registry.iter().for_each(DatabasePool::pause);
            futures_util::future::join_all(live.registry.iter().map(DatabasePool::paused)).await;
        };
        tokio::select! {
            () = done => {}
            () = stop => tracing::info!("ended by a signal"),
        }
    }

    async fn nobody_left(&self) {
        while self.clients() > 0 {
            tokio::time::sleep(DRAIN_POLL).await;
        }
    }

    /// Starts to accept clients.
    fn open_doors(&mut self, stopped: &watch::Receiver<bool>) -> Vec<JoinHandle<()>> {
        let mut doors = Vec::new();
        if let Some(listener) = self.rpc_listener.take() {
            let service = Arc::clone(&self.service);
            let serve = move |socket, place| rpc::serve_client(Arc::clone(&service), socket, place);
            let places = Arc::clone(&self.rpc_places);
            doors.push(tokio::spawn(listener.serve("RPC", places, stopped.clone(), serve)));
        }
        if let Some((listener, proxy)) = self.proxy_listener.take().zip(self.proxy.clone()) {
            let serve = move |socket, place| Arc::clone(&proxy).serve(client_stream(socket), place);
            let places = Arc::clone(&self.proxy_places);
            doors.push(tokio::spawn(listener.serve("proxy", places, stopped.clone(), serve)));
        }
        doors
    }

    /// Starts to serve metrics and status, and to take samples where somebody can see them.
    fn begin_watching(&mut self, stopped: &watch::Receiver<bool>) -> Vec<JoinHandle<()>> {
        let mut tasks = Vec::new();
        if !self.http_listeners.is_empty() {
            tasks.push(tokio::spawn(Arc::clone(&self.monitor).sample()));
        }
        for (listener, offers) in self.http_listeners.drain(..) {
            let monitor = Arc::clone(&self.monitor);
            let serve = move |socket, place| {
                monitoring::serve_client(Arc::clone(&monitor), offers, socket, place)
            };
            let places = Places::new(monitoring::MAX_CONNECTIONS);
            tasks.push(tokio::spawn(listener.serve("HTTP", places, stopped.clone(), serve)));
        }
        tasks
    }

    fn clients(&self) -> usize {
        self.service.clients() + self.proxy.as_ref().map_or(0, |proxy| proxy.clients())
    }

    /// Rolls back what RPC callers hold, and tells PostgreSQL clients that the end has come. A
    /// server that does not answer rolls back when its connections are closed.
    async fn send_clients_away(&self) {
        let roll_back = async {
            if tokio::time::timeout(CLOSE_LIMIT, self.service.held.end_all()).await.is_err() {
                tracing::warn!("some transactions were not rolled back within {CLOSE_LIMIT:?}");
            }
        };
        let proxy = async {
            let Some(proxy) = &self.proxy else { return };
            proxy.end_all();
            let gone = async {
                while proxy.clients() > 0 {
                    tokio::time::sleep(DRAIN_POLL).await;
                }
            };
            let _ = tokio::time::timeout(CLOSE_LIMIT, gone).await;
        };
        tokio::join!(roll_back, proxy);
    }
}

/// Listens where metrics and status are to be served: at one address when both have the same.
async fn http_listeners(config: &Config) -> Result<Vec<(BoundListener, Offers)>, ListenError> {
    let monitoring = &config.monitoring;
    let (metrics, status) = (monitoring.metrics_address(), monitoring.status_address());
    let wanted = [
        ("pgpool.monitoring.prometheus.address", metrics),
        ("pgpool.monitoring.status.address", status.filter(|address| metrics != Some(address))),
    ];
    let mut listeners = Vec::new();
    for (key, address) in wanted {
        let Some(address) = address else { continue };
        let is_it = |other: Option<&ListenAddress>| other == Some(address);
        let offers = Offers { metrics: is_it(metrics), status: is_it(status) };
        let mode = monitoring.file_mode.bits();
        listeners.push((BoundListener::bind(key, address, mode).await?, offers));
    }
    Ok(listeners)
}

fn client_stream(socket: Accepted) -> ClientStream {
    match socket {
        Accepted::Tcp(stream) => ClientStream::Tcp(stream),
        Accepted::Unix(stream) => ClientStream::Unix(stream),
    }
}

/// Serves as a process does: until SIGINT or SIGTERM, and a second one ends at once. With the id of
/// the `parent` process, its end counts as the first of them. systemd is told of it where it has
/// started the process.
///
/// # Errors
/// The server cannot start.
pub async fn serve(
    config: &Config,
    source: Option<Source>,
    parent: Option<u32>,
) -> Result<(), ServeError> {
    let signals = Signals::new(parent).map_err(ServeError::Signals)?;
    let notifier = Notifier::from_env(&|name| std::env::var_os(name));
    serve_until(config, source, signals, notifier, |_| {}).await
}

/// [`serve`] with signals that were listened for already; `ready` is called once, when the server
/// listens.
pub(crate) async fn serve_until(
    config: &Config,
    source: Option<Source>,
    mut signals: Signals,
    notifier: Notifier,
    ready: impl FnOnce(&Server),
) -> Result<(), ServeError> {
    let reloads = source.is_some();
    let server = Server::start_from(config, source).await?;
    announce(&server);
    ready(&server);
    let status = status(&server);
    notifier.ready(&status);
    let notifier = Arc::new(notifier);
    let alive = Arc::clone(&notifier);
    let alive = tokio::spawn(async move { alive.keep_alive().await });
    let (first, mut seen) = watch::channel(0);
    let reloader = server.reloader();
    let grace = reloader.grace();
    let manager = Arc::clone(&notifier);
    let signals = tokio::spawn(async move {
        loop {
            match signals.next().await {
                Signal::Reload if reloads => {
                    manager.reloading();
                    // The log has the result.
                    let _ = reloader.reload().await;
                    manager.ready(&status);
                }
                Signal::End | Signal::Reload => first.send_modify(|count| *count += 1),
            }
        }
    });
    let mut seen_again = seen.clone();
    let stop = async move {
        let _ = seen.wait_for(|count| *count >= 1).await;
        notifier.stopping(grace);
    };
    let stop_now = async move {
        let _ = seen_again.wait_for(|count| *count >= 2).await;
    };
    server.run(stop, stop_now).await;
    signals.abort();
    alive.abort();
    Ok(())
}

/// In a line, for a service manager.
fn status(server: &Server) -> String {
    let doors = [server.address(), server.proxy_address()];
    let doors: Vec<_> = doors.into_iter().flatten().collect();
    if doors.is_empty() {
        return "Idle: pgpool.enabled is false".to_owned();
    }
    format!("Serving at {}", doors.join(", "))
}

fn announce(server: &Server) {
    tracing::info!(version = env!("CARGO_PKG_VERSION"), "rr-pgpool");
    match server.address() {
        Some(address) => tracing::info!(%address, "listening for goridge RPC"),
        None => tracing::info!("pgpool.enabled is false: idling without listeners"),
    }
    if let Some(address) = server.proxy_address() {
        tracing::info!(%address, "listening for PostgreSQL clients");
    }
    for (address, what) in server.http_addresses() {
        tracing::info!(%address, "listening for HTTP: {what}");
    }
    for pool in server.service.live().registry.iter() {
        tracing::info!(pool = pool.name(), max_connections = pool.stats().max_connections, "pool");
    }
}
