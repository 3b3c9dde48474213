//! SHOW STATS and its relatives: what was counted of each database, at both doors.

use std::sync::Arc;
use std::time::Duration;

use super::table::{Cell, Columns, Kind, Table};
use crate::database::Database;
use crate::proxy::Proxy;

/// A database's totals since the start. Times are microseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Totals {
    pub(super) assignments: u64,
    pub(super) transactions: u64,
    pub(super) queries: u64,
    pub(super) received: u64,
    pub(super) sent: u64,
    pub(super) transaction_time: u64,
    pub(super) query_time: u64,
    pub(super) wait_time: u64,
    pub(super) parses: u64,
    pub(super) server_parses: u64,
    pub(super) binds: u64,
    pub(super) logins: u64,
}

const NUMBER: Kind = Kind::Numeric;

/// How many of the columns of SHOW STATS are totals; averages follow.
const TOTALS: usize = 12;

pub(super) const STATS: Columns = &[
    ("database", Kind::Text),
    ("total_server_assignment_count", NUMBER),
    ("total_xact_count", NUMBER),
    ("total_query_count", NUMBER),
    ("total_received", NUMBER),
    ("total_sent", NUMBER),
    ("total_xact_time", NUMBER),
    ("total_query_time", NUMBER),
    ("total_wait_time", NUMBER),
    ("total_client_parse_count", NUMBER),
    ("total_server_parse_count", NUMBER),
    ("total_bind_count", NUMBER),
    ("total_client_login_count", NUMBER),
    ("avg_server_assignment_count", NUMBER),
    ("avg_xact_count", NUMBER),
    ("avg_query_count", NUMBER),
    ("avg_recv", NUMBER),
    ("avg_sent", NUMBER),
    ("avg_xact_time", NUMBER),
    ("avg_query_time", NUMBER),
    ("avg_wait_time", NUMBER),
    ("avg_client_parse_count", NUMBER),
    ("avg_server_parse_count", NUMBER),
    ("avg_bind_count", NUMBER),
    ("avg_client_login_count", NUMBER),
];

pub(super) const STATS_TOTALS: Columns = &[
    ("database", Kind::Text),
    ("server_assignment_count", NUMBER),
    ("xact_count", NUMBER),
    ("query_count", NUMBER),
    ("bytes_received", NUMBER),
    ("bytes_sent", NUMBER),
    ("xact_time", NUMBER),
    ("query_time", NUMBER),
    ("wait_time", NUMBER),
    ("client_parse_count", NUMBER),
    ("server_parse_count", NUMBER),
    ("bind_count", NUMBER),
    ("client_login_count", NUMBER),
];

pub(super) const STATS_AVERAGES: Columns = &[
    ("database", Kind::Text),
    ("server_assignment_count", NUMBER),
    ("xact_count", NUMBER),
    ("query_count", NUMBER),
    ("bytes_received", NUMBER),
    ("bytes_sent", NUMBER),
    ("xact_time", NUMBER),
    ("query_time", NUMBER),
    ("wait_time", NUMBER),
    ("avg_client_parse_count", NUMBER),
    ("avg_server_parse_count", NUMBER),
    ("avg_bind_count", NUMBER),
    ("avg_client_login_count", NUMBER),
];

pub(super) const ALL_TOTALS: Columns = &[("name", Kind::Text), ("value", NUMBER)];

impl Totals {
    fn of(database: &Database) -> Self {
        let mut totals = Self::default();
        totals.add_door(database);
        database.own().values().for_each(|own| totals.add_door(own));
        for pool in database.pools() {
            let stats = pool.stats();
            // What RPC callers got is a transaction each.
            totals.assignments += stats.total_acquired;
            totals.queries += stats.query_count;
            totals.query_time += micros(stats.query_duration);
            totals.wait_time += micros(stats.acquire_duration);
            totals.transaction_time += micros(stats.busy_duration);
        }
        totals
    }

    /// Counted by the door of its clients; connections that others got are transactions of RPC.
    fn add_door(&mut self, database: &Database) {
        let door = database.counters().now();
        self.received += door.received;
        self.sent += door.sent;
        self.parses += door.parses;
        self.server_parses += door.server_parses;
        self.binds += door.binds;
        self.logins += door.logins;
        self.transactions += door.transactions;
        let all: u64 = database.backends().pools().map(|pool| pool.stats().total_acquired).sum();
        self.transactions += all.saturating_sub(door.assignments);
    }

    /// What was added since `before`.
    pub(super) fn since(&self, before: &Self) -> Self {
        let (now, before) = (self.in_order(), before.in_order());
        let mut grown = now;
        for (grown, before) in grown.iter_mut().zip(before) {
            *grown = grown.saturating_sub(before);
        }
        Self::from_order(grown)
    }

    /// As PgBouncer's columns have them.
    fn in_order(&self) -> [u64; TOTALS] {
        [
            self.assignments,
            self.transactions,
            self.queries,
            self.received,
            self.sent,
            self.transaction_time,
            self.query_time,
            self.wait_time,
            self.parses,
            self.server_parses,
            self.binds,
            self.logins,
        ]
    }

    fn from_order(numbers: [u64; TOTALS]) -> Self {
        let [
            assignments,
            transactions,
            queries,
            received,
            sent,
            transaction_time,
            query_time,
            wait_time,
            parses,
            server_parses,
            binds,
            logins,
        ] = numbers;
        Self {
            assignments,
            transactions,
            queries,
            received,
            sent,
            transaction_time,
            query_time,
            wait_time,
            parses,
            server_parses,
            binds,
            logins,
        }
    }

    /// Counts by the second, and times by what they were spent on.
    fn averages(&self, period: Duration) -> Self {
        let millis = u64::try_from(period.as_millis()).unwrap_or(u64::MAX).max(1);
        let mut rates = self.in_order();
        rates.iter_mut().for_each(|number| *number = number.saturating_mul(1000) / millis);
        Self {
            transaction_time: self.transaction_time / self.transactions.max(1),
            query_time: self.query_time / self.queries.max(1),
            wait_time: self.wait_time / self.assignments.max(1),
            ..Self::from_order(rates)
        }
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// Each database with its totals.
pub(super) fn totals(proxy: &Proxy) -> Vec<(String, Totals)> {
    let of = |(name, database): (&String, &Arc<Database>)| (name.clone(), Totals::of(database));
    proxy.databases().iter().map(of).collect()
}

fn row(name: String, numbers: impl Iterator<Item = u64>) -> Vec<Cell> {
    std::iter::once(Cell::Text(name)).chain(numbers.map(Cell::Number)).collect()
}

fn averages(proxy: &Proxy, name: &str, now: &Totals) -> Totals {
    let (growth, period) = proxy.averages.growth(name, now);
    growth.averages(period)
}

pub(super) fn stats(proxy: &Proxy) -> Table {
    let rows = totals(proxy).into_iter().map(|(name, totals)| {
        let averages = averages(proxy, &name, &totals).in_order();
        row(name, totals.in_order().into_iter().chain(averages))
    });
    Table { columns: STATS, rows: rows.collect() }
}

pub(super) fn stats_totals(proxy: &Proxy) -> Table {
    let rows =
        totals(proxy).into_iter().map(|(name, totals)| row(name, totals.in_order().into_iter()));
    Table { columns: STATS_TOTALS, rows: rows.collect() }
}

pub(super) fn stats_averages(proxy: &Proxy) -> Table {
    let rows = totals(proxy).into_iter().map(|(name, totals)| {
        let averages = averages(proxy, &name, &totals);
        row(name, averages.in_order().into_iter())
    });
    Table { columns: STATS_AVERAGES, rows: rows.collect() }
}

/// All databases together, a row for each number.
pub(super) fn all_totals(proxy: &Proxy) -> Table {
    let mut sums = [0_u64; TOTALS * 2];
    for (name, totals) in totals(proxy) {
        let averages = averages(proxy, &name, &totals).in_order();
        let numbers = totals.in_order().into_iter().chain(averages);
        sums.iter_mut().zip(numbers).for_each(|(sum, number)| *sum = sum.saturating_add(number));
    }
    let names = STATS.iter().skip(1).map(|(name, _)| (*name).to_owned());
    let rows = names.zip(sums).map(|(name, sum)| row(name, std::iter::once(sum)));
    Table { columns: ALL_TOTALS, rows: rows.collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_averaged_by_the_second_and_times_by_what_took_them() {
        let grown = Totals {
            queries: 120,
            query_time: 2_400,
            transactions: 60,
            transaction_time: 6_000,
            ..Totals::default()
        };
        let averages = grown.averages(Duration::from_secs(60));
        assert_eq!((averages.queries, averages.query_time), (2, 20));
        assert_eq!((averages.transactions, averages.transaction_time), (1, 100));
        assert_eq!(Totals::default().averages(Duration::ZERO), Totals::default());
    }

    #[test]
    fn there_is_a_column_for_each_number() {
        assert_eq!(STATS.len(), 1 + 2 * TOTALS);
        assert_eq!((STATS_TOTALS.len(), STATS_AVERAGES.len()), (1 + TOTALS, 1 + TOTALS));
    }
}
