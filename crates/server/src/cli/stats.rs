//! `rr-pgpool stats`.

use std::process::ExitCode;

use clap::Args;
use serde_json::{Value, json};

use super::output::Layout;
use super::{FAILED, ServerArgs, output};

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
/// Title and field of what stands under the table, for it may be long; in a pipe it is one more
/// column.
const LAST_ERROR: (&str, &str) = ("last error", "last_error");

#[derive(Args)]
pub(super) struct StatsArgs {
    #[command(flatten)]
    server: ServerArgs,
    /// Database to show; * for all
    #[arg(long, default_value = "*")]
    database: String,
    /// Print the server's answer as JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &StatsArgs) -> ExitCode {
    let request = json!({ "database": args.database });
    let limit = args.server.timeout.get();
    let answer = match args.server.call(limit, "pgpool.PoolStats", &request) {
        Ok(answer) => answer,
        Err(error) => return output::fail(error, FAILED),
    };
    if args.json {
        output::json(&answer);
    }
    if let Some(error) = answer.get("error").and_then(Value::as_str) {
        return output::fail(error, FAILED);
    }
    if !args.json {
        print(&answer);
    }
    ExitCode::SUCCESS
}

fn print(answer: &Value) {
    let mut header = vec!["pool".to_owned()];
    let apart = output::to_terminal();
    let columns = || COLUMNS.iter().chain((!apart).then_some(&LAST_ERROR));
    header.extend(columns().map(|(title, _)| (*title).to_owned()));
    let pools = || answer.get("stats").and_then(Value::as_object).into_iter().flatten();
    let rows: Vec<_> = pools()
        .map(|(name, stats)| {
            let mut row = vec![name.clone()];
            row.extend(columns().map(|(title, field)| match *title {
                "avg us" => average_us(stats),
                _ => stats.get(field).map(output::cell).unwrap_or_default(),
            }));
            row
        })
        .collect();
    output::rows(&header, &rows, Layout::Whole);
    if apart {
        pools().filter_map(|(name, stats)| last_error(name, stats)).for_each(output::line);
    }
}

/// `POOL: last error: TEXT`, in one line; `None` when there was no error.
fn last_error(name: &str, stats: &Value) -> Option<String> {
    let (title, field) = LAST_ERROR;
    let text = stats.get(field).and_then(Value::as_str).filter(|text| !text.is_empty())?;
    Some(output::printable(&format!("{name}: {title}: {text}").replace('\n', " ")))
}

fn average_us(stats: &Value) -> String {
    let number = |field| stats.get(field).and_then(Value::as_u64).unwrap_or(0);
    number("query_duration_us").checked_div(number("query_count")).unwrap_or(0).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_titles_fit_into_80_columns() {
        let titles: usize = COLUMNS.iter().map(|(title, _)| title.len()).sum();
        let between = 2 * COLUMNS.len();
        let borders = 4;
        assert!("primary".len() + titles + between + borders <= 80);
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
