//! Rows for users of the library: collected, read value by value.

use std::sync::Arc;

use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::connection::{CommandTag, ResultSink, SinkError};
use crate::error::Error;
use crate::server_error::SqlState;
use crate::values::{Columns, Row, RowShape, RowStyle, ValueStyle};

/// The result of a query.
pub struct QueryRows {
    rows: Vec<QueryRow>,
    columns: Option<Arc<Columns>>,
    tag: CommandTag,
}

impl QueryRows {
    /// Number of rows.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The columns; `None` when the statement returns no rows at all.
    pub fn columns(&self) -> Option<&Columns> {
        self.columns.as_deref()
    }

    /// What was done.
    pub fn tag(&self) -> &CommandTag {
        &self.tag
    }

    /// The rows in order.
    pub fn iter(&self) -> std::slice::Iter<'_, QueryRow> {
        self.rows.iter()
    }
}

impl IntoIterator for QueryRows {
    type Item = QueryRow;
    type IntoIter = std::vec::IntoIter<QueryRow>;

    fn into_iter(self) -> Self::IntoIter {
        self.rows.into_iter()
    }
}

impl<'a> IntoIterator for &'a QueryRows {
    type Item = &'a QueryRow;
    type IntoIter = std::slice::Iter<'a, QueryRow>;

    fn into_iter(self) -> Self::IntoIter {
        self.rows.iter()
    }
}

/// One row, kept as it came from the server.
#[derive(Clone)]
pub struct QueryRow {
    columns: Arc<Columns>,
    body: Bytes,
}

impl QueryRow {
    /// A view of the row that reads single values and serialises as a whole.
    ///
    /// # Errors
    /// The server sent a row that does not fit its description.
    pub fn view(&self) -> Result<Row<'_>, SinkError> {
        Ok(Row::new(&self.columns, &self.body)?)
    }

    /// All values in the order of the columns, in the native style: numbers, booleans, nested
    /// json and arrays as such, everything else as PostgreSQL prints it.
    ///
    /// # Errors
    /// `XX000` when the server sent a row that does not fit its description.
    pub fn values(&self) -> Result<Vec<Value>, Error> {
        let style = RowStyle { shape: RowShape::List, values: ValueStyle::Native };
        let broken = |error: &dyn std::fmt::Display| {
            Error::refused(SqlState::INTERNAL_ERROR, format!("malformed row: {error}"))
        };
        let row = self.view().map_err(|error| broken(&error))?.styled(style);
        match serde_json::to_value(row) {
            Ok(Value::Array(values)) => Ok(values),
            Ok(_) => Err(broken(&"not a list")),
            Err(error) => Err(broken(&error)),
        }
    }

    /// The value of column `index`, counted from 0, as a type of one's own.
    ///
    /// # Errors
    /// `22023` when there is no such column or the value does not fit the type.
    pub fn get<T: DeserializeOwned>(&self, index: usize) -> Result<T, Error> {
        let mut values = self.values()?;
        if index >= values.len() {
            let message = format!("column {index} does not exist: the row has {}", values.len());
            return Err(Error::refused(SqlState::INVALID_PARAMETER_VALUE, message));
        }
        serde_json::from_value(values.swap_remove(index)).map_err(|error| {
            let message = format!("column {index}: {error}");
            Error::refused(SqlState::INVALID_PARAMETER_VALUE, message)
        })
    }
}

/// Collects rows up to a number of bytes.
pub(crate) struct RowCollector {
    rows: Vec<QueryRow>,
    columns: Option<Arc<Columns>>,
    size: usize,
    limit: usize,
}

impl RowCollector {
    pub(crate) fn new(limit: usize) -> Self {
        Self { rows: Vec::new(), columns: None, size: 0, limit }
    }

    pub(crate) fn finish(self, tag: CommandTag) -> QueryRows {
        QueryRows { rows: self.rows, columns: self.columns, tag }
    }
}

impl ResultSink for RowCollector {
    fn begin(&mut self, columns: &Arc<Columns>) -> Result<(), SinkError> {
        self.rows.clear();
        self.size = 0;
        self.columns = Some(Arc::clone(columns));
        Ok(())
    }

    fn row(&mut self, columns: &Columns, body: &[u8]) -> Result<(), SinkError> {
        Row::new(columns, body)?;
        self.size += body.len();
        let Some(columns) = self.columns.as_ref().filter(|_| self.size <= self.limit) else {
            return Err(SinkError::TooLarge { limit: self.limit });
        };
        let columns = Arc::clone(columns);
        self.rows.push(QueryRow { columns, body: Bytes::copy_from_slice(body) });
        Ok(())
    }
}
