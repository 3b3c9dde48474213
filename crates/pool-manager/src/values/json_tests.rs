//! Documents in both codecs.

use proptest::prelude::*;
use serde_json::json;

use super::*;

struct Document<'a>(&'a str);

impl Serialize for Document<'_> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        serialize(self.0, s)
    }
}

fn to_json(document: &str) -> String {
    serde_json::to_string(&Document(document)).unwrap()
}

/// Transcoded to MessagePack and read back.
fn through_msgpack(document: &str) -> serde_json::Value {
    let bytes = rmp_serde::to_vec(&Document(document)).unwrap();
    rmp_serde::from_slice(&bytes).unwrap()
}

#[test]
fn json_goes_verbatim() {
    for document in [
        r#"{"a": [1, 2.50, 123456789012345678901234567890],"a":"\u0000\ud800"}"#,
        "7",
        "\"x\"",
        "null",
    ] {
        assert_eq!(to_json(document), document);
    }
}

#[test]
fn malformed_json_is_text() {
    for document in ["", "{", "[1,]", "{\"a\"}", "1 2", "nul", "\"", "[\u{1}\"", "01", "1.", "-"] {
        let text = serde_json::to_string(document).unwrap();
        assert_eq!(to_json(document), text);
        assert_eq!(through_msgpack(document), json!(document), "{document}");
    }
}

#[test]
fn documents_are_transcoded() {
    let document = r#" { "a" : [ 1 , -2 , [ ] , { } , [ [ true ] , false ] , null ] , "b" : { "c" : "d" } , "" : "" } "#;
    let expected = json!({"a": [1, -2, [], {}, [[true], false], null], "b": {"c": "d"}, "": ""});
    assert_eq!(through_msgpack(document), expected);
}

#[test]
fn numbers_keep_their_digits() {
    let document = "[9223372036854775807,18446744073709551615,18446744073709551616,0.1,1.0,1e2,\
                    0.12345678901234567890]";
    assert_eq!(
        through_msgpack(document),
        json!([
            i64::MAX,
            u64::MAX,
            "18446744073709551616",
            0.1,
            1.0,
            100.0,
            "0.12345678901234567890"
        ])
    );
    let negative_zero = rmp_serde::to_vec(&Document("-0")).unwrap();
    assert_eq!(negative_zero, b"\xcb\x80\0\0\0\0\0\0\0");
}

#[test]
fn escapes_are_resolved() {
    let document = r#"{"k\n\u00e9":"\"\\\/\b\f\n\r\t\u0000\ud83d\ude00é"}"#;
    let text = "\"\\/\u{8}\u{c}\n\r\t\0\u{1f600}\u{e9}";
    assert_eq!(through_msgpack(document), json!({"k\n\u{e9}": text}));
    assert_eq!(through_msgpack(r#""a\ud800b""#), json!("a\u{fffd}b"));
    assert_eq!(through_msgpack(r#""\ud800\u0041\udc00""#), json!("\u{fffd}A\u{fffd}"));
    assert_eq!(through_msgpack(r#""\u+123""#), json!(r#""\u+123""#), "not an escape");
}

#[test]
fn nesting_is_bounded() {
    let nested = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
    let bytes = rmp_serde::to_vec(&Document(&nested(MAX_DEPTH))).unwrap();
    assert_eq!(bytes.len(), MAX_DEPTH);
    let deeper = nested(MAX_DEPTH + 1);
    assert_eq!(through_msgpack(&deeper), json!(deeper));
    let bomb = "{\"a\":".repeat(100_000);
    assert_eq!(through_msgpack(&bomb), json!(bomb));
}

fn document() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<u64>().prop_map(Into::into),
        (-1e300..1e300f64).prop_map(Into::into),
        any::<String>().prop_map(Into::into),
    ];
    leaf.prop_recursive(5, 40, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Into::into),
            prop::collection::vec((any::<String>(), inner), 0..5)
                .prop_map(|entries| entries.into_iter().collect()),
        ]
    })
}

proptest! {
    #[test]
    fn every_document_survives(document in document(), pretty: bool) {
        let text = if pretty {
            serde_json::to_string_pretty(&document).unwrap()
        } else {
            document.to_string()
        };
        prop_assert_eq!(through_msgpack(&text), document);
        prop_assert_eq!(to_json(&text), text);
    }

    #[test]
    fn the_reader_accepts_what_serde_json_accepts(text in r#"[\[\]{}:,"a0-9.eE+\\u tfn-]{0,12}"#) {
        let ours = Shape::of(&text).is_some();
        let theirs = serde_json::from_str::<&RawValue>(&text).is_ok();
        prop_assert_eq!(ours, theirs, "{}", text);
    }

    #[test]
    fn nothing_panics(text in any::<String>()) {
        through_msgpack(&text);
        to_json(&text);
    }
}
