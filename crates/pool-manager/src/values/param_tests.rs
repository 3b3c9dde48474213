//! What becomes of each kind of argument for each kind of type.

use std::sync::Arc;

use proptest::prelude::*;

use super::super::array::ArrayText;
use super::super::catalogue::TypeCatalogue;
use super::*;

const OIDS: &[(&str, u32)] = &[
    ("bool", 16),
    ("bytea", 17),
    ("int8", 20),
    ("int2", 21),
    ("int4", 23),
    ("text", 25),
    ("oid", 26),
    ("json", 114),
    ("box", 603),
    ("float4", 700),
    ("float8", 701),
    ("money", 790),
    ("_bool", 1000),
    ("_bytea", 1001),
    ("_int4", 1007),
    ("_text", 1009),
    ("_box", 1020),
    ("_float8", 1022),
    ("varchar", 1043),
    ("date", 1082),
    ("bit", 1560),
    ("numeric", 1700),
    ("jsonb", 3802),
    ("_jsonb", 3807),
];

fn ty(name: &str) -> Arc<TypeInfo> {
    let (_, oid) = OIDS.iter().find(|(n, _)| *n == name).unwrap();
    TypeCatalogue::new().get(*oid).unwrap()
}

fn encode(arg: impl Into<Arg>, name: &str) -> Result<String, String> {
    let mut out = BytesMut::new();
    let encoded = encode_param(&arg.into(), &ty(name), 2, &mut out).map_err(|e| e.to_string())?;
    assert!(!encoded.is_null());
    Ok(String::from_utf8(out.to_vec()).unwrap())
}

fn json(text: &str) -> Arg {
    serde_json::from_str(text).unwrap()
}

fn check(arg: impl Into<Arg>, expected: &[(&str, &[&str])]) {
    let arg = arg.into();
    for (text, types) in expected {
        for name in *types {
            assert_eq!(encode(arg.clone(), name).as_deref(), Ok(*text), "as {name}");
        }
    }
}

#[test]
fn null_appends_nothing() {
    let mut out = BytesMut::new();
    for (name, _) in OIDS {
        assert_eq!(encode_param(&Arg::Null, &ty(name), 1, &mut out), Ok(Encoded::Null));
    }
    assert!(out.is_empty());
}

#[test]
fn booleans() {
    check(
        true,
        &[
            ("t", &["bool"]),
            ("1", &["int2", "int4", "int8", "oid", "float4", "float8", "numeric", "money", "bit"]),
            ("true", &["text", "varchar", "json", "jsonb", "date"]),
        ],
    );
    check(
        false,
        &[("f", &["bool"]), ("0", &["int4", "numeric", "bit"]), ("false", &["text", "json"])],
    );
}

#[test]
fn integers() {
    check(-7, &[("-7", &["bool", "int4", "numeric", "text", "json", "bytea", "date"])]);
    check(i64::MIN, &[("-9223372036854775808", &["int8", "text", "jsonb"])]);
    check(u64::MAX, &[("18446744073709551615", &["numeric", "text", "jsonb"])]);
}

#[test]
fn floats() {
    check(1.0, &[("1", &["int4", "bool", "float8", "text", "numeric"]), ("1.0", &["json"])]);
    check(0.1, &[("0.1", &["float4", "float8", "int4", "text", "jsonb"])]);
    check(1e15, &[("1000000000000000", &["int8"]), ("1e+15", &["float8", "text", "numeric"])]);
    check(f64::NAN, &[("NaN", &["float8", "numeric", "text"])]);
    check(f64::NEG_INFINITY, &[("-Infinity", &["float4", "numeric"])]);
    assert_eq!(encode(f64::NAN, "jsonb"), Err("parameter $2: cannot use NaN as jsonb".to_owned()));
}

#[test]
fn strings_are_passed_as_they_are() {
    let types = ["text", "int4", "bytea", "json", "_int4", "date", "box"];
    check("{\"a\\", &[("{\"a\\", &types)]);
    check("", &[("", &types)]);
    for text in ["\0", "a\0"] {
        let mut out = BytesMut::new();
        let error = encode_param(&text.into(), &ty("text"), 3, &mut out).unwrap_err();
        assert_eq!(error.to_string(), "parameter $3: a string cannot hold a zero byte");
        assert_eq!((error.sqlstate().as_str(), error.position()), ("22021", 3));
    }
    assert!(encode(json(r#"["a\u0000"]"#), "_text").is_err());
}

#[test]
fn binary_is_bytea_or_text() {
    check(&b"a\xff\0"[..], &[("\\x61ff00", &["bytea"])]);
    check(&b"a\xc3\xa9"[..], &[("a\u{e9}", &["text", "varchar", "json", "date"])]);
    assert_eq!(
        encode(&b"\xff"[..], "varchar"),
        Err("parameter $2: cannot use binary data as varchar: it is not valid UTF-8".to_owned())
    );
    assert!(encode(&b"a\0"[..], "text").is_err());
}

#[test]
fn lists_are_arrays() {
    check(json(r#"[1,null,"2",3.0,true]"#), &[(r#"{1,NULL,"2",3,1}"#, &["_int4"])]);
    check(json("[[1,2],[3,4]]"), &[("{{1,2},{3,4}}", &["_int4", "_text"])]);
    check(json("[]"), &[("{}", &["_int4", "_text"]), ("[]", &["json"])]);
    check(json("[[],[]]"), &[("{{},{}}", &["_int4"])]);
    check(json("[true,false]"), &[("{t,f}", &["_bool"]), ("{true,false}", &["_text"])]);
    check(
        json(r#"["","NULL","a b","q\"\\,{}"]"#),
        &[(r#"{"","NULL","a b","q\"\\,{}"}"#, &["_text"])],
    );
    check(
        json(r#"["(1,1),(0,0)","(2,2),(1,1)"]"#),
        &[(r#"{"(1,1),(0,0)";"(2,2),(1,1)"}"#, &["_box"])],
    );
    check(json(r#"[{"$bytea":"/wA="},null]"#), &[(r#"{"\\xff00",NULL}"#, &["_bytea"])]);
    check(Arg::List(vec![f64::NAN.into(), 1e300.into()]), &[("{NaN,1e+300}", &["_float8"])]);
}

#[test]
fn elements_of_json_arrays_are_json() {
    check(
        json(r#"[{"a":"b"},[1],2,null,"\"s\""]"#),
        &[(r#"{"{\"a\":\"b\"}","[1]","2",NULL,"\"s\""}"#, &["_jsonb"])],
    );
}

#[test]
fn lists_and_maps_are_json_text() {
    let document = r#"{"b":[1,1.5,null,true,"x\"\n"],"a":{},"c":"\u0001é"}"#;
    check(json(document), &[(document, &["json", "jsonb"])]);
    check(json("[1,[2]]"), &[("[1,[2]]", &["jsonb"])]);
    let map = |value: &[u8]| Arg::Map(vec![("k".to_owned(), value.into())]);
    check(map(b"text"), &[(r#"{"k":"text"}"#, &["json"])]);
    assert!(encode(map(b"\xff"), "json").unwrap_err().contains("binary data as json"));
}

#[test]
fn what_does_not_fit_names_the_parameter_and_the_type() {
    let mut out = BytesMut::new();
    let error = encode_param(&json("[1]"), &ty("int4"), 2, &mut out).unwrap_err();
    assert_eq!(error.to_string(), "parameter $2: cannot use a list as int4");
    assert_eq!(error.sqlstate().as_str(), "22023");
    for (arg, name, text) in [
        (json("{}"), "text", "a map as text"),
        (json("{}"), "_int4", "a map as _int4"),
        (json("[{}]"), "_int4", "a map as int4"),
        (json("7"), "_int4", "an integer as _int4"),
        (json("true"), "_text", "a boolean as _text"),
        (json("0.5"), "_text", "a float as _text"),
        (json("[1]"), "bytea", "a list as bytea"),
    ] {
        assert_eq!(encode(arg, name), Err(format!("parameter $2: cannot use {text}")));
    }
}

#[test]
fn arrays_of_domains_over_arrays_are_quoted_inside() {
    let catalogue = TypeCatalogue::new();
    let learn = |row: [&str; 7]| catalogue.insert_from_row(&row.map(Some)).unwrap();
    learn(["70000", "ints", "d", "A", ",", "1007", "0"]);
    learn(["70001", "_ints", "b", "A", ",", "0", "70000"]);
    let mut out = BytesMut::new();
    encode_param(&json("[[1,2],[3]]"), &catalogue.resolve(70_001), 1, &mut out).unwrap();
    assert_eq!(out, r#"{"{1,2}","{3}"}"#);
    out.clear();
    encode_param(&json("[1,2]"), &catalogue.resolve(70_000), 1, &mut out).unwrap();
    assert_eq!(out, "{1,2}");
}

#[test]
fn nesting_is_bounded() {
    let mut arg = Arg::Null;
    for _ in 0..100_000 {
        arg = Arg::List(vec![arg]);
    }
    let mut out = BytesMut::new();
    for name in ["_int4", "json", "_jsonb"] {
        let error = encode_param(&arg, &ty(name), 1, &mut out).unwrap_err();
        assert!(error.to_string().contains("nested more than 64"), "{error}");
    }
    // Dropping it must not overflow the stack either.
    while let Arg::List(mut items) = arg {
        arg = items.pop().unwrap_or(Arg::Null);
    }
}

fn text_array() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        "[^\0]{0,6}".prop_map(serde_json::Value::from),
        "[\"\\\\{},; NULnul\u{e9}]{0,6}".prop_map(serde_json::Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop::collection::vec(inner, 0..4).prop_map(serde_json::Value::from)
    })
    .prop_map(|value| match value {
        list @ serde_json::Value::Array(_) => list,
        leaf => vec![leaf].into(),
    })
}

/// A reader of array literals that follows the documentation and nothing else of ours.
fn reference(text: &mut std::iter::Peekable<std::str::Chars<'_>>) -> serde_json::Value {
    assert_eq!(text.next(), Some('{'));
    let mut items = Vec::new();
    loop {
        match text.peek().unwrap() {
            '}' => {
                text.next();
                return items.into();
            }
            ',' => {
                text.next();
            }
            '{' => items.push(reference(text)),
            '"' => {
                text.next();
                let mut item = String::new();
                loop {
                    match text.next().unwrap() {
                        '"' => break,
                        '\\' => item.push(text.next().unwrap()),
                        c => item.push(c),
                    }
                }
                items.push(item.into());
            }
            _ => {
                let mut item = String::new();
                while !matches!(text.peek().unwrap(), ',' | '}') {
                    item.push(text.next().unwrap());
                }
                assert_eq!(item, "NULL");
                items.push(serde_json::Value::Null);
            }
        }
    }
}

proptest! {
    #[test]
    fn array_literals_read_back(value in text_array()) {
        let arg: Arg = serde_json::from_value(value.clone()).unwrap();
        let text = encode(arg, "_text").unwrap();
        prop_assert_eq!(&reference(&mut text.chars().peekable()), &value);
        let TypeKind::Array { element, .. } = &ty("_text").kind else { panic!() };
        if let Some(array) = ArrayText::parse(text.as_bytes(), b',') {
            prop_assert_eq!(serde_json::to_value(array.list(element)).unwrap(), value);
        }
    }

    #[test]
    fn json_documents_are_kept(text in "[^\0]{0,8}", n: i64, x in -1e9..1e9f64) {
        let document = serde_json::json!({"k": [text, n, x, {"deep": null}]});
        let arg: Arg = serde_json::from_value(document.clone()).unwrap();
        let written: serde_json::Value = serde_json::from_str(&encode(arg, "jsonb").unwrap()).unwrap();
        prop_assert_eq!(written, document);
    }
}
