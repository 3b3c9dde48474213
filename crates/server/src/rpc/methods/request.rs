//! What requests have in common: the values of settings, time limits, expiry.

use std::time::Duration;

use goridge_framing::fields::Entries;
use pool_manager::{Error, HeldLimits, Settings, SqlState, TimeLimit};
use serde::Deserialize;

/// Longest time that a request may ask for, milliseconds: 24 days, as PostgreSQL's own timeouts.
const MAX_MILLIS: i64 = i32::MAX as i64;

/// Value of a setting: PostgreSQL's parameters are text, PHP's arrays hold anything.
#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum SettingValue {
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
}

impl SettingValue {
    fn into_text(self) -> String {
        match self {
            Self::Bool(value) => if value { "on" } else { "off" }.to_owned(),
            Self::Int(value) => value.to_string(),
            Self::Float(value) => value.to_string(),
            Self::Text(value) => value,
        }
    }
}

/// The settings of a request.
pub(super) fn settings(given: Option<Entries<SettingValue>>) -> Result<Settings, Error> {
    let Some(Entries(pairs)) = given else { return Ok(Settings::default()) };
    let pairs = pairs.into_iter().map(|(name, value)| (name, value.into_text()));
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
