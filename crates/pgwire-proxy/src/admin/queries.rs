//! SHOW QUERIES: the statements on which most time was spent, at both doors. Of our own: PgBouncer has no
//! such list.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::time::Duration;

use super::table::{Cell, Columns, Kind};
use crate::database::Database;
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
    let mut all: Vec<_> = databases
        .values()
        .flat_map(|database| {
            of_database(database).into_values().map(move |stats| (database, stats))
        })
        .collect();
    all.sort_by_cached_key(|(database, stats)| {
        (Reverse(stats.total), database.name().to_owned(), stats.text.clone())
    });
    all.truncate(SHOWN);
    let micros = |time: Duration| Cell::Number(u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
    all.into_iter()
        .map(|(database, stats)| {
            vec![
                database.name().into(),
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

/// Of all its servers, and of users who have a pool of their own.
fn of_database(database: &Database) -> HashMap<String, pool_manager::StatementStats> {
    let mut all = HashMap::new();
    let own = database.own().values().map(|own| own.pool());
    database.backends().pools().chain(own).for_each(|pool| pool.collect_statements(&mut all));
    all
}
