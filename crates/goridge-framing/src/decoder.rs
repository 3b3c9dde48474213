//! Whole RPC frames out of a buffer that grows as bytes arrive. Bodies are not decoded here.

use std::borrow::Cow;
use std::fmt;

use bytes::{Buf, Bytes, BytesMut};

use crate::error::{FrameError, RequestError};
use crate::frame::{Flags, HEADER_SIZE, Header, RPC_HEADER_SIZE, RPC_OPTIONS};
use crate::method::MAX_METHOD_LENGTH;

/// Smallest room asked for at once while a frame arrives, in bytes. Beyond it the buffer doubles
/// with what has really arrived, so a length on its own costs nobody memory.
const RESERVE_STEP: usize = 16 * 1024;

/// One request or reply. Method and body share the memory of the buffer they arrived in.
#[derive(Clone, PartialEq, Eq)]
pub struct RpcFrame {
    /// The flags as sent.
    pub flags: Flags,
    /// The caller's sequence id. PHP leaves gaps and repeats; it is echoed, never interpreted.
    pub seq: u32,
    method: Bytes,
    /// What follows the method.
    pub body: Bytes,
}

impl RpcFrame {
    /// The method's name.
    ///
    /// # Errors
    /// [`RequestError::MethodTooLong`] beyond [`MAX_METHOD_LENGTH`], else
    /// [`RequestError::MethodNotUtf8`].
    pub fn method(&self) -> Result<&str, RequestError> {
        if self.method.len() > MAX_METHOD_LENGTH {
            return Err(RequestError::MethodTooLong {
                length: self.method.len(),
                limit: MAX_METHOD_LENGTH,
            });
        }
        std::str::from_utf8(&self.method).map_err(|_| RequestError::MethodNotUtf8)
    }

    /// The method's name as it came, for the reply's echo.
    #[must_use]
    pub fn method_bytes(&self) -> &Bytes {
        &self.method
    }

    /// True for a reply whose body is an error's text.
    #[must_use]
    pub fn is_error(&self) -> bool {
        self.flags.contains(Flags::ERROR)
    }

    /// The text of an error reply, `None` for any other frame.
    #[must_use]
    pub fn error_text(&self) -> Option<Cow<'_, str>> {
        self.is_error().then(|| String::from_utf8_lossy(&self.body))
    }
}

impl fmt::Debug for RpcFrame {
    /// Leaves the body out: it holds statements and their parameters.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RpcFrame")
            .field("flags", &self.flags)
            .field("seq", &self.seq)
            .field("method_len", &self.method.len())
            .field("body_len", &self.body.len())
            .finish()
    }
}

/// What is known of the frame at the front of the buffer.
///
/// ```text
///  Start --12 bytes, header valid--> Header --20 bytes, method fits--> Payload --all--> Start
///    \_____________________________________\_______ fault _______________________> Failed
/// ```
#[derive(Clone, Copy, Debug)]
enum State {
    Start,
    Header { flags: Flags, payload_len: u32 },
    Payload { flags: Flags, seq: u32, method_len: usize, payload_len: usize },
    Failed(FrameError),
}

/// Splits a byte stream into RPC frames, in either direction.
///
/// Each decoder belongs to one stream and has to be given the same buffer every time, since it
/// remembers what it has verified at the buffer's front.
#[derive(Debug)]
pub struct RpcDecoder {
    max_frame_size: usize,
    state: State,
}

impl RpcDecoder {
    /// A decoder that refuses frames above `max_frame_size` bytes, header included.
    #[must_use]
    pub fn new(max_frame_size: usize) -> Self {
        Self { max_frame_size, state: State::Start }
    }

    /// Takes the next whole frame off the front of `buf`, or makes room in `buf` for more of it
    /// and returns `None`. Room grows with what has arrived and never exceeds the frame.
    ///
    /// # Errors
    /// Every error is final: the connection has to be closed, and later calls repeat it.
    pub fn decode(&mut self, buf: &mut BytesMut) -> Result<Option<RpcFrame>, FrameError> {
        match self.advance(buf) {
            Err(error) => {
                self.state = State::Failed(error);
                Err(error)
            }
            decoded => decoded,
        }
    }

    /// How many bytes are missing at least, given how many the buffer holds: the rest of the
    /// header first, the rest of the frame once its length is known.
    #[must_use]
    pub fn needed(&self, buffered: usize) -> usize {
        let target = match self.state {
            State::Start => HEADER_SIZE,
            State::Header { .. } => RPC_HEADER_SIZE,
            State::Payload { payload_len, .. } => RPC_HEADER_SIZE.saturating_add(payload_len),
            State::Failed(_) => 0,
        };
        target.saturating_sub(buffered)
    }

    /// True while part of a frame has arrived whose rest is missing, for deciding whether a
    /// stream ended cleanly.
    #[must_use]
    pub fn is_mid_frame(&self, buffered: usize) -> bool {
        buffered > 0 || !matches!(self.state, State::Start | State::Failed(_))
    }

    fn advance(&mut self, buf: &mut BytesMut) -> Result<Option<RpcFrame>, FrameError> {
        loop {
            match self.state {
                State::Start => {
                    let Some(bytes) = buf.first_chunk::<HEADER_SIZE>() else { return Ok(None) };
                    let header = self.check(Header::parse(bytes)?)?;
                    self.state =
                        State::Header { flags: header.flags, payload_len: header.payload_len };
                }
                State::Header { flags, payload_len } => {
                    let Some(bytes) = buf.first_chunk::<RPC_HEADER_SIZE>() else {
                        return Ok(None);
                    };
                    self.state = options(bytes, flags, payload_len)?;
                }
                State::Payload { flags, seq, method_len, payload_len } => {
                    let total = RPC_HEADER_SIZE.saturating_add(payload_len);
                    if let Some(missing) = total.checked_sub(buf.len()).filter(|n| *n > 0) {
                        buf.reserve(missing.min(buf.len().max(RESERVE_STEP)));
                        return Ok(None);
                    }
                    buf.advance(RPC_HEADER_SIZE);
                    let mut body = buf.split_to(payload_len).freeze();
                    let method = body.split_to(method_len);
                    self.state = State::Start;
                    return Ok(Some(RpcFrame { flags, seq, method, body }));
                }
                State::Failed(error) => return Err(error),
            }
        }
    }

    /// Everything about a header that needs no more bytes, so that a bad one costs nothing.
    fn check(&self, header: Header) -> Result<Header, FrameError> {
        if header.options != RPC_OPTIONS {
            return Err(FrameError::OptionCount(header.options));
        }
        let size = u64::from(header.payload_len) + RPC_HEADER_SIZE as u64;
        if size > self.max_frame_size as u64 {
            return Err(FrameError::TooLarge { size, limit: self.max_frame_size });
        }
        Ok(header)
    }
}

/// Reads the two options. The payload's length has passed the limit by now, so it fits `usize`.
fn options(
    bytes: &[u8; RPC_HEADER_SIZE],
    flags: Flags,
    payload_len: u32,
) -> Result<State, FrameError> {
    let [.., s0, s1, s2, s3, m0, m1, m2, m3] = *bytes;
    let method_len = u32::from_le_bytes([m0, m1, m2, m3]);
    if method_len > payload_len {
        return Err(FrameError::MethodLength { method: method_len, payload: payload_len });
    }
    Ok(State::Payload {
        flags,
        seq: u32::from_le_bytes([s0, s1, s2, s3]),
        method_len: method_len as usize,
        payload_len: payload_len as usize,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Codec, encode_request};

    fn frame(body: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        encode_request(&mut out, Codec::Json, 7, "pgpool.Execute", body).unwrap();
        out
    }

    #[test]
    fn frames_come_one_by_one_and_leave_the_rest() {
        let mut buf = BytesMut::new();
        buf.extend_from_slice(&frame(b"{}"));
        buf.extend_from_slice(&frame(b"[1]"));
        buf.extend_from_slice(b"\x15\x08");
        let mut decoder = RpcDecoder::new(1024);
        assert_eq!(decoder.decode(&mut buf).unwrap().unwrap().body, "{}");
        let second = decoder.decode(&mut buf).unwrap().unwrap();
        assert_eq!((second.method(), second.seq), (Ok("pgpool.Execute"), 7));
        assert_eq!(second.body, "[1]");
        assert_eq!(decoder.decode(&mut buf), Ok(None));
        assert_eq!(buf.as_ref(), b"\x15\x08");
        assert!(decoder.is_mid_frame(buf.len()));
    }

    #[test]
    fn limit_counts_the_header_and_is_exact() {
        let bytes = frame(b"{}");
        let mut buf = BytesMut::from(&bytes[..]);
        assert!(RpcDecoder::new(bytes.len()).decode(&mut buf).unwrap().is_some());
        let mut buf = BytesMut::from(&bytes[..]);
        let size = bytes.len() as u64;
        assert_eq!(
            RpcDecoder::new(bytes.len() - 1).decode(&mut buf),
            Err(FrameError::TooLarge { size, limit: bytes.len() - 1 })
        );
    }

    #[test]
    fn declared_length_reserves_only_a_step() {
        let bytes = frame(&vec![b' '; 8 << 20]);
        let mut buf = BytesMut::from(&bytes[..RPC_HEADER_SIZE]);
        let mut decoder = RpcDecoder::new(usize::MAX);
        assert_eq!(decoder.decode(&mut buf), Ok(None));
        assert!(buf.capacity() <= 2 * RESERVE_STEP, "{}", buf.capacity());
        assert_eq!(decoder.needed(buf.len()), bytes.len() - RPC_HEADER_SIZE);
    }

    #[test]
    fn errors_are_final() {
        let mut bytes = frame(b"{}");
        bytes[6] ^= 0xff;
        let mut buf = BytesMut::from(&bytes[..]);
        let mut decoder = RpcDecoder::new(1024);
        let error = decoder.decode(&mut buf).unwrap_err();
        let mut good = BytesMut::from(&frame(b"{}")[..]);
        assert_eq!(decoder.decode(&mut good), Err(error));
        assert_eq!(decoder.needed(0), 0);
    }

    #[test]
    fn long_method_is_refused_by_name_only() {
        let mut out = Vec::new();
        encode_request(&mut out, Codec::Json, 1, &"m".repeat(MAX_METHOD_LENGTH + 1), b"").unwrap();
        let mut buf = BytesMut::from(&out[..]);
        let frame = RpcDecoder::new(1 << 20).decode(&mut buf).unwrap().unwrap();
        assert!(matches!(frame.method(), Err(RequestError::MethodTooLong { .. })));
    }

    #[test]
    fn debug_hides_the_body() {
        let mut buf = BytesMut::from(&frame(b"{\"args\":[\"hunter2\"]}")[..]);
        let frame = RpcDecoder::new(1024).decode(&mut buf).unwrap().unwrap();
        assert!(!format!("{frame:?}").contains("hunter2"));
    }
}
