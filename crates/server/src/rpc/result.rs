//! Rows from the wire into the reply, as they arrive.

use std::ops::DerefMut;
use std::sync::Arc;
use std::time::Duration;

use goridge_framing::WriteError;
use pool_manager::values::{Columns, Row, RowStyle};
use pool_manager::{Error, ResultSink, SinkError, SqlState};

use super::document::Document;

/// What is said of a result for which there is no room.
pub(super) fn too_large(error: &WriteError) -> Error {
    Error::refused(SqlState::PROGRAM_LIMIT_EXCEEDED, format!("{error}; fetch less at a time"))
}

/// Writes `rows` into a document while they arrive, and keeps the columns for its end.
pub(super) struct ResultWriter<D> {
    document: D,
    style: RowStyle,
    columns: Option<Arc<Columns>>,
    took: Option<Duration>,
}

impl<D: DerefMut<Target = Document>> ResultWriter<D> {
    pub(super) fn new(document: D, style: RowStyle) -> Self {
        Self { document, style, columns: None, took: None }
    }

    /// How long the statement ran; `None` when it never did.
    pub(super) fn took(&self) -> Option<Duration> {
        self.took
    }

    /// Ends the list of rows and adds the columns, when the statement had a result.
    pub(super) fn finish(self) -> Result<D, WriteError> {
        let columns = self.columns.clone();
        let mut document = self.finish_rows()?;
        if let Some(columns) = &columns {
            document.field("columns", &**columns);
        }
        Ok(document)
    }

    /// Ends the list of rows.
    pub(super) fn finish_rows(mut self) -> Result<D, WriteError> {
        if self.columns.is_some() {
            self.document.end_list()?;
        }
        Ok(self.document)
    }
}

impl<D: DerefMut<Target = Document>> ResultSink for ResultWriter<D> {
    fn begin(&mut self, columns: &Arc<Columns>) -> Result<(), SinkError> {
        if self.columns.is_some() {
            self.document.restart();
        }
        self.columns = Some(Arc::clone(columns));
        self.document.begin_list("rows").map_err(|error| self.explain(&error))
    }

    fn row(&mut self, columns: &Columns, body: &[u8]) -> Result<(), SinkError> {
        let row = Row::new(columns, body)?.styled(self.style);
        self.document.element(&row).map_err(|error| self.explain(&error))
    }

    fn ended(&mut self, took: Duration) {
        self.took = Some(took);
    }
}

impl<D: DerefMut<Target = Document>> ResultWriter<D> {
    fn explain(&self, error: &WriteError) -> SinkError {
        match error {
            WriteError::LimitExceeded { .. } => {
                SinkError::TooLarge { limit: self.document.max_frame_size() }
            }
            other => SinkError::Encode(other.to_string()),
        }
    }
}
