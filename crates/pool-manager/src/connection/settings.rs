//! Session settings that callers ask for: checked, applied, tracked and restored.
//!
//! Settings outside a transaction are tracked, not dirt: they stay until a caller wants other
//! ones, and a call that wants what is already in force pays nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::ServerConnection;
use super::execute::{ExecuteError, Execution, ResultSink, SinkError};
use crate::classify::{Classification, SafeFunctions, classify};
use crate::engine::TransactionStatus;
use crate::values::{Arg, Columns, TypeCatalogue};

/// Most settings a caller may give at once.
const MAX_SETTINGS: usize = 64;
/// Longest name, bytes.
const MAX_NAME: usize = 128;
/// Longest value, bytes.
const MAX_VALUE: usize = 16 * 1024;

/// Sets each `$1` to its `$2` (NULL: its default), with `$3` until the end of the transaction only,
/// and answers what it was before.
pub(super) const SET_SQL: &str = "SELECT n, pg_catalog.current_setting(n, true), \
     pg_catalog.set_config(n, v, $3::pg_catalog.bool) \
     FROM ROWS FROM (pg_catalog.unnest($1::pg_catalog.text[]), \
     pg_catalog.unnest($2::pg_catalog.text[])) AS s(n, v)";

/// Settings asked for by a caller, by lower-case name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Settings(BTreeMap<String, String>);

/// Why a setting is refused.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum SettingError {
    /// Not a parameter name.
    #[error("settings: {0:?} is not a parameter name")]
    Name(String),
    /// A parameter that would break the pool.
    #[error("settings: {name} cannot be set here: {reason}")]
    Refused {
        /// The parameter.
        name: String,
        /// What it would break, and what to do.
        reason: &'static str,
    },
    /// Too many, or too long.
    #[error("settings: at most {MAX_SETTINGS} of at most {MAX_VALUE} bytes each")]
    TooLarge,
    /// A value with a NUL byte.
    #[error("settings: the value of {0} contains a NUL byte")]
    Nul(String),
}

impl Settings {
    /// Checks names and values. Names are folded to lower case, as PostgreSQL compares them.
    pub fn new(pairs: impl IntoIterator<Item = (String, String)>) -> Result<Self, SettingError> {
        let mut settings = BTreeMap::new();
        for (name, value) in pairs {
            let name = check_name(&name)?;
            if value.len() > MAX_VALUE || settings.len() >= MAX_SETTINGS {
                return Err(SettingError::TooLarge);
            }
            if value.contains('\0') {
                return Err(SettingError::Nul(name));
            }
            settings.insert(name, value);
        }
        Ok(Self(settings))
    }

    /// No settings.
    pub(crate) const fn none() -> Self {
        Self(BTreeMap::new())
    }

    /// What a client of the PostgreSQL door has in force, by lower-case name: the server has
    /// accepted it, so nothing is refused here.
    pub fn accepted(pairs: impl IntoIterator<Item = (String, String)>) -> Self {
        Self(pairs.into_iter().collect())
    }

    /// Whether nothing is asked for.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The value of a setting.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// Names and values, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

fn check_name(name: &str) -> Result<String, SettingError> {
    let valid = name.len() <= MAX_NAME
        && name.split('.').count() <= 2
        && name.split('.').all(|part| {
            let mut chars = part.chars();
            chars.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
                && chars.all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '$')
        });
    if !valid {
        let shown: String = name.chars().take(64).collect();
        return Err(SettingError::Name(shown));
    }
    let name = name.to_ascii_lowercase();
    let reason = match name.as_str() {
        "client_encoding" => "replies are always UTF-8",
        "role" | "session_authorization" => {
            "it would outlive the call; use a database entry with that user"
        }
        "transaction_isolation" | "transaction_read_only" | "transaction_deferrable" => {
            "it belongs to one transaction; give it to TransactionBegin"
        }
        "standard_conforming_strings" => "statements would be read differently than they are here",
        _ => return Ok(name),
    };
    Err(SettingError::Refused { name, reason })
}

/// Settings of ours that are in force on a connection.
#[derive(Debug)]
pub(crate) struct AppliedSettings(Arc<Settings>);

impl Default for AppliedSettings {
    fn default() -> Self {
        Self(Arc::new(Settings::none()))
    }
}

impl AppliedSettings {
    /// The search path that was asked for, `None` for the session's default.
    pub(super) fn search_path(&self) -> Option<&str> {
        self.0.get("search_path")
    }

    /// Whether exactly these are in force; a comparison of pointers where callers share them.
    pub(super) fn are(&self, wanted: &Arc<Settings>) -> bool {
        Arc::ptr_eq(&self.0, wanted) || self.0 == *wanted
    }

    /// Whether this setting was asked for with this value.
    pub(super) fn is(&self, name: &str, value: &str) -> bool {
        self.0.get(name) == Some(value)
    }

    /// Notes what is in force now.
    pub(super) fn set(&mut self, applied: Arc<Settings>) {
        self.0 = applied;
    }

    /// Forgets everything: the session was reset.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    fn set_search_path(&mut self, path: Option<String>) {
        let settings = Arc::make_mut(&mut self.0);
        match path {
            Some(path) => settings.0.insert("search_path".to_owned(), path),
            None => settings.0.remove("search_path"),
        };
    }

    /// What has to be set (or with `None` put back to its default) to reach `wanted`.
    fn difference(&self, wanted: &Settings) -> Vec<Change> {
        let mut changes = self.everything(wanted);
        changes.retain(|(name, value)| value.is_none() || self.0.get(name) != value.as_deref());
        changes
    }

    /// The same without belief in what was in force.
    fn everything(&self, wanted: &Settings) -> Vec<Change> {
        let gone = self.0.iter().filter(|(name, _)| wanted.get(name).is_none());
        gone.map(|(name, _)| (name.to_owned(), None))
            .chain(wanted.iter().map(|(name, value)| (name.to_owned(), Some(value.to_owned()))))
            .collect()
    }
}

/// A setting's name and its value; `None` stands for its default.
pub(super) type Change = (String, Option<String>);

/// Values to put back after a call inside a transaction or session.
pub(crate) struct Restore {
    values: Vec<Change>,
    search_path: Option<String>,
    /// Set for the transaction only, like SET LOCAL.
    local: bool,
}

impl ServerConnection {
    /// Brings the session's settings to exactly `wanted`. To be called outside a transaction.
    /// All of it or nothing: an invalid value leaves what was in force.
    pub(crate) async fn apply_settings(
        &mut self,
        wanted: &Settings,
        types: &TypeCatalogue,
    ) -> Result<(), ExecuteError> {
        if *self.settings.0 == *wanted && !self.dirty {
            return Ok(());
        }
        let changes = self.changes_to(wanted);
        if changes.is_empty() {
            return Ok(());
        }
        self.set(&changes, false, types).await?;
        self.settings.set(Arc::new(wanted.clone()));
        Ok(())
    }

    /// What has to be set to reach `wanted`. A session that was changed and not reset
    /// (`reset_on_return: false`) is taken for nothing.
    pub(super) fn changes_to(&self, wanted: &Settings) -> Vec<Change> {
        if self.dirty { self.settings.everything(wanted) } else { self.settings.difference(wanted) }
    }

    /// Applies `wanted` on top of what is in force, inside a transaction or session, and
    /// returns what is to be handed to [`restore_settings`](Self::restore_settings).
    pub(crate) async fn push_settings(
        &mut self,
        wanted: &Settings,
        types: &TypeCatalogue,
    ) -> Result<Option<Restore>, ExecuteError> {
        if wanted.is_empty() {
            return Ok(None);
        }
        let changes: Vec<_> =
            wanted.0.iter().map(|(name, value)| (name.clone(), Some(value.clone()))).collect();
        // A setting of the session would outlive a SET LOCAL that it is put back to, and come back
        // with the rollback of a transaction that a COMMIT in between has begun.
        let local = self.link.status() == TransactionStatus::InTransaction;
        let values = self.set(&changes, local, types).await?;
        let search_path = self.settings.search_path().map(str::to_owned);
        if let Some(path) = wanted.get("search_path") {
            self.settings.set_search_path(Some(path.to_owned()));
        }
        Ok(Some(Restore { values, search_path, local }))
    }

    /// Puts settings back. In a failed transaction there is nothing to do: its rollback does it.
    /// Nor after the end of the transaction that they were set for, which `transaction_ended` tells
    /// (another one may have begun).
    pub(crate) async fn restore_settings(
        &mut self,
        restore: Restore,
        transaction_ended: bool,
        types: &TypeCatalogue,
    ) -> Result<(), ExecuteError> {
        self.settings.set_search_path(restore.search_path);
        let status = self.link.status();
        let is_gone =
            restore.local && (transaction_ended || status != TransactionStatus::InTransaction);
        if is_gone || status == TransactionStatus::Failed {
            return Ok(());
        }
        self.set(&restore.values, restore.local, types).await.map(drop)
    }

    pub(super) async fn set(
        &mut self,
        changes: &[Change],
        local: bool,
        types: &TypeCatalogue,
    ) -> Result<Vec<Change>, ExecuteError> {
        let names = changes.iter().map(|(name, _)| Arg::Text(name.clone())).collect();
        let values =
            changes.iter().map(|(_, value)| value.clone().map_or(Arg::Null, Arg::Text)).collect();
        let args = [Arg::List(names), Arg::List(values), Arg::Bool(local)];
        let class = own_class();
        let what = Execution { sql: SET_SQL, args: &args, class: &class, simple: false, types };
        let mut before = NamesAndValues::default();
        self.extended(&what, &mut before).await?;
        Ok(before.0)
    }
}

/// The classification of statements of our own, as one worth keeping prepared.
pub(super) fn own_class() -> Classification {
    let mut class = classify("SELECT 1", &SafeFunctions::default());
    class.cacheable = true;
    class
}

/// Collects a setting's name and its value from each row.
#[derive(Default)]
pub(super) struct NamesAndValues(pub(super) Vec<Change>);

impl ResultSink for NamesAndValues {
    fn begin(&mut self, _: &Arc<Columns>) -> Result<(), SinkError> {
        self.0.clear();
        Ok(())
    }

    fn row(&mut self, columns: &Columns, body: &[u8]) -> Result<(), SinkError> {
        let row = crate::values::Row::new(columns, body)?;
        let text = |index| {
            let bytes = row.bytes(index)?;
            Some(String::from_utf8_lossy(bytes).into_owned())
        };
        self.0.push((text(0).unwrap_or_default(), text(1)));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(pairs: &[(&str, &str)]) -> Settings {
        let pairs = pairs.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned()));
        Settings::new(pairs).unwrap()
    }

    #[test]
    fn names_are_checked() {
        assert!(Settings::new([("app.user_id".to_owned(), "7".to_owned())]).is_ok());
        for bad in ["", "a b", "a;b", "a.b.c", "1a", "a.", "\"a\"", "é"] {
            let result = Settings::new([(bad.to_owned(), String::new())]);
            assert!(matches!(result, Err(SettingError::Name(_))), "{bad}");
        }
        for refused in ["ROLE", "client_encoding", "Session_Authorization", "transaction_read_only"]
        {
            let result = Settings::new([(refused.to_owned(), String::new())]);
            assert!(matches!(result, Err(SettingError::Refused { .. })), "{refused}");
        }
    }

    #[test]
    fn the_difference_sets_what_changed_and_resets_what_is_gone() {
        let applied = AppliedSettings(Arc::new(settings(&[("a", "1"), ("b", "2")])));
        let difference = applied.difference(&settings(&[("B", "3"), ("c", "4")]));
        assert_eq!(
            difference,
            [
                ("a".to_owned(), None),
                ("b".to_owned(), Some("3".to_owned())),
                ("c".to_owned(), Some("4".to_owned())),
            ]
        );
    }
}
