//! A document in the frame of a reply.

use std::ops::{Deref, DerefMut};

use goridge_framing::codec::gob_from_json;
use goridge_framing::{Codec, ReplyFrame, RpcFrame};
use pool_manager::SqlState;

use super::document::Document;
use super::{protobuf, shapes};

/// Kept free behind a result for the fields that follow it and for the end of the document; of
/// small frames no more than a quarter.
const TAIL_ROOM: usize = 4 * 1024;

/// A reply under construction, written like its document. Whatever goes wrong while it is built, a
/// reply comes out.
pub(super) struct Reply<'a> {
    out: &'a mut Vec<u8>,
    frame: ReplyFrame,
    /// The method, without its service.
    method: &'a str,
    document: Document,
}

impl Deref for Reply<'_> {
    type Target = Document;

    fn deref(&self) -> &Document {
        &self.document
    }
}

impl DerefMut for Reply<'_> {
    fn deref_mut(&mut self) -> &mut Document {
        &mut self.document
    }
}

impl<'a> Reply<'a> {
    pub(super) fn begin(
        out: &'a mut Vec<u8>,
        codec: Codec,
        request: &RpcFrame,
        method: &'a str,
        max_frame_size: usize,
    ) -> Self {
        let frame = ReplyFrame::begin(out, codec.flag(), request.seq, request.method_bytes());
        let room = frame.out_limit(max_frame_size);
        let tail = TAIL_ROOM.min(max_frame_size / 4);
        let document = Document::begin(std::mem::take(out), codec, room, tail, max_frame_size);
        Self { out, frame, method, document }
    }

    /// Ends the reply with the request's id.
    pub(super) fn finish(mut self, request_id: Option<&str>) {
        if let Some(error) = self.take_failure() {
            self.restart();
            let message = format!("the reply cannot be encoded: {error}");
            self.field("error", &message)
                .field("sqlstate", SqlState::PROGRAM_LIMIT_EXCEEDED.as_str());
        }
        if let Some(id) = request_id {
            self.field("request_id", id);
        }
        let (codec, max_frame_size) = (self.codec(), self.max_frame_size());
        *self.out = self.document.end();
        if codec.converts() {
            let room = self.frame.out_limit(max_frame_size);
            let written = self.out.len().saturating_sub(self.frame.body_len(self.out));
            let document = self.out.split_off(written);
            let room = room.saturating_sub(written);
            self.out.extend_from_slice(&converted(codec, &document, self.method, room));
        }
        let finished = self.frame.finish(self.out, max_frame_size);
        debug_assert!(finished.is_ok(), "{finished:?}");
    }
}

/// The document in a codec that is not written directly, or an excuse of the same shape.
fn converted(codec: Codec, document: &[u8], method: &str, room: usize) -> Vec<u8> {
    let reason = match convert(codec, document, method) {
        Ok(body) if body.len() <= room => return body,
        Ok(body) => format!("it takes {} bytes, and {room} are left", body.len()),
        Err(error) => error,
    };
    let excuse = serde_json::json!({
        "error": format!("the reply cannot be encoded: {reason}"),
        "sqlstate": SqlState::PROGRAM_LIMIT_EXCEEDED.as_str(),
    });
    convert(codec, excuse.to_string().as_bytes(), method).unwrap_or_default()
}

fn convert(codec: Codec, document: &[u8], method: &str) -> Result<Vec<u8>, String> {
    match codec {
        Codec::Proto => protobuf::reply(method, document),
        _ => gob_from_json(document, shapes::reply(method)).map_err(|error| error.to_string()),
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
            let mut reply = Reply::begin(&mut out, Codec::Json, &request, "Version", LIMIT);
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
