//! Results of types that the database defines: enums, domains, composites, extensions; and the
//! two value styles side by side.

use e2e::{Setup, ok};
use serde_json::json;

#[tokio::test]
async fn types_of_the_database_and_of_extensions() {
    let setup = Setup::new().await;
    setup
        .db
        .batch(
            "CREATE TYPE mood AS ENUM ('sad', 'very happy'); \
             CREATE DOMAIN positive AS int4 CHECK (value > 0); \
             CREATE TYPE place AS (street text, number int4); \
             CREATE EXTENSION hstore; CREATE EXTENSION citext; CREATE EXTENSION ltree; \
             CREATE SCHEMA other; CREATE TYPE other.mood AS ENUM ('calm')",
        )
        .await;
    let mut client = setup.client().await;
    let query = "SELECT 'very happy'::mood AS m, ARRAY['sad', NULL]::mood[] AS ms, \
                 5::positive AS d, ARRAY[5]::positive[] AS ds, ROW('Main \"St\"', 7)::place AS c, \
                 ARRAY[ROW('a,b', NULL)::place] AS cs, 'a=>1, b=>NULL'::hstore AS h, \
                 'Ab'::citext AS ci, ARRAY['Ab']::citext[] AS cis, 'a.b'::ltree AS l, \
                 'calm'::other.mood AS o";
    let row = json!({
        "m": "very happy",
        "ms": ["sad", null],
        "d": 5,
        "ds": [5],
        "c": "(\"Main \"\"St\"\"\",7)",
        "cs": ["(\"a,b\",)"],
        "h": "\"a\"=>\"1\", \"b\"=>NULL",
        "ci": "Ab",
        "cis": ["Ab"],
        "l": "a.b",
        "o": "calm",
    });
    for simple in [false, true] {
        let request = json!({"query": query, "simple": simple});
        let reply = ok(client.call("Execute", request.clone()).await);
        assert_eq!(reply["rows"], json!([row]));
        let reply = ok(client.call_msgpack("Execute", request).await);
        assert_eq!(reply["rows"], json!([row]));
    }
}

#[tokio::test]
async fn the_text_style_is_what_pdo_gives() {
    let setup = Setup::new().await;
    let mut client = setup.client().await;
    let query = "SELECT 7::int2 AS i2, 7::int4 AS i4, 7::int8 AS i8, 1.5::float4 AS f4, \
                 0.25::float8 AS f8, true AS b, '{\"a\": [1, 2]}'::json AS j, \
                 '[1,  2]'::jsonb AS jb, ARRAY[1,2] AS l, '\\x00ff'::bytea AS y, 1.10::numeric AS n, \
                 NULL::int4 AS z, 'x'::text AS t";
    let native = json!({
        "i2": 7, "i4": 7, "i8": 7, "f4": 1.5, "f8": 0.25, "b": true, "j": {"a": [1, 2]},
        "jb": [1, 2], "l": [1, 2], "y": "\\x00ff", "n": "1.10", "z": null, "t": "x",
    });
    let mut text = native.clone();
    text["j"] = json!("{\"a\": [1, 2]}");
    text["jb"] = json!("[1, 2]");
    text["l"] = json!("{1,2}");
    for (types, row) in
        [(json!(null), native.clone()), (json!("Native"), native), (json!("text"), text)]
    {
        let request = json!({"query": query, "types": types});
        assert_eq!(ok(client.call("Execute", request.clone()).await)["rows"], json!([row]));
        let mut row = row;
        if types != "text" {
            row["y"] = json!({"$bytea": "AP8="});
        }
        assert_eq!(ok(client.call_msgpack("Execute", request).await)["rows"], json!([row]));
    }
}

#[tokio::test]
async fn a_type_made_in_a_transaction_is_known_in_it() {
    let setup = Setup::new().await;
    let mut client = setup.client().await;
    ok(client.call("TransactionBegin", json!({"tx_id": "t"})).await);
    for (query, row) in [
        ("CREATE TYPE fresh AS ENUM ('a')", None),
        ("SELECT ARRAY['a'::fresh] AS v", Some(json!({"v": ["a"]}))),
    ] {
        let reply = ok(client.call("Execute", json!({"tx_id": "t", "query": query})).await);
        assert_eq!(reply["rows"].get(0), row.as_ref());
    }
    ok(client.call("TransactionRollback", json!({"tx_id": "t"})).await);
}
