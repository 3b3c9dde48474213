//! Frontend messages, queued on a connection; each one that owes a ReadyForQuery is counted.

use std::io;

use bytes::{BufMut, BytesMut};
use postgres_protocol::message::frontend;

/// Messages being queued on one connection.
///
/// A failed call leaves the buffer as it was before that call. Nothing is sent until somebody
/// asks the link for its next message.
pub(crate) struct Request<'a> {
    out: &'a mut BytesMut,
    owed: &'a mut u32,
}

/// Result formats of a Bind: the columns' own, or none when there is no result.
pub(crate) type BindFormats<'a> = &'a [i16];

impl<'a> Request<'a> {
    pub(super) fn new(out: &'a mut BytesMut, owed: &'a mut u32) -> Self {
        Self { out, owed }
    }

    /// Simple query.
    pub(crate) fn query(self, sql: &str) -> io::Result<Self> {
        frontend::query(sql, self.out)?;
        *self.owed += 1;
        Ok(self)
    }

    /// Parse, the parameter types left to the server.
    pub(crate) fn parse(self, name: &str, sql: &str) -> io::Result<Self> {
        self.undo_on_error(|out| frontend::parse(name, sql, std::iter::empty(), out))
    }

    /// Describe of a prepared statement.
    pub(crate) fn describe_statement(self, name: &str) -> io::Result<Self> {
        self.undo_on_error(|out| frontend::describe(b'S', name, out))
    }

    /// Close of a prepared statement.
    pub(crate) fn close_statement(self, name: &str) -> io::Result<Self> {
        self.undo_on_error(|out| frontend::close(b'S', name, out))
    }

    /// Close of a portal.
    pub(crate) fn close_portal(self, name: &str) -> io::Result<Self> {
        self.undo_on_error(|out| frontend::close(b'P', name, out))
    }

    /// Bind of the unnamed portal with parameters in text format; `write` appends the values:
    /// for each one its length and bytes, as the protocol wants them.
    pub(crate) fn bind<E: From<io::Error>>(
        self,
        statement: &str,
        parameters: usize,
        results: BindFormats<'_>,
        write: impl FnOnce(&mut BytesMut) -> Result<(), E>,
    ) -> Result<Self, E> {
        self.bind_portal("", statement, parameters, results, write)
    }

    /// The same of a portal with a name of ours, which holds no NUL.
    pub(crate) fn bind_portal<E: From<io::Error>>(
        self,
        portal: &str,
        statement: &str,
        parameters: usize,
        results: BindFormats<'_>,
        write: impl FnOnce(&mut BytesMut) -> Result<(), E>,
    ) -> Result<Self, E> {
        let start = self.out.len();
        let result = bind(self.out, [portal, statement], parameters, results, write);
        match result {
            Ok(()) => Ok(self),
            Err(error) => {
                self.out.truncate(start);
                Err(error)
            }
        }
    }

    /// Execute of the unnamed portal, without a row limit.
    pub(crate) fn execute(self) -> io::Result<Self> {
        self.execute_portal("", 0)
    }

    /// Execute of a portal, up to `count` rows; 0: all of them.
    pub(crate) fn execute_portal(self, portal: &str, count: i32) -> io::Result<Self> {
        self.undo_on_error(|out| frontend::execute(portal, count, out))
    }

    /// Sync: ends the batch, and owes a ReadyForQuery.
    pub(crate) fn sync(self) {
        frontend::sync(self.out);
        *self.owed += 1;
    }

    /// Bytes queued and not sent, for [`forget_from`](Self::forget_from).
    pub(crate) fn queued(self) -> usize {
        self.out.len()
    }

    /// Takes back what was queued since there were `len` bytes, which must hold no Query or Sync;
    /// before anything is sent.
    pub(crate) fn forget_from(self, len: usize) {
        self.out.truncate(len);
    }

    /// CopyFail and, for the extended protocol, the Sync that the server swallowed meanwhile.
    pub(crate) fn copy_fail(self, reason: &str, extended: bool) -> io::Result<()> {
        frontend::copy_fail(reason, self.out)?;
        if extended {
            frontend::sync(self.out);
        }
        Ok(())
    }

    fn undo_on_error(
        self,
        write: impl FnOnce(&mut BytesMut) -> io::Result<()>,
    ) -> io::Result<Self> {
        let start = self.out.len();
        if let Err(error) = write(self.out) {
            self.out.truncate(start);
            return Err(error);
        }
        Ok(self)
    }
}

fn bind<E: From<io::Error>>(
    out: &mut BytesMut,
    names: [&str; 2],
    parameters: usize,
    results: BindFormats<'_>,
    write: impl FnOnce(&mut BytesMut) -> Result<(), E>,
) -> Result<(), E> {
    let start = out.len();
    out.put_u8(b'B');
    out.put_i32(0);
    for name in names {
        out.put_slice(name.as_bytes());
        out.put_u8(0);
    }
    out.put_i16(0);
    out.put_i16(count(parameters, "parameters")?);
    write(out)?;
    out.put_i16(count(results.len(), "result columns")?);
    for format in results {
        out.put_i16(*format);
    }
    let len = i32::try_from(out.len() - start - 1)
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "parameters exceed 2 GiB"))?;
    if let Some(place) = out.get_mut(start + 1..start + 5) {
        place.copy_from_slice(&len.to_be_bytes());
    }
    Ok(())
}

/// Counts on the wire are unsigned in practice: PostgreSQL accepts up to 65535 parameters.
fn count(n: usize, what: &str) -> io::Result<i16> {
    u16::try_from(n)
        .map(u16::cast_signed)
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, format!("more than 65535 {what}")))
}
