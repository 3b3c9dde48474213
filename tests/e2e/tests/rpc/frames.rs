//! Frames that are wrong in some way, against the live server: it answers what goridge's server
//! answers, or closes that one connection, and lives.

use e2e::{Setup, eventually, ok};
use serde_json::{Value, json};
use test_support::RpcFault;
use test_support::rpc::{ERROR, JSON, MSGPACK, RAW, RpcFrame};
use test_support::wire::message;

fn vectors(kind: &str) -> Vec<(Value, Vec<u8>)> {
    let text =
        include_str!("../../../../crates/goridge-framing/tests/fixtures/goridge-frames.json");
    let all: Value = serde_json::from_str(text).unwrap();
    let decode = |vector: &Value| {
        let hex = vector["hex"].as_str().unwrap().as_bytes();
        let pairs = hex.chunks(2).map(|pair| std::str::from_utf8(pair).unwrap());
        (vector.clone(), pairs.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect())
    };
    all[kind].as_array().unwrap().iter().map(decode).collect()
}

#[tokio::test]
async fn unknown_methods_get_the_texts_of_net_rpc() {
    let setup = Setup::new().await;
    let mut client = setup.client().await;
    for (method, text) in [
        ("pgpool.Nope", "rpc: can't find method pgpool.Nope"),
        ("pgpool.execute", "rpc: can't find method pgpool.execute"),
        ("pgpool.", "rpc: can't find method pgpool."),
        ("nope.Execute", "rpc: can't find service nope.Execute"),
        ("Pgpool.Execute", "rpc: can't find service Pgpool.Execute"),
        ("a.pgpool.Execute", "rpc: can't find service a.pgpool.Execute"),
        (".Execute", "rpc: can't find service .Execute"),
        ("Execute", "rpc: service/method request ill-formed: Execute"),
        ("", "rpc: service/method request ill-formed: "),
    ] {
        for codec in [JSON, MSGPACK, RAW] {
            let seq = client.next_seq();
            let frame = RpcFrame::request(seq, method, codec, b"{}");
            client.send_bytes(&frame.encode()).await.unwrap();
            let reply = client.recv().await.unwrap();
            assert_eq!((reply.seq, reply.flags), (seq, codec | ERROR), "{method}");
            assert_eq!(reply.method, method);
            assert_eq!(String::from_utf8(reply.body).unwrap(), text);
        }
        ok(client.execute("SELECT 1", json!([])).await);
    }
}

#[tokio::test]
async fn a_body_that_does_not_decode_gets_an_error_frame() {
    let setup = Setup::new().await;
    let mut client = setup.client().await;
    let bodies: [(u8, &[u8]); 14] = [
        (JSON, b"{"),
        (JSON, b"nonsense"),
        (JSON, b"[1]"),
        (JSON, b"\"text\""),
        (JSON, b"{} {}"),
        (JSON, b"\xff\xfe"),
        (JSON, br#"{"query":7}"#),
        (JSON, br#"{"query":"SELECT 1","timeout":"soon"}"#),
        (JSON, br#"{"query":"SELECT $1::bytea","args":[{"$bytea":"!"}]}"#),
        (RAW, b"{\"query\":"),
        (MSGPACK, b"\x81"),
        (MSGPACK, b"\xc1"),
        (MSGPACK, b"\xdf\xff\xff\xff\xff"),
        (MSGPACK, b"\x81\xa5query\xdb\xff\xff\xff\xff"),
    ];
    for (codec, body) in bodies {
        let seq = client.next_seq();
        client.send(seq, "Execute", codec, body).await.unwrap();
        let reply = client.recv().await.unwrap();
        assert_eq!((reply.seq, reply.flags), (seq, codec | ERROR), "{body:?}");
        assert!(!reply.body.is_empty());
    }
    let deep = "[".repeat(100_000);
    let body = format!(r#"{{"query":"SELECT 1","args":[{deep}"#);
    let seq = client.next_seq();
    client.send(seq, "Execute", JSON, body.as_bytes()).await.unwrap();
    assert!(client.recv().await.unwrap().is_error());
    ok(client.execute("SELECT 1", json!([])).await);
}

#[tokio::test]
async fn what_is_in_no_codec_gets_an_error_frame() {
    let setup = Setup::new().await;
    let mut client = setup.client().await;
    for (flags, part) in [(0, "unknown decoder used in frame"), (0x20, "gob"), (0x80, "protobuf")] {
        let seq = client.next_seq();
        client.send(seq, "HealthCheck", flags, b"{}").await.unwrap();
        let reply = client.recv().await.unwrap();
        assert_eq!((reply.seq, reply.flags), (seq, flags | ERROR));
        let text = String::from_utf8(reply.body).unwrap();
        assert!(text.to_uppercase().contains(&part.to_uppercase()), "{text}");
    }
    ok(client.execute("SELECT 1", json!([])).await);
}

#[tokio::test]
async fn the_shared_request_frames_are_answered() {
    let setup = Setup::new().await;
    let mut client = setup.client().await;
    for (vector, bytes) in vectors("requests") {
        client.send_bytes(&bytes).await.unwrap();
        let reply = client.recv().await.unwrap();
        assert_eq!(u64::from(reply.seq), vector["seq"].as_u64().unwrap(), "{vector}");
        assert_eq!(reply.method, vector["method"].as_str().unwrap());
        assert!(!reply.is_error(), "{vector}: {}", String::from_utf8_lossy(&reply.body));
        if vector["name"] == "several codec flags" {
            assert_eq!(reply.flags, JSON, "JSON wins");
        }
    }
}

#[tokio::test]
async fn a_request_is_found_at_every_split_point() {
    let setup = Setup::new().await;
    let mut client = setup.client().await;
    let (_, bytes) = vectors("requests").remove(0);
    for at in 1..bytes.len() {
        let (head, tail) = bytes.split_at(at);
        client.send_bytes(head).await.unwrap();
        tokio::task::yield_now().await;
        client.send_bytes(tail).await.unwrap();
        let (seq, reply) = client.recv_json().await.unwrap();
        assert_eq!((seq, &reply["health"]), (1, &json!({"primary": true})));
    }
    let twice = [&bytes[..], &bytes[..]].concat();
    client.send_bytes(&twice).await.unwrap();
    for _ in 0..2 {
        assert_eq!(client.recv_json().await.unwrap().0, 1, "two frames in one packet");
    }
}

#[tokio::test]
async fn hostile_frames_end_at_most_their_own_connection() {
    let setup = Setup::new().await;
    let mut good = setup.client().await;
    ok(good.execute("SELECT 1", json!([])).await);
    for (vector, bytes) in vectors("hostile") {
        let name = vector["name"].as_str().unwrap();
        let mut bad = setup.client().await;
        bad.send_bytes(&bytes).await.unwrap();
        let answer = bad.recv().await;
        match name {
            "no codec flag" => {
                assert!(answer.unwrap().is_error(), "{name}");
                ok(bad.execute("SELECT 1", json!([])).await);
            }
            "method not utf-8" => {
                // Echoed as it came, which the client here does not like; it read the whole frame.
                assert!(matches!(answer, Err(RpcFault::Protocol(_))), "{name}: {answer:?}");
                ok(bad.execute("SELECT 1", json!([])).await);
            }
            _ => assert!(
                matches!(answer, Err(RpcFault::Closed | RpcFault::Io(_))),
                "{name}: {answer:?}"
            ),
        }
        ok(good.execute("SELECT 1", json!([])).await);
    }
    eventually("the bad connections are gone", || async { setup.server.clients() == 1 }).await;
}

#[tokio::test]
async fn a_frame_beyond_the_limit_is_refused_unread() {
    let setup = Setup::with(&json!({"rpc": {"max_frame_size": "64KiB"}})).await;
    let mut client = setup.client().await;
    let frame = |size: usize| {
        // Header, method, and a body that is one long comment.
        let fixed = 20 + "pgpool.Execute".len() + r#"{"query":"SELECT 1 --"}"#.len();
        let body = format!(r#"{{"query":"SELECT 1 --{}"}}"#, "x".repeat(size - fixed));
        RpcFrame::request(1, "pgpool.Execute", JSON, body.as_bytes()).encode()
    };
    let largest = frame(64 << 10);
    assert_eq!(largest.len(), 64 << 10);
    client.send_bytes(&largest).await.unwrap();
    assert_eq!(client.recv_json().await.unwrap().1["rows_affected"], 1);
    // Only the header: the rest would not have been read.
    client.send_bytes(&frame((64 << 10) + 1)[..20]).await.unwrap();
    assert!(client.is_closed_by_server().await);
    ok(setup.client().await.execute("SELECT 1", json!([])).await);
}

#[tokio::test]
async fn sequence_numbers_are_echoed_gaps_repeats_and_all() {
    let setup = Setup::new().await;
    let mut client = setup.client().await;
    for seq in [0, 7, 7, u32::MAX, 1] {
        client.send(seq, "HealthCheck", JSON, b"").await.unwrap();
        assert_eq!(client.recv_json().await.unwrap().0, seq);
    }
}

#[tokio::test]
async fn postgresql_clients_are_told_that_they_are_at_the_wrong_door() {
    let setup = Setup::new().await;
    let who = [("user", "app"), ("database", "primary")];
    for asks_for_encryption in [false, true] {
        let mut client = test_support::WireClient::connect(setup.server.address()).await.unwrap();
        if asks_for_encryption {
            client.send(&message::packet(&80_877_103_u32.to_be_bytes())).await.unwrap();
            assert_eq!(client.recv_bytes(1).await.unwrap(), b"N");
        }
        let Err(test_support::WireError::Fatal(fault)) = client.start(0, "", &who).await else {
            panic!("let in")
        };
        assert_eq!(fault.code(), "08P01");
        assert!(fault.message().contains("RPC address"), "{}", fault.message());
    }
    ok(setup.client().await.execute("SELECT 1", json!([])).await);
}
