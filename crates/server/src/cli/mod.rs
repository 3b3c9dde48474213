//! The command line: `serve`, `check-config`, `health`, `stats`, `exec`, `demo`.
//!
//! Tables and colours on a terminal, plain text in a pipe; results on standard output, everything
//! else on standard error.

mod check_config;
mod client;
mod demo;
mod exec;
mod health;
mod output;
mod serve;
mod stats;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::config::LoadOptions;

/// Exit code of a command that was asked for something it could not do.
const FAILED: u8 = 1;

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
    /// Serve goridge RPC until SIGINT or SIGTERM
    Serve(ConfigArgs),
    /// Check a configuration and print what it comes down to, secrets masked
    CheckConfig(ConfigArgs),
    /// Ask a running server whether its databases are healthy (exit 0 yes, 1 no, 2 unreachable)
    Health(health::HealthArgs),
    /// Show the pools of a running server
    Stats(stats::StatsArgs),
    /// Execute one statement through a running server
    Exec(exec::ExecArgs),
    /// Serve a throw-away PostgreSQL with sample data, and print what to try
    Demo(demo::DemoArgs),
}

/// Which configuration to use.
#[derive(Args)]
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
    #[arg(long, env = "PGPOOL_RPC", default_value = "tcp://127.0.0.1:6002")]
    address: String,
    /// How long to wait for the answer
    #[arg(long, default_value = "2s", value_name = "DURATION")]
    timeout: crate::config::GoDuration,
}

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    let env = |name: &str| std::env::var(name).ok();
    match Cli::parse().command {
        Command::Serve(args) => serve::run(&args.options(&env)),
        Command::CheckConfig(args) => check_config::run(&args.options(&env)),
        Command::Health(args) => health::run(&args),
        Command::Stats(args) => stats::run(&args),
        Command::Exec(args) => exec::run(&args),
        Command::Demo(args) => demo::run(&args),
    }
}
