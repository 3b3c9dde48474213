//! Making a session as new for the next caller, without losing its prepared statements.

use std::time::Duration;

use tokio::time::timeout;

use super::{SequenceUse, ServerConnection};

/// What DISCARD ALL does, but for DEALLOCATE ALL and DISCARD PLANS: they would drop the
/// statements that we keep. One that a text of SQL has prepared, unseen in some function, has no
/// place among those: it makes the reset fail. One round trip.
const RESET_SQL: &str = "CLOSE ALL; RESET SESSION AUTHORIZATION; RESET ROLE; RESET ALL; \
     UNLISTEN *; SELECT pg_catalog.pg_advisory_unlock_all(); DISCARD TEMP; DISCARD SEQUENCES; \
     SELECT 1 OPERATOR(pg_catalog./) (from_sql IS NULL)::pg_catalog.int4 \
     FROM pg_catalog.pg_prepared_statements WHERE from_sql";

/// The same for a session whose client has named prepared statements itself.
const DISCARD_ALL: &str = "DISCARD ALL";

/// How long a reset may take before the connection is given up.
const RESET_TIMEOUT: Duration = Duration::from_secs(5);

impl ServerConnection {
    /// Resets the session. `false`: it could not be cleaned and has to be closed.
    pub(crate) async fn reset(&mut self) -> bool {
        let sql = if self.dedicated { DISCARD_ALL } else { RESET_SQL };
        let done = timeout(RESET_TIMEOUT, self.command(sql)).await;
        if !matches!(done, Ok(Ok(_))) || !self.is_quiet() {
            return false;
        }
        self.settings.clear();
        self.settled_changes = self.link.parameter_changes();
        self.dirty = false;
        self.dedicated = false;
        self.sequences = SequenceUse::None;
        true
    }
}
