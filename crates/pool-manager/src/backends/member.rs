//! One server of a database, as it was when it was last looked at.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::{Backend, BackendsOptions};
use crate::DatabasePool;

/// Reports of a primary that are kept: of some seconds at least.
const WRITTEN: usize = 64;

/// What a server is, by its own word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MemberRole {
    /// Not in recovery: it takes writes.
    Primary,
    /// In recovery.
    Replica,
}

/// What a server said of itself.
#[derive(Debug, Clone, Copy)]
pub(super) struct Report {
    pub(super) role: MemberRole,
    /// Position in the WAL: written, or replayed on a replica; bytes.
    pub(super) position: u64,
    /// Of a primary.
    pub(super) timeline: u32,
    /// Since the last transaction that a replica has replayed.
    pub(super) age: Option<Duration>,
    /// When it was asked: what was committed before stands before `position`.
    pub(super) asked: Instant,
}

pub(super) struct Member {
    pub(super) pool: DatabasePool,
    pub(super) weight: u32,
    state: Mutex<State>,
    /// It is to be looked at now, for what another one did.
    pub(super) wanted: Notify,
}

#[derive(Clone)]
struct State {
    role: MemberRole,
    /// In a row.
    failures: u32,
    is_up: bool,
    /// It has not let us in when it was last looked at.
    shuts_us_out: bool,
    last: Option<Report>,
    lag: Option<u64>,
    /// The last reports of a primary, the oldest first: when it was asked, and its position.
    written: VecDeque<(Instant, u64)>,
}

/// How a look at a server changed what is known of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    None,
    Down,
    Up,
    Role(MemberRole),
}

impl Member {
    pub(super) fn new(backend: Backend, role: MemberRole) -> Self {
        // Up until it turns out not to be: the first statements need not wait for a look.
        let written = VecDeque::new();
        let state = State {
            role,
            failures: 0,
            is_up: true,
            shuts_us_out: false,
            last: None,
            lag: None,
            written,
        };
        let Backend { pool, weight } = backend;
        Self { pool, weight: weight.max(1), state: Mutex::new(state), wanted: Notify::new() }
    }

    /// Knows what `before` did, which is the same server.
    pub(super) fn continues(&self, before: &Self) {
        let known = before.state().clone();
        *self.state() = known;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What it said the last time, if it is up.
    pub(super) fn report(&self) -> Option<Report> {
        let state = self.state();
        state.last.filter(|_| state.is_up)
    }

    /// Whether there is nothing to wait for: it takes writes, as far as is known, and nothing has happened
    /// since that makes that doubtful; or it does not let us in, which no waiting changes.
    pub(super) fn can_be_asked(&self) -> bool {
        let state = self.state();
        let works = state.failures == 0 && !self.pool.is_in_doubt();
        state.role == MemberRole::Primary && (works || state.shuts_us_out)
    }

    /// A position of a primary behind which nothing stands that was committed before `moment`, as
    /// early as one is known.
    pub(super) fn position_after(&self, moment: Instant) -> Option<u64> {
        let state = self.state();
        let later = state.written.iter().find(|(asked, _)| *asked >= moment);
        later.map(|(_, position)| *position)
    }

    /// Whether it may take reads: a replica that is up, not too far behind, and known to have come to
    /// the position `least`.
    pub(super) fn takes_reads(&self, options: &BackendsOptions, least: u64) -> bool {
        let state = self.state();
        let near = options.max_lag.is_none_or(|most| state.lag.is_some_and(|lag| lag <= most));
        let age = state.last.and_then(|last| last.age).filter(|_| state.lag != Some(0));
        let young = options.max_lag_time.is_none_or(|most| age.is_none_or(|age| age <= most));
        let arrived = least == 0 || state.last.is_some_and(|last| last.position >= least);
        state.is_up && state.role == MemberRole::Replica && near && young && arrived
    }

    /// Notes what it said, and how far behind the primary's position that is.
    pub(super) fn answered(&self, report: Report, primary: Option<u64>) -> Change {
        let mut state = self.state();
        state.failures = 0;
        state.shuts_us_out = false;
        state.lag = primary.map(|primary| primary.saturating_sub(report.position));
        state.last = Some(report);
        if state.role != report.role {
            state.written.clear();
        }
        if report.role == MemberRole::Primary {
            if state.written.len() == WRITTEN {
                state.written.pop_front();
            }
            state.written.push_back((report.asked, report.position));
        }
        let change = match (state.is_up, state.role == report.role) {
            (false, _) => Change::Up,
            (true, false) => Change::Role(report.role),
            (true, true) => Change::None,
        };
        state.is_up = true;
        state.role = report.role;
        change
    }

    /// Notes that it did not answer, or does not let us in.
    pub(super) fn failed(&self, max_failures: u32, shuts_us_out: bool) -> Change {
        let mut state = self.state();
        state.shuts_us_out = shuts_us_out;
        state.failures = state.failures.saturating_add(1);
        if state.is_up && state.failures >= max_failures {
            state.is_up = false;
            return Change::Down;
        }
        Change::None
    }

    /// Whether it is up, as far as is known, and how far behind the primary.
    pub(super) fn condition(&self) -> (bool, Option<u64>, Option<Duration>) {
        let state = self.state();
        let is_replica = state.role == MemberRole::Replica;
        let last = state.last.filter(|_| is_replica && state.is_up);
        // Who has replayed everything is not behind, however long ago the last transaction was.
        let age = last
            .and_then(|last| if state.lag == Some(0) { Some(Duration::ZERO) } else { last.age });
        (state.is_up, state.lag.filter(|_| last.is_some()), age)
    }

    pub(super) fn look_again(&self) {
        self.wanted.notify_one();
    }
}
