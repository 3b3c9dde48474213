//! `rr-pgpool exec`: one statement through a running server.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};

use super::{FAILED, ServerArgs, output};

/// How much longer than the statement we wait: the server's own answer says more.
const SLACK: Duration = Duration::from_secs(1);

const AFTER_HELP: &str = "\
Examples:
  rr-pgpool exec 'SELECT * FROM users WHERE id = $1' 42
  rr-pgpool exec --json 'SELECT now()'
  rr-pgpool exec 'SELECT $1::int[]' '{1,2,3}'";

#[derive(Args)]
#[command(after_help = AFTER_HELP, mut_arg("timeout", |arg| arg.default_value("30s")))]
pub(super) struct ExecArgs {
    /// Statement, with $1, $2, … for its arguments
    sql: String,
    /// Arguments, each as PostgreSQL writes a value of its parameter's type
    #[arg(value_name = "ARG", allow_negative_numbers = true)]
    args: Vec<String>,
    #[command(flatten)]
    server: ServerArgs,
    /// Database to use
    #[arg(long, default_value = "primary")]
    database: String,
    /// Print the server's answer as JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &ExecArgs) -> ExitCode {
    let limit = args.server.timeout.get();
    let request = json!({
        "database": args.database,
        "query": args.sql,
        "args": args.args,
        "result": "rows",
        "types": "text",
        // The server gives up before us.
        "timeout": i64::try_from(limit.as_millis()).unwrap_or(-1),
    });
    let patience = limit.saturating_add(SLACK);
    let answer = match args.server.call(patience, "pgpool.Execute", &request) {
        Ok(answer) => answer,
        Err(error) => return output::fail(error, FAILED),
    };
    if args.json {
        output::json(&answer);
    }
    if let Some(error) = answer.get("error").and_then(Value::as_str) {
        report(error, &answer);
        return ExitCode::from(FAILED);
    }
    if !args.json {
        print(&answer);
    }
    ExitCode::SUCCESS
}

fn report(error: &str, answer: &Value) {
    let sqlstate = answer.get("sqlstate").and_then(Value::as_str).unwrap_or("XX000");
    output::error(format_args!("{error} (SQLSTATE {sqlstate})"));
    for (title, field) in [("detail", "detail"), ("hint", "hint")] {
        if let Some(text) = answer.get("error_detail").and_then(|d| d.get(field)?.as_str()) {
            output::error(format_args!("{title}: {text}"));
        }
    }
}

fn print(answer: &Value) {
    let list = |field: &str| answer.get(field).and_then(Value::as_array);
    let Some(columns) = list("columns") else {
        let rows = answer.get("rows_affected").and_then(Value::as_u64).unwrap_or(0);
        output::line(format_args!("{rows} {} affected", if rows == 1 { "row" } else { "rows" }));
        return;
    };
    let header: Vec<_> = columns
        .iter()
        .map(|column| column.get("name").map(output::cell).unwrap_or_default())
        .collect();
    let rows: Vec<Vec<_>> = list("rows")
        .into_iter()
        .flatten()
        .map(|row| row.as_array().into_iter().flatten().map(output::cell).collect())
        .collect();
    output::rows(&header, &rows, output::Layout::Wrapped);
}
