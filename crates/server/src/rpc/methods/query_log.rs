//! The log of statements: every one, or slow ones.

use std::fmt;
use std::time::Duration;

use pool_manager::classify::mask_literals;
use pool_manager::values::Arg;
use pool_manager::{Error, Statement};

use crate::rpc::service::Context;

/// Longest part of a statement in a log entry, bytes.
const MAX_LOGGED_TEXT: usize = 8 * 1024;

/// Logs a statement when that is wanted: every one, or slow ones. A slow one is one that ran for
/// long; waiting for a connection before is told, but blames nobody. Literals are masked and
/// arguments left out unless `log_params` is set.
pub(super) fn log(
    context: &Context<'_>,
    statement: &Statement<'_>,
    total: Duration,
    took: Option<Duration>,
    error: Option<&Error>,
) {
    let options = &context.live.options;
    let slow = options.slow_query.zip(took).is_some_and(|(limit, took)| took >= limit);
    if !slow && !options.log_queries {
        return;
    }
    let start = beginning(statement.sql);
    let sql = if options.log_params { start.to_owned() } else { mask_literals(start) };
    let params = options.log_params.then(|| tracing::field::debug(ShownArgs(statement.args)));
    let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
    let took_us = took.map(micros);
    let wait_us = micros(total.saturating_sub(took.unwrap_or_default()));
    let sqlstate = error.map(|error| error.sqlstate().to_string());
    if slow {
        tracing::warn!(sql, params, took_us, wait_us, sqlstate, "slow query");
    } else {
        tracing::info!(sql, params, took_us, wait_us, sqlstate, "query");
    }
}

/// As much of a statement as a log entry holds. A literal that is cut off is masked as a whole.
fn beginning(sql: &str) -> &str {
    if sql.len() <= MAX_LOGGED_TEXT {
        return sql;
    }
    (0..=MAX_LOGGED_TEXT).rev().find_map(|end| sql.get(..end)).unwrap_or_default()
}

/// Arguments with their values, for `log_params`.
struct ShownArgs<'a>(&'a [Arg]);

impl fmt::Debug for ShownArgs<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(Arg::shown)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_huge_statement_does_not_fill_the_log() {
        let sql = format!("SELECT '{}'", "\u{e9}".repeat(MAX_LOGGED_TEXT));
        assert!(beginning(&sql).len() <= MAX_LOGGED_TEXT);
        assert_eq!(mask_literals(beginning(&sql)), "SELECT ?");
        assert_eq!(beginning("SELECT 1"), "SELECT 1");
    }
}
