//! The log of statements, of both doors: every one, or slow ones. Constants are masked and values
//! left out unless `log_params` is set.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use pgwire_proxy::EndedQuery;
use pool_manager::SqlState;
use pool_manager::classify::mask_literals;

use crate::config::LoggingConfig;

/// Longest part of a statement in a log entry, bytes.
const MAX_LOGGED_TEXT: usize = 8 * 1024;

/// Which statements are logged, and how much of them.
#[derive(Debug, Clone, Copy, Default)]
pub struct QueryLog {
    /// Statements from this duration on are slow; `None`: none is.
    slow: Option<Duration>,
    all: bool,
    pub(crate) params: bool,
}

/// A statement, or several that were sent together, as the log has it.
pub(crate) struct Entry<'a> {
    /// Where it came from: `rpc` or `postgresql`.
    pub(crate) door: &'static str,
    pub(crate) database: Option<&'a str>,
    pub(crate) user: Option<&'a str>,
    pub(crate) texts: &'a [Cow<'a, str>],
    /// How many texts there were.
    pub(crate) statements: usize,
    pub(crate) params: Option<&'a str>,
    /// How long it ran; `None`: it never came to that.
    pub(crate) took: Option<Duration>,
    /// How long it waited for a connection before.
    pub(crate) waited: Duration,
    pub(crate) sqlstate: Option<SqlState>,
}

impl QueryLog {
    /// As `logging` says.
    #[must_use]
    pub fn new(config: &LoggingConfig) -> Self {
        let slow = config.slow_query.enabled.then(|| config.slow_query.threshold.get());
        Self { slow, all: config.log_queries, params: config.log_params }
    }

    fn is_slow(&self, took: Option<Duration>) -> bool {
        self.slow.zip(took).is_some_and(|(limit, took)| took >= limit)
    }

    /// Whether one that ran for so long is logged.
    pub(crate) fn wants(&self, took: Option<Duration>) -> bool {
        self.all || self.is_slow(took)
    }

    /// Logs one. Slow is one that ran for long; waiting for a connection before is told, but
    /// blames nobody.
    pub(crate) fn write(&self, entry: &Entry<'_>) {
        let Entry { door, database, user, .. } = *entry;
        let sql = self.sql(entry.texts);
        let params = entry.params.filter(|_| self.params);
        let statements = (entry.statements > 1).then_some(entry.statements);
        let took_us = entry.took.map(micros);
        let wait_us = micros(entry.waited);
        let sqlstate = entry.sqlstate.map(|code| code.to_string());
        if self.is_slow(entry.took) {
            tracing::warn!(
                door,
                database,
                user,
                sql,
                params,
                statements,
                took_us,
                wait_us,
                sqlstate,
                "slow query"
            );
        } else {
            tracing::info!(
                door, database, user, sql, params, statements, took_us, wait_us, sqlstate, "query"
            );
        }
    }

    /// The texts, each masked by itself: what is wrong in one must not unmask another.
    fn sql(&self, texts: &[Cow<'_, str>]) -> String {
        let mut sql = String::new();
        for text in texts {
            if !sql.is_empty() {
                sql.push_str("; ");
            }
            let text = beginning(text, MAX_LOGGED_TEXT.saturating_sub(sql.len()));
            if self.params {
                sql.push_str(text);
            } else {
                sql.push_str(&mask_literals(text));
            }
        }
        sql
    }

    /// The same for the PostgreSQL door.
    #[must_use]
    pub(crate) fn of_proxy(self) -> Option<Arc<pgwire_proxy::QueryLog>> {
        let from = if self.all { Duration::ZERO } else { self.slow? };
        let tell = move |ended: &EndedQuery<'_>| {
            self.write(&Entry {
                door: "postgresql",
                database: Some(ended.database),
                user: Some(ended.user),
                texts: &ended.texts,
                statements: ended.statements,
                params: ended.params,
                took: Some(ended.took),
                waited: ended.waited,
                sqlstate: ended.sqlstate,
            });
        };
        let (with_params, tell) = (self.params, Arc::new(tell));
        Some(Arc::new(pgwire_proxy::QueryLog { from, with_params, tell }))
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// As much of a statement as a log entry holds. A literal that is cut off is masked as a whole.
fn beginning(sql: &str, len: usize) -> &str {
    if sql.len() <= len {
        return sql;
    }
    (0..=len).rev().find_map(|end| sql.get(..end)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_huge_statement_does_not_fill_the_log() {
        let sql = format!("SELECT '{}'", "\u{e9}".repeat(MAX_LOGGED_TEXT));
        assert!(beginning(&sql, MAX_LOGGED_TEXT).len() <= MAX_LOGGED_TEXT);
        assert_eq!(QueryLog::default().sql(&[Cow::Borrowed(&sql)]), "SELECT ?");
        let all = QueryLog { params: true, ..QueryLog::default() };
        let many = vec![Cow::Borrowed(sql.as_str()); 100];
        assert!(all.sql(&many).len() <= MAX_LOGGED_TEXT + 2 * many.len());
        assert_eq!(beginning("SELECT 1", MAX_LOGGED_TEXT), "SELECT 1");
    }

    #[test]
    fn an_open_quote_in_one_text_does_not_unmask_the_next() {
        let texts = ["SELECT 'open".into(), "SELECT 'secret', 1".into()];
        assert_eq!(QueryLog::default().sql(&texts), "SELECT ?; SELECT ?, ?");
    }
}
