//! What may be wrong with a DSN. Messages name keywords and places, never a password.

/// Why a DSN cannot be used.
///
/// No variant holds text that may be part of a password: words of the DSN are repeated only where
/// the parser is sure that they are something else.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DsnError {
    /// The text is not of either form.
    #[error("{0}")]
    Syntax(String),
    /// A keyword that is not known, or known to libpq only.
    #[error("unknown keyword {keyword:?}{hint}")]
    UnknownKeyword {
        /// The keyword as written.
        keyword: String,
        /// What to do about it, with its leading punctuation; may be empty.
        hint: String,
    },
    /// The value of a keyword cannot be used.
    #[error("{keyword}: {reason}")]
    Value {
        /// libpq's keyword.
        keyword: &'static str,
        /// What is wrong, and what would do.
        reason: String,
    },
}

impl DsnError {
    pub(crate) fn syntax(text: impl Into<String>) -> Self {
        Self::Syntax(text.into())
    }

    pub(crate) fn value(keyword: &'static str, reason: impl Into<String>) -> Self {
        Self::Value { keyword, reason: reason.into() }
    }
}
