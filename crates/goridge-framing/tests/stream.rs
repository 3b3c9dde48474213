//! Frames in a stream: every split point, several in a row, damaged ones, and plain noise. A
//! decoder either gives exactly what was sent or refuses; it never panics and never guesses.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail by panicking")]

use bytes::BytesMut;
use goridge_framing::frame::{HEADER_SIZE, Header, RPC_HEADER_SIZE};
use goridge_framing::{Codec, Flags, FrameError, ReplyFrame, RpcDecoder, RpcFrame, encode_request};
use proptest::prelude::*;

const LIMIT: usize = 1 << 20;

/// What a frame says: flags, sequence id, method, body.
type Spec = (u8, u32, Vec<u8>, Vec<u8>);

fn any_spec() -> impl Strategy<Value = Spec> {
    let bytes = |most| prop::collection::vec(any::<u8>(), 0..most);
    (any::<u8>(), any::<u32>(), bytes(40), bytes(400))
}

fn encode(out: &mut Vec<u8>, (flags, seq, method, body): &Spec) {
    let frame = ReplyFrame::begin(out, Flags::from_bits(*flags), *seq, method);
    out.extend_from_slice(body);
    frame.finish(out, LIMIT).unwrap();
}

fn assert_is(frame: &RpcFrame, (flags, seq, method, body): &Spec) {
    assert_eq!(frame.flags.bits(), *flags);
    assert_eq!(frame.seq, *seq);
    assert_eq!(frame.method_bytes(), method);
    assert_eq!(&frame.body, body);
}

/// Feeds `chunks` one by one and collects every frame.
fn feed<'a>(chunks: impl IntoIterator<Item = &'a [u8]>) -> Result<Vec<RpcFrame>, FrameError> {
    let (mut decoder, mut buf, mut frames) = (RpcDecoder::new(LIMIT), BytesMut::new(), Vec::new());
    for chunk in chunks {
        buf.extend_from_slice(chunk);
        while let Some(frame) = decoder.decode(&mut buf)? {
            frames.push(frame);
        }
        assert!(decoder.needed(buf.len()) > 0, "an undecided decoder wants bytes");
    }
    Ok(frames)
}

#[test]
fn every_split_point_gives_the_same_frame() {
    let mut bytes = Vec::new();
    encode_request(&mut bytes, Codec::MsgPack, 9, "pgpool.Execute", b"\x81\xa1a\x01").unwrap();
    let whole = feed([&bytes[..]]).unwrap();
    for first in 0..=bytes.len() {
        for second in first..=bytes.len() {
            let parts = [&bytes[..first], &bytes[first..second], &bytes[second..]];
            assert_eq!(feed(parts).unwrap(), whole);
        }
    }
    assert_eq!(feed(bytes.chunks(1)).unwrap(), whole);
}

#[test]
fn no_beginning_of_a_frame_is_a_frame() {
    let mut bytes = Vec::new();
    encode_request(&mut bytes, Codec::Json, 9, "a.B", b"{}").unwrap();
    for end in 0..bytes.len() {
        let (mut decoder, mut buf) = (RpcDecoder::new(LIMIT), BytesMut::from(&bytes[..end]));
        assert_eq!(decoder.decode(&mut buf), Ok(None));
        assert_eq!(decoder.is_mid_frame(buf.len()), end > 0);
        assert!(decoder.needed(end) <= bytes.len() - end, "never asks beyond the frame");
    }
}

#[test]
fn large_frame_arrives_in_small_reads_with_bounded_room() {
    let body = vec![b'x'; 600 * 1024];
    let mut bytes = Vec::new();
    encode_request(&mut bytes, Codec::Json, 1, "a.B", &body).unwrap();
    let (mut decoder, mut buf) = (RpcDecoder::new(LIMIT), BytesMut::new());
    let mut frame = None;
    for chunk in bytes.chunks(1460) {
        buf.extend_from_slice(chunk);
        frame = decoder.decode(&mut buf).unwrap();
        assert!(buf.capacity() <= 2 * LIMIT);
    }
    assert_eq!(frame.unwrap().body, body);
}

proptest! {
    #[test]
    fn frames_survive_a_round_trip_in_any_chunks(
        specs in prop::collection::vec(any_spec(), 1..6),
        size in 1_usize..700,
    ) {
        let mut bytes = Vec::new();
        specs.iter().for_each(|spec| encode(&mut bytes, spec));
        let frames = feed(bytes.chunks(size)).unwrap();
        prop_assert_eq!(frames.len(), specs.len());
        frames.iter().zip(&specs).for_each(|(frame, spec)| assert_is(frame, spec));
    }

    #[test]
    fn arbitrary_bytes_never_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..300),
        size in 1_usize..64,
    ) {
        let _ = feed(bytes.chunks(size));
    }

    /// Noise behind a valid checksum gets further than noise alone.
    #[test]
    fn arbitrary_bytes_under_a_valid_checksum_never_panic(
        mut head in any::<[u8; RPC_HEADER_SIZE]>(),
        rest in prop::collection::vec(any::<u8>(), 0..300),
        small in any::<bool>(),
    ) {
        if small {
            head[0] = 0x15;
            head[3..6].fill(0);
            head[17..20].fill(0);
        }
        let crc = crc32fast::hash(&head[..6]).to_le_bytes();
        head[6..10].copy_from_slice(&crc);
        let bytes = [&head[..], &rest].concat();
        if let Ok(frames) = feed([&bytes[..]]) && let Some(frame) = frames.first() {
            let payload = frame.method_bytes().len() + frame.body.len();
            prop_assert!(payload <= rest.len());
            let header = Header::parse(head.first_chunk::<HEADER_SIZE>().unwrap()).unwrap();
            prop_assert_eq!(header.payload_len as usize, payload);
        }
    }

    /// One damaged bit in the checked six bytes or the checksum is always seen.
    #[test]
    fn damaged_headers_are_always_seen(spec in any_spec(), bit in 0_usize..80) {
        let mut bytes = Vec::new();
        encode(&mut bytes, &spec);
        bytes[bit / 8] ^= 1 << (bit % 8);
        let got = feed([&bytes[..]]);
        prop_assert!(matches!(got, Err(FrameError::Checksum { .. })), "{:?}", got);
    }

    #[test]
    fn mutated_frames_never_panic(
        spec in any_spec(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..5),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut bytes = Vec::new();
        encode(&mut bytes, &spec);
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let _ = feed([&bytes[..]]);
        bytes.truncate(cut.index(bytes.len()));
        let _ = feed([&bytes[..]]);
    }

    #[test]
    fn frames_above_the_limit_are_refused_by_their_header(over in 0_u32..1000) {
        let payload = u32::try_from(LIMIT).unwrap() - 19 + over;
        let head = Header::rpc(Flags::JSON, payload).encode();
        let mut buf = BytesMut::from(&head[..]);
        let room = buf.capacity();
        let got = RpcDecoder::new(LIMIT).decode(&mut buf);
        prop_assert_eq!(got, Err(FrameError::TooLarge { size: u64::from(payload) + 20, limit: LIMIT }));
        prop_assert_eq!(buf.capacity(), room);
    }
}
