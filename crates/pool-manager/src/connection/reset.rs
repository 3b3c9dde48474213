//! Making a session as new for the next caller, without losing its prepared statements.

use std::time::Duration;

use tokio::time::timeout;

use super::ServerConnection;

/// What DISCARD ALL does, but for DEALLOCATE ALL and DISCARD PLANS: they would drop the
/// statements that we keep. One round trip.
const RESET_SQL: &str = "CLOSE ALL; RESET SESSION AUTHORIZATION; RESET ROLE; RESET ALL; \
     UNLISTEN *; SELECT pg_catalog.pg_advisory_unlock_all(); DISCARD TEMP; DISCARD SEQUENCES";

/// How long a reset may take before the connection is given up.
const RESET_TIMEOUT: Duration = Duration::from_secs(5);

impl ServerConnection {
    /// Resets the session. `false`: it could not be cleaned and has to be closed.
    pub(crate) async fn reset(&mut self) -> bool {
        let done = timeout(RESET_TIMEOUT, self.command(RESET_SQL)).await;
        if !matches!(done, Ok(Ok(_))) || !self.is_quiet() {
            return false;
        }
        self.settings.clear();
        self.dirty = false;
        self.sequences_used = false;
        true
    }
}
