//! The log: one line per event on standard error, since RoadRunner turns every chunk that a
//! service writes into one entry of its own log, and collectors take every line for an event.

use std::io::{self, IsTerminal, Stderr, Write};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::FmtSpan;

use crate::config::{LogFormat, LogLevel};

/// Starts logging for the process; later calls change nothing.
pub(crate) fn start(level: LogLevel, format: LogFormat) {
    let terminal = io::stderr().is_terminal();
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
        .with_writer(|| OneLine(io::stderr()))
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

/// Writes an event, which comes in one piece, as one line and in one call: a message of
/// PostgreSQL's, or a name that a client has sent, may contain line breaks.
struct OneLine<W = Stderr>(W);

impl<W: Write> Write for OneLine<W> {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let text = event.strip_suffix(b"\n").unwrap_or(event);
        if !text.iter().any(|byte| matches!(byte, b'\n' | b'\r')) {
            self.0.write_all(event)?;
            return Ok(event.len());
        }
        let mut line = Vec::with_capacity(event.len() + 16);
        for byte in text {
            match byte {
                b'\n' => line.extend_from_slice(b"\\n"),
                b'\r' => line.extend_from_slice(b"\\r"),
                byte => line.push(*byte),
            }
        }
        line.push(b'\n');
        self.0.write_all(&line)?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_one_line_whatever_is_in_it() {
        let mut log = OneLine(Vec::new());
        log.write_all(b"INFO plain\n").unwrap();
        log.write_all(b"INFO two\nlines\r\nand INFO more\n").unwrap();
        let text = String::from_utf8(log.0).unwrap();
        assert_eq!(text, "INFO plain\nINFO two\\nlines\\r\\nand INFO more\n");
    }
}
