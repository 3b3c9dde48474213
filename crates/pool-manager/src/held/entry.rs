//! One live name: its connection, whose turn it is, and its clocks.

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{MutexGuard, watch};
use tokio::time::Instant;

use super::names::{Ending, Names};
use super::{HeldKind, HeldLimits, Owner};
use crate::batch::{Batch, BatchEnd, BatchResults};
use crate::connection::{CommandTag, ResultSink};
use crate::cursor::Cursors;
use crate::error::Error;
use crate::pool::{Checkout, Pool};
use crate::statement::{Statement, TimeLimit};
use crate::transaction::{HeldState, Session, Transaction};
use crate::values::Columns;

/// What is held.
pub(super) enum Holding {
    Transaction(Transaction),
    Session(Session),
}

impl Holding {
    fn pool(&self) -> &Pool {
        match self {
            Self::Transaction(transaction) => transaction.pool(),
            Self::Session(session) => session.pool(),
        }
    }

    fn may_write(&self) -> bool {
        match self {
            Self::Transaction(transaction) => !transaction.is_read_only(),
            Self::Session(_) => true,
        }
    }

    fn state(&self) -> HeldState {
        match self {
            Self::Transaction(transaction) => transaction.state(),
            Self::Session(session) => session.state(),
        }
    }

    /// Lets go of it: rolled back, its connection reset or closed.
    pub(super) async fn release(self) {
        // An error means that the connection is gone, and the transaction with it.
        let _ = match self {
            Self::Transaction(transaction) if transaction.state() == HeldState::InTransaction => {
                transaction.rollback().await
            }
            Self::Transaction(_) => Ok(()),
            Self::Session(session) => session.end().await,
        };
    }
}

#[derive(Clone, Copy)]
struct Clock {
    calls: usize,
    last_used: Instant,
}

pub(super) struct Entry {
    name: Box<str>,
    kind: HeldKind,
    owner: Owner,
    limits: HeldLimits,
    begun: Instant,
    pool: Pool,
    /// Not a transaction that is READ ONLY.
    may_write: bool,
    /// `None` once it was taken. Tokio's mutex is fair: calls run in order of arrival.
    holding: tokio::sync::Mutex<Option<Holding>>,
    ended: watch::Sender<bool>,
    clock: Mutex<Clock>,
}

impl Entry {
    pub(super) fn new(
        name: Box<str>,
        kind: HeldKind,
        owner: Owner,
        limits: HeldLimits,
        holding: Holding,
    ) -> Self {
        let pool = holding.pool().clone();
        pool.count_held(kind, 1);
        let now = Instant::now();
        Self {
            name,
            kind,
            owner,
            limits,
            begun: now,
            pool,
            may_write: holding.may_write(),
            holding: tokio::sync::Mutex::new(Some(holding)),
            ended: watch::Sender::new(false),
            clock: Mutex::new(Clock { calls: 0, last_used: now }),
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Whichever of its servers it is on.
    pub(super) fn database(&self) -> &str {
        self.pool.database()
    }

    pub(super) fn may_write(&self) -> bool {
        self.may_write
    }

    pub(super) fn kind(&self) -> HeldKind {
        self.kind
    }

    pub(super) fn owner(&self) -> Owner {
        self.owner
    }

    /// Waits for its turn. Cancel safe.
    pub(super) async fn enter<'a>(
        self: &'a Arc<Self>,
        names: &'a Names,
    ) -> Result<Call<'a>, Error> {
        let busy = Busy::new(self);
        let holding = self.holding.lock().await;
        // Ended while it waited: what is left of it is about to be rolled back.
        if holding.is_none() || *self.ended.borrow() {
            return Err(names.why_ended(self.kind, &self.name));
        }
        Ok(Call { entry: self, names, holding, _busy: busy })
    }

    /// Runs `call` unless the entry is ended meanwhile by somebody else.
    pub(super) async fn unless_ended<T>(
        &self,
        names: &Names,
        call: impl Future<Output = T>,
    ) -> Result<T, Error> {
        let mut ended = self.ended.subscribe();
        tokio::select! {
            biased;
            result = call => Ok(result),
            _ = ended.wait_for(|ended| *ended) => Err(names.why_ended(self.kind, &self.name)),
        }
    }

    /// Resolves when somebody has ended it.
    pub(super) async fn ended(&self) {
        let _ = self.ended.subscribe().wait_for(|ended| *ended).await;
    }

    /// When it expires if nothing happens before, and as what.
    pub(super) fn expiry(&self) -> Option<(Instant, Ending)> {
        let clock = *self.clock.lock().unwrap_or_else(PoisonError::into_inner);
        let at = |start: Instant, limit: Option<Duration>, ending| {
            limit.map(|limit| (start + limit, ending))
        };
        let idle = match clock.calls {
            0 => at(clock.last_used, self.limits.idle_timeout, Ending::Idle),
            // Looked at again when the call may be over.
            _ => at(Instant::now(), self.limits.idle_timeout, Ending::Idle),
        };
        let lifetime = at(self.begun, self.limits.max_lifetime, Ending::Lifetime);
        [idle, lifetime].into_iter().flatten().min_by_key(|(at, _)| *at)
    }

    /// Tells running calls to stop, and lets go of the connection as soon as they have.
    pub(super) async fn release(self: Arc<Self>) {
        self.ended.send_replace(true);
        let holding = self.holding.lock().await.take();
        if let Some(holding) = holding {
            holding.release().await;
        }
    }

    /// [`release`](Self::release) in a task of its own.
    pub(super) fn let_go(self: &Arc<Self>) {
        self.pool.runtime().spawn(Arc::clone(self).release());
    }

    /// Counts it out of the pool's open transactions or sessions.
    pub(super) fn count_out(&self) {
        self.pool.count_held(self.kind, -1);
    }
}

/// A call is waiting or running: the entry is not idle.
struct Busy<'a>(&'a Entry);

impl<'a> Busy<'a> {
    fn new(entry: &'a Entry) -> Self {
        entry.clock.lock().unwrap_or_else(PoisonError::into_inner).calls += 1;
        Self(entry)
    }
}

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        let mut clock = self.0.clock.lock().unwrap_or_else(PoisonError::into_inner);
        clock.calls -= 1;
        clock.last_used = Instant::now();
    }
}

/// One call's turn on the connection. Dropped in the middle of a statement, it ends the entry:
/// what a cut-off statement did is not known to whoever comes next.
pub(super) struct Call<'a> {
    entry: &'a Arc<Entry>,
    names: &'a Names,
    holding: MutexGuard<'a, Option<Holding>>,
    _busy: Busy<'a>,
}

impl Call<'_> {
    pub(super) async fn execute(
        &mut self,
        statement: &Statement<'_>,
        sink: &mut (impl ResultSink + Send),
    ) -> Result<CommandTag, Error> {
        match self.holding.as_mut() {
            Some(Holding::Transaction(transaction)) => transaction.execute(statement, sink).await,
            Some(Holding::Session(session)) => session.execute(statement, sink).await,
            None => Err(self.names.why_ended(self.entry.kind, &self.entry.name)),
        }
    }

    pub(super) async fn execute_batch<R: BatchResults>(
        &mut self,
        batch: &Batch<'_>,
        results: &mut R,
    ) -> Result<BatchEnd, Error> {
        match self.holding.as_mut() {
            Some(Holding::Transaction(transaction)) => {
                transaction.execute_batch(batch, results).await
            }
            Some(Holding::Session(session)) => session.execute_batch(batch, results).await,
            None => Err(self.names.why_ended(self.entry.kind, &self.entry.name)),
        }
    }

    pub(super) async fn open_cursor(
        &mut self,
        statement: &Statement<'_>,
    ) -> Result<(u32, Arc<Columns>), Error> {
        let (checkout, cursors) = self.parts()?;
        cursors.open(checkout, statement).await
    }

    pub(super) async fn fetch_cursor(
        &mut self,
        number: u32,
        count: u32,
        limit: TimeLimit,
        sink: &mut (impl ResultSink + Send),
    ) -> Result<bool, Error> {
        let (checkout, cursors) = self.parts()?;
        cursors.fetch(checkout, number, count, limit, sink).await
    }

    pub(super) async fn close_cursor(&mut self, number: u32) -> Result<(), Error> {
        let (checkout, cursors) = self.parts()?;
        cursors.close(checkout, number).await
    }

    fn parts(&mut self) -> Result<(&mut Checkout, &mut Cursors), Error> {
        match self.holding.as_mut() {
            Some(Holding::Transaction(transaction)) => Ok(transaction.parts()),
            Some(Holding::Session(session)) => Ok(session.parts()),
            None => Err(self.names.why_ended(self.entry.kind, &self.entry.name)),
        }
    }

    /// What is said of `statement` when it is cut off, if it may have taken effect.
    pub(super) fn cut_off(&self, statement: &Statement<'_>) -> Option<Error> {
        match self.holding.as_ref()? {
            Holding::Transaction(transaction) => transaction.cut_off(statement),
            Holding::Session(session) => session.cut_off(statement),
        }
    }

    pub(super) fn state(&self) -> Option<HeldState> {
        self.holding.as_ref().map(Holding::state)
    }

    /// Retires the name and takes what it stood for; `None` when somebody else ended it.
    pub(super) fn take(&mut self, ending: Ending) -> Option<Holding> {
        if !self.names.retire(self.entry, ending) {
            return None;
        }
        self.entry.ended.send_replace(true);
        self.holding.take()
    }

    /// Retires the name and lets go of the connection.
    pub(super) fn finish(&mut self, ending: Ending) {
        drop(self.take(ending));
    }
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        if self.state() == Some(HeldState::Unusable) {
            self.finish(Ending::Lost);
            // Ended by somebody else already: the connection is closed here all the same.
            drop(self.holding.take());
        }
    }
}
