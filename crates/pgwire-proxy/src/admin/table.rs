//! Rows of the console as messages of PostgreSQL, in text or binary form.

use bytes::{BufMut, BytesMut};

use crate::message::{message, put_cstr, reply};

/// The types that PgBouncer's columns have, with their object ids in PostgreSQL's catalogue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Int,
    Numeric,
}

impl Kind {
    fn oid(self) -> u32 {
        match self {
            Self::Text => 25,
            Self::Int => 23,
            Self::Numeric => 1700,
        }
    }

    fn len(self) -> i16 {
        match self {
            Self::Int => 4,
            Self::Text | Self::Numeric => -1,
        }
    }
}

/// One value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Cell {
    Null,
    Text(String),
    Int(i32),
    /// Of a numeric column.
    Number(u64),
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl<T: Into<Cell>> From<Option<T>> for Cell {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// A count, as PgBouncer's 32-bit columns can show it.
pub(super) fn int(number: impl TryInto<i32>) -> Cell {
    Cell::Int(number.try_into().unwrap_or(i32::MAX))
}

/// The columns of a table.
pub(super) type Columns = &'static [(&'static str, Kind)];

/// What a SHOW has found.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) columns: Columns,
    pub(super) rows: Vec<Vec<Cell>>,
}

/// Appends RowDescription; `formats` are those that Bind has asked for.
pub(super) fn put_description(out: &mut BytesMut, columns: Columns, formats: &[i16]) {
    message(out, reply::ROW_DESCRIPTION, |out| {
        out.put_u16(u16::try_from(columns.len()).unwrap_or(u16::MAX));
        for (index, (name, kind)) in columns.iter().enumerate() {
            put_cstr(out, name.as_bytes());
            // Of no table.
            out.put_u32(0);
            out.put_u16(0);
            out.put_u32(kind.oid());
            out.put_i16(kind.len());
            out.put_i32(-1);
            out.put_i16(format_of(formats, index));
        }
    });
}

/// Appends a DataRow for each row.
pub(super) fn put_rows(out: &mut BytesMut, table: &Table, formats: &[i16]) {
    for row in &table.rows {
        message(out, reply::DATA_ROW, |out| {
            out.put_u16(u16::try_from(row.len()).unwrap_or(u16::MAX));
            for (index, cell) in row.iter().enumerate() {
                put_cell(out, cell, format_of(formats, index) == 1);
            }
        });
    }
}

/// One format holds for all columns; none means text.
fn format_of(formats: &[i16], column: usize) -> i16 {
    match formats {
        [] => 0,
        [all] => *all,
        each => each.get(column).copied().unwrap_or_default(),
    }
}

fn put_cell(out: &mut BytesMut, cell: &Cell, binary: bool) {
    let mut put = |bytes: &[u8]| {
        out.put_u32(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
        out.put_slice(bytes);
    };
    match cell {
        Cell::Null => out.put_i32(-1),
        Cell::Text(text) => put(text.as_bytes()),
        Cell::Int(number) if binary => put(&number.to_be_bytes()),
        Cell::Int(number) => put(number.to_string().as_bytes()),
        Cell::Number(number) if binary => put(&binary_numeric(*number)),
        Cell::Number(number) => put(number.to_string().as_bytes()),
    }
}

/// PostgreSQL's binary numeric: digits to the base of 10,000, the highest first.
fn binary_numeric(number: u64) -> Vec<u8> {
    let mut digits = Vec::new();
    let mut left = number;
    while left > 0 {
        digits.push(u16::try_from(left % 10_000).unwrap_or_default());
        left /= 10_000;
    }
    let count = u16::try_from(digits.len()).unwrap_or_default();
    let mut out = Vec::new();
    out.put_u16(count);
    out.put_u16(count.saturating_sub(1));
    // Positive, and nothing behind the point.
    out.put_u32(0);
    digits.iter().rev().for_each(|digit| out.put_u16(*digit));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_postgresqls_binary_form() {
        assert_eq!(binary_numeric(0), [0, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(binary_numeric(12_345), [0, 2, 0, 1, 0, 0, 0, 0, 0, 1, 9, 41]);
    }

    #[test]
    fn one_format_holds_for_all_columns_and_none_is_text() {
        assert_eq!((format_of(&[], 3), format_of(&[1], 3), format_of(&[0, 1], 1)), (0, 1, 1));
    }
}
