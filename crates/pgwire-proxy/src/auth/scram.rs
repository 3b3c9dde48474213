//! The server's side of SCRAM-SHA-256, with and without channel binding: RFC 5802 and RFC 7677, as
//! PostgreSQL speaks it. Lengths are bounded before anything is decoded.

use std::num::NonZeroU32;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::{digest, hmac};

use super::credential::Verifier;

/// Name of the mechanism.
pub(super) const MECHANISM: &str = "SCRAM-SHA-256";
/// The same, with the proof bound to the TLS session.
pub(super) const MECHANISM_PLUS: &str = "SCRAM-SHA-256-PLUS";
/// The kind of binding that is spoken (RFC 5929).
const BINDING: &str = "p=tls-server-end-point";
/// Longest message of a client, bytes: nonces and a proof are far shorter.
const MAX_MESSAGE: usize = 2048;
/// Random bytes of our part of the nonce, as many as PostgreSQL uses.
const NONCE_BYTES: usize = 18;

/// The client broke the protocol, with what to tell it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Malformed(pub(super) &'static str);

/// What a proof may be bound to, and whether the client has chosen to.
#[derive(Debug, Clone, Copy)]
pub(super) enum Binding<'a> {
    /// There is no TLS, or its certificate is of no use for it.
    Impossible,
    /// It was offered, and not taken.
    Declined,
    /// To these bytes.
    To(&'a [u8]),
}

impl Binding<'_> {
    /// The base64 of what the client must repeat, for the flag that it has sent.
    fn header(self, flag: &str) -> Result<String, Malformed> {
        match (self, flag) {
            (Self::To(data), BINDING) => {
                Ok(STANDARD.encode([format!("{flag},,").as_bytes(), data].concat()))
            }
            (Self::To(_), flag) if flag.starts_with("p=") => {
                Err(Malformed("unsupported SCRAM channel-binding type"))
            }
            (Self::To(_), "n" | "y") => Err(Malformed(
                "the client selected SCRAM-SHA-256-PLUS, but its message has no channel binding data",
            )),
            (_, flag) if flag.starts_with("p=") => Err(Malformed(
                "the client selected SCRAM-SHA-256 without channel binding, but its message has \
                 channel binding data",
            )),
            // It could have had it: somebody in between has hidden the offer.
            (Self::Declined, "y") => Err(Malformed(
                "the client supports SCRAM channel binding but thinks that the server does not",
            )),
            (_, "n" | "y") => Ok(STANDARD.encode(format!("{flag},,"))),
            _ => Err(MALFORMED),
        }
    }
}

/// An exchange after the client's first message.
pub(super) struct ServerFirst {
    verifier: Verifier,
    /// Nobody has this verifier's password: whatever the proof, it is wrong.
    pretended: bool,
    nonce: String,
    /// `n=…,r=…,r=…,s=…,i=…`: the part of what is signed that is known by now.
    signed: String,
    /// The base64 of the header that the client must repeat.
    header: String,
}

impl ServerFirst {
    /// Reads the client's first message; returns our first one beside the state.
    pub(super) fn new(
        verifier: Verifier,
        pretended: bool,
        binding: Binding<'_>,
        message: &[u8],
    ) -> Result<(Self, String), Malformed> {
        let nonce = STANDARD.encode(rand::random::<[u8; NONCE_BYTES]>());
        Self::with_nonce(verifier, pretended, binding, message, &nonce)
    }

    fn with_nonce(
        verifier: Verifier,
        pretended: bool,
        binding: Binding<'_>,
        message: &[u8],
        own_nonce: &str,
    ) -> Result<(Self, String), Malformed> {
        let text = text(message)?;
        let (flag, rest) = text.split_once(',').ok_or(MALFORMED)?;
        let header = binding.header(flag)?;
        let (authzid, bare) = rest.split_once(',').ok_or(MALFORMED)?;
        if !authzid.is_empty() {
            return Err(Malformed("client uses authorization identity, but it is not supported"));
        }
        // The name in it is not looked at: the startup message's counts.
        let mut attributes = bare.split(',');
        let name = attributes.next().unwrap_or_default();
        if name.starts_with("m=") {
            return Err(Malformed("client requires an unsupported SCRAM extension"));
        }
        let nonce = attributes.next().and_then(|part| part.strip_prefix("r="));
        let nonce = nonce.filter(|nonce| is_nonce(nonce) && name.starts_with("n="));
        let nonce = format!("{}{own_nonce}", nonce.ok_or(MALFORMED)?);
        let reply = format!("r={nonce},s={},i={}", verifier.salt, verifier.iterations);
        let state = Self { verifier, pretended, nonce, signed: format!("{bare},{reply}"), header };
        Ok((state, reply))
    }

    /// Reads the client's final message; `Ok(None)` when its proof is wrong.
    pub(super) fn finish(self, message: &[u8]) -> Result<Option<String>, Malformed> {
        let text = text(message)?;
        let (without_proof, proof) = text.rsplit_once(",p=").ok_or(MALFORMED)?;
        let mut attributes = without_proof.split(',');
        let header = attributes.next().and_then(|part| part.strip_prefix("c="));
        let nonce = attributes.next().and_then(|part| part.strip_prefix("r="));
        if header != Some(&self.header) {
            return Err(Malformed("unexpected SCRAM channel-binding attribute"));
        }
        if nonce != Some(&self.nonce) {
            return Err(Malformed("SCRAM nonce does not match"));
        }
        let proof: [u8; 32] =
            STANDARD.decode(proof).ok().and_then(|bytes| bytes.try_into().ok()).ok_or(MALFORMED)?;
        let signed = format!("{},{without_proof}", self.signed);
        let signature = sign(&self.verifier.stored_key, &signed);
        let mut client_key = proof;
        for (byte, mask) in client_key.iter_mut().zip(signature.as_ref()) {
            *byte ^= mask;
        }
        let right =
            same(digest::digest(&digest::SHA256, &client_key).as_ref(), &self.verifier.stored_key);
        if !right || self.pretended {
            return Ok(None);
        }
        let server = sign(&self.verifier.server_key, &signed);
        Ok(Some(format!("v={}", STANDARD.encode(server))))
    }
}

const MALFORMED: Malformed = Malformed("malformed SCRAM message");

/// A verifier for a user who does not exist; the same salt each time.
pub(super) fn pretended_verifier(user: &str, pretence: &hmac::Key) -> Verifier {
    let derived = hmac::sign(pretence, user.as_bytes());
    let salt = derived.as_ref().get(..16).unwrap_or_default();
    Verifier {
        iterations: const { NonZeroU32::new(4096).unwrap() },
        salt: STANDARD.encode(salt),
        stored_key: rand::random(),
        server_key: rand::random(),
    }
}

/// Whether two secrets are the same, in a time that does not tell where they differ.
pub(crate) fn same(a: &[u8], b: &[u8]) -> bool {
    // Of equal length for every input, and in an order that nobody can foresee.
    let key = hmac::Key::new(hmac::HMAC_SHA256, &rand::random::<[u8; 32]>());
    hmac::verify(&key, a, hmac::sign(&key, b).as_ref()).is_ok()
}

fn sign(key: &[u8], text: &str) -> hmac::Tag {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes())
}

fn text(message: &[u8]) -> Result<&str, Malformed> {
    if message.len() > MAX_MESSAGE {
        return Err(Malformed("SCRAM message is too long"));
    }
    std::str::from_utf8(message).map_err(|_| MALFORMED)
}

/// Printable ASCII without a comma, and at least one of it.
fn is_nonce(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b',')
}

#[cfg(test)]
mod tests {
    use pool_manager::Secret;
    use postgres_protocol::authentication::sasl::{ChannelBinding, ScramSha256};
    use postgres_protocol::password;
    use proptest::prelude::*;

    use super::super::credential::{Credential, Form};
    use super::*;

    fn verifier(password: &str) -> Verifier {
        let stored = Secret::new(password::scram_sha_256(password.as_bytes()));
        match Credential::stored("app", &stored).unwrap().form() {
            Form::Scram(verifier) => verifier.clone(),
            _ => panic!("a verifier"),
        }
    }

    /// A whole exchange with rust-postgres' client; whether both sides are content.
    fn exchange(known: &str, given: &str, pretended: bool) -> bool {
        let mut client = ScramSha256::new(given.as_bytes(), ChannelBinding::unsupported());
        let (server, first) =
            ServerFirst::new(verifier(known), pretended, Binding::Impossible, client.message())
                .unwrap();
        client.update(first.as_bytes()).unwrap();
        match server.finish(client.message()).unwrap() {
            Some(last) => client.finish(last.as_bytes()).is_ok(),
            None => false,
        }
    }

    #[test]
    fn the_right_password_is_accepted_and_no_other() {
        assert!(exchange("secret", "secret", false));
        assert!(exchange("p\u{e4}ss w\u{f6}rd", "p\u{e4}ss w\u{f6}rd", false));
        assert!(!exchange("secret", "Secret", false));
        assert!(!exchange("secret", "", false));
        assert!(!exchange("secret", "secret", true));
    }

    #[test]
    fn the_example_of_the_rfc_is_followed() {
        // RFC 7677, section 3: user "user", password "pencil".
        let salted = postgres_salted();
        let (server, first) = ServerFirst::with_nonce(
            salted,
            false,
            Binding::Impossible,
            b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO",
            "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0",
        )
        .unwrap();
        assert_eq!(
            first,
            "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
        );
        let last = server.finish(
            b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
              p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
        );
        assert_eq!(last.unwrap().unwrap(), "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
    }

    /// The verifier for "pencil" with the RFC's salt.
    fn postgres_salted() -> Verifier {
        let mut salted = [0; 32];
        let salt = STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
        let iterations = NonZeroU32::new(4096).unwrap();
        ring::pbkdf2::derive(
            ring::pbkdf2::PBKDF2_HMAC_SHA256,
            iterations,
            &salt,
            b"pencil",
            &mut salted,
        );
        let client_key = sign(&salted, "Client Key");
        let stored = digest::digest(&digest::SHA256, client_key.as_ref());
        Verifier {
            iterations,
            salt: STANDARD.encode(salt),
            stored_key: stored.as_ref().try_into().unwrap(),
            server_key: sign(&salted, "Server Key").as_ref().try_into().unwrap(),
        }
    }

    #[test]
    fn what_breaks_the_protocol_is_refused() {
        for bad in [
            &b""[..],
            b"n",
            b"n,,",
            b"n,,n=,r=",
            b"n,,r=abc",
            b"n,,n=x,r=a\x01b",
            b"x,,n=,r=abc",
            b"p=tls-unique,,n=,r=abc",
            b"n,a=other,n=,r=abc",
            b"n,,m=x,n=,r=abc",
            b"\xff,,n=,r=abc",
        ] {
            assert!(
                ServerFirst::new(verifier("x"), false, Binding::Impossible, bad).is_err(),
                "{bad:?}"
            );
        }
        let long = format!("n,,n=,r={}", "a".repeat(MAX_MESSAGE));
        assert!(
            ServerFirst::new(verifier("x"), false, Binding::Impossible, long.as_bytes()).is_err()
        );
        for bad in [
            "",
            "c=biws",
            "c=biws,r=x,p=AA==",
            "c=eSws,r=N,p=AA==",
            "c=biws,r=N,p=AA==",
            "c=biws,r=N,p=!",
        ] {
            let (server, first) =
                ServerFirst::new(verifier("x"), false, Binding::Impossible, b"n,,n=,r=abc")
                    .unwrap();
            let nonce = first.split(',').next().unwrap().trim_start_matches("r=").to_owned();
            assert!(server.finish(bad.replace('N', &nonce).as_bytes()).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_unknown_user_always_has_the_same_salt() {
        let key = hmac::Key::new(hmac::HMAC_SHA256, b"k");
        assert_eq!(pretended_verifier("a", &key).salt, pretended_verifier("a", &key).salt);
        assert_ne!(pretended_verifier("a", &key).salt, pretended_verifier("b", &key).salt);
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(
            first in prop::collection::vec(any::<u8>(), 0..100),
            last in prop::collection::vec(any::<u8>(), 0..100),
        ) {
            let key = hmac::Key::new(hmac::HMAC_SHA256, b"k");
            let _ = ServerFirst::new(pretended_verifier("a", &key), false, Binding::Impossible, &first);
            let (server, _) =
                ServerFirst::new(pretended_verifier("a", &key), false, Binding::Impossible, b"n,,n=,r=abc").unwrap();
            prop_assert!(!matches!(server.finish(&last), Ok(Some(_))));
        }
    }
}
