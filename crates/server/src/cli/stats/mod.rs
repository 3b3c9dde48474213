//! `rr-pgpool stats`: the pools or the statements of a running server, once or again and again.

mod pools;
mod top;
mod watch;

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};

use super::{FAILED, ServerArgs, client, output};

/// Shortest time between two looks, seconds.
const MIN_WATCH: f64 = 0.1;
/// Longest one: a day.
const MAX_WATCH: f64 = 86_400.0;

#[derive(Args)]
pub(super) struct StatsArgs {
    #[command(flatten)]
    server: ServerArgs,
    /// Database to show; * for all
    #[arg(long, default_value = "*")]
    database: String,
    /// Show the N statements that most time is spent on, instead of the pools
    #[arg(long, value_name = "N", num_args = 0..=1, default_missing_value = "20",
        value_parser = clap::value_parser!(u32).range(1..=1000))]
    top: Option<u32>,
    /// What --top sorts by: total, calls, mean, p99, rows or errors
    #[arg(long, value_name = "COLUMN", default_value = "total", requires = "top")]
    order: String,
    /// Look again every so many seconds, until Ctrl-C; what is counted is shown per second
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "2",
        value_parser = seconds)]
    watch: Option<Duration>,
    /// Print the server's answer as JSON
    #[arg(long)]
    json: bool,
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "give a number of seconds".to_owned())?;
    if !(MIN_WATCH..=MAX_WATCH).contains(&seconds) {
        return Err(format!("give {MIN_WATCH} to {MAX_WATCH} seconds"));
    }
    Ok(Duration::from_secs_f64(seconds))
}

pub(super) fn run(args: &StatsArgs) -> ExitCode {
    if let Some(pause) = args.watch {
        return watch::run(args, pause);
    }
    let answer = match args.ask() {
        Ok(answer) => answer,
        Err(error) => return output::fail(error, FAILED),
    };
    if args.json {
        output::json(&answer);
    }
    if let Some(error) = error_of(&answer) {
        return output::fail(error, FAILED);
    }
    if !args.json {
        output::line(args.shown(&answer, None));
    }
    ExitCode::SUCCESS
}

impl StatsArgs {
    /// Asks the server for what is to be shown.
    fn ask(&self) -> Result<Value, client::CallError> {
        let database = &self.database;
        let (method, request) = match self.top {
            None => ("pgpool.PoolStats", json!({ "database": database })),
            Some(limit) => {
                let request = json!({"database": database, "limit": limit, "order": self.order});
                ("pgpool.TopQueries", request)
            }
        };
        self.server.call(self.server.timeout.get(), method, &request)
    }

    /// An answer as text; with what was answered so long before, as what has happened since.
    fn shown(&self, answer: &Value, before: Option<(&Value, Duration)>) -> String {
        match self.top {
            None => pools::shown(answer, before),
            Some(_) => top::shown(answer),
        }
    }
}

/// The error that an answer is, if it is one.
fn error_of(answer: &Value) -> Option<&str> {
    answer.get("error").and_then(Value::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_is_some_seconds() {
        assert_eq!(seconds("2"), Ok(Duration::from_secs(2)));
        assert_eq!(seconds("0.5"), Ok(Duration::from_millis(500)));
        for wrong in ["", "2s", "0", "-1", "nan", "inf", "1e9"] {
            assert!(seconds(wrong).is_err(), "{wrong}");
        }
    }
}
