//! Rows in every style and both codecs.

use proptest::prelude::*;
use serde_json::json;

use super::super::testing::{columns, data_row};
use super::*;

const ASSOC_TEXT: RowStyle = RowStyle { shape: RowShape::Assoc, values: ValueStyle::Text };
const LIST_NATIVE: RowStyle = RowStyle { shape: RowShape::List, values: ValueStyle::Native };
const LIST_TEXT: RowStyle = RowStyle { shape: RowShape::List, values: ValueStyle::Text };

fn to_json(row: &Row<'_>) -> String {
    serde_json::to_string(row).unwrap()
}

/// One value of a type in text format, in JSON.
fn printed(oid: u32, text: impl AsRef<[u8]>, values: ValueStyle) -> String {
    let columns = columns(&[("v", oid)]);
    let body = data_row(&[Some(text)]);
    let row = Row::new(&columns, &body).unwrap().styled(RowStyle { values, ..LIST_NATIVE });
    let json = to_json(&row);
    json[1..json.len() - 1].to_owned()
}

/// One native value in MessagePack, without the list around it.
fn packed(oid: u32, format: i16, bytes: &[u8]) -> Vec<u8> {
    let columns = columns(&[("v", oid)]).with_formats(&[format]);
    let body = data_row(&[Some(bytes)]);
    let row = Row::new(&columns, &body).unwrap().styled(LIST_NATIVE);
    rmp_serde::to_vec(&row).unwrap().split_off(1)
}

/// One native value in binary format, in JSON.
fn from_binary(oid: u32, bytes: &[u8]) -> String {
    let columns = columns(&[("v", oid)]).with_formats(&[1]);
    let body = data_row(&[Some(bytes)]);
    let json = to_json(&Row::new(&columns, &body).unwrap().styled(LIST_NATIVE));
    json[1..json.len() - 1].to_owned()
}

fn both(oid: u32, text: &str, native: &str, as_text: &str) {
    assert_eq!(printed(oid, text, ValueStyle::Native), native);
    assert_eq!(printed(oid, text, ValueStyle::Text), as_text);
}

#[test]
fn rows_are_maps_or_lists() {
    let columns = columns(&[("id", 23), ("name", 25), ("gone", 25)]);
    let body = data_row(&[Some("7"), Some("a\"b"), None]);
    let row = Row::new(&columns, &body).unwrap();
    assert_eq!(to_json(&row), r#"{"id":7,"name":"a\"b","gone":null}"#);
    assert_eq!(to_json(&row.styled(ASSOC_TEXT)), r#"{"id":7,"name":"a\"b","gone":null}"#);
    assert_eq!(to_json(&row.styled(LIST_NATIVE)), r#"[7,"a\"b",null]"#);
    assert_eq!(rmp_serde::to_vec(&row.styled(LIST_TEXT)).unwrap(), b"\x93\x07\xa3a\"b\xc0");
    assert_eq!(rmp_serde::to_vec(&row).unwrap(), b"\x83\xa2id\x07\xa4name\xa3a\"b\xa4gone\xc0");
}

#[test]
fn of_columns_with_one_name_the_last_wins() {
    let columns = columns(&[("a", 23), ("b", 23), ("a", 25)]);
    let body = data_row(&[Some("1"), Some("2"), Some("3")]);
    let row = Row::new(&columns, &body).unwrap();
    assert_eq!(to_json(&row), r#"{"b":2,"a":"3"}"#);
    assert_eq!(rmp_serde::to_vec(&row).unwrap(), b"\x82\xa1b\x02\xa1a\xa13");
    assert_eq!(to_json(&row.styled(LIST_NATIVE)), r#"[1,2,"3"]"#);
}

#[test]
fn a_row_without_columns_is_empty() {
    let columns = columns(&[]);
    let row = Row::new(&columns, &[0, 0]).unwrap();
    assert_eq!(to_json(&row), "{}");
    assert_eq!(to_json(&row.styled(LIST_NATIVE)), "[]");
}

#[test]
fn single_values_are_read() {
    let columns =
        columns(&[("a", 16), ("b", 701), ("c", 25), ("d", 700)]).with_formats(&[1, 1, 0, 1]);
    let body = data_row(&[
        Some(&b"\x01"[..]),
        Some(&1e15f64.to_be_bytes()),
        None,
        Some(&1e6f32.to_be_bytes()),
    ]);
    let row = Row::new(&columns, &body).unwrap();
    assert_eq!(row.bytes(0), Some(&b"\x01"[..]));
    assert_eq!((row.text(2), row.text(9)), (None, None));
    let shown: Vec<_> = (0..5).map(|i| row.display(i)).collect();
    let expected = [Some("t"), Some("1e+15"), None, Some("1e+06"), None];
    assert_eq!(shown, expected.map(|text| text.map(str::to_owned)));
}

#[test]
fn integers_floats_and_booleans_are_native_in_both_styles() {
    for (oid, text, json) in [
        (16, "t", "true"),
        (16, "f", "false"),
        (21, "-32768", "-32768"),
        (23, "2147483647", "2147483647"),
        (20, "-9223372036854775808", "-9223372036854775808"),
        (26, "4294967295", "4294967295"),
        (700, "0.1", "0.1"),
        (701, "1e+100", "1e+100"),
        (701, "-0", "-0.0"),
        (701, "NaN", "\"NaN\""),
        (700, "Infinity", "\"Infinity\""),
        (701, "-Infinity", "\"-Infinity\""),
    ] {
        both(oid, text, json, json);
    }
}

#[test]
fn everything_else_is_what_postgresql_prints() {
    for (oid, text) in [
        (1700, "12345678901234567890.10"),
        (1700, "NaN"),
        (790, "$1,000.00"),
        (2950, "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
        (1184, "2024-02-29 12:00:00+00"),
        (22, "1 2 3"),
        (28, "4711"),
        (99_999, "(1,x)"),
        (25, ""),
    ] {
        both(oid, text, &format!("\"{text}\""), &format!("\"{text}\""));
    }
}

#[test]
fn json_is_nested_or_text() {
    both(3802, r#"{"a": 1.50}"#, r#"{"a": 1.50}"#, r#""{\"a\": 1.50}""#);
    both(114, "[1 , null]", "[1 , null]", r#""[1 , null]""#);
    assert_eq!(
        packed(3802, 0, br#"{"a": [1.5, "x"]}"#),
        b"\x81\xa1a\x92\xcb\x3f\xf8\0\0\0\0\0\0\xa1x"
    );
}

#[test]
fn arrays_are_nested_lists_or_text() {
    both(1007, "{1,NULL,{2}}", "[1,null,[2]]", r#""{1,NULL,{2}}""#);
    both(
        1009,
        r#"{a,"NULL",NULL,"","q\"\\"}"#,
        r#"["a","NULL",null,"","q\"\\"]"#,
        r#""{a,\"NULL\",NULL,\"\",\"q\\\"\\\\\"}""#,
    );
    both(1007, "[0:1]={1,2}", "[1,2]", r#""[0:1]={1,2}""#);
    both(1000, "{t,f}", "[true,false]", r#""{t,f}""#);
    both(1022, "{0.1,NaN,1e+20}", r#"[0.1,"NaN",1e+20]"#, r#""{0.1,NaN,1e+20}""#);
    both(1021, "{0.1}", "[0.1]", r#""{0.1}""#);
    both(
        3807,
        r#"{"{\"a\": [1, null]}",NULL}"#,
        r#"[{"a": [1, null]},null]"#,
        r#""{\"{\\\"a\\\": [1, null]}\",NULL}""#,
    );
    both(
        1020,
        "{(1,1),(0,0);(2,2),(1,1)}",
        r#"["(1,1),(0,0)","(2,2),(1,1)"]"#,
        r#""{(1,1),(0,0);(2,2),(1,1)}""#,
    );
    both(1001, r#"{"\\xff00",NULL}"#, r#"["\\xff00",null]"#, r#""{\"\\\\xff00\",NULL}""#);
    assert_eq!(packed(1001, 0, br#"{"\\xff00"}"#), b"\x91\xc4\x02\xff\0");
    assert_eq!(packed(1007, 0, b"{1,{2,3}}"), b"\x92\x01\x92\x02\x03");
    assert_eq!(packed(1021, 0, b"{0.1}"), [&b"\x91\xcb"[..], &0.1f64.to_be_bytes()].concat());
}

#[test]
fn malformed_text_is_given_as_it_is() {
    for (oid, text) in
        [(23, "x"), (16, "true"), (701, "1,5"), (1007, "{1"), (3802, "{"), (17, "\\")]
    {
        let json = serde_json::to_string(text).unwrap();
        both(oid, text, &json, &json);
    }
    assert_eq!(printed(25, b"a\xff", ValueStyle::Native), "\"a\u{fffd}\"");
    assert_eq!(packed(25, 0, b"a\xff"), b"\xc4\x02a\xff");
}

#[test]
fn bytea_is_hex_in_json_and_binary_in_msgpack() {
    both(17, "\\xff00", r#""\\xff00""#, r#""\\xff00""#);
    both(17, "a\\000", r#""\\x6100""#, r#""\\x6100""#);
    assert_eq!(from_binary(17, b"\xff\0"), r#""\\xff00""#);
    for (format, bytes) in [(0, &b"\\xff00"[..]), (0, b"\\377\\000"), (1, b"\xff\0")] {
        assert_eq!(packed(17, format, bytes), b"\xc4\x02\xff\0");
    }
    let columns = columns(&[("v", 17)]).with_formats(&[1]);
    let body = data_row(&[Some(b"\xff")]);
    let row = Row::new(&columns, &body).unwrap().styled(LIST_TEXT);
    assert_eq!(rmp_serde::to_vec(&row).unwrap(), b"\x91\xa4\\xff");
}

#[test]
fn binary_formats_are_read() {
    assert_eq!(from_binary(16, &[1]), "true");
    assert_eq!(from_binary(16, &[0]), "false");
    assert_eq!(from_binary(701, &0.1f64.to_be_bytes()), "0.1");
    assert_eq!(from_binary(701, &f64::NAN.to_be_bytes()), "\"NaN\"");
    assert_eq!(from_binary(700, &0.1f32.to_be_bytes()), "0.1");
    assert_eq!(from_binary(700, &f32::NEG_INFINITY.to_be_bytes()), "\"-Infinity\"");
    assert_eq!(
        packed(700, 1, &0.1f32.to_be_bytes()),
        [&b"\xcb"[..], &0.1f64.to_be_bytes()].concat()
    );
    assert_eq!(packed(700, 1, &f32::INFINITY.to_be_bytes()), b"\xa8Infinity");
}

#[test]
fn a_binary_cursor_is_read_as_far_as_possible() {
    assert_eq!(from_binary(21, &[255, 255]), "-1");
    assert_eq!(from_binary(23, &[0, 0, 1, 0]), "256");
    assert_eq!(from_binary(20, &(-5i64).to_be_bytes()), "-5");
    assert_eq!(from_binary(26, &[255; 4]), "4294967295");
    assert_eq!(from_binary(25, b"text"), "\"text\"");
    assert_eq!(from_binary(114, b"[1]"), "[1]");
    assert_eq!(from_binary(1082, &[0, 0, 1, 2]), r#""\\x00000102""#);
    assert_eq!(from_binary(701, &[1]), r#""\\x01""#);
}

#[test]
fn malformed_rows_are_refused() {
    let columns = columns(&[("a", 23), ("b", 25)]);
    let body = data_row(&[Some("1"), Some("xyz")]);
    assert!(Row::new(&columns, &body).is_ok());
    for end in 0..body.len() {
        assert!(Row::new(&columns, &body[..end]).is_err(), "{end}");
    }
    assert!(Row::new(&columns, &[&body[..], &[0]].concat()).is_err());
    assert!(Row::new(&columns, &data_row(&[Some("1")])).is_err());
    assert!(Row::new(&columns, &data_row(&[Some("1"), None, None])).is_err());
    assert!(Row::new(&columns, b"\0\x02\xff\xff\xff\xfe\xff\xff\xff\xff").is_err(), "length -2");
    assert!(Row::new(&columns, b"\0\x02\x7f\xff\xff\xff\xff\xff\xff\xff").is_err());
}

#[test]
fn the_description_serialises_in_both_codecs() {
    let columns = columns(&[("a", 23)]);
    let expected = json!([{"name": "a", "type": "int4", "oid": 23}]);
    assert_eq!(serde_json::to_value(&columns).unwrap(), expected);
    let packed = rmp_serde::to_vec(&columns).unwrap();
    assert_eq!(rmp_serde::from_slice::<serde_json::Value>(&packed).unwrap(), expected);
}

const OIDS: &[u32] = &[
    16, 17, 20, 21, 23, 25, 26, 114, 700, 701, 1000, 1001, 1007, 1009, 1020, 1022, 1700, 3802, 3807,
];

proptest! {
    #[test]
    fn arbitrary_messages_never_panic(body in prop::collection::vec(any::<u8>(), 0..64)) {
        let catalogue = super::super::catalogue::TypeCatalogue::new();
        let _ = Columns::parse(&body, &catalogue);
        let _ = Columns::type_oids(&body);
        let _ = catalogue.learn(&body);
        let _ = Row::new(&columns(&[("a", 23), ("b", 25)]), &body);
    }

    #[test]
    fn arbitrary_values_never_panic_or_fail(
        oid in prop::sample::select(OIDS),
        format in 0i16..2,
        value in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..12),
            r#"[{}\[\]",\\:=0-9NULtfx. e-]{0,16}"#.prop_map(String::into_bytes),
        ],
        list: bool,
        native: bool,
    ) {
        let columns = columns(&[("v", oid)]).with_formats(&[format]);
        let body = data_row(&[Some(value)]);
        let style = RowStyle {
            shape: if list { RowShape::List } else { RowShape::Assoc },
            values: if native { ValueStyle::Native } else { ValueStyle::Text },
        };
        let row = Row::new(&columns, &body).unwrap().styled(style);
        let json = serde_json::to_string(&row).unwrap();
        prop_assert!(serde_json::from_str::<serde_json::Value>(&json).is_ok() || json.contains('e'));
        let packed = rmp_serde::to_vec(&row).unwrap();
        let mut rest = &packed[..];
        let read = rmp_serde::from_read::<_, serde::de::IgnoredAny>(&mut rest);
        prop_assert!(read.is_ok() && rest.is_empty());
        row.display(0);
    }
}
