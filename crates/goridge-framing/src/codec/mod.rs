//! How a body is read and written. Which codec a frame uses is decided by its flags; what the
//! documents mean is not known here.

mod gob;
mod limited;
mod map_writer;
mod read;
pub mod shape;

use serde::{Deserialize, Serialize};

use crate::error::{RequestError, WriteError};
use crate::frame::Flags;

pub use limited::LimitedWriter;
pub use map_writer::MapWriter;
pub use read::MAX_DEPTH;

/// A payload codec that this crate can read and write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Codec {
    /// JSON text.
    Json,
    /// MessagePack; structs are maps with string keys.
    MsgPack,
    /// JSON text under goridge's raw flag, for callers that encode by themselves.
    Raw,
    /// Go's gob. Replies are written as JSON and converted when they are complete
    /// ([`gob_from_json`]), because gob wants to know all types beforehand.
    Gob,
    /// Protobuf. Its messages are the service's business, which converts both ways: requests to
    /// JSON before they are read here, replies from JSON when they are complete.
    Proto,
}

impl Codec {
    /// Decides by the frame's flags. When several are set, PROTO wins over JSON, then RAW,
    /// MSGPACK and GOB.
    ///
    /// # Errors
    /// [`RequestError::UnknownDecoder`] without a codec flag.
    pub fn from_flags(flags: Flags) -> Result<Self, RequestError> {
        match flags.codec() {
            Flags::JSON => Ok(Self::Json),
            Flags::MSGPACK => Ok(Self::MsgPack),
            Flags::RAW => Ok(Self::Raw),
            Flags::PROTO => Ok(Self::Proto),
            Flags::GOB => Ok(Self::Gob),
            _ => Err(RequestError::UnknownDecoder),
        }
    }

    /// The flag that says so in a frame.
    #[must_use]
    pub const fn flag(self) -> Flags {
        match self {
            Self::Json => Flags::JSON,
            Self::MsgPack => Flags::MSGPACK,
            Self::Raw => Flags::RAW,
            Self::Gob => Flags::GOB,
            Self::Proto => Flags::PROTO,
        }
    }

    /// The codec's name for messages.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::MsgPack => "msgpack",
            Self::Raw => "raw",
            Self::Gob => "gob",
            Self::Proto => "protobuf",
        }
    }

    /// Reads a whole body whose top level is a map.
    ///
    /// PHP cannot tell an empty map from an empty list, and Go takes an empty body for a value
    /// without fields, so all three are read as an empty map. Nesting is bounded by
    /// [`MAX_DEPTH`]. MessagePack strings that are not UTF-8 reach the type's `visit_bytes`, as
    /// PHP has no other way to send binary.
    ///
    /// # Errors
    /// [`RequestError::Body`], also when bytes follow the document.
    pub fn decode<'de, T: Deserialize<'de>>(self, body: &'de [u8]) -> Result<T, RequestError> {
        let read = match self {
            Self::Json | Self::Raw | Self::Proto => read::json(body),
            Self::MsgPack => read::msgpack(body),
            Self::Gob => gob::to_json(body)
                .and_then(|value| T::deserialize(value).map_err(|error| error.to_string())),
        };
        read.map_err(|reason| RequestError::Body { codec: self.name(), reason })
    }

    /// Whether a document that was written has to be converted before it is sent.
    #[must_use]
    pub const fn converts(self) -> bool {
        matches!(self, Self::Gob | Self::Proto)
    }

    /// Appends a whole value to `out`, whose length must stay within `limit`.
    ///
    /// # Errors
    /// [`WriteError::LimitExceeded`] or [`WriteError::Value`]; `out` is then as it was before.
    pub fn encode<T: Serialize + ?Sized>(
        self,
        out: &mut Vec<u8>,
        value: &T,
        limit: usize,
    ) -> Result<(), WriteError> {
        limited::transact(out, limit, |writer| self.write_value(writer, value))
    }

    /// Serialises one value. JSON says it is human-readable and MessagePack says it is not, which
    /// types like byte strings go by.
    fn write_value<T: Serialize + ?Sized>(
        self,
        writer: &mut LimitedWriter<'_>,
        value: &T,
    ) -> Result<(), String> {
        match self {
            Self::Json | Self::Raw | Self::Gob | Self::Proto => value
                .serialize(&mut serde_json::Serializer::new(writer))
                .map_err(|error| error.to_string()),
            Self::MsgPack => value
                .serialize(&mut rmp_serde::Serializer::new(writer).with_struct_map())
                .map_err(|error| error.to_string()),
        }
    }
}

/// Converts a document that was written as JSON into gob.
///
/// # Errors
/// It is no JSON.
pub fn gob_from_json(
    document: &[u8],
    shape: &'static shape::StructShape,
) -> Result<Vec<u8>, WriteError> {
    let value = serde_json::from_slice(document);
    let value = value.map_err(|error| WriteError::Value(error.to_string()))?;
    Ok(gob::from_json(&value, shape))
}

#[cfg(test)]
mod tests;
