//! Changing the configuration of a server that works: from the file again, or one setting by SET. A
//! configuration that is wrong in anything changes nothing.
//!
//! ```text
//! SIGHUP, RELOAD, pgpool.Reload ──► load, check ─┐
//! SET ──► the present one, changed, checked ─────┴► what differs ──► pools, doors ──► the log
//! ```
//! Pools are changed in place, so that old and new connections share one bound.

mod changes;
mod settings;

use std::sync::{Arc, Weak};

use pgwire_proxy::{Control, ControlFuture, Proxy, Setting, ShutdownKind};
use pool_manager::PoolRegistry;
use tokio::sync::{Mutex, watch};

use crate::assemble::{self, Existing};
use crate::config::Config;
use crate::listen::Places;
use crate::rpc::Service;
use crate::serve::{SPARE_CONNECTIONS, ServeError};

/// Reads the configuration again, as it was read at the start.
pub type Source = Box<dyn Fn() -> Result<Config, String> + Send + Sync>;

/// How long callers of a pool that is configured no more may go on with it.
const FAREWELL: std::time::Duration = std::time::Duration::from_secs(3600);

/// Whoever asks for a change finds it here.
pub(crate) struct Reloader {
    /// What holds; its lock is had by whoever changes it.
    config: Mutex<Config>,
    /// The same to look at.
    shown: arc_swap::ArcSwap<Config>,
    source: Option<Source>,
    service: Weak<Service>,
    proxy: Weak<Proxy>,
    /// Places at the PostgreSQL door.
    places: Arc<Places>,
    orders: watch::Sender<Option<ShutdownKind>>,
}

impl Reloader {
    pub(crate) fn new(
        config: &Config,
        source: Option<Source>,
        service: &Arc<Service>,
        proxy: Option<&Arc<Proxy>>,
        places: Arc<Places>,
    ) -> Arc<Self> {
        Arc::new(Self {
            config: Mutex::new(config.clone()),
            shown: arc_swap::ArcSwap::from_pointee(config.clone()),
            source,
            service: Arc::downgrade(service),
            proxy: proxy.map(Arc::downgrade).unwrap_or_default(),
            places,
            orders: watch::Sender::new(None),
        })
    }

    /// Resolves when the process was told to end.
    pub(crate) async fn ordered(&self) -> ShutdownKind {
        let mut orders = self.orders.subscribe();
        let order = orders.wait_for(Option::is_some).await.ok().and_then(|order| *order);
        match order {
            Some(kind) => kind,
            None => std::future::pending().await,
        }
    }

    /// How long everything works on after the first signal.
    pub(crate) fn grace(&self) -> std::time::Duration {
        self.shown.load().shutdown.grace.get()
    }

    /// Reads the file again and has it hold; what has changed.
    pub(crate) async fn reload(&self) -> Result<Vec<String>, String> {
        let mut config = self.config.lock().await;
        let Some(source) = &self.source else {
            return Err("this server was not started from a configuration file".to_owned());
        };
        let done = match source() {
            Ok(new) => self.apply(&mut config, new),
            Err(why) => Err(why),
        };
        match &done {
            Ok(changes) if changes.is_empty() => {
                tracing::info!("configuration reloaded: nothing has changed");
            }
            Ok(changes) => {
                tracing::info!("configuration reloaded");
                changes.iter().for_each(|change| tracing::info!("changed: {change}"));
            }
            Err(why) => tracing::error!("configuration not reloaded, nothing was changed: {why}"),
        }
        done
    }

    async fn set(&self, key: &str, value: &str) -> Result<Vec<String>, String> {
        let mut config = self.config.lock().await;
        let mut new = config.clone();
        settings::set(&mut new, key, value)?;
        new.validate().map_err(|error| format!("{}: {}", error.key, error.reason))?;
        let changes = self.apply(&mut config, new)?;
        changes.iter().for_each(|change| tracing::info!("changed by SET: {change}"));
        Ok(changes)
    }

    /// Has `new` hold, but for what needs a restart, of which the lines say so.
    fn apply(&self, config: &mut Config, mut new: Config) -> Result<Vec<String>, String> {
        let (Some(service), proxy) = (self.service.upgrade(), self.proxy.upgrade()) else {
            return Err("the server is about to end".to_owned());
        };
        let mut lines = changes::between(config, &new);
        changes::keep_what_needs_a_restart(config, &mut new);
        assemble::check(&new).map_err(|error| error.to_string())?;
        if new.enabled {
            self.assemble(&new, &service, proxy.as_deref()).map_err(|error| error.to_string())?;
        }
        lines.extend(changes::files_read_again(&new));
        self.shown.store(Arc::new(new.clone()));
        *config = new;
        Ok(lines)
    }

    fn assemble(
        &self,
        new: &Config,
        service: &Service,
        proxy: Option<&Proxy>,
    ) -> Result<(), ServeError> {
        let before = service.live();
        let mut existing = Existing::of(&before.registry);
        let pools = assemble::pools(new, &mut existing)?;
        let door = match proxy {
            Some(proxy) => Some((proxy, assemble::door(new, &pools)?)),
            None => None,
        };
        // From here on nothing can fail.
        existing.change();
        let own = pools.own.into_iter().map(|own| own.pool);
        let registry = PoolRegistry::with(pools.databases, own);
        let gone: Vec<_> = before
            .registry
            .iter()
            .filter(|pool| registry.get_pool(pool.name()).is_err())
            .cloned()
            .collect();
        service.adopt(registry, assemble::service_options(new));
        if let Some((proxy, (databases, options))) = door {
            self.places.resize(options.max_clients + SPARE_CONNECTIONS as usize);
            proxy.adopt(databases, options);
        }
        for pool in gone {
            tokio::spawn(async move { pool.close(FAREWELL).await });
        }
        Ok(())
    }
}

impl Control for Reloader {
    fn settings(&self) -> Vec<Setting> {
        settings::list(&self.shown.load())
    }

    fn reload(&self) -> ControlFuture<'_, Vec<String>> {
        Box::pin(Self::reload(self))
    }

    fn set<'a>(&'a self, key: &'a str, value: &'a str) -> ControlFuture<'a, Vec<String>> {
        Box::pin(Self::set(self, key, value))
    }

    fn shut_down(&self, kind: ShutdownKind) {
        tracing::info!(?kind, "told to end");
        self.orders.send_replace(Some(kind));
    }

    fn end_held<'a>(&'a self, database: &'a str) -> ControlFuture<'a, ()> {
        Box::pin(async move {
            if let Some(service) = self.service.upgrade() {
                service.held.end_database(database).await;
            }
            Ok(())
        })
    }

    fn rpc_clients(&self) -> usize {
        self.service.upgrade().map_or(0, |service| service.clients())
    }
}
