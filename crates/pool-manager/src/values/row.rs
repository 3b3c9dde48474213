//! One DataRow as serde output, with nothing built in between. It never copies a value that the
//! output can take as it is.

use std::borrow::Cow;

use serde::ser::{Serialize, SerializeMap, SerializeSeq, Serializer};

use super::columns::{Column, Columns};
use super::decode::Value;
use super::message::{Body, MalformedMessage};

const MALFORMED: MalformedMessage = MalformedMessage("DataRow");

/// What a row looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RowShape {
    /// A map from column name to value; of columns with one name the last wins.
    #[default]
    Assoc,
    /// A list of all values in the order of the columns.
    List,
}

/// What values look like. NULL is null in both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ValueStyle {
    /// Booleans, integers (`int2`, `int4`, `int8`, `oid`), floats, nested json, lists for arrays,
    /// and binary for bytea where the codec has it (`\x..` where not). `NaN` and the infinities
    /// are strings; everything else is what PostgreSQL prints.
    #[default]
    Native,
    /// Booleans, integers and floats as in `Native`; everything else is what PostgreSQL prints,
    /// json and arrays too, bytea as `\x..`.
    Text,
}

/// How rows are given to a caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RowStyle {
    /// What a row looks like.
    pub shape: RowShape,
    /// What values look like.
    pub values: ValueStyle,
}

/// A row of a result, still in the bytes that the server sent.
///
/// Serialises as a map or a list of known length. A serializer that calls itself human readable
/// (JSON) must be serde_json's: json values are handed to it verbatim.
#[derive(Clone, Copy)]
pub struct Row<'a> {
    columns: &'a Columns,
    fields: &'a [u8],
    style: RowStyle,
}

impl<'a> Row<'a> {
    /// Takes the body of a DataRow, having checked that it holds one well-formed field for every
    /// column and nothing else.
    pub fn new(columns: &'a Columns, body: &'a [u8]) -> Result<Self, MalformedMessage> {
        let mut rest = Body(body);
        if rest.u16().map(usize::from) != Some(columns.len()) {
            return Err(MALFORMED);
        }
        let fields = rest.0;
        for _ in 0..columns.len() {
            rest.field().ok_or(MALFORMED)?;
        }
        if !rest.0.is_empty() {
            return Err(MALFORMED);
        }
        Ok(Self { columns, fields, style: RowStyle::default() })
    }

    /// The same row in another style.
    #[must_use]
    pub fn styled(self, style: RowStyle) -> Self {
        Self { style, ..self }
    }

    /// The bytes of a value in the format of its column; `None` for NULL and beyond the last.
    pub fn bytes(&self, index: usize) -> Option<&'a [u8]> {
        let mut rest = Body(self.fields);
        for _ in 0..index {
            rest.field()?;
        }
        rest.field().flatten()
    }

    /// A value of a column in text format; `None` for NULL, beyond the last, and for what is not
    /// UTF-8.
    pub fn text(&self, index: usize) -> Option<&'a str> {
        std::str::from_utf8(self.bytes(index)?).ok()
    }

    /// A value as PostgreSQL prints it; `None` for NULL and beyond the last. Bytes that are not
    /// UTF-8 are replaced; values that a binary cursor gives are `\x..`, but for booleans, floats
    /// and bytea.
    pub fn display(&self, index: usize) -> Option<String> {
        self.values().nth(index)?.1.display().map(Cow::into_owned)
    }

    /// Columns and their values in order.
    #[inline]
    fn values(&self) -> impl Iterator<Item = (&'a Column, Value<'a>)> {
        let mut rest = Body(self.fields);
        let style = self.style.values;
        self.columns.iter().map(move |column| {
            // `new` has seen a field for every column.
            let bytes = rest.field().flatten();
            (column, Value { ty: &column.ty, format: column.format, bytes, style })
        })
    }
}

impl Serialize for Row<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.style.shape {
            RowShape::Assoc => {
                let mut map = serializer.serialize_map(Some(self.columns.distinct_names()))?;
                for (column, value) in self.values() {
                    if !column.shadowed {
                        map.serialize_entry(&column.name, &value)?;
                    }
                }
                map.end()
            }
            RowShape::List => {
                let mut list = serializer.serialize_seq(Some(self.columns.len()))?;
                for (_, value) in self.values() {
                    list.serialize_element(&value)?;
                }
                list.end()
            }
        }
    }
}

#[cfg(test)]
#[path = "row_tests.rs"]
mod tests;
