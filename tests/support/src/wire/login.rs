//! The client's part of a login: whatever proof the server asks for.

use md5::{Digest, Md5};
use postgres_protocol::authentication::sasl::{
    ChannelBinding, SCRAM_SHA_256, SCRAM_SHA_256_PLUS, ScramSha256,
};

use super::message::{cstr, message};
use super::reply::Reply;
use super::{Binding, WireClient, WireError};

/// Answers requests for a password until the server is satisfied or not.
pub(super) async fn prove(
    client: &mut WireClient,
    user: &str,
    password: &str,
) -> Result<(), WireError> {
    let mut scram: Option<ScramSha256> = None;
    loop {
        let reply = client.recv_welcome().await?;
        let Some((code, data)) = authentication(&reply) else {
            return Err(WireError::Protocol(format!("{reply:?} during login")));
        };
        client.asked.push(code);
        match (code, &mut scram) {
            (0, _) => return Ok(()),
            (3, _) => client.send(&message(b'p', &cstr(password))).await?,
            (5, _) => {
                let stored = hex(&[password.as_bytes(), user.as_bytes()]);
                let answer = format!("md5{}", hex(&[stored.as_bytes(), data]));
                client.send(&message(b'p', &cstr(&answer))).await?;
            }
            (10, _) => {
                let (mechanism, binding) = match &client.binding {
                    Binding::Unsupported => (SCRAM_SHA_256, ChannelBinding::unsupported()),
                    Binding::Unrequested => (SCRAM_SHA_256, ChannelBinding::unrequested()),
                    Binding::EndPoint(data) => {
                        let binding = ChannelBinding::tls_server_end_point(data.clone());
                        (SCRAM_SHA_256_PLUS, binding)
                    }
                };
                let first = ScramSha256::new(password.as_bytes(), binding);
                let len = i32::try_from(first.message().len()).unwrap_or_default();
                let body = [&cstr(mechanism)[..], &len.to_be_bytes(), first.message()].concat();
                client.send(&message(b'p', &body)).await?;
                scram = Some(first);
            }
            (11, Some(scram)) => {
                scram.update(data)?;
                client.send(&message(b'p', scram.message())).await?;
            }
            (12, Some(scram)) => scram.finish(data)?,
            _ => return Err(WireError::Protocol(format!("authentication request {code}"))),
        }
    }
}

fn authentication(reply: &Reply) -> Option<(u32, &[u8])> {
    let (code, data) = reply.body.split_first_chunk()?;
    (reply.tag == b'R').then_some((u32::from_be_bytes(*code), data))
}

fn hex(parts: &[&[u8]]) -> String {
    let mut md5 = Md5::new();
    for part in parts {
        md5.update(part);
    }
    md5.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}
