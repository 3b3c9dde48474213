//! PostgreSQL clients that have come to the RPC address: they are told where to go, where otherwise
//! both sides would wait for the other to go on.

/// What such a client has said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stray {
    /// SSLRequest or GSSENCRequest: it waits for one byte.
    AsksForEncryption,
    /// StartupMessage.
    Starts,
}

/// Bytes of SSLRequest and GSSENCRequest, and those that tell a StartupMessage.
pub(super) const REQUEST_LEN: usize = 8;

/// Recognises the begin of PostgreSQL's protocol, which is none of goridge's: the length of a packet
/// comes first, and so a zero.
pub(super) fn recognise(bytes: &[u8]) -> Option<Stray> {
    let &[0, _, _, _, a, b, c, d] = bytes.first_chunk::<REQUEST_LEN>()? else { return None };
    match u32::from_be_bytes([a, b, c, d]) {
        80_877_103 | 80_877_104 => Some(Stray::AsksForEncryption),
        version if version >> 16 == 3 => Some(Stray::Starts),
        _ => None,
    }
}

/// An ErrorResponse ("Message Formats" in PostgreSQL's documentation) that says what is wrong.
pub(super) fn refusal() -> Vec<u8> {
    const FIELDS: &str = "SFATAL\0VFATAL\0C08P01\0\
        Mthis is rr-pgpool's RPC address, which speaks goridge\0\
        HPostgreSQL clients connect to pgpool.proxy.address, tcp://127.0.0.1:5433 by default.\0\0";
    let len = u32::try_from(FIELDS.len() + 4).unwrap_or_default();
    [b"E", &len.to_be_bytes()[..], FIELDS.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn goridge_frames_and_half_packets_are_none() {
        for bytes in [&b""[..], b"\0\0\0\x08\x04\xd2\x16", b"\x15\x08\0\0\0\0\0\0", b"GET / HT"] {
            assert_eq!(recognise(bytes), None);
        }
        assert_eq!(recognise(b"\0\0\0\x08\x04\xd2\x16\x2f"), Some(Stray::AsksForEncryption));
        assert_eq!(recognise(b"\0\0\0\x54\0\x03\0\x02user"), Some(Stray::Starts));
    }
}
