//! Calls to other services, passed on to RoadRunner's own RPC. What stands in for it here repeats
//! every request as its reply; the real one is in tests/roadrunner.

use e2e::{Setup, ok};
use serde_json::json;
use test_support::RpcClient;
use test_support::rpc::{ERROR, JSON, MSGPACK, RAW, RpcFrame};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

const GOB: u8 = 0x20;
const PROTO: u8 = 0x80;

async fn repeat(mut stream: TcpStream, mut calls: usize) {
    let mut header = [0; 20];
    while calls > 0 && stream.read_exact(&mut header).await.is_ok() {
        let len = u32::from_le_bytes([header[2], header[3], header[4], header[5]]) as usize;
        let mut payload = vec![0; len];
        stream.read_exact(&mut payload).await.unwrap();
        stream.write_all(&[&header[..], &payload].concat()).await.unwrap();
        calls -= 1;
    }
}

/// Serves so many connections, each for so many calls.
async fn upstream(listener: TcpListener, connections: usize, calls: usize) {
    let mut tasks = JoinSet::new();
    for _ in 0..connections {
        tasks.spawn(repeat(listener.accept().await.unwrap().0, calls));
    }
    tasks.join_all().await;
}

async fn call(client: &mut RpcClient, method: &str, codec: u8, body: &[u8]) -> RpcFrame {
    let seq = client.next_seq();
    client.send(seq, method, codec, body).await.unwrap();
    let reply = client.recv().await.unwrap();
    assert_eq!((reply.seq, reply.method.as_str()), (seq, method));
    reply
}

async fn setup() -> (Setup, TcpListener) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("tcp://{}", listener.local_addr().unwrap());
    (Setup::with(&json!({"rpc": {"forward": address}})).await, listener)
}

#[tokio::test]
async fn other_services_answer_as_if_they_had_been_asked_themselves() {
    let (setup, listener) = setup().await;
    let upstream = tokio::spawn(upstream(listener, 1, 10));
    let mut client = setup.client().await;
    for codec in [JSON, MSGPACK, RAW, GOB, PROTO] {
        for body in [&b""[..], b"\x00\xff{not for us"] {
            let reply = call(&mut client, "kv.Get", codec, body).await;
            assert_eq!((reply.flags, &reply.body[..]), (codec, body));
        }
        ok(client.execute("SELECT 1", json!([])).await);
    }
    upstream.await.unwrap();
    let reply = call(&mut client, "pgpool.Nope", JSON, b"{}").await;
    assert_eq!(reply.flags, JSON | ERROR, "our own service is not passed on");
}

#[tokio::test]
async fn many_calls_at_a_time_get_each_their_own_answer() {
    let (setup, listener) = setup().await;
    let upstream = tokio::spawn(upstream(listener, 64, usize::MAX));
    let mut clients = JoinSet::new();
    for n in 0..8_u8 {
        let mut client = setup.client().await;
        clients.spawn(async move {
            for round in 0..50_u8 {
                let reply = call(&mut client, "jobs.Push", RAW, &[n, round]).await;
                assert_eq!(reply.body, [n, round]);
            }
        });
    }
    clients.join_all().await;
    upstream.abort();
}

#[tokio::test]
async fn roadrunner_that_is_not_there_or_goes_away_is_told_of() {
    let (setup, listener) = setup().await;
    let address = listener.local_addr().unwrap();
    let mut client = setup.client().await;
    // Each connection is closed after one call: the next call opens another.
    let serving = tokio::spawn(upstream(listener, 3, 1));
    for _ in 0..3 {
        assert_eq!(call(&mut client, "rpc.Version", JSON, b"true").await.body, b"true");
    }
    serving.await.unwrap();
    let reply = call(&mut client, "rpc.Version", JSON, b"true").await;
    let text = String::from_utf8(reply.body).unwrap();
    assert_eq!(reply.flags, JSON | ERROR);
    assert!(text.contains(&format!("cannot reach tcp://{address}")), "{text}");
    assert!(text.contains("pgpool.rpc.forward"), "{text}");
    // It takes the call and leaves.
    let listener = TcpListener::bind(address).await.unwrap();
    let leaving = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.read_exact(&mut [0; 20]).await.unwrap();
    });
    let reply = call(&mut client, "kv.Set", PROTO, b"").await;
    let text = String::from_utf8(reply.body).unwrap();
    assert_eq!(reply.flags, PROTO | ERROR);
    assert!(text.contains("kv.Set, which may have been executed"), "{text}");
    leaving.await.unwrap();
    ok(client.execute("SELECT 1", json!([])).await);
}
