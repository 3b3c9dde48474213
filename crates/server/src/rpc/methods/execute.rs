//! `pgpool.Execute`: one statement, by itself or in a transaction or session.

use std::time::Instant;

use goridge_framing::fields::Entries;
use pool_manager::values::Args;
use pool_manager::{CommandTag, Error, Statement};

use super::cached::{self, CacheWord, cache_wish};
use super::logged::log;
use super::place::{Place, Wish, place};
use super::request::{self, SettingValue};
use crate::rpc::reply::Reply;
use crate::rpc::result::{ResultWriter, too_large};
use crate::rpc::service::Context;

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
        /// "auto", "primary" or "replica".
        route: Option<String>,
        /// How old an answer from memory may be, milliseconds; 0 = none from there, -1 = as configured.
        cache_ttl: Option<i64>,
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
        Ok((tag, cached)) => {
            reply.field("rows_affected", &tag.rows_affected());
            if let Some(word) = cached {
                reply.field("cache", word);
            }
        }
        Err(error) => {
            reply.restart();
            reply.error_with_detail(&error).field("rows_affected", &0);
        }
    }
    reply.time(took);
    reply.finish(request_id.as_deref());
}

async fn run(
    context: &Context<'_>,
    request: ExecuteRequest,
    reply: &mut Reply<'_>,
) -> Result<(CommandTag, CacheWord), Error> {
    context.admit()?;
    let query = request::required("query", request.query.as_deref())?;
    let settings = request::settings(request.settings)?;
    let statement = Statement {
        sql: query,
        args: request.args.as_ref().map_or(&[], |args| &args.0),
        settings: &settings,
        limit: request::time_limit(request.timeout)?,
        simple: request.simple.unwrap_or(false),
    };
    let style = request::style(request.result.as_deref(), request.types.as_deref(), reply.codec())?;
    let cache = cache_wish(request.cache_ttl)?;
    let names = (request.tx_id.as_deref(), request.session_id.as_deref());
    let (database, route) = (request.database.as_deref(), request.route.as_deref());
    let wish = Wish { database, names, route };
    let (place, _writing) = place(context, &wish, std::iter::once(query)).await?;
    let started = Instant::now();
    let mut rows = ResultWriter::new(&mut **reply, style);
    let (result, cached) = match &place {
        Place::Held(kind, name) => {
            (context.service.held.execute(*kind, name, &statement, &mut rows).await, None)
        }
        Place::Pool(pool) => {
            cached::execute(context, pool, database, cache, &statement, &mut rows).await
        }
    };
    let took = rows.took();
    log(context, &place, &statement, started.elapsed(), took, result.as_ref().err());
    let tag = result?;
    rows.finish().map(|_| (tag, cached)).map_err(|error| too_large(&error))
}
