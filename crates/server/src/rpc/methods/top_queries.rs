//! `pgpool.TopQueries`: the statements that a database spends its time on, as both doors have counted
//! them, by their text without constants.

use pool_manager::{Error, PRIMARY, SqlState, StatementOrder};

use super::request;
use crate::monitoring::top::{ORDERS, TopStatement, top_statements};
use crate::rpc::reply::Reply;
use crate::rpc::service::Context;

/// Statements when nothing else is said, and the most that are.
const DEFAULT_LIMIT: i64 = 20;
const MAX_LIMIT: i64 = 1000;

goridge_framing::request_fields! {
    /// Request of TopQueries.
    pub(in crate::rpc) struct TopQueriesRequest {
        /// Database; "primary" when absent, "*" for all.
        database: Option<String>,
        /// How many of them.
        limit: Option<i64>,
        /// What they are sorted by: "total", "calls", "mean", "p99", "rows" or "errors".
        order: Option<String>,
        /// Echoed.
        request_id: Option<String>,
    }
}

pub(in crate::rpc) fn top_queries(
    context: &Context<'_>,
    request: &TopQueriesRequest,
    mut reply: Reply<'_>,
) {
    match collect(context, request) {
        Ok(queries) => reply.field("queries", &queries),
        Err(error) => reply.field("queries", &[(); 0]).error(&error),
    };
    reply.finish(request.request_id.as_deref());
}

fn collect(context: &Context<'_>, request: &TopQueriesRequest) -> Result<Vec<TopStatement>, Error> {
    let options = &context.live.options;
    if !options.expose_stats {
        return Err(Error::refused(
            SqlState::FEATURE_NOT_SUPPORTED,
            "TopQueries over RPC is switched off (monitoring.expose_rpc)",
        ));
    }
    if !options.counts_statements {
        return Err(Error::refused(
            SqlState::FEATURE_NOT_SUPPORTED,
            "statements are not counted one by one (monitoring.top_statements, monitoring.enabled)",
        ));
    }
    let order = request::choice("order", request.order.as_deref(), &ORDERS, StatementOrder::Total)?;
    // Protobuf has no other word for "not given".
    let limit = request.limit.filter(|limit| *limit != 0).unwrap_or(DEFAULT_LIMIT);
    let limit = usize::try_from(limit).ok().filter(|_| limit <= MAX_LIMIT).ok_or_else(|| {
        Error::refused(
            SqlState::INVALID_PARAMETER_VALUE,
            format!("limit is {limit}: give a number from 1 to {MAX_LIMIT}"),
        )
    })?;
    let name = request::database(request.database.as_deref()).unwrap_or(PRIMARY);
    let registry = &context.live.registry;
    let database = match name {
        "*" => None,
        name => Some(registry.database(name)?.name()),
    };
    Ok(top_statements(registry, database, order, limit))
}
