//! The startup stream against scripted servers: nothing is read past ReadyForQuery, nothing is
//! written when tokio-postgres lets go, and hostile lengths end the attempt.

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio_postgres::config::SslMode;
use tokio_postgres::{Config, NoTls};

use super::*;

fn message(tag: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![tag];
    bytes.extend_from_slice(&u32::try_from(body.len() + 4).unwrap().to_be_bytes());
    bytes.extend_from_slice(body);
    bytes
}

/// AuthenticationOk, three parameters, key, ReadyForQuery.
fn welcome() -> Vec<u8> {
    [
        message(b'R', &[0; 4]),
        message(b'S', b"server_version\x0015.0\0"),
        message(b'S', b"TimeZone\0UTC\0"),
        message(b'S', b"TimeZone\0Europe/Berlin\0"),
        message(b'K', &[0, 0, 1, 2, 0, 0, 3, 4]),
        message(b'Z', b"I"),
    ]
    .concat()
}

async fn start(
    stream: &mut Startup<DuplexStream>,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let mut config = Config::new();
    config.user("app").ssl_mode(SslMode::Disable);
    Ok(config.connect_raw(stream, NoTls).await.map(drop)?)
}

async fn fails_with(server_says: &[u8]) -> ConnectCause {
    let (ours, mut theirs) = duplex(1 << 22);
    theirs.write_all(server_says).await.unwrap();
    theirs.shutdown().await.unwrap();
    let record = SharedRecord::default();
    let mut startup = Startup::new(ours, Afterwards::HandBack, record.clone());
    start(&mut startup).await.unwrap_err();
    assert!(startup.into_stream().is_none(), "a stream in doubt is not given back");
    record.take().failure.unwrap()
}

#[tokio::test]
async fn the_stream_comes_back_behind_ready_for_query_and_nothing_was_written() {
    // Every way in which the network may cut the same bytes up.
    for chunk in [1, 3, 5, 7, 64, 4096] {
        let (ours, mut theirs) = duplex(1 << 16);
        let after = b"N the next message, not part of startup";
        let bytes = [welcome(), after.to_vec()].concat();
        let sender = tokio::spawn(async move {
            for part in bytes.chunks(chunk) {
                theirs.write_all(part).await.unwrap();
                tokio::task::yield_now().await;
            }
            theirs
        });
        let record = SharedRecord::default();
        let mut startup = Startup::new(ours, Afterwards::HandBack, record.clone());
        start(&mut startup).await.unwrap();
        let mut stream = startup.into_stream().expect("startup is over");
        let mut rest = vec![0; after.len()];
        stream.read_exact(&mut rest).await.unwrap();
        assert_eq!(rest, after);

        let record = record.take();
        assert_eq!(record.parameters["server_version"], "15.0");
        assert_eq!(record.parameters["TimeZone"], "Europe/Berlin");
        assert_eq!(record.key, Some(BackendKey { process_id: 0x102, secret: 0x304 }));

        drop(stream);
        let mut sent = Vec::new();
        sender.await.unwrap().read_to_end(&mut sent).await.unwrap();
        let length = u32::from_be_bytes(sent[..4].try_into().unwrap());
        assert_eq!(sent.len(), length as usize, "the startup message and no Terminate behind it");
    }
}

#[tokio::test]
async fn once_over_nothing_passes_any_more() {
    let (ours, mut theirs) = duplex(1 << 16);
    theirs.write_all(&welcome()).await.unwrap();
    let mut startup = Startup::new(ours, Afterwards::HandBack, SharedRecord::default());
    start(&mut startup).await.unwrap();
    assert!(startup.write_all(b"X\0\0\0\x04").await.is_err());
    assert!(startup.read_u8().await.is_err());
    assert!(startup.shutdown().await.is_err());
}

#[tokio::test]
async fn for_a_client_the_stream_stays_open() {
    let (ours, mut theirs) = duplex(1 << 16);
    theirs.write_all(&welcome()).await.unwrap();
    let mut startup = Startup::new(ours, Afterwards::PassThrough, SharedRecord::default());
    start(&mut startup).await.unwrap();
    theirs.write_all(&[7; 100]).await.unwrap();
    let mut read = [0; 100];
    startup.read_exact(&mut read).await.unwrap();
    assert_eq!(read, [7; 100]);
}

#[tokio::test]
async fn hostile_lengths_are_refused_before_anything_is_allocated() {
    for (length, name) in [
        (0, "0 bytes"),
        (3, "3 bytes"),
        (u32::try_from(MAX_STARTUP_MESSAGE).unwrap(), "65536 bytes"),
        (u32::MAX, "4294967295 bytes"),
    ] {
        let cause = fails_with(&[b"R".as_slice(), &length.to_be_bytes(), &[0; 64]].concat()).await;
        assert!(matches!(&cause, ConnectCause::Protocol(text) if text.contains(name)), "{cause}");
    }
}

#[tokio::test]
async fn an_endless_startup_is_refused() {
    let flood = message(b'S', &[b"name\0".as_slice(), &[b'x'; 60_000], b"\0"].concat());
    let bytes = [message(b'R', &[0; 4]), flood.repeat(30)].concat();
    let cause = fails_with(&bytes).await;
    assert!(matches!(&cause, ConnectCause::Protocol(text) if text.contains("1048576")), "{cause}");
}

#[tokio::test]
async fn a_stream_that_ends_early_is_a_closed_connection() {
    let whole = welcome();
    for cut in [0, 1, 5, 9, whole.len() - 1] {
        let cause = fails_with(&whole[..cut]).await;
        assert!(matches!(cause, ConnectCause::Closed), "{cut}: {cause}");
    }
}

#[tokio::test]
async fn an_error_response_is_kept_even_when_its_fields_are_odd() {
    let (ours, mut theirs) = duplex(1 << 16);
    // No SQLSTATE at all: CVE-2026-6666 crashed a pooler on that.
    theirs.write_all(&message(b'E', b"SFATAL\0Mno room\0\0")).await.unwrap();
    let record = SharedRecord::default();
    let mut startup = Startup::new(ours, Afterwards::HandBack, record.clone());
    start(&mut startup).await.unwrap_err();
    let record = record.take();
    assert!(!record.authenticating);
    let error = record.error.unwrap();
    assert_eq!((error.code.as_str(), error.message.as_str()), ("XX000", "no room"));
}

#[test]
fn keys_do_not_show() {
    let key = BackendKey { process_id: 4711, secret: 815 };
    assert_eq!(format!("{key:?}"), "***");
}
