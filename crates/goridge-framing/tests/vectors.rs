//! The shared frames: what goridge's own implementations send, what they must get back, and what
//! a hostile peer may try.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail by panicking")]

use bytes::BytesMut;
use goridge_framing::{
    Codec, Flags, FrameError, MethodName, ReplyFrame, RequestError, RpcDecoder, RpcFrame,
    encode_error_reply, encode_request, request_fields,
};
use serde_json::Value;

const LIMIT: usize = goridge_framing::DEFAULT_MAX_FRAME_SIZE;

request_fields! {
    #[derive(Debug, PartialEq)]
    struct AnyRequest {
        database: Option<String>,
        query: Option<String>,
        args: Option<Vec<Value>>,
    }
}

fn vectors(kind: &str) -> Vec<Value> {
    let text = include_str!("fixtures/goridge-frames.json");
    let all: Value = serde_json::from_str(text).unwrap();
    let list = all[kind].as_array().unwrap().clone();
    assert!(!list.is_empty());
    list
}

fn bytes(vector: &Value) -> Vec<u8> {
    let hex = vector["hex"].as_str().unwrap();
    let pairs = hex.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).unwrap());
    pairs.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect()
}

fn decode(bytes: &[u8]) -> Result<Option<RpcFrame>, FrameError> {
    RpcDecoder::new(LIMIT).decode(&mut BytesMut::from(bytes))
}

fn flags(vector: &Value) -> Flags {
    Flags::from_bits(u8::try_from(vector["flags"].as_u64().unwrap()).unwrap())
}

fn seq(vector: &Value) -> u32 {
    u32::try_from(vector["seq"].as_u64().unwrap()).unwrap()
}

#[test]
fn requests_decode_as_stated() {
    for vector in vectors("requests") {
        let name = vector["name"].as_str().unwrap();
        let frame = decode(&bytes(&vector)).unwrap().unwrap();
        assert_eq!(frame.flags, flags(&vector), "{name}");
        assert_eq!(frame.seq, seq(&vector), "{name}");
        assert_eq!(frame.method().unwrap(), vector["method"], "{name}");
        let codec = Codec::from_flags(frame.flags).unwrap();
        if let Some(body) = vector["body"].as_str() {
            assert_eq!(frame.body, body, "{name}");
            assert_eq!(codec, Codec::Json, "{name}");
        } else {
            assert_eq!(codec.decode::<Value>(&frame.body).unwrap(), vector["body_json"], "{name}");
        }
        let request: AnyRequest = codec.decode(&frame.body).unwrap();
        if vector["expect"].as_str().is_some_and(|text| text.starts_with("as {}")) {
            assert_eq!(request, AnyRequest::default(), "{name}");
        }
        if name.starts_with("execute") {
            assert!(request.query.unwrap().starts_with("SELECT "), "{name}");
            assert!(request.args.is_some(), "{name}");
        }
    }
}

#[test]
fn requests_of_one_codec_encode_to_the_same_bytes() {
    for vector in vectors("requests") {
        let expected = bytes(&vector);
        let frame = decode(&expected).unwrap().unwrap();
        let codec = Codec::from_flags(frame.flags).unwrap();
        if codec.flag() != frame.flags {
            continue;
        }
        let mut out = Vec::new();
        encode_request(&mut out, codec, frame.seq, frame.method().unwrap(), &frame.body).unwrap();
        assert_eq!(out, expected, "{}", vector["name"]);
    }
}

#[test]
fn replies_encode_to_the_same_bytes_and_decode_again() {
    for vector in vectors("replies") {
        let method = vector["method"].as_str().unwrap();
        let mut out = Vec::new();
        if let Some(text) = vector["error"].as_str() {
            encode_error_reply(&mut out, flags(&vector), seq(&vector), method.as_bytes(), text);
        } else {
            let frame =
                ReplyFrame::begin(&mut out, flags(&vector), seq(&vector), method.as_bytes());
            out.extend_from_slice(vector["body"].as_str().unwrap().as_bytes());
            frame.finish(&mut out, LIMIT).unwrap();
        }
        assert_eq!(out, bytes(&vector), "{}", vector["name"]);
        let frame = decode(&out).unwrap().unwrap();
        assert_eq!((frame.flags, frame.seq), (flags(&vector), seq(&vector)));
        assert_eq!(frame.error_text().as_deref(), vector["error"].as_str());
    }
}

#[test]
fn error_texts_of_the_replies_are_ours() {
    for vector in vectors("replies") {
        let Some(text) = vector["error"].as_str() else { continue };
        let method = vector["method"].as_str().unwrap();
        let ours = match MethodName::parse(method) {
            Err(error) => error,
            Ok(name) if name.service() == "pgpool" => name.unknown_method(),
            Ok(name) => name.unknown_service(),
        };
        assert_eq!(ours.to_string(), text);
    }
}

#[test]
fn hostile_frames_are_refused_as_stated() {
    for vector in vectors("hostile") {
        let name = vector["name"].as_str().unwrap();
        let got = decode(&bytes(&vector));
        match name {
            "bad crc" | "php fatal text on the socket" => {
                assert!(matches!(got, Err(FrameError::Checksum { .. })), "{name}");
            }
            "no options" => assert_eq!(got, Err(FrameError::OptionCount(0))),
            "three options" => assert_eq!(got, Err(FrameError::OptionCount(3))),
            "header length 15" => assert_eq!(got, Err(FrameError::OptionCount(12))),
            "method length beyond payload" => {
                assert_eq!(got, Err(FrameError::MethodLength { method: 5000, payload: 20 }));
            }
            "payload length 4 GiB - 1, no payload" => {
                let size = u64::from(u32::MAX) + 20;
                assert_eq!(got, Err(FrameError::TooLarge { size, limit: LIMIT }));
            }
            "method not utf-8" => {
                assert_eq!(got.unwrap().unwrap().method(), Err(RequestError::MethodNotUtf8));
            }
            "no codec flag" => {
                let error = Codec::from_flags(got.unwrap().unwrap().flags).unwrap_err();
                assert_eq!(error.to_string(), "unknown decoder used in frame");
            }
            other => panic!("no expectation for {other}"),
        }
    }
}

#[test]
fn hostile_lengths_make_no_room_even_byte_by_byte() {
    for vector in vectors("hostile") {
        let mut buf = BytesMut::with_capacity(256);
        let mut decoder = RpcDecoder::new(LIMIT);
        for byte in bytes(&vector) {
            buf.extend_from_slice(&[byte]);
            if decoder.decode(&mut buf).is_err() {
                break;
            }
            assert!(buf.capacity() <= 64 * 1024, "{}", vector["name"]);
        }
        assert!(buf.capacity() <= 64 * 1024, "{}", vector["name"]);
    }
}
