//! Statements as a table.

use serde_json::Value;

use crate::cli::output::{self, Layout};

/// Title and field; the text, which is long, at the end.
const COLUMNS: [(&str, &str); 8] = [
    ("database", "database"),
    ("calls", "calls"),
    ("err", "errors"),
    ("rows", "rows"),
    ("total ms", "total_time_us"),
    ("mean us", "mean_time_us"),
    ("p99 us", "p99_time_us"),
    ("query", "query"),
];

/// All statements of an answer.
pub(super) fn shown(answer: &Value) -> String {
    let header: Vec<String> = COLUMNS.iter().map(|(title, _)| (*title).to_owned()).collect();
    let queries = answer.get("queries").and_then(Value::as_array).into_iter().flatten();
    let rows: Vec<Vec<String>> = queries
        .map(|query| COLUMNS.iter().map(|(title, field)| cell(title, query.get(*field))).collect())
        .collect();
    output::table_text(&header, &rows, Layout::Wrapped)
}

fn cell(title: &str, value: Option<&Value>) -> String {
    let Some(value) = value else { return String::new() };
    match (title, value.as_u64()) {
        ("total ms", Some(micros)) => (micros / 1000).to_string(),
        _ => output::cell(value),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_statement_is_a_row() {
        let query = json!({"database": "primary", "query": "SELECT ?", "calls": 3, "errors": 1,
            "rows": 2, "total_time_us": 4_500, "mean_time_us": 1_500, "p99_time_us": 2_000});
        let text = shown(&json!({ "queries": [query] }));
        let expected = "database\tcalls\terr\trows\ttotal ms\tmean us\tp99 us\tquery\n\
                        primary\t3\t1\t2\t4\t1500\t2000\tSELECT ?";
        assert_eq!(text, expected);
    }
}
