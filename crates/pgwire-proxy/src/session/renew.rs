//! A session goes on with what its database has become when it was configured anew.

use std::sync::Arc;

use pool_manager::SqlState;

use super::Session;
use super::clock::Clock;
use super::rate::Rate;
use super::route::Routing;

impl Session {
    /// Takes over the limits and the database that hold now. The mode stays, which the client has
    /// reckoned with since its login.
    pub(super) fn renew(&mut self) {
        let options = self.proxy.options();
        self.clock = Clock::new(&options);
        self.rate = match self.rate.take() {
            // Where it is in its messages matters only inside a batch.
            Some(rate) if rate.has_limit(options.rate_limit) => Some(rate),
            _ => options.rate_limit.map(Rate::new),
        };
        if let Some(latest) = self.client.database.latest() {
            let is_split = latest.backends().has_replicas();
            self.client.database = Arc::clone(&latest);
            if self.server.is_none() && self.routing.is_some() != is_split {
                self.routing = Routing::new(&latest);
            }
        }
        self.departs = self.client.database.is_removed();
    }

    /// Whether nothing is lost when it goes.
    pub(super) fn may_depart(&self) -> bool {
        self.server.is_none() && self.lost.is_none() && self.input.is_empty()
    }

    /// Tells the client why it has to go.
    pub(super) fn depart(&mut self) {
        let database = self.client.database.name();
        let message = format!(
            "terminating connection: database \"{database}\" was removed from the configuration"
        );
        self.fatal(SqlState::ADMIN_SHUTDOWN, message);
    }
}
