//! `pgpool.HealthCheck`.

use std::collections::BTreeMap;

use futures_util::future::join_all;
use pool_manager::PRIMARY;

use super::request;
use crate::rpc::reply::Reply;
use crate::rpc::service::Context;

goridge_framing::request_fields! {
    /// Request of HealthCheck.
    pub(in crate::rpc) struct HealthCheckRequest {
        /// Pool name; "primary" when absent, "*" for all.
        database: Option<String>,
        /// Echoed.
        request_id: Option<String>,
    }
}

pub(in crate::rpc) async fn health_check(
    context: &Context<'_>,
    request: HealthCheckRequest,
    mut reply: Reply<'_>,
) {
    let database = request::database(request.database.as_deref()).unwrap_or(PRIMARY);
    match context.live.registry.select(database) {
        Ok(pools) => {
            let checks =
                pools.iter().map(|pool| async { (pool.name(), pool.health_check().await) });
            let results = join_all(checks).await;
            let health: BTreeMap<_, _> =
                results.iter().map(|(name, result)| (*name, result.is_ok())).collect();
            let errors: BTreeMap<_, _> = results
                .iter()
                .filter_map(|(name, result)| Some((*name, result.as_ref().err()?.to_string())))
                .collect();
            reply.field("health", &health);
            if !errors.is_empty() {
                reply.field("errors", &errors);
            }
        }
        Err(error) => {
            reply
                .field("health", &BTreeMap::from([(database, false)]))
                .field("errors", &BTreeMap::from([(database, error.to_string())]))
                .error(&error);
        }
    }
    reply.finish(request.request_id.as_deref());
}
