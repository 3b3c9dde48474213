//! Servers that are none, or mean harm: every one is refused quickly, with a reason.

use std::time::{Duration, Instant};

use pool_manager::connect::ConnectCause;
use pool_manager::dsn::SslMode;
use tokio::io::AsyncWriteExt;

use crate::fake::{self, message, read_first};
use crate::support::{self, params_for, refusal};

async fn cause_of(port: u16, mode: SslMode) -> String {
    let mut wanted = params_for(port);
    wanted.ssl_mode = mode;
    wanted.connect_timeout = Duration::from_secs(20);
    let start = Instant::now();
    let error = refusal(wanted).await;
    assert!(start.elapsed() < Duration::from_secs(10), "{error}");
    error.failures()[0].cause.to_string()
}

#[tokio::test]
async fn garbage_is_a_protocol_violation() {
    for (bytes, complaint) in [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec(), "bytes during startup"),
        (vec![0; 64], "0 bytes during startup"),
        (vec![0xff; 64], "4294967295 bytes during startup"),
        (message(b'Q', b"SELECT 1\0"), "unknown message tag"),
        (message(b'D', &[0, 0]), "unexpected message"),
        (message(b'R', &[0, 0, 0, 99]), "unknown authentication tag"),
        (message(b'Z', b"I"), "unexpected message"),
        (message(b'R', &[]), "protocol violation"),
    ] {
        let port = fake::says(bytes.clone()).await;
        let text = cause_of(port, SslMode::Disable).await;
        assert!(text.contains(complaint), "{bytes:?}: {text}");
    }
}

#[tokio::test]
async fn a_huge_length_is_refused_without_waiting_for_it() {
    let port = fake::says(b"E\x7f\xff\xff\xff".to_vec()).await;
    let text = cause_of(port, SslMode::Disable).await;
    assert_eq!(text, "protocol violation: a message of 2147483647 bytes during startup");
}

#[tokio::test]
async fn silence_ends_with_the_timeout() {
    for mode in [SslMode::Disable, SslMode::Prefer, SslMode::Require] {
        let port = fake::says(Vec::new()).await;
        let mut wanted = params_for(port);
        wanted.ssl_mode = mode;
        wanted.connect_timeout = Duration::from_millis(250);
        let error = refusal(wanted).await;
        let expected =
            format!("cannot connect to PostgreSQL at 127.0.0.1:{port}: timed out after 0.25 s");
        assert_eq!(error.to_string(), expected);
        assert_eq!(error.sqlstate().as_str(), "08001");
    }
}

#[tokio::test]
async fn a_handshake_that_hangs_ends_with_the_timeout() {
    for mode in [SslMode::Prefer, SslMode::Require] {
        let mut wanted = params_for(fake::says(b"S".to_vec()).await);
        wanted.ssl_mode = mode;
        wanted.connect_timeout = Duration::from_millis(250);
        let error = refusal(wanted).await;
        assert!(matches!(error.failures()[0].cause, ConnectCause::Timeout(_)), "{error}");
    }
}

#[tokio::test]
async fn a_slow_trickle_does_not_stretch_the_timeout() {
    let port = fake::serve(|mut stream| async move {
        read_first(&mut stream).await;
        let notice = message(b'N', b"SNOTICE\0C00000\0Mwait\0\0");
        while stream.write_all(&notice).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    let mut wanted = params_for(port);
    wanted.connect_timeout = Duration::from_millis(300);
    let start = Instant::now();
    refusal(wanted).await;
    assert!(start.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn a_server_that_leaves_is_named_as_such() {
    let port = fake::serve(|mut stream| async move {
        read_first(&mut stream).await;
    })
    .await;
    for mode in [SslMode::Disable, SslMode::Require] {
        let text = cause_of(port, mode).await;
        assert_eq!(text, "server closed the connection unexpectedly");
    }
}

#[tokio::test]
async fn bad_answers_to_the_request_for_tls_are_refused() {
    for (bytes, complaint) in [
        (b"X".to_vec(), "unexpected answer to the request for TLS"),
        (message(b'E', b"SFATAL\0C53300\0Mlies\0\0"), "answered the request for TLS with an error"),
        (b"Sgarbage instead of a handshake".to_vec(), "TLS failed"),
        // Bytes slipped in ahead of the handshake never count as part of the session.
        ([b"S".as_slice(), &fake::welcome(&[])].concat(), "TLS failed"),
    ] {
        let port = fake::says(bytes).await;
        let text = cause_of(port, SslMode::Require).await;
        assert!(text.contains(complaint), "{text}");
        assert!(!text.contains("lies"), "{text}");
    }
}

/// Answers SCRAM's first message with what `first` makes of the client's nonce.
async fn scram_server(first: fn(&str) -> String) -> u16 {
    fake::serve(move |mut stream| async move {
        read_first(&mut stream).await;
        let offer = message(b'R', b"\0\0\0\x0aSCRAM-SHA-256\0\0");
        stream.write_all(&offer).await.unwrap();
        let (_, body) = support::message(&mut stream).await;
        let text = String::from_utf8_lossy(&body).into_owned();
        let nonce = text.rsplit("r=").next().unwrap();
        let answer = [b"\0\0\0\x0b".as_slice(), first(nonce).as_bytes()].concat();
        let _ = stream.write_all(&message(b'R', &answer)).await;
        let _ = support::message(&mut stream).await;
    })
    .await
}

#[tokio::test]
async fn a_scram_exchange_cannot_be_made_to_last() {
    let iterations = scram_server(|nonce| format!("r={nonce}x,s=c2FsdA==,i=4294967295")).await;
    let text = cause_of(iterations, SslMode::Disable).await;
    assert!(text.contains("iteration count"), "{text}");

    let endless =
        scram_server(|nonce| format!("r={nonce}{},s=c2FsdA==,i=4096", "x".repeat(70_000))).await;
    let text = cause_of(endless, SslMode::Disable).await;
    assert!(text.contains("bytes during startup"), "{text}");

    let foreign = scram_server(|_| "r=another,s=c2FsdA==,i=4096".to_owned()).await;
    let text = cause_of(foreign, SslMode::Disable).await;
    assert_eq!(text, "authentication failed: invalid nonce");
}

#[tokio::test]
async fn a_server_that_does_not_know_the_password_is_refused() {
    let port = fake::serve(|mut stream| async move {
        read_first(&mut stream).await;
        stream.write_all(&message(b'R', b"\0\0\0\x0aSCRAM-SHA-256\0\0")).await.unwrap();
        let (_, body) = support::message(&mut stream).await;
        let text = String::from_utf8_lossy(&body).into_owned();
        let nonce = text.rsplit("r=").next().unwrap().to_owned();
        let first = format!("\0\0\0\x0br={nonce}x,s=c2FsdA==,i=4096");
        stream.write_all(&message(b'R', first.as_bytes())).await.unwrap();
        support::message(&mut stream).await;
        let proof = format!("\0\0\0\x0cv={}=", "A".repeat(43));
        let _ = stream.write_all(&message(b'R', proof.as_bytes())).await;
        let _ = stream.write_all(&fake::welcome(&[])).await;
    })
    .await;
    let mut wanted = params_for(port);
    wanted.ssl_mode = SslMode::Disable;
    let error = refusal(wanted).await;
    assert!(matches!(error.failures()[0].cause, ConnectCause::Authentication(_)), "{error}");
}

#[tokio::test]
async fn an_error_without_a_code_is_reported_all_the_same() {
    let port = fake::says(message(b'E', b"SFATAL\0Mno code\0\0")).await;
    let error = refusal(params_for(port)).await;
    assert!(error.to_string().ends_with(": no code"), "{error}");
    assert_eq!(error.sqlstate().as_str(), "XX000");
}
