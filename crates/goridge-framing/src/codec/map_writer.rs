//! Writes a document whose top level is a map, field by field, with arrays element by element, so
//! that rows are encoded as they arrive and never collected. It knows nothing of rows.

use std::io::Write;

use serde::Serialize;

use crate::codec::{Codec, limited};
use crate::error::WriteError;

/// MessagePack's map with a 16-bit count behind the marker.
const MAP16: u8 = 0xde;
/// MessagePack's array with a 32-bit count behind the marker.
const ARRAY32: u8 = 0xdd;

/// Which syntax the document has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Syntax {
    Json,
    MsgPack,
}

/// The array being written: where MessagePack's count goes, and the count.
#[derive(Clone, Copy, Debug)]
struct OpenArray {
    count_at: usize,
    count: u32,
}

/// A map under construction at the end of an output buffer. The buffer is passed to each call, so
/// the writer can be kept between rows. Nothing here allocates but the buffer itself.
///
/// Every call either succeeds or leaves the buffer as it was, so a document can still be closed
/// after an element that was refused.
///
/// A sequence or map whose `Serialize` does not state its length is built in a buffer of its own
/// by rmp-serde before the limit sees it; large values should state it.
#[derive(Debug)]
#[must_use = "a document without end() is not complete"]
pub struct MapWriter {
    codec: Codec,
    syntax: Syntax,
    limit: usize,
    count_at: usize,
    count: u16,
    array: Option<OpenArray>,
}

impl MapWriter {
    /// Opens the map behind what `out` holds. `limit` bounds the length of `out`, in bytes, for
    /// this and all later calls.
    ///
    /// # Errors
    /// [`WriteError::LimitExceeded`].
    pub fn begin(out: &mut Vec<u8>, codec: Codec, limit: usize) -> Result<Self, WriteError> {
        let syntax = match codec {
            Codec::Json | Codec::Raw | Codec::Gob | Codec::Proto => Syntax::Json,
            Codec::MsgPack => Syntax::MsgPack,
        };
        let count_at = out.len() + 1;
        put(out, limit, if syntax == Syntax::Json { b"{" } else { &[MAP16, 0, 0] })?;
        Ok(Self { codec, syntax, limit, count_at, count: 0, array: None })
    }

    /// Writes one field. Names are not compared: the caller writes each once.
    ///
    /// # Errors
    /// [`WriteError::LimitExceeded`], [`WriteError::Value`], [`WriteError::OutOfOrder`] inside an
    /// array.
    pub fn field<T: Serialize + ?Sized>(
        &mut self,
        out: &mut Vec<u8>,
        name: &str,
        value: &T,
    ) -> Result<(), WriteError> {
        self.entry(out, name, |codec, writer| codec.write_value(writer, value))
    }

    /// Opens a field that is an array. Its elements follow through [`MapWriter::element`].
    ///
    /// # Errors
    /// As [`MapWriter::field`].
    pub fn begin_array(&mut self, out: &mut Vec<u8>, name: &str) -> Result<(), WriteError> {
        let opening: &[u8] = match self.syntax {
            Syntax::Json => b"[",
            Syntax::MsgPack => &[ARRAY32, 0, 0, 0, 0],
        };
        self.entry(out, name, |_, writer| {
            writer.write_all(opening).map_err(|error| error.to_string())
        })?;
        // The count's four bytes are the last thing written.
        self.array = Some(OpenArray { count_at: out.len().saturating_sub(4), count: 0 });
        Ok(())
    }

    /// Writes one element of the open array.
    ///
    /// # Errors
    /// As [`MapWriter::field`]; [`WriteError::OutOfOrder`] outside an array.
    pub fn element<T: Serialize + ?Sized>(
        &mut self,
        out: &mut Vec<u8>,
        value: &T,
    ) -> Result<(), WriteError> {
        self.element_by(out, |codec, writer| codec.write_value(writer, value))
    }

    /// Adds a whole document of the same codec as an element of the open array.
    ///
    /// # Errors
    /// As [`MapWriter::element`].
    pub fn document(&mut self, out: &mut Vec<u8>, document: &[u8]) -> Result<(), WriteError> {
        self.element_by(out, |_, writer| {
            writer.write_all(document).map_err(|error| error.to_string())
        })
    }

    fn element_by(
        &mut self,
        out: &mut Vec<u8>,
        write: impl FnOnce(Codec, &mut limited::LimitedWriter<'_>) -> Result<(), String>,
    ) -> Result<(), WriteError> {
        let array = self.array.ok_or(WriteError::OutOfOrder)?;
        let count = array.count.checked_add(1).ok_or(WriteError::TooMany)?;
        let (codec, syntax) = (self.codec, self.syntax);
        self.transact(out, |writer| {
            if syntax == Syntax::Json && array.count > 0 {
                writer.write_all(b",").map_err(|error| error.to_string())?;
            }
            write(codec, writer)
        })?;
        self.array = Some(OpenArray { count, ..array });
        Ok(())
    }

    /// How many elements the open array has; 0 when none is open.
    #[must_use]
    pub fn elements(&self) -> u32 {
        self.array.map_or(0, |array| array.count)
    }

    /// Closes the open array.
    ///
    /// # Errors
    /// [`WriteError::OutOfOrder`] when none is open, [`WriteError::LimitExceeded`].
    pub fn end_array(&mut self, out: &mut Vec<u8>) -> Result<(), WriteError> {
        let array = self.array.ok_or(WriteError::OutOfOrder)?;
        match self.syntax {
            Syntax::Json => put(out, self.limit, b"]")?,
            Syntax::MsgPack => fill(out, array.count_at, array.count.to_be_bytes())?,
        }
        self.array = None;
        Ok(())
    }

    /// Closes the map.
    ///
    /// # Errors
    /// [`WriteError::OutOfOrder`] while an array is open, [`WriteError::LimitExceeded`].
    pub fn end(self, out: &mut Vec<u8>) -> Result<(), WriteError> {
        if self.array.is_some() {
            return Err(WriteError::OutOfOrder);
        }
        match self.syntax {
            Syntax::Json => put(out, self.limit, b"}"),
            Syntax::MsgPack => fill(out, self.count_at, self.count.to_be_bytes()),
        }
    }

    /// Writes within the limit but for the byte that JSON's end takes: what was accepted can always
    /// be closed.
    fn transact(
        &self,
        out: &mut Vec<u8>,
        write: impl FnOnce(&mut limited::LimitedWriter<'_>) -> Result<(), String>,
    ) -> Result<(), WriteError> {
        let end = usize::from(self.syntax == Syntax::Json);
        limited::transact(out, self.limit.saturating_sub(end), write).map_err(|error| match error {
            WriteError::LimitExceeded { .. } => WriteError::LimitExceeded { limit: self.limit },
            other => other,
        })
    }

    /// Writes separator, name and whatever `value` writes, and counts the entry.
    fn entry(
        &mut self,
        out: &mut Vec<u8>,
        name: &str,
        value: impl FnOnce(Codec, &mut limited::LimitedWriter<'_>) -> Result<(), String>,
    ) -> Result<(), WriteError> {
        if self.array.is_some() {
            return Err(WriteError::OutOfOrder);
        }
        let count = self.count.checked_add(1).ok_or(WriteError::TooMany)?;
        let (codec, syntax, first) = (self.codec, self.syntax, self.count == 0);
        self.transact(out, |writer| {
            if syntax == Syntax::Json && !first {
                writer.write_all(b",").map_err(|error| error.to_string())?;
            }
            codec.write_value(writer, name)?;
            if syntax == Syntax::Json {
                writer.write_all(b":").map_err(|error| error.to_string())?;
            }
            value(codec, writer)
        })?;
        self.count = count;
        Ok(())
    }
}

/// Appends bytes within the limit.
fn put(out: &mut Vec<u8>, limit: usize, bytes: &[u8]) -> Result<(), WriteError> {
    limited::transact(out, limit, |writer| {
        writer.write_all(bytes).map_err(|error| error.to_string())
    })
}

/// Fills in a count whose place was kept. The place is missing only when the caller cut the
/// buffer in between.
fn fill<const N: usize>(out: &mut [u8], at: usize, count: [u8; N]) -> Result<(), WriteError> {
    let place = out.get_mut(at..at.saturating_add(N)).ok_or(WriteError::OutOfOrder)?;
    place.copy_from_slice(&count);
    Ok(())
}

#[cfg(test)]
mod tests;
