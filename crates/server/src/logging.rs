//! The log: one line per event on standard error, since RoadRunner turns every chunk that a
//! service writes into one entry of its own log.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::FmtSpan;

use crate::config::{LogFormat, LogLevel};

/// Starts logging for the process; later calls change nothing.
pub(crate) fn start(level: LogLevel, format: LogFormat) {
    let terminal = std::io::stderr().is_terminal();
    let level = match level {
        LogLevel::Debug => "debug",
        LogLevel::Info => "info",
        LogLevel::Warn => "warn",
        LogLevel::Error => "error",
    };
    // Of libraries only what is wrong.
    let filter =
        EnvFilter::new(format!("warn,rr_pgpool={level},pool_manager={level},pgwire_proxy={level}"));
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_target(false)
        .with_span_events(FmtSpan::NONE);
    // A second start in one process (tests) keeps the first log.
    let _ = match format {
        LogFormat::Text => {
            tracing::subscriber::set_global_default(lines.with_ansi(terminal).finish())
        }
        LogFormat::Json => {
            tracing::subscriber::set_global_default(lines.json().flatten_event(true).finish())
        }
    };
}
