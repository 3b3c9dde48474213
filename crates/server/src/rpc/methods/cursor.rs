//! `pgpool.CursorOpen`, `pgpool.CursorFetch` and `pgpool.CursorClose`: results of any size, a few
//! rows at a time.

use std::time::Instant;

use goridge_framing::Codec;
use goridge_framing::fields::Entries;
use pool_manager::values::{Args, RowShape, RowStyle, ValueStyle};
use pool_manager::{CursorId, Error, SqlState, Statement};

use super::logged::log;
use super::place::{Place, Wish, place};
use super::request::{self, SettingValue};
use super::transaction_end::report;
use crate::rpc::document::Document;
use crate::rpc::reply::Reply;
use crate::rpc::result::{ResultWriter, too_large};
use crate::rpc::service::Context;

/// Rows of one fetch when nothing else is said.
const DEFAULT_COUNT: i64 = 1000;
/// Most rows of one fetch.
const MAX_COUNT: i64 = 1_000_000;
/// In front of a cursor's id: how its rows are written.
const STYLES: [(char, RowShape, ValueStyle); 4] = [
    ('a', RowShape::Assoc, ValueStyle::Native),
    ('b', RowShape::Assoc, ValueStyle::Text),
    ('r', RowShape::List, ValueStyle::Native),
    ('l', RowShape::List, ValueStyle::Text),
];

goridge_framing::request_fields! {
    /// Request of CursorOpen.
    pub(in crate::rpc) struct CursorOpenRequest {
        /// Pool name; "primary" when absent.
        database: Option<String>,
        /// SQL text with `$1`, `$2`, ….
        query: Option<String>,
        /// Positional arguments.
        args: Option<Args>,
        /// Milliseconds; 0 = configured, -1 = none.
        timeout: Option<i64>,
        /// Transaction to open it in.
        tx_id: Option<String>,
        /// Session to open it in.
        session_id: Option<String>,
        /// "assoc" or "rows".
        result: Option<String>,
        /// "native" or "text".
        types: Option<String>,
        /// Settings for as long as it is open.
        settings: Option<Entries<SettingValue>>,
        /// Milliseconds between two calls.
        idle_timeout: Option<i64>,
        /// Milliseconds from the opening.
        max_lifetime: Option<i64>,
        /// "auto", "primary" or "replica".
        route: Option<String>,
        /// Echoed.
        request_id: Option<String>,
    }
}

goridge_framing::request_fields! {
    /// Request of CursorFetch.
    pub(in crate::rpc) struct CursorFetchRequest {
        /// The cursor.
        cursor_id: Option<String>,
        /// Rows, at most.
        count: Option<i64>,
        /// Milliseconds; 0 = configured, -1 = none.
        timeout: Option<i64>,
        /// Echoed.
        request_id: Option<String>,
    }
}

goridge_framing::request_fields! {
    /// Request of CursorClose.
    pub(in crate::rpc) struct CursorCloseRequest {
        /// The cursor.
        cursor_id: Option<String>,
        /// Echoed.
        request_id: Option<String>,
    }
}

pub(in crate::rpc) async fn cursor_open(
    context: &Context<'_>,
    request: CursorOpenRequest,
    mut reply: Reply<'_>,
) {
    let request_id = request.request_id.clone();
    if let Err(error) = open(context, request, &mut reply).await {
        reply.restart();
        reply.error_with_detail(&error);
    }
    reply.finish(request_id.as_deref());
}

async fn open(
    context: &Context<'_>,
    request: CursorOpenRequest,
    reply: &mut Document,
) -> Result<(), Error> {
    context.admit()?;
    let service = context.service;
    let settings = request::settings(request.settings)?;
    let statement = Statement {
        sql: request::required("query", request.query.as_deref())?,
        args: request.args.as_ref().map_or(&[], |args| &args.0),
        settings: &settings,
        limit: request::time_limit(request.timeout)?,
        simple: false,
    };
    let style = request::style(request.result.as_deref(), request.types.as_deref(), reply.codec())?;
    let names = (request.tx_id.as_deref(), request.session_id.as_deref());
    let (database, route) = (request.database.as_deref(), request.route.as_deref());
    let wish = Wish { database, names, route };
    let (place, _writing) = place(context, &wish, std::iter::once(statement.sql)).await?;
    let started = Instant::now();
    let opened = match &place {
        Place::Held(kind, name) => service.held.open_cursor_in(*kind, name, &statement).await,
        Place::Pool(pool) => {
            let (idle, lifetime) = (request.idle_timeout, request.max_lifetime);
            let limits = request::held_limits(context.live.options.held, idle, lifetime)?;
            service.held.open_cursor(pool, context.owner, &statement, limits).await
        }
    };
    // Of this time it is not known how much was spent waiting.
    let took = started.elapsed();
    log(context, &place, &statement, took, Some(took), opened.as_ref().err());
    let (id, columns) = opened?;
    let known = STYLES.iter().find(|known| (known.1, known.2) == (style.shape, style.values));
    let letter = known.map_or('a', |known| known.0);
    reply.field("cursor_id", &format!("{letter}{id}")).field("columns", &*columns);
    Ok(())
}

/// What the id of a cursor stands for.
fn cursor(id: Option<&str>) -> Result<(CursorId, RowStyle), Error> {
    let text = request::required("cursor_id", id)?;
    let mut letters = text.chars();
    let letter = letters.next();
    let known = STYLES.iter().find(|known| Some(known.0) == letter).ok_or_else(|| {
        let shown: String = text.chars().take(64).collect();
        Error::refused(SqlState::INVALID_CURSOR_NAME, format!("no cursor has the id {shown:?}"))
    })?;
    let style = RowStyle { shape: known.1, values: known.2 };
    Ok((CursorId::parse(letters.as_str())?, style))
}

pub(in crate::rpc) async fn cursor_fetch(
    context: &Context<'_>,
    request: CursorFetchRequest,
    mut reply: Reply<'_>,
) {
    let started = Instant::now();
    match fetch(context, &request, &mut reply).await {
        Ok(done) => {
            reply.field("done", &done);
        }
        Err(error) => {
            reply.restart();
            reply.error_with_detail(&error);
        }
    }
    reply.time(started.elapsed());
    reply.finish(request.request_id.as_deref());
}

async fn fetch(
    context: &Context<'_>,
    request: &CursorFetchRequest,
    reply: &mut Document,
) -> Result<bool, Error> {
    context.admit()?;
    let (id, mut style) = cursor(request.cursor_id.as_deref())?;
    // Whoever opened it may have spoken another codec.
    if reply.codec().converts() {
        style.values = ValueStyle::Text;
    }
    if reply.codec() == Codec::Proto {
        style.shape = RowShape::List;
    }
    let count = match request.count.unwrap_or(0) {
        0 => DEFAULT_COUNT,
        count if (1..=MAX_COUNT).contains(&count) => count,
        count => {
            return Err(Error::refused(
                SqlState::INVALID_PARAMETER_VALUE,
                format!("count is {count}: fetch 1 to {MAX_COUNT} rows at a time"),
            ));
        }
    };
    let limit = request::time_limit(request.timeout)?;
    let mut rows = ResultWriter::new(reply, style);
    let held = &context.service.held;
    let count = u32::try_from(count).unwrap_or_default();
    let done = held.fetch_cursor(&id, count, limit, &mut rows).await?;
    // The columns were told when it was opened.
    rows.finish_rows().map_err(|error| too_large(&error))?;
    Ok(done)
}

pub(in crate::rpc) async fn cursor_close(
    context: &Context<'_>,
    request: CursorCloseRequest,
    reply: Reply<'_>,
) {
    let result = match cursor(request.cursor_id.as_deref()) {
        Ok((id, _)) => context.service.held.close_cursor(&id).await,
        Err(error) => Err(error),
    };
    report(&result, request.request_id.as_deref(), reply);
}
