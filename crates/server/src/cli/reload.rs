//! `rr-pgpool reload`.

use std::process::ExitCode;

use clap::Args;
use serde_json::{Value, json};

use super::{FAILED, ServerArgs, output};

#[derive(Args)]
pub(super) struct ReloadArgs {
    #[command(flatten)]
    server: ServerArgs,
}

pub(super) fn run(args: &ReloadArgs) -> ExitCode {
    let limit = args.server.timeout.get();
    let answer = match args.server.call(limit, "pgpool.Reload", &json!({})) {
        Ok(answer) => answer,
        Err(error) => return output::fail(error, FAILED),
    };
    if let Some(error) = answer.get("error").and_then(Value::as_str) {
        return output::fail(error, FAILED);
    }
    let changes = answer.get("changes").and_then(Value::as_array).into_iter().flatten();
    let changes: Vec<_> = changes.filter_map(Value::as_str).collect();
    if changes.is_empty() {
        output::line(format_args!("nothing has changed"));
    }
    for change in changes {
        output::line(format_args!("{change}"));
    }
    ExitCode::SUCCESS
}
