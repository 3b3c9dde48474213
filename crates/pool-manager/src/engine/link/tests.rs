//! The link against a scripted server at the other end of a pipe.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

use super::*;

const MAX: usize = 64 * 1024;
/// `select 1` as a server answers it.
const ANSWER: &[&[u8]] = &[
    b"T\0\0\0\x21\0\x01?column?\0\0\0\0\0\0\0\0\0\0\x17\0\x04\xff\xff\xff\xff\0\0",
    b"D\0\0\0\x0b\0\x01\0\0\0\x011",
    b"C\0\0\0\x0dSELECT 1\0",
    READY,
];
const READY: &[u8] = b"Z\0\0\0\x05I";
const FATAL: &[u8] = b"SFATAL\0VFATAL\0C57P01\0Mterminating connection\0\0";

fn message(tag: u8, body: &[u8]) -> Vec<u8> {
    let len = u32::try_from(body.len() + 4).unwrap();
    [&[tag][..], &len.to_be_bytes(), body].concat()
}

fn answer() -> Vec<u8> {
    ANSWER.concat()
}

/// A link and the server's end of its pipe, which holds `capacity` bytes each way.
fn pair(capacity: usize) -> (Link<DuplexStream>, DuplexStream) {
    let (ours, theirs) = duplex(capacity);
    (Link::new(ours, BTreeMap::new(), MAX), theirs)
}

/// A link that waits for the answer to one query, with the query taken away already.
async fn asked(capacity: usize) -> (Link<DuplexStream>, DuplexStream) {
    // A fresh budget from the runtime: `once` cannot wait for one, and tests call this in loops.
    tokio::task::yield_now().await;
    let (mut link, mut server) = pair(capacity);
    link.request().query("select 1").unwrap();
    poll_fn(|cx| {
        let _ = link.poll_drive(cx);
        Poll::Ready(())
    })
    .await;
    let mut query = [0; 14];
    server.read_exact(&mut query).await.unwrap();
    assert_eq!(&query, b"Q\0\0\0\x0dselect 1\0");
    (link, server)
}

/// Reads up to ReadyForQuery: tags and bodies.
async fn replies<S: AsyncRead + AsyncWrite + Unpin>(
    link: &mut Link<S>,
) -> Result<Vec<(u8, Vec<u8>)>, LinkError> {
    let mut seen = Vec::new();
    loop {
        let frame = link.next().await?;
        seen.push((frame.tag, frame.body.to_vec()));
        if frame.tag == tag::READY_FOR_QUERY {
            return Ok(seen);
        }
    }
}

fn tags(seen: &[(u8, Vec<u8>)]) -> String {
    seen.iter().map(|(tag, _)| char::from(*tag)).collect()
}

fn once<F: Future>(future: F) -> Poll<F::Output> {
    pin!(future).poll(&mut Context::from_waker(Waker::noop()))
}

fn check(link: &mut Link<DuplexStream>) -> Result<(), LinkError> {
    link.check(&mut Context::from_waker(Waker::noop()))
}

#[tokio::test]
async fn every_split_point_gives_the_same_messages() {
    let answer = answer();
    for split in 0..=answer.len() {
        let (mut link, mut server) = asked(256).await;
        let (first, second) = answer.split_at(split);
        server.write_all(first).await.unwrap();
        let mut seen = Vec::new();
        while let Poll::Ready(frame) = once(link.next()) {
            let frame = frame.unwrap();
            seen.push((frame.tag, frame.body.to_vec()));
        }
        assert_eq!(link.is_quiet(), split == answer.len());
        server.write_all(second).await.unwrap();
        if split < answer.len() {
            seen.extend(replies(&mut link).await.unwrap());
        }
        assert_eq!(tags(&seen), "TDCZ", "split at {split}");
        assert_eq!(seen[1].1, ANSWER[1][5..]);
        assert!(link.is_quiet());
    }
}

#[tokio::test]
async fn a_pipe_of_one_byte_carries_everything() {
    let (mut link, mut server) = pair(1);
    let task = tokio::spawn(async move {
        for _ in 0..3 {
            let mut query = [0; 14];
            server.read_exact(&mut query).await.unwrap();
            server.write_all(&answer()).await.unwrap();
        }
        server
    });
    for _ in 0..3 {
        link.request().query("select 1").unwrap();
        assert!(!link.at_rest());
        assert_eq!(tags(&replies(&mut link).await.unwrap()), "TDCZ");
        assert!(link.is_quiet() && !link.has_unsent() && !link.may_be_running());
    }
    drop(task);
}

#[tokio::test]
async fn a_dropped_next_loses_nothing_and_stays_busy() {
    let (mut link, mut server) = asked(256).await;
    let answer = answer();
    for byte in &answer[..20] {
        server.write_all(&[*byte]).await.unwrap();
        assert!(once(link.next()).is_pending());
        assert!(!link.at_rest() && link.may_be_running());
    }
    server.write_all(&answer[20..]).await.unwrap();
    assert_eq!(tags(&replies(&mut link).await.unwrap()), "TDCZ");
    assert!(link.is_quiet());
}

#[tokio::test]
async fn it_reads_while_it_writes() {
    // Neither side can go on before the other reads: both write more than the pipe holds.
    let (mut link, mut server) = pair(1024);
    let sql = "x".repeat(200_000);
    link.request().query(&sql).unwrap();
    let task = tokio::spawn(async move {
        let row = message(b'D', &[7; 1000]);
        for _ in 0..200 {
            server.write_all(&row).await.unwrap();
        }
        let mut query = vec![0; 200_006];
        server.read_exact(&mut query).await.unwrap();
        server.write_all(READY).await.unwrap();
        server
    });
    let seen = replies(&mut link).await.unwrap();
    assert_eq!(seen.len(), 201);
    drop(task);
}

#[tokio::test]
async fn an_oversized_message_is_reported_and_skipped() {
    for extra in [1, 10 * MAX] {
        let (mut link, mut server) = asked(512).await;
        let task = tokio::spawn(async move {
            let rows =
                [message(b'D', b"small"), message(b'D', &vec![1; MAX + extra]), ANSWER[1].to_vec()];
            server.write_all(&rows.concat()).await.unwrap();
            server.write_all(READY).await.unwrap();
            server
        });
        assert_eq!(link.next().await.unwrap().body, b"small");
        let frame = link.next().await.unwrap();
        assert_eq!((frame.tag, frame.oversized, frame.body.len()), (b'D', Some(MAX + extra), 0));
        assert!(!link.at_rest());
        assert!(link.incoming.capacity() < MAX, "nothing is buffered");
        assert_eq!(tags(&replies(&mut link).await.unwrap()), "DZ");
        assert!(link.is_quiet());
        drop(task);
    }
}

#[tokio::test]
async fn a_message_of_exactly_the_limit_is_taken() {
    let (mut link, mut server) = asked(512).await;
    let task = tokio::spawn(async move {
        server.write_all(&message(b'D', &vec![1; MAX])).await.unwrap();
        server.write_all(READY).await.unwrap();
        server
    });
    let frame = link.next().await.unwrap();
    assert_eq!((frame.oversized, frame.body.len()), (None, MAX));
    assert_eq!(tags(&replies(&mut link).await.unwrap()), "Z");
    drop(task);
}

#[tokio::test]
async fn an_oversized_notice_is_skipped_without_a_word() {
    let (mut link, mut server) = asked(512).await;
    let task = tokio::spawn(async move {
        server.write_all(&message(b'N', &vec![b'x'; 3 * MAX])).await.unwrap();
        server.write_all(&answer()).await.unwrap();
        server
    });
    assert_eq!(tags(&replies(&mut link).await.unwrap()), "TDCZ");
    drop(task);
}

#[tokio::test]
async fn notices_notifications_and_parameters_are_absorbed() {
    let (mut link, mut server) = asked(4096).await;
    let unasked = [
        message(b'N', b"SNOTICE\0Mhello\0\0"),
        message(b'A', b"\0\0\0\x01news\0payload\0"),
        message(b'S', b"TimeZone\0Asia/Tokyo\0"),
    ]
    .concat();
    for part in ANSWER {
        server.write_all(&unasked).await.unwrap();
        server.write_all(part).await.unwrap();
    }
    assert_eq!(tags(&replies(&mut link).await.unwrap()), "TDCZ");
    assert_eq!(link.parameter_changes(), 1, "the same value again is no change");
    // The same while it lies idle.
    server.write_all(&unasked).await.unwrap();
    server.write_all(&message(b'S', b"TimeZone\0UTC\0")).await.unwrap();
    check(&mut link).unwrap();
    assert_eq!(link.parameter_changes(), 2);
    assert!(link.is_quiet());
}

#[tokio::test]
async fn a_ready_for_query_that_is_not_owed_ends_the_connection() {
    let (mut link, mut server) = asked(256).await;
    server.write_all(&answer()).await.unwrap();
    server.write_all(READY).await.unwrap();
    replies(&mut link).await.unwrap();
    assert!(!link.is_quiet(), "a byte waits");
    let error = link.next().await.unwrap_err();
    assert!(error.to_string().contains("unexpected ReadyForQuery"), "{error}");
    assert!(link.is_dead() && !link.at_rest());
}

#[tokio::test]
async fn messages_that_nobody_asked_for_end_the_connection() {
    for unasked in [READY.to_vec(), message(b'D', b"x"), message(b'1', b""), vec![b'D']] {
        let (mut link, mut server) = pair(256);
        server.write_all(&unasked).await.unwrap();
        assert!(check(&mut link).is_err(), "{unasked:?}");
        assert!(link.is_dead() && !link.is_quiet());
    }
    let (mut link, mut server) = pair(256);
    server.write_all(&message(b'D', b"x")).await.unwrap();
    assert!(link.next().await.is_err());
}

#[tokio::test]
async fn an_unknown_transaction_status_ends_the_connection() {
    for body in [&b"X"[..], b"", b"II"] {
        let (mut link, mut server) = asked(256).await;
        server.write_all(&message(b'Z', body)).await.unwrap();
        assert!(link.next().await.is_err(), "{body:?}");
        assert!(link.is_dead());
    }
}

#[tokio::test]
async fn the_transaction_status_is_followed() {
    let (mut link, mut server) = asked(256).await;
    server.write_all(&message(b'Z', b"T")).await.unwrap();
    replies(&mut link).await.unwrap();
    assert_eq!(link.status(), TransactionStatus::InTransaction);
    assert!(link.at_rest() && !link.is_quiet());
    link.request().query("x").unwrap();
    server.write_all(&message(b'Z', b"E")).await.unwrap();
    replies(&mut link).await.unwrap();
    assert_eq!(link.status(), TransactionStatus::Failed);
}

#[tokio::test]
async fn impossible_lengths_end_the_connection_before_anything_is_allocated() {
    for length in [0_u32, 3, 0x8000_0004, u32::MAX] {
        let (mut link, mut server) = asked(256).await;
        server.write_all(b"D").await.unwrap();
        server.write_all(&length.to_be_bytes()).await.unwrap();
        let error = link.next().await.unwrap_err();
        assert!(error.to_string().contains("impossible message length"), "{length}: {error}");
        assert!(link.is_dead() && link.incoming.capacity() < 2 * READ_CHUNK);
        assert!(link.next().await.is_err(), "and it stays so");
    }
}

#[tokio::test]
async fn the_largest_length_is_skipped_not_allocated() {
    let (mut link, mut server) = asked(256).await;
    server.write_all(b"D\x7f\xff\xff\xff").await.unwrap();
    let frame = link.next().await.unwrap();
    assert_eq!(frame.oversized, Some(i32::MAX as usize - 4));
    assert!(link.incoming.capacity() < 2 * READ_CHUNK);
}

#[tokio::test]
async fn an_end_without_a_word_and_one_with_a_farewell() {
    let (mut link, server) = asked(256).await;
    drop(server);
    assert!(matches!(link.next().await, Err(LinkError::Closed(None))));
    assert!(link.is_dead() && !link.may_be_running());

    let (mut link, mut server) = asked(256).await;
    server.write_all(&message(b'E', FATAL)).await.unwrap();
    drop(server);
    assert_eq!(link.next().await.unwrap().tag, tag::ERROR_RESPONSE);
    let Err(LinkError::Closed(Some(fatal))) = link.next().await else { panic!("its farewell") };
    assert_eq!(fatal.code.as_str(), "57P01");

    let (mut link, mut server) = asked(256).await;
    server.write_all(&answer()[..20]).await.unwrap();
    drop(server);
    assert!(matches!(link.next().await, Err(LinkError::Closed(None))), "in mid-message");
}

#[tokio::test]
async fn a_check_sees_an_end_with_its_farewell_and_disturbs_nothing_else() {
    let (mut link, server) = pair(256);
    check(&mut link).unwrap();
    check(&mut link).unwrap();
    assert!(link.is_quiet());
    drop(server);
    assert!(matches!(check(&mut link), Err(LinkError::Closed(None))));
    assert!(link.is_dead());

    for ended in [false, true] {
        let (mut link, mut server) = pair(256);
        server.write_all(&message(b'E', FATAL)).await.unwrap();
        // With or without the end of file that follows.
        let _kept = (!ended).then_some(server);
        let Err(LinkError::Closed(Some(fatal))) = check(&mut link) else { panic!("its farewell") };
        assert_eq!(fatal.message, "terminating connection");
        assert!(link.is_dead());
    }
}

#[tokio::test]
async fn a_goodbye_waits_for_the_servers_end() {
    let (mut link, mut server) = asked(256).await;
    server.write_all(&answer()[..20]).await.unwrap();
    assert!(once(link.terminate()).is_pending());
    let mut goodbye = [0; 5];
    server.read_exact(&mut goodbye).await.unwrap();
    assert_eq!(&goodbye, b"X\0\0\0\x04");
    server.write_all(&answer()).await.unwrap();
    assert!(once(link.terminate()).is_pending(), "the rest is thrown away");
    drop(server);
    link.terminate().await;
    assert!(link.is_dead());
}

#[tokio::test]
async fn a_request_that_is_half_sent_is_not_completed_on_goodbye() {
    let (mut link, mut server) = pair(10);
    link.request().query("delete from everything").unwrap();
    assert!(once(link.next()).is_pending());
    assert!(link.has_unsent());
    assert!(once(link.terminate()).is_pending());
    let mut received = Vec::new();
    server.read_to_end(&mut received).await.unwrap();
    assert_eq!(received.len(), 10, "what was under way, and then the end");
}

#[tokio::test]
async fn memory_of_a_large_message_is_given_back() {
    const LARGE: usize = 8 * 1024 * 1024;
    let (ours, mut server) = duplex(256 * 1024);
    let mut link = Link::new(ours, BTreeMap::new(), LARGE);
    link.request().query(&"x".repeat(LARGE)).unwrap();
    let task = tokio::spawn(async move {
        let mut query = vec![0; LARGE + 6];
        server.read_exact(&mut query).await.unwrap();
        server.write_all(&message(b'D', &vec![7; LARGE])).await.unwrap();
        server.write_all(READY).await.unwrap();
        server
    });
    let frame = link.next().await.unwrap();
    assert_eq!(frame.body.len(), LARGE);
    let allocated = link.incoming.capacity();
    assert!(allocated < LARGE + 4 * READ_CHUNK, "{allocated}: not twice the value");
    assert_eq!(tags(&replies(&mut link).await.unwrap()), "Z");
    link.shrink();
    for buffer in [&mut link.incoming, &mut link.outgoing] {
        assert!(!buffer.try_reclaim(KEEP_CAPACITY + 1), "more is kept than said");
    }
    drop(task);
}

proptest! {
    /// Whatever a server sends in whatever pieces: no panic, nothing large allocated, and a
    /// connection is only quiet when nothing is owed and nothing waits.
    #[test]
    fn arbitrary_bytes_never_panic(
        pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..12),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let (mut link, mut server) = asked(1024).await;
            for piece in pieces {
                server.write_all(&piece).await.unwrap();
                while let Poll::Ready(Ok(_)) = once(link.next()) {}
                let _ = check(&mut link);
                assert!(link.incoming.capacity() <= 2 * (MAX + READ_CHUNK));
                if link.is_quiet() {
                    assert!(!link.may_be_running() && link.incoming.is_empty());
                }
            }
        });
    }
}

#[tokio::test]
async fn a_flood_of_reported_parameters_ends_the_connection() {
    let (mut link, mut server) = asked(1 << 20).await;
    for n in 0..=MAX_PARAMETERS {
        server.write_all(&message(b'S', format!("p{n}\0v\0").as_bytes())).await.unwrap();
    }
    server.write_all(&answer()).await.unwrap();
    assert!(matches!(replies(&mut link).await, Err(LinkError::Protocol(_))));
    assert!(link.is_dead());
}
