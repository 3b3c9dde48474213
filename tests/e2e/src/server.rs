//! A server on a thread and a runtime of its own, so that it neither borrows the test's threads
//! nor is held up by them. It never outlives the process, and is told to stop when dropped.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use rr_pgpool::config::Config;
use rr_pgpool::reload::Source;
use rr_pgpool::rpc::Service;
use rr_pgpool::serve::{ServeError, Server};
use serde_json::{Value, json};
use test_support::postgres::{PASSWORD, ROLE};
use test_support::{HttpReply, RpcClient, WireClient, WireError, http_get};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{oneshot, watch};

/// A configuration over one database: free ports, ten connections opened as they are needed, and
/// next to no grace at the end. `more` is the `pgpool:` section of `.rr.yaml` as JSON, laid over it.
///
/// # Panics
/// When the result is no valid configuration.
#[must_use]
pub fn config(dsn: &str, more: &Value) -> Config {
    let mut section = json!({
        "rpc": {"listen": "tcp://127.0.0.1:0"},
        "proxy": {"address": "tcp://127.0.0.1:0"},
        "backends": {"primary": {
            "dsn": dsn,
            "pool": {"max_connections": 10, "min_connections": 0},
        }},
        "shutdown": {"grace": "10ms"},
    });
    lay_over(&mut section, more);
    let config: Config =
        serde_json::from_value(section).unwrap_or_else(|error| panic!("{more}: {error}"));
    config.validate().unwrap_or_else(|error| panic!("{more}: {}: {}", error.key, error.reason));
    config
}

fn lay_over(base: &mut Value, more: &Value) {
    match (base, more) {
        (Value::Object(base), Value::Object(more)) => {
            for (key, value) in more {
                lay_over(base.entry(key).or_insert(Value::Null), value);
            }
        }
        (base, more) => *base = more.clone(),
    }
}

/// What a server finds when it reads its configuration again.
#[derive(Clone)]
pub struct ConfigFile(Arc<Mutex<Result<Config, String>>>);

impl ConfigFile {
    /// A file that says this.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        Self(Arc::new(Mutex::new(Ok(config.clone()))))
    }

    /// Has it say something else, or be wrong.
    pub fn write(&self, contents: Result<Config, String>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = contents;
    }
}

/// A running server.
pub struct TestServer {
    address: String,
    proxy_address: String,
    http_addresses: Vec<String>,
    service: Arc<Service>,
    /// How many stops it was told: the first drains, the second ends at once.
    stops: watch::Sender<u8>,
    thread: Option<JoinHandle<()>>,
}

impl TestServer {
    /// Starts it over one database with [`config`], on one thread.
    pub async fn start(dsn: &str, more: &Value) -> Self {
        Self::start_on(1, config(dsn, more)).await
    }

    /// Starts it on `threads` worker threads.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn start_on(threads: usize, config: Config) -> Self {
        Self::try_start(threads, config).await.unwrap_or_else(|error| panic!("{error}"))
    }

    /// [`TestServer::start_on`], or why it does not start.
    pub async fn try_start(threads: usize, config: Config) -> Result<Self, ServeError> {
        Self::try_start_from(threads, config, None).await
    }

    /// A server that reads its configuration again from what `file` is set to.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn start_from(config: Config, file: &ConfigFile) -> Self {
        let file = Arc::clone(&file.0);
        let source: Source =
            Box::new(move || file.lock().unwrap_or_else(PoisonError::into_inner).clone());
        let started = Self::try_start_from(1, config, Some(source)).await;
        started.unwrap_or_else(|error| panic!("{error}"))
    }

    async fn try_start_from(
        threads: usize,
        config: Config,
        source: Option<Source>,
    ) -> Result<Self, ServeError> {
        let (stops, stopped) = watch::channel(0);
        let (tell, started) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            runtime(threads).block_on(async move {
                match Server::start_from(&config, source).await {
                    Ok(server) => {
                        let http = server.http_addresses().map(|(address, _)| address).collect();
                        let addresses = (server.address(), server.proxy_address(), http);
                        let _ = tell.send(Ok((addresses, Arc::clone(server.service()))));
                        server.run(told(stopped.clone(), 1), told(stopped, 2)).await;
                    }
                    Err(error) => {
                        let _ = tell.send(Err(error));
                    }
                }
            });
        });
        let (addresses, service) = started.await.expect("the server's thread lives")?;
        let address = addresses.0.unwrap_or_default();
        let proxy_address = addresses.1.unwrap_or_default();
        let http_addresses: Vec<String> = addresses.2;
        Ok(Self { address, proxy_address, http_addresses, service, stops, thread: Some(thread) })
    }

    /// Where RPC clients connect.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Where PostgreSQL clients connect.
    #[must_use]
    pub fn proxy_address(&self) -> &str {
        &self.proxy_address
    }

    /// Where metrics and status are served: one address when both are served there.
    #[must_use]
    pub fn http_addresses(&self) -> &[String] {
        &self.http_addresses
    }

    /// The answer to a GET at the first of them.
    ///
    /// # Errors
    /// There is none.
    pub async fn get(&self, path: &str) -> std::io::Result<HttpReply> {
        http_get(self.http_addresses.first().map_or("", String::as_str), path).await
    }

    /// How many RPC clients the server sees.
    #[must_use]
    pub fn clients(&self) -> usize {
        self.service.clients()
    }

    /// A new RPC connection.
    ///
    /// # Panics
    /// When the server does not listen.
    pub async fn client(&self) -> RpcClient {
        RpcClient::connect(&self.address)
            .await
            .unwrap_or_else(|error| panic!("{}: {error}", self.address))
    }

    /// A new PostgreSQL client of the primary database, logged in.
    ///
    /// # Panics
    /// When it is not let in.
    #[track_caller]
    pub fn wire(&self) -> impl Future<Output = WireClient> {
        let caller = std::panic::Location::caller();
        async move {
            let client = self.wire_with(&[]).await;
            client.unwrap_or_else(|error| panic!("{caller}: {error}"))
        }
    }

    /// The same with more parameters in the startup message; they replace those of the same name.
    pub async fn wire_with(&self, more: &[(&str, &str)]) -> Result<WireClient, WireError> {
        let usual = [("user", ROLE), ("database", "primary")];
        let usual = usual.iter().filter(|(name, _)| more.iter().all(|other| other.0 != *name));
        let parameters: Vec<_> = usual.chain(more).copied().collect();
        WireClient::login(&self.proxy_address, PASSWORD, &parameters).await
    }

    /// Says stop, once more each time, as a signal does.
    pub fn stop(&self) {
        self.stops.send_modify(|count| *count += 1);
    }

    /// Resolves when the server has ended.
    ///
    /// # Panics
    /// When its thread panicked.
    pub async fn ended(mut self) {
        if let Some(thread) = self.thread.take() {
            let joined = tokio::task::spawn_blocking(move || thread.join()).await;
            assert!(matches!(joined, Ok(Ok(()))), "the server's thread panicked");
        }
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        // Not waited for: links of the test that the server may wait for end only after this.
        self.stops.send_replace(2);
    }
}

fn runtime(threads: usize) -> Runtime {
    let mut builder = if threads == 1 {
        Builder::new_current_thread()
    } else {
        let mut builder = Builder::new_multi_thread();
        builder.worker_threads(threads);
        builder
    };
    builder.enable_all().build().expect("a runtime")
}

async fn told(mut stops: watch::Receiver<u8>, count: u8) {
    // A sender that is gone says stop as well.
    let _ = stops.wait_for(|stops| *stops >= count).await;
}
