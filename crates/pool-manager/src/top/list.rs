//! The statements of several pools in order: those of one database with the same text are one.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use super::StatementStats;
use crate::DatabasePool;

/// What comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatementOrder {
    /// The most time altogether.
    Total,
    /// The most calls.
    Calls,
    /// The most time for a call.
    Mean,
    /// The same of the slowest in a hundred.
    P99,
    /// The most rows.
    Rows,
    /// The most errors.
    Errors,
}

impl StatementOrder {
    fn of(self, stats: &StatementStats) -> u128 {
        let micros = |time: Duration| time.as_micros();
        match self {
            Self::Total => micros(stats.total),
            Self::Calls => stats.calls.into(),
            Self::Mean => micros(stats.mean()),
            Self::P99 => micros(stats.p99),
            Self::Rows => stats.rows.into(),
            Self::Errors => stats.errors.into(),
        }
    }
}

/// At most so many statements of these pools, each with its database.
pub fn top_statements<'a>(
    pools: impl IntoIterator<Item = &'a DatabasePool>,
    order: StatementOrder,
    most: usize,
) -> Vec<(&'a str, StatementStats)> {
    let mut databases: BTreeMap<&str, HashMap<String, StatementStats>> = BTreeMap::new();
    for pool in pools {
        pool.collect_statements(databases.entry(pool.database()).or_default());
    }
    let of_each = |(database, its): (_, HashMap<_, _>)| {
        its.into_values().map(move |stats: StatementStats| (database, stats))
    };
    let mut all: Vec<_> = databases.into_iter().flat_map(of_each).collect();
    all.sort_by_cached_key(|(database, stats)| {
        (Reverse(order.of(stats)), *database, stats.text.clone())
    });
    all.truncate(most);
    all
}
