//! What is known of a user's password: itself, an MD5 hash or a SCRAM verifier.

use std::fmt;
use std::num::NonZeroU32;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use pool_manager::Secret;
use postgres_protocol::password;

use super::AuthMode;

/// Most iterations that a verifier may ask clients for; PostgreSQL's default is 4096.
const MAX_ITERATIONS: u32 = 1_000_000;
/// Longest salt of a verifier, bytes; PostgreSQL's own have 16.
const MAX_SALT: usize = 64;

/// A password in one of the forms in which it may be stored.
#[derive(Clone, PartialEq, Eq)]
pub struct Credential(Form);

#[derive(Clone, PartialEq, Eq)]
pub(super) enum Form {
    /// The password itself.
    Plain(Secret),
    /// MD5 of password and user name, as 32 hexadecimal digits.
    Md5(String),
    /// What SCRAM-SHA-256 needs to know.
    Scram(Verifier),
}

/// A SCRAM-SHA-256 verifier, as `pg_authid.rolpassword` holds it.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Verifier {
    pub(super) iterations: NonZeroU32,
    /// In base64, as it is sent.
    pub(super) salt: String,
    pub(super) stored_key: [u8; 32],
    pub(super) server_key: [u8; 32],
}

/// Why a stored password cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadCredential {
    /// It begins like a verifier and is none.
    #[error(
        "user {user:?}: not a SCRAM-SHA-256 verifier; copy it whole from pg_authid.rolpassword: \
         SCRAM-SHA-256$4096:salt$StoredKey:ServerKey"
    )]
    Verifier {
        /// Whose it is.
        user: String,
    },
    /// An MD5 hash where another form is needed.
    #[error(
        "user {user:?}: an MD5 hash serves auth_mode md5 and password only; store the password or \
         a SCRAM verifier"
    )]
    Md5 {
        /// Whose it is.
        user: String,
    },
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl Credential {
    /// A password in clear text.
    pub fn plain(password: Secret) -> Self {
        Self(Form::Plain(password))
    }

    /// Reads a stored password as PostgreSQL does: `SCRAM-SHA-256$…` is a verifier, `md5` and 32
    /// hexadecimal digits a hash, anything else the password itself.
    ///
    /// # Errors
    /// A damaged verifier, which would otherwise be taken for a password.
    pub fn stored(user: &str, text: &Secret) -> Result<Self, BadCredential> {
        let stored = text.expose();
        if let Some(verifier) = stored.strip_prefix("SCRAM-SHA-256$") {
            let verifier = Verifier::parse(verifier)
                .ok_or_else(|| BadCredential::Verifier { user: user.to_owned() })?;
            return Ok(Self(Form::Scram(verifier)));
        }
        Ok(Self(match stored.strip_prefix("md5").and_then(hexadecimal) {
            Some(hash) => Form::Md5(hash),
            None => Form::Plain(text.clone()),
        }))
    }

    pub(super) fn form(&self) -> &Form {
        &self.0
    }

    /// Whether it can be used in this mode.
    ///
    /// # Errors
    /// It cannot, and why.
    pub fn check(&self, mode: AuthMode, user: &str) -> Result<(), BadCredential> {
        match (mode, &self.0) {
            (AuthMode::ScramSha256, Form::Md5(_)) => {
                Err(BadCredential::Md5 { user: user.to_owned() })
            }
            _ => Ok(()),
        }
    }

    /// The form that this mode compares with.
    pub(super) fn prepared_for(self, mode: AuthMode, user: &str) -> Result<Self, BadCredential> {
        self.check(mode, user)?;
        let form = match (mode, self.0) {
            (AuthMode::ScramSha256, Form::Plain(password)) => {
                let stored = password::scram_sha_256(password.expose().as_bytes());
                return Self::stored(user, &Secret::new(stored));
            }
            (AuthMode::Md5, Form::Plain(password)) => {
                let stored = password::md5(password.expose().as_bytes(), user);
                Form::Md5(stored.trim_start_matches("md5").to_owned())
            }
            (_, form) => form,
        };
        Ok(Self(form))
    }
}

fn hexadecimal(text: &str) -> Option<String> {
    let valid = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    valid.then(|| text.to_ascii_lowercase())
}

impl Verifier {
    /// Reads `iterations:salt$StoredKey:ServerKey`.
    fn parse(text: &str) -> Option<Self> {
        let (parameters, keys) = text.split_once('$')?;
        let (iterations, salt) = parameters.split_once(':')?;
        let (stored, server) = keys.split_once(':')?;
        let iterations =
            iterations.parse().ok().filter(|n: &NonZeroU32| n.get() <= MAX_ITERATIONS)?;
        let salt_bytes = STANDARD.decode(salt).ok()?;
        let key = |text: &str| STANDARD.decode(text).ok()?.try_into().ok();
        (1..=MAX_SALT).contains(&salt_bytes.len()).then_some(())?;
        let (stored_key, server_key) = (key(stored)?, key(server)?);
        Some(Self { iterations, salt: salt.to_owned(), stored_key, server_key })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(text: &str) -> Result<Credential, BadCredential> {
        Credential::stored("app", &Secret::new(text))
    }

    #[test]
    fn stored_forms_are_told_apart() {
        let verifier = password::scram_sha_256(b"secret");
        assert!(matches!(stored(&verifier).unwrap().form(), Form::Scram(_)));
        let md5 = password::md5(b"secret", "app");
        assert!(matches!(stored(&md5).unwrap().form(), Form::Md5(hash) if hash.len() == 32));
        for plain in ["secret", "md5", "md5secret", "SCRAM"] {
            assert!(matches!(stored(plain).unwrap().form(), Form::Plain(_)), "{plain}");
        }
    }

    #[test]
    fn damaged_verifiers_are_refused_without_being_shown() {
        let good = password::scram_sha_256(b"secret");
        let cut = good.get(..good.len() - 6).unwrap();
        let endless = good.replace("$4096:", "$4294967295:");
        let none = good.replace("$4096:", "$0:");
        for bad in [cut, &endless, &none, "SCRAM-SHA-256$", "SCRAM-SHA-256$4096:$:"] {
            let error = stored(bad).unwrap_err();
            assert_eq!(error, BadCredential::Verifier { user: "app".to_owned() });
        }
        let shown = stored(cut).unwrap_err().to_string();
        assert!(!cut.split(['$', ':']).skip(2).any(|secret| shown.contains(secret)), "{shown}");
        assert_eq!(format!("{:?}", stored("secret").unwrap()), "***");
    }

    #[test]
    fn a_hash_cannot_become_a_verifier() {
        let md5 = stored(&password::md5(b"secret", "app")).unwrap();
        assert!(md5.clone().prepared_for(AuthMode::ScramSha256, "app").is_err());
        assert!(md5.prepared_for(AuthMode::Password, "app").is_ok());
        let plain = stored("secret").unwrap().prepared_for(AuthMode::ScramSha256, "app").unwrap();
        assert!(matches!(plain.form(), Form::Scram(_)));
    }
}
