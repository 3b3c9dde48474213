//! `auth_query`: users who are not named in the configuration are looked for in the database, on the
//! connection kept for housekeeping. What is found is remembered for a while, and until a proof
//! fails.

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use lru::LruCache;
use pool_manager::{DatabasePool, Error};
use tokio::sync::Semaphore;

use super::AuthMode;
use super::credential::Credential;

/// How long a user is remembered; a role that is dropped can log in for so long.
const REMEMBERED: Duration = Duration::from_secs(300);
/// How long it is remembered that there is nobody by a name.
const NOBODY_REMEMBERED: Duration = Duration::from_secs(1);
/// Users that are remembered.
const CAPACITY: NonZeroUsize = NonZeroUsize::new(1000).unwrap();
/// Look-ups at a time: the connection has other work, too.
const AT_A_TIME: usize = 2;

/// Looks for users in a database.
pub struct UserLookup {
    pool: DatabasePool,
    /// Asks for the user `$1`: name, stored password and, if there is a third column, until when
    /// that is valid.
    query: String,
    remembered: Mutex<LruCache<String, Remembered>>,
    turns: Semaphore,
}

#[derive(Clone)]
struct Remembered {
    credential: Option<Credential>,
    valid_until: Option<SystemTime>,
    until: Instant,
}

impl fmt::Debug for UserLookup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UserLookup").field("pool", &self.pool.name()).finish_non_exhaustive()
    }
}

impl UserLookup {
    /// Looks in `pool`'s database with `query`.
    #[must_use]
    pub fn new(pool: DatabasePool, query: String) -> Self {
        let remembered = Mutex::new(LruCache::new(CAPACITY));
        Self { pool, query, remembered, turns: Semaphore::new(AT_A_TIME) }
    }

    /// The user of that name, as this mode needs it; `None`: there is none who can log in.
    pub(super) async fn find(
        &self,
        user: &str,
        mode: AuthMode,
    ) -> Result<Option<Credential>, Error> {
        if let Some(known) = self.recall(user) {
            return Ok(known.credential_at(SystemTime::now()));
        }
        let _turn = self.turns.acquire().await;
        // Somebody else may have looked meanwhile.
        if let Some(known) = self.recall(user) {
            return Ok(known.credential_at(SystemTime::now()));
        }
        let found = self.pool.stored_password(&self.query, user).await?;
        let valid_until = found.as_ref().and_then(|found| found.valid_until);
        let credential = found.and_then(|found| {
            let stored = Credential::stored(user, &found.password)
                .and_then(|stored| stored.prepared_for(mode, user));
            stored.inspect_err(|error| tracing::warn!("auth_query: {error}")).ok()
        });
        let kept = if credential.is_some() { REMEMBERED } else { NOBODY_REMEMBERED };
        let known = Remembered { credential, valid_until, until: Instant::now() + kept };
        self.remembered().put(user.to_owned(), known.clone());
        Ok(known.credential_at(SystemTime::now()))
    }

    fn recall(&self, user: &str) -> Option<Remembered> {
        let mut remembered = self.remembered();
        remembered.get(user).filter(|known| Instant::now() < known.until).cloned()
    }

    pub(super) fn forget(&self, user: &str) {
        self.remembered().pop(user);
    }

    fn remembered(&self) -> std::sync::MutexGuard<'_, LruCache<String, Remembered>> {
        self.remembered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Remembered {
    fn credential_at(self, now: SystemTime) -> Option<Credential> {
        let is_valid = self.valid_until.is_none_or(|until| now < until);
        self.credential.filter(|_| is_valid)
    }
}
