//! Reads a map into a request type, field by field. How names are compared is `names`' job.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::Deserializer;
use serde::de::{Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::RequestFields;
use super::names::{Key, KeySeed, find, quoted, unknown};

/// Reads a request type. A self-describing format is needed: JSON and MessagePack are.
///
/// # Errors
/// Unknown and repeated fields, and values that do not fit; each names its field.
pub fn deserialize<'de, T, D>(deserializer: D) -> Result<T, D::Error>
where
    T: RequestFields,
    D: Deserializer<'de>,
{
    deserializer.deserialize_any(RequestVisitor(PhantomData))
}

struct RequestVisitor<T>(PhantomData<T>);

impl<'de, T: RequestFields> Visitor<'de> for RequestVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map of fields")
    }

    fn visit_unit<E>(self) -> Result<T, E> {
        Ok(T::default())
    }

    fn visit_none<E>(self) -> Result<T, E> {
        Ok(T::default())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<T, A::Error> {
        match seq.next_element::<IgnoredAny>()? {
            None => Ok(T::default()),
            Some(_) => Err(A::Error::custom("expected a map of fields, got a list")),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<T, A::Error> {
        let mut request = T::default();
        let mut given = Given::default();
        while let Some(key) = map.next_key_seed(KeySeed)? {
            let Key::Name(name) = key else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            let index =
                find(&name, T::NAMES).ok_or_else(|| A::Error::custom(unknown(&name, T::NAMES)))?;
            let known = T::NAMES.get(index).copied().unwrap_or_default();
            given.note(index, known, name).map_err(A::Error::custom)?;
            request
                .read_field(index, &mut map)
                .map_err(|error| A::Error::custom(format_args!("field \"{known}\": {error}")))?;
        }
        Ok(request)
    }
}

/// Which fields came, and how they were spelt when not as declared. Nothing is allocated while
/// everything is spelt as declared.
#[derive(Default)]
struct Given<'de> {
    bits: u64,
    spellings: Vec<(usize, Cow<'de, [u8]>)>,
}

impl<'de> Given<'de> {
    /// Notes a field, or says that it is there already.
    fn note(&mut self, index: usize, known: &str, name: Cow<'de, [u8]>) -> Result<(), String> {
        let bit = u32::try_from(index).ok().and_then(|shift| 1_u64.checked_shl(shift)).unwrap_or(0);
        if self.bits & bit != 0 {
            let first = self.spellings.iter().find(|(at, _)| *at == index);
            let first = first.map_or(known.as_bytes(), |(_, spelling)| spelling);
            let (first, second) = (quoted(first), quoted(&name));
            return Err(format!("field \"{known}\" is given twice ({first} and {second})"));
        }
        self.bits |= bit;
        if *name != *known.as_bytes() {
            self.spellings.push((index, name));
        }
        Ok(())
    }
}
