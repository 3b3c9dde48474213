//! `pgpool.Execute`: one statement, by itself or in a transaction or session.

use std::fmt;
use std::time::{Duration, Instant};

use goridge_framing::fields::Entries;
use goridge_framing::{Codec, WriteError};
use pool_manager::classify::mask_literals;
use pool_manager::values::{Arg, Args, RowShape, RowStyle, ValueStyle};
use pool_manager::{CommandTag, Error, HeldKind, PRIMARY, SqlState, Statement};

use super::request::{self, SettingValue};
use crate::rpc::document::Document;
use crate::rpc::reply::Reply;
use crate::rpc::result::ResultWriter;
use crate::rpc::service::Context;

/// Longest part of a statement in a log entry, bytes.
const MAX_LOGGED_TEXT: usize = 8 * 1024;

goridge_framing::request_fields! {
    /// Request of Execute.
    pub(in crate::rpc) struct ExecuteRequest {
        /// Pool name; "primary" when absent.
        database: Option<String>,
        /// SQL text with `$1`, `$2`, ….
        query: Option<String>,
        /// Positional arguments.
        args: Option<Args>,
        /// Milliseconds; 0 = configured, -1 = none.
        timeout: Option<i64>,
        /// Transaction to run in.
        tx_id: Option<String>,
        /// Session to run in.
        session_id: Option<String>,
        /// "assoc" or "rows".
        result: Option<String>,
        /// "native" or "text".
        types: Option<String>,
        /// Settings for this call.
        settings: Option<Entries<SettingValue>>,
        /// Simple protocol.
        simple: Option<bool>,
        /// Echoed.
        request_id: Option<String>,
    }
}

pub(in crate::rpc) async fn execute(
    context: &Context<'_>,
    request: ExecuteRequest,
    mut reply: Reply<'_>,
) {
    let started = Instant::now();
    let request_id = request.request_id.clone();
    let result = run(context, request, &mut reply).await;
    let took = started.elapsed();
    match result {
        Ok(tag) => {
            reply.field("rows_affected", &tag.rows_affected());
        }
        Err(error) => {
            reply.restart();
            reply.error_with_detail(&error).field("rows_affected", &0);
        }
    }
    write_time(&mut reply, took);
    reply.finish(request_id.as_deref());
}

async fn run(
    context: &Context<'_>,
    request: ExecuteRequest,
    reply: &mut Reply<'_>,
) -> Result<CommandTag, Error> {
    let query = request::required("query", request.query.as_deref())?;
    let settings = request::settings(request.settings)?;
    let statement = Statement {
        sql: query,
        args: request.args.as_ref().map_or(&[], |args| &args.0),
        settings: &settings,
        limit: request::time_limit(request.timeout)?,
        simple: request.simple.unwrap_or(false),
    };
    let style = style(request.result.as_deref(), request.types.as_deref(), reply.codec())?;
    let place = place(request.tx_id.as_deref(), request.session_id.as_deref())?;
    let started = Instant::now();
    let mut rows = ResultWriter::new(&mut **reply, style);
    let result = match place {
        Some((kind, name)) => {
            let held = &context.service.held;
            if let Some(database) = request::database(request.database.as_deref()) {
                held.check_database(kind, name, database)?;
            }
            held.execute(kind, name, &statement, &mut rows).await
        }
        None => {
            let database = request::database(request.database.as_deref()).unwrap_or(PRIMARY);
            let pool = context.service.registry.get_pool(database)?;
            pool.execute(&statement, &mut rows).await
        }
    };
    let took = rows.took();
    log(context, &statement, started.elapsed(), took, result.as_ref().err());
    let tag = result?;
    rows.finish().map(|_| tag).map_err(|error| too_large(&error))
}

/// What is said of a result for which there is no room.
pub(super) fn too_large(error: &WriteError) -> Error {
    Error::refused(SqlState::PROGRAM_LIMIT_EXCEEDED, format!("{error}; fetch less at a time"))
}

/// Writes how long it took.
pub(super) fn write_time(document: &mut Document, took: Duration) {
    // As u64: MessagePack has no 128-bit integers, they would go as binary.
    let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
    document.field("execution_time", &(micros / 1000)).field("execution_time_us", &micros);
}

/// How rows are written. Codecs that are converted to have single values only: what is nested is text
/// there, as PostgreSQL prints it.
pub(super) fn style(
    result: Option<&str>,
    types: Option<&str>,
    codec: Codec,
) -> Result<RowStyle, Error> {
    let shapes = [("assoc", RowShape::Assoc), ("rows", RowShape::List)];
    let styles = [("native", ValueStyle::Native), ("text", ValueStyle::Text)];
    let values = request::choice("types", types, &styles, ValueStyle::Native)?;
    Ok(RowStyle {
        shape: request::choice("result", result, &shapes, RowShape::Assoc)?,
        values: if codec.converts() { ValueStyle::Text } else { values },
    })
}

/// Where to run. An empty id is an error, not "none": a lost id must not run a statement outside
/// its transaction.
pub(super) fn place<'a>(
    tx_id: Option<&'a str>,
    session_id: Option<&'a str>,
) -> Result<Option<(HeldKind, &'a str)>, Error> {
    match (tx_id, session_id) {
        (None, None) => Ok(None),
        (Some(_), Some(_)) => Err(Error::refused(
            SqlState::INVALID_PARAMETER_VALUE,
            "give tx_id or session_id, not both",
        )),
        (tx_id @ Some(_), None) => {
            Ok(Some((HeldKind::Transaction, request::required("tx_id", tx_id)?)))
        }
        (None, session_id) => {
            Ok(Some((HeldKind::Session, request::required("session_id", session_id)?)))
        }
    }
}

/// Logs a statement when that is wanted: every one, or slow ones. A slow one is one that ran for
/// long; waiting for a connection before is told, but blames nobody. Literals are masked and
/// arguments left out unless `log_params` is set.
pub(super) fn log(
    context: &Context<'_>,
    statement: &Statement<'_>,
    total: Duration,
    took: Option<Duration>,
    error: Option<&Error>,
) {
    let options = &context.service.options;
    let slow = options.slow_query.zip(took).is_some_and(|(limit, took)| took >= limit);
    if !slow && !options.log_queries {
        return;
    }
    let start = beginning(statement.sql);
    let sql = if options.log_params { start.to_owned() } else { mask_literals(start) };
    let params = options.log_params.then(|| tracing::field::debug(ShownArgs(statement.args)));
    let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
    let took_us = took.map(micros);
    let wait_us = micros(total.saturating_sub(took.unwrap_or_default()));
    let sqlstate = error.map(|error| error.sqlstate().to_string());
    if slow {
        tracing::warn!(sql, params, took_us, wait_us, sqlstate, "slow query");
    } else {
        tracing::info!(sql, params, took_us, wait_us, sqlstate, "query");
    }
}

/// As much of a statement as a log entry holds. A literal that is cut off is masked as a whole.
fn beginning(sql: &str) -> &str {
    if sql.len() <= MAX_LOGGED_TEXT {
        return sql;
    }
    (0..=MAX_LOGGED_TEXT).rev().find_map(|end| sql.get(..end)).unwrap_or_default()
}

/// Arguments with their values, for `log_params`.
struct ShownArgs<'a>(&'a [Arg]);

impl fmt::Debug for ShownArgs<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(Arg::shown)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_tx_id_is_never_taken_for_none() {
        assert!(place(Some(""), None).is_err());
        assert!(place(None, Some("")).is_err());
        assert!(place(Some("a"), Some("b")).is_err());
        assert!(place(None, None).is_ok_and(|place| place.is_none()));
    }

    #[test]
    fn a_huge_statement_does_not_fill_the_log() {
        let sql = format!("SELECT '{}'", "\u{e9}".repeat(MAX_LOGGED_TEXT));
        assert!(beginning(&sql).len() <= MAX_LOGGED_TEXT);
        assert_eq!(mask_literals(beginning(&sql)), "SELECT ?");
        assert_eq!(beginning("SELECT 1"), "SELECT 1");
    }

    #[test]
    fn time_limits() {
        use pool_manager::TimeLimit;
        assert_eq!(request::time_limit(None).unwrap(), TimeLimit::Configured);
        assert_eq!(request::time_limit(Some(-1)).unwrap(), TimeLimit::None);
        assert!(request::time_limit(Some(-2)).is_err());
        assert!(request::time_limit(Some(i64::MAX)).is_err());
    }
}
