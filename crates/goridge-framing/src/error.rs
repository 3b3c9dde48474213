//! The crate's errors, one enum per audience. None of them decides what happens to a connection;
//! their docs say what it has to be.

use thiserror::Error;

/// The byte stream can no longer be trusted: close the connection without a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum FrameError {
    /// The header's checksum is wrong, so its length cannot be believed either.
    #[error("header checksum is {declared:08x}, computed {computed:08x}: not a goridge frame")]
    Checksum {
        /// What the header says.
        declared: u32,
        /// What its first six bytes give.
        computed: u32,
    },
    /// A protocol version nobody speaks.
    #[error("goridge version {0} is not supported")]
    Version(u8),
    /// The header claims to be shorter than a header; the value is in 32-bit words.
    #[error("header length of {0} words is shorter than a header")]
    HeaderLength(u8),
    /// An RPC frame has exactly two options.
    #[error("an RPC frame has 2 options, this one has {0}")]
    OptionCount(u8),
    /// The frame, header included, is larger than allowed. Sizes are in bytes.
    #[error("frame of {size} bytes is larger than the limit of {limit} bytes")]
    TooLarge {
        /// Size of the whole frame.
        size: u64,
        /// The limit in force.
        limit: usize,
    },
    /// The method would end behind the payload. Lengths are in bytes.
    #[error("method length {method} is beyond the payload of {payload} bytes")]
    MethodLength {
        /// What the option says.
        method: u32,
        /// What the header says.
        payload: u32,
    },
}

/// One request cannot be served: answer with an error frame whose body is this error's text, and
/// keep the connection open. The texts of the first four are the ones that Go's net/rpc and
/// goridge send and that PHP code matches on.
///
/// The text may quote what the caller sent, parameter values included, so it belongs in the reply
/// and not in a log.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RequestError {
    /// No codec flag is set.
    #[error("unknown decoder used in frame")]
    UnknownDecoder,
    /// The method has no dot.
    #[error("rpc: service/method request ill-formed: {0}")]
    IllFormedMethod(String),
    /// What stands before the last dot names no service.
    #[error("rpc: can't find service {0}")]
    UnknownService(String),
    /// The service has no such method.
    #[error("rpc: can't find method {0}")]
    UnknownMethod(String),
    /// Method names are text.
    #[error("method name is not valid UTF-8")]
    MethodNotUtf8,
    /// Echoing such a name would only help to waste memory. Lengths are in bytes.
    #[error("method name of {length} bytes is longer than the limit of {limit} bytes")]
    MethodTooLong {
        /// Length of the name.
        length: usize,
        /// The limit in force.
        limit: usize,
    },
    /// The body does not decode; the text says where.
    #[error("{codec}: {reason}")]
    Body {
        /// Name of the codec.
        codec: &'static str,
        /// What the decoder said.
        reason: String,
    },
}

/// A frame could not be finished; the output buffer is as it was before the frame began.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// The frame, header included, is larger than allowed. Sizes are in bytes.
    #[error("reply of {size} bytes is larger than the limit of {limit} bytes")]
    TooLarge {
        /// Size of the whole frame.
        size: u64,
        /// The limit in force.
        limit: u64,
    },
    /// Something cut the output buffer in front of the frame's body.
    #[error("the output buffer lost the beginning of the frame")]
    BufferCut,
}

/// A value could not be written; the output buffer is as it was before the call.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum WriteError {
    /// The output would grow beyond its limit, in bytes.
    #[error("reply is larger than the limit of {limit} bytes")]
    LimitExceeded {
        /// The limit in force, as given to the writer.
        limit: usize,
    },
    /// A value refused to be serialised.
    #[error("cannot encode the value: {0}")]
    Value(String),
    /// Calls came in an order that gives no document (a field inside an array, an element outside).
    #[error("document parts written out of order")]
    OutOfOrder,
    /// More fields or elements than the format can count.
    #[error("too many entries for the format")]
    TooMany,
}
