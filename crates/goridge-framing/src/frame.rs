//! The fixed part of a frame: flags, header, checksum.
//!
//! Nothing here looks at a payload or at the RPC options; that is the decoder's job.

use std::fmt;
use std::ops::{BitOr, BitOrAssign};

use crate::error::FrameError;

/// The only protocol version there is, as goridge 2 and later send it.
pub const VERSION: u8 = 1;
/// Length in bytes of a header without options.
pub const HEADER_SIZE: usize = 12;
/// Number of 32-bit words in a header without options.
const HEADER_WORDS: u8 = 3;
/// Options of an RPC frame: sequence id and method length.
pub const RPC_OPTIONS: u8 = 2;
/// Length in bytes of an RPC frame's header, its two options included.
pub const RPC_HEADER_SIZE: usize = HEADER_SIZE + RPC_OPTIONS as usize * 4;
/// Default bound on a whole frame, header included: 64 MiB.
pub const DEFAULT_MAX_FRAME_SIZE: usize = 64 * 1024 * 1024;

/// The flags byte of a frame. Bits without a name are kept as they came.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Flags(u8);

impl Flags {
    /// No bit at all.
    pub const EMPTY: Self = Self(0);
    /// Control frame of the worker protocol; has no meaning in RPC.
    pub const CONTROL: Self = Self(0x01);
    /// Body is raw bytes; here JSON text.
    pub const RAW: Self = Self(0x04);
    /// Body is JSON.
    pub const JSON: Self = Self(0x08);
    /// Body is MessagePack.
    pub const MSGPACK: Self = Self(0x10);
    /// Body is Go's gob.
    pub const GOB: Self = Self(0x20);
    /// The reply is an error; its body is plain text.
    pub const ERROR: Self = Self(0x40);
    /// Body is a Protobuf message.
    pub const PROTO: Self = Self(0x80);

    /// Which codec wins when a frame names several, first wins.
    const PRECEDENCE: [Self; 5] = [Self::PROTO, Self::JSON, Self::RAW, Self::MSGPACK, Self::GOB];

    /// Takes the byte as it stands in a frame.
    #[must_use]
    pub const fn from_bits(bits: u8) -> Self {
        Self(bits)
    }

    /// The byte as it stands in a frame.
    #[must_use]
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// True when every bit of `other` is set.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// The one codec bit that decides how the body is read, or no bit when none is set. An error
    /// reply to a body that could not be read carries this bit too.
    #[must_use]
    pub fn codec(self) -> Self {
        Self::PRECEDENCE.into_iter().find(|codec| self.contains(*codec)).unwrap_or(Self::EMPTY)
    }
}

impl BitOr for Flags {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitOrAssign for Flags {
    fn bitor_assign(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

impl fmt::Debug for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const NAMES: [(Flags, &str); 7] = [
            (Flags::CONTROL, "CONTROL"),
            (Flags::RAW, "RAW"),
            (Flags::JSON, "JSON"),
            (Flags::MSGPACK, "MSGPACK"),
            (Flags::GOB, "GOB"),
            (Flags::ERROR, "ERROR"),
            (Flags::PROTO, "PROTO"),
        ];
        write!(f, "Flags(0x{:02x}", self.0)?;
        for (flag, name) in NAMES {
            if self.contains(flag) {
                write!(f, " {name}")?;
            }
        }
        f.write_str(")")
    }
}

/// The first twelve bytes of a frame. The checksum is verified by [`Header::parse`] and computed
/// by [`Header::encode`]; it is never stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// What the frame says about itself.
    pub flags: Flags,
    /// Number of 32-bit options that follow the header, 0 to 12.
    pub options: u8,
    /// Length in bytes of what follows the options.
    pub payload_len: u32,
    /// The stream bits; plain RPC leaves them 0 and this crate does not act on them.
    pub stream: u8,
}

impl Header {
    /// A header of an RPC frame.
    #[must_use]
    pub const fn rpc(flags: Flags, payload_len: u32) -> Self {
        Self { flags, options: RPC_OPTIONS, payload_len, stream: 0 }
    }

    /// Reads a header.
    ///
    /// # Errors
    /// A wrong checksum comes before everything else, since text that somebody printed on the
    /// socket is best described by it; then the version, then a header shorter than itself.
    pub fn parse(bytes: &[u8; HEADER_SIZE]) -> Result<Self, FrameError> {
        let [first, flags, l0, l1, l2, l3, c0, c1, c2, c3, stream, _] = *bytes;
        let declared = u32::from_le_bytes([c0, c1, c2, c3]);
        let computed = crc32fast::hash(&[first, flags, l0, l1, l2, l3]);
        if declared != computed {
            return Err(FrameError::Checksum { declared, computed });
        }
        let (version, words) = (first >> 4, first & 0x0f);
        if version != VERSION {
            return Err(FrameError::Version(version));
        }
        let options = words.checked_sub(HEADER_WORDS).ok_or(FrameError::HeaderLength(words))?;
        Ok(Self {
            flags: Flags(flags),
            options,
            payload_len: u32::from_le_bytes([l0, l1, l2, l3]),
            stream,
        })
    }

    /// Writes the header with its checksum. Only the low four bits of the header length fit, so
    /// more than twelve options cannot be expressed.
    #[must_use]
    pub fn encode(&self) -> [u8; HEADER_SIZE] {
        let first = (VERSION << 4) | (HEADER_WORDS.saturating_add(self.options) & 0x0f);
        let flags = self.flags.0;
        let [l0, l1, l2, l3] = self.payload_len.to_le_bytes();
        let crc = crc32fast::hash(&[first, flags, l0, l1, l2, l3]);
        let [c0, c1, c2, c3] = crc.to_le_bytes();
        [first, flags, l0, l1, l2, l3, c0, c1, c2, c3, self.stream, 0]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_survives_a_round_trip() {
        for options in 0..=12 {
            let header = Header {
                flags: Flags::JSON | Flags::ERROR,
                options,
                payload_len: 0x0102_0304,
                stream: 5,
            };
            assert_eq!(Header::parse(&header.encode()), Ok(header));
        }
    }

    #[test]
    fn rpc_header_starts_as_goridge_sends_it() {
        assert_eq!(Header::rpc(Flags::JSON, 40).encode()[..2], [0x15, 0x08]);
    }

    #[test]
    fn each_fault_of_a_header_has_its_error() {
        let resealed = |first: u8| {
            let mut bytes = Header::rpc(Flags::JSON, 0).encode();
            bytes[0] = first;
            let crc = crc32fast::hash(&bytes[..6]).to_le_bytes();
            bytes[6..10].copy_from_slice(&crc);
            bytes
        };
        assert_eq!(Header::parse(&resealed(0x25)), Err(FrameError::Version(2)));
        assert_eq!(Header::parse(&resealed(0x12)), Err(FrameError::HeaderLength(2)));
        let mut bytes = Header::rpc(Flags::JSON, 0).encode();
        bytes[2] ^= 1;
        assert!(matches!(Header::parse(&bytes), Err(FrameError::Checksum { .. })));
    }

    #[test]
    fn codec_bit_follows_precedence() {
        let all = Flags::from_bits(0xff);
        assert_eq!(all.codec(), Flags::PROTO);
        assert_eq!(Flags::from_bits(0x7f).codec(), Flags::JSON);
        assert_eq!((Flags::GOB | Flags::MSGPACK | Flags::RAW).codec(), Flags::RAW);
        assert_eq!((Flags::GOB | Flags::MSGPACK).codec(), Flags::MSGPACK);
        assert_eq!((Flags::GOB | Flags::ERROR).codec(), Flags::GOB);
        assert_eq!((Flags::ERROR | Flags::CONTROL).codec(), Flags::EMPTY);
    }

    #[test]
    fn debug_names_the_bits() {
        assert_eq!(format!("{:?}", Flags::JSON | Flags::ERROR), "Flags(0x48 JSON ERROR)");
    }
}
