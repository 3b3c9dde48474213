//! What a caller is told when something fails, in three classes that are never mixed.
//!
//! * [`Error::NotExecuted`]: the connection was lost and the statement did not take effect. The
//!   texts are the ones that frameworks recognise, because running it again is safe.
//! * [`Error::OutcomeUnknown`]: it may have taken effect. No text here contains what a
//!   framework's retry detector looks for (`connection`, `broken pipe`, `0800`).
//! * [`Error::Exhausted`], [`Error::QueueFull`] and [`Error::Paused`]: overload. Retrying would
//!   double it, so those texts match no detector either, nor does that of [`Error::RateExceeded`].

use std::sync::Arc;
use std::time::Duration;

use crate::classify::SessionNeed;
use crate::connect::{ConnectError, HousekeepingError};
use crate::connection::{EndError, ExecuteError, Progress, SettingError, SinkError};
use crate::engine::LinkError;
use crate::rate::RateExceeded;
use crate::server_error::{ServerError, SqlState};
use crate::values::ArgError;

/// Any failure of this crate, as callers see it. No variant holds a secret or a parameter value
/// beyond what PostgreSQL itself puts into its messages.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An error of the server, untouched.
    #[error(transparent)]
    Server(Box<ServerError>),
    /// No connection could be opened; nothing was executed.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The housekeeping connection does not work; nothing was executed.
    #[error(transparent)]
    Housekeeping(#[from] HousekeepingError),
    /// The server did not let us in within `acquire_timeout`; nothing was executed.
    #[error("pool \"{pool}\": the server did not accept a session within {}", format_limit(*limit))]
    CannotConnectInTime {
        /// The pool's name.
        pool: Arc<str>,
        /// How long was waited.
        limit: Duration,
    },
    /// The server keeps failing and is not asked for a while; nothing was executed.
    #[error(
        "pool \"{pool}\": the server has failed too often and is not asked now (circuit breaker); \
         {}",
        format_retry(*retry_in)
    )]
    CircuitOpen {
        /// The pool's name.
        pool: Arc<str>,
        /// When it is asked again; zero: somebody is asking it at the moment.
        retry_in: Duration,
    },
    /// The connection was lost, and the statement did not take effect.
    #[error("{}", not_executed_text(.0.as_deref()))]
    NotExecuted(Option<Box<ServerError>>),
    /// The connection was lost after the statement was sent: it may have taken effect.
    #[error(
        "the outcome of {what} is unknown: the server was lost after it was sent and before it \
         answered; check before running it again"
    )]
    OutcomeUnknown {
        /// `COMMIT` or `the statement`.
        what: &'static str,
    },
    /// No server connection became free in time.
    #[error(
        "pool \"{pool}\" is exhausted: {what} for {}, {size} in all, callers waiting: {waiting}; \
         raise {remedy} or hold them for less time",
        format_limit(*waited)
    )]
    Exhausted {
        /// The pool's name.
        pool: Arc<str>,
        /// What was waited for.
        what: &'static str,
        /// What to raise. Never `pool.max_connections` by name: Cycle's retry looks for
        /// "connection" in the text.
        remedy: &'static str,
        /// How many there are.
        size: usize,
        /// Callers that were waiting then.
        waiting: usize,
        /// How long this one waited.
        waited: Duration,
    },
    /// Too many callers wait already.
    #[error(
        "pool \"{pool}\" is exhausted: all {size} slots are taken and {waiting} callers wait \
         (pool.wait_queue_size)"
    )]
    QueueFull {
        /// The pool's name.
        pool: Arc<str>,
        /// Its size.
        size: usize,
        /// How many wait.
        waiting: usize,
    },
    /// An administrator has paused the pool, and it was not resumed in time; nothing was executed.
    #[error(
        "pool \"{pool}\" is paused by an administrator (PAUSE) and was not resumed within {}; try \
         again when it is",
        format_limit(*waited)
    )]
    Paused {
        /// The pool's name.
        pool: Arc<str>,
        /// How long was waited.
        waited: Duration,
    },
    /// The client asks more often than it may; nothing was executed.
    #[error(transparent)]
    RateExceeded(#[from] RateExceeded),
    /// The statement ran out of time and was cancelled at the server.
    #[error("canceling statement due to query timeout after {}", format_limit(*.0))]
    TimedOut(Duration),
    /// The statement needs a session of its own.
    #[error("{0}")]
    NeedsSession(SessionNeed),
    /// Anything else that is refused before it reaches the server, with its SQLSTATE.
    #[error("{message}")]
    Refused {
        /// SQLSTATE of the refusal.
        code: SqlState,
        /// What is wrong, where, and what to do.
        message: String,
    },
    /// No pool of that name.
    #[error("database {name:?} does not exist here; configured: {known}")]
    UnknownDatabase {
        /// What was asked for.
        name: String,
        /// What there is.
        known: String,
    },
    /// What somebody else has got who asked for the same at the same time.
    #[error(transparent)]
    Shared(Arc<Error>),
    /// The pool is being closed.
    #[error("pool \"{0}\" is shutting down")]
    Closed(Arc<str>),
}

impl Error {
    /// A refusal of our own.
    pub fn refused(code: SqlState, message: impl Into<String>) -> Self {
        Self::Refused { code, message: message.into() }
    }

    /// Whether it is for its server that no connection could be opened, so that another server may do
    /// what this one was to do. Nothing was executed. A wrong password or database is for nobody to
    /// work around.
    pub fn is_of_server(&self) -> bool {
        match self {
            Self::Connect(_) => !self.is_of_login(),
            Self::CannotConnectInTime { .. } | Self::CircuitOpen { .. } => true,
            _ => false,
        }
    }

    /// Whether the server is there and does not let us in, with this password or into this database.
    pub(crate) fn is_of_login(&self) -> bool {
        match self {
            Self::Connect(error) | Self::Housekeeping(HousekeepingError::Connect(error)) => {
                ["28", "3D"].contains(&error.sqlstate().class())
            }
            _ => false,
        }
    }

    /// SQLSTATE of this error.
    pub fn sqlstate(&self) -> SqlState {
        match self {
            Self::Server(error) => error.code,
            Self::Connect(error) | Self::Housekeeping(HousekeepingError::Connect(error)) => {
                error.sqlstate()
            }
            Self::Housekeeping(_) | Self::CannotConnectInTime { .. } | Self::CircuitOpen { .. } => {
                SqlState::CANNOT_CONNECT
            }
            Self::NotExecuted(Some(fatal)) => fatal.code,
            Self::NotExecuted(None) => SqlState::CONNECTION_FAILURE,
            Self::OutcomeUnknown { .. } => SqlState::COMPLETION_UNKNOWN,
            Self::Exhausted { .. } | Self::QueueFull { .. } | Self::Paused { .. } => {
                SqlState::TOO_MANY_CONNECTIONS
            }
            Self::RateExceeded(_) => SqlState::CONFIGURATION_LIMIT_EXCEEDED,
            Self::TimedOut(_) => SqlState::QUERY_CANCELED,
            Self::NeedsSession(_) => SqlState::FEATURE_NOT_SUPPORTED,
            Self::Refused { code, .. } => *code,
            Self::UnknownDatabase { .. } => SqlState::UNKNOWN_DATABASE,
            Self::Shared(error) => error.sqlstate(),
            Self::Closed(_) => SqlState::CANNOT_CONNECT_NOW,
        }
    }

    /// Whether it only says that the plan of a prepared statement is out of date.
    pub(crate) fn is_stale_plan(&self) -> bool {
        matches!(self, Self::Server(error) if error.is_stale_plan())
    }

    /// The same in the shape of an ErrorResponse.
    pub fn to_server_error(&self) -> ServerError {
        match self {
            Self::Server(error) => (**error).clone(),
            Self::Shared(error) => error.to_server_error(),
            _ => ServerError::new(self.sqlstate(), self.to_string()),
        }
    }
}

/// What libpq says of a server that is gone, and frameworks look for.
const CLOSED: &str = "server closed the connection unexpectedly";

fn not_executed_text(fatal: Option<&ServerError>) -> String {
    match fatal {
        // As libpq puts it: Doctrine knows it by its begin, Laravel by its end.
        Some(fatal) => format!("{}: {CLOSED} (not executed)", fatal.message),
        None => format!("{CLOSED} (not executed)"),
    }
}

fn format_retry(retry_in: Duration) -> String {
    if retry_in.is_zero() {
        return "one connection is being tried".to_owned();
    }
    // Rounded up: who waits as long as it says finds it tried again.
    format!("next try in {} ms", retry_in.as_micros().div_ceil(1000))
}

fn format_limit(limit: Duration) -> String {
    format!("{} ms", limit.as_millis())
}

impl From<SettingError> for Error {
    fn from(error: SettingError) -> Self {
        let code = match error {
            SettingError::Refused { .. } => SqlState::FEATURE_NOT_SUPPORTED,
            _ => SqlState::INVALID_PARAMETER_VALUE,
        };
        Self::refused(code, error.to_string())
    }
}

impl From<SinkError> for Error {
    fn from(error: SinkError) -> Self {
        let nothing_ran = Exposure {
            in_transaction: false,
            read_only: true,
            atomic: true,
            what: "the statement",
        };
        nothing_ran.explain(error.into())
    }
}

impl From<ArgError> for Error {
    fn from(error: ArgError) -> Self {
        Self::refused(error.sqlstate(), error.to_string())
    }
}

/// What decides whether a statement that was cut off can have taken effect.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Exposure {
    /// Inside an explicit transaction that the statement does not end: losing the connection
    /// rolls it back.
    pub(crate) in_transaction: bool,
    /// Executing it twice does no harm.
    pub(crate) read_only: bool,
    /// One statement that commits as a whole at Sync, so that a FATAL before its
    /// CommandComplete means that it was rolled back.
    pub(crate) atomic: bool,
    /// How it is named in the message.
    pub(crate) what: &'static str,
}

impl Exposure {
    /// Translates the loss of the connection for the caller.
    pub(crate) fn lost(self, error: LinkError, progress: Progress) -> Error {
        let fatal = fatal_of(error);
        let rolled_back = match progress {
            Progress::NotSent => true,
            Progress::Sent => self.atomic && fatal.is_some(),
            Progress::Completed => false,
        };
        if self.in_transaction || self.read_only || rolled_back {
            Error::NotExecuted(fatal)
        } else {
            Error::OutcomeUnknown { what: self.what }
        }
    }

    /// What to say of a statement that was cut off by us, unless it cannot have taken effect.
    pub(crate) fn cut_off(self) -> Option<Error> {
        let harmless = self.in_transaction || self.read_only;
        (!harmless).then_some(Error::OutcomeUnknown { what: self.what })
    }

    /// Translates a failed execution for the caller.
    pub(crate) fn explain(self, error: ExecuteError) -> Error {
        match error {
            ExecuteError::Server(error) => Error::Server(error),
            ExecuteError::Lost { error, progress } => self.lost(error, progress),
            ExecuteError::Argument(error) => error.into(),
            ExecuteError::ArgumentCount { .. } => {
                Error::refused(SqlState::PROTOCOL_VIOLATION, error.to_string())
            }
            ExecuteError::Unsendable(_) => {
                Error::refused(SqlState::INVALID_PARAMETER_VALUE, error.to_string())
            }
            ExecuteError::Sink(SinkError::TooLarge { .. }) => Error::refused(
                SqlState::PROGRAM_LIMIT_EXCEEDED,
                format!("{error}; the statement itself was executed. Fetch less at a time"),
            ),
            ExecuteError::Sink(_) => Error::refused(SqlState::INTERNAL_ERROR, error.to_string()),
            ExecuteError::Copy => {
                Error::refused(SqlState::FEATURE_NOT_SUPPORTED, error.to_string())
            }
            ExecuteError::NotReached => {
                Error::refused(SqlState::IN_FAILED_TRANSACTION, error.to_string())
            }
            ExecuteError::TimedOut(limit) => Error::TimedOut(limit),
            ExecuteError::Stuck(limit) if self.in_transaction || self.read_only => {
                Error::TimedOut(limit)
            }
            ExecuteError::Stuck(_) => Error::OutcomeUnknown { what: self.what },
        }
    }
}

impl From<EndError> for Error {
    fn from(error: EndError) -> Self {
        match error {
            EndError::Refused(error) => Self::Server(error),
            EndError::NotSent(error) => Self::NotExecuted(fatal_of(error)),
            EndError::Unknown(_) => Self::OutcomeUnknown { what: "COMMIT" },
        }
    }
}

fn fatal_of(error: LinkError) -> Option<Box<ServerError>> {
    match error {
        LinkError::Closed(fatal) => fatal,
        LinkError::Io(_) | LinkError::Protocol(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rate::RateLimit;

    /// Substrings by which Laravel, Doctrine and Cycle recognise a lost connection.
    const DETECTORS: [&str; 17] = [
        "connection",
        "server has gone away",
        "no connection to the server",
        "server closed the connection unexpectedly",
        "terminating connection",
        "query_wait_timeout",
        "reset by peer",
        "broken pipe",
        "0800",
        "timed out",
        "went away",
        "server is shutting down",
        "failed to connect to",
        "lost connection",
        "no such file or directory",
        "eof detected",
        "080p",
    ];

    const WRITE: Exposure =
        Exposure { in_transaction: false, read_only: false, atomic: true, what: "the statement" };

    fn lost(fatal: Option<&str>, progress: Progress) -> ExecuteError {
        let fatal = fatal.map(|message| {
            let mut error = ServerError::new(SqlState::ADMIN_SHUTDOWN, message);
            error.severity = "FATAL".to_owned();
            Box::new(error)
        });
        ExecuteError::Lost { error: LinkError::Closed(fatal), progress }
    }

    #[test]
    fn a_write_that_was_cut_off_has_an_unknown_outcome() {
        for progress in [Progress::Sent, Progress::Completed] {
            let error = WRITE.explain(lost(None, progress));
            assert_eq!(error.sqlstate().as_str(), "40003");
            assert_matches_no_detector(&error);
        }
        let error = WRITE.explain(lost(Some("terminating connection"), Progress::Completed));
        assert_eq!(error.sqlstate().as_str(), "40003");
        assert_matches_no_detector(&error);
    }

    #[test]
    fn what_cannot_have_taken_effect_is_reported_as_a_lost_connection() {
        let fatal = Some("terminating connection due to administrator command");
        let cases = [
            (WRITE, lost(None, Progress::NotSent), "08006", "server closed the connection"),
            (WRITE, lost(fatal, Progress::Sent), "57P01", "terminating connection"),
            (
                Exposure { read_only: true, ..WRITE },
                lost(None, Progress::Sent),
                "08006",
                "server closed the connection unexpectedly",
            ),
            (
                Exposure { in_transaction: true, ..WRITE },
                lost(None, Progress::Completed),
                "08006",
                "server closed the connection unexpectedly",
            ),
        ];
        for (exposure, failure, code, text) in cases {
            let error = exposure.explain(failure);
            assert_eq!(error.sqlstate().as_str(), code);
            assert!(error.to_string().contains(text), "{error}");
        }
    }

    #[test]
    fn overload_matches_no_detector() {
        let pool: Arc<str> = "primary".into();
        let exhausted = Error::Exhausted {
            pool: Arc::clone(&pool),
            what: "all slots were taken",
            remedy: "the pool's size",
            size: 25,
            waiting: 7,
            waited: Duration::from_secs(5),
        };
        let paused = Error::Paused { pool: Arc::clone(&pool), waited: Duration::from_secs(5) };
        for error in [exhausted, paused, Error::QueueFull { pool, size: 25, waiting: 1000 }] {
            assert_eq!(error.sqlstate().as_str(), "53300");
            assert_matches_no_detector(&error);
        }
        let limit = RateLimit { per_second: 100, burst: 200 };
        let error = Error::from(RateExceeded { limit, retry_in: Duration::from_millis(10) });
        assert_eq!(error.sqlstate().as_str(), "53400");
        assert_matches_no_detector(&error);
    }

    fn assert_matches_no_detector(error: &Error) {
        let text = format!("{} {error}", error.sqlstate()).to_lowercase();
        for detector in DETECTORS {
            assert!(!text.contains(detector), "{text:?} contains {detector:?}");
        }
    }
}
