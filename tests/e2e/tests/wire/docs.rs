//! What the documents say of tests.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn sources(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            if path.file_name().is_some_and(|name| name != "target") {
                sources(&path, found);
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// Every name in backticks in the third column of a document's tables that could be a test's, or a
/// fuzz target's, is one. `end` is what stands behind those tables.
fn assert_tests_exist(document: &str, end: &str) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let text = fs::read_to_string(root.join(document)).unwrap();
    let table = text.split(end).next().unwrap();
    let rows = table.lines().filter(|line| line.starts_with("| ")).skip(1);
    let mut names = BTreeSet::new();
    for row in rows.filter(|row| !row.starts_with("|---")) {
        let tests = row.split('|').nth(3).unwrap_or_default();
        let quoted: Vec<&str> = tests.split('`').skip(1).step_by(2).collect();
        let here: Vec<&str> = quoted
            .into_iter()
            .filter(|name| {
                name.chars().all(|c| c.is_ascii_lowercase() || c == '_' || c.is_ascii_digit())
            })
            .collect();
        assert!(!here.is_empty(), "no test is named: {row}");
        names.extend(here.into_iter().map(str::to_owned));
    }
    assert!(names.len() > 30, "{names:?}");
    let mut files = Vec::new();
    for directory in ["crates", "tests", "fuzz/fuzz_targets"] {
        sources(&root.join(directory), &mut files);
    }
    let code: String = files.iter().map(|file| fs::read_to_string(file).unwrap()).collect();
    let missing: Vec<_> =
        names.iter().filter(|name| !code.contains(&format!("fn {name}("))).collect();
    assert!(missing.is_empty(), "{document} names tests that are not there: {missing:?}");
}

#[test]
fn each_bug_of_others_has_the_test_that_is_named() {
    assert_tests_exist("docs/testing.md", "## Long checks");
}

#[test]
fn each_setting_has_the_test_that_is_named() {
    assert_tests_exist("docs/configuration.md", "\n## ");
}
