//! /metrics: what the pools and doors have counted, read when Prometheus asks and written in its text
//! format. Nothing is counted twice for it, and no label holds anything but configured names and words of
//! ours.

mod doors;
mod pools;
mod table;

use std::fmt;
use std::sync::Arc;

use hyper::StatusCode;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, prometheus_text};
use prometheus_client::registry::Registry;

use super::Monitor;
use super::routes::{Answer, of_type, plain};
use crate::config::MonitoringConfig;

/// How they are named.
pub(super) struct Metrics {
    prefix: Option<String>,
}

impl Metrics {
    pub(super) fn new(config: &MonitoringConfig) -> Self {
        let parts = [&config.prometheus.namespace, &config.prometheus.subsystem];
        let parts: Vec<&str> =
            parts.into_iter().map(String::as_str).filter(|part| !part.is_empty()).collect();
        Self { prefix: (!parts.is_empty()).then(|| parts.join("_")) }
    }
}

/// The answer to a scrape.
pub(super) fn answer(monitor: &Monitor) -> Answer {
    let mut registry = match &monitor.metrics.prefix {
        Some(prefix) => Registry::with_prefix(prefix.as_str()),
        None => Registry::default(),
    };
    registry.register_collector(Box::new(Scrape::of(monitor)));
    let mut text = String::new();
    match prometheus_text::encode(&mut text, &registry) {
        Ok(()) => of_type(StatusCode::OK, prometheus_text::CONTENT_TYPE, text),
        // Writing to a String does not fail.
        Err(error) => plain(StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")),
    }
}

/// Everything as it is at the moment of a scrape.
struct Scrape {
    config: MonitoringConfig,
    pools: Vec<pools::PoolScope>,
    databases: Vec<pools::DatabaseScope>,
    doors: Vec<doors::DoorScope>,
    server: doors::ServerScope,
}

impl Scrape {
    fn of(monitor: &Monitor) -> Arc<Self> {
        let live = monitor.service.live();
        let registry = &live.registry;
        Arc::new(Self {
            config: monitor.config.clone(),
            pools: pools::PoolScope::all(registry),
            databases: pools::DatabaseScope::all(registry),
            doors: doors::DoorScope::all(monitor),
            server: doors::ServerScope::of(monitor),
        })
    }
}

impl fmt::Debug for Scrape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scrape").finish_non_exhaustive()
    }
}

impl Collector for Scrape {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let wanted = |group: &str| self.config.collects(group);
        table::encode(pools::METRICS, &self.pools, wanted, &mut encoder)?;
        table::encode_histograms(pools::HISTOGRAMS, &self.pools, wanted, &mut encoder)?;
        table::encode(pools::OF_DATABASES, &self.databases, wanted, &mut encoder)?;
        table::encode(doors::OF_DATABASES, &self.doors, wanted, &mut encoder)?;
        let server = std::slice::from_ref(&self.server);
        table::encode(doors::OF_SERVER, server, wanted, &mut encoder)
    }
}
