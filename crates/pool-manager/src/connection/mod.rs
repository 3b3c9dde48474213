//! A server connection as the pool keeps it: the engine's link plus what we know of the session.
//!
//! What happens on one connection lives here (prepared statements, settings, executing, ending a
//! transaction, resetting, closing); who gets the connection is the pool's business.

mod batch;
mod close;
mod cursor;
mod execute;
mod extended;
mod flight;
mod relay;
mod reset;
mod settings;
mod simple;
mod statements;
mod tag;
mod tracked;
mod transaction;

use std::any::Any;
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::{Duration, Instant};

use crate::connect::{CancelTarget, Connected, ServerStream};
use crate::engine::{Link, LinkError, Parameters, TransactionStatus};
use crate::pool::{CacheUse, Permit, ServerPlace};
pub(crate) use batch::{BatchExecution, BatchRun, BatchSink, Bond};
pub(crate) use close::close;
pub use execute::{Discard, ResultSink, SinkError};
pub(crate) use execute::{ExecuteError, Execution, Outcome, Progress, SendSink};
use relay::SequenceUse;
use settings::AppliedSettings;
pub(crate) use settings::Restore;
pub use settings::{SettingError, Settings};
pub use statements::STATEMENT_PREFIX;
use statements::StatementCache;
pub use tag::CommandTag;
pub use tracked::SettingsQuestion;
pub(crate) use transaction::{EndError, Ended};

/// What a pool decides about its connections once, at connect.
pub(crate) struct ConnectionOptions {
    /// Prepared statements kept per connection; 0 keeps none.
    pub(crate) statement_cache_size: usize,
    /// Largest message body that is buffered, bytes.
    pub(crate) max_message: usize,
    /// When to retire the connection.
    pub(crate) expires: Option<Instant>,
    /// Where it counts whether statements are prepared.
    pub(crate) cache: Arc<CacheUse>,
}

/// One PostgreSQL session and what we know of it. What is public here serves those who relay a
/// client's own messages.
pub struct ServerConnection {
    link: Link<ServerStream>,
    cancel: CancelTarget,
    /// A cancel request may be on its way and would hit whatever runs when it arrives. Shared with
    /// the future that sends it, which may be dropped half-way.
    cancelling: Arc<AtomicBool>,
    /// One may ever have been sent; while none can, `cancelling` need not be looked at.
    was_cancelled: bool,
    process_id: i32,
    statements: StatementCache,
    /// Names of statements to be closed with the next Parse.
    stale_names: Vec<String>,
    /// Settings of ours that are in force in the session.
    settings: AppliedSettings,
    /// How often reported parameters had changed when `settings` were last known to be in force.
    settled_changes: u64,
    /// What the session reported when it began.
    defaults: Arc<Parameters>,
    dirty: bool,
    tainted: bool,
    /// Its client names prepared statements itself.
    dedicated: bool,
    /// For whom lastval() and currval() may have an answer.
    sequences: SequenceUse,
    expires: Option<Instant>,
    idle_since: Instant,
    /// What whoever has the connection needs only then, kept for the next one.
    workspace: Option<Box<dyn Any + Send>>,
    /// The pool's true bound: given back when the server is known to be gone.
    _slot: Permit,
    /// As which an administrator sees it.
    place: ServerPlace,
}

impl ServerConnection {
    /// Takes over a connection that has just been opened; `slot` is held until it is closed.
    pub(crate) fn new(
        connected: Connected,
        options: &ConnectionOptions,
        slot: Permit,
        place: ServerPlace,
    ) -> Self {
        let link = Link::new(connected.stream, connected.parameters, options.max_message);
        Self {
            defaults: Arc::clone(link.parameters()),
            link,
            cancel: connected.cancel,
            cancelling: Arc::default(),
            was_cancelled: false,
            process_id: connected.process_id,
            statements: StatementCache::new(
                options.statement_cache_size,
                Arc::clone(&options.cache),
            ),
            stale_names: Vec::new(),
            settings: AppliedSettings::default(),
            settled_changes: 0,
            dirty: false,
            tainted: false,
            dedicated: false,
            sequences: SequenceUse::None,
            expires: options.expires,
            idle_since: Instant::now(),
            workspace: None,
            _slot: slot,
            place,
        }
    }

    /// Process id of the server's backend, as pg_stat_activity shows it.
    pub(crate) fn process_id(&self) -> i32 {
        self.process_id
    }

    /// Transaction status after the last reply.
    pub(crate) fn status(&self) -> TransactionStatus {
        self.link.status()
    }

    /// Whether nothing is under way on it, nor to it.
    pub(crate) fn at_rest(&self) -> bool {
        self.link.at_rest() && !(self.was_cancelled && self.cancelling.load(Ordering::Relaxed))
    }

    /// Whether the next caller may have it: nothing under way, no transaction open.
    pub(crate) fn is_quiet(&self) -> bool {
        self.at_rest() && self.link.is_quiet()
    }

    /// Whether something may have changed the session for the next caller.
    pub fn is_dirty(&self) -> bool {
        self.dirty
    }

    /// Has it reset before the next caller gets it.
    pub(crate) fn mark_dirty(&mut self) {
        self.dirty = true;
    }

    /// Since when it lies idle.
    pub(crate) fn idle_since(&self) -> Instant {
        self.idle_since
    }

    /// Whether it must be closed because a reset cannot clean it (SQL PREPARE, LOAD).
    pub fn is_tainted(&self) -> bool {
        self.tainted
    }

    /// Whether it was cut off without a word of the server's.
    pub(crate) fn is_lost(&self) -> bool {
        self.link.is_lost()
    }

    /// Whether its lifetime is over.
    pub(crate) fn is_expired(&self, now: Instant) -> bool {
        self.expires.is_some_and(|end| now >= end)
    }

    /// Notes that a caller has it from now on.
    pub(crate) fn note_taken(&self, now: Instant) {
        self.place.entry().taken(now);
    }

    /// Notes which client of a door has it, by a number that is never 0.
    pub fn used_by(&self, client: u64) {
        self.place.entry().used_by(client);
    }

    /// Which of the pool's connections it is one of: those that were opened before the last
    /// renewal are to be closed.
    pub(crate) fn generation(&self) -> u64 {
        self.place.entry().generation()
    }

    /// How long it has lain idle.
    pub(crate) fn idle_for(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.idle_since)
    }

    /// Notes the moment at which it became idle, and lets go of large buffers.
    pub(crate) fn rest(&mut self, now: Instant) {
        self.idle_since = now;
        self.place.rests(self.statements.len(), now);
        self.link.shrink();
    }

    /// Looks, without waiting, whether the server has closed it meanwhile. `false`: unusable.
    pub(crate) async fn probe(&mut self) -> bool {
        self.check().await.is_ok() && self.is_quiet()
    }

    /// The same for a connection at rest, in a transaction or not, with the reason.
    async fn check(&mut self) -> Result<(), LinkError> {
        poll_fn(|cx| Poll::Ready(self.link.check(cx))).await
    }
}
