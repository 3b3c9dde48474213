//! The extended protocol: Parse only what the connection lacks, then Bind, Execute and Sync in
//! one write.

use std::borrow::Cow;
use std::io;
use std::sync::Arc;

use bytes::{BufMut, BytesMut};

use super::execute::{ExecuteError, Execution, Outcome, Progress, SendSink, SinkError};
use super::settings::SET_SQL;
use super::statements::{Prepared, key};
use super::{CommandTag, ServerConnection};
use crate::engine::{LinkError, TransactionStatus, tag};
use crate::server_error::{ServerError, SqlState};
use crate::values::{Arg, Columns, LOOKUP_SQL, TypeCatalogue, encode_param};

/// Name of the statement that looks up types, while it does.
const LOOKUP_NAME: &str = "rrp_types";
/// Longest text that is kept prepared, bytes: a cache of texts with all their data in them would
/// cost the server and us more memory than preparing them again.
const MAX_KEPT_TEXT: usize = 16 * 1024;
/// Reason given in CopyFail.
pub(super) const COPY_REFUSAL: &str = "COPY FROM STDIN is not possible here";

/// Replies to Bind, Execute and Sync while they are being read.
#[derive(Default)]
pub(super) struct Replies {
    /// Bind was accepted: from here on the statement runs.
    bound: bool,
    /// The server has asked for the data of a COPY.
    copy_in: bool,
    error: Option<Box<ServerError>>,
    sink_error: Option<ExecuteError>,
    tag: Option<CommandTag>,
    /// There are more rows than were asked for.
    suspended: bool,
}

/// What the server says of a statement: the types of its parameters, and its RowDescription.
#[derive(Default)]
pub(super) struct Description {
    parameters: Vec<u32>,
    result: Option<BytesMut>,
}

/// The same with its types known.
struct Described {
    parameters: Vec<u32>,
    columns: Option<Columns>,
    /// All types are known that exist.
    is_complete: bool,
}

impl ServerConnection {
    pub(super) async fn extended(
        &mut self,
        what: &Execution<'_>,
        sink: &mut dyn SendSink,
    ) -> Result<Outcome, ExecuteError> {
        let mut retried = false;
        loop {
            let statement = self.prepare(what).await?;
            let mut replies = Replies::default();
            self.run(&statement, what.args, sink, &mut replies).await?;
            if !replies.statement_is_stale() {
                return replies.into_result();
            }
            // Also in a transaction, where the damage is done: the next one must work.
            self.forget_text(what.sql);
            if retried || self.link.status() != TransactionStatus::Idle {
                return replies.into_result();
            }
            retried = true;
        }
    }

    pub(super) fn forget_text(&mut self, sql: &str) {
        let key = self.statement_key(sql);
        if let Some(statement) = self.statements.remove(&key) {
            self.stale_names.push(statement.name.clone());
        }
    }

    /// The cache key under the search path in force. Our own statement means the same under all.
    fn statement_key<'a>(&self, sql: &'a str) -> Cow<'a, str> {
        if sql == SET_SQL {
            return Cow::Borrowed(sql);
        }
        key(sql, self.settings.search_path())
    }

    /// The statement's description, from the cache or by Parse and Describe.
    pub(super) async fn prepare(
        &mut self,
        what: &Execution<'_>,
    ) -> Result<Arc<Prepared>, ExecuteError> {
        if let Some(statement) = self.prepared(what) {
            self.statements.count_hit();
            return Ok(statement);
        }
        if self.is_kept(what) {
            self.make_room();
        }
        let name = self.begin_prepare(what)?;
        let description = self.read_description().await;
        self.finish_prepare(what, name, description).await
    }

    /// The statement, if it is prepared.
    pub(super) fn prepared(&mut self, what: &Execution<'_>) -> Option<Arc<Prepared>> {
        let key = self.statement_key(what.sql);
        if self.is_kept(what) { self.statements.get(&key) } else { None }
    }

    /// Whether it is kept prepared.
    pub(super) fn is_kept(&self, what: &Execution<'_>) -> bool {
        self.statements.is_enabled() && what.class.cacheable && what.sql.len() <= MAX_KEPT_TEXT
    }

    /// Makes room for one more statement; what has to go is closed with the next Parse.
    fn make_room(&mut self) {
        while let Some(evicted) = self.statements.evict_for_one_more() {
            self.stale_names.push(evicted);
        }
    }

    /// Queues Parse and Describe, and gives the statement's name.
    pub(super) fn begin_prepare(&mut self, what: &Execution<'_>) -> Result<String, ExecuteError> {
        // Checked first: nothing may be queued without the Sync that ends it, nor be evicted without
        // the Close that takes it away at the server.
        if what.sql.as_bytes().contains(&0) {
            let error = io::Error::new(io::ErrorKind::InvalidInput, "it contains a NUL byte");
            return Err(ExecuteError::Unsendable(error));
        }
        let name = if self.is_kept(what) { self.statements.next_name() } else { String::new() };
        let mut request = self.link.request();
        for stale in self.stale_names.drain(..) {
            request = request.close_statement(&stale)?;
        }
        request.parse(&name, what.sql)?.describe_statement(&name)?.sync();
        Ok(name)
    }

    /// Keeps the statement that was described, and looks up types that the pool has not met.
    pub(super) async fn finish_prepare(
        &mut self,
        what: &Execution<'_>,
        name: String,
        description: Result<Description, ExecuteError>,
    ) -> Result<Arc<Prepared>, ExecuteError> {
        let described = match description {
            Ok(description) => self.understand(what.types, description).await,
            Err(error) => Err(error),
        };
        let is_understood = described.as_ref().is_ok_and(|described| described.is_complete);
        let is_kept = !name.is_empty() && is_understood;
        if !name.is_empty() && !is_kept {
            // It may have been parsed all the same.
            self.stale_names.push(name.clone());
        }
        let Described { parameters, columns, .. } = described?;
        let formats = columns.as_ref().map(Columns::result_formats).unwrap_or_default();
        let columns = columns.map(|columns| Arc::new(columns.with_formats(&formats)));
        let parameters = parameters.into_iter().map(|oid| what.types.resolve(oid)).collect();
        let statement = Arc::new(Prepared { name, parameters, columns, formats });
        if is_kept {
            self.make_room();
            let key = self.statement_key(what.sql).into_owned();
            self.statements.insert(key, Arc::clone(&statement));
        }
        Ok(statement)
    }

    /// Reads the replies to Parse and Describe.
    pub(super) async fn read_description(&mut self) -> Result<Description, ExecuteError> {
        let mut description = Description::default();
        let mut error = None;
        loop {
            let frame = self.link.next().await.map_err(not_executed)?;
            match frame.tag {
                tag::PARAMETER_DESCRIPTION => description.parameters = parameter_types(frame.body),
                tag::ROW_DESCRIPTION => description.result = Some(BytesMut::from(frame.body)),
                tag::ERROR_RESPONSE => error = Some(Box::new(ServerError::from_body(frame.body))),
                tag::READY_FOR_QUERY => break,
                tag::PARSE_COMPLETE | tag::CLOSE_COMPLETE | tag::NO_DATA => {}
                _ => return Err(not_executed(self.link.out_of_step())),
            }
        }
        error.map_or(Ok(description), |error| Err(ExecuteError::Server(error)))
    }

    async fn understand(
        &mut self,
        types: &TypeCatalogue,
        description: Description,
    ) -> Result<Described, ExecuteError> {
        let Description { parameters, result } = description;
        let mut oids = parameters.clone();
        if let Some(body) = &result {
            oids.extend(Columns::type_oids(body).map_err(SinkError::from)?);
        }
        self.learn_types(types, &oids).await?;
        let columns = match result {
            Some(body) => Some(Columns::parse(&body, types).map_err(SinkError::from)?),
            None => None,
        };
        // In a failed transaction nothing can be looked up.
        let is_complete = self.link.status() != TransactionStatus::Failed
            || types.missing(oids.iter().copied()).is_empty();
        Ok(Described { parameters, columns, is_complete })
    }

    /// Looks up those of `oids` that the pool does not know. On this connection, not on the
    /// housekeeping one: a type may have been created in the transaction that is open here.
    pub(super) async fn learn_types(
        &mut self,
        types: &TypeCatalogue,
        oids: &[u32],
    ) -> Result<(), ExecuteError> {
        let missing = types.missing(oids.iter().copied());
        if missing.is_empty() || self.link.status() == TransactionStatus::Failed {
            return Ok(());
        }
        let list = missing.iter().map(u32::to_string).collect::<Vec<_>>().join(",");
        let list = format!("{{{list}}}");
        // Under a name, because the caller's own statement may be the unnamed one. The first Close
        // takes away what a look-up that failed has left.
        self.link
            .request()
            .close_statement(LOOKUP_NAME)?
            .parse(LOOKUP_NAME, LOOKUP_SQL)?
            .bind(LOOKUP_NAME, 1, &[], |out| -> io::Result<()> {
                out.put_i32(i32::try_from(list.len()).unwrap_or_default());
                out.put_slice(list.as_bytes());
                Ok(())
            })?
            .execute()?
            .close_statement(LOOKUP_NAME)?
            .sync();
        let mut error = None;
        loop {
            let frame = self.link.next().await.map_err(not_executed)?;
            match frame.tag {
                tag::DATA_ROW => types.learn(frame.body).map_err(SinkError::from)?,
                tag::ERROR_RESPONSE => error = Some(Box::new(ServerError::from_body(frame.body))),
                tag::READY_FOR_QUERY => break,
                _ => {}
            }
        }
        error.map_or(Ok(()), |error| Err(ExecuteError::Server(error)))
    }

    async fn run(
        &mut self,
        statement: &Prepared,
        args: &[Arg],
        sink: &mut dyn SendSink,
        replies: &mut Replies,
    ) -> Result<(), ExecuteError> {
        statement.check_count(args)?;
        if let Some(columns) = &statement.columns {
            sink.begin(columns)?;
        }
        self.queue_run(statement, args)?;
        self.link.request().sync();
        while self.next_reply(statement.columns.as_ref(), sink, replies).await? {}
        // A CopyFail that came too late leaves a second ReadyForQuery on its way.
        self.tainted |= replies.copy_in && !replies.copy_was_refused();
        Ok(())
    }

    /// Queues Bind and Execute; the number of arguments has been checked.
    pub(super) fn queue_run(
        &mut self,
        statement: &Prepared,
        args: &[Arg],
    ) -> Result<(), ExecuteError> {
        self.link
            .request()
            .bind(&statement.name, args.len(), &statement.formats, |out| {
                write_params(statement, args, out)
            })?
            .execute()?;
        Ok(())
    }

    /// Reads one reply; `false` after ReadyForQuery.
    pub(super) async fn next_reply(
        &mut self,
        columns: Option<&Arc<Columns>>,
        sink: &mut dyn SendSink,
        replies: &mut Replies,
    ) -> Result<bool, ExecuteError> {
        let limit = self.link.max_message();
        let frame = match self.link.next().await {
            Ok(frame) => frame,
            Err(error) => {
                // Without the Sync at its end the batch is not committed.
                let progress = match (replies.tag.is_some(), self.link.has_unsent()) {
                    (_, true) => Progress::NotSent,
                    (true, false) => Progress::Completed,
                    (false, false) => Progress::Sent,
                };
                return Err(ExecuteError::Lost { error, progress });
            }
        };
        match frame.tag {
            tag::DATA_ROW if replies.sink_error.is_none() => {
                let delivered = match (frame.oversized, columns) {
                    (Some(_), _) => Err(SinkError::TooLarge { limit }),
                    (None, Some(columns)) => sink.row(columns, frame.body),
                    (None, None) => Ok(()),
                };
                replies.sink_error = delivered.err().map(ExecuteError::Sink);
            }
            tag::COMMAND_COMPLETE => replies.tag = Some(CommandTag::parse(frame.body)),
            tag::PORTAL_SUSPENDED => replies.suspended = true,
            tag::EMPTY_QUERY_RESPONSE => replies.tag = Some(CommandTag::default()),
            tag::ERROR_RESPONSE => {
                replies.error = Some(Box::new(ServerError::from_body(frame.body)));
            }
            tag::COPY_IN_RESPONSE => {
                replies.sink_error = Some(ExecuteError::Copy);
                replies.copy_in = true;
                self.link.request().copy_fail(COPY_REFUSAL, true)?;
            }
            tag::COPY_OUT_RESPONSE => replies.sink_error = Some(ExecuteError::Copy),
            tag::READY_FOR_QUERY => return Ok(false),
            tag::BIND_COMPLETE => replies.bound = true,
            tag::DATA_ROW | tag::COPY_DATA | tag::COPY_DONE => {}
            _ => {
                let error = self.link.out_of_step();
                return Err(ExecuteError::Lost { error, progress: Progress::Sent });
            }
        }
        Ok(true)
    }
}

impl Replies {
    /// Notes what the sink said.
    pub(super) fn note_sink(&mut self, said: Result<(), SinkError>) {
        self.sink_error = said.err().map(ExecuteError::Sink);
    }

    /// Whether there are more rows.
    pub(super) fn is_suspended(&self) -> bool {
        self.suspended
    }

    /// Whether the statement has run to its end.
    pub(super) fn is_complete(&self) -> bool {
        self.tag.is_some() && self.error.is_none()
    }

    /// Whether the error only says that a cached statement is out of date. Bind raises both,
    /// before anything runs; the same errors out of a running statement are the caller's.
    pub(super) fn statement_is_stale(&self) -> bool {
        let Some(error) = self.error.as_ref().filter(|_| !self.bound) else { return false };
        is_stale(error)
    }

    /// Whether COPY FROM STDIN ended by our own CopyFail, which the server quotes.
    fn copy_was_refused(&self) -> bool {
        self.error.as_ref().is_some_and(|error| error.message.contains(COPY_REFUSAL))
    }

    pub(super) fn into_result(self) -> Result<Outcome, ExecuteError> {
        match (self.sink_error, self.error) {
            // COPY FROM: the server's error only repeats our CopyFail.
            (Some(error @ ExecuteError::Copy), _) => Err(error),
            (_, Some(error)) => Err(ExecuteError::Server(error)),
            (Some(error), None) => Err(error),
            (None, None) => Ok(Outcome { tag: self.tag.unwrap_or_default() }),
        }
    }
}

/// Whether an error of Bind only says that a cached statement is out of date.
pub(super) fn is_stale(error: &ServerError) -> bool {
    error.is_stale_plan() || error.code == SqlState::INVALID_STATEMENT_NAME
}

/// A connection lost before Bind: the statement itself was never started.
pub(super) fn not_executed(error: LinkError) -> ExecuteError {
    ExecuteError::Lost { error, progress: Progress::NotSent }
}

impl Prepared {
    pub(super) fn check_count(&self, args: &[Arg]) -> Result<(), ExecuteError> {
        let (expected, given) = (self.parameters.len(), args.len());
        let is_right = expected == given;
        is_right.then_some(()).ok_or(ExecuteError::ArgumentCount { expected, given })
    }
}

pub(super) fn write_params(
    statement: &Prepared,
    args: &[Arg],
    out: &mut BytesMut,
) -> Result<(), ExecuteError> {
    for (index, (arg, ty)) in args.iter().zip(&statement.parameters).enumerate() {
        let start = out.len();
        out.put_i32(-1);
        if encode_param(arg, ty, index + 1, out)?.is_null() {
            continue;
        }
        let len = i32::try_from(out.len() - start - 4)
            .map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "a value exceeds 2 GiB"))?;
        if let Some(place) = out.get_mut(start..start + 4) {
            place.copy_from_slice(&len.to_be_bytes());
        }
    }
    Ok(())
}

/// Type oids of a ParameterDescription.
fn parameter_types(body: &[u8]) -> Vec<u32> {
    let (_, oids) = body.split_at(body.len().min(2));
    oids.chunks_exact(4).filter_map(|oid| oid.try_into().ok().map(u32::from_be_bytes)).collect()
}
