//! A setting that cannot be used, and the checks that most settings share.

use std::ops::RangeInclusive;

use super::GoDuration;

/// One wrong setting: where it stands, what is wrong with it, and what would do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {reason}")]
pub struct SettingError {
    /// Key within the section that was checked, such as `pool.min_connections`.
    pub key: String,
    /// What is wrong and what would do; never a secret.
    pub reason: String,
}

impl SettingError {
    /// An error about one key.
    pub fn new(key: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { key: key.into(), reason: reason.into() }
    }

    /// The same error seen from the section that holds this one.
    #[must_use]
    pub fn within(self, section: &str) -> Self {
        let key = if self.key.is_empty() {
            section.to_owned()
        } else {
            format!("{section}.{}", self.key)
        };
        Self { key, ..self }
    }

    /// Checks that a number lies within its limits.
    ///
    /// # Errors
    /// Names the limits.
    pub fn check_range<T: PartialOrd + Copy + std::fmt::Display>(
        key: &str,
        value: T,
        limits: &RangeInclusive<T>,
    ) -> Result<(), Self> {
        if limits.contains(&value) {
            return Ok(());
        }
        let (low, high) = (limits.start(), limits.end());
        Err(Self::new(key, format!("must be from {low} to {high}, not {value}")))
    }

    /// Checks that a duration is more than nothing.
    ///
    /// # Errors
    /// Says that 0 will not do.
    pub fn check_positive(key: &str, value: GoDuration) -> Result<(), Self> {
        if value.is_zero() {
            return Err(Self::new(key, "must be more than 0"));
        }
        Ok(())
    }
}
