//! From a frame to the method it names, and to a reply frame in every case.

use bytes::Bytes;
use goridge_framing::{Codec, Flags, MethodName, RequestError, RpcFrame, encode_error_reply};

use super::forward::ForwardError;
use super::methods;
use super::protobuf;
use super::reply::Reply;
use super::service::Context;

/// The only service name. Case matters, as in Go's net/rpc.
const SERVICE: &str = "pgpool";

/// Whether a request counts against its client's limit: whatever may have a statement executed. What
/// ends or closes something never does, so that nobody is kept from it.
pub(super) fn counts(frame: &RpcFrame) -> bool {
    let name = frame.method().ok().and_then(|name| MethodName::parse(name).ok());
    name.is_some_and(|name| {
        name.service() == SERVICE
            && matches!(
                name.method(),
                "Execute"
                    | "ExecuteBatch"
                    | "CursorOpen"
                    | "CursorFetch"
                    | "TransactionBegin"
                    | "BeginTransaction"
                    | "SessionBegin"
            )
    })
}

/// Answers one request: with a reply frame, or with an error frame when there is no such method
/// or its body cannot be decoded.
pub(super) async fn answer(context: &Context<'_>, frame: RpcFrame) -> Vec<u8> {
    let mut out = Vec::with_capacity(256);
    if let Err(error) = call(context, &frame, &mut out).await {
        out.clear();
        let flags = Flags::from_bits(frame.flags.bits());
        encode_error_reply(&mut out, flags, frame.seq, frame.method_bytes(), &error.to_string());
    }
    out
}

/// Why a call gets an error frame.
#[derive(Debug, thiserror::Error)]
enum CallError {
    #[error(transparent)]
    Request(#[from] RequestError),
    #[error(transparent)]
    Forward(#[from] ForwardError),
}

async fn call(context: &Context<'_>, frame: &RpcFrame, out: &mut Vec<u8>) -> Result<(), CallError> {
    let name = MethodName::parse(frame.method()?)?;
    if name.service() != SERVICE {
        return match &context.live.forward {
            Some(forward) => Ok(forward.call(frame, out).await?),
            None => Err(name.unknown_service().into()),
        };
    }
    let codec = Codec::from_flags(frame.flags)?;
    let body = match codec {
        Codec::Proto => Bytes::from(protobuf::request(name.method(), &frame.body)?),
        _ => frame.body.clone(),
    };
    let body = &body;
    let limit = context.live.options.max_frame_size;
    let reply = Reply::begin(out, codec, frame, name.method(), limit);
    match name.method() {
        "Execute" => methods::execute(context, codec.decode(body)?, reply).await,
        "ExecuteBatch" => methods::execute_batch(context, codec.decode(body)?, reply).await,
        "CursorOpen" => methods::cursor_open(context, codec.decode(body)?, reply).await,
        "CursorFetch" => methods::cursor_fetch(context, codec.decode(body)?, reply).await,
        "CursorClose" => methods::cursor_close(context, codec.decode(body)?, reply).await,
        "TransactionBegin" | "BeginTransaction" => {
            methods::transaction_begin(context, codec.decode(body)?, reply).await;
        }
        "TransactionCommit" | "CommitTransaction" => {
            methods::transaction_commit(context, codec.decode(body)?, reply).await;
        }
        "TransactionRollback" | "RollbackTransaction" => {
            methods::transaction_rollback(context, codec.decode(body)?, reply).await;
        }
        "SessionBegin" => methods::session_begin(context, codec.decode(body)?, reply).await,
        "SessionEnd" => methods::session_end(context, codec.decode(body)?, reply).await,
        "PoolStats" => methods::pool_stats(context, &codec.decode(body)?, reply),
        "TopQueries" => methods::top_queries(context, &codec.decode(body)?, reply),
        "HealthCheck" => methods::health_check(context, codec.decode(body)?, reply).await,
        "Reload" => methods::reload(context, codec.decode(body)?, reply).await,
        "Version" => methods::version(context, codec.decode(body)?, reply).await,
        _ => return Err(name.unknown_method().into()),
    }
    Ok(())
}
