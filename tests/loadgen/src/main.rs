//! The load generator: goridge connections that call Execute, latencies, and what each call costs
//! the server in CPU; and idle connections at either door. It runs on one thread, so that it takes as little as it can from a machine
//! that also runs the server; it never checks rows beyond whether an error came.

mod client;
mod execute;
mod idle;
mod process;
mod route;

use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use goridge_framing::Codec;
use serde_json::Value;

/// Calls a pgpool server over goridge and measures.
#[derive(Debug, Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    mode: Mode,
}

#[derive(Debug, Subcommand)]
enum Mode {
    /// One statement by a random key, over and over, on every connection.
    Execute(ExecuteArgs),
    /// Connections that are open and do nothing: the server's memory.
    Idle(IdleArgs),
    /// Nothing but finding the server of a statement, in this process.
    Route(RouteArgs),
}

/// What both modes need.
#[derive(Debug, Args)]
struct Common {
    /// Where the server listens: tcp://host:port or unix://path.
    #[arg(long, default_value = "tcp://127.0.0.1:6002")]
    address: String,
    /// Server process to watch; repeat it to add several up.
    #[arg(long)]
    pid: Vec<u32>,
    /// Print one JSON object instead of text.
    #[arg(long)]
    json: bool,
    /// How bodies are encoded: json or msgpack.
    #[arg(long, default_value = "json", value_parser = codec)]
    codec: Codec,
}

#[derive(Debug, Args)]
struct ExecuteArgs {
    #[command(flatten)]
    common: Common,
    /// How many connections call at the same time.
    #[arg(long, default_value_t = 16)]
    connections: usize,
    /// How long is measured, in seconds.
    #[arg(long, default_value = "5", value_parser = seconds)]
    duration: Duration,
    /// How long calls run before that, in seconds.
    #[arg(long, default_value = "1", value_parser = seconds)]
    warmup: Duration,
    /// The statement; $1 is the key.
    #[arg(long, default_value = "SELECT abalance FROM pgbench_accounts WHERE aid = $1")]
    query: String,
    /// Keys are drawn from 1 to this.
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u32).range(1..))]
    keys: u32,
}

#[derive(Debug, Args)]
struct IdleArgs {
    #[command(flatten)]
    common: Common,
    /// What is spoken: goridge or postgres.
    #[arg(long, value_enum, default_value_t = Protocol::Goridge)]
    protocol: Protocol,
    /// User at the PostgreSQL door.
    #[arg(long, default_value = "app")]
    user: String,
    /// Password at the PostgreSQL door, if it asks for one.
    #[arg(long, default_value = "")]
    password: String,
    /// Database at the PostgreSQL door.
    #[arg(long, default_value = "primary")]
    database: String,
    /// How many connections stay open.
    #[arg(long, default_value_t = 10_000)]
    connections: usize,
    /// Executed once on every connection for the second figure.
    #[arg(long, default_value = "SELECT 1")]
    query: String,
    /// How long the server gets to settle before its memory is read, in seconds.
    #[arg(long, default_value = "2", value_parser = seconds)]
    settle: Duration,
}

#[derive(Debug, Args)]
struct RouteArgs {
    /// How often each.
    #[arg(long, default_value_t = 1_000_000)]
    calls: u32,
}

/// The doors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Protocol {
    Goridge,
    Postgres,
}

fn seconds(text: &str) -> Result<Duration, String> {
    let number: f64 = text.parse().map_err(|_| format!("{text} is not a number of seconds"))?;
    Duration::try_from_secs_f64(number).map_err(|error| error.to_string())
}

fn codec(text: &str) -> Result<Codec, String> {
    match text {
        "json" => Ok(Codec::Json),
        "msgpack" => Ok(Codec::MsgPack),
        _ => Err("say json or msgpack".to_owned()),
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    let (json, result) = match &cli.mode {
        Mode::Execute(args) => (args.common.json, execute::run(args).await),
        Mode::Idle(args) => (args.common.json, idle::run(args).await),
        Mode::Route(args) => (true, route::run(args).await),
    };
    match result {
        Ok(report) => {
            print_report(&report, json);
            ExitCode::SUCCESS
        }
        Err(error) => {
            complain(&format!("loadgen: {error}"));
            ExitCode::FAILURE
        }
    }
}

#[allow(clippy::print_stderr, reason = "a tool for the terminal")]
fn complain(line: &str) {
    eprintln!("{line}");
}

fn print_report(report: &Value, json: bool) {
    match report {
        Value::Object(fields) if !json => {
            for (name, value) in fields {
                println!("{name:24} {value}");
            }
        }
        other => println!("{other}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_parse() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
        let cli = Cli::parse_from(["loadgen", "execute", "--pid", "1", "--pid", "2"]);
        let Mode::Execute(args) = cli.mode else { panic!("wrong mode") };
        assert_eq!((args.connections, args.common.pid.len()), (16, 2));
        assert!(Cli::try_parse_from(["loadgen", "execute", "--duration", "-1"]).is_err());
        assert!(Cli::try_parse_from(["loadgen", "execute", "--keys", "0"]).is_err());
    }
}
