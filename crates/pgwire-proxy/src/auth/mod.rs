//! How clients prove who they are: what is asked of a user, and whether the answer is right. It
//! moves no bytes over sockets and knows no databases.
//!
//! An unknown user is asked the same questions as a known one and takes as long to be turned away,
//! so that nobody learns who exists.

mod credential;
mod exchange;
mod scram;

use std::collections::HashMap;
use std::sync::Arc;

pub use credential::{BadCredential, Credential};
pub(crate) use exchange::{Exchange, MAX_ANSWER, Step};

/// How clients prove who they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthMode {
    /// Not at all: any name will do.
    None,
    /// By a name that is known.
    Trust,
    /// By the password in clear text.
    Password,
    /// By MD5 of the password; users with a SCRAM verifier are asked by SCRAM.
    Md5,
    /// By SCRAM-SHA-256.
    ScramSha256,
    /// By a TLS certificate in the user's name, which whoever moves the bytes has verified.
    Cert,
}

impl AuthMode {
    /// Whether anybody who can connect gets in, knowing a name at most.
    #[must_use]
    pub fn lets_anybody_in(self) -> bool {
        matches!(self, Self::None | Self::Trust)
    }
}

/// The users of one database, and how they prove it.
#[derive(Debug, Clone)]
pub struct Users {
    mode: AuthMode,
    known: HashMap<String, Credential>,
    pretence: Pretence,
}

/// What unknown users are compared with.
#[derive(Debug, Clone)]
struct Pretence {
    /// Makes up the same salt for a name each time, as a stored verifier has.
    key: ring::hmac::Key,
    /// Some known user's password takes SCRAM's thousands of hashes to be compared.
    slow: bool,
}

impl Pretence {
    fn verifier(&self, user: &str) -> credential::Verifier {
        scram::pretended_verifier(user, &self.key)
    }
}

impl Users {
    /// Users by name; passwords in clear text are turned into what `mode` needs, which takes a few
    /// milliseconds each.
    ///
    /// # Errors
    /// A stored form of a password that cannot be used in this mode, with the user's name.
    pub fn new(
        mode: AuthMode,
        users: impl IntoIterator<Item = (String, Credential)>,
    ) -> Result<Self, BadCredential> {
        let prepare = |(name, credential): (String, Credential)| {
            let prepared = credential.prepared_for(mode, &name)?;
            Ok((name, prepared))
        };
        let known = users.into_iter().map(prepare).collect::<Result<HashMap<_, _>, _>>()?;
        let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, &rand::random::<[u8; 32]>());
        let slow = known.values().any(|known| matches!(known.form(), credential::Form::Scram(_)));
        Ok(Self { mode, known, pretence: Pretence { key, slow } })
    }

    /// How users prove who they are.
    #[must_use]
    pub fn mode(&self) -> AuthMode {
        self.mode
    }

    /// Begins to find out whether a client is the user that it says it is. `binding` is what a
    /// proof can be bound to.
    pub(crate) fn begin(&self, user: &str, binding: Option<Arc<[u8]>>) -> Exchange {
        Exchange::new(self.mode, user, self.known.get(user), &self.pretence, binding)
    }
}

#[cfg(test)]
mod tests;
