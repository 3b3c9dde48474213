//! `pgpool.ExecuteBatch`: several statements in one call, each by itself or all or none of them.

use std::fmt;
use std::time::{Duration, Instant};

use goridge_framing::Codec;
use goridge_framing::fields::Entries;
use pool_manager::values::{Arg, Args, MAX_ARG_VALUES, RowStyle};
use pool_manager::{Batch, BatchEnd, BatchResults, CommandTag, Error, SqlState, Statement};
use serde::de::{self, Deserialize, Deserializer, SeqAccess, Visitor};

use super::logged::log;
use super::place::{Place, Wish, place};
use super::request::{self, SettingValue};
use crate::rpc::document::Document;
use crate::rpc::reply::Reply;
use crate::rpc::result::{ResultWriter, too_large};
use crate::rpc::service::Context;

/// Most statements of one batch.
const MAX_STATEMENTS: usize = 1000;
/// Kept free for what every statement is at least answered, whatever the others take.
const SHORTEST_ANSWER: usize = 512;

goridge_framing::request_fields! {
    /// Request of ExecuteBatch.
    pub(in crate::rpc) struct ExecuteBatchRequest {
        /// Pool name; "primary" when absent.
        database: Option<String>,
        /// The statements, in order.
        statements: Option<Statements>,
        /// All or none of them.
        atomic: Option<bool>,
        /// Milliseconds for all of them; 0 = configured, -1 = none.
        timeout: Option<i64>,
        /// Transaction to run in.
        tx_id: Option<String>,
        /// Session to run in.
        session_id: Option<String>,
        /// "assoc" or "rows".
        result: Option<String>,
        /// "native" or "text".
        types: Option<String>,
        /// Settings for these statements.
        settings: Option<Entries<SettingValue>>,
        /// "auto", "primary" or "replica".
        route: Option<String>,
        /// Echoed.
        request_id: Option<String>,
    }
}

goridge_framing::request_fields! {
    /// One statement.
    struct BatchStatement {
        /// SQL text with `$1`, `$2`, ….
        query: Option<String>,
        /// Positional arguments.
        args: Option<Args>,
    }
}

/// The statements of a batch, bounded in number and in what their arguments hold.
pub(in crate::rpc) struct Statements(Vec<BatchStatement>);

impl<'de> Deserialize<'de> for Statements {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(StatementsVisitor)
    }
}

struct StatementsVisitor;

impl<'de> Visitor<'de> for StatementsVisitor {
    type Value = Statements;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of statements, each a map with query and args")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Statements, A::Error> {
        let (mut statements, mut values) = (Vec::new(), 0);
        while let Some(statement) = seq.next_element::<BatchStatement>()? {
            if statements.len() == MAX_STATEMENTS {
                return Err(de::Error::custom(format_args!(
                    "a batch holds at most {MAX_STATEMENTS} statements"
                )));
            }
            values += statement.args.as_ref().map_or(0, Args::values);
            if values > MAX_ARG_VALUES {
                return Err(de::Error::custom(format_args!(
                    "the arguments hold more than {MAX_ARG_VALUES} values"
                )));
            }
            statements.push(statement);
        }
        Ok(Statements(statements))
    }
}

pub(in crate::rpc) async fn execute_batch(
    context: &Context<'_>,
    request: ExecuteBatchRequest,
    mut reply: Reply<'_>,
) {
    let started = Instant::now();
    let request_id = request.request_id.clone();
    if let Err(error) = run(context, request, &mut reply).await {
        reply.restart();
        reply.error_with_detail(&error);
    }
    reply.time(started.elapsed());
    reply.finish(request_id.as_deref());
}

async fn run(
    context: &Context<'_>,
    request: ExecuteBatchRequest,
    reply: &mut Document,
) -> Result<(), Error> {
    context.admit()?;
    let given = request.statements.map(|statements| statements.0).unwrap_or_default();
    let statements = texts(&given)?;
    let settings = request::settings(request.settings)?;
    let atomic = request.atomic.unwrap_or(false);
    let limit = request::time_limit(request.timeout)?;
    let batch = Batch { statements: &statements, atomic, settings: &settings, limit };
    let style = request::style(request.result.as_deref(), request.types.as_deref(), reply.codec())?;
    let names = (request.tx_id.as_deref(), request.session_id.as_deref());
    let (database, route) = (request.database.as_deref(), request.route.as_deref());
    let wish = Wish { database, names, route };
    let (place, _writing) = place(context, &wish, statements.iter().map(|(sql, _)| *sql)).await?;
    let mut results = Results::new(context, reply, style, &batch, &place);
    let end = match &place {
        Place::Held(kind, name) => {
            context.service.held.execute_batch(*kind, name, &batch, &mut results).await?
        }
        Place::Pool(pool) => pool.execute_batch(&batch, &mut results).await?,
    };
    let Results { finished, errors, .. } = results;
    if let BatchEnd::Failed(index) = end
        && let Some(Some(error)) = errors.get(index)
    {
        reply.error_with_detail(error).field("failed", &index);
    }
    reply.documents("results", &finished);
    Ok(())
}

fn texts(given: &[BatchStatement]) -> Result<Vec<(&str, &[Arg])>, Error> {
    let mut statements = Vec::with_capacity(given.len());
    for (index, one) in given.iter().enumerate() {
        let query = one.query.as_deref().filter(|query| !query.is_empty()).ok_or_else(|| {
            Error::refused(
                SqlState::INVALID_PARAMETER_VALUE,
                format!("query of statement {index} is missing or empty"),
            )
        })?;
        statements.push((query, one.args.as_ref().map_or(&[][..], |args| &args.0[..])));
    }
    if statements.is_empty() {
        return Err(Error::refused(
            SqlState::INVALID_PARAMETER_VALUE,
            "statements is missing or empty",
        ));
    }
    Ok(statements)
}

/// The results, each a document of its own until all are there.
struct Results<'a> {
    context: &'a Context<'a>,
    place: &'a Place<'a>,
    batch: &'a Batch<'a>,
    codec: Codec,
    style: RowStyle,
    max_frame_size: usize,
    /// What all of them may take together.
    room: usize,
    current: ResultWriter<Box<Document>>,
    finished: Vec<Vec<u8>>,
    /// Of a batch that is all or nothing: why it has failed.
    errors: Vec<Option<Error>>,
}

impl<'a> Results<'a> {
    fn new(
        context: &'a Context<'a>,
        reply: &Document,
        style: RowStyle,
        batch: &'a Batch<'a>,
        place: &'a Place<'a>,
    ) -> Self {
        let (codec, max_frame_size) = (reply.codec(), reply.max_frame_size());
        let room = reply.room_left();
        let document = Document::begin(Vec::new(), codec, 0, 0, max_frame_size);
        let current = ResultWriter::new(Box::new(document), style);
        let finished = vec![Vec::new(); batch.statements.len()];
        let errors = batch.statements.iter().map(|_| None).collect();
        Self {
            context,
            place,
            batch,
            codec,
            style,
            max_frame_size,
            room,
            current,
            finished,
            errors,
        }
    }

    /// A new document for the result at `index`: the others keep what they have, or the least that
    /// they need.
    fn document(&self, index: usize) -> Box<Document> {
        let others = self.finished.iter().enumerate().filter(|(other, _)| *other != index);
        let taken: usize = others.map(|(_, document)| document.len().max(SHORTEST_ANSWER)).sum();
        let room = self.room.saturating_sub(taken).max(SHORTEST_ANSWER);
        let tail = SHORTEST_ANSWER / 2;
        Box::new(Document::begin(Vec::new(), self.codec, room, tail, self.max_frame_size))
    }

    fn write(&mut self, index: usize, result: &Result<CommandTag, Error>, took: Duration) {
        let fresh = ResultWriter::new(self.document(index), self.style);
        let written = match result {
            Ok(tag) => std::mem::replace(&mut self.current, fresh).finish().map(|mut document| {
                document.field("rows_affected", &tag.rows_affected());
                document
            }),
            Err(error) => {
                let mut document = self.document(index);
                document.error_with_detail(error).field("rows_affected", &0);
                Ok(document)
            }
        };
        let written = written.and_then(|mut document| {
            document.time(took);
            document.take_failure().map_or(Ok(document), Err)
        });
        let document = written.unwrap_or_else(|failure| {
            // Of a long message nothing but its begin may fit.
            let error = match result {
                Ok(_) => too_large(&failure),
                Err(error) => Error::refused(error.sqlstate(), short(&error.to_string())),
            };
            let mut document = self.document(index);
            document.error(&error).field("rows_affected", &0);
            document
        });
        if let Some(place) = self.finished.get_mut(index) {
            *place = document.end();
        }
    }
}

/// The begin of a message.
fn short(message: &str) -> String {
    message.chars().take(SHORTEST_ANSWER / 8).collect()
}

impl BatchResults for Results<'_> {
    type Sink = ResultWriter<Box<Document>>;

    fn rows(&mut self, index: usize) -> &mut Self::Sink {
        self.current = ResultWriter::new(self.document(index), self.style);
        &mut self.current
    }

    fn ended(&mut self, index: usize, result: Result<CommandTag, Error>, took: Duration) {
        if let Some((sql, args)) = self.batch.statements.get(index) {
            let statement = Statement::new(sql, args);
            log(self.context, self.place, &statement, took, Some(took), result.as_ref().err());
        }
        self.write(index, &result, took);
        if let Some(place) = self.errors.get_mut(index)
            && self.batch.atomic
        {
            *place = result.err();
        }
    }
}
