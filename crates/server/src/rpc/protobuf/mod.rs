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
const MAX_REQUEST: usize = 8 * 1024 * 1024;
/// Values that the arguments of a request may hold, and statements of a batch: told before they are
/// converted, which takes much more.
const MAX_VALUES: usize = 1024 * 1024;
const MAX_STATEMENTS: usize = 1000;

/// The JSON document of a request.
///
/// # Errors
/// The body is no such message.
pub(super) fn request(method: &str, body: &[u8]) -> Result<Vec<u8>, RequestError> {
    let refuse = |reason: String| RequestError::Body { codec: "protobuf", reason };
    if body.len() > MAX_REQUEST {
        return Err(refuse(format!("more than {MAX_REQUEST} bytes")));
    }
    let document = read(method, body).map_err(refuse)?;
    Ok(document.to_string().into_bytes())
}

fn read(method: &str, body: &[u8]) -> Result<Value, String> {
    let mut document = match method {
        "Execute" => decode(body, |message: &messages::ExecuteRequest| values(&message.args))?,
        "ExecuteBatch" => decode(body, |message: &messages::ExecuteBatchRequest| {
            if message.statements.len() > MAX_STATEMENTS {
                return usize::MAX;
            }
            message.statements.iter().map(|statement| values(&statement.args)).sum()
        })?,
        "CursorOpen" => {
            decode(body, |message: &messages::CursorOpenRequest| values(&message.args))?
        }
        "CursorFetch" => decode(body, |_: &messages::CursorFetchRequest| 0)?,
        "TransactionBegin" | "BeginTransaction" => {
            decode(body, |_: &messages::TransactionBeginRequest| 0)?
        }
        "SessionBegin" => decode(body, |_: &messages::SessionBeginRequest| 0)?,
        "TopQueries" => decode(body, |_: &messages::TopQueriesRequest| 0)?,
        "PoolStats" | "HealthCheck" | "Version" => decode(body, |_: &messages::DatabaseRequest| 0)?,
        _ => decode(body, |_: &messages::EndRequest| 0)?,
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

/// Decodes a message, unless it holds more values than it may.
fn decode<M: Message + Default + Serialize>(
    body: &[u8],
    values: impl FnOnce(&M) -> usize,
) -> Result<Value, String> {
    let message = M::decode(body).map_err(|error| error.to_string())?;
    if values(&message) > MAX_VALUES {
        return Err(format!(
            "more than {MAX_VALUES} values in the arguments, or {MAX_STATEMENTS} statements"
        ));
    }
    // A struct of these types is always a JSON document.
    Ok(serde_json::to_value(message).unwrap_or_default())
}

/// How many values these are, with those in lists and documents.
fn values(values: &[messages::Value]) -> usize {
    values.iter().map(values_of).sum()
}

fn values_of(value: &messages::Value) -> usize {
    use messages::value::Kind;
    1 + match &value.kind {
        Some(Kind::List(list)) => values(&list.items),
        Some(Kind::Document(document)) => document.fields.values().map(values_of).sum(),
        _ => 0,
    }
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
        "TopQueries" => encode::<messages::TopQueriesResponse>(document),
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
