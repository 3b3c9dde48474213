//! Durations in Go's notation (`100ms`, `1h30m`), as RoadRunner's configuration has them.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Longest duration that Go can hold: 2^63 - 1 nanoseconds, about 292 years.
const MAX_NANOS: u128 = i64::MAX as u128;

/// A duration that is read and written as Go's `time.Duration`; never negative.
///
/// Source: Go standard library, `time.ParseDuration` and `Duration.String`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct GoDuration(Duration);

/// Why a text is not a duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DurationError {
    /// Nothing to read.
    #[error("a duration is empty; write one like 30s, 1h30m or 0")]
    Empty,
    /// A number without its unit.
    #[error("a duration needs a unit: ns, us, ms, s, m or h, as in 30s or 1h30m")]
    MissingUnit,
    /// A unit that Go does not know.
    #[error("unknown unit in a duration; use ns, us, ms, s, m or h, as in 30s or 1h30m")]
    UnknownUnit,
    /// Neither digits nor units.
    #[error("not a duration; write one like 30s, 1h30m or 0")]
    Invalid,
    /// No setting has a use for less than nothing.
    #[error("a duration must not be negative")]
    Negative,
    /// More than Go can hold.
    #[error("a duration must be less than 292 years")]
    TooLong,
}

impl GoDuration {
    /// No time at all.
    pub const ZERO: Self = Self(Duration::ZERO);

    /// Wraps a duration; one that Go could not hold becomes the longest that it can.
    pub fn new(duration: Duration) -> Self {
        Self(duration.min(Duration::from_nanos(i64::MAX.unsigned_abs())))
    }

    /// Whole seconds.
    pub const fn from_secs(seconds: u32) -> Self {
        Self(Duration::from_secs(seconds as u64))
    }

    /// Milliseconds.
    pub const fn from_millis(millis: u32) -> Self {
        Self(Duration::from_millis(millis as u64))
    }

    /// The duration itself.
    pub const fn get(self) -> Duration {
        self.0
    }

    /// The duration as a limit, for settings that take 0 for "no limit".
    pub const fn limit(self) -> Option<Duration> {
        if self.is_zero() { None } else { Some(self.0) }
    }

    /// Whether it is 0, which many settings take for "no limit".
    pub const fn is_zero(self) -> bool {
        self.0.is_zero()
    }
}

impl From<Duration> for GoDuration {
    fn from(duration: Duration) -> Self {
        Self::new(duration)
    }
}

impl From<GoDuration> for Duration {
    fn from(duration: GoDuration) -> Self {
        duration.0
    }
}

impl FromStr for GoDuration {
    type Err = DurationError;

    fn from_str(text: &str) -> Result<Self, DurationError> {
        let (negative, mut rest) = match text.as_bytes().first() {
            None => return Err(DurationError::Empty),
            Some(b'-') => (true, text.get(1..).unwrap_or("")),
            Some(b'+') => (false, text.get(1..).unwrap_or("")),
            Some(_) => (false, text),
        };
        if rest == "0" {
            return Ok(Self::ZERO);
        }
        if rest.is_empty() {
            return Err(DurationError::Invalid);
        }
        let mut nanos: u128 = 0;
        while !rest.is_empty() {
            let (part, after) = one_part(rest)?;
            nanos += part;
            if nanos > MAX_NANOS {
                return Err(DurationError::TooLong);
            }
            rest = after;
        }
        match u64::try_from(nanos) {
            Ok(0) => Ok(Self::ZERO),
            Ok(_) if negative => Err(DurationError::Negative),
            Ok(nanos) => Ok(Self(Duration::from_nanos(nanos))),
            Err(_) => Err(DurationError::TooLong),
        }
    }
}

/// Reads one number with its unit: its nanoseconds, and what follows it.
fn one_part(text: &str) -> Result<(u128, &str), DurationError> {
    let (whole, rest) = digits(text);
    let (fraction, rest) = rest.strip_prefix('.').map_or(("", rest), digits);
    if whole.is_empty() && fraction.is_empty() {
        return Err(DurationError::Invalid);
    }
    let end = rest.find(|c: char| c == '.' || c.is_ascii_digit()).unwrap_or(rest.len());
    let (unit, rest) = rest.split_at(end);
    let unit: u128 = match unit {
        "ns" => 1,
        "us" | "\u{b5}s" | "\u{3bc}s" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        "" => return Err(DurationError::MissingUnit),
        _ => return Err(DurationError::UnknownUnit),
    };
    let whole = match whole {
        "" => 0,
        digits => digits.parse::<u64>().map_err(|_| DurationError::TooLong)?,
    };
    // Digits after the 18th are far below a nanosecond in every unit.
    let fraction = fraction.get(..18).unwrap_or(fraction);
    let scale = 10u128.pow(u32::try_from(fraction.len()).unwrap_or_default());
    let fraction = u128::from(fraction.parse::<u64>().unwrap_or_default());
    Ok((u128::from(whole) * unit + fraction * unit / scale, rest))
}

fn digits(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()))
}

/// Go's notation: `1h30m0s`, `1.5s`, `100ms`, `0s`.
impl fmt::Display for GoDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = self.0.as_nanos();
        if nanos == 0 {
            return f.write_str("0s");
        }
        for (unit, size) in [("ns", 1_000u128), ("µs", 1_000_000), ("ms", 1_000_000_000)] {
            if nanos < size {
                return f.write_str(&with_fraction(nanos, size / 1_000, unit));
            }
        }
        let seconds = nanos / 1_000_000_000;
        let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
        if hours > 0 {
            write!(f, "{hours}h")?;
        }
        if hours > 0 || minutes > 0 {
            write!(f, "{minutes}m")?;
        }
        f.write_str(&with_fraction(nanos % 60_000_000_000, 1_000_000_000, "s"))
    }
}

/// `nanos / size` as a decimal number without needless zeros.
fn with_fraction(nanos: u128, size: u128, unit: &str) -> String {
    let width = size.ilog10() as usize;
    let fraction = format!("{:0width$}", nanos % size);
    let fraction = if width == 0 { "" } else { fraction.trim_end_matches('0') };
    let point = if fraction.is_empty() { "" } else { "." };
    format!("{}{point}{fraction}{unit}", nanos / size)
}

impl fmt::Debug for GoDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for GoDuration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for GoDuration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(DurationVisitor)
    }
}

/// Takes text, and the number 0, which means the same in every unit.
struct DurationVisitor;

impl Visitor<'_> for DurationVisitor {
    type Value = GoDuration;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a duration like 30s or 1h30m")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<GoDuration, E> {
        text.trim().parse().map_err(E::custom)
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<GoDuration, E> {
        // A bare number would be nanoseconds in Go, which nobody means.
        if number == 0 { Ok(GoDuration::ZERO) } else { Err(E::custom(DurationError::MissingUnit)) }
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<GoDuration, E> {
        match u64::try_from(number) {
            Ok(number) => self.visit_u64(number),
            Err(_) => Err(E::custom(DurationError::Negative)),
        }
    }
}

impl JsonSchema for GoDuration {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Duration".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": ["string", "integer"],
            "pattern": r"^\+?(0|((\d+(\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h))+)$",
            // The number 0 needs no unit.
            "minimum": 0,
            "maximum": 0
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parsed(text: &str) -> Result<Duration, DurationError> {
        text.parse().map(GoDuration::get)
    }

    #[test]
    fn go_notation_is_read() {
        for (text, nanos) in [
            ("0", 0),
            ("+0", 0),
            ("-0", 0),
            ("0s", 0),
            ("100ms", 100_000_000),
            ("1h30m", 5_400_000_000_000),
            ("1.5h", 5_400_000_000_000),
            (".5s", 500_000_000),
            ("5.s", 5_000_000_000),
            ("1us", 1_000),
            ("1µs", 1_000),
            ("1μs", 1_000),
            ("+7ns", 7),
            ("3m2s1ms", 182_001_000_000),
            ("0.3333333333333333333h", 1_199_999_999_999),
            ("9223372036854775807ns", 9_223_372_036_854_775_807),
        ] {
            assert_eq!(parsed(text), Ok(Duration::from_nanos(nanos)), "{text}");
        }
    }

    #[test]
    fn what_go_refuses_is_refused_with_the_remedy() {
        for (text, error) in [
            ("", DurationError::Empty),
            ("30", DurationError::MissingUnit),
            ("1h30", DurationError::MissingUnit),
            ("3d", DurationError::UnknownUnit),
            ("3 s", DurationError::UnknownUnit),
            (".s", DurationError::Invalid),
            ("+", DurationError::Invalid),
            ("abc", DurationError::Invalid),
            ("-5s", DurationError::Negative),
            ("9223372036854775808ns", DurationError::TooLong),
            ("99999999999999999999999h", DurationError::TooLong),
            ("2562048h", DurationError::TooLong),
            ("2562047h47m16s999ms", DurationError::TooLong),
        ] {
            assert_eq!(parsed(text), Err(error), "{text}");
        }
    }

    #[test]
    fn it_prints_as_go_does() {
        for (nanos, text) in [
            (0, "0s"),
            (1, "1ns"),
            (1_100, "1.1µs"),
            (2_200_000, "2.2ms"),
            (100_000_000, "100ms"),
            (3_300_000_000, "3.3s"),
            (60_000_000_000, "1m0s"),
            (245_000_000_000, "4m5s"),
            (3_600_000_000_000, "1h0m0s"),
            (5_400_000_000_000, "1h30m0s"),
            (9_223_372_036_854_775_807, "2562047h47m16.854775807s"),
        ] {
            assert_eq!(GoDuration::new(Duration::from_nanos(nanos)).to_string(), text);
        }
    }

    #[test]
    fn a_bare_number_is_refused_but_zero_will_do() {
        assert_eq!(serde_json::from_str::<GoDuration>("0").unwrap(), GoDuration::ZERO);
        let error = serde_json::from_str::<GoDuration>("30").unwrap_err().to_string();
        assert!(error.contains("needs a unit"), "{error}");
    }

    proptest! {
        #[test]
        fn printing_and_reading_are_inverse(nanos in 0..=i64::MAX.unsigned_abs()) {
            let duration = GoDuration::new(Duration::from_nanos(nanos));
            prop_assert_eq!(duration.to_string().parse(), Ok(duration));
        }

        #[test]
        fn any_text_is_read_or_refused(text in r"[-+]?[0-9.µnsmhu]{0,40}|.{0,20}") {
            let _ = text.parse::<GoDuration>();
        }
    }
}
