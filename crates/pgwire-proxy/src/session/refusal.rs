//! What cannot work in a mode, and is refused instead of doing half of what it promises: state that
//! is to last longer than the client has its connection.

use pool_manager::classify::{
    Classification, SessionNeed, SettingsEffect, TransactionControl, touched_settings,
};
use pool_manager::{ServerError, SqlState, TransactionStatus};

use super::attached::Attached;
use super::{Session, Step};
use crate::database::Mode;

impl Session {
    /// Why a statement cannot run, if it cannot. Only what is certain to be of no use is refused;
    /// what the server refuses by itself is left to it.
    pub(super) fn refusal(&self, class: &Classification, sql: &[u8]) -> Option<ServerError> {
        let mode = self.client.mode;
        if mode == Mode::Session {
            return None;
        }
        let several = class.statements > 1 && class.transaction != TransactionControl::None;
        let begins = matches!(class.transaction, TransactionControl::Begin { .. });
        if mode == Mode::Statement && (begins || several) {
            return Some(no_transactions());
        }
        if mode != Mode::Auto
            && class.settings != SettingsEffect::None
            && let Some(setting) = lasting_setting(class, sql)
        {
            return Some(cannot_follow(setting, mode));
        }
        let need = class.needs_session?;
        let server = self.server.as_deref();
        if need == SessionNeed::SequenceValue && server.is_some_and(Attached::is_in_block) {
            return self.refuse_sequence_value();
        }
        let (what, _) = need.lasting().filter(|_| mode != Mode::Auto)?;
        // Of use at least until the transaction's end, but for two.
        let of_use = class.statements > 1 || server.is_some_and(Attached::may_be_in_transaction);
        if of_use && !matches!(need, SessionNeed::Listen | SessionNeed::HoldCursor) {
            return None;
        }
        let mut error = ServerError::new(
            SqlState::FEATURE_NOT_SUPPORTED,
            format!("{what} cannot work in {} mode: {}", mode.word(), why(mode)),
        );
        error.hint = Some(remedy(need).to_owned());
        Some(error)
    }

    /// In statement mode, a transaction that a text has begun which nobody could see into, such as a
    /// Query of megabytes: the connection is not kept for it, and the client cannot go on.
    pub(super) fn refuse_open_transaction(&mut self) -> Option<Step> {
        let is_open = self.status() != TransactionStatus::Idle;
        if self.client.mode != Mode::Statement || !is_open {
            return None;
        }
        let error = no_transactions();
        self.fatal(error.code, error.message);
        Some(Step::End)
    }

    /// Values that another client's statements left must not be seen.
    fn refuse_sequence_value(&self) -> Option<ServerError> {
        let server = self.server.as_ref()?;
        if !server.connection.has_foreign_sequences(self.client.number) {
            return None;
        }
        let mut error = ServerError::new(
            SqlState::NOT_IN_PREREQUISITE_STATE,
            "lastval is not yet defined in this session",
        );
        error.hint = Some("Use INSERT ... RETURNING.".to_owned());
        Some(error)
    }
}

fn why(mode: Mode) -> &'static str {
    match mode {
        Mode::Statement => "the server connection is given to others after each statement",
        _ => "the server connection is given to others after each transaction",
    }
}

fn remedy(need: SessionNeed) -> &'static str {
    match need {
        SessionNeed::AdvisoryLock => {
            "Use pg_advisory_xact_lock in a transaction, or behavior.mode: auto or session."
        }
        SessionNeed::TempObject => {
            "Create and use it within one transaction, or use behavior.mode: auto or session."
        }
        SessionNeed::Prepare => {
            "Use the driver's own prepared statements, or behavior.mode: auto or session."
        }
        _ => "Use behavior.mode: auto or session, or connect to PostgreSQL itself.",
    }
}

fn no_transactions() -> ServerError {
    let mut error = ServerError::new(
        SqlState::FEATURE_NOT_SUPPORTED,
        "transaction blocks are not allowed in statement mode",
    );
    error.hint = Some("Use behavior.mode: transaction.".to_owned());
    error
}

/// What of a statement's settings cannot follow a client from connection to connection.
pub(super) fn lasting_setting(class: &Classification, sql: &[u8]) -> Option<&'static str> {
    let text = String::from_utf8_lossy(sql);
    let touched = touched_settings(&text);
    let touches = |name: &str| touched.names.iter().any(|touched| touched == name);
    let only_resets = touched.resets && class.statements == 1;
    if touches("session_authorization") && !only_resets {
        Some("SET SESSION AUTHORIZATION")
    } else if touches("standard_conforming_strings") && !(class.statements == 1 && says_on(&text)) {
        Some("standard_conforming_strings other than on")
    } else {
        None
    }
}

fn cannot_follow(what: &str, mode: Mode) -> ServerError {
    let message = format!("{what} cannot work in {} mode", mode.word());
    let mut error = ServerError::new(SqlState::FEATURE_NOT_SUPPORTED, message);
    error.hint = Some("Use behavior.mode: auto or session.".to_owned());
    error
}

/// Whether a SET of a switch turns it on.
fn says_on(sql: &str) -> bool {
    let value = sql.trim_end_matches([';', ' ', '\n', '\r', '\t']);
    let value = value.rsplit([' ', '=', '\t', '\n']).next().unwrap_or_default();
    let value = value.trim_matches('\'').to_ascii_lowercase();
    ["on", "true", "yes", "1", "default"].contains(&value.as_str())
}

/// What PostgreSQL says when there is no unnamed statement.
pub(super) fn no_unnamed_statement() -> ServerError {
    let message = "unnamed prepared statement does not exist";
    ServerError::new(SqlState::INVALID_STATEMENT_NAME, message)
}

/// What PostgreSQL says of statements in a failed transaction.
pub(super) fn in_failed_transaction() -> ServerError {
    ServerError::new(
        SqlState::IN_FAILED_TRANSACTION,
        "current transaction is aborted, commands ignored until end of transaction block",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn switches_are_read_as_far_as_needed() {
        for on in [
            "SET standard_conforming_strings = on;",
            "set standard_conforming_strings to 'on'",
            "SET standard_conforming_strings=true ; ",
        ] {
            assert!(says_on(on), "{on}");
        }
        for off in ["SET standard_conforming_strings = off", "SET standard_conforming_strings TO 0"]
        {
            assert!(!says_on(off), "{off}");
        }
    }
}
