//! The columns of a result, from a RowDescription. It never holds a value.

use std::collections::HashSet;
use std::sync::Arc;

use serde::ser::{Serialize, SerializeMap, SerializeSeq, Serializer};

use super::catalogue::TypeCatalogue;
use super::message::{Body, MalformedMessage};
use super::types::{Format, TypeInfo, TypeKind};

const MALFORMED: MalformedMessage = MalformedMessage("RowDescription");
/// Bytes of a column besides its name: table oid, attribute, type oid, length, modifier, format,
/// and the NUL behind the name.
const MIN_COLUMN_SIZE: usize = 19;

/// One column of a result.
#[derive(Debug, Clone)]
pub struct Column {
    /// Its name. Bytes that are not UTF-8 (a database in SQL_ASCII) are replaced.
    pub name: Box<str>,
    /// Its type; for a domain the server reports the base type.
    pub ty: Arc<TypeInfo>,
    pub(super) format: Format,
    /// Whether a later column has the same name: then rows with names leave this one out.
    pub(super) shadowed: bool,
}

/// The columns of a result, in order, with the format that their values come in.
///
/// Serialises as a list of `{name, type, oid}`.
#[derive(Debug, Clone)]
pub struct Columns {
    columns: Box<[Column]>,
    distinct: usize,
}

impl Columns {
    /// Reads the body of a RowDescription, the formats that it names included. Types that
    /// `catalogue` lacks are treated as text.
    pub fn parse(body: &[u8], catalogue: &TypeCatalogue) -> Result<Self, MalformedMessage> {
        let mut columns = Vec::with_capacity(body.len() / MIN_COLUMN_SIZE);
        for_each_column(body, |name, oid, format| {
            columns.push(Column {
                name: String::from_utf8_lossy(name).into(),
                ty: catalogue.resolve(oid),
                format,
                shadowed: false,
            });
        })?;
        Ok(Self::new(columns))
    }

    /// The type oids in the body of a RowDescription.
    pub fn type_oids(body: &[u8]) -> Result<Vec<u32>, MalformedMessage> {
        let mut oids = Vec::with_capacity(body.len() / MIN_COLUMN_SIZE);
        for_each_column(body, |_, oid, _| oids.push(oid))?;
        Ok(oids)
    }

    /// `count` nameless columns of text, for results of our own statements.
    pub(super) fn of_text(count: usize) -> Self {
        let ty = Arc::new(TypeInfo { oid: 25, name: Arc::from("text"), kind: TypeKind::Text });
        let column = || Column {
            name: Box::default(),
            ty: Arc::clone(&ty),
            format: Format::Text,
            shadowed: false,
        };
        Self::new((0..count).map(|_| column()).collect())
    }

    fn new(mut columns: Vec<Column>) -> Self {
        let mut seen = HashSet::with_capacity(columns.len());
        let mut shadowed = Vec::new();
        for (index, column) in columns.iter().enumerate().rev() {
            if !seen.insert(&*column.name) {
                shadowed.push(index);
            }
        }
        let distinct = seen.len();
        for index in shadowed {
            if let Some(column) = columns.get_mut(index) {
                column.shadowed = true;
            }
        }
        Self { columns: columns.into(), distinct }
    }

    /// The format codes to ask for in Bind, one a column: binary for bool, floats and bytea,
    /// text for everything else.
    pub fn result_formats(&self) -> Vec<i16> {
        self.columns.iter().map(|column| column.ty.result_format().code()).collect()
    }

    /// The same columns with values that come in these formats. As in Bind: no code means text
    /// everywhere, a single one holds for every column.
    #[must_use]
    pub fn with_formats(&self, codes: &[i16]) -> Self {
        let mut copy = self.clone();
        for (index, column) in copy.columns.iter_mut().enumerate() {
            let code = match codes {
                [all] => Some(all),
                each => each.get(index),
            };
            column.format = Format::from_code(code.copied().unwrap_or(0));
        }
        copy
    }

    /// How many columns there are.
    pub fn len(&self) -> usize {
        self.columns.len()
    }

    /// Whether there is no column at all (`SELECT` of nothing).
    pub fn is_empty(&self) -> bool {
        self.columns.is_empty()
    }

    /// The columns in order.
    pub fn iter(&self) -> std::slice::Iter<'_, Column> {
        self.columns.iter()
    }

    /// How many different names there are.
    pub(super) fn distinct_names(&self) -> usize {
        self.distinct
    }
}

impl<'a> IntoIterator for &'a Columns {
    type Item = &'a Column;
    type IntoIter = std::slice::Iter<'a, Column>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl Serialize for Columns {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(Some(self.len()))?;
        for column in self {
            list.serialize_element(column)?;
        }
        list.end()
    }
}

impl Serialize for Column {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(3))?;
        map.serialize_entry("name", &self.name)?;
        map.serialize_entry("type", &*self.ty.name)?;
        map.serialize_entry("oid", &self.ty.oid)?;
        map.end()
    }
}

/// Calls `each` with name, type oid and format of every column of a RowDescription.
fn for_each_column<'a>(
    body: &'a [u8],
    mut each: impl FnMut(&'a [u8], u32, Format),
) -> Result<(), MalformedMessage> {
    let mut body = Body(body);
    for _ in 0..body.u16().ok_or(MALFORMED)? {
        let (name, oid, format) = column(&mut body).ok_or(MALFORMED)?;
        each(name, oid, format);
    }
    if body.0.is_empty() { Ok(()) } else { Err(MALFORMED) }
}

fn column<'a>(body: &mut Body<'a>) -> Option<(&'a [u8], u32, Format)> {
    let name = body.cstr()?;
    let (_table, _attribute) = (body.u32()?, body.i16()?);
    let oid = body.u32()?;
    let (_size, _modifier) = (body.i16()?, body.i32()?);
    Some((name, oid, Format::from_code(body.i16()?)))
}

#[cfg(test)]
mod tests {
    use super::super::testing::{columns, row_description};
    use super::*;

    #[test]
    fn names_types_and_oids_are_listed_in_order() {
        let columns = columns(&[("id", 20), ("tags", 1009), ("odd", 99_999)]);
        assert_eq!(
            serde_json::to_string(&columns).unwrap(),
            r#"[{"name":"id","type":"int8","oid":20},{"name":"tags","type":"_text","oid":1009},{"name":"odd","type":"unknown","oid":99999}]"#
        );
    }

    #[test]
    fn binary_is_asked_for_where_it_pays() {
        let asked =
            columns(&[("a", 16), ("b", 700), ("c", 701), ("d", 17), ("e", 23), ("f", 1700)]);
        assert_eq!(asked.result_formats(), [1, 1, 1, 1, 0, 0]);
        let codes = |columns: &Columns| columns.iter().map(|c| c.format.code()).collect::<Vec<_>>();
        assert_eq!(codes(&asked), [0; 6]);
        assert_eq!(codes(&asked.with_formats(&asked.result_formats())), [1, 1, 1, 1, 0, 0]);
        assert_eq!(codes(&asked.with_formats(&[1])), [1; 6]);
        assert_eq!(codes(&asked.with_formats(&[1]).with_formats(&[])), [0; 6]);
    }

    #[test]
    fn truncated_and_longer_descriptions_are_refused() {
        let body = row_description(&[("id", 20), ("name", 25)]);
        let catalogue = TypeCatalogue::new();
        assert_eq!(Columns::type_oids(&body).unwrap(), [20, 25]);
        for end in 0..body.len() {
            assert!(Columns::parse(&body[..end], &catalogue).is_err(), "{end}");
        }
        let longer = [&body[..], &[0]].concat();
        assert!(Columns::parse(&longer, &catalogue).is_err());
    }

    #[test]
    fn of_columns_with_one_name_the_last_stays() {
        let columns = columns(&[("a", 23), ("b", 23), ("a", 25), ("a", 16)]);
        let shadowed: Vec<_> = columns.iter().map(|c| c.shadowed).collect();
        assert_eq!(shadowed, [true, false, true, false]);
        assert_eq!(columns.distinct_names(), 2);
    }
}
