//! Reading arguments from a request: any codec, bounded in depth and number.

use std::cell::Cell;
use std::fmt;

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::arg::Arg;

/// How deep lists and maps may be nested in one argument.
pub const MAX_ARG_DEPTH: usize = 64;
/// Values that the arguments of one request may hold, those in lists and maps included: in memory a
/// value takes many times the byte that it may take in a request.
pub const MAX_ARG_VALUES: usize = 4 * 1024 * 1024;
/// What an entry of a map costs of them: its key has a place of its own.
const MAP_ENTRY: usize = 3;
/// Elements that a list makes room for before it has seen them: its announced length is not
/// to be trusted.
const MAX_PREALLOCATED: usize = 256;
/// The key that marks binary data where the codec has no such type: `{"$bytea": "<base64>"}`.
const BINARY_KEY: &str = "$bytea";

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

impl<'de> Deserialize<'de> for Arg {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Seed::new(&Cell::new(MAX_ARG_VALUES)).deserialize(deserializer)
    }
}

/// The positional arguments of a request: a list, of [`MAX_ARG_VALUES`] values at most in all.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Args(pub Vec<Arg>);

impl<'de> Deserialize<'de> for Args {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(ArgsVisitor)
    }
}

impl Args {
    /// How many values they hold, those in lists and maps included.
    #[must_use]
    pub fn values(&self) -> usize {
        self.0.iter().map(values_of).sum()
    }
}

fn values_of(arg: &Arg) -> usize {
    1 + match arg {
        Arg::List(items) => items.iter().map(values_of).sum::<usize>(),
        Arg::Map(entries) => {
            entries.iter().map(|(_, value)| MAP_ENTRY - 1 + values_of(value)).sum()
        }
        _ => 0,
    }
}

struct ArgsVisitor;

impl<'de> Visitor<'de> for ArgsVisitor {
    type Value = Args;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of arguments")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Args, A::Error> {
        items(seq, Seed::new(&Cell::new(MAX_ARG_VALUES))).map(Args)
    }
}

/// Reads the elements of a list.
fn items<'de, A: SeqAccess<'de>>(mut seq: A, seed: Seed<'_>) -> Result<Vec<Arg>, A::Error> {
    let room = seq.size_hint().unwrap_or(0).min(MAX_PREALLOCATED);
    let mut items = Vec::with_capacity(room);
    while let Some(item) = seq.next_element_seed(seed)? {
        seed.spend(1)?;
        items.push(item);
    }
    Ok(items)
}

/// Reads one value, `levels` deep at most.
#[derive(Clone, Copy)]
struct Seed<'a> {
    levels: usize,
    in_map: bool,
    /// Values that may still come.
    left: &'a Cell<usize>,
}

impl<'a> Seed<'a> {
    fn new(left: &'a Cell<usize>) -> Self {
        Self { levels: MAX_ARG_DEPTH, in_map: false, left }
    }

    fn spend<E: Error>(self, values: usize) -> Result<(), E> {
        let left = self.left.get().checked_sub(values).ok_or_else(|| {
            E::custom(format_args!("the arguments hold more than {MAX_ARG_VALUES} values"))
        })?;
        self.left.set(left);
        Ok(())
    }

    fn below<E: Error>(self, in_map: bool) -> Result<Self, E> {
        match self.levels.checked_sub(1) {
            Some(levels) => Ok(Self { levels, in_map: self.in_map || in_map, ..self }),
            None => Err(E::custom(format_args!(
                "an argument is nested more than {MAX_ARG_DEPTH} levels deep"
            ))),
        }
    }
}

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Arg;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Arg, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Arg;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("null, a boolean, a number, a string, binary data, a list or a map")
    }

    fn visit_unit<E: Error>(self) -> Result<Arg, E> {
        Ok(Arg::Null)
    }

    fn visit_none<E: Error>(self) -> Result<Arg, E> {
        Ok(Arg::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Arg, D::Error> {
        self.deserialize(deserializer)
    }

    fn visit_bool<E: Error>(self, v: bool) -> Result<Arg, E> {
        Ok(v.into())
    }

    fn visit_i64<E: Error>(self, v: i64) -> Result<Arg, E> {
        Ok(v.into())
    }

    fn visit_u64<E: Error>(self, v: u64) -> Result<Arg, E> {
        Ok(v.into())
    }

    fn visit_f32<E: Error>(self, v: f32) -> Result<Arg, E> {
        Ok(v.into())
    }

    fn visit_f64<E: Error>(self, v: f64) -> Result<Arg, E> {
        Ok(v.into())
    }

    fn visit_str<E: Error>(self, v: &str) -> Result<Arg, E> {
        Ok(v.into())
    }

    fn visit_string<E: Error>(self, v: String) -> Result<Arg, E> {
        Ok(v.into())
    }

    // rmp-serde also comes here with strings that are not UTF-8.
    fn visit_bytes<E: Error>(self, v: &[u8]) -> Result<Arg, E> {
        Ok(v.into())
    }

    fn visit_byte_buf<E: Error>(self, v: Vec<u8>) -> Result<Arg, E> {
        Ok(v.into())
    }

    // What rmp-serde makes of an extension type.
    fn visit_newtype_struct<D: Deserializer<'de>>(self, _: D) -> Result<Arg, D::Error> {
        Err(D::Error::custom("MessagePack extension types cannot be arguments"))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Arg, A::Error> {
        items(seq, self.below(false)?).map(Arg::List)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Arg, A::Error> {
        let seed = self.below(true)?;
        let room = map.size_hint().unwrap_or(0).min(MAX_PREALLOCATED);
        let mut entries = Vec::with_capacity(room);
        while let Some(key) = map.next_key::<Key>()? {
            let value = map.next_value_seed(seed)?;
            seed.spend(MAP_ENTRY)?;
            if let Key(Some(key)) = key {
                entries.push((key, value));
            }
        }
        match entries.as_mut_slice() {
            [(key, value)] if !self.in_map && key == BINARY_KEY => {
                binary(std::mem::replace(value, Arg::Null))
            }
            _ => Ok(Arg::Map(entries)),
        }
    }
}

/// The value of [`BINARY_KEY`].
fn binary<E: Error>(value: Arg) -> Result<Arg, E> {
    match value {
        Arg::Text(text) => match BASE64.decode(text) {
            Ok(bytes) => Ok(Arg::Binary(bytes)),
            // The decoder's own error quotes a byte of the value.
            Err(_) => Err(E::custom(format_args!("{BINARY_KEY:?} does not hold valid base64"))),
        },
        Arg::Binary(_) | Arg::Null => Ok(value),
        other => Err(E::custom(format_args!("{BINARY_KEY:?} holds {}, not base64", other.kind()))),
    }
}

/// A map's key; `None` is a nil key.
struct Key(Option<String>);

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(KeyVisitor)
    }
}

struct KeyVisitor;

impl<'de> Visitor<'de> for KeyVisitor {
    type Value = Key;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string or an integer as the key of a map")
    }

    fn visit_str<E: Error>(self, v: &str) -> Result<Key, E> {
        Ok(Key(Some(v.to_owned())))
    }

    fn visit_string<E: Error>(self, v: String) -> Result<Key, E> {
        Ok(Key(Some(v)))
    }

    fn visit_i64<E: Error>(self, v: i64) -> Result<Key, E> {
        Ok(Key(Some(v.to_string())))
    }

    fn visit_u64<E: Error>(self, v: u64) -> Result<Key, E> {
        Ok(Key(Some(v.to_string())))
    }

    fn visit_unit<E: Error>(self) -> Result<Key, E> {
        Ok(Key(None))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(text: &str) -> Result<Arg, String> {
        serde_json::from_str(text).map_err(|e| e.to_string())
    }

    fn msgpack(bytes: &[u8]) -> Result<Arg, String> {
        rmp_serde::from_slice(bytes).map_err(|e| e.to_string())
    }

    #[test]
    fn json_values_are_read() {
        let arg = json(r#"[null,true,-1,18446744073709551615,1.5,"a",{"k":[]}]"#).unwrap();
        let map = Arg::Map(vec![("k".to_owned(), Arg::List(Vec::new()))]);
        let items = [Arg::Null, true.into(), Arg::Int(-1), Arg::UInt(u64::MAX), 1.5.into()];
        assert_eq!(arg, Arg::List([&items[..], &["a".into(), map]].concat()));
    }

    #[test]
    fn marked_base64_is_binary_but_not_inside_documents() {
        assert_eq!(json(r#"{"$bytea":"/wA="}"#), Ok(Arg::Binary(vec![255, 0])));
        assert_eq!(json(r#"{"$bytea":"/wA"}"#), Ok(Arg::Binary(vec![255, 0])));
        assert_eq!(json(r#"[{"$bytea":""}]"#), Ok(Arg::List(vec![Arg::Binary(Vec::new())])));
        assert_eq!(json(r#"{"$bytea":null}"#), Ok(Arg::Null));
        assert!(matches!(json(r#"{"$bytea":"/wA=","b":1}"#), Ok(Arg::Map(m)) if m.len() == 2));
        let Ok(Arg::Map(document)) = json(r#"{"doc":{"$bytea":"x"}}"#) else { panic!() };
        assert!(matches!(document.first(), Some((_, Arg::Map(_)))));
    }

    #[test]
    fn wrong_base64_is_refused_without_showing_it() {
        let error = json(r#"{"$bytea":"geheim!"}"#).unwrap_err();
        assert!(error.contains("\"$bytea\" does not hold valid base64"), "{error}");
        assert!(!error.contains('!'), "{error}");
        let error = json(r#"{"$bytea":[1]}"#).unwrap_err();
        assert!(error.contains("\"$bytea\" holds a list, not base64"), "{error}");
    }

    #[test]
    fn msgpack_values_are_read() {
        assert_eq!(msgpack(b"\xc0"), Ok(Arg::Null));
        assert_eq!(msgpack(b"\xc4\x02\xff\x00"), Ok(Arg::Binary(vec![255, 0])));
        assert_eq!(msgpack(b"\xa2\xc3\xa9"), Ok("\u{e9}".into()));
        // ext-msgpack sends binary strings as str.
        assert_eq!(msgpack(b"\xa1\xff"), Ok(Arg::Binary(vec![255])));
        assert_eq!(msgpack(b"\xcf\xff\xff\xff\xff\xff\xff\xff\xff"), Ok(Arg::UInt(u64::MAX)));
        assert_eq!(msgpack(b"\xca\x3d\xcc\xcc\xcd"), Ok(Arg::Float(0.1)));
        assert_eq!(msgpack(b"\x81\xa6$bytea\xa4/wA="), Ok(Arg::Binary(vec![255, 0])));
    }

    #[test]
    fn php_maps_are_read() {
        // [1 => 'a'] and (object) ['a' => 1], as ext-msgpack packs them.
        assert_eq!(msgpack(b"\x81\x01\xa1a"), Ok(Arg::Map(vec![("1".to_owned(), "a".into())])));
        let object = b"\x82\xc0\xa8stdClass\xa1a\x01";
        assert_eq!(msgpack(object), Ok(Arg::Map(vec![("a".to_owned(), Arg::Int(1))])));
        assert!(msgpack(b"\x81\xc3\x01").is_err(), "true as a key");
    }

    #[test]
    fn extension_types_are_refused() {
        let error = msgpack(b"\xd4\x01\x00").unwrap_err();
        assert!(error.contains("extension types"), "{error}");
        assert!(msgpack(b"\x91\xd6\xff\x00\x00\x00\x00").is_err());
    }

    #[test]
    fn nesting_is_bounded() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(json(&nested(MAX_ARG_DEPTH)).is_ok());
        let error = json(&nested(MAX_ARG_DEPTH + 1)).unwrap_err();
        assert!(error.contains("nested more than 64 levels"), "{error}");
        assert!(msgpack(&[0x91; 100_000]).is_err());
        assert!(msgpack(&[0x81; 100_000]).is_err());
    }

    #[test]
    fn the_number_of_values_is_bounded() {
        let nulls = |count: usize| {
            let mut bytes = vec![0xdd];
            bytes.extend_from_slice(&u32::try_from(count).unwrap().to_be_bytes());
            bytes.resize(5 + count, 0xc0);
            bytes
        };
        let args = |bytes: &[u8]| rmp_serde::from_slice::<Args>(bytes).map_err(|e| e.to_string());
        assert_eq!(args(&nulls(MAX_ARG_VALUES)).map(|args| args.0.len()), Ok(MAX_ARG_VALUES));
        let error = args(&nulls(MAX_ARG_VALUES + 1)).unwrap_err();
        assert!(error.contains("more than 4194304 values"), "{error}");
        // Over all arguments together.
        let two = [&[0x92][..], &nulls(MAX_ARG_VALUES / 2), &nulls(MAX_ARG_VALUES / 2)].concat();
        assert!(args(&two).is_err());
        assert!(msgpack(&nulls(MAX_ARG_VALUES + 1)).is_err());
    }

    #[test]
    fn an_announced_length_is_not_believed() {
        assert!(msgpack(b"\xdd\xff\xff\xff\xff\x01").is_err());
        assert!(msgpack(b"\xdf\xff\xff\xff\xff\x01").is_err());
    }

    #[test]
    fn debug_shows_no_value() {
        let args = json(r#"[null,true,7,1.5,"geheim",["geheim"],{"geheim":1}]"#).unwrap();
        let Arg::List(args) = args else { panic!() };
        let shown = format!("{args:?} {:?}", Arg::Binary(b"geheim".to_vec()));
        assert!(!shown.contains("geheim") && !shown.contains("1.5"), "{shown}");
        assert!(shown.contains("a string of 6 bytes"), "{shown}");
    }
}
