//! `rr-pgpool stats`.

use std::process::ExitCode;

use clap::Args;
use serde_json::{Value, json};

use super::{FAILED, ServerArgs, client, output};

/// Columns of the table: title and field.
const COLUMNS: [(&str, &str); 12] = [
    ("total", "total_connections"),
    ("idle", "idle_connections"),
    ("active", "active_connections"),
    ("max", "max_connections"),
    ("waiting", "waiting_clients"),
    ("tx", "transactions_open"),
    ("sessions", "sessions_open"),
    ("queries", "query_count"),
    ("errors", "error_count"),
    ("slow", "slow_query_count"),
    ("avg us", "query_duration_us"),
    ("last error", "last_error"),
];

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
    let answer = match client::call(&args.server.address, limit, "pgpool.PoolStats", &request) {
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
    header.extend(COLUMNS.iter().map(|(title, _)| (*title).to_owned()));
    let pools = answer.get("stats").and_then(Value::as_object).into_iter().flatten();
    let rows: Vec<_> = pools
        .map(|(name, stats)| {
            let mut row = vec![name.clone()];
            row.extend(COLUMNS.iter().map(|(title, field)| match *title {
                "avg us" => average_us(stats),
                _ => stats.get(field).map(output::cell).unwrap_or_default(),
            }));
            row
        })
        .collect();
    output::rows(&header, &rows);
}

fn average_us(stats: &Value) -> String {
    let number = |field| stats.get(field).and_then(Value::as_u64).unwrap_or(0);
    number("query_duration_us").checked_div(number("query_count")).unwrap_or(0).to_string()
}
