//! Arguments: what each kind becomes for each type, and how errors name them.

use e2e::{Setup, failed, ok};
use serde_json::{Value, json};
use test_support::RpcClient;

/// What the server makes of `$1::ty`, as its own text.
async fn cast(client: &mut RpcClient, ty: &str, arg: &Value) -> Value {
    let request = json!({"query": format!("SELECT ($1::{ty})::text AS v"), "args": [arg]});
    let reply = client.call("Execute", request.clone()).await.unwrap();
    assert!(reply.get("error").is_none(), "{arg} as {ty}: {reply}");
    let again = client.call_msgpack("Execute", request).await.unwrap();
    assert_eq!(again["rows"], reply["rows"], "{arg} as {ty}: the codecs differ");
    reply["rows"][0]["v"].clone()
}

#[tokio::test]
async fn scalars_to_every_kind_of_type() {
    let setup = Setup::new().await;
    let mut client = setup.client().await;
    for (ty, arg, text) in [
        ("text", json!("é'\\"), "é'\\"),
        ("text", json!(true), "true"),
        ("text", json!(false), "false"),
        ("text", json!(-7), "-7"),
        ("text", json!(1.5), "1.5"),
        ("text", json!(1.0), "1"),
        ("text", json!(0.1), "0.1"),
        ("text", json!(1e15), "1e+15"),
        ("text", json!(18_446_744_073_709_551_615_u64), "18446744073709551615"),
        ("text", json!({"$bytea": "aMOp"}), "hé"),
        ("varchar", json!(7), "7"),
        ("int2", json!(true), "1"),
        ("int4", json!(false), "0"),
        ("int4", json!(7), "7"),
        ("int4", json!("7"), "7"),
        ("int4", json!(7.0), "7"),
        ("int8", json!(9_007_199_254_740_993_i64), "9007199254740993"),
        ("int8", json!(1e15), "1000000000000000"),
        ("int8", json!("-9223372036854775808"), "-9223372036854775808"),
        ("oid", json!(4_294_967_295_u32), "4294967295"),
        ("bool", json!(true), "true"),
        ("bool", json!(0), "false"),
        ("bool", json!(1), "true"),
        ("bool", json!("yes"), "true"),
        ("float8", json!(1.5), "1.5"),
        ("float8", json!(3), "3"),
        ("float8", json!("NaN"), "NaN"),
        ("float8", json!("-Infinity"), "-Infinity"),
        ("float4", json!(0.1), "0.1"),
        ("float8", json!(true), "1"),
        ("numeric", json!("12345678901234567890.123456789"), "12345678901234567890.123456789"),
        ("numeric", json!(0.1), "0.1"),
        ("numeric", json!(18_446_744_073_709_551_615_u64), "18446744073709551615"),
        ("date", json!("2024-02-29"), "2024-02-29"),
        ("timestamptz", json!("2024-02-29 12:00:00+02"), "2024-02-29 10:00:00+00"),
        ("interval", json!("90 minutes"), "01:30:00"),
        (
            "uuid",
            json!("A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11"),
            "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
        ),
        ("inet", json!("10.0.0.0/8"), "10.0.0.0/8"),
        ("bit(3)", json!("101"), "101"),
        ("int4range", json!("[1,3]"), "[1,4)"),
        ("point", json!("(1,2)"), "(1,2)"),
        ("xml", json!("<a/>"), "<a/>"),
    ] {
        assert_eq!(cast(&mut client, ty, &arg).await, text, "{arg} as {ty}");
        assert_eq!(cast(&mut client, ty, &json!(null)).await, json!(null), "null as {ty}");
    }
}

#[tokio::test]
async fn lists_maps_and_binary() {
    let setup = Setup::new().await;
    let mut client = setup.client().await;
    for (ty, arg, text) in [
        ("int4[]", json!([1, null, 3]), "{1,NULL,3}"),
        ("int4[]", json!([]), "{}"),
        ("int4[]", json!("{1,2}"), "{1,2}"),
        ("int4[]", json!([[1, 2], [3, 4]]), "{{1,2},{3,4}}"),
        ("int8[]", json!([true, 2.0, "3"]), "{1,2,3}"),
        ("bool[]", json!([true, false, null]), "{t,f,NULL}"),
        (
            "text[]",
            json!(["a,b", "NULL", null, "", "q\"\\ "]),
            r#"{"a,b","NULL",NULL,"","q\"\\ "}"#,
        ),
        ("text[]", json!([1, true, 1.5]), "{1,true,1.5}"),
        ("bytea[]", json!([{"$bytea": "AP8="}, null]), r#"{"\\x00ff",NULL}"#),
        ("float8[]", json!([1.5, "NaN"]), "{1.5,NaN}"),
        ("box[]", json!(["(1,1),(0,0)", "(2,2),(1,1)"]), "{(1,1),(0,0);(2,2),(1,1)}"),
        ("jsonb", json!({"k": [1, "a", null, true, 1.5]}), r#"{"k": [1, "a", null, true, 1.5]}"#),
        ("jsonb", json!([]), "[]"),
        ("jsonb", json!({}), "{}"),
        ("json", json!([1, {"a": "é\n"}]), r#"[1,{"a":"é\n"}]"#),
        ("json", json!("{\"text\": \"is JSON\"}"), "{\"text\": \"is JSON\"}"),
        ("jsonb", json!(true), "true"),
        ("jsonb", json!(1.0), "1.0"),
        ("jsonb[]", json!([{"a": 1}, [1, 2], null]), r#"{"{\"a\": 1}","[1, 2]",NULL}"#),
        ("bytea", json!({"$bytea": "AP8="}), "\\x00ff"),
        ("bytea", json!("\\x00ff"), "\\x00ff"),
        ("bytea", json!("ab"), "\\x6162"),
    ] {
        assert_eq!(cast(&mut client, ty, &arg).await, text, "{arg} as {ty}");
    }
}

#[tokio::test]
async fn types_of_the_database_and_of_extensions() {
    let setup = Setup::new().await;
    setup
        .db
        .batch(
            "CREATE TYPE mood AS ENUM ('sad', 'happy'); \
             CREATE DOMAIN positive AS int4 CHECK (value > 0); \
             CREATE DOMAIN tags AS text[]; \
             CREATE TYPE place AS (street text, number int4); \
             CREATE EXTENSION hstore; CREATE EXTENSION citext; CREATE EXTENSION ltree",
        )
        .await;
    let mut client = setup.client().await;
    for (ty, arg, text) in [
        ("mood", json!("happy"), "happy"),
        ("mood[]", json!(["happy", null, "sad"]), "{happy,NULL,sad}"),
        ("positive", json!(5), "5"),
        ("positive", json!(true), "1"),
        ("positive[]", json!([1, 2]), "{1,2}"),
        ("tags", json!("{a,b}"), "{a,b}"),
        ("place", json!("(Main,7)"), "(Main,7)"),
        ("place[]", json!(["(Main,7)"]), "{\"(Main,7)\"}"),
        ("hstore", json!("a=>1"), "\"a\"=>\"1\""),
        ("citext", json!("Ab"), "Ab"),
        ("ltree", json!("a.b"), "a.b"),
    ] {
        assert_eq!(cast(&mut client, ty, &arg).await, text, "{arg} as {ty}");
    }
    let request = json!({"query": "SELECT $1::mood", "args": ["angry"]});
    failed(client.call("Execute", request).await, "22P02");
    let request = json!({"query": "SELECT $1::positive", "args": [-1]});
    failed(client.call("Execute", request).await, "23514");
}

#[tokio::test]
async fn an_unsuitable_argument_is_named_by_its_position() {
    let setup = Setup::new().await;
    setup.db.batch("CREATE TYPE place AS (street text, number int4)").await;
    let mut client = setup.client().await;
    for (ty, arg, code, text) in [
        ("int4", json!([1]), "22023", "parameter $2: cannot use a list as int4"),
        ("text", json!({"a": 1}), "22023", "parameter $2: cannot use a map as text"),
        ("int4[]", json!({"a": 1}), "22023", "parameter $2: cannot use a map as _int4"),
        ("int4[]", json!(1), "22023", "parameter $2: cannot use an integer as _int4"),
        ("place", json!([1]), "22023", "parameter $2: cannot use a list as place"),
        ("date", json!([1]), "22023", "parameter $2: cannot use a list as date"),
        ("text", json!("a\u{0}b"), "22021", "parameter $2: a string cannot hold a zero byte"),
        (
            "text",
            json!({"$bytea": "/w=="}),
            "22021",
            "parameter $2: cannot use binary data as text: it is not valid UTF-8",
        ),
    ] {
        let request =
            json!({"query": format!("SELECT $1::int4, $2::{ty}"), "args": [1, arg.clone()]});
        let error = failed(client.call("Execute", request).await, code);
        assert_eq!(error, text, "{arg} as {ty}");
    }
    for (ty, arg, code) in [
        ("int4", json!(7.5), "22P02"),
        ("int2", json!(70000), "22003"),
        ("date", json!("x"), "22007"),
    ] {
        let request = json!({"query": format!("SELECT $1::{ty}"), "args": [arg]});
        failed(client.call("Execute", request).await, code);
    }
    // The connection they ran on is none the worse.
    assert_eq!(cast(&mut client, "int4", &json!(1)).await, "1");
}

#[tokio::test]
async fn the_number_of_arguments_must_fit() {
    let setup = Setup::new().await;
    let mut client = setup.client().await;
    for (query, args, text) in [
        ("SELECT $1::int4", json!([]), "the statement takes 1, given were 0"),
        ("SELECT $1::int4", json!([1, 2]), "the statement takes 1, given were 2"),
        ("SELECT 1", json!([1]), "the statement takes 0, given were 1"),
        (
            "SELECT $1::int4, $3::int4, $2::text",
            json!([1, 2]),
            "the statement takes 3, given were 2",
        ),
    ] {
        let error = failed(client.execute(query, args).await, "08P01");
        assert!(error.contains(text), "{error}");
    }
    let reply = ok(client.execute("SELECT $2::int4 AS b, $1::int4 AS a", json!([1, 2])).await);
    assert_eq!(reply["rows"], json!([{"b": 2, "a": 1}]));
}

#[tokio::test]
async fn php_strings_that_are_not_utf8_go_as_binary() {
    // ext-msgpack packs every string as str, whatever its bytes are.
    let setup = Setup::new().await;
    let mut client = setup.client().await;
    let query = b"SELECT $1::bytea AS b";
    let mut body = vec![0x82, 0xa5];
    body.extend(b"query");
    body.push(0xa0 + u8::try_from(query.len()).unwrap());
    body.extend(query);
    body.push(0xa4);
    body.extend(b"args");
    body.extend([0x91, 0xa3, 0xff, 0x00, b'a']);
    client.send(1, "Execute", test_support::rpc::MSGPACK, &body).await.unwrap();
    let reply = client.recv().await.unwrap();
    assert!(!reply.is_error(), "{}", String::from_utf8_lossy(&reply.body));
    let binary = [0xc4, 3, 0xff, 0x00, b'a'];
    assert!(reply.body.windows(binary.len()).any(|window| window == binary));
}
