//! Answers of Execute from the result cache: which statements may have one, and for how long.

use std::time::Duration;

use pool_manager::{CacheUse, CommandTag, DatabasePool, Error, PRIMARY, ResultSink, SqlState};
use pool_manager::{Statement, wants_cache};

use super::request;
use crate::rpc::service::Context;

/// Longest time that a request may ask for, milliseconds: a day.
const MAX_TTL: i64 = 24 * 60 * 60 * 1000;

/// What a request says about answers from memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CacheWish {
    /// Nothing: the text may.
    Unsaid,
    /// None.
    Never,
    /// No older than this; `None`: as configured.
    NoOlder(Option<Duration>),
}

/// `cache_ttl` of Execute, milliseconds: 0 = never, -1 = as configured.
pub(super) fn cache_wish(millis: Option<i64>) -> Result<CacheWish, Error> {
    match millis {
        None => Ok(CacheWish::Unsaid),
        Some(0) => Ok(CacheWish::Never),
        Some(-1) => Ok(CacheWish::NoOlder(None)),
        Some(millis) => match u64::try_from(millis) {
            Ok(age) if millis <= MAX_TTL => {
                Ok(CacheWish::NoOlder(Some(Duration::from_millis(age))))
            }
            _ => Err(Error::refused(
                SqlState::INVALID_PARAMETER_VALUE,
                format!("cache_ttl is {millis}: give milliseconds, at most {MAX_TTL}"),
            )),
        },
    }
}

impl CacheWish {
    /// How old an answer may be; `None`: the caller has not asked for one from memory.
    fn age(self, sql: &str, configured: Duration) -> Option<Duration> {
        match self {
            Self::Never => None,
            Self::Unsaid => wants_cache(sql).then_some(configured),
            Self::NoOlder(age) => Some(age.unwrap_or(configured)),
        }
    }
}

/// Where the answer came from, in the word that the reply says; `None` for those who do not ask.
pub(super) type CacheWord = Option<&'static str>;

/// Executes a statement on the pool, or finds its answer in memory.
pub(super) async fn execute(
    context: &Context<'_>,
    pool: &DatabasePool,
    database: Option<&str>,
    wish: CacheWish,
    statement: &Statement<'_>,
    sink: &mut (impl ResultSink + Send),
) -> (Result<CommandTag, Error>, CacheWord) {
    let options = &context.live.options.cache;
    let Some(age) = wish.age(statement.sql, options.ttl) else {
        return (pool.execute(statement, sink).await, None);
    };
    let name = request::database(database).unwrap_or(PRIMARY);
    let cache = match (&context.live.cache, context.live.registry.database(name)) {
        (Some(cache), Ok(database))
            if !statement.simple && database.is_cacheable(statement.sql) =>
        {
            cache
        }
        _ => return (pool.execute(statement, sink).await, Some("bypass")),
    };
    match cache.execute(name, pool, statement, age, sink).await {
        Ok((tag, found)) => {
            pool.count_cached(found == CacheUse::Hit);
            let word = match found {
                CacheUse::Hit => "hit",
                CacheUse::Miss => "miss",
                CacheUse::TooLarge => "bypass",
            };
            (Ok(tag), Some(word))
        }
        Err(error) => (Err(error), Some("miss")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_request_has_the_last_word() {
        let configured = Duration::from_secs(5);
        let asks = "/* pgpool:cache */ SELECT 1";
        let age = |millis, sql| cache_wish(millis).unwrap().age(sql, configured);
        assert_eq!(age(None, "SELECT 1"), None);
        assert_eq!(age(None, asks), Some(configured));
        assert_eq!(age(Some(0), asks), None);
        assert_eq!(age(Some(-1), "SELECT 1"), Some(configured));
        assert_eq!(age(Some(20), asks), Some(Duration::from_millis(20)));
        for wrong in [-2, MAX_TTL + 1, i64::MAX, i64::MIN] {
            assert!(cache_wish(Some(wrong)).is_err(), "{wrong}");
        }
    }
}
