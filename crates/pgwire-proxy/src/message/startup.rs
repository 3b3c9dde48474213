//! What a client says before its session begins: the startup packet and its three relatives, which
//! bear no type byte.

use super::{take, take_cstr};

/// Longest startup packet, its length field included: PostgreSQL's own limit.
pub(crate) const MAX_STARTUP: usize = 10_000;
/// The major version that is spoken.
pub(crate) const PROTOCOL_MAJOR: u16 = 3;
/// The newest minor version of it; newer ones are negotiated down to it.
pub(crate) const PROTOCOL_MINOR: u16 = 2;
/// The minor version from which on cancel keys are long.
const LONG_KEYS: u16 = 2;
/// Bytes of a cancel key's secret: short and long ones. PostgreSQL 18 has the same.
const SECRETS: [usize; 2] = [4, 32];
/// Longest secret that the protocol allows, bytes.
const MAX_SECRET: usize = 256;
const SPECIAL_MAJOR: u16 = 1234;

/// A message before the session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Opening {
    /// SSLRequest
    Tls,
    /// GSSENCRequest
    Gss,
    /// CancelRequest, for the session with this key.
    Cancel(CancelKey),
    /// StartupMessage
    Startup(Startup),
    /// A version that is not spoken.
    Version { major: u16, minor: u16 },
}

/// What BackendKeyData gave a client, to cancel its statements with.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct CancelKey {
    pub(crate) process_id: i32,
    pub(crate) secret: Box<[u8]>,
}

impl CancelKey {
    /// A new one for a client that speaks this minor version.
    pub(crate) fn new(process_id: i32, minor: u16) -> Self {
        let [short, long] = SECRETS;
        let random: [u8; SECRETS[1]] = rand::random();
        let len = if minor >= LONG_KEYS { long } else { short };
        Self { process_id, secret: random.get(..len).unwrap_or_default().into() }
    }
}

impl std::fmt::Debug for CancelKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CancelKey").field("process_id", &self.process_id).finish_non_exhaustive()
    }
}

/// A StartupMessage.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Startup {
    /// Minor version of the protocol that was asked for.
    pub(crate) minor: u16,
    /// Names and values, in the order of the message; bytes that are not UTF-8 replaced.
    pub(crate) parameters: Vec<(String, String)>,
}

/// Why bytes are no startup packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum StartupError {
    #[error("invalid length of startup packet")]
    Length,
    #[error("invalid startup packet layout: expected terminator as last byte")]
    Layout,
    /// Nobody waits for an answer to a cancel request.
    #[error("invalid length of query cancel packet")]
    CancelKey,
}

/// The length of the whole packet, from its length field.
pub(crate) fn packet_len(field: [u8; 4]) -> Result<usize, StartupError> {
    let len = u32::from_be_bytes(field) as usize;
    if (8..=MAX_STARTUP).contains(&len) { Ok(len) } else { Err(StartupError::Length) }
}

/// Whether a packet, its length field included, asks for a session.
pub(crate) fn begins_session(packet: &[u8]) -> bool {
    packet.get(4..6) == Some(&PROTOCOL_MAJOR.to_be_bytes())
}

/// Reads a packet, without its length field.
pub(crate) fn read(mut packet: &[u8]) -> Result<Opening, StartupError> {
    let major = take(&mut packet).map(u16::from_be_bytes).ok_or(StartupError::Length)?;
    let minor = take(&mut packet).map(u16::from_be_bytes).ok_or(StartupError::Length)?;
    match (major, minor) {
        (SPECIAL_MAJOR, 5678) => cancel(packet).ok_or(StartupError::CancelKey),
        (SPECIAL_MAJOR, 5679) => Ok(Opening::Tls),
        (SPECIAL_MAJOR, 5680) => Ok(Opening::Gss),
        (PROTOCOL_MAJOR, minor) => {
            let parameters = parameters(packet).ok_or(StartupError::Layout)?;
            Ok(Opening::Startup(Startup { minor, parameters }))
        }
        (major, minor) => Ok(Opening::Version { major, minor }),
    }
}

fn cancel(mut packet: &[u8]) -> Option<Opening> {
    let process_id = i32::from_be_bytes(take(&mut packet)?);
    let secret = packet.into();
    let is_key = (SECRETS[0]..=MAX_SECRET).contains(&packet.len());
    is_key.then_some(Opening::Cancel(CancelKey { process_id, secret }))
}

/// Pairs of texts, and a lone NUL as the very last byte.
fn parameters(mut packet: &[u8]) -> Option<Vec<(String, String)>> {
    let mut parameters = Vec::new();
    loop {
        let name = take_cstr(&mut packet)?;
        if name.is_empty() {
            return packet.is_empty().then_some(parameters);
        }
        let value = take_cstr(&mut packet)?;
        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        parameters.push((text(name), text(value)));
    }
}

impl Startup {
    /// The value of a parameter; the last one counts, as in the server.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let found = self.parameters.iter().rev().find(|(found, _)| found == name);
        found.map(|(_, value)| value.as_str())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_four_openings_are_told_apart() {
        assert_eq!(read(b"\x04\xd2\x16\x2f"), Ok(Opening::Tls));
        assert_eq!(read(b"\x04\xd2\x16\x30"), Ok(Opening::Gss));
        let key = CancelKey { process_id: 7, secret: [0xff; 4].into() };
        let packet = b"\x04\xd2\x16\x2e\0\0\0\x07\xff\xff\xff\xff";
        assert_eq!(read(packet), Ok(Opening::Cancel(key)));
        assert_eq!(read(&packet[..11]), Err(StartupError::CancelKey));
        let long = [&packet[..8], &[7; 32]].concat();
        let key = CancelKey { process_id: 7, secret: [7; 32].into() };
        assert_eq!(read(&long), Ok(Opening::Cancel(key)));
        let longer = [&packet[..8], &[7; 257]].concat();
        assert_eq!(read(&longer), Err(StartupError::CancelKey));
        assert_eq!(read(b"\0\x02\0\0"), Ok(Opening::Version { major: 2, minor: 0 }));
        let Ok(Opening::Startup(startup)) = read(b"\0\x03\0\x02user\0app\0database\0x\0\0") else {
            panic!("a startup message")
        };
        assert_eq!((startup.minor, startup.get("user")), (2, Some("app")));
        assert_eq!((startup.get("database"), startup.get("x")), (Some("x"), None));
    }

    #[test]
    fn layouts_and_lengths_are_checked() {
        for bad in [&b"\0\x03\0\0"[..], b"\0\x03\0\0user\0app\0", b"\0\x03\0\0user\0\0app\0\0!"] {
            assert_eq!(read(bad), Err(StartupError::Layout), "{bad:?}");
        }
        assert_eq!(read(b"\0\x03"), Err(StartupError::Length));
        assert_eq!(packet_len([0, 0, 0, 7]), Err(StartupError::Length));
        assert_eq!(packet_len([0, 0, 0, 8]), Ok(8));
        assert_eq!(packet_len([0, 0, 0x27, 0x10]), Ok(MAX_STARTUP));
        assert_eq!(packet_len([0, 0, 0x27, 0x11]), Err(StartupError::Length));
        assert_eq!(packet_len([0xff; 4]), Err(StartupError::Length));
    }

    proptest! {
        #[test]
        fn arbitrary_packets_never_panic(packet in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = read(&packet);
            let startup = [&[0, 3, 0, 0], &packet[..]].concat();
            let _ = read(&startup);
        }
    }
}
