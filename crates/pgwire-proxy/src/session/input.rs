//! From the client to the server: messages are cut, and each kind is taken by its own reader.
//! Large ones pass through as they come.

use bytes::BytesMut;
use pool_manager::{ServerError, SqlState};

use super::expect::{Expect, Querying};
use super::rate::Admission;
use super::route::Routed;
use super::{HIGH_WATER, Session, Step};
use crate::message::frontend::{self, Bind, Header};
use crate::message::{HEADER_LEN, backend, request};

/// Larger messages of parameters and data are not waited for, but passed on as they come.
const STREAMED: usize = 32 * 1024;
/// Larger queries are passed on as they come, and taken for anything.
const MAX_QUERY: usize = 1024 * 1024;
/// lo_open and its relatives by their oids, from pg_proc.dat: all that they leave in a session ends
/// with the transaction.
const LARGE_OBJECT_FUNCTIONS: [u32; 13] =
    [715, 952, 953, 954, 955, 956, 957, 958, 964, 1004, 3170, 3171, 3172];
/// No message has this type byte.
const NO_TYPE: u8 = b'!';
/// Longest names in front of the parameters of a Bind.
const MAX_NAMES: usize = 8 * 1024;

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Taken {
    /// It is dealt with; of a large one the rest goes where its begin went, to the server.
    Done,
    /// It is dealt with, and none of it goes to the server, the rest of a large one neither.
    Dropped,
    /// It has to wait until the server has answered what was sent before.
    Wait,
    /// It needs a server connection.
    Attach,
    /// It ends the session.
    End,
}

/// What no message begins with was sent, and the server was told so.
#[derive(Debug, Clone, Copy)]
pub(super) struct Breach {
    /// The client is not told what the server says of it.
    pub(super) silently: bool,
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
                if self.server.as_mut().is_some_and(|server| server.is_to_settle()) {
                    return (at, Err(Step::Settle));
                }
                continue;
            }
            if self.server.as_mut().is_some_and(|server| server.owes_too_much()) {
                break;
            }
            let (tag, total) = match frontend::header(rest) {
                Header::Incomplete => {
                    self.needed = HEADER_LEN;
                    break;
                }
                Header::Message { tag, total } => (tag, total),
                bad => match self.take_nonsense(bad, rest) {
                    Taken::End => return (at, Err(Step::End)),
                    Taken::Done | Taken::Dropped => return (data.len(), Ok(())),
                    _ => break,
                },
            };
            let (taken, len) = match rest.get(..total) {
                Some(message) => match self.take_message(tag, message, rest) {
                    Some(taken) => (taken, total),
                    None => break,
                },
                None => match self.take_begin(tag, rest, total) {
                    Some(taken) => taken,
                    None => break,
                },
            };
            if matches!(taken, Taken::Done | Taken::Dropped) {
                self.leave_unit(tag);
            }
            match taken {
                Taken::Done | Taken::Dropped => at += len,
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

    /// What no message begins with. A server that is in the middle of something says so itself,
    /// once it has answered what came before.
    fn take_nonsense(&mut self, nonsense: Header, bytes: &[u8]) -> Taken {
        let [tag, len @ ..] = bytes.first_chunk::<HEADER_LEN>().copied().unwrap_or_default();
        let Some(server) = self.server.as_deref_mut().filter(|server| !server.is_free()) else {
            if nonsense != Header::BadLength {
                let message = format!("invalid frontend message type {tag}");
                self.fatal(SqlState::PROTOCOL_VIOLATION, message);
            }
            return Taken::End;
        };
        if server.cancelling.is_some() {
            return Taken::Wait;
        }
        // No version takes a length that is less than its own; not every one finds the same ones too
        // long, and waits for the rest.
        let silently = nonsense == Header::BadLength && i32::from_be_bytes(len) > 3;
        let told = if silently { &[NO_TYPE, 0, 0, 0, 4] } else { bytes };
        server.connection.owe();
        server.forward(told, Expect::Query(Querying::ANYTHING));
        self.breach = Some(Breach { silently });
        Taken::Done
    }

    /// Passes bytes of a large message on; how many.
    fn pass_upload(&mut self, data: &[u8]) -> usize {
        let Some(upload) = &mut self.upload else { return 0 };
        let bytes = data.get(..upload.rest.min(data.len())).unwrap_or_default();
        upload.rest -= bytes.len();
        let (ends, forwards) = (upload.rest == 0, upload.forwards);
        if ends {
            self.upload = None;
        }
        // The one that has its begin; a connection that was lost since has taken the mark with it.
        if forwards && let Some(server) = self.server.as_deref_mut().filter(|s| s.uploading) {
            server.connection.outgoing().extend_from_slice(bytes);
            if ends {
                server.upload_ends();
                self.release_if_done();
            }
        }
        bytes.len()
    }

    /// Takes a whole message, at the front of `rest`. `None`: more has to be there.
    fn take_message(&mut self, tag: u8, message: &[u8], rest: &[u8]) -> Option<Taken> {
        let body = message.get(HEADER_LEN..).unwrap_or_default();
        if tag == request::TERMINATE {
            self.copy_nothing_more();
            return Some(Taken::End);
        }
        if self.client.skipping && tag != request::SYNC {
            return Some(Taken::Done);
        }
        if let Some(error) = self.failure_of(tag) {
            return Some(self.fail_message(tag, &error));
        }
        if self.must_wait(tag) {
            return Some(Taken::Wait);
        }
        if self.is_out_of_place(tag) {
            return Some(self.unreadable(message));
        }
        match self.admit(tag) {
            Admission::Admitted => {}
            Admission::Waits => return Some(Taken::Wait),
            Admission::Refused(error) => return Some(self.refuse_from_here(tag, error)),
        }
        match self.route(tag, rest, true) {
            Routed::Here => {}
            Routed::Waits => return Some(Taken::Wait),
            Routed::NeedsMore => return None,
        }
        let begins = self.is_replayable();
        let taken = match tag {
            request::QUERY => self.query(message, body),
            request::PARSE => self.parse(message, body),
            request::BIND => self.bind(message, body),
            request::DESCRIBE => self.describe(message, body),
            request::EXECUTE => self.execute(message, body),
            request::CLOSE => self.close(message, body),
            request::SYNC => self.sync(message, body),
            request::FLUSH => self.flush(message, body),
            request::FUNCTION_CALL => self.function_call(message),
            _ => self.copy(tag, message),
        };
        if taken == Taken::Done {
            self.keep_for_replay(tag, message, begins);
        }
        Some(taken)
    }

    /// Whether nothing may be sent now: a cancel request is under way, or others wait for the
    /// connection and this client would go on with it for ever.
    fn must_wait(&self, tag: u8) -> bool {
        let Some(server) = &self.server else { return false };
        if server.cancelling.is_some() {
            return true;
        }
        if matches!(tag, request::COPY_DATA | request::COPY_DONE | request::COPY_FAIL) {
            // The server waits for it, to come to the end of what it is doing.
            return false;
        }
        let begins = server.batch.is_none() && !server.owed.is_empty() && !server.copy.reads;
        let others_wait = || self.pool().has_waiters();
        // What RESET goes back to is put in force at the end of its statement.
        begins
            && (server.touched.as_ref().is_some_and(|question| question.everything)
                || others_wait())
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
        if let Some(error) = self.failure_of(tag) {
            self.upload = Some(Upload { rest: missing, forwards: false });
            return Some((self.fail_message(tag, &error), rest.len()));
        }
        if self.must_wait(tag) {
            return Some((Taken::Wait, 0));
        }
        match self.admit(tag) {
            Admission::Admitted => {}
            Admission::Waits => return Some((Taken::Wait, 0)),
            Admission::Refused(error) => {
                self.upload = Some(Upload { rest: missing, forwards: false });
                return Some((self.refuse_from_here(tag, error), rest.len()));
            }
        }
        if self.route(tag, rest, false) == Routed::Waits {
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
        if matches!(taken, Taken::Done | Taken::Dropped) {
            let forwards = taken == Taken::Done;
            self.upload = Some(Upload { rest: missing, forwards });
            if forwards && let Some(server) = self.server.as_deref_mut() {
                server.uploading = true;
            }
        }
        Some((taken, rest.len()))
    }

    fn large_bind(&mut self, begin: &[u8], missing: usize) -> Option<Taken> {
        let bind = Bind::read(begin.get(HEADER_LEN..)?)?;
        Some(self.bind_parts(&bind, missing))
    }

    /// FunctionCall: what it calls is known to the server only, but for the large objects that it
    /// is there for.
    fn function_call(&mut self, message: &[u8]) -> Taken {
        let who = self.client.who();
        let called = message.get(HEADER_LEN..).and_then(|body| body.first_chunk());
        let called = called.map(|oid| u32::from_be_bytes(*oid));
        let Some(server) = self.attached() else { return Taken::Attach };
        server.prepare_for(None, who);
        if !called.is_some_and(|oid| LARGE_OBJECT_FUNCTIONS.contains(&oid)) {
            server.will_run_anything(who.number);
        }
        server.connection.owe();
        server.forward(message, Expect::FunctionCall);
        Taken::Done
    }

    /// Why this message fails without having been sent, if it does.
    fn failure_of(&mut self, tag: u8) -> Option<Box<ServerError>> {
        let runs = !matches!(
            tag,
            request::SYNC
                | request::FLUSH
                | request::COPY_DATA
                | request::COPY_DONE
                | request::COPY_FAIL
        );
        self.failure.take().or_else(|| self.refusing.clone().filter(|_| runs))
    }

    /// A message that there is no server connection for: its Query is answered, or its batch
    /// passed over up to the Sync.
    fn fail_message(&mut self, tag: u8, error: &ServerError) -> Taken {
        if matches!(tag, request::QUERY | request::FUNCTION_CALL) {
            return self.answer_query(|out| backend::error(out, error));
        }
        self.let_server_speak_first();
        backend::error(&mut self.output, error);
        self.flush = true;
        self.client.skipping = true;
        Taken::Done
    }

    /// The same, with all that was sent before the client can know.
    fn refuse_from_here(&mut self, tag: u8, error: Box<ServerError>) -> Taken {
        let taken = self.fail_message(tag, &error);
        self.refusing = Some(error);
        taken
    }

    /// A message that cannot be read: the server says what is wrong with it.
    pub(super) fn unreadable(&mut self, message: &[u8]) -> Taken {
        let who = self.client.who();
        let is_query = message.first() == Some(&request::QUERY);
        let Some(server) = self.attached() else { return Taken::Attach };
        server.prepare_for(None, who);
        server.will_run_anything(who.number);
        if is_query {
            server.connection.owe();
            server.forward(message, Expect::Query(Querying::ANYTHING));
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

    /// Puts what the server has said, and the client's socket has not taken yet, in front of what is
    /// answered here.
    fn let_server_speak_first(&mut self) {
        if let Some(server) = self.server.as_deref_mut().filter(|server| server.cleared > 0) {
            server.cut(0, &mut self.output);
        }
    }

    /// Answers a Query that never reaches a server.
    pub(super) fn answer_query(&mut self, answer: impl FnOnce(&mut BytesMut)) -> Taken {
        self.let_server_speak_first();
        answer(&mut self.output);
        let status = self.status();
        backend::ready(&mut self.output, status);
        self.flush = true;
        Taken::Done
    }
}
