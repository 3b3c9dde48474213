//! What a server knows of a user.

use std::time::SystemTime;

use crate::secret::Secret;

/// A password as a server stores it.
#[derive(Debug, Clone)]
pub struct StoredPassword {
    /// A SCRAM verifier, an MD5 hash or, in a table of somebody's own, the password itself.
    pub password: Secret,
    /// Until when it is valid (VALID UNTIL).
    pub valid_until: Option<SystemTime>,
}
