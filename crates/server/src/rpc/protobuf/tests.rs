use proptest::prelude::*;
use prost::Message;
use serde_json::{Value, json};

use super::generated::{self as messages, value::Kind};
use super::{reply, request};

const METHODS: [&str; 14] = [
    "Execute",
    "ExecuteBatch",
    "CursorOpen",
    "CursorFetch",
    "CursorClose",
    "TransactionBegin",
    "TransactionCommit",
    "TransactionRollback",
    "SessionBegin",
    "SessionEnd",
    "PoolStats",
    "HealthCheck",
    "Version",
    "Nothing",
];

fn value(kind: Kind) -> messages::Value {
    messages::Value { kind: Some(kind) }
}

#[test]
fn arguments_become_those_of_other_codecs() {
    let list = messages::List { items: vec![value(Kind::Int(1)), messages::Value::default()] };
    let args = vec![
        value(Kind::Null(false)),
        value(Kind::Float(f64::NEG_INFINITY)),
        value(Kind::Binary(b"ab".to_vec())),
        value(Kind::List(list)),
    ];
    let message = messages::ExecuteRequest {
        query: "q".to_owned(),
        args,
        tx_id: Some(String::new()),
        ..messages::ExecuteRequest::default()
    };
    let document = request("Execute", &message.encode_to_vec()).unwrap();
    let document: Value = serde_json::from_slice(&document).unwrap();
    assert_eq!(document["args"], json!([null, "-inf", {"$bytea": "YWI="}, [1, null]]));
    assert_eq!(document["tx_id"], "", "an empty id is not the same as none");
    assert_eq!(document["session_id"], Value::Null);
    assert_eq!(document["result"], "rows");
}

#[test]
fn replies_keep_what_they_have() {
    let document = json!({
        "rows": [[1, "x", null, true, 1.5]], "columns": [{"name": "a", "type": "int4", "oid": 23}],
        "rows_affected": 1, "execution_time": 2, "execution_time_us": 2500,
    });
    let message = reply("Execute", document.to_string().as_bytes()).unwrap();
    let message = messages::ExecuteResponse::decode(&message[..]).unwrap();
    assert_eq!(message.rows[0].cells.len(), 5);
    assert_eq!(message.rows[0].cells[1], value(Kind::Text("x".to_owned())));
    assert_eq!((message.columns[0].oid, message.execution_time_us), (23, 2500));
    let document = json!({"version": "1", "features": ["a"], "databases": {"a": "15", "b": null}});
    let message = reply("Version", document.to_string().as_bytes()).unwrap();
    let message = messages::VersionResponse::decode(&message[..]).unwrap();
    assert_eq!(message.databases.into_iter().collect::<Vec<_>>(), [("a".into(), "15".into())]);
}

#[test]
fn failures_fit_every_reply() {
    let document = json!({
        "error": "no", "sqlstate": "23505", "error_detail": {"severity": "ERROR", "message": "no"},
        "request_id": "r", "success": false, "rows_affected": 0, "failed": 1, "results": [],
    });
    for method in METHODS {
        let message = reply(method, document.to_string().as_bytes());
        assert!(message.is_ok(), "{method}: {message:?}");
    }
}

#[test]
fn small_bodies_take_little_memory() {
    for (method, body) in [
        ("ExecuteBatch", [0x12, 0].repeat(1001)),
        ("Execute", [0x1a, 0].repeat(1024 * 1024 + 1)),
        ("Execute", vec![0; 8 * 1024 * 1024 + 1]),
    ] {
        let refused = request(method, &body).unwrap_err().to_string();
        assert!(refused.contains("more than"), "{refused}");
    }
}

proptest! {
    #[test]
    fn arbitrary_bodies_never_panic(body in prop::collection::vec(any::<u8>(), 0..200)) {
        for method in METHODS {
            let _ = request(method, &body);
        }
    }
}
