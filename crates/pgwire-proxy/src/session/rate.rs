//! How often a client may ask: each Query and each batch that begins outside a transaction counts.
//! Inside one everything goes on, so that none is torn. Where there is no limit nothing is done here.
//!
//! What is refused is answered on the spot and never reaches a server, so the answer must not overtake
//! others: it waits until they are there. All that the client had sent before it could know is refused
//! with it: what follows a BEGIN must not run without it.

use std::time::Instant;

use pool_manager::{Error, RateLimit, RequestBucket, ServerError, TransactionStatus};

use super::Session;
use super::attached::Attached;
use crate::message::request;

/// A client's limit, and where in its messages it is.
pub(super) struct Rate {
    bucket: RequestBucket,
    limit: RateLimit,
    /// A Query or batch has been let in that its last message has not ended yet. A message may be
    /// looked at several times before it is taken, and counts once.
    is_inside: bool,
}

/// What becomes of a message.
pub(super) enum Admission {
    Admitted,
    /// What was sent before has to be answered first.
    Waits,
    /// It is one too many.
    Refused(Box<ServerError>),
}

impl Rate {
    pub(super) fn new(limit: RateLimit) -> Box<Self> {
        let bucket = RequestBucket::new(limit, Instant::now());
        Box::new(Self { bucket, limit, is_inside: false })
    }

    /// Whether this is what limits it.
    pub(super) fn has_limit(&self, limit: Option<RateLimit>) -> bool {
        limit == Some(self.limit)
    }
}

impl Session {
    /// Whether a message that is about to be taken may be, as far as its client's limit goes.
    pub(super) fn admit(&mut self, tag: u8) -> Admission {
        if self.rate.as_ref().is_none_or(|rate| rate.is_inside) || !begins_unit(tag) {
            return Admission::Admitted;
        }
        let server = self.server.as_deref();
        if self.status() == TransactionStatus::Idle && server.is_none_or(|it| it.batch.is_none()) {
            if server.is_some_and(Attached::may_be_in_transaction) {
                // Only the server knows whether that BEGIN, or COMMIT, has come true.
                return Admission::Waits;
            }
            let is_free = server.is_none_or(Attached::is_free);
            let now = self.now();
            let taken = self.rate.as_mut().map_or(Ok(()), |rate| rate.bucket.take(now));
            match taken {
                Ok(()) => {}
                Err(_) if !is_free => return Admission::Waits,
                Err(exceeded) => {
                    self.client.database.counters().rate_limited();
                    return Admission::Refused(Box::new(Error::from(exceeded).to_server_error()));
                }
            }
        }
        self.enter_unit();
        Admission::Admitted
    }

    /// A Query or batch was let in: what comes next belongs to it.
    pub(super) fn enter_unit(&mut self) {
        if let Some(rate) = &mut self.rate {
            rate.is_inside = true;
        }
    }

    /// A message was dealt with, in whatever way. The next one may begin something else.
    pub(super) fn leave_unit(&mut self, tag: u8) {
        if let Some(rate) = &mut self.rate
            && matches!(tag, request::QUERY | request::FUNCTION_CALL | request::SYNC)
        {
            rate.is_inside = false;
        }
    }
}

/// Whether a message of this kind is, or begins, something that counts.
pub(super) fn begins_unit(tag: u8) -> bool {
    matches!(
        tag,
        request::QUERY
            | request::FUNCTION_CALL
            | request::PARSE
            | request::BIND
            | request::DESCRIBE
            | request::EXECUTE
            | request::CLOSE
    )
}
