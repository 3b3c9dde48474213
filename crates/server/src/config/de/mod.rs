//! Tree to typed settings, as weakly typed as RoadRunner: text may stand for numbers and booleans,
//! numbers for text, `a,b` for a list. Keys that no type knows are errors.
//!
//! Errors remember the path to where they happened, and never repeat a secret.

mod error;

use serde::de::value::{SeqDeserializer, StrDeserializer};
use serde::de::{self, DeserializeOwned, DeserializeSeed, IntoDeserializer, Visitor};

pub(crate) use error::DeError;

use super::tree::{Node, Scalar, Value};

/// Reads a typed value from a tree.
pub(crate) fn from_node<T: DeserializeOwned>(node: &Node) -> Result<T, DeError> {
    T::deserialize(NodeDeserializer(node)).map_err(|error| error.at(node))
}

/// Presents a node to serde.
#[derive(Clone, Copy)]
struct NodeDeserializer<'n>(&'n Node);

impl<'de> IntoDeserializer<'de, DeError> for NodeDeserializer<'_> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

impl NodeDeserializer<'_> {
    /// The text of a scalar, else an error that says what would have done.
    fn text(&self, expected: &str) -> Result<&str, DeError> {
        match &self.0.value {
            Value::Scalar(scalar) => Ok(&scalar.text),
            Value::Null => Err(DeError::new(format!("is empty; it must be {expected}"))),
            Value::List(_) => Err(DeError::new(format!("is a list; it must be {expected}"))),
            Value::Map(_) => Err(DeError::new(format!("is a section; it must be {expected}"))),
        }
    }

    /// A boolean in any spelling that Go's `strconv.ParseBool` takes.
    fn boolean(&self) -> Result<bool, DeError> {
        match self.text("true or false")?.trim() {
            "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
            "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
            _ => Err(DeError::new("must be true or false")),
        }
    }

    /// A section; one with nothing in it has every default.
    fn entries(&self) -> Result<&[(String, Node)], DeError> {
        match &self.0.value {
            Value::Null => Ok(&[]),
            Value::Map(entries) => Ok(entries),
            Value::Scalar(_) | Value::List(_) => {
                Err(DeError::new("must be a section: keys with values, indented below it"))
            }
        }
    }
}

/// A plain decimal integer, as both YAML and Go read it; a leading 0 would mean octal to one.
fn integer<T: std::str::FromStr>(text: &str) -> Option<T> {
    let text = text.trim();
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
    let leading_zero = digits.len() > 1 && digits.starts_with('0');
    if plain && !leading_zero { text.parse().ok() } else { None }
}

macro_rules! deserialize_integers {
    ($($method:ident $visit:ident $type:ty),* $(,)?) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DeError> {
            let range = error::range(<$type>::MIN, <$type>::MAX);
            let expected = format!("a whole number {range}");
            let text = self.text(&expected).map_err(|error| error.of_range(&range))?;
            match integer::<$type>(text) {
                Some(number) => visitor.$visit(number),
                None => Err(DeError::new(format!("must be {expected}")).of_range(&range)),
            }
        }
    )*};
}

impl<'de> de::Deserializer<'de> for NodeDeserializer<'_> {
    type Error = DeError;

    /// For types that take several kinds of value: quoted text stays text.
    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DeError> {
        match &self.0.value {
            Value::Null => visitor.visit_unit(),
            Value::Map(_) => self.deserialize_map(visitor),
            Value::List(_) => self.deserialize_seq(visitor),
            Value::Scalar(Scalar { text, plain: true, .. }) => {
                if let Some(number) = integer::<u64>(text) {
                    return visitor.visit_u64(number);
                }
                if let Some(number) = integer::<i64>(text) {
                    return visitor.visit_i64(number);
                }
                match text.as_str() {
                    "true" | "True" | "TRUE" => visitor.visit_bool(true),
                    "false" | "False" | "FALSE" => visitor.visit_bool(false),
                    text => visitor.visit_str(text),
                }
            }
            Value::Scalar(scalar) => visitor.visit_str(&scalar.text),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DeError> {
        visitor.visit_bool(self.boolean()?)
    }

    deserialize_integers!(
        deserialize_u8 visit_u8 u8,
        deserialize_u16 visit_u16 u16,
        deserialize_u32 visit_u32 u32,
        deserialize_u64 visit_u64 u64,
        deserialize_i8 visit_i8 i8,
        deserialize_i16 visit_i16 i16,
        deserialize_i32 visit_i32 i32,
        deserialize_i64 visit_i64 i64,
    );

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DeError> {
        self.deserialize_f64(visitor)
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DeError> {
        match self.text("a number")?.trim().parse() {
            Ok(number) => visitor.visit_f64(number),
            Err(_) => Err(DeError::new("must be a number")),
        }
    }

    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DeError> {
        self.deserialize_str(visitor)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DeError> {
        visitor.visit_str(self.text("a text")?)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DeError> {
        self.deserialize_str(visitor)
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DeError> {
        self.deserialize_str(visitor)
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DeError> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DeError> {
        match self.0.value {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DeError> {
        visitor.visit_unit()
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, DeError> {
        visitor.visit_unit()
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, DeError> {
        visitor.visit_newtype_struct(self)
    }

    /// A list, or a text with its items separated by commas.
    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DeError> {
        match &self.0.value {
            Value::List(items) => visitor.visit_seq(Items { rest: items.iter().enumerate() }),
            Value::Scalar(scalar) => {
                let items = scalar.text.split(',').map(str::trim).filter(|item| !item.is_empty());
                visitor.visit_seq(SeqDeserializer::<_, DeError>::new(items))
            }
            Value::Null => visitor.visit_seq(Items { rest: [].iter().enumerate() }),
            Value::Map(_) => Err(DeError::new("must be a list: lines that start with \"- \"")),
        }
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, DeError> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, DeError> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DeError> {
        visitor.visit_map(Entries { rest: self.entries()?.iter(), value: None, fields: None })
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DeError> {
        let rest = self.entries()?.iter();
        visitor.visit_map(Entries { rest, value: None, fields: Some(fields) })
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DeError> {
        let expected = format!("one of {}", variants.join(", "));
        visitor.visit_enum(StrDeserializer::<DeError>::new(self.text(&expected)?.trim()))
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DeError> {
        self.deserialize_str(visitor)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DeError> {
        visitor.visit_unit()
    }
}

/// The entries of a section.
struct Entries<'n> {
    rest: std::slice::Iter<'n, (String, Node)>,
    value: Option<&'n (String, Node)>,
    /// The fields of the type that is read, when it has a fixed set of them.
    fields: Option<&'static [&'static str]>,
}

impl Entries<'_> {
    /// Whether the last entry is a known key with nothing behind it, which leaves the default.
    fn is_left_out(&self) -> bool {
        self.value.zip(self.fields).is_some_and(|((key, node), fields)| {
            matches!(node.value, Value::Null) && fields.contains(&key.as_str())
        })
    }
}

impl<'de> de::MapAccess<'de> for Entries<'_> {
    type Error = DeError;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, DeError> {
        self.value = self.rest.next();
        while self.is_left_out() {
            self.value = self.rest.next();
        }
        let Some((key, node)) = self.value else { return Ok(None) };
        match seed.deserialize(StrDeserializer::<DeError>::new(key)) {
            Ok(key) => Ok(Some(key)),
            // The error names the key by itself.
            Err(error) => Err(error.at_place(&node.place)),
        }
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, DeError> {
        let Some((key, node)) = self.value else {
            return Err(DeError::new("a value was asked for before its key"));
        };
        seed.deserialize(NodeDeserializer(node)).map_err(|error| error.under_key(key, node))
    }
}

/// The items of a list.
struct Items<'n> {
    rest: std::iter::Enumerate<std::slice::Iter<'n, Node>>,
}

impl<'de> de::SeqAccess<'de> for Items<'_> {
    type Error = DeError;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, DeError> {
        let Some((index, node)) = self.rest.next() else { return Ok(None) };
        seed.deserialize(NodeDeserializer(node))
            .map(Some)
            .map_err(|error| error.under_index(index, node))
    }
}
