//! From the client to the server: messages are cut, and each kind is taken by its own reader.
//! Large ones pass through as they come.

use bytes::BytesMut;
use pool_manager::{ServerError, SqlState};

use super::expect::{Ending, Expect};
use super::unit::Unit;
use super::{HIGH_WATER, Session, Step};
use crate::message::frontend::{self, Bind, Header};
use crate::message::{HEADER_LEN, backend, request};

/// Larger messages of parameters and data are not waited for, but passed on as they come.
const STREAMED: usize = 32 * 1024;
/// Larger queries are passed on as they come, and taken for anything.
const MAX_QUERY: usize = 1024 * 1024;
/// Longest names in front of the parameters of a Bind.
const MAX_NAMES: usize = 8 * 1024;

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Taken {
    /// It is dealt with.
    Done,
    /// It has to wait until the server has answered what was sent before.
    Wait,
    /// It needs a server connection.
    Attach,
    /// It ends the session.
    End,
}

/// The rest of a large message.
#[derive(Debug, Clone, Copy)]
pub(super) struct Upload {
    /// Bytes to come.
    rest: usize,
    /// To the server, or to nobody.
    forwards: bool,
}

impl Session {
    /// Takes messages from the front of `data`; how many bytes of it are dealt with, and what has
    /// to be done before the next one.
    pub(super) fn take_messages(&mut self, data: &[u8]) -> (usize, Result<(), Step>) {
        let mut at = 0;
        self.needed = 0;
        while let Some(rest) = data.get(at..).filter(|rest| !rest.is_empty()) {
            let backlog = self.server.as_ref().map_or(0, |server| server.connection.unsent());
            if backlog >= HIGH_WATER || self.leaving {
                break;
            }
            if self.upload.is_some() {
                at += self.pass_upload(rest);
                continue;
            }
            let (tag, total) = match frontend::header(rest) {
                Header::Incomplete => {
                    self.needed = HEADER_LEN;
                    break;
                }
                Header::Message { tag, total } => (tag, total),
                Header::UnknownType(tag) => {
                    self.fatal(
                        SqlState::PROTOCOL_VIOLATION,
                        format!("invalid frontend message type {tag}"),
                    );
                    return (at, Err(Step::End));
                }
                Header::BadLength => return (at, Err(Step::End)),
            };
            let (taken, len) = match rest.get(..total) {
                Some(message) => (self.take_message(tag, message), total),
                None => match self.take_begin(tag, rest, total) {
                    Some(taken) => taken,
                    None => break,
                },
            };
            match taken {
                Taken::Done => at += len,
                Taken::Wait => break,
                Taken::Attach => return (at, Err(Step::Attach)),
                Taken::End => {
                    self.leaving = true;
                    at += len;
                }
            }
        }
        (at, Ok(()))
    }

    /// Passes bytes of a large message on; how many.
    fn pass_upload(&mut self, data: &[u8]) -> usize {
        let Some(upload) = &mut self.upload else { return 0 };
        let bytes = data.get(..upload.rest.min(data.len())).unwrap_or_default();
        upload.rest -= bytes.len();
        if upload.forwards
            && let Some(server) = self.server.as_deref_mut()
        {
            server.connection.outgoing().extend_from_slice(bytes);
        }
        if upload.rest == 0 {
            self.upload = None;
        }
        bytes.len()
    }

    /// Takes a whole message.
    fn take_message(&mut self, tag: u8, message: &[u8]) -> Taken {
        let body = message.get(HEADER_LEN..).unwrap_or_default();
        if tag == request::TERMINATE {
            return Taken::End;
        }
        if self.client.skipping && tag != request::SYNC {
            return Taken::Done;
        }
        if let Some(error) = self.failure.take() {
            return self.fail_message(tag, &error);
        }
        if self.must_wait() {
            return Taken::Wait;
        }
        match tag {
            request::QUERY => self.query(message, body),
            request::PARSE => self.parse(message, body),
            request::BIND => self.bind(message, body),
            request::DESCRIBE => self.describe(message, body),
            request::EXECUTE => self.execute(message, body),
            request::CLOSE => self.close(message, body),
            request::SYNC => self.sync(message),
            request::FLUSH => self.flush(message),
            request::FUNCTION_CALL => self.function_call(message),
            _ => self.copy(tag, message),
        }
    }

    /// Whether nothing may be sent now: a cancel request is under way, or others wait for the
    /// connection and this client would go on with it for ever.
    fn must_wait(&self) -> bool {
        let Some(server) = &self.server else { return false };
        if server.cancelling.is_some() {
            return true;
        }
        let begins = server.batch.is_none() && !server.owed.is_empty();
        begins && !server.copying_in && self.client.database.pool.has_waiters()
    }

    /// Takes the begin of a large message of which `rest` is there: the verdict and how many bytes
    /// of `rest` are dealt with. `None`: it is waited for.
    fn take_begin(&mut self, tag: u8, rest: &[u8], total: usize) -> Option<(Taken, usize)> {
        let missing = total - rest.len();
        let limit = match tag {
            request::QUERY => MAX_QUERY,
            request::PARSE => usize::MAX,
            _ => STREAMED,
        };
        self.needed = total;
        if total <= limit {
            return None;
        }
        self.needed = 0;
        if self.client.skipping {
            self.upload = Some(Upload { rest: missing, forwards: false });
            return Some((Taken::Done, rest.len()));
        }
        if let Some(error) = self.failure.take() {
            self.upload = Some(Upload { rest: missing, forwards: false });
            return Some((self.fail_message(tag, &error), rest.len()));
        }
        if self.must_wait() {
            return Some((Taken::Wait, 0));
        }
        let taken = match tag {
            request::QUERY => self.large_query(rest),
            request::BIND => match self.large_bind(rest, missing) {
                Some(taken) => taken,
                None if rest.len() < MAX_NAMES => {
                    self.needed = MAX_NAMES;
                    return None;
                }
                // No names in all that: the server says what is wrong with it.
                None => self.unreadable(rest),
            },
            request::FUNCTION_CALL => self.function_call(rest),
            _ => self.copy(tag, rest),
        };
        if taken == Taken::Done {
            self.upload = Some(Upload { rest: missing, forwards: self.server.is_some() });
        }
        Some((taken, rest.len()))
    }

    fn large_bind(&mut self, begin: &[u8], missing: usize) -> Option<Taken> {
        let bind = Bind::read(begin.get(HEADER_LEN..)?)?;
        Some(self.bind_parts(&bind, missing))
    }

    /// CopyData, CopyDone and CopyFail: ignored by the server when no COPY is under way, and so by
    /// us when nothing is.
    fn copy(&mut self, tag: u8, message: &[u8]) -> Taken {
        let Some(server) = self.server.as_deref_mut().filter(|server| !server.is_free()) else {
            return Taken::Done;
        };
        server.connection.outgoing().extend_from_slice(message);
        if tag != request::COPY_DATA {
            server.copying_in = false;
            if server.owed.iter().any(|owed| matches!(owed, Expect::Execute(_))) {
                server.owe_synthetic(Expect::CopyEnd);
            }
        }
        Taken::Done
    }

    /// FunctionCall: what it calls is known to the server only.
    fn function_call(&mut self, message: &[u8]) -> Taken {
        let number = self.client.number;
        let Some(server) = self.attached() else { return Taken::Attach };
        server.prepare_for(None, number);
        server.connection.will_run_anything();
        server.connection.owe();
        server.forward(message, Expect::FunctionCall);
        Taken::Done
    }

    /// A message that there is no server connection for: its Query is answered, or its batch
    /// passed over up to the Sync.
    fn fail_message(&mut self, tag: u8, error: &ServerError) -> Taken {
        if matches!(tag, request::QUERY | request::FUNCTION_CALL) {
            return self.answer_query(|out| backend::error(out, error));
        }
        backend::error(&mut self.output, error);
        self.flush = true;
        self.client.skipping = true;
        Taken::Done
    }

    /// A message that cannot be read: the server says what is wrong with it.
    pub(super) fn unreadable(&mut self, message: &[u8]) -> Taken {
        let number = self.client.number;
        let is_query = message.first() == Some(&request::QUERY);
        let Some(server) = self.attached() else { return Taken::Attach };
        server.prepare_for(None, number);
        server.connection.will_run_anything();
        if is_query {
            server.connection.owe();
            server.forward(message, Expect::Query(Unit::ANYTHING, Ending::NONE));
        } else {
            server.batch().add_anything();
            server.forward(message, Expect::Bind(None));
        }
        Taken::Done
    }

    /// Ends the session with an error.
    pub(super) fn fatal(&mut self, code: SqlState, message: impl Into<String>) {
        let mut error = ServerError::new(code, message);
        error.severity = "FATAL".to_owned();
        self.output.reserve(64);
        backend::error(&mut self.output, &error);
        self.flush = true;
    }

    /// Answers a Query that never reaches a server.
    pub(super) fn answer_query(&mut self, answer: impl FnOnce(&mut BytesMut)) -> Taken {
        answer(&mut self.output);
        let status = self.status();
        backend::ready(&mut self.output, status);
        self.flush = true;
        Taken::Done
    }
}
