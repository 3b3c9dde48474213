//! Fuzz targets for proofs: what a client says in SCRAM, and what is stored of passwords.

use pool_manager::Secret;

use super::AuthMode;
use super::credential::{BadCredential, Credential};
use super::scram::{self, Binding, ServerFirst};

/// A client's two messages, a line feed between them: without the password no proof is right.
/// `N` stands for the nonce that has to be repeated.
pub fn scram_server(bytes: &[u8]) {
    let at = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
    let (first, last) = bytes.split_at(at);
    let last = last.get(1..).unwrap_or_default();
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, b"fuzz");
    for binding in [Binding::Impossible, Binding::Declined, Binding::To(b"certificate")] {
        let verifier = scram::pretended_verifier("app", &key);
        let Ok((server, reply)) = ServerFirst::new(verifier, false, binding, first) else {
            continue;
        };
        let nonce = reply.split(',').next().unwrap_or_default().trim_start_matches("r=");
        let last: Vec<u8> = last
            .iter()
            .flat_map(
                |byte| if *byte == b'N' { nonce.as_bytes() } else { std::slice::from_ref(byte) },
            )
            .copied()
            .collect();
        assert!(!matches!(server.finish(&last), Ok(Some(_))), "nobody knows the password");
    }
}

/// What may stand in a configuration or in pg_authid; errors show nothing of it.
pub fn stored_password(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes).into_owned();
    let secret = Secret::new(text.as_str());
    match Credential::stored("app", &secret) {
        Ok(credential) => {
            assert_eq!(format!("{credential:?}"), "***");
            let _ = credential.check(AuthMode::ScramSha256, "app");
        }
        // The same words whatever it holds.
        Err(error) => assert_eq!(error, BadCredential::Verifier { user: "app".to_owned() }),
    }
}
