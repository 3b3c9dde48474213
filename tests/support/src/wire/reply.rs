//! The server's messages as a client reads them, and a short way to write down what came.

use std::collections::BTreeMap;
use std::fmt;

/// One message of the server.
#[derive(Clone, PartialEq, Eq)]
pub struct Reply {
    /// Its type byte.
    pub tag: u8,
    /// What follows its length.
    pub body: Vec<u8>,
}

/// An ErrorResponse or NoticeResponse: its fields by their type bytes.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct WireFault(pub BTreeMap<char, String>);

impl WireFault {
    /// One field, empty when it is not there.
    #[must_use]
    pub fn field(&self, kind: char) -> &str {
        self.0.get(&kind).map_or("", String::as_str)
    }

    /// The SQLSTATE.
    #[must_use]
    pub fn code(&self) -> &str {
        self.field('C')
    }

    /// The message.
    #[must_use]
    pub fn message(&self) -> &str {
        self.field('M')
    }

    /// `ERROR`, `FATAL` or the like.
    #[must_use]
    pub fn severity(&self) -> &str {
        self.field('V')
    }
}

impl fmt::Display for WireFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} ({})", self.severity(), self.message(), self.code())?;
        match self.field('H') {
            "" => Ok(()),
            hint => write!(f, " hint: {hint}"),
        }
    }
}

impl Reply {
    /// The fields of an error or notice.
    #[must_use]
    pub fn fault(&self) -> Option<WireFault> {
        if !matches!(self.tag, b'E' | b'N') {
            return None;
        }
        let fields = self.body.split(|byte| *byte == 0).filter_map(|field| {
            let (kind, text) = field.split_first()?;
            Some((char::from(*kind), String::from_utf8_lossy(text).into_owned()))
        });
        Some(WireFault(fields.collect()))
    }

    /// The error, if it is one.
    #[must_use]
    pub fn error(&self) -> Option<WireFault> {
        self.fault().filter(|_| self.tag == b'E')
    }

    /// The values of a DataRow as texts.
    ///
    /// # Panics
    /// When it is a DataRow that cannot be read.
    #[must_use]
    pub fn row(&self) -> Option<Vec<Option<String>>> {
        if self.tag != b'D' {
            return None;
        }
        let (count, mut rest) = self.body.split_at(2);
        let count = usize::from(u16::from_be_bytes([count[0], count[1]]));
        let mut row = Vec::with_capacity(count);
        for _ in 0..count {
            let (len, behind) = rest.split_at(4);
            let len = i32::from_be_bytes([len[0], len[1], len[2], len[3]]);
            let Ok(len) = usize::try_from(len) else {
                row.push(None);
                rest = behind;
                continue;
            };
            let (value, behind) = behind.split_at(len);
            row.push(Some(String::from_utf8_lossy(value).into_owned()));
            rest = behind;
        }
        assert!(rest.is_empty(), "bytes behind the last column");
        Some(row)
    }

    /// The text of a CommandComplete.
    #[must_use]
    pub fn command(&self) -> Option<String> {
        (self.tag == b'C').then(|| text(&self.body))
    }

    /// Name and value of a ParameterStatus.
    #[must_use]
    pub fn parameter(&self) -> Option<(String, String)> {
        if self.tag != b'S' {
            return None;
        }
        let mut texts = self.body.split(|byte| *byte == 0);
        Some((text(texts.next()?), text(texts.next()?)))
    }

    /// The transaction status of a ReadyForQuery.
    #[must_use]
    pub fn status(&self) -> Option<char> {
        (self.tag == b'Z').then(|| self.body.first().copied().map(char::from)).flatten()
    }
}

/// A text up to its NUL.
fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

/// The type byte, and in brackets what matters most.
impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", char::from(self.tag))?;
        if let Some(fault) = self.fault() {
            return write!(f, "({})", fault.code());
        }
        if let Some(row) = self.row() {
            let values: Vec<_> = row.iter().map(|v| v.as_deref().unwrap_or("NULL")).collect();
            return write!(f, "({})", values.join(","));
        }
        if let Some(command) = self.command() {
            return write!(f, "({command})");
        }
        if let Some((name, value)) = self.parameter() {
            return write!(f, "({name}={value})");
        }
        match self.status() {
            Some(status) => write!(f, "({status})"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.fault() {
            Some(fault) => write!(f, "{}({fault})", char::from(self.tag)),
            None => write!(f, "{self}"),
        }
    }
}

/// What came, in one line: `T D(1) C(SELECT 1) Z(I)`.
#[must_use]
pub fn summary(replies: &[Reply]) -> String {
    replies.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

/// The rows among what came, their columns joined by commas.
#[must_use]
pub fn rows(replies: &[Reply]) -> Vec<String> {
    let joined = |row: Vec<Option<String>>| {
        row.into_iter().map(|v| v.unwrap_or("NULL".to_owned())).collect::<Vec<_>>().join(",")
    };
    replies.iter().filter_map(Reply::row).map(joined).collect()
}

/// The errors among what came.
#[must_use]
pub fn errors(replies: &[Reply]) -> Vec<WireFault> {
    replies.iter().filter_map(Reply::error).collect()
}
