//! The simple protocol: several statements in one text, the last result is the answer.

use std::sync::Arc;

use bytes::{Buf, BufMut, Bytes, BytesMut};

use super::execute::{ExecuteError, Execution, Outcome, Progress, SendSink, SinkError};
use super::extended::COPY_REFUSAL;
use super::{CommandTag, ServerConnection};
use crate::engine::tag;
use crate::server_error::ServerError;
use crate::values::Columns;

/// Bytes of a row's length in [`Answer`].
const ROW_LEN: usize = 4;

/// What a simple query has answered so far. Only the last result is kept, raw, until the end:
/// its types can be looked up only when the connection is at rest again.
#[derive(Default)]
pub(super) struct Answer {
    description: Option<Bytes>,
    /// Each with its length in front: a buffer of its own would take many times a small row.
    rows: BytesMut,
    size: usize,
    too_large: bool,
    copy: bool,
    /// Whether `description` belongs to a statement that has completed.
    result_complete: bool,
    tag: Option<CommandTag>,
    error: Option<Box<ServerError>>,
}

impl ServerConnection {
    pub(super) async fn simple(
        &mut self,
        what: &Execution<'_>,
        sink: &mut dyn SendSink,
    ) -> Result<Outcome, ExecuteError> {
        if !what.args.is_empty() {
            return Err(ExecuteError::ArgumentCount { expected: 0, given: what.args.len() });
        }
        let answer = self.query(what.sql).await?;
        if answer.copy {
            return Err(ExecuteError::Copy);
        }
        if let Some(error) = answer.error {
            return Err(ExecuteError::Server(error));
        }
        if answer.too_large {
            return Err(SinkError::TooLarge { limit: self.link.max_message() }.into());
        }
        if let Some(body) = answer.description {
            let oids = Columns::type_oids(&body).map_err(SinkError::from)?;
            match self.learn_types(what.types, &oids).await {
                // The text has run: what cannot be looked up any more is shown as text.
                Ok(()) | Err(ExecuteError::Server(_)) => {}
                Err(ExecuteError::Lost { error, .. }) => {
                    return Err(ExecuteError::Lost { error, progress: Progress::Completed });
                }
                Err(other) => return Err(other),
            }
            let columns = Arc::new(Columns::parse(&body, what.types).map_err(SinkError::from)?);
            sink.begin(&columns)?;
            let mut rows = answer.rows;
            while rows.len() >= ROW_LEN {
                let len = rows.get_u32() as usize;
                sink.row(&columns, &rows.split_to(len.min(rows.len())))?;
            }
        }
        Ok(Outcome { tag: answer.tag.unwrap_or_default() })
    }

    async fn query(&mut self, sql: &str) -> Result<Answer, ExecuteError> {
        self.link.request().query(sql)?;
        self.answer().await
    }

    /// Reads the replies to one simple query.
    pub(super) async fn answer(&mut self) -> Result<Answer, ExecuteError> {
        let limit = self.link.max_message();
        let mut answer = Answer::default();
        loop {
            let frame = match self.link.next().await {
                Ok(frame) => frame,
                Err(error) => {
                    // A simple query commits before its CommandComplete: once sent, anything
                    // may have happened.
                    let unsent = self.link.has_unsent();
                    let progress = if unsent { Progress::NotSent } else { Progress::Completed };
                    return Err(ExecuteError::Lost { error, progress });
                }
            };
            match frame.tag {
                tag::ROW_DESCRIPTION => answer.begin(Bytes::copy_from_slice(frame.body)),
                tag::DATA_ROW => answer.add(frame.body, frame.oversized, limit),
                tag::COMMAND_COMPLETE => answer.complete(CommandTag::parse(frame.body)),
                tag::EMPTY_QUERY_RESPONSE => answer.tag = Some(CommandTag::default()),
                tag::ERROR_RESPONSE => {
                    answer.error = Some(Box::new(ServerError::from_body(frame.body)));
                }
                tag::COPY_IN_RESPONSE => {
                    answer.copy = true;
                    self.link.request().copy_fail(COPY_REFUSAL, false)?;
                }
                tag::COPY_OUT_RESPONSE => answer.copy = true,
                tag::READY_FOR_QUERY => return Ok(answer),
                tag::COPY_DATA | tag::COPY_DONE => {}
                _ => {
                    let error = self.link.out_of_step();
                    return Err(ExecuteError::Lost { error, progress: Progress::Completed });
                }
            }
        }
    }

    /// Runs a command of our own and returns its tag; its rows are thrown away.
    pub(crate) async fn command(&mut self, sql: &str) -> Result<CommandTag, ExecuteError> {
        self.query(sql).await?.into_tag()
    }
}

impl Answer {
    /// The tag of the last statement, or the error.
    pub(super) fn into_tag(self) -> Result<CommandTag, ExecuteError> {
        match self.error {
            Some(error) => Err(ExecuteError::Server(error)),
            None => Ok(self.tag.unwrap_or_default()),
        }
    }

    fn begin(&mut self, description: Bytes) {
        self.rows.clear();
        self.size = 0;
        self.too_large = false;
        self.result_complete = false;
        self.description = Some(description);
    }

    fn add(&mut self, body: &[u8], oversized: Option<usize>, limit: usize) {
        self.size += body.len();
        if oversized.is_some() || self.size > limit {
            self.too_large = true;
            self.rows = BytesMut::new();
        }
        match u32::try_from(body.len()) {
            Ok(len) if !self.too_large => {
                self.rows.put_u32(len);
                self.rows.put_slice(body);
            }
            _ => {}
        }
    }

    /// A statement without a result wipes the result of the one before it.
    fn complete(&mut self, tag: CommandTag) {
        let had_rows = self.description.is_some() && !self.result_complete;
        if !had_rows {
            self.description = None;
            self.rows.clear();
            self.too_large = false;
        }
        self.result_complete = true;
        self.tag = Some(tag);
    }
}
