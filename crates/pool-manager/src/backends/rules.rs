//! Patterns and comments that decide about a statement before anything looks at it.

use regex::{RegexSet, RegexSetBuilder};

/// Most memory for one list of compiled patterns, bytes.
const MAX_COMPILED: usize = 10 << 20;
/// Texts longer than this are not matched: they go to the primary.
const MAX_MATCHED: usize = 64 * 1024;

/// Which statements are reads or writes whatever they look like.
#[derive(Debug, Clone, Default)]
pub struct RoutingRules {
    reads: RegexSet,
    writes: RegexSet,
}

/// A pattern that is no regular expression.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct BadPattern(regex::Error);

impl RoutingRules {
    /// Compiles the patterns, which match anywhere in a text, in any case of letters.
    ///
    /// # Errors
    /// One of them is no regular expression, or too large.
    pub fn new(reads: &[String], writes: &[String]) -> Result<Self, BadPattern> {
        let compile = |patterns: &[String]| {
            RegexSetBuilder::new(patterns)
                .case_insensitive(true)
                .size_limit(MAX_COMPILED)
                .build()
                .map_err(BadPattern)
        };
        Ok(Self { reads: compile(reads)?, writes: compile(writes)? })
    }

    /// Whether it is a read, if the rules say so: what is written in front of it, then the patterns,
    /// those of writes first.
    pub(super) fn decide(&self, sql: &str) -> Option<bool> {
        let route = hints(sql).find(|word| ["primary", "replica"].contains(word));
        if let Some(route) = route {
            return Some(route == "replica");
        }
        if self.reads.is_empty() && self.writes.is_empty() {
            return None;
        }
        if sql.len() > MAX_MATCHED || self.writes.is_match(sql) {
            return Some(false);
        }
        self.reads.is_match(sql).then_some(true)
    }
}

/// Whether a SHOW asks if this is a replica: drivers do, and mean whoever takes their writes.
pub(super) fn asks_for_role(sql: &str) -> bool {
    let word = |word: &str| {
        let word = word.trim_end_matches(';');
        ["transaction_read_only", "in_hot_standby"]
            .iter()
            .any(|name| word.eq_ignore_ascii_case(name))
    };
    sql.split_ascii_whitespace().any(word)
}

/// Whether a text asks for an answer from memory: `/* pgpool:cache */`.
pub fn wants_cache(sql: &str) -> bool {
    hints(sql).any(|word| word == "cache")
}

/// The words in comments `/* pgpool:word */` at the begin of a text.
fn hints(mut sql: &str) -> impl Iterator<Item = &str> {
    let comments = std::iter::from_fn(move || {
        let comment = sql.trim_start().strip_prefix("/*")?;
        let (comment, rest) = comment.split_once("*/")?;
        sql = rest;
        Some(comment.trim())
    });
    comments.filter_map(|comment| comment.strip_prefix("pgpool:")).map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(reads: &[&str], writes: &[&str]) -> RoutingRules {
        let owned =
            |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        RoutingRules::new(&owned(reads), &owned(writes)).unwrap()
    }

    #[test]
    fn comments_then_writes_then_reads() {
        let rules = rules(&["^select app_", "from report"], &["app_write", "^CALL"]);
        for (sql, expected) in [
            ("SELECT app_read(1)", Some(true)),
            ("SELECT app_write(1)", Some(false)),
            ("call x()", Some(false)),
            ("SELECT * FROM report", Some(true)),
            ("SELECT 1", None),
            ("/* pgpool:primary */ SELECT * FROM report", Some(false)),
            ("  /*pgpool: replica*/ SELECT app_write(1)", Some(true)),
            ("/* other */ SELECT 1", None),
            ("/* pgpool:primary SELECT 1", None),
            ("/* a */ /* pgpool:cache */\n/* pgpool:replica */ SELECT app_write(1)", Some(true)),
            ("SELECT 1 /* pgpool:replica */", None),
        ] {
            assert_eq!(rules.decide(sql), expected, "{sql}");
        }
        assert_eq!(rules.decide(&format!("SELECT 1 -- {}", "x".repeat(MAX_MATCHED))), Some(false));
        assert_eq!(RoutingRules::default().decide("SELECT 1"), None);
    }

    #[test]
    fn questions_for_the_role_are_told_from_others() {
        assert!(
            asks_for_role("SHOW TRANSACTION_READ_ONLY") && asks_for_role("show in_hot_standby;")
        );
        assert!(!asks_for_role("SHOW default_transaction_read_only"));
    }

    #[test]
    fn comments_ask_for_the_cache() {
        assert!(wants_cache(" /* pgpool:replica *//* pgpool:cache */ SELECT 1"));
        assert!(!wants_cache("/* pgpool:cached */ SELECT 1") && !wants_cache("SELECT 1"));
    }

    #[test]
    fn patterns_are_bounded() {
        let bad = |text: &str| RoutingRules::new(&[text.to_owned()], &[]).is_err();
        assert!(bad("(") && bad("(a{1000}){1000}"));
    }
}
