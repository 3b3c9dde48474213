//! What can be read of a running server over HTTP: metrics for Prometheus, health checks, and a page for
//! people. It reads what the pools and the doors have counted, when it is asked; it executes nothing but
//! health checks, and changes nothing.
//!
//! ```text
//! listen.rs ── accepts ─► http ─► routes ─┬─ /metrics ──────────────► metrics
//!                                         ├─ /health /ready /live ──► health
//!                                         └─ / and /status.json ────► page, overview
//!                                  sampler: history, memory, CPU time
//! ```

mod health;
mod http;
mod metrics;
mod overview;
mod page;
mod process;
mod routes;
mod sampler;
pub(crate) mod top;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use pgwire_proxy::Proxy;

pub(crate) use http::serve_client;
pub(crate) use routes::Offers;

use crate::config::{Config, MonitoringConfig};
use crate::rpc::Service;

/// Most connections of an HTTP listener at the same time.
pub(crate) const MAX_CONNECTIONS: usize = 64;

/// Everything that can be read of a server.
pub(crate) struct Monitor {
    service: Arc<Service>,
    proxy: Option<Arc<Proxy>>,
    config: MonitoringConfig,
    started: SystemTime,
    is_draining: AtomicBool,
    health: health::Health,
    sampler: sampler::Sampler,
    metrics: metrics::Metrics,
    page: page::Page,
}

impl Monitor {
    /// Of these doors.
    pub(crate) fn new(config: &Config, service: Arc<Service>, proxy: Option<Arc<Proxy>>) -> Self {
        Self {
            service,
            proxy,
            config: config.monitoring.clone(),
            started: SystemTime::now(),
            is_draining: AtomicBool::new(false),
            health: health::Health::default(),
            sampler: sampler::Sampler::default(),
            metrics: metrics::Metrics::new(&config.monitoring),
            page: page::Page::new(),
        }
    }

    /// The server ends soon: nobody new should come.
    pub(crate) fn drains(&self) {
        self.is_draining.store(true, Ordering::Relaxed);
    }

    fn is_draining(&self) -> bool {
        self.is_draining.load(Ordering::Relaxed)
    }

    fn uptime(&self) -> Duration {
        self.started.elapsed().unwrap_or_default()
    }

    /// Takes samples for as long as it is polled.
    pub(crate) async fn sample(self: Arc<Self>) {
        let mut ticks = tokio::time::interval(self.config.interval.get());
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.sampler.take(&self);
        }
    }
}
