//! The statements that databases spend their time on, of all servers of each together.

use std::time::Duration;

use pool_manager::{DatabasePool, PoolRegistry, StatementOrder, StatementStats};
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

/// As callers write it.
pub(crate) const ORDERS: [(&str, StatementOrder); 6] = [
    ("total", StatementOrder::Total),
    ("calls", StatementOrder::Calls),
    ("mean", StatementOrder::Mean),
    ("p99", StatementOrder::P99),
    ("rows", StatementOrder::Rows),
    ("errors", StatementOrder::Errors),
];

/// At most so many of this database, or of all.
pub(crate) fn top_statements(
    registry: &PoolRegistry,
    database: Option<&str>,
    order: StatementOrder,
    most: usize,
) -> Vec<TopStatement> {
    let is_meant = |pool: &&DatabasePool| database.is_none_or(|name| pool.database() == name);
    let all = pool_manager::top_statements(registry.iter().filter(is_meant), order, most);
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
