//! A document written in parts is the document written whole.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::*;

const CODECS: [Codec; 3] = [Codec::Json, Codec::MsgPack, Codec::Raw];
const NO_LIMIT: usize = usize::MAX;

/// Writes `document`, its lists element by element.
fn write(document: &Map<String, Value>, codec: Codec, limit: usize) -> Result<Vec<u8>, WriteError> {
    let mut out = b"before".to_vec();
    let mut writer = MapWriter::begin(&mut out, codec, limit)?;
    for (name, value) in document {
        let Value::Array(elements) = value else {
            writer.field(&mut out, name, value)?;
            continue;
        };
        writer.begin_array(&mut out, name)?;
        for element in elements {
            writer.element(&mut out, element)?;
        }
        assert_eq!(writer.elements() as usize, elements.len());
        writer.end_array(&mut out)?;
    }
    writer.end(&mut out)?;
    Ok(out.split_off(6))
}

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        (-1e300..1e300).prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 40, 8, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Value::from),
            prop::collection::vec((any::<String>(), inner), 0..8)
                .prop_map(|entries| Value::Object(entries.into_iter().collect())),
        ]
    })
}

fn any_document() -> impl Strategy<Value = Map<String, Value>> {
    prop::collection::vec((any::<String>(), any_value()), 0..8)
        .prop_map(|entries| entries.into_iter().collect())
}

proptest! {
    #[test]
    fn parts_give_the_whole(document in any_document()) {
        for codec in CODECS {
            let written = write(&document, codec, NO_LIMIT).unwrap();
            let whole = Value::Object(document.clone());
            if codec == Codec::MsgPack {
                prop_assert_eq!(rmp_serde::from_slice::<Value>(&written).unwrap(), whole);
            } else {
                prop_assert_eq!(&written, &serde_json::to_vec(&whole).unwrap());
            }
        }
    }

    #[test]
    fn limit_is_exact(document in any_document(), short in 1_usize..200) {
        for codec in CODECS {
            let length = write(&document, codec, NO_LIMIT).unwrap().len() + 6;
            prop_assert!(write(&document, codec, length).is_ok());
            let limit = length.saturating_sub(short);
            let error = write(&document, codec, limit).unwrap_err();
            prop_assert_eq!(error, WriteError::LimitExceeded { limit });
        }
    }
}

#[test]
fn json_is_plain() {
    let document = json!({"rows": [{"a": 1}, {"a": "x"}], "none": [], "error": "\"é\"", "n": null});
    let Value::Object(document) = document else { panic!("an object") };
    let written = write(&document, Codec::Json, NO_LIMIT).unwrap();
    let expected = r#"{"rows":[{"a":1},{"a":"x"}],"none":[],"error":"\"é\"","n":null}"#;
    assert_eq!(String::from_utf8(written).unwrap(), expected);
}

#[test]
fn msgpack_structs_are_maps_and_counts_are_filled_in() {
    #[derive(Serialize)]
    struct Column {
        name: &'static str,
        oid: u32,
    }
    let mut out = Vec::new();
    let mut writer = MapWriter::begin(&mut out, Codec::MsgPack, NO_LIMIT).unwrap();
    writer.begin_array(&mut out, "c").unwrap();
    writer.element(&mut out, &Column { name: "id", oid: 23 }).unwrap();
    writer.end_array(&mut out).unwrap();
    writer.field(&mut out, "n", &70_000).unwrap();
    writer.end(&mut out).unwrap();
    let expected =
        b"\xde\0\x02\xa1c\xdd\0\0\0\x01\x82\xa4name\xa2id\xa3oid\x17\xa1n\xce\0\x01\x11\x70";
    assert_eq!(out, expected);
}

#[test]
fn each_codec_says_whether_humans_read_it() {
    struct Asks;
    impl Serialize for Asks {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            let readable = serializer.is_human_readable();
            serializer.serialize_bool(readable)
        }
    }
    for (codec, expected) in [(Codec::Json, true), (Codec::Raw, true), (Codec::MsgPack, false)] {
        let mut out = Vec::new();
        let mut writer = MapWriter::begin(&mut out, codec, NO_LIMIT).unwrap();
        writer.field(&mut out, "asks", &Asks).unwrap();
        writer.end(&mut out).unwrap();
        assert_eq!(codec.decode::<Value>(&out).unwrap()["asks"], expected);
    }
}

#[test]
fn refused_element_leaves_a_document_that_can_be_closed() {
    for codec in CODECS {
        let mut out = Vec::new();
        let mut writer = MapWriter::begin(&mut out, codec, 1000).unwrap();
        writer.begin_array(&mut out, "rows").unwrap();
        for element in ["a", "b"] {
            writer.element(&mut out, element).unwrap();
            let length = out.len();
            let error = writer.element(&mut out, &"x".repeat(10_000)).unwrap_err();
            assert_eq!(error, WriteError::LimitExceeded { limit: 1000 });
            assert_eq!(out.len(), length);
        }
        writer.end_array(&mut out).unwrap();
        assert!(writer.field(&mut out, "big", &"x".repeat(10_000)).is_err());
        writer.field(&mut out, "error", "too large").unwrap();
        writer.end(&mut out).unwrap();
        let expected = json!({"rows": ["a", "b"], "error": "too large"});
        assert_eq!(codec.decode::<Value>(&out).unwrap(), expected);
    }
}

#[test]
fn wrong_order_is_refused() {
    for codec in CODECS {
        let mut out = Vec::new();
        let mut writer = MapWriter::begin(&mut out, codec, NO_LIMIT).unwrap();
        assert_eq!(writer.element(&mut out, &1), Err(WriteError::OutOfOrder));
        assert_eq!(writer.end_array(&mut out), Err(WriteError::OutOfOrder));
        writer.begin_array(&mut out, "a").unwrap();
        assert_eq!(writer.field(&mut out, "b", &1), Err(WriteError::OutOfOrder));
        assert_eq!(writer.begin_array(&mut out, "b"), Err(WriteError::OutOfOrder));
        assert_eq!(writer.end(&mut out), Err(WriteError::OutOfOrder));
    }
}

#[test]
fn elements_beyond_sixteen_bits_are_counted() {
    let mut out = Vec::new();
    let mut writer = MapWriter::begin(&mut out, Codec::MsgPack, NO_LIMIT).unwrap();
    writer.begin_array(&mut out, "a").unwrap();
    for _ in 0..70_000 {
        writer.element(&mut out, &true).unwrap();
    }
    writer.end_array(&mut out).unwrap();
    writer.end(&mut out).unwrap();
    let value: Value = Codec::MsgPack.decode(&out).unwrap();
    assert_eq!(value["a"].as_array().unwrap().len(), 70_000);
}

#[test]
fn fields_beyond_sixteen_bits_are_refused() {
    let mut out = Vec::new();
    let mut writer = MapWriter::begin(&mut out, Codec::MsgPack, NO_LIMIT).unwrap();
    for _ in 0..u16::MAX {
        writer.field(&mut out, "a", &1).unwrap();
    }
    assert_eq!(writer.field(&mut out, "a", &1), Err(WriteError::TooMany));
}
