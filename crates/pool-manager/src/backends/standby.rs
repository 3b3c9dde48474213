//! What a pool asks when its server cannot be connected to: a replica's for the primary, which can do
//! whatever that one was to do; the primary's for another one that takes writes, for as long as callers
//! are to wait for that.

use std::sync::{Arc, Weak};

use tokio::time::{Instant, timeout_at};

use super::Inner;
use crate::error::Error;
use crate::pool::{Checkout, Pool};

/// The servers of a pool's database. Does not keep them.
#[derive(Clone)]
pub(crate) struct Standby(Weak<Inner>);

impl Standby {
    pub(super) fn of(inner: &Arc<Inner>) -> Self {
        Self(Arc::downgrade(inner))
    }

    /// A connection to whichever server takes writes, or the `error` that `pool`'s has given. Nothing
    /// has been executed up to now.
    pub(crate) async fn checkout_instead(
        &self,
        pool: &Pool,
        hold: bool,
        error: Error,
    ) -> Result<Checkout, Error> {
        let Some(inner) = self.0.upgrade() else { return Err(error) };
        if !inner.primary().pool().is(pool) {
            let instead = inner.primary().pool().checkout_here(hold).await;
            return instead.map_err(|_| error);
        }
        let until = Instant::now() + inner.options.patience;
        let mut last = error;
        while Instant::now() < until {
            inner.wait_for_primary(until).await;
            match inner.primary().pool().checkout_here(hold).await {
                Err(error) if error.is_of_server() => last = error,
                result => return result,
            }
        }
        Err(last)
    }
}

impl Inner {
    /// Waits until some server takes writes, as far as is known, but no longer than `until`. Cancel
    /// safe.
    pub(super) async fn wait_for_primary(&self, until: Instant) {
        loop {
            let mut looked = std::pin::pin!(self.looked.notified());
            looked.as_mut().enable();
            if self.primary_member().can_be_asked() || timeout_at(until, looked).await.is_err() {
                return;
            }
        }
    }
}
