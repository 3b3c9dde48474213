//! How results and errors are printed.

use std::fmt::Display;
use std::io::{IsTerminal, Write, stderr, stdout};
use std::process::ExitCode;

use comfy_table::presets::UTF8_BORDERS_ONLY;
use comfy_table::{ContentArrangement, Table};
use serde_json::Value;

/// Prints a line of a result. A reader that has gone (`| head`) is no error.
pub(super) fn line(text: impl Display) {
    let _ = writeln!(stdout(), "{text}");
}

/// Prints JSON: indented on a terminal, one line in a pipe.
pub(super) fn json(value: &Value) {
    if stdout().is_terminal() {
        line(format_args!("{value:#}"));
    } else {
        line(value);
    }
}

/// Prints an error as `rr-pgpool: …`, in red on a terminal.
pub(super) fn error(text: impl Display) {
    let (red, plain) = if stderr().is_terminal() { ("\x1b[31m", "\x1b[0m") } else { ("", "") };
    let _ = writeln!(stderr(), "{red}rr-pgpool:{plain} {text}");
}

/// Prints an error and gives the exit code to end with.
pub(super) fn fail(text: impl Display, code: u8) -> ExitCode {
    error(text);
    ExitCode::from(code)
}

/// Prints rows: a table on a terminal, tab-separated lines in a pipe.
pub(super) fn rows(header: &[String], rows: &[Vec<String>]) {
    if !stdout().is_terminal() {
        for row in std::iter::once(header).chain(rows.iter().map(Vec::as_slice)) {
            let cells: Vec<_> = row.iter().map(|cell| plain(cell)).collect();
            line(cells.join("\t"));
        }
        return;
    }
    let mut table = Table::new();
    table.load_style(UTF8_BORDERS_ONLY).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(header);
    for row in rows {
        table.add_row(row.iter().map(|cell| printable(cell)));
    }
    line(table);
}

/// A cell in tab-separated output: one line, no tabs, as PostgreSQL's COPY escapes them.
fn plain(cell: &str) -> String {
    cell.replace('\\', "\\\\").replace('\t', "\\t").replace('\n', "\\n").replace('\r', "\\r")
}

/// What a terminal may show: data must not be able to control it.
fn printable(cell: &str) -> String {
    cell.chars().map(|c| if c.is_control() && c != '\n' { '\u{fffd}' } else { c }).collect()
}

/// A JSON value as a table's cell.
pub(super) fn cell(value: &Value) -> String {
    match value {
        Value::Null => "NULL".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
