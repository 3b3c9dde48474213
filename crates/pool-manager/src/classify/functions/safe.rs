//! The names under `session_safe_functions`: functions that their owner declares harmless to the
//! session. Never consulted for anything but names; what a listed function does is believed.

use std::sync::Arc;

use super::Part;

/// A set of function names, `function` or `schema.function`, cheap to clone.
///
/// `function` stands for calls without a schema, `schema.function` for calls with that schema. A
/// call counts in lower case unless it is quoted in the SQL.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SafeFunctions {
    /// Lower case, sorted bytewise.
    names: Arc<[Box<str>]>,
}

impl SafeFunctions {
    /// Takes the names as configured; case and surrounding blanks do not matter.
    pub fn new<I>(names: I) -> Self
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        let mut names: Vec<Box<str>> = names
            .into_iter()
            .map(|name| name.as_ref().trim().to_ascii_lowercase().into_boxed_str())
            .filter(|name| !name.is_empty())
            .collect();
        names.sort_unstable();
        names.dedup();
        Self { names: names.into() }
    }

    /// True when no function is listed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    pub(super) fn contains(&self, schema: Option<Part<'_>>, name: Part<'_>) -> bool {
        // A quoted identifier with a dot in it must not pass for a schema and a function.
        if name.text.contains('.') || schema.is_some_and(|schema| schema.text.contains('.')) {
            return false;
        }
        let compare = |entry: &str| match schema {
            Some(schema) => {
                entry.bytes().cmp(schema.bytes().chain(std::iter::once(b'.')).chain(name.bytes()))
            }
            None => entry.bytes().cmp(name.bytes()),
        };
        self.names.binary_search_by(|entry| compare(entry)).is_ok()
    }
}
