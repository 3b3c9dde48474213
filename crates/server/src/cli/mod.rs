//! The command line: `serve`, `check-config`, `health`, `stats`, `exec`, `reload`, `demo`, `completions`.
//!
//! Tables and colours on a terminal, plain text in a pipe; results on standard output, everything
//! else on standard error.

mod check_config;
mod client;
mod demo;
mod exec;
mod generate;
mod health;
mod output;
mod reload;
mod serve;
mod stats;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use serde_json::Value;

use crate::config::LoadOptions;

/// Exit code of a command that was asked for something it could not do.
const FAILED: u8 = 1;

/// Environment variable that names the server for the commands that talk to it.
const ADDRESS_VARIABLE: &str = "PGPOOL_RPC";

const AFTER_HELP: &str = "\
Try it without any setup:
  rr-pgpool demo

Run it under RoadRunner (in .rr.yaml):
  service:
    pgpool:
      command: \"rr-pgpool serve -c .rr.yaml\"
      process_num: 1
      remain_after_exit: true
      restart_sec: 1
      timeout_stop_sec: 10";

/// PostgreSQL connection pool for PHP under RoadRunner.
#[derive(Parser)]
#[command(name = "rr-pgpool", version, after_help = AFTER_HELP)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve goridge RPC and PostgreSQL clients until SIGINT or SIGTERM
    ///
    /// Reads the section `pgpool` of the configuration. After the first signal everything works on
    /// until nobody is connected or `shutdown.grace` is over; a second signal ends it at once. SIGHUP
    /// has it read its configuration again, as `rr-pgpool reload` does. The log goes to standard
    /// error, one line per event.
    Serve(ServeArgs),
    /// Check a configuration and print what it comes down to
    ///
    /// Prints every key with the value that is in effect, secrets masked. When something is wrong it
    /// names the file, the key and the reason, and the exit code is 1.
    CheckConfig(ConfigArgs),
    /// Ask a running server whether its databases are healthy
    ///
    /// One line per database. The exit code is 0 when all are healthy, 1 when one is not, and 2
    /// when the server does not answer: ready for the probes of containers and load balancers.
    Health(health::HealthArgs),
    /// Show the pools of a running server
    ///
    /// One row per pool: its connections (all, idle, active, most allowed), callers that wait, open
    /// transactions and sessions, statements, failed and slow ones among them, and their average
    /// time in microseconds; below the table (in a pipe: in a last column) the last error. --json
    /// has more. --top shows statements instead, by their text without constants: calls, failed ones,
    /// rows, and times. --watch looks again every 2 seconds and shows statements per second.
    Stats(stats::StatsArgs),
    /// Execute one statement through a running server
    ///
    /// Prints a table on a terminal, tab-separated lines in a pipe. The exit code is 1 when the
    /// statement failed or the server does not answer.
    Exec(exec::ExecArgs),
    /// Have a running server read its configuration again
    ///
    /// Prints what has changed, one line per key. Clients stay connected. When anything is wrong with
    /// the configuration nothing is changed, and the exit code is 1. SIGHUP does the same; the answer
    /// is in the log then.
    Reload(reload::ReloadArgs),
    /// Serve a throw-away PostgreSQL with sample data, and print what to try
    ///
    /// Makes a PostgreSQL of its own in a temporary directory, with the tables users and orders,
    /// and serves it like any other. Nothing else on the machine is touched, and Ctrl-C (or
    /// whatever else ends it) removes all of it. Needs PostgreSQL's server programs, from PGBIN,
    /// PATH or where the system's packages put them.
    Demo(demo::DemoArgs),
    /// Print a script with which a shell completes this program's commands and options
    ///
    /// For bash, for example: rr-pgpool completions bash > /etc/bash_completion.d/rr-pgpool
    Completions(generate::CompletionsArgs),
    /// Write the manual pages of this program, for packages
    #[command(hide = true)]
    Man(generate::ManArgs),
}

/// What to serve, and for how long.
#[derive(Args)]
struct ServeArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// End as after a signal when the process that started this one is gone, killed for example
    #[arg(long)]
    exit_with_parent: bool,
}

/// Which configuration to use.
#[derive(Args, Clone)]
struct ConfigArgs {
    /// Configuration file
    #[arg(short = 'c', long = "config", default_value = ".rr.yaml", value_name = "FILE")]
    config: PathBuf,
    /// Override a key, as in RoadRunner; repeatable
    #[arg(short = 'o', long = "override", value_name = "KEY.PATH=VALUE")]
    overrides: Vec<String>,
    /// File of environment variables
    #[arg(long, value_name = "FILE")]
    dotenv: Option<PathBuf>,
}

impl ConfigArgs {
    fn options<'a>(&self, env: &'a dyn Fn(&str) -> Option<String>) -> LoadOptions<'a> {
        LoadOptions {
            path: self.config.clone(),
            overrides: self.overrides.clone(),
            dotenv: self.dotenv.clone(),
            env,
        }
    }
}

/// How to reach a running server.
#[derive(Args)]
struct ServerArgs {
    /// RPC address of the server: tcp://host:port or unix://path
    #[arg(long, env = ADDRESS_VARIABLE, default_value = "tcp://127.0.0.1:6002")]
    address: String,
    /// How long to wait for the answer
    #[arg(long, default_value = "2s", value_name = "DURATION")]
    timeout: crate::config::GoDuration,
}

impl ServerArgs {
    /// Sends a call to the server and waits `limit` for its answer.
    fn call(
        &self,
        limit: Duration,
        method: &str,
        request: &Value,
    ) -> Result<Value, client::CallError> {
        let target = self.address.parse().map_err(|reason| {
            let origin = self.origin(std::env::var(ADDRESS_VARIABLE).ok().as_deref());
            client::CallError::Address { origin, reason, found: self.address.clone() }
        })?;
        client::call(&target, limit, method, request)
    }

    /// Where the address comes from, given what the environment says.
    fn origin(&self, variable: Option<&str>) -> &'static str {
        if variable == Some(self.address.as_str()) { ADDRESS_VARIABLE } else { "--address" }
    }
}

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    let env = |name: &str| std::env::var(name).ok();
    match Cli::parse().command {
        Command::Serve(args) => serve::run(&args.config, args.exit_with_parent),
        Command::CheckConfig(args) => check_config::run(&args.options(&env)),
        Command::Health(args) => health::run(&args),
        Command::Stats(args) => stats::run(&args),
        Command::Exec(args) => exec::run(&args),
        Command::Reload(args) => reload::run(&args),
        Command::Demo(args) => demo::run(&args),
        Command::Completions(args) => generate::completions(&args),
        Command::Man(args) => generate::man(&args),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_address_is_repeated_with_its_origin() {
        let timeout = crate::config::GoDuration::from_secs(1);
        let args = ServerArgs { address: "foo".to_owned(), timeout };
        assert_eq!(args.origin(Some("foo")), "PGPOOL_RPC");
        assert_eq!(args.origin(Some("tcp://:1")), "--address");
        assert_eq!(args.origin(None), "--address");
        let error = args.call(timeout.get(), "pgpool.Version", &Value::Null).unwrap_err();
        let text =
            "--address: an address is written tcp://host:port or unix://path (found \"foo\")";
        assert_eq!(error.to_string(), text);
    }
}
