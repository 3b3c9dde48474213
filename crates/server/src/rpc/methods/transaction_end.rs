//! `pgpool.TransactionCommit` and `pgpool.TransactionRollback`.

use pool_manager::{Error, HeldKind};

use super::place::writing_in;
use super::request;
use crate::rpc::reply::Reply;
use crate::rpc::service::Context;

goridge_framing::request_fields! {
    /// Request of both methods.
    pub(in crate::rpc) struct TransactionEndRequest {
        /// The transaction.
        tx_id: Option<String>,
        /// Echoed.
        request_id: Option<String>,
    }
}

pub(in crate::rpc) async fn transaction_commit(
    context: &Context<'_>,
    request: TransactionEndRequest,
    reply: Reply<'_>,
) {
    let result = match request::required("tx_id", request.tx_id.as_deref()) {
        Ok(tx_id) => {
            let _writing = writing_in(context, HeldKind::Transaction, tx_id);
            context.service.held.commit(tx_id).await
        }
        Err(error) => Err(error),
    };
    report(&result, request.request_id.as_deref(), reply);
}

pub(in crate::rpc) async fn transaction_rollback(
    context: &Context<'_>,
    request: TransactionEndRequest,
    reply: Reply<'_>,
) {
    let result = match request::required("tx_id", request.tx_id.as_deref()) {
        Ok(tx_id) => context.service.held.rollback(tx_id).await,
        Err(error) => Err(error),
    };
    report(&result, request.request_id.as_deref(), reply);
}

/// `success`, and the error when there is one.
pub(super) fn report(result: &Result<(), Error>, request_id: Option<&str>, mut reply: Reply<'_>) {
    reply.field("success", &result.is_ok());
    if let Err(error) = result {
        reply.error(error);
    }
    reply.finish(request_id);
}
