//! A map with names of the caller's own, such as settings, with PHP's habits forgiven. Names are
//! kept as they are: nothing is matched here.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::names::{Key, KeySeed, quoted};

/// Most room taken for a map before its entries have been seen.
const MAX_PREALLOCATED: usize = 64;

/// Name and value pairs in the order they came. An empty list is an empty map, a nil key is
/// skipped, and names may be strings or bytes. A name that is not UTF-8 or comes twice is an error.
#[derive(Clone, PartialEq, Eq)]
pub struct Entries<V>(pub Vec<(String, V)>);

impl<V> Default for Entries<V> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<V> fmt::Debug for Entries<V> {
    /// Names only: values may be secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}

impl<'de, V: Deserialize<'de>> Deserialize<'de> for Entries<V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(EntriesVisitor(PhantomData))
    }
}

struct EntriesVisitor<V>(PhantomData<V>);

impl<'de, V: Deserialize<'de>> Visitor<'de> for EntriesVisitor<V> {
    type Value = Entries<V>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Entries<V>, A::Error> {
        match seq.next_element::<IgnoredAny>()? {
            None => Ok(Entries::default()),
            Some(_) => Err(A::Error::custom("expected a map, got a list")),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entries<V>, A::Error> {
        let room = map.size_hint().unwrap_or(0).min(MAX_PREALLOCATED);
        let mut entries: Vec<(String, V)> = Vec::with_capacity(room);
        let mut names = std::collections::HashSet::new();
        while let Some(key) = map.next_key_seed(KeySeed)? {
            let Key::Name(name) = key else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            let name = text(name)
                .map_err(|name| A::Error::custom(format_args!("name {name} is not valid UTF-8")))?;
            if !names.insert(name.clone()) {
                let name = quoted(name.as_bytes());
                return Err(A::Error::custom(format_args!("name {name} is given twice")));
            }
            let value = map.next_value().map_err(|error| {
                let name = quoted(name.as_bytes());
                A::Error::custom(format_args!("{name}: {error}"))
            })?;
            entries.push((name, value));
        }
        Ok(Entries(entries))
    }
}

/// The name as text, or quoted for an error.
fn text(name: Cow<'_, [u8]>) -> Result<String, String> {
    String::from_utf8(name.into_owned()).map_err(|error| quoted(error.as_bytes()))
}
