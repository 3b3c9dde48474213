//! What requests have in common: the values of settings, time limits, expiry.

use std::fmt;
use std::time::Duration;

use goridge_framing::Codec;
use goridge_framing::fields::Entries;
use pool_manager::values::{RowShape, RowStyle, ValueStyle};
use pool_manager::{Error, HeldLimits, Settings, SqlState, TimeLimit};
use serde::de::Visitor;
use serde::{Deserialize, Deserializer};

/// Longest time that a request may ask for, milliseconds: 24 days, as PostgreSQL's own timeouts.
const MAX_MILLIS: i64 = i32::MAX as i64;

/// Value of a setting as text: PostgreSQL's parameters are text, PHP's arrays hold anything.
pub(super) struct SettingValue(String);

impl<'de> Deserialize<'de> for SettingValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SettingVisitor)
    }
}

/// Takes single values only: a list is refused without being read.
struct SettingVisitor;

impl Visitor<'_> for SettingVisitor {
    type Value = SettingValue;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string, a number or a boolean as the value of a setting")
    }

    fn visit_bool<E>(self, value: bool) -> Result<SettingValue, E> {
        Ok(SettingValue(if value { "on" } else { "off" }.to_owned()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<SettingValue, E> {
        Ok(SettingValue(value.to_string()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<SettingValue, E> {
        Ok(SettingValue(value.to_string()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<SettingValue, E> {
        Ok(SettingValue(value.to_string()))
    }

    fn visit_str<E>(self, value: &str) -> Result<SettingValue, E> {
        Ok(SettingValue(value.to_owned()))
    }
}

/// The settings of a request.
pub(super) fn settings(given: Option<Entries<SettingValue>>) -> Result<Settings, Error> {
    let Some(Entries(pairs)) = given else { return Ok(Settings::default()) };
    let pairs = pairs.into_iter().map(|(name, value)| (name, value.0));
    Ok(Settings::new(pairs)?)
}

/// `timeout` of a statement, milliseconds: 0 or absent = configured, -1 = none.
pub(super) fn time_limit(millis: Option<i64>) -> Result<TimeLimit, Error> {
    match millis.unwrap_or(0) {
        0 => Ok(TimeLimit::Configured),
        -1 => Ok(TimeLimit::None),
        millis => positive("timeout", millis).map(TimeLimit::After),
    }
}

/// How rows are written. Codecs that are converted to have single values only: what is nested is text
/// there, as PostgreSQL prints it.
pub(super) fn style(
    result: Option<&str>,
    types: Option<&str>,
    codec: Codec,
) -> Result<RowStyle, Error> {
    let shapes = [("assoc", RowShape::Assoc), ("rows", RowShape::List)];
    let styles = [("native", ValueStyle::Native), ("text", ValueStyle::Text)];
    let values = choice("types", types, &styles, ValueStyle::Native)?;
    Ok(RowStyle {
        shape: choice("result", result, &shapes, RowShape::Assoc)?,
        values: if codec.converts() { ValueStyle::Text } else { values },
    })
}

/// Expiry of a transaction or session: what the request says, else what is configured.
pub(super) fn held_limits(
    configured: HeldLimits,
    idle_timeout: Option<i64>,
    max_lifetime: Option<i64>,
) -> Result<HeldLimits, Error> {
    let limit = |name, given: Option<i64>, configured| match given {
        None | Some(0) => Ok(configured),
        Some(millis) => positive(name, millis).map(Some),
    };
    Ok(HeldLimits {
        idle_timeout: limit("idle_timeout", idle_timeout, configured.idle_timeout)?,
        max_lifetime: limit("max_lifetime", max_lifetime, configured.max_lifetime)?,
    })
}

fn positive(name: &str, millis: i64) -> Result<Duration, Error> {
    u64::try_from(millis)
        .ok()
        .filter(|_| millis <= MAX_MILLIS)
        .map(Duration::from_millis)
        .ok_or_else(|| {
            Error::refused(
                SqlState::INVALID_PARAMETER_VALUE,
                format!("{name} is {millis}: give milliseconds, at most {MAX_MILLIS}"),
            )
        })
}

/// A required text field.
pub(super) fn required<'a>(name: &str, value: Option<&'a str>) -> Result<&'a str, Error> {
    value.filter(|value| !value.is_empty()).ok_or_else(|| {
        Error::refused(SqlState::INVALID_PARAMETER_VALUE, format!("{name} is missing or empty"))
    })
}

/// The database that is named, if one is: Go programs send an empty name for none.
pub(super) fn database(name: Option<&str>) -> Option<&str> {
    name.filter(|name| !name.is_empty())
}

/// One of a few words.
pub(super) fn choice<T: Copy>(
    name: &str,
    given: Option<&str>,
    choices: &[(&str, T)],
    default: T,
) -> Result<T, Error> {
    let Some(given) = given.filter(|given| !given.is_empty()) else { return Ok(default) };
    let found = choices.iter().find(|(word, _)| word.eq_ignore_ascii_case(given));
    found.map(|(_, value)| *value).ok_or_else(|| {
        let known = choices.iter().map(|(word, _)| format!("{word:?}")).collect::<Vec<_>>();
        let shown: String = given.chars().take(64).collect();
        Error::refused(
            SqlState::INVALID_PARAMETER_VALUE,
            format!("{name} is {shown:?}: use {}", known.join(" or ")),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_settings_are_single_and_become_text() {
        let value = |json: &str| serde_json::from_str::<SettingValue>(json).map(|value| value.0);
        for (json, text) in
            [("true", "on"), ("-7", "-7"), ("18446744073709551615", "18446744073709551615")]
        {
            assert_eq!(value(json).unwrap(), text);
        }
        assert_eq!(value("1.5").unwrap(), "1.5");
        assert_eq!(value("\"a\\u00e9\"").unwrap(), "a\u{e9}");
        for json in ["[1]", "{}", "null"] {
            let error = value(json).unwrap_err().to_string();
            assert!(error.contains("as the value of a setting"), "{error}");
        }
    }

    #[test]
    fn time_limits() {
        assert_eq!(time_limit(None).unwrap(), TimeLimit::Configured);
        assert_eq!(time_limit(Some(-1)).unwrap(), TimeLimit::None);
        assert!(time_limit(Some(-2)).is_err());
        assert!(time_limit(Some(i64::MAX)).is_err());
    }
}
