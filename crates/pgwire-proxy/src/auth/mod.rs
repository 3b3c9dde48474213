//! How clients prove who they are: what is asked of a user, and whether the answer is right. It
//! moves no bytes over sockets and knows no databases.
//!
//! An unknown user is asked the same questions as a known one and takes as long to be turned away,
//! so that nobody learns who exists.

mod credential;
mod exchange;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzz;
mod lookup;
mod scram;
mod users;

pub use credential::{BadCredential, Credential};
pub(crate) use exchange::{Exchange, MAX_ANSWER, Step};
pub use lookup::UserLookup;
pub(crate) use scram::same;
pub(crate) use users::{Claim, UserRules};
pub use users::{User, Users};

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

#[cfg(test)]
mod tests;
