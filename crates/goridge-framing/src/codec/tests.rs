//! Whole bodies through each codec: leniency at the top level, strictness everywhere else.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::Visitor;
use serde::{Deserialize, Deserializer, Serialize};

use super::*;

/// A value that takes text and binary alike, as parameters do.
#[derive(Debug, PartialEq)]
struct Blob(Vec<u8>);

impl<'de> Deserialize<'de> for Blob {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct BlobVisitor;
        impl Visitor<'_> for BlobVisitor {
            type Value = Blob;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("text or bytes")
            }

            fn visit_str<E>(self, text: &str) -> Result<Blob, E> {
                Ok(Blob(text.as_bytes().to_vec()))
            }

            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Blob, E> {
                Ok(Blob(bytes.to_vec()))
            }
        }
        deserializer.deserialize_any(BlobVisitor)
    }
}

#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct Point {
    x: i64,
    label: String,
}

type Blobs = BTreeMap<String, Blob>;

fn reason<T: fmt::Debug>(result: Result<T, RequestError>) -> String {
    result.unwrap_err().to_string()
}

#[test]
fn flags_choose_the_codec() {
    assert_eq!(Codec::from_flags(Flags::JSON | Flags::MSGPACK), Ok(Codec::Json));
    assert_eq!(Codec::from_flags(Flags::RAW | Flags::MSGPACK), Ok(Codec::Raw));
    assert_eq!(Codec::from_flags(Flags::GOB | Flags::MSGPACK), Ok(Codec::MsgPack));
    let none = Codec::from_flags(Flags::EMPTY).unwrap_err();
    assert_eq!(none.to_string(), "unknown decoder used in frame");
    for codec in [Codec::Json, Codec::MsgPack, Codec::Raw, Codec::Gob, Codec::Proto] {
        assert_eq!(Codec::from_flags(codec.flag() | Flags::ERROR), Ok(codec));
    }
}

#[test]
fn what_php_and_go_send_for_nothing_is_an_empty_map() {
    for body in ["", "[]", " [\n] ", "{}", " {} "] {
        for codec in [Codec::Json, Codec::Raw] {
            assert_eq!(codec.decode::<Point>(body.as_bytes()), Ok(Point::default()), "{body:?}");
        }
    }
    for body in [&b""[..], b"\x90", b"\xdc\0\0", b"\xdd\0\0\0\0", b"\x80"] {
        assert_eq!(Codec::MsgPack.decode::<Point>(body), Ok(Point::default()), "{body:?}");
    }
}

#[test]
fn leftover_bytes_are_an_error() {
    for body in ["{} x", "{}{}", "[] []", "[],", "{}\0"] {
        assert!(Codec::Json.decode::<Point>(body.as_bytes()).is_err(), "{body:?}");
    }
    // The last one is a marker whose data is missing: it must not pass for the end.
    for body in [&b"\x80\xc0"[..], b"\x80\x80", b"\x90\x90", b"\x80\xc1", b"\x80\xcd"] {
        let text = reason(Codec::MsgPack.decode::<Point>(body));
        assert_eq!(text, "msgpack: trailing bytes after the document", "{body:?}");
    }
}

#[test]
fn short_documents_are_an_error() {
    let body = br#"{"x":1,"label":"abc"}"#;
    for end in 1..body.len() {
        assert!(Codec::Json.decode::<Point>(&body[..end]).is_err());
    }
    let mut packed = Vec::new();
    Codec::MsgPack.encode(&mut packed, &Point { x: 300, label: "abc".into() }, 100).unwrap();
    for end in 1..packed.len() {
        let text = reason(Codec::MsgPack.decode::<Point>(&packed[..end]));
        assert_eq!(text, "msgpack: the document ends too early", "{end}");
    }
    // A text of 4 GiB that is not there, a list of 4 billion elements that are not there.
    assert!(Codec::MsgPack.decode::<Blobs>(b"\x81\xa1a\xdb\xff\xff\xff\xff").is_err());
    assert!(
        Codec::MsgPack
            .decode::<BTreeMap<String, Vec<u64>>>(b"\x81\xa1a\xdd\xff\xff\xff\xff")
            .is_err()
    );
}

#[test]
fn msgpack_strings_that_are_not_utf8_arrive_as_bytes() {
    let blobs: Blobs =
        Codec::MsgPack.decode(b"\x83\xa1a\xa2\xff\x00\xa1b\xc4\x01\xfe\xa1c\xa2hi").unwrap();
    assert_eq!(blobs["a"], Blob(vec![0xff, 0]));
    assert_eq!(blobs["b"], Blob(vec![0xfe]));
    assert_eq!(blobs["c"], Blob(b"hi".to_vec()));
    let text = reason(Codec::MsgPack.decode::<Point>(b"\x81\xa5label\xa1\xff"));
    assert_eq!(text, "msgpack: a text is not valid UTF-8");
}

#[test]
fn nesting_is_bounded_alike_in_every_codec() {
    use serde::de::IgnoredAny;
    let json = |depth: usize| {
        format!("{{\"a\":{}{}}}", "[".repeat(depth - 1), "]".repeat(depth - 1)).into_bytes()
    };
    let packed = |depth: usize| {
        let mut body = b"\x81\xa1a".to_vec();
        body.extend(std::iter::repeat_n(0x91, depth - 2));
        body.push(0x90);
        body
    };
    // serde_json leaves values it skips unbounded, as it needs no stack for them.
    assert!(Codec::Json.decode::<serde_json::Value>(&json(MAX_DEPTH)).is_ok());
    assert!(
        reason(Codec::Json.decode::<serde_json::Value>(&json(MAX_DEPTH + 1))).contains("recursion")
    );
    assert!(Codec::MsgPack.decode::<IgnoredAny>(&packed(MAX_DEPTH)).is_ok());
    assert_eq!(
        reason(Codec::MsgPack.decode::<IgnoredAny>(&packed(MAX_DEPTH + 1))),
        "msgpack: nested too deep"
    );
    assert!(Codec::MsgPack.decode::<serde_json::Value>(&packed(1_000_000)).is_err());
    assert!(Codec::Json.decode::<IgnoredAny>(&json(1_000_000)).is_ok());
}

#[test]
fn whole_values_survive_each_codec() {
    let point = Point { x: i64::MIN, label: "é\n\"\u{0}".into() };
    for codec in [Codec::Json, Codec::MsgPack, Codec::Raw] {
        let mut out = b"before".to_vec();
        codec.encode(&mut out, &point, 1024).unwrap();
        assert_eq!(codec.decode::<Point>(&out[6..]).as_ref(), Ok(&point));
    }
}

#[test]
fn encode_leaves_nothing_behind_when_it_fails() {
    struct Refuses;
    impl Serialize for Refuses {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            use serde::ser::{Error, SerializeSeq};
            serializer.serialize_seq(Some(2))?.serialize_element(&1)?;
            Err(S::Error::custom("no"))
        }
    }
    for codec in [Codec::Json, Codec::MsgPack] {
        let mut out = b"before".to_vec();
        let error = codec.encode(&mut out, &Refuses, 1024).unwrap_err();
        assert_eq!(error, WriteError::Value("no".into()));
        let error = codec.encode(&mut out, &"x".repeat(100), 50).unwrap_err();
        assert_eq!(error, WriteError::LimitExceeded { limit: 50 });
        assert_eq!(out, b"before");
        assert!(out.capacity() < 100, "the limit must hold while writing");
    }
}
