//! `pgpool.Version`.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::timeout;

use crate::rpc::reply::Reply;
use crate::rpc::service::{Context, FEATURES};

/// How long a server may take to tell its version.
const PATIENCE: Duration = Duration::from_secs(2);

goridge_framing::request_fields! {
    /// Request of Version.
    pub(in crate::rpc) struct VersionRequest {
        /// Echoed.
        request_id: Option<String>,
    }
}

pub(in crate::rpc) async fn version(
    context: &Context<'_>,
    request: VersionRequest,
    mut reply: Reply<'_>,
) {
    let asked = context.live.registry.iter().map(|pool| async {
        // A server that cannot be reached has no version: null.
        let version = timeout(PATIENCE, pool.server_version()).await.ok().and_then(Result::ok);
        (pool.name(), version)
    });
    let databases: BTreeMap<_, _> = join_all(asked).await.into_iter().collect();
    reply
        .field("version", env!("CARGO_PKG_VERSION"))
        .field("features", &FEATURES)
        .field("databases", &databases);
    reply.finish(request.request_id.as_deref());
}
