//! `mode: auto`: a client that makes something in its session that cannot be made again on another
//! connection keeps the one that it has, until DISCARD ALL or its end.
//!
//! ```text
//!             LISTEN, CREATE TEMP, PREPARE, pg_advisory_lock(),
//!             DECLARE WITH HOLD, LOAD, SET SESSION AUTHORIZATION
//! shared ───────────────────────────────────────────────────────► pinned
//!        ◄─────────────────────────────────────────────────────── DISCARD ALL
//! ```

use pool_manager::ServerError;
use pool_manager::classify::{Classification, SettingsEffect};

use super::Session;
use super::refusal::lasting_setting;
use crate::database::Mode;

/// Why a client keeps its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Reason {
    /// What for, as users write it.
    what: &'static str,
    /// The same for counters.
    label: &'static str,
}

impl Session {
    /// Keeps the connection that is attached when a statement that is about to run needs that: why
    /// it cannot be kept, if so.
    pub(super) fn pin_for(&mut self, class: &Classification, sql: &[u8]) -> Option<ServerError> {
        if self.client.mode != Mode::Auto {
            return None;
        }
        self.note_sequence_question(class);
        let server = self.server.as_deref_mut()?;
        let reason = reason(class, sql)?;
        // A DISCARD ALL that the server has not come to yet must not end what begins behind it.
        server.pinned_behind = server.owed.iter().filter(|owed| owed.discards_all()).count();
        if server.connection.is_pinned() {
            return None;
        }
        if let Some(error) = self.refuse_to_keep_replica(reason.what) {
            return Some(error);
        }
        let server = self.server.as_deref_mut()?;
        if let Err(error) = server.connection.pin(reason.label) {
            let mut error = error.to_server_error();
            "ERROR".clone_into(&mut error.severity);
            error.hint = Some(format!(
                "{} keeps a server session for its client until DISCARD ALL or its end; raise \
                 pool.max_held, or do without.",
                reason.what
            ));
            return Some(error);
        }
        tracing::info!(
            pool = self.pool().name(),
            reason = reason.label,
            "a client keeps its server connection for {}",
            reason.what
        );
        None
    }
}

/// What of it lasts in the session and cannot be made again elsewhere.
fn reason(class: &Classification, sql: &[u8]) -> Option<Reason> {
    if class.settings != SettingsEffect::None
        && let Some(what) = lasting_setting(class, sql)
    {
        return Some(Reason { what, label: "setting" });
    }
    let (what, label) = class.needs_session?.lasting()?;
    Some(Reason { what, label })
}

#[cfg(test)]
mod tests {
    use pool_manager::classify::{SafeFunctions, classify};

    use super::*;

    fn label(sql: &str) -> Option<&'static str> {
        reason(&classify(sql, &SafeFunctions::default()), sql.as_bytes()).map(|reason| reason.label)
    }

    #[test]
    fn what_lasts_pins() {
        for (sql, expected) in [
            ("LISTEN a", "listen"),
            ("SET a.b = 'x'; LISTEN a", "listen"),
            ("CREATE TEMP TABLE t (a int)", "temporary_object"),
            ("SELECT 1 AS a INTO TEMP t", "temporary_object"),
            ("PREPARE p AS SELECT 1", "prepare"),
            ("SELECT pg_advisory_lock(1)", "advisory_lock"),
            ("SELECT lastval(), pg_try_advisory_lock(1)", "advisory_lock"),
            ("DECLARE c CURSOR WITH HOLD FOR SELECT 1", "hold_cursor"),
            ("LOAD 'plpgsql'", "load"),
            ("SET SESSION AUTHORIZATION nobody", "setting"),
            ("SET standard_conforming_strings = off", "setting"),
            ("BEGIN; CREATE TEMP TABLE t (a int); COMMIT", "temporary_object"),
        ] {
            assert_eq!(label(sql), Some(expected), "{sql}");
        }
    }

    #[test]
    fn what_follows_the_client_does_not() {
        for sql in [
            "SELECT 1",
            "INSERT INTO t VALUES (1)",
            "SET search_path = a",
            "SET ROLE nobody",
            "RESET SESSION AUTHORIZATION",
            "SET standard_conforming_strings = on",
            "SELECT set_config('a.b', 'c', false)",
            "SELECT lastval()",
            "SELECT pg_advisory_xact_lock(1)",
            "SELECT pg_advisory_unlock(1)",
            "SELECT pg_advisory_unlock_all(); CLOSE ALL; UNLISTEN *; RESET ALL",
            "DECLARE c CURSOR FOR SELECT 1",
            "NOTIFY a",
            "UNLISTEN *",
            "DISCARD ALL",
            "DEALLOCATE ALL",
            "CREATE TABLE t (a int)",
        ] {
            assert_eq!(label(sql), None, "{sql}");
        }
    }
}
