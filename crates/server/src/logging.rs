//! The log: one line per event on standard error, since RoadRunner turns every chunk that a
//! service writes into one entry of its own log.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::FmtSpan;

use crate::config::LogLevel;

/// Starts logging for the process; later calls change nothing.
pub fn start(level: LogLevel) {
    let terminal = std::io::stderr().is_terminal();
    let filter = EnvFilter::new(format!("{},tokio_postgres=warn,rustls=warn", level.as_str()));
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(terminal)
        .with_target(false)
        .with_span_events(FmtSpan::NONE)
        .finish();
    // A second start in one process (tests) keeps the first log.
    let _ = tracing::subscriber::set_global_default(subscriber);
}
