//! The client against known frames and a scripted server.

use serde_json::json;
use tokio::net::TcpListener;

use super::*;

/// `pgpool.HealthCheck {"database":"primary"}`, seq 1, as goridge's own client writes it.
const HEALTH_REQUEST: &str = "1508280000009bfe2fb7000001000000120000007067706f6f6c2e4865616c7468\
                              436865636b7b226461746162617365223a227072696d617279227d";

fn from_hex(text: &str) -> Vec<u8> {
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
        .collect()
}

#[test]
fn writes_what_goridge_writes() {
    let body = br#"{"database":"primary"}"#;
    let frame = RpcFrame::request(1, "pgpool.HealthCheck", JSON, body);
    assert_eq!(frame.encode(), from_hex(HEALTH_REQUEST));
}

#[test]
fn binary_survives_msgpack() {
    let value = json!({"a": [1, -1, 1.5, null, true, "x"], "b": {"$bytea": "AP8="}, "c": {}});
    let bytes = msgpack::encode(&value);
    assert!(bytes.windows(4).any(|part| part == [0xc4, 2, 0, 0xff]), "sent as binary");
    assert_eq!(msgpack::decode(&bytes).unwrap(), value);
    assert!(msgpack::decode(&[0xc0, 0xc0]).is_err(), "left-over bytes are an error");
}

#[tokio::test]
async fn calls_decode_replies_and_tell_faults_apart() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = format!("tcp://{}", listener.local_addr().unwrap());
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        for number in 1..=3 {
            let request = frame::read(&mut stream).await.unwrap();
            assert_eq!((request.seq, request.method.as_str()), (number, "pgpool.Echo"));
            let mut reply = request.clone();
            match number {
                1 => {}
                2 => (reply.flags, reply.body) = (JSON | ERROR, b"no".to_vec()),
                _ => reply.seq = 99,
            }
            tokio::io::AsyncWriteExt::write_all(&mut stream, &reply.encode()).await.unwrap();
        }
    });
    let mut client = RpcClient::connect(&address).await.unwrap();
    assert_eq!(client.call("Echo", json!({"n": 1})).await.unwrap(), json!({"n": 1}));
    assert_eq!(client.call("Echo", json!(2)).await.unwrap_err().error_text(), Some("no"));
    assert!(matches!(client.call("Echo", json!(3)).await, Err(RpcFault::Protocol(_))));
    server.await.unwrap();
    assert!(matches!(client.recv().await, Err(RpcFault::Closed)));
}
