//! What whoever runs the door is told of statements that have ended, for a log. It decides neither
//! how a line looks nor whether constants are masked.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use pool_manager::SqlState;

/// Who is told of statements, and of which.
#[derive(Clone)]
pub struct QueryLog {
    /// What ran for less is not told.
    pub from: Duration,
    /// Parameters are told, too.
    pub with_params: bool,
    /// Is told, within the task of the client: it must not wait for anything.
    pub tell: Arc<dyn Fn(&EndedQuery<'_>) + Send + Sync>,
}

impl fmt::Debug for QueryLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QueryLog")
            .field("from", &self.from)
            .field("with_params", &self.with_params)
            .finish_non_exhaustive()
    }
}

/// A Query, or a batch of messages up to its Sync, that has ended.
#[derive(Debug)]
pub struct EndedQuery<'a> {
    /// The database's name in the configuration.
    pub database: &'a str,
    /// Who the client has logged in as.
    pub user: &'a str,
    /// The texts, the first ones of a long batch, each as it was sent and perhaps cut off.
    pub texts: Vec<Cow<'a, str>>,
    /// How many texts there were.
    pub statements: usize,
    /// The parameters' values, if they are told.
    pub params: Option<&'a str>,
    /// How long the client waited for a server connection.
    pub waited: Duration,
    /// How long the server took, from the first message to its ReadyForQuery.
    pub took: Duration,
    /// The error that it ended with.
    pub sqlstate: Option<SqlState>,
}
