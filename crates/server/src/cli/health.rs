//! `rr-pgpool health`: for probes of containers and load balancers.

use std::process::ExitCode;

use clap::Args;
use serde_json::{Value, json};

use super::output::Colour;
use super::{ServerArgs, output};

/// A primary is unhealthy.
const UNHEALTHY: u8 = 1;
/// The server did not answer.
const UNREACHABLE: u8 = 2;

#[derive(Args)]
pub(super) struct HealthArgs {
    #[command(flatten)]
    server: ServerArgs,
    /// Database to check; * for all
    #[arg(long, default_value = "*")]
    database: String,
    /// Print the server's answer as JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &HealthArgs) -> ExitCode {
    let request = json!({ "database": args.database });
    let limit = args.server.timeout.get();
    let answer = match args.server.call(limit, "pgpool.HealthCheck", &request) {
        Ok(answer) => answer,
        Err(error) => return output::fail(error, UNREACHABLE),
    };
    let health = answer.get("health").and_then(Value::as_object);
    let healthy = answer.get("error").is_none()
        && health.is_some_and(|health| health.values().all(|ok| ok == &Value::Bool(true)));
    if args.json {
        output::json(&answer);
    } else {
        print(&answer);
    }
    if healthy { ExitCode::SUCCESS } else { ExitCode::from(UNHEALTHY) }
}

fn print(answer: &Value) {
    let databases = answer.get("health").and_then(Value::as_object).into_iter().flatten();
    for (name, healthy) in databases {
        let error = answer.get("errors").and_then(|errors| errors.get(name)?.as_str());
        let state = if healthy == &Value::Bool(true) {
            output::coloured(Colour::Green, "healthy")
        } else {
            output::coloured(Colour::Red, "unhealthy")
        };
        match error {
            Some(error) => output::line(format_args!("{name}: {state}: {error}")),
            None => output::line(format_args!("{name}: {state}")),
        }
    }
}
