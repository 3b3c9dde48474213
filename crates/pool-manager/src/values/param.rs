//! Arguments as parameter values in text format, the server's input functions do the rest.
//!
//! | argument | what the server gets |
//! |---|---|
//! | null | NULL |
//! | boolean | `t`/`f` for bool; `1`/`0` for numbers and bit strings; `true`/`false` elsewhere, which is PostgreSQL's own cast to text |
//! | integer | its digits |
//! | float | as PostgreSQL prints a float8: `1` for 1.0, `0.1`, `1e+15`, `NaN`, `Infinity`; for integer types whole numbers keep all their digits |
//! | string | itself, for every type: arrays as `{1,2}`, bytea as `\x00ff`, json as JSON text |
//! | binary | bytea; for other types its text, if it is UTF-8 |
//! | list | an array literal, lists in it being further dimensions; JSON for json and jsonb |
//! | map | JSON for json and jsonb |
//!
//! For json and jsonb, booleans, numbers, lists and maps become JSON text, null stays NULL.
//! Elements of `json[]` are JSON values, lists among them. It never sends binary format, and never
//! decides whether a text suits its type: that is the server's to say.

use std::fmt::{self, Write as _};

use bytes::{BufMut, BytesMut};

use super::arg::Arg;
use super::arg_read::MAX_ARG_DEPTH;
use super::hex;
use super::number::{not_finite, write_float, write_float_as_integer};
use super::types::{CATEGORY_BIT_STRING, CATEGORY_NUMERIC, TypeInfo, TypeKind};
use crate::server_error::SqlState;

/// Whether a parameter has a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoded {
    /// NULL: nothing was appended, its length on the wire is -1.
    Null,
    /// The bytes that were appended.
    Value,
}

impl Encoded {
    /// Whether it is NULL.
    pub fn is_null(self) -> bool {
        self == Self::Null
    }
}

/// An argument that cannot become a value of its parameter's type. Holds no value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("parameter ${position}: {problem}")]
pub struct ArgError {
    position: usize,
    problem: Problem,
}

impl ArgError {
    /// Which parameter, from 1.
    pub fn position(&self) -> usize {
        self.position
    }

    /// `22023` invalid_parameter_value, or `22021` for text that no database takes.
    pub fn sqlstate(&self) -> SqlState {
        match self.problem {
            Problem::ZeroByte | Problem::NotUtf8 { .. } => SqlState::CHARACTER_NOT_IN_REPERTOIRE,
            _ => SqlState::INVALID_PARAMETER_VALUE,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Problem {
    #[error("cannot use {given} as {wanted}")]
    Unsuitable { given: &'static str, wanted: Box<str> },
    #[error("a string cannot hold a zero byte")]
    ZeroByte,
    #[error("cannot use binary data as {wanted}: it is not valid UTF-8")]
    NotUtf8 { wanted: Box<str> },
    #[error("lists and maps are nested more than {MAX_ARG_DEPTH} levels deep")]
    TooDeep,
    /// Writing to memory does not fail; kept apart from the caller's mistakes all the same.
    #[error("the value cannot be written")]
    Unwritable,
}

impl From<fmt::Error> for Problem {
    fn from(_: fmt::Error) -> Self {
        Self::Unwritable
    }
}

/// Appends an argument's value in text format, without its length.
///
/// `position` counts from 1 and is only named in errors. After an error `out` may end in a part
/// of the value.
pub fn encode_param(
    arg: &Arg,
    ty: &TypeInfo,
    position: usize,
    out: &mut BytesMut,
) -> Result<Encoded, ArgError> {
    if matches!(arg, Arg::Null) {
        return Ok(Encoded::Null);
    }
    match value(arg, ty, MAX_ARG_DEPTH, out) {
        Ok(()) => Ok(Encoded::Value),
        Err(problem) => Err(ArgError { position, problem }),
    }
}

/// Appends what is not NULL.
fn value(arg: &Arg, ty: &TypeInfo, levels: usize, out: &mut BytesMut) -> Result<(), Problem> {
    match (arg, &ty.kind) {
        (Arg::Text(text), _) => put_text(text, out),
        (Arg::Binary(bytes), TypeKind::Bytea) => {
            put_hex(bytes, out);
            Ok(())
        }
        (Arg::Binary(bytes), _) => put_text(as_text(bytes, ty)?, out),
        (_, TypeKind::Json | TypeKind::Jsonb) => json(arg, ty, levels, out),
        (Arg::List(items), TypeKind::Array { element, delimiter }) => {
            array(items, element, *delimiter, levels, out)
        }
        (Arg::List(_) | Arg::Map(_) | Arg::Null, _) | (_, TypeKind::Array { .. }) => {
            Err(unsuitable(arg, ty))
        }
        _ => scalar(arg, &ty.kind, out),
    }
}

fn unsuitable(arg: &Arg, ty: &TypeInfo) -> Problem {
    Problem::Unsuitable { given: arg.kind(), wanted: Box::from(&*ty.name) }
}

/// Booleans and numbers; the others have been dealt with.
fn scalar(arg: &Arg, kind: &TypeKind, out: &mut BytesMut) -> Result<(), Problem> {
    match (arg, kind) {
        (Arg::Bool(v), TypeKind::Bool) => out.put_u8(if *v { b't' } else { b'f' }),
        (Arg::Bool(v), kind) if is_number(kind) => out.put_u8(if *v { b'1' } else { b'0' }),
        (Arg::Bool(v), _) => out.put_slice(if *v { b"true" } else { b"false" }),
        (Arg::Int(v), _) => write!(out, "{v}")?,
        (Arg::UInt(v), _) => write!(out, "{v}")?,
        (Arg::Float(v), TypeKind::Int2 | TypeKind::Int4 | TypeKind::Int8 | TypeKind::Oid) => {
            write_float_as_integer(*v, out)?;
        }
        (Arg::Float(v), _) => write_float(*v, out)?,
        _ => return Err(Problem::Unwritable),
    }
    Ok(())
}

fn is_number(kind: &TypeKind) -> bool {
    match kind {
        TypeKind::Int2
        | TypeKind::Int4
        | TypeKind::Int8
        | TypeKind::Oid
        | TypeKind::Float4
        | TypeKind::Float8
        | TypeKind::Numeric => true,
        TypeKind::Other { category } => {
            matches!(*category, CATEGORY_NUMERIC | CATEGORY_BIT_STRING)
        }
        _ => false,
    }
}

fn put_text(text: &str, out: &mut BytesMut) -> Result<(), Problem> {
    if text.as_bytes().contains(&0) {
        return Err(Problem::ZeroByte);
    }
    out.put_slice(text.as_bytes());
    Ok(())
}

fn as_text<'a>(bytes: &'a [u8], ty: &TypeInfo) -> Result<&'a str, Problem> {
    std::str::from_utf8(bytes).map_err(|_| Problem::NotUtf8 { wanted: Box::from(&*ty.name) })
}

fn put_hex(bytes: &[u8], out: &mut BytesMut) {
    let start = out.len();
    out.resize(start + hex::text_len(bytes.len()), 0);
    hex::write(bytes, out.get_mut(start..).unwrap_or_default());
}

/// An array literal. Strings are always quoted, so that no rule about what may stay bare matters.
fn array(
    items: &[Arg],
    element: &TypeInfo,
    delimiter: u8,
    levels: usize,
    out: &mut BytesMut,
) -> Result<(), Problem> {
    let levels = levels.checked_sub(1).ok_or(Problem::TooDeep)?;
    out.put_u8(b'{');
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            out.put_u8(delimiter);
        }
        array_item(item, element, delimiter, levels, out)?;
    }
    out.put_u8(b'}');
    Ok(())
}

fn array_item(
    item: &Arg,
    element: &TypeInfo,
    delimiter: u8,
    levels: usize,
    out: &mut BytesMut,
) -> Result<(), Problem> {
    // Elements whose own text is a list or an object are written whole, then quoted.
    let composed =
        matches!(element.kind, TypeKind::Array { .. } | TypeKind::Json | TypeKind::Jsonb);
    match item {
        Arg::Null => {
            out.put_slice(b"NULL");
            Ok(())
        }
        Arg::List(items) if !composed => array(items, element, delimiter, levels, out),
        Arg::Bool(_) | Arg::Int(_) | Arg::UInt(_) | Arg::Float(_) if !composed => {
            scalar(item, &element.kind, out)
        }
        Arg::Text(text) if text.as_bytes().contains(&0) => Err(Problem::ZeroByte),
        Arg::Text(text) => {
            put_quoted(text.as_bytes(), out);
            Ok(())
        }
        _ => {
            let mut text = BytesMut::new();
            value(item, element, levels, &mut text)?;
            put_quoted(&text, out);
            Ok(())
        }
    }
}

fn put_quoted(text: &[u8], out: &mut BytesMut) {
    out.reserve(text.len() + 2);
    out.put_u8(b'"');
    for piece in text.split_inclusive(|b| matches!(b, b'"' | b'\\')) {
        match piece.split_last() {
            Some((special @ (b'"' | b'\\'), before)) => {
                out.put_slice(before);
                out.put_slice(&[b'\\', *special]);
            }
            _ => out.put_slice(piece),
        }
    }
    out.put_u8(b'"');
}

/// JSON text of an argument. Floats keep their fraction (`1.0`), which jsonb preserves.
fn json(arg: &Arg, ty: &TypeInfo, levels: usize, out: &mut BytesMut) -> Result<(), Problem> {
    match arg {
        Arg::Null => out.put_slice(b"null"),
        Arg::Bool(v) => out.put_slice(if *v { b"true" } else { b"false" }),
        Arg::Int(v) => write!(out, "{v}")?,
        Arg::UInt(v) => write!(out, "{v}")?,
        Arg::Float(v) => match not_finite(*v) {
            Some(given) => {
                return Err(Problem::Unsuitable { given, wanted: Box::from(&*ty.name) });
            }
            None => write_json(v, out)?,
        },
        Arg::Text(text) => write_json(text, out)?,
        Arg::Binary(bytes) => write_json(as_text(bytes, ty)?, out)?,
        Arg::List(items) => {
            let levels = levels.checked_sub(1).ok_or(Problem::TooDeep)?;
            out.put_u8(b'[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.put_u8(b',');
                }
                json(item, ty, levels, out)?;
            }
            out.put_u8(b']');
        }
        Arg::Map(entries) => {
            let levels = levels.checked_sub(1).ok_or(Problem::TooDeep)?;
            out.put_u8(b'{');
            for (index, (key, item)) in entries.iter().enumerate() {
                if index > 0 {
                    out.put_u8(b',');
                }
                write_json(key, out)?;
                out.put_u8(b':');
                json(item, ty, levels, out)?;
            }
            out.put_u8(b'}');
        }
    }
    Ok(())
}

fn write_json<T: serde::Serialize + ?Sized>(v: &T, out: &mut BytesMut) -> Result<(), Problem> {
    serde_json::to_writer(out.writer(), v).map_err(|_| Problem::Unwritable)
}

#[cfg(test)]
#[path = "param_tests.rs"]
mod tests;
