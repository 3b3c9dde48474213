//! The server process: pools, listeners, signals and an orderly end.
//!
//! ```text
//! running ── SIGINT/SIGTERM ──► draining ── nobody connected, or grace is over ──► ended
//!                                  └────────────── second signal ───────────────────┘
//! ```
//! While draining everything works on, new connections included: RoadRunner's HTTP workers still
//! finish requests, and one of those may connect only now.

use std::sync::Arc;
use std::time::Duration;

use pool_manager::{DatabasePool, Error, HeldLimits, PRIMARY, PoolLimits, PoolRegistry};
use tokio::sync::watch;

use crate::config::{ByteSize, Config};
use crate::rpc::{BoundListener, ListenError, Service, ServiceOptions};

/// How long rolling back may take after the grace, and then closing the pools.
const CLOSE_LIMIT: Duration = Duration::from_millis(500);
/// How often a draining server looks whether anybody is left.
const DRAIN_POLL: Duration = Duration::from_millis(20);

/// Why the server cannot start.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// A pool cannot be built from its configuration.
    #[error(transparent)]
    Pool(#[from] Error),
    /// An address cannot be listened on.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// Signals cannot be received.
    #[error("cannot receive signals: {0}")]
    Signals(std::io::Error),
}

/// A server that listens, ready to run.
pub struct Server {
    service: Arc<Service>,
    listener: Option<BoundListener>,
    grace: Duration,
    max_connections: usize,
}

impl Server {
    /// Builds the pools and listens. With `enabled: false` there are neither.
    pub async fn start(config: &Config) -> Result<Self, ServeError> {
        let pools = if config.enabled { pools(config)? } else { Vec::new() };
        let options = service_options(config);
        let service = Arc::new(Service::new(PoolRegistry::new(pools), options));
        let listener = if config.enabled {
            Some(BoundListener::bind(&config.rpc.listen, config.rpc.file_mode.bits()).await?)
        } else {
            None
        };
        Ok(Self {
            service,
            listener,
            grace: config.shutdown.grace.get(),
            max_connections: config.rpc.max_connections as usize,
        })
    }

    /// The service, for callers inside the process.
    pub fn service(&self) -> &Arc<Service> {
        &self.service
    }

    /// Where RPC clients connect: the TCP port that was chosen, or the configured address.
    pub fn address(&self) -> Option<String> {
        let listener = self.listener.as_ref()?;
        Some(match listener.local_addr() {
            Some(address) => format!("tcp://{address}"),
            None => listener.address().to_owned(),
        })
    }

    /// Serves until `stop` resolves, then drains: everything works on until nobody is connected
    /// or the grace is over. A resolved `stop_now` ends the draining at once.
    pub async fn run(self, stop: impl Future<Output = ()>, stop_now: impl Future<Output = ()>) {
        let (stop_listening, stopped) = watch::channel(false);
        let service = Arc::clone(&self.service);
        let clients = self.listener.map(|listener| {
            let service = Arc::clone(&service);
            tokio::spawn(listener.serve(service, self.max_connections, stopped))
        });
        stop.await;
        tracing::info!(grace = ?self.grace, "draining");
        let drained = async {
            while service.clients() > 0 {
                tokio::time::sleep(DRAIN_POLL).await;
            }
        };
        tokio::select! {
            () = drained => {}
            () = tokio::time::sleep(self.grace) => {
                tracing::info!(clients = service.clients(), "the grace is over");
            }
            () = stop_now => tracing::info!("ended by a second signal"),
        }
        stop_listening.send_replace(true);
        // A server that does not answer rolls back when its connections are closed.
        if tokio::time::timeout(CLOSE_LIMIT, service.held.end_all()).await.is_err() {
            tracing::warn!("some transactions were not rolled back within {CLOSE_LIMIT:?}");
        }
        if let Some(clients) = clients {
            clients.abort();
            let _ = clients.await;
        }
        let closing = service.registry.iter().map(|pool| pool.close(CLOSE_LIMIT));
        futures_util::future::join_all(closing).await;
        tracing::info!("stopped");
    }
}

/// Serves as a process does: until SIGINT or SIGTERM, and a second one ends at once.
///
/// # Errors
/// The server cannot start.
pub async fn serve(config: &Config) -> Result<(), ServeError> {
    let signals = Signals::new().map_err(ServeError::Signals)?;
    serve_until(config, signals, |_| {}).await
}

/// [`serve`] with signals that were listened for already; `ready` is called once, when the server
/// listens.
pub(crate) async fn serve_until(
    config: &Config,
    mut signals: Signals,
    ready: impl FnOnce(&Server),
) -> Result<(), ServeError> {
    let server = Server::start(config).await?;
    announce(config, &server);
    ready(&server);
    let (first, mut seen) = watch::channel(0);
    let signals = tokio::spawn(async move {
        loop {
            signals.next().await;
            first.send_modify(|count| *count += 1);
        }
    });
    let mut seen_again = seen.clone();
    let stop = async move {
        let _ = seen.wait_for(|count| *count >= 1).await;
    };
    let stop_now = async move {
        let _ = seen_again.wait_for(|count| *count >= 2).await;
    };
    server.run(stop, stop_now).await;
    signals.abort();
    Ok(())
}

fn announce(config: &Config, server: &Server) {
    tracing::info!(version = env!("CARGO_PKG_VERSION"), "rr-pgpool");
    match server.address() {
        Some(address) => tracing::info!(%address, "listening for goridge RPC"),
        None => tracing::info!("pgpool.enabled is false: idling without listeners"),
    }
    for pool in server.service.registry.iter() {
        tracing::info!(pool = pool.name(), max_connections = pool.stats().max_connections, "pool");
    }
    for inactive in config.inactive() {
        tracing::warn!(key = %inactive.key, "accepted, not active yet");
    }
}

fn pools(config: &Config) -> Result<Vec<DatabasePool>, Error> {
    let limits = PoolLimits {
        max_message: bytes(config.rpc.max_frame_size),
        slow_threshold: config.logging.slow_query.threshold.get(),
    };
    let databases =
        config.databases.iter().map(|(name, database)| (name.as_str(), &database.primary));
    std::iter::once((PRIMARY, &config.backends.primary))
        .chain(databases)
        .map(|(name, backend)| DatabasePool::with_limits(name, backend, limits))
        .collect()
}

/// A configured size; checked against a limit far below a 32-bit machine's.
fn bytes(size: ByteSize) -> usize {
    usize::try_from(size.bytes()).unwrap_or(usize::MAX)
}

fn service_options(config: &Config) -> ServiceOptions {
    let slow = &config.logging.slow_query;
    ServiceOptions {
        max_frame_size: bytes(config.rpc.max_frame_size),
        max_in_flight: config.rpc.max_in_flight as usize,
        held: HeldLimits {
            idle_timeout: config.transactions.idle_timeout.limit(),
            max_lifetime: config.transactions.max_lifetime.limit(),
        },
        slow_query: slow.enabled.then(|| slow.threshold.get()),
        log_queries: config.logging.log_queries,
        log_params: config.logging.log_params,
        expose_stats: config.monitoring.expose_rpc,
    }
}

/// SIGINT and SIGTERM.
pub(crate) struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

impl Signals {
    pub(crate) fn new() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    /// Resolves at the next of them. Cancel safe.
    pub(crate) async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
