//! What is known of the statements between two ReadyForQuery, for the case that the server is lost
//! before the second one.

use pool_manager::InFlight;
use pool_manager::classify::{Classification, StatementKind, TransactionControl};

/// A Query, or a batch of messages up to its Sync.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unit {
    /// Running it again does no harm.
    read_only: bool,
    atomic: bool,
    commits: bool,
    /// Begins or ends a transaction, so that what comes after it may be in another state.
    controls: bool,
}

impl Unit {
    /// Nothing that runs.
    pub(super) const NOTHING: Self =
        Self { read_only: true, atomic: true, commits: false, controls: false };
    /// Something that nobody has looked at.
    pub(super) const ANYTHING: Self =
        Self { read_only: false, atomic: false, commits: true, controls: true };

    /// Adds a statement.
    pub(super) fn add(&mut self, class: &Classification) {
        self.read_only &= class.read_only || ends_with_session(class);
        self.atomic &= class.cacheable;
        let controls = class.transaction != TransactionControl::None;
        // Of several statements only the first that controls a transaction is known.
        self.commits |= matches!(
            class.transaction,
            TransactionControl::Commit { .. } | TransactionControl::PrepareTransaction
        ) || (controls && class.statements > 1);
        self.controls |= controls;
    }

    /// Adds something that nobody has looked at.
    pub(super) fn add_anything(&mut self) {
        *self = Self::ANYTHING;
    }

    /// Whether one is in a transaction after it exactly if one is before it.
    pub(super) fn keeps_transaction(self) -> bool {
        !self.controls
    }

    /// What it was like when the connection was lost.
    pub(super) fn in_flight(self, in_transaction: bool, sent: bool, completed: bool) -> InFlight {
        InFlight {
            in_transaction: in_transaction && !self.commits,
            read_only: self.read_only,
            atomic: self.atomic,
            commits: self.commits,
            sent,
            completed,
        }
    }
}

/// Whether all that a statement does is gone with its session, as if it had never run.
fn ends_with_session(class: &Classification) -> bool {
    let leaves_nothing = matches!(
        class.kind,
        StatementKind::Empty
            | StatementKind::Set
            | StatementKind::Reset
            | StatementKind::Deallocate
            | StatementKind::Discard
            | StatementKind::Prepare
            | StatementKind::Listen
            | StatementKind::Unlisten
            | StatementKind::Close
            | StatementKind::Load
            | StatementKind::Lock
    ) || matches!(
        class.transaction,
        TransactionControl::Begin { .. }
            | TransactionControl::Rollback { .. }
            | TransactionControl::RollbackTo
            | TransactionControl::Savepoint
            | TransactionControl::Release
    );
    class.statements <= 1 && leaves_nothing
}

#[cfg(test)]
mod tests {
    use pool_manager::classify::{SafeFunctions, classify};

    use super::*;

    fn unit(texts: &[&str]) -> Unit {
        let mut unit = Unit::NOTHING;
        for sql in texts {
            unit.add(&classify(sql, &SafeFunctions::default()));
        }
        unit
    }

    #[test]
    fn what_may_be_run_again_is_told_from_what_may_not() {
        for harmless in ["select 1", "begin", "rollback", "set a to 1", "", "savepoint x"] {
            assert!(unit(&[harmless]).in_flight(false, true, true).read_only, "{harmless}");
        }
        for harm in [
            "insert into t values (1)",
            "commit",
            "begin; insert into t values (1); commit",
            "call p()",
        ] {
            assert!(!unit(&[harm]).in_flight(false, true, true).read_only, "{harm}");
        }
        assert!(!unit(&["select 1", "delete from t"]).in_flight(false, true, true).read_only);
    }

    #[test]
    fn a_commit_is_not_protected_by_its_transaction() {
        let commit = unit(&["commit"]).in_flight(true, true, false);
        assert!(commit.commits && !commit.in_transaction);
        assert!(unit(&["insert into t values (1)"]).in_flight(true, true, false).in_transaction);
        assert!(!unit(&["commit"]).keeps_transaction() && unit(&["select 1"]).keeps_transaction());
    }
}
