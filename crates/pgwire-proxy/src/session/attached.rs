//! The server connection that a client has at the moment, and all that is true only for as long as
//! it has it: messages under way, portals, the unnamed statement.

use std::collections::VecDeque;
use std::ops::{Deref, DerefMut};
use std::time::{Duration, Instant};

use pool_manager::classify::Classification;
use pool_manager::{Checkout, SettingsQuestion, SqlState, TransactionStatus};

use super::User;
use super::asked::Asked;
use super::calls::Calls;
use super::cancel::Cancelling;
use super::copy::CopyIn;
use super::expect::{Expect, OwnQuery};
use super::linger::{may_ask_for_sequences, may_use_sequences};
use super::names::cut;
use super::portals::Portals;
use super::replay::Replay;
use super::unit::Unit;
use crate::counters::Finished;
use crate::message::frontend;
use crate::statement::Statement;

/// Room for so many replies is kept with a connection.
const USUAL_PIPELINE: usize = 64;
/// Replies that may be owed before no more messages are taken.
const MAX_OWED: usize = 1024;
/// Statements closed in front of one batch, at most: a full cache is emptied over several.
const MAX_CLOSES: usize = 64;
/// Statements of one client alone that are kept, at least between two batches.
const MAX_PRIVATE: usize = 100;

pub(super) struct Attached {
    pub(super) connection: Leased,
    /// What the server owes.
    pub(super) owed: VecDeque<Expect>,
    /// Set while a batch is open: its Sync has not been sent.
    pub(super) batch: Option<Unit>,
    /// What the open batch runs.
    pub(super) asked: Asked,
    /// Memory for the next one.
    pub(super) spare_asked: Asked,
    /// The number of the unnamed statement that the server has.
    pub(super) unnamed: Option<u64>,
    pub(super) portals: Portals,
    /// The server was asked to answer what it owes.
    pub(super) hurried: bool,
    /// Statements that the open batch prepares, with their names: usable by its later messages, but
    /// not yet kept.
    pub(super) parsing: Vec<(u64, String)>,
    /// Statements that were prepared for this client alone, after it had changed the session: a
    /// temporary table may stand where others have another one.
    pub(super) private: Vec<(u64, String)>,
    /// What is to be found out about the session's settings before others get the connection.
    pub(super) touched: Option<SettingsQuestion>,
    pub(super) copy: CopyIn,
    /// A CommandComplete of the unit at the front of `owed` has come.
    pub(super) completed: bool,
    /// The error of the unit at the front that has come.
    pub(super) failed: Option<SqlState>,
    /// Bytes at the front of what was received that go to the client as they are.
    pub(super) cleared: usize,
    /// The rest of a large message of the client's is still to be sent: until then nothing else
    /// may be.
    pub(super) uploading: bool,
    /// The client's settings are to be found out then.
    settles_late: bool,
    /// Something runs, or has run, in this transaction that changes how texts are read until its end.
    pub(super) reads_otherwise: bool,
    /// Bytes of a large message that have still to arrive, and go to the client as they come.
    pub(super) passing: usize,
    /// Answers of ours among what is owed.
    pub(super) synthetic: usize,
    /// How many bytes must be there before it is worth looking again.
    pub(super) wanted: usize,
    pub(super) cancelling: Option<Cancelling>,
    pub(super) replay: Replay,
    /// The time limit that what runs has exceeded.
    pub(super) out_of_time: Option<Duration>,
    /// Units of the client's that have ended, and how many of them with an error, since they were
    /// counted.
    pub(super) ended: (u32, u32),
    /// The statements in them.
    pub(super) calls: Calls,
    /// What has come and ended since it was counted.
    pub(super) finished: Finished,
    /// A unit has ended since the clock was looked at.
    pub(super) progressed: bool,
    /// How often DISCARD ALL under way must not end the pin, for what pins was sent behind it.
    pub(super) pinned_behind: usize,
    /// Something has run since the connection was attached, or given a moment's grace, that may
    /// have drawn from a sequence.
    pub(super) wrote: bool,
    /// The client needs it no more, and keeps it for a moment, since then.
    pub(super) lingering: Option<tokio::time::Instant>,
    /// Since when a transaction has been open, where its time is limited.
    pub(super) transaction_since: Option<tokio::time::Instant>,
    /// Since when the server has been working on the unit at the front.
    pub(super) busy_since: Instant,
    /// When the last unit has ended that was logged, where others are under way behind it.
    pub(super) unit_ended_at: Option<Instant>,
    /// How long the client has waited for the connection.
    pub(super) waited: Duration,
}

/// A connection, until it is given back.
#[derive(Default)]
pub(super) struct Leased(Option<Checkout>);

impl Deref for Leased {
    type Target = Checkout;

    #[allow(clippy::expect_used, reason = "present for as long as a session has its `Attached`")]
    fn deref(&self) -> &Checkout {
        self.0.as_ref().expect("a connection is attached")
    }
}

impl DerefMut for Leased {
    #[allow(clippy::expect_used, reason = "present for as long as a session has its `Attached`")]
    fn deref_mut(&mut self) -> &mut Checkout {
        self.0.as_mut().expect("a connection is attached")
    }
}

impl Default for Attached {
    fn default() -> Self {
        Self::empty(Instant::now())
    }
}

impl Attached {
    /// Nothing is known yet, and nothing is allocated.
    fn empty(now: Instant) -> Self {
        Self {
            connection: Leased::default(),
            owed: VecDeque::new(),
            batch: None,
            asked: Asked::NOTHING,
            spare_asked: Asked::NOTHING,
            unnamed: None,
            portals: Portals::default(),
            hurried: false,
            parsing: Vec::new(),
            private: Vec::new(),
            touched: None,
            copy: CopyIn::default(),
            completed: false,
            failed: None,
            cleared: 0,
            uploading: false,
            settles_late: false,
            reads_otherwise: false,
            passing: 0,
            synthetic: 0,
            wanted: 0,
            cancelling: None,
            replay: Replay::default(),
            out_of_time: None,
            ended: (0, 0),
            calls: Calls::default(),
            finished: Finished::default(),
            progressed: false,
            pinned_behind: 0,
            wrote: false,
            lingering: None,
            transaction_since: None,
            busy_since: now,
            unit_ended_at: None,
            waited: Duration::ZERO,
        }
    }

    /// For this connection, in the place that was left with it.
    pub(super) fn new(mut connection: Checkout) -> Box<Self> {
        let place = connection.workspace().take().and_then(|place| place.downcast().ok());
        let mut attached: Box<Self> = place.unwrap_or_default();
        attached.connection = Leased(Some(connection));
        attached
    }

    /// Gives the connection back, and with it the place for the next one: its buffers, and nothing of
    /// what was in them.
    pub(super) fn release(mut self: Box<Self>, now: Instant) {
        self.close_private();
        let Some(mut connection) = self.connection.0.take() else { return };
        let mut owed = std::mem::take(&mut self.owed);
        owed.clear();
        owed.shrink_to(USUAL_PIPELINE);
        let mut replay = std::mem::take(&mut self.replay);
        replay.forget();
        let mut parsing = std::mem::take(&mut self.parsing);
        parsing.clear();
        let spare_asked = std::mem::take(&mut self.spare_asked);
        let calls = self.calls.emptied();
        *self = Self { owed, replay, parsing, spare_asked, calls, ..Self::empty(now) };
        *connection.workspace() = Some(self);
        connection.give_back(now);
    }

    /// Has the statements that are this client's alone closed before others come.
    pub(super) fn close_private(&mut self) {
        for (_, name) in self.private.drain(..) {
            self.connection.close_statement_later(name);
        }
    }

    pub(super) fn status(&self) -> TransactionStatus {
        self.connection.transaction_status()
    }

    /// Whether every message was answered and no batch is open.
    pub(super) fn is_free(&self) -> bool {
        self.owed.is_empty() && self.batch.is_none()
    }

    /// Whether the server can do nothing before the client goes on: in the middle of a message, of
    /// a batch, or of the data of a COPY.
    pub(super) fn waits_for_client(&self) -> bool {
        let answered = self.connection.unsent() == 0 && self.owed.is_empty();
        self.uploading || self.copy.reads || (answered && self.batch.is_some())
    }

    /// Whether so much is owed that no more may be sent. The server is asked to answer, which it
    /// need not do before a Sync.
    pub(super) fn owes_too_much(&mut self) -> bool {
        let too_much = self.owed.len() >= MAX_OWED;
        if too_much && !self.uploading && !std::mem::replace(&mut self.hurried, true) {
            frontend::put_flush(self.connection.outgoing());
        }
        too_much
    }

    /// All of a large message was sent, and what had to wait for it can be.
    pub(super) fn upload_ends(&mut self) {
        self.uploading = false;
        if let Some(sync) = self.copy.late_sync.take() {
            self.put_sync(&sync);
        }
    }

    /// Has the client's settings found out when the large message that it is sending has ended;
    /// whether there is one.
    pub(super) fn settle_after_upload(&mut self) -> bool {
        self.settles_late = self.uploading;
        self.uploading
    }

    /// Whether that time has come.
    pub(super) fn is_to_settle(&mut self) -> bool {
        !self.uploading && std::mem::take(&mut self.settles_late)
    }

    /// Whether all that the client has completed with a Sync or Query was answered.
    pub(super) fn owes_no_unit(&self) -> bool {
        !self.owed.iter().any(Expect::ends_with_ready)
    }

    /// Whether an earlier batch or Query, if it succeeds, changes what a name stands for. What the
    /// open batch itself does to it comes to pass or is skipped together with what asks.
    pub(super) fn may_change(&self, name: &[u8]) -> bool {
        let name = cut(name);
        let open = u32::from(self.batch.is_some());
        if self.connection.owed() <= open {
            return false;
        }
        let end = self.owed.iter().rposition(Expect::ends_with_ready).map_or(0, |last| last + 1);
        let changes = |owed: &Expect| owed.may_change(name);
        !self.owed.range(end..).any(changes) && self.owed.range(..end).any(changes)
    }

    /// Whether a statement that is sent now runs inside a transaction block that others belong to,
    /// explicit or not; as far as can be told before the server has answered.
    pub(super) fn is_in_block(&self) -> bool {
        self.status() != TransactionStatus::Idle || !self.is_free()
    }

    /// Whether a statement that is sent now may run in an explicit transaction.
    pub(super) fn may_be_in_transaction(&self) -> bool {
        let mut units = self.owed.iter().filter_map(Expect::unit).chain(self.batch);
        self.status() != TransactionStatus::Idle || units.any(|unit| !unit.keeps_transaction())
    }

    /// What goes in front of a batch or Query when nothing is under way: statements that are one
    /// too many are closed, and another client's sequence values are forgotten before anything
    /// can ask for them.
    pub(super) fn prepare_for(&mut self, class: Option<&Classification>, user: User) {
        self.lingering = None;
        if !self.is_free() {
            return;
        }
        self.pinned_behind = 0;
        while self.private.len() > MAX_PRIVATE {
            // One that is needed again is prepared again.
            let (_, name) = self.private.remove(0);
            self.connection.close_statement_later(name);
        }
        for _ in 0..MAX_CLOSES {
            let Some(name) = self.connection.next_statement_to_close() else { break };
            frontend::put_close_statement(self.connection.outgoing(), &name);
            self.owed.push_back(Expect::CloseOwn(name.into()));
        }
        if self.status() == TransactionStatus::Idle
            && self.connection.has_foreign_sequences(user.number)
            && class.is_none_or(|class| {
                may_ask_for_sequences(class) || (user.asks && may_use_sequences(class))
            })
        {
            self.own_query("DISCARD SEQUENCES", OwnQuery::MustSucceed);
            self.connection.sequences_discarded();
        }
    }

    /// Sends a Query of ours.
    pub(super) fn own_query(&mut self, sql: &str, kind: OwnQuery) {
        self.connection.owe();
        frontend::put_query(self.connection.outgoing(), sql);
        self.owed.push_back(Expect::Own(kind));
        // As any Query does.
        self.unnamed = None;
    }

    /// Sends a client's message as it is.
    pub(super) fn forward(&mut self, message: &[u8], expect: Expect) {
        self.connection.outgoing().extend_from_slice(message);
        self.owed.push_back(expect);
    }

    /// The batch that the next message belongs to.
    pub(super) fn batch(&mut self) -> &mut Unit {
        if self.batch.is_none() {
            self.connection.owe();
            // What an earlier batch prepares comes true only if none of its messages fails.
            self.parsing.clear();
        }
        self.batch.get_or_insert(Unit::NOTHING)
    }

    /// Notes an answer of ours, to be given when its turn comes.
    pub(super) fn owe_synthetic(&mut self, expect: Expect) {
        self.synthetic += 1;
        self.owed.push_back(expect);
    }

    /// The name under which the server has a statement, or will have it when it comes to the next
    /// message.
    pub(super) fn server_name(&mut self, statement: &Statement) -> Option<&str> {
        let number = statement.number();
        let special = self.parsing.iter().chain(&self.private).rev();
        match { special }.find(|(other, _)| *other == number) {
            Some((_, name)) => Some(name),
            None => self.connection.statement(number),
        }
    }
}
