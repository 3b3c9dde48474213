//! Requests as PHP and Go clients spell them, and what every reply has in common.

use e2e::{Setup, failed, ok};
use serde_json::{Value, json};
use test_support::RpcClient;
use test_support::rpc::{JSON, MSGPACK, RAW, RpcFrame};

/// The value of the only column of the only row.
fn only(reply: &Value) -> &Value {
    let row = reply["rows"][0].as_object().unwrap();
    assert_eq!((reply["rows"].as_array().unwrap().len(), row.len()), (1, 1), "{reply}");
    row.values().next().unwrap()
}

#[tokio::test]
async fn fields_are_found_in_every_spelling() {
    let setup = Setup::new().await;
    let mut client = setup.client().await;
    for request in [
        json!({"query": "SELECT $1::int4 AS a", "args": [7], "database": "primary"}),
        json!({"Query": "SELECT $1::int4 AS a", "Args": [7], "Database": "primary"}),
        json!({"QUERY": "SELECT $1::int4 AS a", "aRGS": [7], "data_base": "primary"}),
        json!({"query": "SELECT 7 AS a", "args": null, "Database": null, "Timeout": null}),
        json!({"query": "SELECT 7 AS a", "tx_id": null, "SessionID": null, "settings": null}),
        json!({"query": "SELECT 7 AS a", "settings": [], "result": null, "Types": null}),
        json!({"query": "SELECT 7 AS a", "simple": null, "RequestID": null}),
    ] {
        let reply = ok(client.call("Execute", request.clone()).await);
        assert_eq!(only(&reply), 7, "{request}");
        let reply = ok(client.call_msgpack("Execute", request).await);
        assert_eq!(only(&reply), 7);
    }
    let begun = ok(client.call("BeginTransaction", json!({"TxID": "go", "ReadOnly": true})).await);
    assert_eq!(begun, json!({"tx_id": "go"}));
    for spelling in ["TxID", "tx_id", "TXID", "txId", "Tx_Id"] {
        let request = json!({spelling: "go", "query": "SHOW transaction_read_only"});
        assert_eq!(only(&ok(client.call("Execute", request).await)), "on", "{spelling}");
    }
    let ended = ok(client.call("CommitTransaction", json!({"TxId": "go"})).await);
    assert_eq!(ended, json!({"success": true}));
}

#[tokio::test]
async fn every_alias_answers_like_its_method() {
    let setup = Setup::new().await;
    let mut client = setup.client().await;
    for begin in ["TransactionBegin", "BeginTransaction"] {
        for end in
            ["TransactionCommit", "CommitTransaction", "TransactionRollback", "RollbackTransaction"]
        {
            ok(client.call(begin, json!({"tx_id": "alias"})).await);
            let reply = ok(client.call(end, json!({"tx_id": "alias"})).await);
            assert_eq!(reply, json!({"success": true}), "{begin} {end}");
        }
    }
}

#[tokio::test]
async fn two_spellings_of_one_field_are_an_error() {
    let setup = Setup::new().await;
    let mut client = setup.client().await;
    for body in [
        r#"{"query":"SELECT 1","Query":"SELECT 2"}"#,
        r#"{"query":"SELECT 1","tx_id":"a","TxID":"a"}"#,
        r#"{"query":"SELECT 1","query":"SELECT 1"}"#,
    ] {
        let text = error_frame(&mut client, "Execute", body).await;
        assert!(text.contains("query") || text.contains("tx_id"), "{text}");
    }
    ok(client.execute("SELECT 1", json!([])).await);
}

#[tokio::test]
async fn a_misspelt_field_is_refused_by_name_and_nothing_runs() {
    let setup = Setup::new().await;
    let mut client = setup.client().await;
    ok(client.execute("CREATE TABLE t (a int)", json!([])).await);
    for field in ["tx_idd", "txid_", "transaction_id", "session", "arg"] {
        let body = json!({"query": "INSERT INTO t VALUES (1)", field: "x"});
        let reply = client.call("Execute", body).await;
        if field == "txid_" {
            // Underscores do not count: this is tx_id.
            failed(reply, "25P01");
            continue;
        }
        let text = reply.unwrap_err().error_text().unwrap().to_owned();
        assert!(text.contains(&format!("unknown field \"{field}\"")), "{text}");
    }
    let text = error_frame(&mut client, "TransactionCommit", r#"{"tx_jd":"a"}"#).await;
    assert!(text.contains("\"tx_jd\"") && text.contains("did you mean \"tx_id\""), "{text}");
    for method in ["PoolStats", "HealthCheck", "Version", "SessionBegin", "SessionEnd"] {
        let text = error_frame(&mut client, method, r#"{"surplus":1}"#).await;
        assert!(text.contains("unknown field \"surplus\""), "{method}: {text}");
    }
    let reply = ok(client.execute("SELECT count(*) FROM t", json!([])).await);
    assert_eq!(only(&reply), 0);
}

/// Sends a JSON body as it is and returns the text of the error frame.
async fn error_frame(client: &mut RpcClient, method: &str, body: &str) -> String {
    let seq = client.next_seq();
    client.send(seq, method, JSON, body.as_bytes()).await.unwrap();
    let reply = client.recv().await.unwrap();
    assert_eq!(reply.seq, seq);
    assert!(reply.is_error(), "{reply:?}");
    String::from_utf8(reply.body).unwrap()
}

#[tokio::test]
async fn request_id_comes_back_in_every_reply() {
    let setup = Setup::new().await;
    let mut client = setup.client().await;
    let calls = [
        ("Execute", json!({"query": "SELECT 1"}), true),
        ("Execute", json!({"query": "SELECT 1/0"}), false),
        ("Execute", json!({}), false),
        ("Execute", json!({"query": "SELECT 1", "database": "nope"}), false),
        ("Execute", json!({"query": "SELECT 1", "tx_id": "none"}), false),
        ("Execute", json!({"query": "SELECT 1", "timeout": -5}), false),
        ("TransactionBegin", json!({"tx_id": "t"}), true),
        ("TransactionBegin", json!({"tx_id": "t"}), false),
        ("TransactionBegin", json!({"isolation_level": "loose"}), false),
        ("TransactionCommit", json!({"tx_id": "t"}), true),
        ("TransactionCommit", json!({"tx_id": "t"}), false),
        ("TransactionRollback", json!({"tx_id": "t"}), false),
        ("TransactionRollback", json!({}), false),
        ("SessionBegin", json!({"session_id": "s"}), true),
        ("SessionBegin", json!({"session_id": "s"}), false),
        ("SessionEnd", json!({"session_id": "s"}), true),
        ("SessionEnd", json!({"session_id": "s"}), false),
        ("PoolStats", json!({}), true),
        ("PoolStats", json!({"database": "nope"}), false),
        ("HealthCheck", json!({}), true),
        ("HealthCheck", json!({"database": "nope"}), false),
        ("Version", json!({}), true),
    ];
    for (index, (method, mut request, succeeds)) in calls.into_iter().enumerate() {
        let shown = format!("{method} {request}");
        // Without an id there is none in the reply either; state is left as it was by an error.
        if !succeeds {
            let reply = client.call(method, request.clone()).await.unwrap();
            assert!(reply.get("request_id").is_none(), "{shown}: {reply}");
        }
        let id = format!("id-{index} \u{e9}\u{1f418}\n");
        request["request_id"] = json!(id);
        let reply = if index % 2 == 0 {
            client.call(method, request).await
        } else {
            client.call_msgpack(method, request).await
        };
        let reply = reply.unwrap();
        assert_eq!(reply["request_id"], id, "{shown}: {reply}");
        assert_eq!(reply.get("error").is_none(), succeeds, "{shown}: {reply}");
        assert_eq!(reply.get("sqlstate").is_none(), succeeds, "{shown}: {reply}");
        assert_eq!(reply["error"].is_string(), !succeeds, "{shown}: {reply}");
    }
}

#[tokio::test]
async fn an_empty_body_and_an_empty_php_array_are_an_empty_request() {
    let setup = Setup::new().await;
    let mut client = setup.client().await;
    let bodies: [(u8, &[u8]); 8] = [
        (JSON, b""),
        (JSON, b"[]"),
        (JSON, b"{}"),
        (RAW, b""),
        (RAW, b"{}"),
        (MSGPACK, b""),
        (MSGPACK, b"\x90"),
        (MSGPACK, b"\x80"),
    ];
    for (codec, body) in bodies {
        for method in ["HealthCheck", "PoolStats", "Version", "Execute", "TransactionCommit"] {
            let seq = client.next_seq();
            client.send(seq, method, codec, body).await.unwrap();
            let reply = client.recv().await.unwrap();
            assert_eq!((reply.seq, reply.flags), (seq, codec), "{method} {body:?}");
            assert_eq!(reply.method, format!("pgpool.{method}"));
            assert!(!reply.body.is_empty());
        }
    }
}

#[tokio::test]
async fn json_msgpack_and_raw_carry_the_same_reply() {
    let setup = Setup::new().await;
    let mut client = setup.client().await;
    let request = json!({
        "query": "SELECT 1::int8 AS i, true AS b, NULL AS n, 0.5::float8 AS f, 'é' AS t, \
                  '{\"k\":[1]}'::jsonb AS j, ARRAY[ARRAY['a',NULL]] AS l",
        "request_id": "r",
    });
    let strip = |mut reply: Value| {
        let reply = reply.as_object_mut().unwrap();
        assert!(reply.remove("execution_time").unwrap().is_u64());
        assert!(reply.remove("execution_time_us").unwrap().is_u64());
        Value::Object(reply.clone())
    };
    let by_json = strip(ok(client.call("Execute", request.clone()).await));
    let by_msgpack = strip(ok(client.call_msgpack("Execute", request.clone()).await));
    assert_eq!(by_json, by_msgpack);
    let row = json!({
        "i": 1, "b": true, "n": null, "f": 0.5, "t": "é", "j": {"k": [1]}, "l": [["a", null]],
    });
    assert_eq!(by_json["rows"], json!([row]));
    let seq = client.next_seq();
    client.send(seq, "Execute", RAW, request.to_string().as_bytes()).await.unwrap();
    let raw: RpcFrame = client.recv().await.unwrap();
    assert_eq!((raw.seq, raw.flags), (seq, RAW));
    assert_eq!(strip(serde_json::from_slice(&raw.body).unwrap()), by_json);
}

#[tokio::test]
async fn binary_goes_and_comes_in_both_codecs() {
    let setup = Setup::new().await;
    let mut client = setup.client().await;
    let request = json!({
        "query": "SELECT $1::bytea AS b, length($1::bytea) AS n",
        "args": [{"$bytea": "AP8AeA=="}],
    });
    let reply = ok(client.call("Execute", request.clone()).await);
    assert_eq!(reply["rows"], json!([{"b": "\\x00ff0078", "n": 4}]));
    let reply = ok(client.call_msgpack("Execute", request).await);
    assert_eq!(reply["rows"], json!([{"b": {"$bytea": "AP8AeA=="}, "n": 4}]));
}

#[tokio::test]
async fn an_empty_name_of_a_database_is_none() {
    // As Go programs send it: their field has no `omitempty`.
    let setup = Setup::new().await;
    let mut client = setup.client().await;
    for (method, request) in [
        ("Execute", json!({"database": "", "query": "SELECT 1"})),
        ("ExecuteBatch", json!({"database": "", "statements": [{"query": "SELECT 1"}]})),
        ("CursorOpen", json!({"database": "", "query": "SELECT 1"})),
        ("TransactionBegin", json!({"database": "", "tx_id": "t"})),
        ("Execute", json!({"database": "", "tx_id": "t", "query": "SELECT 1"})),
        ("SessionBegin", json!({"database": ""})),
        ("PoolStats", json!({"database": ""})),
        ("HealthCheck", json!({"database": ""})),
    ] {
        ok(client.call(method, request).await);
    }
}
