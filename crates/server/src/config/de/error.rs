//! Why a tree does not fit a type, with the path to where it does not.

use std::fmt;

use serde::de::{self, Expected};

use crate::config::suggest;
use crate::config::tree::{Node, Place, Scalar, Value};

/// Keys whose values are never repeated.
const SECRET_KEYS: &[&str] = &["dsn", "password"];

/// Longest value that an error repeats, in characters.
const MAX_FOUND: usize = 60;

/// Why a tree does not fit a type.
pub(crate) struct DeError {
    /// Path below the node that was read, in the notation of [`Node::place_of`].
    pub(crate) path: String,
    pub(crate) place: Option<Place>,
    pub(crate) reason: String,
    /// Whether the path ends in an unknown key that resembles none of its neighbours.
    pub(crate) is_stray: bool,
    /// The value in question, when it may be shown.
    found: Option<String>,
    /// The range of the type that the reason names, where a number was expected.
    range: Option<Box<str>>,
}

/// A range as reasons name it.
pub(super) fn range(low: impl fmt::Display, high: impl fmt::Display) -> String {
    format!("from {low} to {high}")
}

impl DeError {
    pub(super) fn new(reason: impl Into<String>) -> Self {
        let reason = reason.into();
        Self { path: String::new(), place: None, reason, is_stray: false, found: None, range: None }
    }

    /// The reason, with the value where that helps.
    pub(crate) fn message(&self) -> String {
        match &self.found {
            Some(found) => format!("{} (found {found})", self.reason),
            None => self.reason.clone(),
        }
    }

    /// Remembers the range that the reason names.
    pub(super) fn of_range(self, range: &str) -> Self {
        Self { range: Some(range.into()), ..self }
    }

    /// Names the limits of the key in place of those of its type, when `limits` knows them.
    pub(crate) fn within(mut self, limits: impl FnOnce(&str) -> Option<(i64, i64)>) -> Self {
        if let Some(of_type) = self.range.take()
            && let Some((low, high)) = limits(&self.path)
        {
            self.reason = self.reason.replacen(&*of_type, &range(low, high), 1);
        }
        self
    }

    /// Adds what is known where the error happened; the first place wins.
    pub(super) fn at(mut self, node: &Node) -> Self {
        if self.place.is_none() {
            self.place = Some(node.place_of(&self.path).clone());
            self.found = match &node.value {
                Value::Scalar(scalar) if self.path.is_empty() => Some(shown(scalar)),
                _ => None,
            };
        }
        self
    }

    /// Sets the place, where it is better known than by path.
    pub(super) fn at_place(self, place: &Place) -> Self {
        Self { place: Some(place.clone()), ..self }
    }

    /// Adds the key under which the error happened.
    pub(super) fn under_key(mut self, key: &str, node: &Node) -> Self {
        self = self.at(node);
        if self.path.is_empty() && SECRET_KEYS.contains(&key) {
            self.found = None;
        }
        let dot = if self.path.is_empty() || self.path.starts_with('[') { "" } else { "." };
        self.path = format!("{key}{dot}{}", self.path);
        self
    }

    /// Adds the list index at which the error happened.
    pub(super) fn under_index(mut self, index: usize, node: &Node) -> Self {
        self = self.at(node);
        let dot = if self.path.is_empty() { "" } else { "." };
        self.path = format!("[{index}]{dot}{}", self.path);
        self
    }
}

/// A value for an error; one from the environment shows only the reference.
fn shown(scalar: &Scalar) -> String {
    let text = match &scalar.written {
        Some(written) if scalar.text.is_empty() => {
            return format!("{written:?}, which is empty or not set in the environment");
        }
        Some(written) => return format!("what the environment gives for {written:?}"),
        None => &scalar.text,
    };
    if text.chars().count() <= MAX_FOUND {
        return format!("{text:?}");
    }
    format!("{:?}...", text.chars().take(MAX_FOUND).collect::<String>())
}

impl fmt::Display for DeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

impl fmt::Debug for DeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.reason)
    }
}

impl std::error::Error for DeError {}

impl de::Error for DeError {
    fn custom<T: fmt::Display>(reason: T) -> Self {
        Self::new(reason.to_string())
    }

    // Serde's own text would repeat the value.
    fn invalid_type(_: de::Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::new(format!("must be {expected}"))
    }

    fn invalid_value(_: de::Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::new(format!("must be {expected}"))
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        let hint = match suggest::closest(variant, expected) {
            Some(meant) => format!("; did you mean {meant}?"),
            None => String::new(),
        };
        Self::new(format!("must be one of {}{hint}", expected.join(", ")))
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        let meant = suggest::closest(field, expected);
        let mut error = Self::new(match meant {
            Some(meant) => format!("unknown key; did you mean {meant}?"),
            None => format!("unknown key; known here: {}", expected.join(", ")),
        });
        error.path = field.to_owned();
        error.is_stray = meant.is_none();
        error
    }
}
