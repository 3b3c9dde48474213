//! `rr-pgpool exec`: one statement through a running server.

use std::process::ExitCode;

use clap::Args;
use serde_json::{Value, json};

use super::{FAILED, ServerArgs, client, output};

#[derive(Args)]
pub(super) struct ExecArgs {
    /// Statement, with $1, $2, … for its arguments
    sql: String,
    /// Arguments; PostgreSQL converts each to its parameter's type
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
        // The server gives up with us, not after us.
        "timeout": i64::try_from(limit.as_millis()).unwrap_or(-1),
    });
    let answer = match client::call(&args.server.address, limit, "pgpool.Execute", &request) {
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
        output::line(format_args!("{rows} rows affected"));
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
    output::rows(&header, &rows);
}
