//! Tests of the classifier, by what they show.

mod clean;
mod properties;
mod reset;
mod session;
mod settings;
mod statements;

use super::*;

fn classify_plain(sql: &str) -> Classification {
    classify(sql, &SafeFunctions::default())
}
