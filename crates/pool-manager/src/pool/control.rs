//! What an administrator does to a pool while it works: pause and resume it, have its connections
//! replaced, end what runs, and change what it was configured with.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::sleep;

use super::servers::ServerInfo;
use super::{Pool, PoolOptions, Wiring};
use crate::breaker::CircuitBreaker;
use crate::connect::Connector;
use crate::dsn::ConnectParams;

/// How often it is looked whether the last caller has gone.
const POLL: Duration = Duration::from_millis(5);

impl Pool {
    /// Lets no caller have a connection until it is resumed; those who have one keep it.
    pub(crate) fn pause(&self) {
        if self.0.admission.pause() {
            tracing::info!(pool = %self.name(), "paused");
        }
    }

    /// Resolves when no caller has a connection and none is open, or the pause is over. Cancel safe.
    pub(crate) async fn paused(&self) {
        while self.is_paused() {
            self.close_idle().await;
            if self.total() == 0 {
                return;
            }
            sleep(POLL).await;
        }
    }

    /// Lets callers have connections again.
    pub(crate) fn resume(&self) {
        if self.0.admission.resume() {
            tracing::info!(pool = %self.name(), "resumed");
        }
    }

    pub(crate) fn is_paused(&self) -> bool {
        self.0.admission.is_paused()
    }

    /// Has every connection that is open now closed as soon as nobody has it, and closes the
    /// circuit breaker: what it knows is of a server that may be another one now.
    pub(crate) fn renew(&self) {
        self.0.servers.renew();
        self.reset_breaker();
        let pool = self.clone();
        self.0.runtime.spawn(async move { pool.close_what_is_over().await });
    }

    /// Resolves when none of those is open any more. Cancel safe.
    pub(crate) async fn renewed(&self) {
        while self.0.servers.has_old() {
            sleep(POLL).await;
        }
    }

    /// Pauses the pool, and cancels what callers have running on its connections, which are closed
    /// when their callers let go of them.
    pub(crate) async fn kill(&self) {
        self.pause();
        self.renew();
        let running = self.0.servers.running();
        // Each fails by itself, and the connection is closed in any case.
        join_all(running.iter().map(|target| async move { drop(target.cancel().await) })).await;
    }

    /// Its connections at this moment.
    pub(crate) fn servers(&self) -> Vec<ServerInfo> {
        self.0.servers.infos()
    }

    /// What it connects to.
    pub(crate) fn params(&self) -> ConnectParams {
        self.0.wiring.load().connector.params().clone()
    }

    /// Has the pool be made like this from now on. Its callers keep what they have; connections to
    /// a place that it no longer leads to are closed when they come back.
    pub(crate) fn adopt(&self, options: PoolOptions, connector: Connector) {
        let (size, max_held) = options.sizes();
        let queue = options.pool.wait_queue_size as usize;
        let leads_elsewhere = self.0.wiring.load().connector.params() != connector.params();
        let is_shrunk = size < self.0.slots.size();
        let has_other_breaker = self.0.options.load().breaker != options.breaker;
        if has_other_breaker {
            let breaker = options.breaker.map(|limits| limits.breaker(&options.name));
            self.0.breaker.store(breaker.map(Arc::new));
        }
        if leads_elsewhere || connector.has_certificates() {
            self.0.wiring.store(Arc::new(Wiring::new(connector)));
        }
        self.0.options.store(Arc::new(options));
        self.0.admission.resize(size, max_held, queue);
        self.0.slots.resize(size);
        self.0.changed.send_modify(|changes| *changes += 1);
        if leads_elsewhere {
            self.renew();
        } else if is_shrunk {
            let pool = self.clone();
            self.0.runtime.spawn(async move { pool.close_what_is_over().await });
        }
    }

    /// Closes the circuit breaker, where there is one.
    fn reset_breaker(&self) {
        if let Some(breaker) = &*self.0.breaker.load() {
            CircuitBreaker::reset(breaker);
        }
    }
}
