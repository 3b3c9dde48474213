//! SHOW QUERIES: the statements on which most time was spent, at both doors. Of our own: PgBouncer has no
//! such list.

use std::time::Duration;

use pool_manager::{StatementOrder, top_statements};

use super::table::{Cell, Columns, Kind};
use crate::proxy::Proxy;

/// Most statements that are shown.
const SHOWN: usize = 50;

/// Times are microseconds.
pub(super) const QUERIES: Columns = &[
    ("database", Kind::Text),
    ("query", Kind::Text),
    ("calls", Kind::Numeric),
    ("errors", Kind::Numeric),
    ("rows", Kind::Numeric),
    ("total_time", Kind::Numeric),
    ("avg_time", Kind::Numeric),
    ("p99_time", Kind::Numeric),
];

pub(super) fn queries(proxy: &Proxy) -> Vec<Vec<Cell>> {
    let databases = proxy.databases();
    let pools = databases.values().flat_map(|database| {
        let own = database.own().values().map(|own| own.pool());
        database.backends().pools().chain(own)
    });
    let micros = |time: Duration| Cell::Number(u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
    top_statements(pools, StatementOrder::Total, SHOWN)
        .into_iter()
        .map(|(database, stats)| {
            vec![
                database.into(),
                stats.text.as_str().into(),
                Cell::Number(stats.calls),
                Cell::Number(stats.errors),
                Cell::Number(stats.rows),
                micros(stats.total),
                micros(stats.mean()),
                micros(stats.p99),
            ]
        })
        .collect()
}
