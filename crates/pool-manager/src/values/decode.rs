//! One value, from the bytes on the wire to serde. It never fails on a value that is not what its
//! type prints: such a value is given as the text it is.

use std::borrow::Cow;

use serde::ser::{Serialize, Serializer};

use super::array::ArrayText;
use super::hex;
use super::json;
use super::number::{not_finite, parse_integer, widen, write_float, write_float4};
use super::row::ValueStyle;
use super::types::{Format, TypeInfo, TypeKind};

/// A value of a result.
pub(super) struct Value<'a> {
    pub(super) ty: &'a TypeInfo,
    pub(super) format: Format,
    /// `None` is NULL.
    pub(super) bytes: Option<&'a [u8]>,
    pub(super) style: ValueStyle,
}

impl Serialize for Value<'_> {
    #[inline]
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match (self.bytes, self.format) {
            (None, _) => serializer.serialize_unit(),
            (Some(bytes), Format::Text) => text_format(self.ty, bytes, self.style, serializer),
            (Some(bytes), Format::Binary) => binary_format(self.ty, bytes, self.style, serializer),
        }
    }
}

impl<'a> Value<'a> {
    /// What PostgreSQL prints; `None` for NULL. Bytes that are not UTF-8 are replaced.
    pub(super) fn display(&self) -> Option<Cow<'a, str>> {
        let bytes = self.bytes?;
        if self.format == Format::Text {
            return Some(String::from_utf8_lossy(bytes));
        }
        let mut text = String::new();
        let written = match (&self.ty.kind, bytes) {
            (TypeKind::Bool, [byte]) => return Some(if *byte == 0 { "f" } else { "t" }.into()),
            (TypeKind::Float8, &[a, b, c, d, e, f, g, h]) => {
                write_float(f64::from_be_bytes([a, b, c, d, e, f, g, h]), &mut text)
            }
            (TypeKind::Float4, &[a, b, c, d]) => {
                write_float4(f32::from_be_bytes([a, b, c, d]), &mut text)
            }
            _ => return Some(hex::to_text(bytes).into()),
        };
        // Writing to a string does not fail.
        written.ok().map(|()| text.into())
    }
}

fn text_format<S: Serializer>(
    ty: &TypeInfo,
    bytes: &[u8],
    style: ValueStyle,
    s: S,
) -> Result<S::Ok, S::Error> {
    let native = style == ValueStyle::Native;
    match &ty.kind {
        TypeKind::Int2 | TypeKind::Int4 | TypeKind::Int8 | TypeKind::Oid => {
            match parse_integer(bytes) {
                Some(n) => s.serialize_i64(n),
                None => text(bytes, s),
            }
        }
        TypeKind::Bool => match bytes {
            b"t" => s.serialize_bool(true),
            b"f" => s.serialize_bool(false),
            _ => text(bytes, s),
        },
        // The shortest digits of a float4 are the shortest digits of the double nearest to them.
        TypeKind::Float4 | TypeKind::Float8 => {
            match std::str::from_utf8(bytes).ok().and_then(|text| text.parse::<f64>().ok()) {
                Some(x) => float(x, s),
                None => text(bytes, s),
            }
        }
        TypeKind::Bytea => bytea_text(bytes, native, s),
        TypeKind::Json | TypeKind::Jsonb if native => match std::str::from_utf8(bytes) {
            Ok(document) => json::serialize(document, s),
            Err(_) => text(bytes, s),
        },
        TypeKind::Array { element, delimiter } if native => {
            match ArrayText::parse(bytes, *delimiter) {
                Some(array) => array.list(element).serialize(s),
                None => text(bytes, s),
            }
        }
        _ => text(bytes, s),
    }
}

fn binary_format<S: Serializer>(
    ty: &TypeInfo,
    bytes: &[u8],
    style: ValueStyle,
    s: S,
) -> Result<S::Ok, S::Error> {
    match (&ty.kind, bytes) {
        (TypeKind::Bool, [byte]) => s.serialize_bool(*byte != 0),
        (TypeKind::Float8, &[a, b, c, d, e, f, g, h]) => {
            float(f64::from_be_bytes([a, b, c, d, e, f, g, h]), s)
        }
        (TypeKind::Float4, &[a, b, c, d]) => match f32::from_be_bytes([a, b, c, d]) {
            // JSON prints the shortest digits of a float4 by itself; PostgreSQL's differ from
            // 2^25 on, where a midpoint to a neighbour may be shorter.
            x if x.abs() < 33_554_432.0 && s.is_human_readable() => s.serialize_f32(x),
            x => float(widen(x), s),
        },
        // These come only from a binary cursor.
        (TypeKind::Int2, &[a, b]) => s.serialize_i16(i16::from_be_bytes([a, b])),
        (TypeKind::Int4, &[a, b, c, d]) => s.serialize_i32(i32::from_be_bytes([a, b, c, d])),
        (TypeKind::Oid, &[a, b, c, d]) => s.serialize_u32(u32::from_be_bytes([a, b, c, d])),
        (TypeKind::Int8, &[a, b, c, d, e, f, g, h]) => {
            s.serialize_i64(i64::from_be_bytes([a, b, c, d, e, f, g, h]))
        }
        // The binary form of strings and of json is their text.
        (TypeKind::Text, _) => text(bytes, s),
        (TypeKind::Json, _) => text_format(ty, bytes, style, s),
        // bytea, and what a binary cursor gives of any other type.
        _ => raw_bytes(bytes, style == ValueStyle::Native, s),
    }
}

fn float<S: Serializer>(x: f64, s: S) -> Result<S::Ok, S::Error> {
    match not_finite(x) {
        None => s.serialize_f64(x),
        Some(name) => s.serialize_str(name),
    }
}

/// Bytes: `\x..` in JSON and wherever text is wanted, else binary.
fn raw_bytes<S: Serializer>(bytes: &[u8], native: bool, s: S) -> Result<S::Ok, S::Error> {
    if native && !s.is_human_readable() {
        s.serialize_bytes(bytes)
    } else {
        s.serialize_str(&hex::to_text(bytes))
    }
}

fn bytea_text<S: Serializer>(printed: &[u8], native: bool, s: S) -> Result<S::Ok, S::Error> {
    let as_printed = s.is_human_readable() || !native;
    if as_printed && printed.starts_with(b"\\x") {
        return text(printed, s);
    }
    match hex::from_text(printed) {
        Some(bytes) => raw_bytes(&bytes, native, s),
        None => text(printed, s),
    }
}

/// Text as it is. What is not UTF-8 (a database in SQL_ASCII) is binary to MessagePack, and loses
/// the odd bytes in JSON, which has no way to hold them.
#[inline]
pub(super) fn text<S: Serializer>(bytes: &[u8], s: S) -> Result<S::Ok, S::Error> {
    match std::str::from_utf8(bytes) {
        Ok(text) => s.serialize_str(text),
        Err(_) if !s.is_human_readable() => s.serialize_bytes(bytes),
        Err(_) => s.serialize_str(&String::from_utf8_lossy(bytes)),
    }
}
