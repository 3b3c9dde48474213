//! Request types as callers in JSON and MessagePack fill them.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::Entries;
use crate::codec::Codec;

request_fields! {
    /// A request with the shapes that real ones have.
    #[derive(Debug, PartialEq)]
    pub(super) struct Sample {
        /// Where.
        pub database: Option<String>,
        pub tx_id: Option<String>,
        pub timeout: Option<i64>,
        pub args: Option<Vec<Value>>,
        pub read_only: Option<bool>,
        pub settings: Option<Entries<String>>,
    }
}

request_fields! {
    #[derive(Debug, PartialEq)]
    struct Empty {}
}

fn packed(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    Codec::MsgPack.encode(&mut out, value, usize::MAX).unwrap();
    out
}

/// Decodes the same document through JSON and MessagePack, which must agree.
fn decode(value: &Value) -> Result<Sample, String> {
    let text = value.to_string();
    let json = Codec::Json.decode::<Sample>(text.as_bytes()).map_err(|error| error.to_string());
    let packed = Codec::MsgPack.decode::<Sample>(&packed(value));
    assert_eq!(json.is_ok(), packed.is_ok(), "{json:?} {packed:?}");
    if let (Ok(json), Ok(packed)) = (&json, &packed) {
        assert_eq!(json, packed);
    }
    json
}

#[test]
fn every_spelling_of_a_name_matches() {
    for name in ["tx_id", "txId", "TxID", "TXID", "Tx_Id", "txid", "_tx__id_"] {
        let sample = decode(&json!({name: "a"})).unwrap();
        assert_eq!(sample, Sample { tx_id: Some("a".into()), ..Sample::default() }, "{name}");
    }
}

#[test]
fn all_fields_and_absent_ones() {
    let sample = decode(&json!({
        "Database": "d", "tx_id": null, "timeout": -1, "args": [1, "x", null],
        "ReadOnly": true, "settings": {"TimeZone": "UTC", "a.b": ""},
    }))
    .unwrap();
    assert_eq!(sample.database.as_deref(), Some("d"));
    assert_eq!((sample.tx_id, sample.timeout, sample.read_only), (None, Some(-1), Some(true)));
    assert_eq!(sample.args, Some(vec![json!(1), json!("x"), Value::Null]));
    let settings = sample.settings.unwrap().0;
    assert_eq!(settings, [("TimeZone".into(), "UTC".into()), ("a.b".into(), String::new())]);
}

#[test]
fn nothing_is_an_empty_request() {
    for value in [json!({}), json!([]), json!(null)] {
        assert_eq!(decode(&value), Ok(Sample::default()), "{value}");
        assert_eq!(Codec::Json.decode::<Empty>(value.to_string().as_bytes()), Ok(Empty {}));
    }
    for value in [json!([1]), json!([null]), json!("x"), json!(1), json!(true)] {
        assert!(decode(&value).is_err(), "{value}");
    }
    // Not only at the top level: a nested request forgives an empty list too.
    let nested: std::collections::BTreeMap<String, Sample> =
        Codec::MsgPack.decode(b"\x81\xa1a\x90").unwrap();
    assert_eq!(nested["a"], Sample::default());
}

#[test]
fn field_given_twice_is_refused_in_any_spelling() {
    let text = |body: &str| Codec::Json.decode::<Sample>(body.as_bytes()).unwrap_err().to_string();
    let cases = [
        (r#"{"TxID":"a","tx_id":"b"}"#, r#"field "tx_id" is given twice ("TxID" and "tx_id")"#),
        (r#"{"tx_id":"a","txId":"b"}"#, r#"field "tx_id" is given twice ("tx_id" and "txId")"#),
        (r#"{"tx_id":null,"tx_id":1}"#, r#"field "tx_id" is given twice ("tx_id" and "tx_id")"#),
        (r#"{"TxI\u0044":"a","TXID":1}"#, r#"field "tx_id" is given twice ("TxID" and "TXID")"#),
    ];
    for (body, expected) in cases {
        let text = text(body);
        assert!(text.contains(expected), "{text}");
    }
    let body = b"\x82\xa4TxID\xa1a\xa5tx_id\xa1b";
    let text = Codec::MsgPack.decode::<Sample>(body).unwrap_err().to_string();
    assert_eq!(text, r#"msgpack: field "tx_id" is given twice ("TxID" and "tx_id")"#);
}

#[test]
fn unknown_field_is_refused_with_help() {
    let text = decode(&json!({"txid2": "a"})).unwrap_err();
    assert!(text.contains(r#"unknown field "txid2", did you mean "tx_id"?"#), "{text}");
    assert!(text.contains("database, tx_id, timeout, args, read_only, settings"), "{text}");
    let text = decode(&json!({"colour": "a"})).unwrap_err();
    assert!(text.contains(r#"unknown field "colour" (known fields: "#), "{text}");
    let text = Codec::Json.decode::<Empty>(br#"{"a":1}"#).unwrap_err().to_string();
    assert!(text.contains("this request has no fields"), "{text}");
    assert!(decode(&json!({"": 1})).unwrap_err().contains(r#"unknown field """#));
}

#[test]
fn wrong_value_names_its_field() {
    let text = decode(&json!({"Timeout": "soon"})).unwrap_err();
    assert!(text.contains(r#"field "timeout": invalid type: string"#), "{text}");
    let text = Codec::MsgPack.decode::<Sample>(b"\x81\xa8database\xa1\xff").unwrap_err();
    assert!(text.to_string().contains(r#"field "database": "#), "{text}");
    let text = decode(&json!({"settings": {"a": 1}})).unwrap_err();
    assert!(text.contains(r#"field "settings": "a": "#), "{text}");
}

#[test]
fn msgpack_keys_may_be_nil_bytes_or_numbers() {
    // {nil: "App\Request", "tx_id" as bytes: "a"}
    let mut body = b"\x82\xc0\xabApp\\Request\xc4\x05tx_id\xa1a".to_vec();
    let sample: Sample = Codec::MsgPack.decode(&body).unwrap();
    assert_eq!(sample.tx_id.as_deref(), Some("a"));
    // The nil key's value may be anything, and there may be several.
    body = b"\x82\xc0\x92\x01\xa1\xff\xc0\xc7\x03\x05abc".to_vec();
    assert_eq!(Codec::MsgPack.decode::<Sample>(&body), Ok(Sample::default()));
    for (body, shown) in [
        (&b"\x81\x00\x01"[..], "\"0\""),
        (b"\x81\xff\x01", "\"-1\""),
        (b"\x81\xa1\xff\x01", "\"\u{fffd}\""),
        (b"\x81\xc4\x01\xff\x01", "\"\u{fffd}\""),
    ] {
        let text = Codec::MsgPack.decode::<Sample>(body).unwrap_err().to_string();
        assert!(text.contains(&format!("unknown field {shown}")), "{text}");
    }
    assert!(Codec::MsgPack.decode::<Sample>(b"\x81\x90\x01").is_err(), "a list is no name");
}

/// Bytes that PHP 8.2's msgpack_pack() makes of objects and of an object in a list of fields.
#[test]
fn objects_as_php_packs_them() {
    let request = b"\x83\xc0\xa1R\xa5tx_id\xa1a\xa7timeout\x05";
    let sample: Sample = Codec::MsgPack.decode(request).unwrap();
    assert_eq!((sample.tx_id.as_deref(), sample.timeout), (Some("a"), Some(5)));
    let request = b"\x82\xc0\xa8stdClass\xa8database\xa1d";
    let sample: Sample = Codec::MsgPack.decode(request).unwrap();
    assert_eq!(sample.database.as_deref(), Some("d"));
    let request = b"\x82\xa4args\x90\xa8settings\x82\xc0\xa8stdClass\xa1a\xa1b";
    let sample: Sample = Codec::MsgPack.decode(request).unwrap();
    assert_eq!(sample.args, Some(Vec::new()));
    assert_eq!(sample.settings, Some(Entries(vec![("a".into(), "b".into())])));
}

#[test]
fn entries_forgive_what_php_does_to_maps() {
    let sample: Sample = Codec::MsgPack
        .decode(b"\x81\xa8settings\x83\xc0\xa8stdClass\xa1a\xa11\xc4\x01b\xa12")
        .unwrap();
    let settings = sample.settings.unwrap();
    assert_eq!(settings.0, [("a".into(), "1".into()), ("b".into(), "2".into())]);
    assert_eq!(format!("{settings:?}"), r#"{"a", "b"}"#);
    assert_eq!(decode(&json!({"settings": []})).unwrap().settings, Some(Entries::default()));
    assert!(decode(&json!({"settings": ["a"]})).is_err());
    let twice = br#"{"settings":{"a":"1","a":"2"}}"#;
    let text = Codec::Json.decode::<Sample>(twice).unwrap_err().to_string();
    assert!(text.contains(r#"name "a" is given twice"#), "{text}");
    assert!(Codec::MsgPack.decode::<Sample>(b"\x81\xa8settings\x81\xa1\xff\xa11").is_err());
}

proptest! {
    #[test]
    fn arbitrary_bodies_never_panic(body in prop::collection::vec(any::<u8>(), 0..200)) {
        for codec in [Codec::Json, Codec::MsgPack, Codec::Raw] {
            let _ = codec.decode::<Sample>(&body);
            let _ = codec.decode::<Value>(&body);
        }
    }

    #[test]
    fn mutated_bodies_never_panic(at in 0_usize..200, byte in any::<u8>(), cut in 0_usize..200) {
        let value = json!({"database": "d", "args": [1, [2.5, null], {"k": "v"}], "settings": {"a": "b"}});
        for (codec, mut body) in
            [(Codec::Json, value.to_string().into_bytes()), (Codec::MsgPack, packed(&value))]
        {
            let at = at % body.len();
            body[at] = byte;
            let _ = codec.decode::<Sample>(&body);
            body.truncate(cut);
            let _ = codec.decode::<Sample>(&body);
        }
    }

    #[test]
    fn any_name_is_found_or_refused(name in "[a-zA-Z_]{0,12}") {
        let letters = |name: &str| name.replace('_', "").to_ascii_lowercase();
        let names = <Sample as super::RequestFields>::NAMES;
        let known = names.iter().any(|known| letters(known) == letters(&name));
        prop_assert_eq!(decode(&json!({ name: null })).is_ok(), known);
    }
}
