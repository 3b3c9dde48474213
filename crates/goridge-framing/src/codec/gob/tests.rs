use proptest::prelude::*;
use serde_json::json;

use super::{from_json, to_json};
use crate::codec::shape::{Field, Shape, StructShape};

/// Bodies that Go 1.26's encoding/gob has written.
const SIMPLE: &str = "487f0301010e457865637574655265717565737401ff8000010401084461746162617365010c00\
    01055175657279010c0001044172677301ff8200010754696d656f757401040000001cff810201010e5b5d696e746572\
    66616365207b7d01ff8200011000000fff80020853454c4543542031020900";
const ARGS: &str = "\
    487f0301010e457865637574655265717565737401ff8000010401084461746162617365010c0001055175657279\
    010c0001044172677301ff8200010754696d656f757401040000001cff810201010e5b5d696e7465726661636520\
    7b7d01ff82000110000076ff80010164010171010c03696e740402000206737472696e670c04000278ff0004626f\
    6f6c0202000107666c6f61743634080400fef83f075b5d75696e74380a04000261620675696e743634060a00f880\
    0000000000000005696e743634040400fe0257055b5d696e74ff83020102ff8400010400001cff84040002020408\
    5b5d737472696e67ff85020102ff8600010c00002eff86050002016100176d61705b737472696e675d696e746572\
    66616365207b7dff87040102ff8800010c011000004fff88210001016b0e5b5d696e74657266616365207b7dff82\
    0b000203696e7404020002000a6d61696e2e496e6e6572ff8903010105496e6e657201ff8a000102010141010400\
    01014201ff860000000bff8a0701020101017a0000";
const POINT: &str = "1fff8103010105506f696e7401ff8200010201015801040001015901040000\
    0007ff82012c014200";

fn bytes(hex: &str) -> Vec<u8> {
    let hex: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
    let pair = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    hex.chunks_exact(2).map(pair).collect()
}

#[test]
fn what_go_writes_is_read() {
    assert_eq!(to_json(&bytes(POINT)), Ok(json!({"X": 22, "Y": 33})));
    assert_eq!(to_json(&bytes(SIMPLE)), Ok(json!({"Query": "SELECT 1", "Timeout": -5})));
    let args = json!([
        1, {"$bytea": "eP8="}, null, true, 1.5, {"$bytea": "YWI="}, 9_223_372_036_854_775_808_u64, -300,
        [1, 2], ["a", ""], {"k": [1, null]}, {"A": 1, "B": ["z"]},
    ]);
    let expected = json!({"Database": "d", "Query": "q", "Args": args});
    assert_eq!(to_json(&bytes(ARGS)), Ok(expected));
    assert_eq!(to_json(&bytes("03020001")), Ok(json!(true)));
    assert_eq!(
        to_json(&bytes("0eff8b040102ff8c00010c0104000007ff8c0001016102")),
        Ok(json!({"a": 1}))
    );
    assert_eq!(to_json(b""), Ok(json!({})));
}

#[test]
fn bodies_that_are_cut_or_made_up_are_refused() {
    for whole in [bytes(SIMPLE), bytes(POINT)] {
        let definition_ends = usize::from(whole[0]) + 1;
        for end in (1..whole.len()).filter(|end| *end != definition_ends) {
            let cut = to_json(whole.get(..end).unwrap_or_default());
            assert!(cut.is_err() || cut == Ok(json!({})), "{end}: {cut:?}");
        }
        let longer = [&whole[..], &[0]].concat();
        assert!(to_json(&longer).is_err());
    }
    // A length, a count and a field number beyond everything.
    for bad in
        ["f8ffffffffffffffff", "0bff8b040102ff8c00010c0104000007ff8c00f8ffffffffffffffff", "ff"]
    {
        assert!(to_json(&bytes(bad)).is_err(), "{bad}");
    }
}

#[test]
fn small_bodies_take_little_memory() {
    // A type with more fields than there may be, and one whose field has a very long name.
    let mut fields = vec![0xff, 0x81, 3, 1, 2, 0xff, 0x82, 0, 1, 0xfd, 1, 0, 0];
    fields.resize(fields.len() + 70_000, 0);
    let mut name = vec![0xff, 0x81, 3, 1, 2, 0xff, 0x82, 0, 1, 1, 1, 0xfe, 1, 1];
    name.resize(name.len() + 257, b'x');
    name.extend_from_slice(&[1, 4, 0, 0, 0]);
    for message in [fields, name] {
        let len = u32::try_from(message.len()).unwrap().to_be_bytes();
        let body = [&[0xfc][..], &len, &message].concat();
        let refused = to_json(&body).unwrap_err();
        assert!(refused.contains("a field's name of more than"), "{refused}");
    }
}

static INNER: StructShape =
    StructShape { name: "Inner", fields: &[Field { name: "a", go_name: "A", shape: Shape::Int }] };
static OUTER: StructShape = StructShape {
    name: "Outer",
    fields: &[
        Field { name: "rows", go_name: "Rows", shape: Shape::Rows },
        Field { name: "text", go_name: "Text", shape: Shape::Text },
        Field { name: "truth", go_name: "Truth", shape: Shape::Bool },
        Field { name: "inner", go_name: "Inner", shape: Shape::List(&Shape::Struct(&INNER)) },
        Field { name: "map", go_name: "Map", shape: Shape::Map(&Shape::Int) },
    ],
};

#[test]
fn what_is_written_is_read_again() {
    let nested = json!({"k": [1, null]});
    let big = json!(18_446_744_073_709_551_615_u64);
    let document = json!({
        "rows": [{"i": -300, "f": 1.5, "s": "x", "n": null, "b": false, "deep": nested, "big": big}],
        "truth": true, "inner": [{"a": 5}, {"a": 6}], "map": {"x": 1_i64 << 40}, "unknown": 1,
    });
    let expected = json!({
        "Rows": [{"i": -300, "f": 1.5, "s": "x", "n": null, "b": false, "deep": nested.to_string(),
            "big": "18446744073709551615"}],
        "Truth": true, "Inner": [{"A": 5}, {"A": 6}], "Map": {"x": 1_i64 << 40},
    });
    assert_eq!(to_json(&from_json(&document, &OUTER)), Ok(expected));
    let lists = json!({"rows": [[1, "x"], [null, 2.5]], "text": "t"});
    let expected = json!({"Rows": [[1, "x"], [null, 2.5]], "Text": "t"});
    assert_eq!(to_json(&from_json(&lists, &OUTER)), Ok(expected));
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(body in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = to_json(&body);
    }

    #[test]
    fn damaged_bodies_never_panic(at in 0..200_usize, with: u8) {
        for whole in [SIMPLE, ARGS] {
            let mut body = bytes(whole);
            if let Some(byte) = body.get_mut(at) {
                *byte = with;
            }
            let _ = to_json(&body);
        }
    }

    #[test]
    fn numbers_survive(int: i64, float: f64, text: String) {
        let document = json!({"rows": [[int, float, text]]});
        let read = to_json(&from_json(&document, &OUTER)).unwrap();
        prop_assert_eq!(&read["Rows"], &document["rows"]);
    }
}
