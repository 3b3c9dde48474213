//! `pgpool.Reload`.

use pool_manager::{Error, SqlState};

use crate::rpc::reply::Reply;
use crate::rpc::service::Context;

goridge_framing::request_fields! {
    /// Request of Reload.
    pub(in crate::rpc) struct ReloadRequest {
        /// Echoed.
        request_id: Option<String>,
    }
}

pub(in crate::rpc) async fn reload(
    context: &Context<'_>,
    request: ReloadRequest,
    mut reply: Reply<'_>,
) {
    let done = match context.service.control() {
        Some(control) => control.reload().await,
        None => Err("this server has no configuration file".to_owned()),
    };
    match done {
        Ok(changes) => reply.field("changes", &changes),
        Err(why) => {
            let text = format!("nothing was changed: {why}");
            let error = Error::refused(SqlState::INVALID_PARAMETER_VALUE, text);
            reply.field("changes", &Vec::<String>::new()).error(&error)
        }
    };
    reply.finish(request.request_id.as_deref());
}
