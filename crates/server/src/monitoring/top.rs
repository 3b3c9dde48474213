//! The statements that databases spend their time on, of all servers of each together.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::time::Duration;

use pool_manager::{PoolRegistry, StatementStats};
use serde::Serialize;

/// One statement, for JSON.
#[derive(Debug, Serialize)]
pub(crate) struct TopStatement {
    database: String,
    query: String,
    calls: u64,
    errors: u64,
    rows: u64,
    total_time_us: u64,
    mean_time_us: u64,
    p99_time_us: u64,
}

/// What comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    Total,
    Calls,
    Mean,
    P99,
    Rows,
    Errors,
}

impl Order {
    /// As callers write it.
    pub(crate) const WORDS: [(&str, Self); 6] = [
        ("total", Self::Total),
        ("calls", Self::Calls),
        ("mean", Self::Mean),
        ("p99", Self::P99),
        ("rows", Self::Rows),
        ("errors", Self::Errors),
    ];

    fn of(self, stats: &StatementStats) -> u64 {
        match self {
            Self::Total => micros(stats.total),
            Self::Calls => stats.calls,
            Self::Mean => micros(stats.mean()),
            Self::P99 => micros(stats.p99),
            Self::Rows => stats.rows,
            Self::Errors => stats.errors,
        }
    }
}

/// At most so many of these databases.
pub(crate) fn top_statements(
    registry: &PoolRegistry,
    databases: &[&str],
    order: Order,
    most: usize,
) -> Vec<TopStatement> {
    let mut all = Vec::new();
    for database in databases {
        let mut its = HashMap::new();
        let pools = registry.iter().filter(|pool| pool.database() == *database);
        pools.for_each(|pool| pool.collect_statements(&mut its));
        all.extend(its.into_values().map(|stats| (*database, stats)));
    }
    all.sort_by_cached_key(|(database, stats)| {
        (Reverse(order.of(stats)), *database, stats.text.clone())
    });
    all.truncate(most);
    all.into_iter().map(|(database, stats)| TopStatement::new(database, stats)).collect()
}

impl TopStatement {
    fn new(database: &str, stats: StatementStats) -> Self {
        Self {
            database: database.to_owned(),
            calls: stats.calls,
            errors: stats.errors,
            rows: stats.rows,
            total_time_us: micros(stats.total),
            mean_time_us: micros(stats.mean()),
            p99_time_us: micros(stats.p99),
            query: stats.text,
        }
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
