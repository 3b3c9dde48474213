//! What the server still owes, one entry for each message sent, in order: whose reply it is, who
//! gets to see it, and what it makes true.
//!
//! | sent | owed | seen by the client |
//! |---|---|---|
//! | Parse | ParseComplete | yes; not when it was ours |
//! | nothing (a statement that is prepared already, Close of a statement) | nothing | an answer of ours |
//! | Bind | BindComplete | yes |
//! | Describe | ParameterDescription, RowDescription or NoData | yes |
//! | Execute | rows, CommandComplete or PortalSuspended | yes |
//! | Close of a portal | CloseComplete | yes |
//! | Close of ours | CloseComplete | no |
//! | Sync | ReadyForQuery | yes |
//! | Query, FunctionCall | anything up to ReadyForQuery | yes |
//! | Query of ours | the same | no |

use std::sync::Arc;

use pool_manager::ServerError;

use super::names::Change;
use super::unit::Unit;
use crate::statement::Statement;

/// A reply that is to come.
#[derive(Debug)]
pub(super) enum Expect {
    Parse(Box<Parsing>),
    /// The client's Parse of the unnamed statement, and what its unnamed statement was before.
    ParseUnnamed(Option<Arc<Statement>>),
    /// No message was sent: the answer is ours, when its turn comes.
    Synthetic(Box<Synthetic>),
    /// Of the statement with this number, if it is one of the client's.
    Bind(Option<u64>),
    DescribeStatement(Option<u64>),
    DescribePortal,
    Execute(Ending),
    ClosePortal,
    /// Our own Close of a statement, with its name.
    CloseOwn(Box<str>),
    Sync(Unit),
    Query(Unit, Ending),
    FunctionCall,
    /// A Query of ours.
    Own(OwnQuery),
    /// The client's CopyDone or CopyFail: no reply of its own, but the end of a COPY FROM STDIN.
    CopyEnd,
    /// A message sent in place of one that cannot be let through: it fails, and the client gets
    /// this error for it.
    Refused(Box<ServerError>),
    /// The same for a Query.
    QueryRefused(Box<ServerError>),
}

/// A Parse that was sent.
#[derive(Debug)]
pub(super) struct Parsing {
    /// The client asked for it, and is to see that it is done.
    pub(super) shown: bool,
    pub(super) statement: Arc<Statement>,
    /// The name that the server has for it, if it is one of ours.
    pub(super) server_name: Option<String>,
    /// It is for this client alone.
    pub(super) private: bool,
    /// What it changed among the client's names.
    pub(super) change: Option<Change>,
}

/// An answer of ours.
#[derive(Debug)]
pub(super) struct Synthetic {
    /// Its type byte; it has no body.
    pub(super) tag: u8,
    pub(super) change: Change,
}

/// What must be true at the end of a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ending {
    /// How its command tag begins if it is what it was taken for.
    pub(super) tag: Option<&'static str>,
    pub(super) effect: Effect,
}

impl Ending {
    /// Nothing is known of the statement.
    pub(super) const NONE: Self = Self { tag: None, effect: Effect::None };
}

/// What a statement does to the relay's own bookkeeping when it succeeds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) enum Effect {
    #[default]
    None,
    /// `DEALLOCATE`: the client's statement of this name is gone.
    Deallocates(Box<str>),
    /// `DEALLOCATE ALL`: no prepared statement is left.
    DeallocatesAll,
    /// `DISCARD ALL`: the same, and no setting.
    DiscardsAll,
}

/// Queries that nobody but us asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OwnQuery {
    /// It must succeed.
    MustSucceed,
    /// It is there to fail.
    Fails,
}

impl Expect {
    /// Whether ReadyForQuery ends it.
    pub(super) fn ends_with_ready(&self) -> bool {
        matches!(
            self,
            Self::Sync(_)
                | Self::Query(..)
                | Self::FunctionCall
                | Self::Own(_)
                | Self::QueryRefused(_)
        )
    }

    /// Whether what the server sends for it is not for the client.
    pub(super) fn is_own(&self) -> bool {
        match self {
            Self::Own(_) | Self::CloseOwn(_) => true,
            Self::Parse(parsing) => !parsing.shown,
            _ => false,
        }
    }

    /// The unit that its ReadyForQuery ends.
    pub(super) fn unit(&self) -> Option<Unit> {
        match self {
            Self::Sync(unit) | Self::Query(unit, _) => Some(*unit),
            Self::FunctionCall => Some(Unit::ANYTHING),
            Self::QueryRefused(_) => Some(Unit::NOTHING),
            _ => None,
        }
    }
}
