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

use pool_manager::{ServerError, Tally};

use super::asked::Asked;
use super::names::{AllNames, Change, Named};
use super::unit::Unit;
use crate::statement::Statement;

/// A reply that is to come.
#[derive(Debug)]
pub(super) enum Expect {
    Parse(Box<Parsing>),
    /// The client's Parse of the unnamed statement, which the server has as such, too.
    ParseUnnamed(Change),
    /// No message was sent: the answer is ours, when its turn comes.
    Synthetic(Box<Synthetic>),
    /// Of this statement, if it is one of the client's.
    Bind(Option<Named>),
    DescribeStatement(Option<Named>),
    DescribePortal,
    Execute(Ending),
    ClosePortal,
    /// Our own Close of a statement, with its name.
    CloseOwn(Box<str>),
    Sync(Unit, Asked),
    Query(Querying),
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

/// A Query that was sent.
#[derive(Debug)]
pub(super) struct Querying {
    pub(super) unit: Unit,
    pub(super) ending: Ending,
    /// The server drops the unnamed statement when it comes to it.
    pub(super) change: Option<Change>,
    pub(super) asked: Asked,
}

impl Querying {
    /// Nothing is known of it.
    pub(super) const ANYTHING: Self =
        Self { unit: Unit::ANYTHING, ending: Ending::NONE, change: None, asked: Asked::NOTHING };
}

/// An answer of ours.
#[derive(Debug)]
pub(super) struct Synthetic {
    /// Its type byte; it has no body.
    pub(super) tag: u8,
    pub(super) change: Change,
}

/// What must be true at the end of a statement.
#[derive(Debug)]
pub(super) struct Ending {
    /// How its command tag begins if it is what it was taken for.
    pub(super) tag: Option<&'static str>,
    pub(super) effect: Effect,
    /// Where the call is counted.
    pub(super) tally: Option<Arc<Tally>>,
}

impl Ending {
    /// Nothing is known of the statement.
    pub(super) const NONE: Self = Self { tag: None, effect: Effect::None, tally: None };
}

/// What a statement does to our own books, with what to put back if it fails.
#[derive(Debug, Default)]
pub(super) enum Effect {
    #[default]
    None,
    /// `DEALLOCATE`: the client's statement of this name is gone.
    Deallocates(Change),
    /// `DEALLOCATE ALL`: no prepared statement is left.
    DeallocatesAll(Box<AllNames>),
    /// `DISCARD ALL`: the same, and no setting.
    DiscardsAll(Box<AllNames>),
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
    /// Whether it is a DISCARD ALL that the server has not come to.
    pub(super) fn discards_all(&self) -> bool {
        let ending = match self {
            Self::Execute(ending) => ending,
            Self::Query(query) => &query.ending,
            _ => return false,
        };
        matches!(ending.effect, Effect::DiscardsAll(_))
    }
}

impl Effect {
    fn change(&self) -> Option<&Change> {
        if let Self::Deallocates(change) = self { Some(change) } else { None }
    }

    fn change_mut(&mut self) -> Option<&mut Change> {
        if let Self::Deallocates(change) = self { Some(change) } else { None }
    }

    fn is_on_all(&self) -> bool {
        matches!(self, Self::DeallocatesAll(_) | Self::DiscardsAll(_))
    }
}

impl Expect {
    /// Whether ReadyForQuery ends it.
    pub(super) fn ends_with_ready(&self) -> bool {
        matches!(
            self,
            Self::Sync(..)
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

    /// What was changed among the client's names, to be undone if the server never comes to it.
    fn changes(&self) -> [Option<&Change>; 2] {
        match self {
            Self::ParseUnnamed(change) => [Some(change), None],
            Self::Parse(parsing) => [parsing.change.as_ref(), None],
            Self::Synthetic(synthetic) => [Some(&synthetic.change), None],
            Self::Query(query) => [query.change.as_ref(), query.ending.effect.change()],
            Self::Execute(ending) => [ending.effect.change(), None],
            _ => [None, None],
        }
    }

    /// The change of this name that it makes.
    pub(super) fn change_mut(&mut self, name: &[u8]) -> Option<&mut Change> {
        let changes = match self {
            Self::ParseUnnamed(change) => [Some(change), None],
            Self::Parse(parsing) => [parsing.change.as_mut(), None],
            Self::Synthetic(synthetic) => [Some(&mut synthetic.change), None],
            Self::Query(query) => [query.change.as_mut(), query.ending.effect.change_mut()],
            Self::Execute(ending) => [ending.effect.change_mut(), None],
            _ => [None, None],
        };
        changes.into_iter().flatten().find(|change| *change.name == *name)
    }

    /// The Parse that it is.
    pub(super) fn parsing(&mut self) -> Option<&mut Parsing> {
        if let Self::Parse(parsing) = self { Some(parsing) } else { None }
    }

    /// Whether it makes a difference to what this name stands for.
    pub(super) fn may_change(&self, name: &[u8]) -> bool {
        match self {
            Self::Execute(ending) | Self::Query(Querying { ending, .. })
                if ending.effect.is_on_all() && !name.is_empty() =>
            {
                true
            }
            _ => self.changes().into_iter().flatten().any(|change| *change.name == *name),
        }
    }

    /// What its unit has asked for, for the log of statements.
    pub(super) fn take_asked(&mut self) -> Option<Asked> {
        match self {
            Self::Sync(_, asked) => Some(std::mem::take(asked)),
            Self::Query(query) => Some(std::mem::take(&mut query.asked)),
            _ => None,
        }
    }

    /// The unit that its ReadyForQuery ends.
    pub(super) fn unit(&self) -> Option<Unit> {
        match self {
            Self::Sync(unit, _) => Some(*unit),
            Self::Query(query) => Some(query.unit),
            Self::FunctionCall => Some(Unit::ANYTHING),
            Self::QueryRefused(_) => Some(Unit::NOTHING),
            _ => None,
        }
    }
}
