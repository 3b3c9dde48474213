//! What the engine hands out: one backend message, and the transaction status in ReadyForQuery.

/// Message tags of the backend, by the names of the protocol documentation
/// ("Message Formats").
pub(crate) mod tag {
    pub(crate) const BIND_COMPLETE: u8 = b'2';
    pub(crate) const CLOSE_COMPLETE: u8 = b'3';
    pub(crate) const COMMAND_COMPLETE: u8 = b'C';
    pub(crate) const COPY_DATA: u8 = b'd';
    pub(crate) const COPY_DONE: u8 = b'c';
    pub(crate) const COPY_IN_RESPONSE: u8 = b'G';
    pub(crate) const COPY_OUT_RESPONSE: u8 = b'H';
    pub(crate) const DATA_ROW: u8 = b'D';
    pub(crate) const EMPTY_QUERY_RESPONSE: u8 = b'I';
    pub(crate) const ERROR_RESPONSE: u8 = b'E';
    pub(crate) const NO_DATA: u8 = b'n';
    pub(crate) const NOTICE_RESPONSE: u8 = b'N';
    pub(crate) const NOTIFICATION_RESPONSE: u8 = b'A';
    pub(crate) const PARAMETER_DESCRIPTION: u8 = b't';
    pub(crate) const PARAMETER_STATUS: u8 = b'S';
    pub(crate) const PARSE_COMPLETE: u8 = b'1';
    pub(crate) const PORTAL_SUSPENDED: u8 = b's';
    pub(crate) const READY_FOR_QUERY: u8 = b'Z';
    pub(crate) const ROW_DESCRIPTION: u8 = b'T';
}

/// One backend message, borrowed from the read buffer until the next one is asked for.
#[derive(Debug)]
pub(crate) struct Frame<'a> {
    /// The message's tag.
    pub(crate) tag: u8,
    /// Its body, without tag and length; empty when the message was larger than the limit.
    pub(crate) body: &'a [u8],
    /// The body's length in bytes when it exceeded the limit and is being thrown away.
    pub(crate) oversized: Option<usize>,
}

/// Transaction status of the session, as ReadyForQuery reports it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TransactionStatus {
    /// `I`: not in a transaction.
    Idle,
    /// `T`: in a transaction.
    InTransaction,
    /// `E`: in a failed transaction; only ROLLBACK is accepted.
    Failed,
}

impl TransactionStatus {
    /// Reads the body of a ReadyForQuery.
    pub(crate) fn parse(body: &[u8]) -> Option<Self> {
        match body {
            [b'I'] => Some(Self::Idle),
            [b'T'] => Some(Self::InTransaction),
            [b'E'] => Some(Self::Failed),
            _ => None,
        }
    }
}
