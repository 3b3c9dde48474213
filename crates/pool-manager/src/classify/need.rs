//! Why a statement is of no use on a connection that the next statement may not get, and what to
//! do instead. Only texts; who refuses, and when, is decided elsewhere.

use std::fmt;

/// What makes a statement need a session, or at least a transaction.
///
/// [`Display`](fmt::Display) gives the whole sentence, [`what`](Self::what) and
/// [`remedy`](Self::remedy) its two halves. The words name no table and no value, and hold none of
/// the phrases by which frameworks recognise a lost connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SessionNeed {
    /// `LISTEN`
    Listen,
    /// `UNLISTEN`
    Unlisten,
    /// `CREATE TEMP …`, `SELECT … INTO TEMP`, anything created in `pg_temp`.
    TempObject,
    /// `PREPARE`
    Prepare,
    /// `EXECUTE`
    Execute,
    /// `DEALLOCATE`
    Deallocate,
    /// `pg_advisory_lock()` and the other session level advisory lock functions.
    AdvisoryLock,
    /// `pg_advisory_unlock()` and its relatives: of no use without such a lock, and harmless.
    AdvisoryUnlock,
    /// `lastval()`, `currval()`
    SequenceValue,
    /// `SET`, but for the forms below.
    Set,
    /// `SET ROLE`, `SET SESSION AUTHORIZATION`
    SetRole,
    /// `RESET`
    Reset,
    /// `set_config(…, false)`
    SetConfig,
    /// `SET LOCAL`
    SetLocal,
    /// `SET TRANSACTION`
    SetTransaction,
    /// `SET CONSTRAINTS`
    SetConstraints,
    /// `DECLARE … WITH HOLD`
    HoldCursor,
    /// `DECLARE`
    Cursor,
    /// `FETCH`
    Fetch,
    /// `MOVE`
    Move,
    /// `CLOSE`
    Close,
    /// `LOAD`
    Load,
    /// `DISCARD`
    Discard,
    /// `lo_open()` and the functions that take its descriptor.
    LargeObject,
    /// `LOCK`
    Lock,
    /// `SAVEPOINT`, `RELEASE`, `ROLLBACK TO`
    Savepoint,
    /// `BEGIN`, `START TRANSACTION`
    Begin,
    /// `COMMIT`, `END`
    Commit,
    /// `ROLLBACK`, `ABORT`
    Rollback,
    /// `PREPARE TRANSACTION`
    PrepareTransaction,
}

/// Of two needs the first, unless only the second one lasts.
pub(super) fn weightier(
    first: Option<SessionNeed>,
    second: Option<SessionNeed>,
) -> Option<SessionNeed> {
    let lasts = |need: Option<SessionNeed>| need.and_then(SessionNeed::lasting).is_some();
    if lasts(second) && !lasts(first) { second } else { first.or(second) }
}

impl SessionNeed {
    /// What it leaves in the session that outlives the transaction and cannot be made again on another
    /// connection: as users write it, and in a word for counters.
    #[must_use]
    pub const fn lasting(self) -> Option<(&'static str, &'static str)> {
        Some(match self {
            Self::Listen => ("LISTEN", "listen"),
            Self::TempObject => ("a temporary table, view or sequence", "temporary_object"),
            Self::Prepare => ("PREPARE", "prepare"),
            Self::AdvisoryLock => ("a session level advisory lock", "advisory_lock"),
            Self::HoldCursor => ("DECLARE ... WITH HOLD", "hold_cursor"),
            Self::Load => ("LOAD", "load"),
            _ => return None,
        })
    }

    /// What cannot be done, such as `LISTEN needs a session`.
    #[must_use]
    pub const fn what(self) -> &'static str {
        match self {
            Self::Listen => "LISTEN needs a session",
            Self::Unlisten => "UNLISTEN needs a session",
            Self::TempObject => "a temporary table, view or sequence needs a session",
            Self::Prepare => "PREPARE needs a session",
            Self::Execute => "EXECUTE needs a session",
            Self::Deallocate => "DEALLOCATE needs a session",
            Self::AdvisoryLock | Self::AdvisoryUnlock => {
                "a session level advisory lock needs a session"
            }
            Self::SequenceValue => "lastval() and currval() need a session or transaction",
            Self::Set => "SET outside a transaction or session",
            Self::SetRole => "SET ROLE or SESSION AUTHORIZATION needs a session",
            Self::Reset => "RESET outside a transaction or session",
            Self::SetConfig => "set_config(..., false) outside a transaction or session",
            Self::SetLocal => "SET LOCAL has no effect outside a transaction",
            Self::SetTransaction => "SET TRANSACTION has no effect outside a transaction",
            Self::SetConstraints => "SET CONSTRAINTS has no effect outside a transaction",
            Self::HoldCursor => "DECLARE ... WITH HOLD needs a session",
            Self::Cursor => "DECLARE needs a transaction",
            Self::Fetch => "FETCH needs the transaction or session of its cursor",
            Self::Move => "MOVE needs the transaction or session of its cursor",
            Self::Close => "CLOSE needs the transaction or session of its cursor",
            Self::Load => "LOAD needs a session",
            Self::Discard => "DISCARD needs a session",
            Self::LargeObject => "large object descriptors need a transaction",
            Self::Lock => "LOCK needs a transaction",
            Self::Savepoint => "SAVEPOINT, RELEASE and ROLLBACK TO need a transaction",
            Self::Begin => "BEGIN outside a session",
            Self::Commit => "COMMIT outside a transaction or session",
            Self::Rollback => "ROLLBACK outside a transaction or session",
            Self::PrepareTransaction => "PREPARE TRANSACTION needs a transaction",
        }
    }

    /// What to do instead, such as `begin one with SessionBegin`.
    #[must_use]
    pub const fn remedy(self) -> &'static str {
        match self {
            Self::Listen
            | Self::Unlisten
            | Self::Execute
            | Self::Deallocate
            | Self::SetRole
            | Self::HoldCursor
            | Self::Load
            | Self::Discard => "begin one with SessionBegin",
            Self::TempObject | Self::Fetch | Self::Move | Self::Close => {
                "begin one with SessionBegin, or a transaction with TransactionBegin"
            }
            Self::Prepare => {
                "begin one with SessionBegin, or leave it to Execute, which prepares by itself"
            }
            Self::AdvisoryLock | Self::AdvisoryUnlock => {
                "begin one with SessionBegin, or use pg_advisory_xact_lock after TransactionBegin"
            }
            Self::SequenceValue => {
                "use INSERT ... RETURNING, or begin one with SessionBegin or TransactionBegin"
            }
            Self::Set | Self::SetConfig => "use \"settings\" of Execute or SessionBegin",
            Self::Reset => "settings last for one Execute; for longer ones use SessionBegin",
            Self::SetLocal => "use \"settings\" of Execute, or begin one with TransactionBegin",
            Self::SetTransaction => {
                "give isolation_level, read_only or deferrable to TransactionBegin"
            }
            Self::SetConstraints | Self::Cursor | Self::LargeObject | Self::Lock => {
                "begin one with TransactionBegin"
            }
            Self::Savepoint | Self::PrepareTransaction => "begin one with TransactionBegin",
            Self::Begin => "use TransactionBegin",
            Self::Commit => "use TransactionBegin and TransactionCommit",
            Self::Rollback => "use TransactionBegin and TransactionRollback",
        }
    }
}

impl fmt::Display for SessionNeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what(), self.remedy())
    }
}

#[cfg(test)]
mod tests {
    use super::SessionNeed;

    #[test]
    fn sentences_name_the_statement_and_the_way_out() {
        assert_eq!(
            SessionNeed::Listen.to_string(),
            "LISTEN needs a session: begin one with SessionBegin"
        );
        assert_eq!(
            SessionNeed::Set.to_string(),
            "SET outside a transaction or session: use \"settings\" of Execute or SessionBegin"
        );
    }
}
