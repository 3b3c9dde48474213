//! Time limits of a session: idle, idle in a transaction, and a statement that runs too long. One
//! timer serves them all, and is set anew only when it has gone off: no statement starts or stops
//! one.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use pool_manager::{SqlState, TransactionStatus};
use tokio::time::{Instant, Sleep, sleep_until};

use super::cancel::Cancelling;
use super::linger::LINGER;
use super::{HIGH_WATER, Session, Step};
use crate::proxy::ProxyOptions;

/// How long the server may take to react to a cancel request before it is sent again.
const CANCEL_PATIENCE: Duration = Duration::from_secs(1);
/// How often it is sent before the connection is given up.
const CANCEL_ATTEMPTS: u32 = 5;

pub(super) struct Clock {
    idle: Option<Duration>,
    idle_in_transaction: Option<Duration>,
    query: Option<Duration>,
    transaction: Option<Duration>,
    wait_notice: Option<Duration>,
    /// What the client is doing, and since when.
    phase: Phase,
    since: Instant,
    timer: Option<Pin<Box<Sleep>>>,
    /// Cancel requests sent for the statement that runs too long.
    attempts: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Idle,
    IdleInTransaction,
    Running,
    /// The connection is kept for a moment (mode: auto).
    Lingering,
}

impl Clock {
    pub(super) fn new(options: &ProxyOptions) -> Self {
        Self {
            idle: options.client_timeout,
            idle_in_transaction: options.idle_transaction_timeout,
            query: options.query_timeout,
            transaction: options.transaction_timeout,
            wait_notice: options.wait_notice,
            phase: Phase::Idle,
            since: Instant::now(),
            timer: None,
            attempts: 0,
        }
    }

    fn is_off(&self) -> bool {
        self.idle.is_none()
            && self.idle_in_transaction.is_none()
            && self.query.is_none()
            && self.transaction.is_none()
    }

    /// How long the client waits for a connection before it is told so.
    pub(super) fn wait_notice(&self) -> Option<Duration> {
        self.wait_notice
    }

    /// Whether the client is what was waited for.
    pub(super) fn waits_for_client(&self) -> bool {
        self.phase != Phase::Running
    }

    fn limit(&self) -> Option<Duration> {
        match self.phase {
            Phase::Idle => self.idle,
            Phase::IdleInTransaction => self.idle_in_transaction,
            Phase::Running => self.query,
            // Counted from its own begin, whatever the client does meanwhile.
            Phase::Lingering => None,
        }
    }

    /// When the limit of the present phase is over.
    fn deadline(&self) -> Option<Instant> {
        let patience = CANCEL_PATIENCE * self.attempts;
        self.limit().map(|limit| self.since + limit + patience)
    }

    /// Ready at that time.
    fn poll_until(&mut self, deadline: Option<Instant>, cx: &mut Context<'_>) -> Poll<()> {
        let Some(deadline) = deadline else { return Poll::Pending };
        loop {
            let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
            if timer.deadline() > deadline {
                timer.as_mut().reset(deadline);
            }
            if timer.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            if Instant::now() >= deadline {
                self.timer = None;
                return Poll::Ready(());
            }
            timer.as_mut().reset(deadline);
        }
    }
}

impl Session {
    /// Takes note of what the client is doing, and acts when it has done so for too long.
    pub(super) fn look_at_clock(&mut self, cx: &mut Context<'_>) -> Option<Step> {
        let lingering = self.is_lingering();
        if let Some(server) = self.server.as_deref_mut() {
            self.was_active |= std::mem::take(&mut server.progressed);
        }
        if self.clock.is_off() && !lingering {
            return None;
        }
        let phase = match (&self.server, &self.lost) {
            _ if lingering => Phase::Lingering,
            (Some(server), _) if server.waits_for_client() || self.output.len() >= HIGH_WATER => {
                Phase::IdleInTransaction
            }
            (Some(server), _) if !server.is_free() => Phase::Running,
            (Some(server), _) if server.status() != TransactionStatus::Idle => {
                Phase::IdleInTransaction
            }
            (None, Some(_)) => Phase::IdleInTransaction,
            _ => Phase::Idle,
        };
        if phase != self.clock.phase || self.was_active {
            self.clock.phase = phase;
            self.clock.since = Instant::now();
            self.clock.attempts = 0;
            self.was_active = false;
        }
        let transaction_ends = self.transaction_ends(phase);
        let lingers_since = self.server.as_ref().and_then(|server| server.lingering);
        let linger_ends = lingers_since.filter(|_| lingering).map(|since| since + LINGER);
        let phase_ends = linger_ends.or_else(|| self.clock.deadline());
        let first = [transaction_ends, phase_ends].into_iter().flatten().min();
        if self.clock.poll_until(first, cx).is_pending() {
            return None;
        }
        if transaction_ends.is_some() && first == transaction_ends {
            return Some(self.end_for(SqlState::TRANSACTION_TIMEOUT, "transaction"));
        }
        match phase {
            Phase::Idle => Some(self.end_for(SqlState::IDLE_SESSION_TIMEOUT, "idle-session")),
            Phase::IdleInTransaction => {
                Some(self.end_for(SqlState::IDLE_IN_TRANSACTION_TIMEOUT, "idle-in-transaction"))
            }
            Phase::Running => self.run_out_of_time(cx),
            Phase::Lingering => {
                self.linger_ends();
                // The client is idle now.
                self.look_at_clock(cx)
            }
        }
    }

    /// Ends the session because a time is over, in the words of PostgreSQL.
    fn end_for(&mut self, code: SqlState, what: &str) -> Step {
        let in_the_middle = self.server.as_ref().is_some_and(|server| server.passing > 0);
        if !in_the_middle {
            if let Some(server) = self.server.as_deref_mut() {
                server.cut(0, &mut self.output);
            }
            self.fatal(code, format!("terminating connection due to {what} timeout"));
        }
        Step::End
    }

    /// When the transaction that is open has been so for too long.
    fn transaction_ends(&mut self, phase: Phase) -> Option<Instant> {
        let limit = self.clock.transaction?;
        let is_open = matches!(phase, Phase::Running | Phase::IdleInTransaction);
        let server = self.server.as_deref_mut().filter(|_| is_open)?;
        Some(*server.transaction_since.get_or_insert_with(Instant::now) + limit)
    }

    /// Cancels what runs; after a few attempts without effect the connection is given up.
    fn run_out_of_time(&mut self, cx: &Context<'_>) -> Option<Step> {
        self.clock.attempts += 1;
        // What follows has to be polled, and the clock set again.
        cx.waker().wake_by_ref();
        if self.clock.attempts > CANCEL_ATTEMPTS {
            return self.lose(pool_manager::LinkError::Closed(None));
        }
        if let Some(server) = self.server.as_deref_mut()
            && server.cancelling.is_none()
        {
            server.out_of_time = self.clock.query;
            server.cancelling = Some(Cancelling::start(&mut server.connection, Vec::new()));
        }
        None
    }
}
