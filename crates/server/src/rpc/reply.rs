//! Building a reply: fields one by one into the frame, or an error in the same shape.

use goridge_framing::codec::MapWriter;
use goridge_framing::{Codec, ReplyFrame, RpcFrame, WriteError};
use pool_manager::{Error, ServerError, SqlState};
use serde::Serialize;

/// Kept free behind a result for the fields that follow it and for the end of the document; of
/// small frames no more than a quarter.
const TAIL_ROOM: usize = 4 * 1024;

/// A reply under construction. Whatever goes wrong while it is built, a reply comes out.
pub(super) struct Reply<'a> {
    out: &'a mut Vec<u8>,
    frame: ReplyFrame,
    codec: Codec,
    /// Length that the output may grow to.
    room: usize,
    /// Length that it may grow to with the rows of a result.
    limit: usize,
    max_frame_size: usize,
    body: Option<MapWriter>,
    broken: Option<WriteError>,
}

/// `error_detail` of a failed Execute: the fields of the ErrorResponse that are present.
#[derive(Serialize)]
struct ErrorDetail<'a> {
    severity: &'a str,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    position: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    schema: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    table: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    column: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    constraint: Option<&'a str>,
}

impl<'a> ErrorDetail<'a> {
    fn new(error: &'a ServerError) -> Self {
        Self {
            severity: &error.severity,
            message: &error.message,
            detail: error.detail.as_deref(),
            hint: error.hint.as_deref(),
            position: error.position,
            schema: error.schema.as_deref(),
            table: error.table.as_deref(),
            column: error.column.as_deref(),
            constraint: error.constraint.as_deref(),
        }
    }
}

impl<'a> Reply<'a> {
    pub(super) fn begin(
        out: &'a mut Vec<u8>,
        codec: Codec,
        request: &RpcFrame,
        max_frame_size: usize,
    ) -> Self {
        let frame = ReplyFrame::begin(out, codec.flag(), request.seq, request.method_bytes());
        let room = frame.out_limit(max_frame_size);
        let limit = room.saturating_sub(TAIL_ROOM.min(max_frame_size / 4));
        let (body, broken) = (None, None);
        let mut reply = Self { out, frame, codec, room, limit, max_frame_size, body, broken };
        reply.open();
        reply
    }

    fn open(&mut self) {
        match MapWriter::begin(self.out, self.codec, self.room) {
            Ok(body) => self.body = Some(body),
            Err(error) => self.broken = Some(error),
        }
    }

    /// Most bytes that the rows of a result may take.
    pub(super) fn max_frame_size(&self) -> usize {
        self.max_frame_size
    }

    /// Writes a field; a failure is remembered and reported by [`finish`](Self::finish).
    pub(super) fn field<T: Serialize + ?Sized>(&mut self, name: &str, value: &T) -> &mut Self {
        if let Some(body) = &mut self.body
            && let Err(error) = body.field(self.out, name, value)
        {
            self.broken.get_or_insert(error);
        }
        self
    }

    /// Opens a field that is a list.
    pub(super) fn begin_list(&mut self, name: &str) -> Result<(), WriteError> {
        match &mut self.body {
            Some(body) => body.begin_array(self.out, name),
            None => Err(WriteError::OutOfOrder),
        }
    }

    /// Adds an element to the open list, leaving room for what follows it.
    pub(super) fn element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), WriteError> {
        let Some(body) = &mut self.body else { return Err(WriteError::OutOfOrder) };
        body.element(self.out, value)?;
        if self.out.len() > self.limit {
            return Err(WriteError::LimitExceeded { limit: self.max_frame_size });
        }
        Ok(())
    }

    /// Closes the open list.
    pub(super) fn end_list(&mut self) -> Result<(), WriteError> {
        match &mut self.body {
            Some(body) => body.end_array(self.out),
            None => Err(WriteError::OutOfOrder),
        }
    }

    /// Throws away what was written so far.
    pub(super) fn restart(&mut self) {
        self.frame.rewind(self.out, self.codec.flag());
        self.body = None;
        self.broken = None;
        self.open();
    }

    /// Writes `error` and `sqlstate`.
    pub(super) fn error(&mut self, error: &Error) -> &mut Self {
        self.field("error", &error.to_string()).field("sqlstate", error.sqlstate().as_str())
    }

    /// Writes `error`, `sqlstate` and `error_detail`.
    pub(super) fn error_with_detail(&mut self, error: &Error) -> &mut Self {
        let detail = error.to_server_error();
        self.error(error).field("error_detail", &ErrorDetail::new(&detail))
    }

    /// Ends the reply with the request's id.
    pub(super) fn finish(mut self, request_id: Option<&str>) {
        if let Some(error) = self.broken.take() {
            self.restart();
            let message = format!("the reply cannot be encoded: {error}");
            self.field("error", &message)
                .field("sqlstate", SqlState::PROGRAM_LIMIT_EXCEEDED.as_str());
        }
        if let Some(id) = request_id {
            self.field("request_id", id);
        }
        if let Some(body) = self.body.take() {
            // Room for the end was kept; a failure would leave a frame without a header, and
            // an empty frame is dropped by the connection.
            let ended = body.end(self.out);
            debug_assert!(ended.is_ok(), "{ended:?}");
        }
        let finished = self.frame.finish(self.out, self.max_frame_size);
        debug_assert!(finished.is_ok(), "{finished:?}");
    }
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use goridge_framing::{RpcDecoder, encode_request};

    use super::*;

    #[test]
    fn a_reply_of_any_length_around_the_limit_is_a_whole_document() {
        const LIMIT: usize = 4096;
        let mut request = Vec::new();
        encode_request(&mut request, Codec::Json, 1, "pgpool.Version", b"").unwrap();
        let mut decoder = RpcDecoder::new(LIMIT);
        let request = decoder.decode(&mut BytesMut::from(&request[..])).unwrap().unwrap();
        for length in LIMIT - 200..LIMIT {
            let mut out = Vec::new();
            let mut reply = Reply::begin(&mut out, Codec::Json, &request, LIMIT);
            reply.field("a", &1);
            reply.finish(Some(&"x".repeat(length)));
            assert!(out.len() <= LIMIT);
            let frame = RpcDecoder::new(LIMIT).decode(&mut BytesMut::from(&out[..]));
            let body = frame.unwrap().unwrap().body;
            let document: serde_json::Value = serde_json::from_slice(&body).unwrap();
            assert_eq!(document["a"], 1, "{length}");
        }
    }
}
