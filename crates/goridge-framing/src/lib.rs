//! goridge frames, the RPC envelope and its payload codecs.
//!
//! The crate turns bytes into requests and replies into bytes. It never does I/O, never starts a
//! task, reads no configuration and records no metrics, so it can be tested without a runtime.
//!
//! * [`frame`]: the 12-byte header, its checksum and flags.
//! * [`RpcDecoder`]: whole RPC frames out of a growing buffer.
//! * [`ReplyFrame`], [`encode_error_reply`], [`encode_request`]: frames into an output buffer.
//! * [`Codec`] and [`codec::MapWriter`]: bodies, whole or field by field.
//! * [`request_fields!`] and [`fields`]: request types whose field names are matched leniently.

pub mod codec;
mod decoder;
mod encoder;
mod error;
pub mod fields;
pub mod frame;
mod method;

pub use codec::Codec;
pub use decoder::{RpcDecoder, RpcFrame};
pub use encoder::{MAX_ERROR_TEXT, ReplyFrame, encode_error_reply, encode_request};
pub use error::{EncodeError, FrameError, RequestError, WriteError};
pub use frame::{DEFAULT_MAX_FRAME_SIZE, Flags};
pub use method::{MAX_METHOD_LENGTH, MethodName};

#[doc(hidden)]
pub mod __private {
    //! What [`request_fields!`](crate::request_fields) expands to; not for use by hand.
    pub use serde;
}
