//! `pgpool.SessionBegin` and `pgpool.SessionEnd`: a connection of one's own without a
//! transaction, for what needs a session (LISTEN, temporary tables, advisory locks).

use goridge_framing::fields::Entries;
use pool_manager::Error;

use super::place::place_to_hold;
use super::request::{self, SettingValue};
use super::transaction_end::report;
use crate::rpc::reply::Reply;
use crate::rpc::service::Context;

goridge_framing::request_fields! {
    /// Request of SessionBegin.
    pub(in crate::rpc) struct SessionBeginRequest {
        /// Pool name; "primary" when absent.
        database: Option<String>,
        /// Id of the caller's choice; a random one when absent or empty.
        session_id: Option<String>,
        /// Settings for the whole session.
        settings: Option<Entries<SettingValue>>,
        /// Milliseconds between two calls.
        idle_timeout: Option<i64>,
        /// Milliseconds from the begin.
        max_lifetime: Option<i64>,
        /// Echoed.
        request_id: Option<String>,
    }
}

goridge_framing::request_fields! {
    /// Request of SessionEnd.
    pub(in crate::rpc) struct SessionEndRequest {
        /// The session.
        session_id: Option<String>,
        /// Echoed.
        request_id: Option<String>,
    }
}

pub(in crate::rpc) async fn session_begin(
    context: &Context<'_>,
    request: SessionBeginRequest,
    mut reply: Reply<'_>,
) {
    let request_id = request.request_id.clone();
    match begin(context, request).await {
        Ok(session_id) => reply.field("session_id", &session_id),
        Err(error) => reply.error(&error),
    };
    reply.finish(request_id.as_deref());
}

async fn begin(context: &Context<'_>, request: SessionBeginRequest) -> Result<String, Error> {
    context.admit()?;
    let service = context.service;
    let settings = request::settings(request.settings)?;
    let limits = request::held_limits(
        context.live.options.held,
        request.idle_timeout,
        request.max_lifetime,
    )?;
    let (pool, _writing) = place_to_hold(context, request.database.as_deref(), false, None).await?;
    let name = request.session_id.as_deref().filter(|name| !name.is_empty());
    service.held.begin_session(pool, context.owner, name, &settings, limits).await
}

pub(in crate::rpc) async fn session_end(
    context: &Context<'_>,
    request: SessionEndRequest,
    reply: Reply<'_>,
) {
    let result = match request::required("session_id", request.session_id.as_deref()) {
        Ok(session_id) => context.service.held.end_session(session_id).await,
        Err(error) => Err(error),
    };
    report(&result, request.request_id.as_deref(), reply);
}
