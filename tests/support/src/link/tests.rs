//! The link forwards faithfully, obeys commands, and repeats its chance for a seed.

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;

/// A server that sends back what it gets, and a FIN for a FIN.
async fn echo_server() -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut read, mut write) = stream.split();
                let _ = tokio::io::copy(&mut read, &mut write).await;
                let _ = write.shutdown().await;
            });
        }
    });
    address
}

async fn echo_once(stream: &mut TcpStream, text: &[u8]) -> std::io::Result<()> {
    stream.write_all(text).await?;
    let mut back = vec![0; text.len()];
    stream.read_exact(&mut back).await?;
    assert_eq!(back, text);
    Ok(())
}

async fn connect(link: &FaultyLink) -> TcpStream {
    TcpStream::connect(link.address()).await.unwrap()
}

#[tokio::test]
async fn splits_and_delays_but_loses_nothing() {
    let builder = FaultyLink::builder().split().max_delay(Duration::from_micros(200));
    let link = builder.start(echo_server().await).await;
    let sent: Vec<u8> = (0..100_000_u32).flat_map(u32::to_le_bytes).collect();
    let stream = connect(&link).await;
    let (mut read, mut write) = stream.into_split();
    let copy = sent.clone();
    let writer = tokio::spawn(async move {
        write.write_all(&copy).await.unwrap();
        write.shutdown().await.unwrap();
    });
    let mut received = Vec::new();
    read.read_to_end(&mut received).await.unwrap();
    writer.await.unwrap();
    assert!(received == sent, "every byte comes back in its place");
    let counters = link.counters();
    assert_eq!((counters.to_server, counters.to_client), (400_000, 400_000));
    assert_eq!(counters.resets, 0);
}

#[tokio::test]
async fn resets_on_command_and_after_a_number_of_bytes() {
    let link = FaultyLink::to(echo_server().await).await;
    let mut stream = connect(&link).await;
    echo_once(&mut stream, b"before").await.unwrap();
    link.reset_all();
    let error = stream.read_u8().await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);

    let mut stream = connect(&link).await;
    echo_once(&mut stream, b"a new connection works").await.unwrap();
    link.reset_after(Some(10));
    assert!(echo_once(&mut stream, b"eight by").await.is_err(), "8 there, 2 back, reset");
    link.reset_after(None);
    echo_once(&mut connect(&link).await, b"no limit any more").await.unwrap();
    assert_eq!(link.counters().resets, 2);
}

#[tokio::test]
async fn the_same_seed_resets_at_the_same_byte() {
    let mut ends = Vec::new();
    for _ in 0..2 {
        let builder = FaultyLink::builder().seed(Seed::fixed(42)).reset_after(1000..5000);
        let link = builder.start(echo_server().await).await;
        let mut stream = connect(&link).await;
        while echo_once(&mut stream, &[7; 10]).await.is_ok() {}
        ends.push(link.counters().to_server + link.counters().to_client);
    }
    assert_eq!(ends[0], ends[1]);
    assert!((1000..5000).contains(&ends[0]));
}

#[tokio::test]
async fn a_stall_delays_and_a_black_hole_loses() {
    let link = FaultyLink::to(echo_server().await).await;
    let mut stream = connect(&link).await;
    let wait = Duration::from_millis(50);
    link.stall();
    assert!(tokio::time::timeout(wait, echo_once(&mut stream, b"held")).await.is_err());
    link.resume();
    let mut held = [0; 4];
    stream.read_exact(&mut held).await.unwrap();
    assert_eq!(&held, b"held");

    link.blackhole();
    assert!(tokio::time::timeout(wait, echo_once(&mut stream, b"lost")).await.is_err());
    link.resume();
    echo_once(&mut stream, b"and on").await.unwrap();
    assert_eq!(link.counters().swallowed, 4);
}

#[tokio::test]
async fn half_closes_one_direction_and_refuses_newcomers() {
    let link = FaultyLink::to(echo_server().await).await;
    let mut stream = connect(&link).await;
    echo_once(&mut stream, b"open").await.unwrap();
    link.half_close(Direction::ToClient);
    assert_eq!(stream.read(&mut [0; 1]).await.unwrap(), 0, "an orderly end");
    stream.write_all(b"still").await.unwrap();
    while link.counters().to_server < 9 {
        tokio::task::yield_now().await;
    }

    link.refuse(true);
    let mut refused = connect(&link).await;
    assert!(echo_once(&mut refused, b"no").await.is_err());
    link.refuse(false);
    echo_once(&mut connect(&link).await, b"yes").await.unwrap();
}
