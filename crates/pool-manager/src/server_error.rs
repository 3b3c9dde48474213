//! An ErrorResponse as PostgreSQL sent it, and the SQLSTATE codes that we name ourselves.

use std::fmt;

/// A five-character SQLSTATE.
///
/// Source: PostgreSQL documentation, appendix A "PostgreSQL Error Codes".
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SqlState([u8; 5]);

impl SqlState {
    /// read_only_sql_transaction
    pub const READ_ONLY_TRANSACTION: Self = Self(*b"25006");
    /// successful_completion
    pub const SUCCESSFUL_COMPLETION: Self = Self(*b"00000");
    /// `08006` connection_failure: the statement was not executed, its connection is gone.
    pub const CONNECTION_FAILURE: Self = Self(*b"08006");
    /// `08001` the server could not be reached at all.
    pub const CANNOT_CONNECT: Self = Self(*b"08001");
    /// `08P01` protocol_violation.
    pub const PROTOCOL_VIOLATION: Self = Self(*b"08P01");
    /// `0A000` feature_not_supported: what was asked does not work through a shared pool.
    pub const FEATURE_NOT_SUPPORTED: Self = Self(*b"0A000");
    /// `22021` character_not_in_repertoire: text that no database takes.
    pub const CHARACTER_NOT_IN_REPERTOIRE: Self = Self(*b"22021");
    /// `22023` invalid_parameter_value.
    pub const INVALID_PARAMETER_VALUE: Self = Self(*b"22023");
    /// `25000` invalid_transaction_state: the transaction was already finished.
    pub const INVALID_TRANSACTION_STATE: Self = Self(*b"25000");
    /// `25P01` no_active_sql_transaction: no transaction of that id.
    pub const NO_ACTIVE_TRANSACTION: Self = Self(*b"25P01");
    /// `25P02` in_failed_sql_transaction: COMMIT became ROLLBACK.
    pub const IN_FAILED_TRANSACTION: Self = Self(*b"25P02");
    /// `25P03` idle_in_transaction_session_timeout.
    pub const IDLE_IN_TRANSACTION_TIMEOUT: Self = Self(*b"25P03");
    /// `25P04` transaction_timeout.
    pub const TRANSACTION_TIMEOUT: Self = Self(*b"25P04");
    /// `26000` invalid_sql_statement_name.
    pub const INVALID_STATEMENT_NAME: Self = Self(*b"26000");
    /// `34000` invalid_cursor_name.
    pub const INVALID_CURSOR_NAME: Self = Self(*b"34000");
    /// `28000` invalid_authorization_specification.
    pub const INVALID_AUTHORIZATION: Self = Self(*b"28000");
    /// `28P01` invalid_password.
    pub const INVALID_PASSWORD: Self = Self(*b"28P01");
    /// `3D000` invalid_catalog_name: unknown database.
    pub const UNKNOWN_DATABASE: Self = Self(*b"3D000");
    /// `40003` statement_completion_unknown: it may or may not have been executed.
    pub const COMPLETION_UNKNOWN: Self = Self(*b"40003");
    /// `42501` insufficient_privilege.
    pub const INSUFFICIENT_PRIVILEGE: Self = Self(*b"42501");
    /// `42601` syntax_error.
    pub const SYNTAX_ERROR: Self = Self(*b"42601");
    /// `42704` undefined_object: an unknown setting, among others.
    pub const UNDEFINED_OBJECT: Self = Self(*b"42704");
    /// `42710` duplicate_object.
    pub const DUPLICATE_OBJECT: Self = Self(*b"42710");
    /// `42P05` duplicate_prepared_statement.
    pub const DUPLICATE_PREPARED_STATEMENT: Self = Self(*b"42P05");
    /// `53300` too_many_connections: the pool is exhausted.
    pub const TOO_MANY_CONNECTIONS: Self = Self(*b"53300");
    /// `53400` configuration_limit_exceeded.
    pub const CONFIGURATION_LIMIT_EXCEEDED: Self = Self(*b"53400");
    /// `54000` program_limit_exceeded.
    pub const PROGRAM_LIMIT_EXCEEDED: Self = Self(*b"54000");
    /// `55000` object_not_in_prerequisite_state: lastval() before nextval(), among others.
    pub const NOT_IN_PREREQUISITE_STATE: Self = Self(*b"55000");
    /// `57014` query_canceled.
    pub const QUERY_CANCELED: Self = Self(*b"57014");
    /// `57P01` admin_shutdown.
    pub const ADMIN_SHUTDOWN: Self = Self(*b"57P01");
    /// `57P03` cannot_connect_now.
    pub const CANNOT_CONNECT_NOW: Self = Self(*b"57P03");
    /// `57P05` idle_session_timeout.
    pub const IDLE_SESSION_TIMEOUT: Self = Self(*b"57P05");
    /// `XX000` internal_error: what a server error without a valid code is reported as.
    pub const INTERNAL_ERROR: Self = Self(*b"XX000");

    /// Reads a code as PostgreSQL sends it: five upper-case letters or digits, else `None`.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes: [u8; 5] = text.as_bytes().try_into().ok()?;
        bytes.iter().all(|b| b.is_ascii_digit() || b.is_ascii_uppercase()).then_some(Self(bytes))
    }

    /// The code as text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or("XX000")
    }

    /// The two-character class, for instance `23` for integrity constraint violations.
    pub fn class(&self) -> &str {
        self.as_str().get(..2).unwrap_or("XX")
    }
}

impl fmt::Display for SqlState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for SqlState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SqlState({})", self.as_str())
    }
}

/// Longest part of a field that is kept, bytes: errors are copied, counted and sent on.
const MAX_FIELD: usize = 64 * 1024;
/// Stands for the message of an error that has none, or that is larger than a message may be.
const NO_MESSAGE: &str = "the server reported an error whose text is missing or too large";

/// An ErrorResponse of the server. Field meanings: PostgreSQL documentation,
/// "Error and Notice Message Fields".
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerError {
    /// Never-localised severity (`ERROR`, `FATAL`, `PANIC`).
    pub severity: String,
    /// SQLSTATE; `XX000` when the server sent none (CVE-2026-6666 crashed a pooler on that).
    pub code: SqlState,
    /// The primary message.
    pub message: String,
    /// Secondary message.
    pub detail: Option<String>,
    /// Suggestion.
    pub hint: Option<String>,
    /// Position in the query text, in characters, from 1.
    pub position: Option<u32>,
    /// Schema of the object concerned.
    pub schema: Option<String>,
    /// Table concerned.
    pub table: Option<String>,
    /// Column concerned.
    pub column: Option<String>,
    /// Constraint concerned.
    pub constraint: Option<String>,
    /// Name of the reporting function in the server's source.
    pub routine: Option<String>,
}

impl ServerError {
    /// An error of our own in the server's shape.
    pub fn new(code: SqlState, message: impl Into<String>) -> Self {
        Self {
            severity: "ERROR".to_owned(),
            code,
            message: message.into(),
            detail: None,
            hint: None,
            position: None,
            schema: None,
            table: None,
            column: None,
            constraint: None,
            routine: None,
        }
    }

    /// Reads the body of an ErrorResponse or NoticeResponse. Missing and unknown fields are
    /// tolerated, bytes that are not UTF-8 replaced: an error must be reportable whatever it holds.
    pub fn from_body(body: &[u8]) -> Self {
        let mut error = Self::new(SqlState::INTERNAL_ERROR, "");
        let (mut localised, mut fixed) = (None, None);
        for field in body.split(|b| *b == 0) {
            let Some((kind, value)) = field.split_first() else { continue };
            let value = value.get(..MAX_FIELD).unwrap_or(value);
            let value = String::from_utf8_lossy(value).into_owned();
            match kind {
                b'S' => localised = Some(value),
                b'V' => fixed = Some(value),
                b'C' => error.code = SqlState::parse(&value).unwrap_or(SqlState::INTERNAL_ERROR),
                b'M' => error.message = value,
                b'D' => error.detail = Some(value),
                b'H' => error.hint = Some(value),
                b'P' => error.position = value.parse().ok(),
                b's' => error.schema = Some(value),
                b't' => error.table = Some(value),
                b'c' => error.column = Some(value),
                b'n' => error.constraint = Some(value),
                b'R' => error.routine = Some(value),
                _ => {}
            }
        }
        error.severity = fixed.or(localised).unwrap_or_else(|| "ERROR".to_owned());
        if error.message.is_empty() {
            // An empty text would read as "no error" to callers.
            error.message = NO_MESSAGE.to_owned();
        }
        error
    }

    /// Whether it only says that the plan of a prepared statement is out of date.
    pub fn is_stale_plan(&self) -> bool {
        self.code == SqlState::FEATURE_NOT_SUPPORTED
            && self.routine.as_deref() == Some("RevalidateCachedQuery")
    }

    /// Whether the server ends the connection with this error.
    pub fn is_fatal(&self) -> bool {
        matches!(self.severity.as_str(), "FATAL" | "PANIC")
    }
}

impl fmt::Display for ServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for ServerError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_and_a_missing_code_is_internal_error() {
        let error = ServerError::from_body(b"SFEHLER\0VERROR\0Mboom\0P7\0nusers_pkey\0\0");
        assert_eq!(error.severity, "ERROR");
        assert_eq!(error.code, SqlState::INTERNAL_ERROR);
        assert_eq!(error.message, "boom");
        assert_eq!(error.position, Some(7));
        assert_eq!(error.constraint.as_deref(), Some("users_pkey"));
    }

    #[test]
    fn a_huge_text_is_cut() {
        let body = [&b"C22012\0M"[..], &vec![b'x'; 2 * MAX_FIELD], b"\0\0"].concat();
        let error = ServerError::from_body(&body);
        assert_eq!((error.message.len(), error.code.as_str()), (MAX_FIELD, "22012"));
    }

    #[test]
    fn codes_of_the_wrong_shape_are_refused() {
        assert_eq!(SqlState::parse("40003"), Some(SqlState::COMPLETION_UNKNOWN));
        for bad in ["", "4000", "400033", "4000a", "40 03", "4000\u{e9}"] {
            assert_eq!(SqlState::parse(bad), None, "{bad}");
        }
    }
}
