//! `pgpool.TransactionBegin`.

use goridge_framing::fields::Entries;
use pool_manager::{Error, IsolationLevel, TransactionOptions, parse_isolation};

use super::place::place_to_hold;
use super::request::{self, SettingValue};
use crate::rpc::reply::Reply;
use crate::rpc::service::Context;

goridge_framing::request_fields! {
    /// Request of TransactionBegin.
    pub(in crate::rpc) struct TransactionBeginRequest {
        /// Pool name; "primary" when absent.
        database: Option<String>,
        /// Id of the caller's choice; a random one when absent or empty.
        tx_id: Option<String>,
        /// "read_committed", "repeatable_read", "serializable".
        isolation_level: Option<String>,
        /// READ ONLY.
        read_only: Option<bool>,
        /// DEFERRABLE.
        deferrable: Option<bool>,
        /// Settings for the whole transaction.
        settings: Option<Entries<SettingValue>>,
        /// Milliseconds between two calls.
        idle_timeout: Option<i64>,
        /// Milliseconds from the begin.
        max_lifetime: Option<i64>,
        /// "auto", "primary" or "replica".
        route: Option<String>,
        /// Echoed.
        request_id: Option<String>,
    }
}

pub(in crate::rpc) async fn transaction_begin(
    context: &Context<'_>,
    request: TransactionBeginRequest,
    mut reply: Reply<'_>,
) {
    let request_id = request.request_id.clone();
    match begin(context, request).await {
        Ok(tx_id) => reply.field("tx_id", &tx_id),
        Err(error) => reply.error(&error),
    };
    reply.finish(request_id.as_deref());
}

async fn begin(context: &Context<'_>, request: TransactionBeginRequest) -> Result<String, Error> {
    context.admit()?;
    let service = context.service;
    let level = request.isolation_level.as_deref().filter(|level| !level.is_empty());
    let options = TransactionOptions {
        isolation: level.map(parse_isolation).transpose()?,
        read_only: request.read_only.unwrap_or(false),
        deferrable: request.deferrable.unwrap_or(false),
        settings: request::settings(request.settings)?,
    };
    let limits = request::held_limits(
        context.live.options.held,
        request.idle_timeout,
        request.max_lifetime,
    )?;
    let (database, route) = (request.database.as_deref(), request.route.as_deref());
    // No replica has serializable transactions.
    let can_leave = options.read_only && options.isolation != Some(IsolationLevel::Serializable);
    let (pool, _writing) = place_to_hold(context, database, can_leave, route).await?;
    let name = request.tx_id.as_deref().filter(|name| !name.is_empty());
    service.held.begin_transaction(pool, context.owner, name, &options, limits).await
}
