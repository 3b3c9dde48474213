//! How results and errors are printed.

use std::fmt::Display;
use std::io::{IsTerminal, Write, stderr, stdout};
use std::process::ExitCode;

use comfy_table::presets::UTF8_BORDERS_ONLY;
use comfy_table::{CellAlignment, ContentArrangement, Table};
use serde_json::Value;

/// Narrowest terminal that is believed, in columns.
const MIN_WIDTH: u16 = 20;

/// How a missing value is shown.
const NULL: &str = "NULL";

/// Prints a line of a result. A reader that has gone (`| head`) is no error.
pub(super) fn line(text: impl Display) {
    let _ = writeln!(stdout(), "{text}");
}

/// Prints a text as it is, at once; whether somebody took it.
pub(super) fn try_text(text: &str) -> bool {
    let mut out = stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).is_ok()
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
    let name = if stderr().is_terminal() {
        Colour::Red.paint("rr-pgpool:")
    } else {
        "rr-pgpool:".to_owned()
    };
    let _ = writeln!(stderr(), "{name} {text}");
}

/// Prints an error and gives the exit code to end with.
pub(super) fn fail(text: impl Display, code: u8) -> ExitCode {
    error(text);
    ExitCode::from(code)
}

/// A colour that says how things stand.
#[derive(Clone, Copy)]
pub(super) enum Colour {
    Green,
    Red,
}

impl Colour {
    fn paint(self, text: &str) -> String {
        let code = match self {
            Self::Green => 32,
            Self::Red => 31,
        };
        format!("\x1b[{code}m{text}\x1b[0m")
    }
}

/// `text` for a line of a result, in a colour when that goes to a terminal.
pub(super) fn coloured(colour: Colour, text: &str) -> String {
    if stdout().is_terminal() { colour.paint(text) } else { text.to_owned() }
}

/// Whether results go to a terminal.
pub(super) fn to_terminal() -> bool {
    stdout().is_terminal()
}

/// How a table is laid out on a terminal.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Layout {
    /// As wide as the terminal at most: long cells are wrapped.
    Wrapped,
    /// Narrow columns, and no cell is ever wrapped.
    Whole,
}

/// Prints rows: a table on a terminal, tab-separated lines in a pipe.
pub(super) fn rows(header: &[String], rows: &[Vec<String>], layout: Layout) {
    line(table_text(header, rows, layout));
}

/// The same as text, without the last line's end.
pub(super) fn table_text(header: &[String], rows: &[Vec<String>], layout: Layout) -> String {
    if to_terminal() {
        return table(header, rows, layout).to_string();
    }
    let all = std::iter::once(header).chain(rows.iter().map(Vec::as_slice));
    let line = |row: &[String]| row.iter().map(|cell| plain(cell)).collect::<Vec<_>>().join("\t");
    all.map(line).collect::<Vec<_>>().join("\n")
}

/// A table with numbers to the right.
fn table(header: &[String], rows: &[Vec<String>], layout: Layout) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_BORDERS_ONLY);
    if wraps(layout, table.width()) {
        table.set_content_arrangement(ContentArrangement::Dynamic);
    }
    table.set_header(header.iter().map(|title| printable(title)));
    for row in rows {
        table.add_row(row.iter().map(|cell| printable(cell)));
    }
    let last = header.len().saturating_sub(1);
    for (index, column) in table.column_iter_mut().enumerate() {
        let mut cells = rows.iter().filter_map(|row| row.get(index)).peekable();
        if cells.peek().is_some() && cells.all(|cell| is_number(cell)) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        if layout == Layout::Whole {
            column.set_padding(if index == last { (1, 1) } else { (1, 0) });
        }
    }
    table
}

/// Whether to wrap cells on a terminal of so many columns. One that says 0, or next to nothing,
/// does not know.
fn wraps(layout: Layout, width: Option<u16>) -> bool {
    layout == Layout::Wrapped && width.is_some_and(|width| width >= MIN_WIDTH)
}

/// Whether a cell is a number, or the NULL among numbers.
fn is_number(cell: &str) -> bool {
    cell == NULL || cell.parse::<f64>().is_ok()
}

/// A cell in tab-separated output: one line, no tabs, as PostgreSQL's COPY escapes them.
fn plain(cell: &str) -> String {
    cell.replace('\\', "\\\\").replace('\t', "\\t").replace('\n', "\\n").replace('\r', "\\r")
}

/// What a terminal may show: data must not be able to control it.
pub(super) fn printable(cell: &str) -> String {
    cell.chars().map(|c| if c.is_control() && c != '\n' { '\u{fffd}' } else { c }).collect()
}

/// A JSON value as a table's cell.
pub(super) fn cell(value: &Value) -> String {
    match value {
        Value::Null => NULL.to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strings(cells: &[&str]) -> Vec<String> {
        cells.iter().map(|cell| (*cell).to_owned()).collect()
    }

    #[test]
    fn numbers_stand_to_the_right_and_words_to_the_left() {
        let rows =
            [strings(&["1", "one"]), strings(&["NULL", "no number"]), strings(&["-12.5", ""])];
        let text = table(&strings(&["number", "word"]), &rows, Layout::Wrapped).to_string();
        assert!(text.contains("│ number   word      │"), "{text}");
        assert!(text.contains("│      1   one       │"), "{text}");
        assert!(text.contains("│  -12.5             │"), "{text}");
    }

    #[test]
    fn a_whole_table_is_narrow() {
        let rows = [strings(&["primary", "25", "0"])];
        let text = table(&strings(&["pool", "all", "idle"]), &rows, Layout::Whole).to_string();
        assert!(text.contains("│ pool     all  idle │"), "{text}");
        assert!(text.contains("│ primary   25     0 │"), "{text}");
    }

    #[test]
    fn only_a_terminal_that_knows_its_width_wraps() {
        for (layout, width, expected) in [
            (Layout::Wrapped, Some(80), true),
            (Layout::Wrapped, Some(20), true),
            (Layout::Wrapped, Some(19), false),
            (Layout::Wrapped, Some(0), false),
            (Layout::Wrapped, None, false),
            (Layout::Whole, Some(80), false),
        ] {
            assert_eq!(wraps(layout, width), expected, "{width:?}");
        }
    }

    #[test]
    fn data_does_not_control_a_terminal() {
        assert_eq!(printable("a\x1b[31m\u{9b}b\nc"), "a\u{fffd}[31m\u{fffd}b\nc");
    }

    #[test]
    fn a_line_in_a_pipe_stays_one_line() {
        assert_eq!(plain("a\tb\nc\\d\r"), "a\\tb\\nc\\\\d\\r");
    }
}
