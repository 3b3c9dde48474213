//! Building a document field by field: a reply's body, or the result of one statement among many;
//! or an error in the same shape.

use std::time::Duration;

use goridge_framing::codec::MapWriter;
use goridge_framing::{Codec, WriteError};
use pool_manager::{Error, ServerError};
use serde::Serialize;

/// A document at the end of a buffer.
pub(super) struct Document {
    pub(super) out: Vec<u8>,
    start: usize,
    codec: Codec,
    /// Length that the output may grow to.
    room: usize,
    /// Length that it may grow to with the rows of a result.
    limit: usize,
    /// What the limit is called.
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

/// How many times longer rows may become when they are converted from JSON.
fn growth(codec: Codec) -> usize {
    match codec {
        Codec::Gob => 8,
        Codec::Proto => 3,
        _ => 1,
    }
}

impl Document {
    /// Begins one behind what `out` holds, which may grow to `room` bytes, and with the rows of a
    /// result to `tail` less.
    pub(super) fn begin(
        out: Vec<u8>,
        codec: Codec,
        room: usize,
        tail: usize,
        max_frame_size: usize,
    ) -> Self {
        let start = out.len();
        // What is converted afterwards must still fit: the smallest cell grows by that.
        let space = room.saturating_sub(tail).saturating_sub(start) / growth(codec);
        let limit = start.saturating_add(space);
        let (body, broken) = (None, None);
        let mut document = Self { out, start, codec, room, limit, max_frame_size, body, broken };
        document.open();
        document
    }

    fn open(&mut self) {
        match MapWriter::begin(&mut self.out, self.codec, self.room) {
            Ok(body) => self.body = Some(body),
            Err(error) => self.broken = Some(error),
        }
    }

    /// Its codec.
    pub(super) fn codec(&self) -> Codec {
        self.codec
    }

    /// Most bytes that a frame may have, which the rows of a result must fit.
    pub(super) fn max_frame_size(&self) -> usize {
        self.max_frame_size
    }

    /// Most bytes that may still be added.
    pub(super) fn room_left(&self) -> usize {
        self.limit.saturating_sub(self.out.len())
    }

    /// Writes a field; a failure is remembered, and found by [`take_failure`](Self::take_failure).
    pub(super) fn field<T: Serialize + ?Sized>(&mut self, name: &str, value: &T) -> &mut Self {
        if let Some(body) = &mut self.body
            && let Err(error) = body.field(&mut self.out, name, value)
        {
            self.broken.get_or_insert(error);
        }
        self
    }

    /// Writes how long it took.
    pub(super) fn time(&mut self, took: Duration) -> &mut Self {
        // As u64: MessagePack has no 128-bit integers, they would go as binary.
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.field("execution_time", &(micros / 1000)).field("execution_time_us", &micros)
    }

    /// Opens a field that is a list.
    pub(super) fn begin_list(&mut self, name: &str) -> Result<(), WriteError> {
        match &mut self.body {
            Some(body) => body.begin_array(&mut self.out, name),
            None => Err(WriteError::OutOfOrder),
        }
    }

    /// Adds an element to the open list, leaving room for what follows it.
    pub(super) fn element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), WriteError> {
        let Some(body) = &mut self.body else { return Err(WriteError::OutOfOrder) };
        body.element(&mut self.out, value)?;
        if self.out.len() > self.limit {
            return Err(WriteError::LimitExceeded { limit: self.max_frame_size });
        }
        Ok(())
    }

    /// Writes a field that is a list of documents of the same codec.
    pub(super) fn documents(&mut self, name: &str, documents: &[Vec<u8>]) -> &mut Self {
        let Some(body) = &mut self.body else { return self };
        let mut written = body.begin_array(&mut self.out, name);
        for document in documents {
            written = written.and_then(|()| body.document(&mut self.out, document));
        }
        if let Err(error) = written.and_then(|()| body.end_array(&mut self.out)) {
            self.broken.get_or_insert(error);
        }
        self
    }

    /// Closes the open list.
    pub(super) fn end_list(&mut self) -> Result<(), WriteError> {
        match &mut self.body {
            Some(body) => body.end_array(&mut self.out),
            None => Err(WriteError::OutOfOrder),
        }
    }

    /// Throws away what was written so far.
    pub(super) fn restart(&mut self) {
        self.out.truncate(self.start);
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

    /// What went wrong so far, if anything did.
    pub(super) fn take_failure(&mut self) -> Option<WriteError> {
        self.broken.take()
    }

    /// Ends the document and gives the buffer back.
    pub(super) fn end(mut self) -> Vec<u8> {
        if let Some(body) = self.body.take() {
            // Room for the end was kept; a failure would leave half a document, which no decoder
            // takes for a whole one.
            let ended = body.end(&mut self.out);
            debug_assert!(ended.is_ok(), "{ended:?}");
        }
        self.out
    }
}
