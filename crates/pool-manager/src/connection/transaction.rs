//! Beginning and ending a transaction, with an exact answer about the commit.

use std::io;
use std::time::Duration;

use tokio::time::timeout;

use super::execute::{ExecuteError, Progress};
use super::{SequenceUse, ServerConnection};
use crate::engine::{LinkError, TransactionStatus};
use crate::server_error::ServerError;

/// How long a ROLLBACK may take before the connection is given up, which rolls back too.
const ROLLBACK_TIMEOUT: Duration = Duration::from_secs(5);
/// Forgets what lastval() and currval() would answer.
const DISCARD_SEQUENCES: &str = "DISCARD SEQUENCES";

/// How a transaction ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// The server said COMMIT.
    Committed,
    /// The server said ROLLBACK, whatever was asked for.
    RolledBack,
}

/// Why it is not known to have ended as asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EndError {
    /// The server refused to commit (a deferred constraint, a serialization failure) and rolled
    /// back.
    #[error(transparent)]
    Refused(Box<ServerError>),
    /// The connection was lost before all of the command was sent: rolled back.
    #[error("{0}")]
    NotSent(LinkError),
    /// The connection was lost after it was sent: nobody can know.
    #[error("{0}")]
    Unknown(LinkError),
}

impl ServerConnection {
    /// Sends `command`, a BEGIN with its modes.
    pub(crate) async fn begin(&mut self, command: &str) -> Result<(), ExecuteError> {
        if self.sequences == SequenceUse::None {
            return self.command(command).await.map(drop);
        }
        // In one write, but not in one text: that would be one transaction, whose modes could not
        // be set any more after its first statement.
        self.link.request().query(DISCARD_SEQUENCES)?.query(command)?;
        let (discarded, begun) = (self.answer().await?, self.answer().await?);
        discarded.into_tag()?;
        begun.into_tag()?;
        self.sequences = SequenceUse::None;
        Ok(())
    }

    /// Sees to it that lastval() and currval() do not answer with an earlier caller's values.
    pub(crate) async fn forget_sequences(&mut self) -> Result<(), ExecuteError> {
        if self.sequences != SequenceUse::None {
            self.command(DISCARD_SEQUENCES).await?;
            self.sequences = SequenceUse::None;
        }
        Ok(())
    }

    /// COMMIT. The answer is decided by the command tag and the status, never by the mere
    /// absence of an error: COMMIT of a failed transaction succeeds, saying ROLLBACK.
    pub(crate) async fn commit(&mut self) -> Result<Ended, EndError> {
        // A failed transaction cannot be committed, whatever happens to the answer.
        let can_commit = self.link.status() == TransactionStatus::InTransaction;
        self.end("COMMIT", can_commit).await
    }

    /// ROLLBACK, within a few seconds: a server that cannot be reached rolls back by itself.
    pub(crate) async fn rollback(&mut self) -> Result<Ended, EndError> {
        let late = |_| Err(EndError::NotSent(LinkError::Io(io::ErrorKind::TimedOut.into())));
        timeout(ROLLBACK_TIMEOUT, self.end("ROLLBACK", false)).await.unwrap_or_else(late)
    }

    async fn end(&mut self, command: &str, can_commit: bool) -> Result<Ended, EndError> {
        // A server that went away while nothing was under way has rolled back: known only for as
        // long as nothing was written after it.
        if self.at_rest()
            && let Err(error) = self.check().await
        {
            return Err(EndError::NotSent(error));
        }
        match self.command(command).await {
            Ok(tag) => match (tag.command(), self.link.status()) {
                ("COMMIT", TransactionStatus::Idle) => Ok(Ended::Committed),
                ("ROLLBACK", TransactionStatus::Idle) => Ok(Ended::RolledBack),
                _ => Err(EndError::Unknown(self.link.out_of_step())),
            },
            Err(ExecuteError::Server(error)) if self.link.status() == TransactionStatus::Idle => {
                Err(EndError::Refused(error))
            }
            Err(ExecuteError::Lost { error, progress }) => {
                if can_commit && progress != Progress::NotSent {
                    Err(EndError::Unknown(error))
                } else {
                    Err(EndError::NotSent(error))
                }
            }
            // An error that leaves the transaction open, or a reply that makes no sense.
            Err(_) => Err(EndError::Unknown(self.link.out_of_step())),
        }
    }
}
