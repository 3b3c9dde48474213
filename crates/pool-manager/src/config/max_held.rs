//! `pool.max_held`: how much of a pool may be held across statements.

use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A number of connections, or a share of the pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MaxHeld {
    /// So many connections.
    Count(u32),
    /// So many of a hundred connections, rounded down, at least one.
    Percent(u8),
}

impl MaxHeld {
    /// How many connections of a pool of `max_connections` may be held: at least 1.
    pub fn of(self, max_connections: u32) -> u32 {
        let held = match self {
            Self::Count(count) => count,
            Self::Percent(percent) => {
                let held = u64::from(max_connections) * u64::from(percent) / 100;
                u32::try_from(held).unwrap_or(u32::MAX)
            }
        };
        held.min(max_connections).max(1)
    }
}

impl Default for MaxHeld {
    fn default() -> Self {
        Self::Percent(80)
    }
}

impl fmt::Display for MaxHeld {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(count) => write!(f, "{count}"),
            Self::Percent(percent) => write!(f, "{percent}%"),
        }
    }
}

impl FromStr for MaxHeld {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        if let Some(percent) = text.strip_suffix('%') {
            return percent
                .trim_end()
                .parse()
                .ok()
                .filter(|percent| (1..=100).contains(percent))
                .map(Self::Percent)
                .ok_or("a share must be from 1% to 100%, without decimals");
        }
        text.parse()
            .ok()
            .filter(|count| *count > 0)
            .map(Self::Count)
            .ok_or("must be a number of connections, at least 1, or a share such as 80%")
    }
}

/// A count as a number, a share as text.
impl Serialize for MaxHeld {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Count(count) => serializer.serialize_u32(*count),
            Self::Percent(_) => serializer.collect_str(self),
        }
    }
}

impl<'de> Deserialize<'de> for MaxHeld {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(MaxHeldVisitor)
    }
}

struct MaxHeldVisitor;

impl Visitor<'_> for MaxHeldVisitor {
    type Value = MaxHeld;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number of connections or a share such as 80%")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<MaxHeld, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_u64<E: de::Error>(self, count: u64) -> Result<MaxHeld, E> {
        self.visit_str(&count.to_string())
    }

    fn visit_i64<E: de::Error>(self, count: i64) -> Result<MaxHeld, E> {
        self.visit_str(&count.to_string())
    }
}

impl JsonSchema for MaxHeld {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "MaxHeld".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": ["string", "integer"],
            "pattern": "^([1-9][0-9]*|([1-9][0-9]?|100)%)$",
            "minimum": 1
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_rounded_down_and_at_least_one() {
        for (text, pool, held) in [
            ("80%", 25, 20),
            ("80%", 4, 3),
            ("80%", 1, 1),
            ("1%", 25, 1),
            ("100%", 25, 25),
            ("3", 25, 3),
            ("30", 25, 25),
        ] {
            let max_held: MaxHeld = text.parse().unwrap();
            assert_eq!(max_held.of(pool), held, "{text} of {pool}");
        }
    }

    #[test]
    fn a_count_comes_as_number_or_text() {
        assert_eq!(serde_json::from_str::<MaxHeld>("7").unwrap(), MaxHeld::Count(7));
        assert_eq!(serde_json::from_str::<MaxHeld>("\"7\"").unwrap(), MaxHeld::Count(7));
        assert_eq!(serde_json::from_str::<MaxHeld>("\"50%\"").unwrap(), MaxHeld::Percent(50));
    }

    #[test]
    fn nothing_at_all_is_refused() {
        for text in ["0", "0%", "101%", "-1", "12.5%", "", "%", "many", "99999999999"] {
            assert!(text.parse::<MaxHeld>().is_err(), "{text}");
        }
    }
}
