//! goridge frames as a client writes and reads them. It checks everything that a server must get
//! right, and allows the caller to write frames that are wrong.

use tokio::io::{AsyncRead, AsyncReadExt};

use super::RpcFault;

/// The body is raw bytes (here: JSON text).
pub const RAW: u8 = 0x04;
/// The body is JSON.
pub const JSON: u8 = 0x08;
/// The body is MessagePack.
pub const MSGPACK: u8 = 0x10;
/// The body is the text of an error.
pub const ERROR: u8 = 0x40;

/// Version 1; a header of five 32-bit words: twelve fixed bytes and two options.
const FIRST_BYTE: u8 = 0x15;
const HEADER: usize = 20;
/// More than any test asks for; a larger length is a broken reply.
const MAX_PAYLOAD: u32 = 1 << 30;

/// One frame of the RPC protocol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RpcFrame {
    /// Which request this is or answers.
    pub seq: u32,
    /// The codec, and [`ERROR`].
    pub flags: u8,
    /// The full method name, `pgpool.Execute`.
    pub method: String,
    /// The body after the method name.
    pub body: Vec<u8>,
}

impl RpcFrame {
    /// A frame with the given parts.
    #[must_use]
    pub fn request(seq: u32, method: &str, flags: u8, body: &[u8]) -> Self {
        Self { seq, flags, method: method.to_owned(), body: body.to_vec() }
    }

    /// Whether this is an error reply.
    #[must_use]
    pub fn is_error(&self) -> bool {
        self.flags & ERROR != 0
    }

    /// The frame as bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let method_length = u32::try_from(self.method.len()).expect("a short method name");
        let payload = u32::try_from(self.method.len() + self.body.len()).expect("a short payload");
        let mut bytes = vec![FIRST_BYTE, self.flags];
        bytes.extend(payload.to_le_bytes());
        let crc = crc32fast::hash(&bytes);
        bytes.extend(crc.to_le_bytes());
        bytes.extend([0, 0]);
        bytes.extend(self.seq.to_le_bytes());
        bytes.extend(method_length.to_le_bytes());
        bytes.extend(self.method.as_bytes());
        bytes.extend(&self.body);
        bytes
    }
}

/// Reads one whole frame and checks its header.
pub(super) async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Result<RpcFrame, RpcFault> {
    let mut header = [0; HEADER];
    let mut filled = 0;
    while let Some(rest) = header.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match stream.read(rest).await? {
            0 if filled == 0 => return Err(RpcFault::Closed),
            0 => return Err(RpcFault::Protocol("the connection ended within a header".to_owned())),
            count => filled += count,
        }
    }
    let word = |at: usize| {
        let mut bytes = [0; 4];
        bytes.copy_from_slice(header.get(at..at + 4).unwrap_or_default());
        u32::from_le_bytes(bytes)
    };
    let (payload, crc, seq, method_length) = (word(2), word(6), word(12), word(16));
    if header.first() != Some(&FIRST_BYTE) {
        return Err(RpcFault::Protocol(format!("first byte {:?}", header.first())));
    }
    if crc != crc32fast::hash(header.get(..6).unwrap_or_default()) {
        return Err(RpcFault::Protocol("wrong checksum".to_owned()));
    }
    if payload > MAX_PAYLOAD || method_length > payload {
        return Err(RpcFault::Protocol(format!("lengths {method_length} of {payload}")));
    }
    let flags = header.get(1).copied().unwrap_or_default();
    let mut method = vec![0; method_length as usize];
    stream.read_exact(&mut method).await?;
    let mut body = vec![0; (payload - method_length) as usize];
    stream.read_exact(&mut body).await?;
    let method = String::from_utf8(method)
        .map_err(|_| RpcFault::Protocol("the method name is not UTF-8".to_owned()))?;
    Ok(RpcFrame { seq, flags, method, body })
}
