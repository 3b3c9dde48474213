//! JSON to gob, by shapes that are known beforehand.

use serde_json::{Map, Value};

use super::builtin;
use crate::codec::shape::{Shape, StructShape};

/// Writes a struct of this shape.
pub(in crate::codec) fn from_json(document: &Value, shape: &'static StructShape) -> Vec<u8> {
    let mut encoder = Encoder { types: Vec::new(), definitions: Vec::new() };
    let rows_are_lists = has_lists_for_rows(document);
    let id = encoder.id(Shape::Struct(shape), rows_are_lists);
    let mut message = Vec::new();
    put_int(&mut message, id);
    encoder.value(&mut message, document, Shape::Struct(shape), rows_are_lists);
    let mut out = encoder.definitions;
    put_bytes(&mut out, &message);
    out
}

/// Whether rows are lists in this document; in one document all are of one kind.
fn has_lists_for_rows(document: &Value) -> bool {
    let first = |rows: &Value| rows.as_array()?.first().map(Value::is_array);
    let own = document.get("rows").and_then(first);
    let results = document.get("results").and_then(Value::as_array);
    let in_results = || results?.iter().find_map(|result| first(result.get("rows")?));
    own.or_else(in_results).unwrap_or(false)
}

struct Encoder {
    /// Types that were defined, in the order of their ids.
    types: Vec<Shape>,
    /// The messages that define them.
    definitions: Vec<u8>,
}

const ROW_MAP: Shape = Shape::Map(&Shape::Any);
const ROW_LIST: Shape = Shape::List(&Shape::Any);

/// What rows are lists of.
fn row(are_lists: bool) -> &'static Shape {
    if are_lists { &ROW_LIST } else { &ROW_MAP }
}

impl Encoder {
    /// The id of a type, which is defined if it is not yet.
    fn id(&mut self, shape: Shape, lists: bool) -> i64 {
        let shape = if shape == Shape::Rows { Shape::List(row(lists)) } else { shape };
        match shape {
            Shape::Bool => return builtin::BOOL,
            Shape::Int => return builtin::INT,
            Shape::Text => return builtin::STRING,
            Shape::Any => return builtin::INTERFACE,
            _ => {}
        }
        if let Some(at) = self.types.iter().position(|known| *known == shape) {
            return own_id(at);
        }
        let id = own_id(self.types.len());
        self.types.push(shape);
        let definition = self.definition(shape, id, lists);
        put_bytes(&mut self.definitions, &definition);
        id
    }

    fn definition(&mut self, shape: Shape, id: i64, lists: bool) -> Vec<u8> {
        let mut out = Vec::new();
        put_int(&mut out, -id);
        match shape {
            Shape::List(element) => {
                let element = self.id(*element, lists);
                put_uint(&mut out, 2);
                put_common(&mut out, "", id);
                put_uint(&mut out, 1);
                put_int(&mut out, element);
            }
            Shape::Map(value) => {
                let value = self.id(*value, lists);
                put_uint(&mut out, 4);
                put_common(&mut out, "", id);
                put_uint(&mut out, 1);
                put_int(&mut out, builtin::STRING);
                put_uint(&mut out, 1);
                put_int(&mut out, value);
            }
            Shape::Struct(shape) => {
                let ids: Vec<i64> =
                    shape.fields.iter().map(|field| self.id(field.shape, lists)).collect();
                put_uint(&mut out, 3);
                put_common(&mut out, shape.name, id);
                put_uint(&mut out, 1);
                put_uint(&mut out, shape.fields.len() as u64);
                for (field, id) in shape.fields.iter().zip(ids) {
                    put_uint(&mut out, 1);
                    put_bytes(&mut out, field.go_name.as_bytes());
                    put_uint(&mut out, 1);
                    put_int(&mut out, id);
                    put_uint(&mut out, 0);
                }
            }
            Shape::Bool | Shape::Int | Shape::Text | Shape::Any | Shape::Rows => {}
        }
        // The end of the type, and of what says which kind of type it is.
        put_uint(&mut out, 0);
        put_uint(&mut out, 0);
        out
    }

    fn value(&self, out: &mut Vec<u8>, value: &Value, shape: Shape, lists: bool) {
        match shape {
            Shape::Bool => put_uint(out, u64::from(value.as_bool().unwrap_or_default())),
            Shape::Int => put_int(out, value.as_i64().unwrap_or_default()),
            Shape::Text => put_bytes(out, value.as_str().unwrap_or_default().as_bytes()),
            Shape::Any => put_any(out, value),
            Shape::Rows => self.list(out, value, *row(lists), lists),
            Shape::List(element) => self.list(out, value, *element, lists),
            Shape::Map(element) => {
                let empty = Map::new();
                let map = value.as_object().unwrap_or(&empty);
                put_uint(out, map.len() as u64);
                for (key, value) in map {
                    put_bytes(out, key.as_bytes());
                    self.value(out, value, *element, lists);
                }
            }
            Shape::Struct(shape) => self.fields(out, value, shape, lists),
        }
    }

    fn list(&self, out: &mut Vec<u8>, value: &Value, element: Shape, lists: bool) {
        let items = value.as_array().map(Vec::as_slice).unwrap_or_default();
        put_uint(out, items.len() as u64);
        for item in items {
            self.value(out, item, element, lists);
        }
    }

    /// What is absent or null is left out, as Go leaves out its zero values.
    fn fields(&self, out: &mut Vec<u8>, value: &Value, shape: &StructShape, lists: bool) {
        let mut delta = 1;
        for field in shape.fields {
            match value.get(field.name).filter(|value| !value.is_null()) {
                Some(value) => {
                    put_uint(out, delta);
                    self.value(out, value, field.shape, lists);
                    delta = 1;
                }
                None => delta += 1,
            }
        }
        put_uint(out, 0);
    }
}

fn own_id(at: usize) -> i64 {
    builtin::FIRST_OWN.saturating_add(i64::try_from(at).unwrap_or(i64::MAX))
}

/// The name of a Go type that every program knows, its id, the value's length and the value.
fn put_any(out: &mut Vec<u8>, value: &Value) {
    let mut encoded = vec![0];
    let (name, id) = match value {
        Value::Null => return put_uint(out, 0),
        Value::Bool(truth) => {
            put_uint(&mut encoded, u64::from(*truth));
            ("bool", builtin::BOOL)
        }
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(int), _) => {
                put_int(&mut encoded, int);
                ("int64", builtin::INT)
            }
            (None, Some(float)) if number.is_f64() => {
                put_uint(&mut encoded, float.to_bits().swap_bytes());
                ("float64", builtin::FLOAT)
            }
            // No digit is lost.
            _ => {
                put_bytes(&mut encoded, number.to_string().as_bytes());
                ("string", builtin::STRING)
            }
        },
        Value::String(text) => {
            put_bytes(&mut encoded, text.as_bytes());
            ("string", builtin::STRING)
        }
        Value::Array(_) | Value::Object(_) => {
            put_bytes(&mut encoded, value.to_string().as_bytes());
            ("string", builtin::STRING)
        }
    };
    put_bytes(out, name.as_bytes());
    put_int(out, id);
    put_bytes(out, &encoded);
}

/// Name and id, which every definition begins with.
fn put_common(out: &mut Vec<u8>, name: &str, id: i64) {
    put_uint(out, 1);
    if name.is_empty() {
        put_uint(out, 2);
    } else {
        put_uint(out, 1);
        put_bytes(out, name.as_bytes());
        put_uint(out, 1);
    }
    put_int(out, id);
    put_uint(out, 0);
}

fn put_uint(out: &mut Vec<u8>, value: u64) {
    let bytes = value.to_be_bytes();
    let skip = (value.leading_zeros() / 8).min(7) as usize;
    if value < 128 {
        out.extend_from_slice(&bytes[7..]);
        return;
    }
    let significant = bytes.get(skip..).unwrap_or_default();
    out.push((significant.len() as u8).wrapping_neg());
    out.extend_from_slice(significant);
}

fn put_int(out: &mut Vec<u8>, value: i64) {
    let bits = value.cast_unsigned() << 1;
    put_uint(out, if value < 0 { !bits } else { bits });
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_uint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}
