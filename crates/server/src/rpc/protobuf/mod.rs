//! Protobuf: requests become the JSON documents that the other codecs read, and replies come from
//! those that they write. The messages are in `proto/pgpool.proto`, and `make proto` writes
//! `generated.rs`.

#[allow(clippy::all, clippy::pedantic, missing_docs, unreachable_pub, reason = "generated")]
#[rustfmt::skip]
mod generated;
mod value;

use goridge_framing::RequestError;
use prost::Message;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use generated as messages;

/// Largest request: in memory a value takes many times the bytes that it may take in a message.
const MAX_REQUEST: usize = 16 * 1024 * 1024;

/// The JSON document of a request.
///
/// # Errors
/// The body is no such message.
pub(super) fn request(method: &str, body: &[u8]) -> Result<Vec<u8>, RequestError> {
    let refuse = |reason: String| RequestError::Body { codec: "protobuf", reason };
    if body.len() > MAX_REQUEST {
        return Err(refuse(format!("more than {MAX_REQUEST} bytes")));
    }
    let document = read(method, body).map_err(|error| refuse(error.to_string()))?;
    Ok(document.to_string().into_bytes())
}

fn read(method: &str, body: &[u8]) -> Result<Value, prost::DecodeError> {
    let mut document = match method {
        "Execute" => decode::<messages::ExecuteRequest>(body)?,
        "ExecuteBatch" => decode::<messages::ExecuteBatchRequest>(body)?,
        "CursorOpen" => decode::<messages::CursorOpenRequest>(body)?,
        "CursorFetch" => decode::<messages::CursorFetchRequest>(body)?,
        "TransactionBegin" | "BeginTransaction" => {
            decode::<messages::TransactionBeginRequest>(body)?
        }
        "SessionBegin" => decode::<messages::SessionBeginRequest>(body)?,
        "PoolStats" | "HealthCheck" | "Version" => decode::<messages::DatabaseRequest>(body)?,
        _ => decode::<messages::EndRequest>(body)?,
    };
    if let Some(fields) = document.as_object_mut() {
        match method {
            "Execute" | "ExecuteBatch" | "CursorOpen" => {
                fields.insert("result".to_owned(), json!("rows"));
            }
            "SessionEnd" => fields.retain(|name, _| name != "tx_id" && name != "cursor_id"),
            "CursorClose" => fields.retain(|name, _| name != "tx_id" && name != "session_id"),
            "Version" => fields.retain(|name, _| name != "database"),
            "TransactionCommit"
            | "CommitTransaction"
            | "TransactionRollback"
            | "RollbackTransaction" => {
                fields.retain(|name, _| name != "session_id" && name != "cursor_id");
            }
            _ => {}
        }
        // What is not there has no id to be echoed.
        fields.retain(|name, value| name != "request_id" || value != "");
    }
    Ok(document)
}

fn decode<M: Message + Default + Serialize>(body: &[u8]) -> Result<Value, prost::DecodeError> {
    // A struct of these types is always a JSON document.
    Ok(serde_json::to_value(M::decode(body)?).unwrap_or_default())
}

/// The message of a reply that was written as JSON.
///
/// # Errors
/// It is none of this method's.
pub(super) fn reply(method: &str, document: &[u8]) -> Result<Vec<u8>, String> {
    match method {
        "Execute" => encode::<messages::ExecuteResponse>(document),
        "ExecuteBatch" => encode::<messages::ExecuteBatchResponse>(document),
        "CursorOpen" => encode::<messages::CursorOpenResponse>(document),
        "CursorFetch" => encode::<messages::CursorFetchResponse>(document),
        "TransactionBegin" | "BeginTransaction" => {
            encode::<messages::TransactionBeginResponse>(document)
        }
        "SessionBegin" => encode::<messages::SessionBeginResponse>(document),
        "PoolStats" => encode::<messages::PoolStatsResponse>(document),
        "HealthCheck" => encode::<messages::HealthCheckResponse>(document),
        "Version" => {
            let mut value: Value = parse(document)?;
            // Databases that cannot be reached have no version.
            if let Some(databases) = value.get_mut("databases").and_then(Value::as_object_mut) {
                databases.retain(|_, version| !version.is_null());
            }
            encode::<messages::VersionResponse>(value.to_string().as_bytes())
        }
        _ => encode::<messages::EndResponse>(document),
    }
}

fn encode<M: Message + DeserializeOwned>(document: &[u8]) -> Result<Vec<u8>, String> {
    parse::<M>(document).map(|message| message.encode_to_vec())
}

fn parse<T: DeserializeOwned>(document: &[u8]) -> Result<T, String> {
    serde_json::from_slice(document).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests;
