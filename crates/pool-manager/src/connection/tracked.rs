//! Settings that belong to a relayed client: found out after it has changed them, and put in force
//! on whatever connection it gets next. The server is asked what is in force; nothing is guessed
//! from the client's SQL but which names to ask for.

use std::sync::Arc;

use super::ServerConnection;
use super::execute::{ExecuteError, Execution};
use super::settings::{Change, NamesAndValues, Settings, own_class};
use crate::engine::Parameters;
use crate::values::{Arg, TypeCatalogue};

/// Values of the settings in `$1`. As bytes, so that they come in UTF-8 whatever the session's
/// client_encoding is.
const NAMED_SQL: &str = "SELECT n, \
     pg_catalog.convert_to(pg_catalog.current_setting(n, true), 'UTF8') \
     FROM pg_catalog.unnest($1::pg_catalog.text[]) AS s(n)";

/// Every setting that was made in the session and would outlive a transaction, and those in `$1`.
const SESSION_SQL: &str = "SELECT pg_catalog.lower(name), pg_catalog.convert_to(setting, 'UTF8') \
     FROM pg_catalog.pg_settings WHERE source OPERATOR(pg_catalog.=) 'session' \
     UNION ALL SELECT 'role', pg_catalog.convert_to(role, 'UTF8') \
     FROM pg_catalog.current_setting('role') AS s(role) \
     WHERE role OPERATOR(pg_catalog.<>) 'none' \
     UNION ALL SELECT n, \
     pg_catalog.convert_to(pg_catalog.current_setting(n, true), 'UTF8') \
     FROM pg_catalog.unnest($1::pg_catalog.text[]) AS s(n)";

/// Settings that are none of a session: those of one transaction, of which the server says that the
/// session had set them, and one that cannot be read.
const NOT_OF_THE_SESSION: [&str; 4] =
    ["transaction_isolation", "transaction_read_only", "transaction_deferrable", "seed"];

/// What is to be found out about a session's settings.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SettingsQuestion {
    /// What is in force of these, by lower-case name.
    pub names: Vec<String>,
    /// All others that were made in the session, too; but the server tells nobody which settings
    /// of an application's own (`app.user_id`) there are, so those have to be among `names`.
    pub everything: bool,
}

impl ServerConnection {
    /// Whether `wanted` is in force as it is.
    pub fn has_settings(&self, wanted: &Arc<Settings>) -> bool {
        !self.dirty
            && self.settings.are(wanted)
            && self.link.parameter_changes() == self.settled_changes
    }

    /// Brings the session's settings to exactly `wanted`, outside a transaction: all of it or
    /// nothing. Costs no round trip where the session reports the wanted values already.
    pub(crate) async fn settle_settings(
        &mut self,
        wanted: &Arc<Settings>,
        types: &TypeCatalogue,
    ) -> Result<(), ExecuteError> {
        let mut changes = self.changes_to(wanted);
        // Reported values are believed in, and looked at even where nothing was to be changed: a
        // configuration that was reloaded changes them behind our back.
        if !self.dirty {
            changes.retain(|change| !self.is_in_force(change));
            changes.extend(self.reported_otherwise(wanted));
        }
        let (encoding, rest): (Vec<_>, Vec<_>) =
            changes.into_iter().partition(|(name, _)| name == "client_encoding");
        if !rest.is_empty() {
            // Our text is UTF-8, which the server must know before it reads any of it.
            if !self.is_utf8() && !rest.iter().all(is_ascii) {
                let utf8 = [("client_encoding".to_owned(), Some("UTF8".to_owned()))];
                self.set(&utf8, false, types).await?;
            }
            self.set(&rest, false, types).await?;
        }
        if !encoding.is_empty() {
            self.set(&encoding, false, types).await?;
        }
        self.settings.set(Arc::clone(wanted));
        self.settled_changes = self.link.parameter_changes();
        Ok(())
    }

    /// Finds out what is in force, to be called outside a transaction, and takes it for settings
    /// that were asked for: the next caller gets its own.
    pub(crate) async fn capture_settings(
        &mut self,
        before: &Settings,
        question: &SettingsQuestion,
        types: &TypeCatalogue,
    ) -> Result<Settings, ExecuteError> {
        let own = before.iter().map(|(name, _)| name).filter(|name| is_custom(name));
        let known = question.names.iter().map(String::as_str);
        let (sql, names): (_, Vec<_>) = if question.everything {
            (SESSION_SQL, known.filter(|name| is_custom(name)).chain(own).collect())
        } else {
            (NAMED_SQL, known.collect())
        };
        let names = names.into_iter().map(|name| Arg::Text(name.to_owned())).collect();
        let captured = self.ask(sql, &[Arg::List(names)], types).await?;
        let kept = before.iter().filter(|_| !question.everything);
        let all = kept.map(|(name, value)| (name.to_owned(), value.to_owned())).chain(captured);
        let all = all.filter(|(name, _)| !NOT_OF_THE_SESSION.contains(&name.as_str()));
        let settings = Settings::accepted(all);
        self.settings.set(Arc::new(settings.clone()));
        self.settled_changes = self.link.parameter_changes();
        Ok(settings)
    }

    async fn ask(
        &mut self,
        sql: &str,
        args: &[Arg],
        types: &TypeCatalogue,
    ) -> Result<Vec<(String, String)>, ExecuteError> {
        let class = own_class();
        let what = Execution { sql, args, class: &class, simple: false, types };
        let mut answer = NamesAndValues::default();
        self.extended(&what, &mut answer).await?;
        Ok(answer.0.into_iter().filter_map(|(name, value)| Some((name, value?))).collect())
    }

    fn is_utf8(&self) -> bool {
        let encoding = reported(self.link.parameters(), "client_encoding");
        encoding.is_none_or(|encoding| encoding == "UTF8")
    }

    /// Whether the session reports the value that a change is to bring.
    fn is_in_force(&self, (name, value): &Change) -> bool {
        let now = reported(self.link.parameters(), name);
        let target = value.as_deref().or_else(|| reported(&self.defaults, name));
        matches!((now, target), (Some(now), Some(target)) if is_same(name, now, target))
    }

    /// Settings among `wanted` of which the session reports another value.
    fn reported_otherwise(&self, wanted: &Settings) -> Vec<Change> {
        let differs = |(name, value): &(&str, &str)| {
            self.settings.is(name, value)
                && reported(self.link.parameters(), name)
                    .is_some_and(|now| !is_same(name, now, value))
        };
        let change = |(name, value): (&str, &str)| (name.to_owned(), Some(value.to_owned()));
        wanted.iter().filter(differs).map(change).collect()
    }
}

/// Whether a setting is an application's or extension's own.
fn is_custom(name: &str) -> bool {
    name.contains('.')
}

/// A reported parameter by its lower-case name.
fn reported<'a>(parameters: &'a Parameters, name: &str) -> Option<&'a str> {
    let found = parameters.iter().find(|(reported, _)| reported.eq_ignore_ascii_case(name));
    found.map(|(_, value)| value.as_str())
}

/// Whether two values of a setting are one to the server. In doubt they are not.
fn is_same(name: &str, a: &str, b: &str) -> bool {
    match name {
        "client_encoding" => encoding_name(a) == encoding_name(b),
        _ => a == b,
    }
}

/// PostgreSQL compares letters and digits of encodings only, and knows UTF8 by two more names.
fn encoding_name(text: &str) -> String {
    let letters = text.chars().filter(char::is_ascii_alphanumeric);
    let name: String = letters.map(|c| c.to_ascii_lowercase()).collect();
    if name == "unicode" { "utf8".to_owned() } else { name }
}

fn is_ascii((name, value): &Change) -> bool {
    name.is_ascii() && value.as_ref().is_none_or(|value| value.is_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodings_are_compared_as_postgresql_does() {
        assert!(is_same("client_encoding", "UTF8", "utf-8"));
        assert!(is_same("client_encoding", "Unicode", "UTF8"));
        assert!(!is_same("client_encoding", "LATIN1", "UTF8"));
        assert!(!is_same("timezone", "UTC", "utc"));
    }

    #[test]
    fn parameters_are_found_by_their_lower_case_names() {
        let parameters = Parameters::from([("TimeZone".to_owned(), "UTC".to_owned())]);
        assert_eq!(reported(&parameters, "timezone"), Some("UTC"));
        assert_eq!(reported(&parameters, "time"), None);
    }
}
