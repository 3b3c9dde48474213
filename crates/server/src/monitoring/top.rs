//! The statements of a database that the most time is spent on, of all its servers together.

use std::collections::HashMap;

use pool_manager::{DatabasePool, PoolRegistry, StatementStats};
use serde::Serialize;

/// One statement, for JSON.
#[derive(Debug, Serialize)]
pub(crate) struct TopStatement {
    query: String,
    calls: u64,
    errors: u64,
    rows: u64,
    total_time_us: u64,
    mean_time_us: u64,
    p99_time_us: u64,
}

impl From<StatementStats> for TopStatement {
    fn from(stats: StatementStats) -> Self {
        let micros =
            |time: std::time::Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        Self {
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

/// At most so many of a database, the most time first.
pub(crate) fn top_statements(
    registry: &PoolRegistry,
    database: &str,
    most: usize,
) -> Vec<TopStatement> {
    let mut all = HashMap::new();
    let is_its = |pool: &&DatabasePool| pool.database() == database;
    registry.iter().filter(is_its).for_each(|pool| pool.collect_statements(&mut all));
    let mut all: Vec<StatementStats> = all.into_values().collect();
    all.sort_unstable_by(|a, b| b.total.cmp(&a.total).then_with(|| a.text.cmp(&b.text)));
    all.truncate(most);
    all.into_iter().map(TopStatement::from).collect()
}
