//! Errors that callers were given, counted by class of SQLSTATE.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::server_error::SqlState;

/// Stands for the classes of SQLSTATE that PostgreSQL does not name.
pub const OTHER_CLASS: &str = "other";

/// Those that it does, from its documentation, appendix A; ours are among them. In order.
const CLASSES: [&str; 43] = [
    "00", "01", "02", "03", "08", "09", "0A", "0B", "0F", "0L", "0P", "0Z", "20", "21", "22", "23",
    "24", "25", "26", "27", "28", "2B", "2D", "2F", "34", "38", "39", "3B", "3D", "3F", "40", "42",
    "44", "53", "54", "55", "57", "58", "72", "F0", "HV", "P0", "XX",
];

/// A counter for each class, and one for all others.
pub(super) struct ErrorClasses([AtomicU64; CLASSES.len() + 1]);

impl Default for ErrorClasses {
    fn default() -> Self {
        Self([const { AtomicU64::new(0) }; CLASSES.len() + 1])
    }
}

impl ErrorClasses {
    pub(super) fn add(&self, code: SqlState) {
        let class = CLASSES.binary_search(&code.class()).unwrap_or(CLASSES.len());
        if let Some(class) = self.0.get(class) {
            class.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Those that there were any of.
    pub(super) fn counted(&self) -> Vec<(&'static str, u64)> {
        let names = CLASSES.into_iter().chain([OTHER_CLASS]);
        let counts = self.0.iter().map(|count| count.load(Ordering::Relaxed));
        names.zip(counts).filter(|(_, count)| *count > 0).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_counted_by_class() {
        assert!(CLASSES.is_sorted(), "they are searched in order");
        let classes = ErrorClasses::default();
        let codes = ["42P01", "42601", "23505", "ZZ001", "XX000", "00000"];
        for code in codes.into_iter().filter_map(SqlState::parse) {
            classes.add(code);
        }
        let expected = [("00", 1), ("23", 1), ("42", 2), ("XX", 1), (OTHER_CLASS, 1)];
        assert_eq!(classes.counted(), expected);
    }
}
