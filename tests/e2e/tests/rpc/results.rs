//! Results: shapes, value styles, and every type against the server's own text.

use e2e::{Setup, failed, ok};
use serde_json::{Value, json};
use test_support::rpc::JSON;

/// A type and an expression that gives random values of it.
const RANDOM: [(&str, &str); 33] = [
    ("text", "CASE WHEN random() < 0.2 THEN NULL ELSE md5(random()::text) || E'\\n\\t\"é' END"),
    ("varchar", "substr(md5(random()::text), 1, (random() * 32)::int)"),
    ("char(5)", "substr(md5(random()::text), 1, 3)"),
    ("name", "md5(random()::text)"),
    ("\"char\"", "chr(33 + (random() * 90)::int)"),
    ("numeric", "(random() - 0.5)::numeric * 10 ^ (random() * 40)::int"),
    ("numeric(30,10)", "random() * 1e10"),
    ("money", "(random() * 1e5)::numeric"),
    ("date", "date '2000-01-01' + (random() * 1e5)::int"),
    ("time", "time '00:00' + random() * interval '24 h'"),
    ("timetz", "timetz '00:00+05' + random() * interval '24 h'"),
    ("timestamp", "timestamp '0100-01-01' + random() * interval '3000 years'"),
    ("timestamptz", "timestamptz '1900-01-01' + random() * interval '300 years'"),
    ("interval", "(random() - 0.5) * interval '999 years 5 days 3 h'"),
    ("uuid", "gen_random_uuid()"),
    ("inet", "'10.0.0.0/8'::inet + (random() * 1e6)::bigint"),
    ("cidr", "network(('10.0.0.0/' || (8 + random() * 20)::int)::inet)"),
    ("macaddr", "substr(md5(random()::text), 1, 12)::macaddr"),
    ("bit(8)", "(random() * 255)::int::bit(8)"),
    ("varbit", "(random() * 255)::int::bit(8)::varbit"),
    ("point", "point(random() * 1e6, -random())"),
    ("box", "box(point(random(), random()), point(0, 0))"),
    ("path", "path '[(1,2),(3,4)]'"),
    ("circle", "circle(point(random(), 1), random())"),
    ("int4range", "int4range((random() * 9)::int, 10 + (random() * 9)::int)"),
    ("tstzrange", "tstzrange(now(), now() + random() * interval '1 day')"),
    ("int8multirange", "'{[1,3),[5,9)}'::int8multirange"),
    ("tsvector", "to_tsvector('simple', md5(random()::text) || ' b')"),
    ("tsquery", "to_tsquery('simple', 'a & b')"),
    ("xml", "('<a>' || random()::text || '</a>')::xml"),
    ("pg_lsn", "'0/16B3748'::pg_lsn + (random() * 1e6)::bigint"),
    ("regclass", "'pg_class'::regclass"),
    ("jsonpath", "'$.a[*]'::jsonpath"),
];

#[tokio::test]
async fn other_types_are_exactly_what_postgresql_prints() {
    let setup = Setup::new().await;
    let mut client = setup.client().await;
    for (ty, expression) in RANDOM {
        let query = format!(
            "SELECT v, v::text AS t, ARRAY[v, NULL] AS l, ARRAY[v]::text AS lt \
             FROM (SELECT ({expression})::{ty} AS v FROM generate_series(1, 10)) AS s"
        );
        // What a cast strips (the padding of char) is not what the type prints.
        let query =
            if ty == "char(5)" { query.replace("v::text AS t", "rpad(v, 5) AS t") } else { query };
        for types in ["native", "text"] {
            let request = json!({"query": query, "types": types});
            let by_json = ok(client.call("Execute", request.clone()).await);
            let by_msgpack = ok(client.call_msgpack("Execute", request).await);
            for reply in [by_json, by_msgpack] {
                assert_eq!(reply["rows"].as_array().unwrap().len(), 10, "{ty}");
                for row in reply["rows"].as_array().unwrap() {
                    assert_eq!(row["v"], row["t"], "{ty} {types}");
                    if types == "native" {
                        assert_eq!(row["l"], json!([row["v"], null]), "{ty}");
                    } else {
                        assert!(row["l"].is_string() && row["lt"].is_string(), "{ty}: {row}");
                    }
                }
            }
        }
    }
}

#[tokio::test]
async fn numbers_booleans_and_json_are_native() {
    let setup = Setup::new().await;
    let mut client = setup.client().await;
    let query = "SELECT i::int2 AS i2, (i * 60000)::int4 AS i4, i::int8 * 9007199254740993 AS i8, \
                 abs(i)::oid AS o, i % 2 = 0 AS b, random() * i AS f8, (random() * i)::float4 AS f4, \
                 to_jsonb(ARRAY[i, i + 1]) AS j, i8::text AS t8, f8t.f AS f, f8t.f::text AS ft \
                 FROM generate_series(-9, 9) AS i, LATERAL (SELECT i::int8 * 9007199254740993) \
                 AS x(i8), LATERAL (SELECT random() * 10.0 ^ i AS f) AS f8t";
    for codec in ["json", "msgpack"] {
        let request = json!({"query": query});
        let reply = match codec {
            "json" => ok(client.call("Execute", request).await),
            _ => ok(client.call_msgpack("Execute", request).await),
        };
        for (row, i) in reply["rows"].as_array().unwrap().iter().zip(-9_i64..) {
            assert_eq!((&row["i2"], &row["i4"]), (&json!(i), &json!(i * 60_000)));
            assert_eq!(row["i8"].to_string(), row["t8"].as_str().unwrap());
            assert_eq!((&row["o"], &row["b"]), (&json!(i.abs()), &json!(i % 2 == 0)));
            assert!(row["f8"].is_f64() && row["f4"].is_number(), "{row}");
            assert_eq!(row["j"], json!([i, i + 1]));
            let printed: f64 = row["ft"].as_str().unwrap().parse().unwrap();
            assert_eq!(row["f"].as_f64().unwrap().to_bits(), printed.to_bits(), "{row}");
        }
    }
    let special = "SELECT 'NaN'::float8 AS a, 'Infinity'::float8 AS b, '-Infinity'::float4 AS c, \
                   ARRAY['NaN'::float8, 1] AS d, 'NaN'::numeric AS e, -0.0::float8 AS z";
    let row = json!({
        "a": "NaN", "b": "Infinity", "c": "-Infinity", "d": ["NaN", 1.0], "e": "NaN", "z": 0.0,
    });
    for types in ["native", "text"] {
        let reply = ok(client.call("Execute", json!({"query": special, "types": types})).await);
        for name in ["a", "b", "c", "e"] {
            assert_eq!(reply["rows"][0][name], row[name], "{types} {name}");
        }
    }
}

/// The body of the reply as it came, for what a JSON parser would round.
async fn raw_reply(setup: &Setup, request: &Value) -> String {
    let mut client = setup.client().await;
    client.send(1, "Execute", JSON, request.to_string().as_bytes()).await.unwrap();
    String::from_utf8(client.recv().await.unwrap().body).unwrap()
}

#[tokio::test]
async fn no_digit_is_lost_in_json() {
    let setup = Setup::new().await;
    let query = "SELECT '{\"n\": 12345678901234567890.123456789012345678901234567890, \
                 \"e\": 1e400}'::json AS j, '[0.10, 12345678901234567890]'::jsonb AS b, \
                 9223372036854775807::int8 AS i, 1.10::numeric AS d";
    let native = raw_reply(&setup, &json!({"query": query})).await;
    for part in [
        "12345678901234567890.123456789012345678901234567890",
        "1e400",
        "[0.10",
        "\"i\":9223372036854775807",
        "\"d\":\"1.10\"",
    ] {
        assert!(native.contains(part), "{part} in {native}");
    }
    let text = raw_reply(&setup, &json!({"query": query, "types": "text"})).await;
    assert!(text.contains(r#""b":"[0.10, 12345678901234567890]""#), "{text}");
    assert!(text.contains("\"i\":9223372036854775807"), "{text}");
}

#[tokio::test]
async fn rows_as_maps_or_lists_with_their_columns() {
    let setup = Setup::new().await;
    let mut client = setup.client().await;
    let query = "SELECT 1::int4 AS b, 'x'::text AS a, 2::int8 AS b, NULL::bool AS \"é\"";
    let columns = json!([
        {"name": "b", "type": "int4", "oid": 23},
        {"name": "a", "type": "text", "oid": 25},
        {"name": "b", "type": "int8", "oid": 20},
        {"name": "é", "type": "bool", "oid": 16},
    ]);
    let maps = raw_reply(&setup, &json!({"query": query})).await;
    assert!(maps.starts_with(r#"{"rows":[{"a":"x","b":2,"é":null}]"#), "the last wins: {maps}");
    for result in [json!(null), json!("assoc"), json!("ASSOC"), json!("")] {
        let reply = ok(client.call("Execute", json!({"query": query, "result": result})).await);
        assert_eq!(reply["rows"], json!([{"a": "x", "b": 2, "é": null}]));
        assert_eq!((&reply["columns"], &reply["rows_affected"]), (&columns, &json!(1)));
    }
    let reply = ok(client.call_msgpack("Execute", json!({"query": query})).await);
    assert_eq!(reply["rows"], json!([{"a": "x", "b": 2, "é": null}]));
    let reply = ok(client.call("Execute", json!({"query": query, "result": "rows"})).await);
    assert_eq!(reply["rows"], json!([[1, "x", 2, null]]));
    assert_eq!(reply["columns"], columns);
    for (field, text) in [("result", "assoc"), ("types", "native")] {
        let request = json!({"query": "SELECT 1", field: "odd"});
        let error = failed(client.call("Execute", request).await, "22023");
        assert!(error.contains(field) && error.contains(text) && error.contains("odd"), "{error}");
    }
}

#[tokio::test]
async fn rows_and_columns_stand_when_there_is_a_result_and_only_then() {
    let setup = Setup::new().await;
    setup.db.batch("CREATE TABLE t (a int PRIMARY KEY, b text)").await;
    let mut client = setup.client().await;
    let returned = json!([{"name": "a", "type": "int4", "oid": 23}]);
    for (query, affected, rows, columns) in [
        ("SELECT a FROM t", 0, Some(json!([])), Some(returned.clone())),
        ("INSERT INTO t VALUES (1), (2), (3)", 3, None, None),
        ("UPDATE t SET b = 'x' WHERE a > 1", 2, None, None),
        (
            "SELECT a FROM t ORDER BY a LIMIT 2",
            2,
            Some(json!([{"a": 1}, {"a": 2}])),
            Some(returned.clone()),
        ),
        (
            "DELETE FROM t WHERE a = 3 RETURNING a",
            1,
            Some(json!([{"a": 3}])),
            Some(returned.clone()),
        ),
        ("DELETE FROM t WHERE a = 9 RETURNING a", 0, Some(json!([])), Some(returned)),
        ("CREATE TABLE u ()", 0, None, None),
        ("SELECT FROM t", 2, Some(json!([{}, {}])), Some(json!([]))),
        ("-- nothing", 0, None, None),
        ("TRUNCATE u", 0, None, None),
        ("VALUES (1)", 1, Some(json!([{"column1": 1}])), None),
    ] {
        let reply = ok(client.execute(query, json!([])).await);
        assert_eq!(reply["rows_affected"], affected, "{query}");
        assert_eq!(reply.get("rows"), rows.as_ref(), "{query}");
        assert_eq!(reply.get("columns").is_some(), rows.is_some(), "{query}");
        if columns.is_some() {
            assert_eq!(reply.get("columns"), columns.as_ref(), "{query}");
        }
        assert!(reply["execution_time"].is_u64() && reply["execution_time_us"].is_u64());
    }
}

#[tokio::test]
async fn the_time_is_told_in_both_units() {
    let setup = Setup::new().await;
    let mut client = setup.client().await;
    for succeeds in [true, false] {
        let query = if succeeds {
            "SELECT pg_sleep(0.03)"
        } else {
            "SELECT pg_sleep(0.03), 1/(random()*0)::int"
        };
        let reply = client.call("Execute", json!({"query": query})).await.unwrap();
        let (ms, us) = (
            reply["execution_time"].as_u64().unwrap(),
            reply["execution_time_us"].as_u64().unwrap(),
        );
        assert_eq!(ms, us / 1000, "{reply}");
        assert!(us > 0 && (!succeeds || us >= 30_000), "{reply}");
    }
}
