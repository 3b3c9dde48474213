//! A writer into a byte vector that refuses to grow it beyond a limit, so that one huge value is
//! stopped while it is being written and not after.

use std::io::{self, Write};

use crate::error::WriteError;

/// Appends to a vector until its length would exceed a limit.
///
/// Serialisers wrap or replace the errors of their writer, so the refusal is also remembered:
/// [`LimitedWriter::is_exceeded`] tells it from every other failure.
#[derive(Debug)]
pub struct LimitedWriter<'a> {
    out: &'a mut Vec<u8>,
    limit: usize,
    exceeded: bool,
}

impl<'a> LimitedWriter<'a> {
    /// A writer that lets `out` reach `limit` bytes, counting what it holds already.
    pub fn new(out: &'a mut Vec<u8>, limit: usize) -> Self {
        Self { out, limit, exceeded: false }
    }

    /// True once a write was refused. Nothing is written after that, even if it would fit.
    #[must_use]
    pub fn is_exceeded(&self) -> bool {
        self.exceeded
    }
}

impl Write for LimitedWriter<'_> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.write_all(buf)?;
        Ok(buf.len())
    }

    #[inline]
    fn write_all(&mut self, buf: &[u8]) -> io::Result<()> {
        if self.exceeded || buf.len() > self.limit.saturating_sub(self.out.len()) {
            self.exceeded = true;
            return Err(io::ErrorKind::WriteZero.into());
        }
        self.out.extend_from_slice(buf);
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Runs `write` and takes back what it wrote when it fails or the limit was met.
pub(super) fn transact(
    out: &mut Vec<u8>,
    limit: usize,
    write: impl FnOnce(&mut LimitedWriter<'_>) -> Result<(), String>,
) -> Result<(), WriteError> {
    let start = out.len();
    let mut writer = LimitedWriter::new(out, limit);
    let result = write(&mut writer);
    let result = if writer.exceeded {
        Err(WriteError::LimitExceeded { limit })
    } else {
        result.map_err(WriteError::Value)
    };
    if result.is_err() {
        out.truncate(start);
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limit_counts_what_was_there_and_stays_shut() {
        let mut out = b"ab".to_vec();
        let mut writer = LimitedWriter::new(&mut out, 4);
        writer.write_all(b"cd").unwrap();
        writer.write_all(b"").unwrap();
        assert!(!writer.is_exceeded());
        assert_eq!(writer.write(b"e").unwrap_err().kind(), io::ErrorKind::WriteZero);
        assert!(writer.is_exceeded());
        assert!(writer.write_all(b"").is_err());
        assert_eq!(out, b"abcd");
    }

    #[test]
    fn vector_beyond_the_limit_takes_nothing() {
        let mut out = b"abcdef".to_vec();
        assert!(LimitedWriter::new(&mut out, 4).write_all(b"x").is_err());
        assert_eq!(out, b"abcdef");
    }
}
