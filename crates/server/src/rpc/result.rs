//! Rows from the wire into the reply, as they arrive.

use std::sync::Arc;
use std::time::Duration;

use goridge_framing::WriteError;
use pool_manager::values::{Columns, Row, RowStyle};
use pool_manager::{ResultSink, SinkError};

use super::reply::Reply;

/// Writes `rows` while they arrive, and keeps the columns for the end of the reply.
pub(super) struct ResultWriter<'r, 'out> {
    reply: &'r mut Reply<'out>,
    style: RowStyle,
    columns: Option<Arc<Columns>>,
    took: Option<Duration>,
}

impl<'r, 'out> ResultWriter<'r, 'out> {
    pub(super) fn new(reply: &'r mut Reply<'out>, style: RowStyle) -> Self {
        Self { reply, style, columns: None, took: None }
    }

    /// How long the statement ran; `None` when it never did.
    pub(super) fn took(&self) -> Option<Duration> {
        self.took
    }

    /// Ends the list of rows and adds the columns, when the statement had a result.
    pub(super) fn finish(self) -> Result<(), WriteError> {
        if let Some(columns) = &self.columns {
            self.reply.end_list()?;
            self.reply.field("columns", &**columns);
        }
        Ok(())
    }
}

impl ResultSink for ResultWriter<'_, '_> {
    fn begin(&mut self, columns: &Arc<Columns>) -> Result<(), SinkError> {
        if self.columns.is_some() {
            self.reply.restart();
        }
        self.columns = Some(Arc::clone(columns));
        self.reply.begin_list("rows").map_err(|error| self.explain(&error))
    }

    fn row(&mut self, columns: &Columns, body: &[u8]) -> Result<(), SinkError> {
        let row = Row::new(columns, body)?.styled(self.style);
        self.reply.element(&row).map_err(|error| self.explain(&error))
    }

    fn ended(&mut self, took: Duration) {
        self.took = Some(took);
    }
}

impl ResultWriter<'_, '_> {
    fn explain(&self, error: &WriteError) -> SinkError {
        match error {
            WriteError::LimitExceeded { .. } => {
                SinkError::TooLarge { limit: self.reply.max_frame_size() }
            }
            other => SinkError::Encode(other.to_string()),
        }
    }
}
