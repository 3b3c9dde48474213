//! Messages of a server, for the tests of this module.

use super::catalogue::TypeCatalogue;
use super::columns::Columns;

/// The body of a RowDescription of columns in text format.
pub(super) fn row_description(columns: &[(&str, u32)]) -> Vec<u8> {
    let mut body = (columns.len() as u16).to_be_bytes().to_vec();
    for (name, oid) in columns {
        body.extend_from_slice(name.as_bytes());
        body.extend_from_slice(&[0; 7]);
        body.extend_from_slice(&oid.to_be_bytes());
        body.extend_from_slice(&[0; 8]);
    }
    body
}

/// The body of a DataRow.
pub(super) fn data_row<T: AsRef<[u8]>>(fields: &[Option<T>]) -> Vec<u8> {
    let mut body = (fields.len() as u16).to_be_bytes().to_vec();
    for field in fields {
        match field {
            None => body.extend_from_slice(&(-1i32).to_be_bytes()),
            Some(bytes) => {
                body.extend_from_slice(&(bytes.as_ref().len() as i32).to_be_bytes());
                body.extend_from_slice(bytes.as_ref());
            }
        }
    }
    body
}

/// Columns of builtin types, all in text format.
pub(super) fn columns(columns: &[(&str, u32)]) -> Columns {
    Columns::parse(&row_description(columns), &TypeCatalogue::new()).unwrap()
}
