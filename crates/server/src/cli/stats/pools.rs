//! Pools as a table.

use std::time::Duration;

use serde_json::Value;

use crate::cli::output::{self, Layout};

/// Columns of the table: title, short enough for all to fit into 80 columns, and field.
const COLUMNS: [(&str, &str); 11] = [
    ("all", "total_connections"),
    ("idle", "idle_connections"),
    ("active", "active_connections"),
    ("max", "max_connections"),
    ("wait", "waiting_clients"),
    ("tx", "transactions_open"),
    ("sess", "sessions_open"),
    ("queries", "query_count"),
    ("err", "error_count"),
    ("slow", "slow_query_count"),
    ("avg us", "query_duration_us"),
];
/// Those that only grow, with their titles when they are shown per second.
const GROWING: [(&str, &str); 3] = [("queries", "q/s"), ("err", "err/s"), ("slow", "slow/s")];
/// Title and field of what stands under the table, for it may be long; in a pipe it is one more
/// column.
const LAST_ERROR: (&str, &str) = ("last error", "last_error");

/// All pools of an answer; with what was answered so long before, what is counted is per second.
pub(super) fn shown(answer: &Value, before: Option<(&Value, Duration)>) -> String {
    let apart = output::to_terminal();
    let header = header(before.is_some(), apart);
    let pools = || answer.get("stats").and_then(Value::as_object).into_iter().flatten();
    let rows: Vec<_> = pools()
        .map(|(name, stats)| {
            let earlier =
                before.and_then(|(answer, ago)| Some((answer.get("stats")?.get(name)?, ago)));
            let mut row = vec![name.clone()];
            row.extend(COLUMNS.iter().map(|(title, field)| cell(title, field, stats, earlier)));
            if !apart {
                row.push(stats.get(LAST_ERROR.1).map(output::cell).unwrap_or_default());
            }
            row
        })
        .collect();
    let mut text = output::table_text(&header, &rows, Layout::Whole);
    if apart {
        let errors = pools().filter_map(|(name, stats)| last_error(name, stats));
        errors.for_each(|line| text.extend(["\n", &line]));
    }
    text
}

fn header(per_second: bool, apart: bool) -> Vec<String> {
    let titles = COLUMNS.iter().map(|(title, _)| {
        let growing = GROWING.iter().find(|(growing, _)| growing == title && per_second);
        growing.map_or(*title, |(_, title)| title)
    });
    let last = (!apart).then_some(LAST_ERROR.0);
    std::iter::once("pool").chain(titles).chain(last).map(str::to_owned).collect()
}

fn cell(title: &str, field: &str, stats: &Value, before: Option<(&Value, Duration)>) -> String {
    let grown = |field| {
        let earlier = before.map_or(0, |(before, _)| number(before, field));
        number(stats, field).saturating_sub(earlier)
    };
    match (title, before) {
        ("avg us", _) => {
            let average = grown("query_duration_us").checked_div(grown("query_count"));
            average.unwrap_or(0).to_string()
        }
        (title, Some((_, ago))) if GROWING.iter().any(|(growing, _)| *growing == title) => {
            per_second(grown(field), ago)
        }
        _ => stats.get(field).map(output::cell).unwrap_or_default(),
    }
}

fn number(stats: &Value, field: &str) -> u64 {
    stats.get(field).and_then(Value::as_u64).unwrap_or(0)
}

/// A whole number where it is large, a decimal where that makes a difference.
#[allow(clippy::cast_precision_loss, reason = "a rate")]
fn per_second(count: u64, time: Duration) -> String {
    let rate = count as f64 / time.as_secs_f64().max(f64::MIN_POSITIVE);
    if rate == 0.0 || rate >= 10.0 { format!("{rate:.0}") } else { format!("{rate:.1}") }
}

/// `POOL: last error: TEXT`, in one line; `None` when there was no error.
fn last_error(name: &str, stats: &Value) -> Option<String> {
    let (title, field) = LAST_ERROR;
    let text = stats.get(field).and_then(Value::as_str).filter(|text| !text.is_empty())?;
    Some(output::printable(&format!("{name}: {title}: {text}").replace('\n', " ")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_titles_fit_into_80_columns() {
        for per_second in [false, true] {
            let header = header(per_second, true);
            let titles: usize = header.iter().skip(1).map(String::len).sum();
            let between = 2 * COLUMNS.len();
            let borders = 4;
            assert!("primary".len() + titles + between + borders <= 80);
        }
    }

    #[test]
    fn what_is_counted_is_shown_per_second_when_it_is_watched() {
        let before = json!({"query_count": 100, "query_duration_us": 5000, "error_count": 1});
        let now = json!({"query_count": 300, "query_duration_us": 25_000, "error_count": 2,
            "idle_connections": 3});
        let since = Some((&before, Duration::from_secs(2)));
        assert_eq!(cell("queries", "query_count", &now, since), "100");
        assert_eq!(cell("err", "error_count", &now, since), "0.5");
        assert_eq!(cell("slow", "slow_query_count", &now, since), "0");
        assert_eq!(cell("avg us", "query_duration_us", &now, since), "100");
        assert_eq!(cell("idle", "idle_connections", &now, since), "3");
        assert_eq!(cell("queries", "query_count", &now, None), "300");
        assert_eq!(cell("avg us", "query_duration_us", &now, None), "83");
        // A server that was started anew counts from 0.
        assert_eq!(cell("queries", "query_count", &before, Some((&now, Duration::ZERO))), "0");
    }

    #[test]
    fn the_last_error_is_one_line_and_only_when_there_is_one() {
        let shown = |error: Value| last_error("shop", &json!({ "last_error": error }));
        assert_eq!(
            shown(json!("no server\nat \u{1b}[1m")).as_deref(),
            Some("shop: last error: no server at \u{fffd}[1m")
        );
        assert_eq!(shown(json!("")), None);
        assert_eq!(shown(Value::Null), None);
    }
}
