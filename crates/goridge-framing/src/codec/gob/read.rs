//! Gob to JSON. Structs become maps by their Go field names; binary data and strings that are no
//! UTF-8 become `{"$bytea": "<base64>"}`.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use super::builtin;
use crate::codec::MAX_DEPTH;

/// Types that one body may define.
const MAX_TYPES: usize = 1000;
/// Values that one body may hold: in memory each takes many times the byte that it may take there.
const MAX_VALUES: usize = 4 * 1024 * 1024;
/// Longest name of a field, bytes, and most fields of all types together.
const MAX_NAME: usize = 256;
const MAX_FIELDS: usize = 10_000;
/// What a value costs of [`MAX_VALUES`] for each so many bytes of its field's name.
const NAME_UNIT: usize = 16;
/// Elements that a list makes room for before it has seen them.
const MAX_PREALLOCATED: usize = 256;

type Result<T> = std::result::Result<T, String>;

/// A type that the body has defined.
#[derive(Clone)]
enum Type {
    List(i64),
    Map {
        key: i64,
        value: i64,
    },
    Struct(std::rc::Rc<[(String, i64)]>),
    /// Encodes itself in a way of its own.
    Opaque(String),
}

/// Reads the one value of a body.
pub(in crate::codec) fn to_json(body: &[u8]) -> Result<Value> {
    let mut decoder = Decoder {
        types: HashMap::new(),
        values_left: MAX_VALUES,
        fields_left: MAX_FIELDS,
        stream: Reader(body),
    };
    while !decoder.stream.0.is_empty() {
        let mut message = decoder.message()?;
        let id = message.int()?;
        if id < 0 {
            decoder.define(id, &mut message)?;
        } else {
            let value = decoder.top_level(id, &mut message, 0)?;
            if !message.0.is_empty() || !decoder.stream.0.is_empty() {
                return Err("trailing bytes after the value".to_owned());
            }
            return Ok(value);
        }
        if !message.0.is_empty() {
            return Err("trailing bytes after a type".to_owned());
        }
    }
    // Go's zero value.
    Ok(Value::Object(Map::new()))
}

struct Decoder<'a> {
    types: HashMap<i64, Type>,
    values_left: usize,
    fields_left: usize,
    /// Messages that have not been begun.
    stream: Reader<'a>,
}

impl<'a> Decoder<'a> {
    fn spend(&mut self, values: usize) -> Result<()> {
        let left = self.values_left.checked_sub(values);
        self.values_left = left.ok_or_else(|| format!("it holds more than {MAX_VALUES} values"))?;
        Ok(())
    }

    fn message(&mut self) -> Result<Reader<'a>> {
        let len = self.stream.len()?;
        self.stream.take(len).map(Reader)
    }

    /// Reads the definition of the type that `id` is the negative of.
    fn define(&mut self, id: i64, message: &mut Reader<'_>) -> Result<()> {
        let mut defined = None;
        message.fields(|message, number| {
            defined = Some(match number {
                0 | 1 => Type::List(message.definition()?.1),
                2 => {
                    let fields = message.struct_definition(self.fields_left)?;
                    self.fields_left -= fields.len().min(self.fields_left);
                    Type::Struct(fields.into())
                }
                3 => {
                    let (_, key, value) = message.definition()?;
                    Type::Map { key, value }
                }
                4..=6 => Type::Opaque(message.definition()?.0),
                _ => return Err("an unknown kind of type".to_owned()),
            });
            Ok(())
        })?;
        let defined = match defined {
            // The element of an array or slice stands where the key of a map does.
            Some(defined) => defined,
            None => return Err("a type without a definition".to_owned()),
        };
        if self.types.len() >= MAX_TYPES {
            return Err(format!("more than {MAX_TYPES} types"));
        }
        let id = id.checked_neg().ok_or("an impossible type")?;
        self.types.insert(id, defined);
        Ok(())
    }

    /// A value that stands by itself: all but structs have a zero in front.
    fn top_level(&mut self, id: i64, message: &mut Reader<'a>, depth: usize) -> Result<Value> {
        let is_struct = matches!(self.types.get(&id), Some(Type::Struct(_)));
        if !is_struct && message.uint()? != 0 {
            return Err("a value that begins in the middle".to_owned());
        }
        self.value(id, message, depth)
    }

    fn value(&mut self, id: i64, message: &mut Reader<'a>, depth: usize) -> Result<Value> {
        self.spend(1)?;
        if depth > MAX_DEPTH {
            return Err("nested too deep".to_owned());
        }
        Ok(match id {
            builtin::BOOL => Value::Bool(message.uint()? != 0),
            builtin::INT => message.int()?.into(),
            builtin::UINT => message.uint()?.into(),
            builtin::FLOAT => float(f64::from_bits(message.uint()?.swap_bytes())),
            builtin::BYTES => binary(message.bytes()?),
            builtin::STRING => match message.bytes()? {
                bytes if std::str::from_utf8(bytes).is_err() => binary(bytes),
                bytes => String::from_utf8_lossy(bytes).into_owned().into(),
            },
            builtin::INTERFACE => self.interface(message, depth + 1)?,
            own => match self.types.get(&own).cloned() {
                Some(Type::List(element)) => self.list(element, message, depth + 1)?,
                Some(Type::Map { key, value }) => self.map(key, value, message, depth + 1)?,
                Some(Type::Struct(fields)) => self.fields(&fields, message, depth + 1)?,
                Some(Type::Opaque(name)) => {
                    return Err(format!("a {name:?} encodes itself; send it as a string"));
                }
                None => return Err(format!("type {own} is not defined, or not supported")),
            },
        })
    }

    fn list(&mut self, element: i64, message: &mut Reader<'a>, depth: usize) -> Result<Value> {
        let count = message.count()?;
        let mut items = Vec::with_capacity(count.min(MAX_PREALLOCATED));
        for _ in 0..count {
            items.push(self.value(element, message, depth)?);
        }
        Ok(Value::Array(items))
    }

    fn map(
        &mut self,
        key: i64,
        value: i64,
        message: &mut Reader<'a>,
        depth: usize,
    ) -> Result<Value> {
        let mut map = Map::new();
        for _ in 0..message.count()? {
            let key = match self.value(key, message, depth)? {
                Value::String(text) => text,
                Value::Number(number) => number.to_string(),
                Value::Bool(truth) => truth.to_string(),
                _ => return Err("a key of a map is no string or number".to_owned()),
            };
            map.insert(key, self.value(value, message, depth)?);
        }
        Ok(Value::Object(map))
    }

    fn fields(
        &mut self,
        fields: &[(String, i64)],
        message: &mut Reader<'a>,
        depth: usize,
    ) -> Result<Value> {
        let mut map = Map::new();
        message.fields(|message, number| {
            let (name, id) = fields.get(number).ok_or("a field that its type does not have")?;
            self.spend(name.len() / NAME_UNIT)?;
            map.insert(name.clone(), self.value(*id, message, depth)?);
            Ok(())
        })?;
        Ok(Value::Object(map))
    }

    /// The name of a type, its id, a length and the value by itself. The definition of a type that
    /// was not known yet stands where it is first needed, and ends the message: what follows is in
    /// the next one, or within a value behind another length.
    fn interface(&mut self, message: &mut Reader<'a>, depth: usize) -> Result<Value> {
        if message.bytes()?.is_empty() {
            return Ok(Value::Null);
        }
        let id = loop {
            if message.0.is_empty() {
                *message = self.message()?;
            }
            let id = message.int()?;
            if id >= 0 {
                break id;
            }
            self.define(id, message)?;
            if !message.0.is_empty() {
                message.uint()?;
            }
        };
        // Not to be relied upon: it ends at the first definition within the value.
        message.uint()?;
        self.top_level(id, message, depth)
    }
}

/// JSON has no such numbers; PostgreSQL reads these names.
fn float(value: f64) -> Value {
    if value.is_finite() {
        return value.into();
    }
    let name = if value.is_nan() {
        "NaN"
    } else if value > 0.0 {
        "Infinity"
    } else {
        "-Infinity"
    };
    name.into()
}

fn binary(bytes: &[u8]) -> Value {
    Value::Object(Map::from_iter([("$bytea".to_owned(), STANDARD.encode(bytes).into())]))
}

/// What is left of the bytes.
struct Reader<'a>(&'a [u8]);

const SHORT: &str = "the body ends too early";

impl<'a> Reader<'a> {
    fn take(&mut self, len: usize) -> Result<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(len).ok_or(SHORT)?;
        self.0 = rest;
        Ok(taken)
    }

    /// One byte below 128, or the negated count of the bytes that follow, most significant first.
    fn uint(&mut self) -> Result<u64> {
        let [first] = self.take(1)? else { return Err(SHORT.to_owned()) };
        if *first < 128 {
            return Ok(u64::from(*first));
        }
        let count = usize::from(first.wrapping_neg());
        if count > 8 {
            return Err("a number of more than eight bytes".to_owned());
        }
        let bytes = self.take(count)?;
        Ok(bytes.iter().fold(0, |value, byte| value << 8 | u64::from(*byte)))
    }

    /// The sign in the lowest bit; a negative number complemented.
    fn int(&mut self) -> Result<i64> {
        let bits = self.uint()?;
        let value = (bits >> 1).cast_signed();
        Ok(if bits & 1 == 1 { !value } else { value })
    }

    fn len(&mut self) -> Result<usize> {
        usize::try_from(self.uint()?).map_err(|_| SHORT.to_owned())
    }

    /// How many elements follow, each of which takes a byte at least.
    fn count(&mut self) -> Result<usize> {
        let count = self.len()?;
        if count <= self.0.len() { Ok(count) } else { Err(SHORT.to_owned()) }
    }

    fn bytes(&mut self) -> Result<&'a [u8]> {
        let len = self.len()?;
        self.take(len)
    }

    fn text(&mut self) -> Result<String> {
        Ok(String::from_utf8_lossy(self.bytes()?).into_owned())
    }

    /// The fields of a struct: each is preceded by its distance from the one before, and a zero
    /// ends them.
    fn fields(&mut self, mut field: impl FnMut(&mut Self, usize) -> Result<()>) -> Result<()> {
        let mut next = 0_usize;
        loop {
            let delta = self.len()?;
            if delta == 0 {
                return Ok(());
            }
            let number = next.checked_add(delta - 1).ok_or("an impossible field")?;
            field(self, number)?;
            next = number.checked_add(1).ok_or("an impossible field")?;
        }
    }

    /// The definition of anything but a struct: name, and up to two types or numbers.
    fn definition(&mut self) -> Result<(String, i64, i64)> {
        let (mut name, mut first, mut second) = (String::new(), 0, 0);
        self.fields(|reader, number| {
            match number {
                0 => name = reader.common()?,
                1 => first = reader.int()?,
                2 => second = reader.int()?,
                _ => return Err("an unknown part of a type".to_owned()),
            }
            Ok(())
        })?;
        Ok((name, first, second))
    }

    fn common(&mut self) -> Result<String> {
        let mut name = String::new();
        self.fields(|reader, number| {
            match number {
                0 => name = reader.text()?,
                1 => drop(reader.int()?),
                _ => return Err("an unknown part of a type".to_owned()),
            }
            Ok(())
        })?;
        Ok(name)
    }

    /// The definition of a struct: its fields with their types.
    fn struct_definition(&mut self, most: usize) -> Result<Vec<(String, i64)>> {
        let mut fields = Vec::new();
        self.fields(|reader, number| match number {
            0 => reader.common().map(drop),
            1 => {
                for _ in 0..reader.count()? {
                    let (mut name, mut id) = (String::new(), 0);
                    reader.fields(|reader, number| {
                        match number {
                            0 => name = reader.text()?,
                            1 => id = reader.int()?,
                            _ => return Err("an unknown part of a field".to_owned()),
                        }
                        Ok(())
                    })?;
                    if name.len() > MAX_NAME || fields.len() >= most {
                        return Err(format!(
                            "a field's name of more than {MAX_NAME} bytes, or more than {MAX_FIELDS} fields"
                        ));
                    }
                    fields.push((name, id));
                }
                Ok(())
            }
            _ => Err("an unknown part of a type".to_owned()),
        })?;
        Ok(fields)
    }
}
