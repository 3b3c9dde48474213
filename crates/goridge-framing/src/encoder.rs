//! RPC frames into an output buffer, without a copy of the body: the header's place is kept and
//! filled in once the body's length is known. Bodies are written by the caller.

use crate::codec::Codec;
use crate::error::EncodeError;
use crate::frame::{Flags, Header, RPC_HEADER_SIZE};
use crate::method::MAX_METHOD_LENGTH;

/// Longest text of an error frame, in bytes; what is longer is cut.
pub const MAX_ERROR_TEXT: usize = 64 * 1024;

/// Largest frame that the header can describe.
const MAX_ENCODABLE: u64 = u32::MAX as u64 + RPC_HEADER_SIZE as u64;

/// A frame under construction at the end of an output buffer.
///
/// The buffer is passed to each call instead of being borrowed, so it can be kept beside this
/// value. Several frames may follow each other in one buffer; only the last can be open.
#[derive(Debug)]
#[must_use = "a frame without finish() has no valid header"]
pub struct ReplyFrame {
    flags: Flags,
    seq: u32,
    start: usize,
    body_start: usize,
}

impl ReplyFrame {
    /// Opens a frame behind what `out` holds: room for the header, then the method. The body is
    /// whatever the caller appends until [`ReplyFrame::finish`].
    pub fn begin(out: &mut Vec<u8>, flags: Flags, seq: u32, method: &[u8]) -> Self {
        let start = out.len();
        out.extend_from_slice(&[0; RPC_HEADER_SIZE]);
        out.extend_from_slice(method);
        Self { flags, seq, start, body_start: out.len() }
    }

    /// The length that `out` may reach before the frame is larger than `max_frame_size`: the
    /// limit to give to [`MapWriter`](crate::codec::MapWriter).
    #[must_use]
    pub fn out_limit(&self, max_frame_size: usize) -> usize {
        let max = usize::try_from(MAX_ENCODABLE).unwrap_or(usize::MAX);
        self.start.saturating_add(max_frame_size.min(max))
    }

    /// Length of the body so far, in bytes.
    #[must_use]
    pub fn body_len(&self, out: &[u8]) -> usize {
        out.len().saturating_sub(self.body_start)
    }

    /// Drops the body written so far; another may follow, under other flags if need be.
    pub fn rewind(&mut self, out: &mut Vec<u8>, flags: Flags) {
        out.truncate(self.body_start);
        self.flags = flags;
    }

    /// Drops the whole frame.
    pub fn abort(self, out: &mut Vec<u8>) {
        out.truncate(self.start);
    }

    /// Completes the frame: length, checksum and options are filled in.
    ///
    /// # Errors
    /// [`EncodeError::TooLarge`] above `max_frame_size` bytes or above what the header can say.
    /// The frame is then dropped from `out`, so an error frame can take its place.
    pub fn finish(self, out: &mut Vec<u8>, max_frame_size: usize) -> Result<(), EncodeError> {
        let result = self.fill_header(out, max_frame_size);
        if result.is_err() {
            out.truncate(self.start);
        }
        result
    }

    fn fill_header(&self, out: &mut [u8], max_frame_size: usize) -> Result<(), EncodeError> {
        if out.len() < self.body_start {
            return Err(EncodeError::BufferCut);
        }
        let payload_start = self.start + RPC_HEADER_SIZE;
        let size = (out.len() - self.start) as u64;
        let limit = MAX_ENCODABLE.min(max_frame_size as u64);
        let too_large = EncodeError::TooLarge { size, limit };
        if size > limit {
            return Err(too_large);
        }
        let payload = u32::try_from(out.len() - payload_start).map_err(|_| too_large)?;
        let method = u32::try_from(self.body_start - payload_start).map_err(|_| too_large)?;
        let place = out.get_mut(self.start..payload_start).ok_or(EncodeError::BufferCut)?;
        let fields = Header::rpc(self.flags, payload)
            .encode()
            .into_iter()
            .chain(self.seq.to_le_bytes())
            .chain(method.to_le_bytes());
        place.iter_mut().zip(fields).for_each(|(slot, byte)| *slot = byte);
        Ok(())
    }
}

/// Appends an error frame: the request's codec bit and ERROR, the text as it is. It cannot fail,
/// because text and echoed method are cut at [`MAX_ERROR_TEXT`] and [`MAX_METHOD_LENGTH`].
pub fn encode_error_reply(
    out: &mut Vec<u8>,
    codec_flags: Flags,
    seq: u32,
    method: &[u8],
    text: &str,
) {
    let method = method.get(..MAX_METHOD_LENGTH).unwrap_or(method);
    let text = cut(text, MAX_ERROR_TEXT);
    let frame = ReplyFrame::begin(out, codec_flags.codec() | Flags::ERROR, seq, method);
    out.extend_from_slice(text.as_bytes());
    let finished = frame.finish(out, usize::MAX);
    debug_assert!(finished.is_ok(), "both parts are bounded");
}

/// The longest beginning of `text` that is at most `limit` bytes and ends between characters.
fn cut(text: &str, limit: usize) -> &str {
    if text.len() <= limit {
        return text;
    }
    (0..=limit).rev().find_map(|end| text.get(..end)).unwrap_or_default()
}

/// Appends a request, for clients.
///
/// # Errors
/// [`EncodeError::TooLarge`] above 4 GiB. A server's own limit is not known here.
pub fn encode_request(
    out: &mut Vec<u8>,
    codec: Codec,
    seq: u32,
    method: &str,
    body: &[u8],
) -> Result<(), EncodeError> {
    let frame = ReplyFrame::begin(out, codec.flag(), seq, method.as_bytes());
    out.extend_from_slice(body);
    frame.finish(out, usize::MAX)
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;

    use super::*;
    use crate::{RpcDecoder, RpcFrame};

    fn decode(bytes: &[u8]) -> Vec<RpcFrame> {
        let mut buf = BytesMut::from(bytes);
        let mut decoder = RpcDecoder::new(usize::MAX);
        let frames: Vec<_> = std::iter::from_fn(|| decoder.decode(&mut buf).unwrap()).collect();
        assert!(buf.is_empty());
        frames
    }

    #[test]
    fn frames_follow_each_other_in_one_buffer() {
        let mut out = Vec::new();
        for seq in 0..3_u32 {
            let frame = ReplyFrame::begin(&mut out, Flags::JSON, seq, b"a.B");
            out.extend_from_slice(format!("{{\"n\":{seq}}}").as_bytes());
            frame.finish(&mut out, 1024).unwrap();
        }
        let bodies: Vec<_> = decode(&out).into_iter().map(|f| (f.seq, f.body)).collect();
        assert_eq!(bodies[2], (2, "{\"n\":2}".into()));
        assert_eq!(bodies.len(), 3);
    }

    #[test]
    fn rewind_replaces_the_body_and_abort_the_frame() {
        let mut out = b"before".to_vec();
        let mut frame = ReplyFrame::begin(&mut out, Flags::JSON, 1, b"a.B");
        out.extend_from_slice(b"{\"rows\":[");
        assert_eq!(frame.body_len(&out), 9);
        frame.rewind(&mut out, Flags::JSON | Flags::ERROR);
        out.extend_from_slice(b"sorry");
        frame.finish(&mut out, 1024).unwrap();
        let frames = decode(&out[6..]);
        assert_eq!(frames[0].error_text().unwrap(), "sorry");
        let length = out.len();
        ReplyFrame::begin(&mut out, Flags::JSON, 1, b"a.B").abort(&mut out);
        assert_eq!(out.len(), length);
    }

    #[test]
    fn limit_is_exact_and_a_refused_frame_leaves_nothing() {
        let mut out = b"before".to_vec();
        let frame = ReplyFrame::begin(&mut out, Flags::JSON, 1, b"a.B");
        assert_eq!(frame.out_limit(25), 31);
        out.extend_from_slice(b"{}");
        frame.finish(&mut out, RPC_HEADER_SIZE + 5).unwrap();
        out.truncate(6);
        let frame = ReplyFrame::begin(&mut out, Flags::JSON, 1, b"a.B");
        out.extend_from_slice(b"{ }");
        assert_eq!(
            frame.finish(&mut out, RPC_HEADER_SIZE + 5),
            Err(EncodeError::TooLarge { size: 26, limit: 25 })
        );
        assert_eq!(out, b"before");
    }

    #[test]
    fn cut_buffer_is_an_error() {
        let mut out = Vec::new();
        let frame = ReplyFrame::begin(&mut out, Flags::JSON, 1, b"a.B");
        out.truncate(4);
        assert_eq!(frame.finish(&mut out, 1024), Err(EncodeError::BufferCut));
    }

    #[test]
    fn error_frames_cut_what_is_too_long() {
        let mut out = Vec::new();
        let text = format!("a{}", "é".repeat(MAX_ERROR_TEXT));
        encode_error_reply(&mut out, Flags::JSON | Flags::MSGPACK, 9, &[b'm'; 5000], &text);
        let frames = decode(&out);
        assert_eq!(frames[0].flags, Flags::JSON | Flags::ERROR);
        assert_eq!(frames[0].method_bytes().len(), MAX_METHOD_LENGTH);
        assert_eq!(frames[0].body, text.as_bytes()[..MAX_ERROR_TEXT - 1]);
    }
}
