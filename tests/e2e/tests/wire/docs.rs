//! What the documents say of tests, features and settings.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

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

#[test]
fn each_feature_is_in_the_table_of_versions() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let text = fs::read_to_string(root.join("docs/versions.md")).unwrap();
    let table = text.split("## Asking instead of knowing").nth(1).unwrap();
    let rows = table.lines().filter_map(|line| line.strip_prefix("| `"));
    let named: BTreeSet<&str> = rows.filter_map(|row| row.split('`').next()).collect();
    assert_eq!(named, rr_pgpool::rpc::FEATURES.into_iter().collect());
}

/// What the schema says of a setting; `NAME` stands for a name of the user's.
fn setting<'a>(schema: &'a Value, path: &str) -> Option<&'a Value> {
    fn inner<'a>(root: &'a Value, at: &'a Value, path: &[&str]) -> Option<&'a Value> {
        if let Some(reference) = at.get("$ref").and_then(Value::as_str) {
            return inner(root, root.pointer(reference.strip_prefix('#')?)?, path);
        }
        let Some((first, rest)) = path.split_first() else { return Some(at) };
        let here = match *first {
            "NAME" => at.get("additionalProperties").filter(|more| more.is_object()),
            name => at.get("properties").and_then(|properties| properties.get(name)),
        };
        let choices = ["anyOf", "oneOf", "allOf"].into_iter().filter_map(|word| at.get(word));
        let mut choices = choices.filter_map(Value::as_array).flatten();
        here.and_then(|next| inner(root, next, rest))
            .or_else(|| choices.find_map(|choice| inner(root, choice, path)))
    }
    let path: Vec<&str> = path.split('.').collect();
    inner(schema, schema, &path)
}

/// The names in backticks that could be settings of ours.
fn settings_named(text: &str) -> BTreeSet<&str> {
    let is_key = |word: &&str| {
        word.contains('.')
            && word
                .chars()
                .all(|c| c.is_ascii_lowercase() || matches!(c, '_' | '.') || c.is_ascii_uppercase())
    };
    text.split('`').skip(1).step_by(2).filter(is_key).collect()
}

#[test]
fn each_setting_that_replaces_one_of_pgbouncers_is_one() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let text = fs::read_to_string(root.join("docs/migrate.md")).unwrap();
    let schema = fs::read_to_string(root.join("schema.json")).unwrap();
    let schema: Value = serde_json::from_str(&schema).unwrap();
    let (_, table) = text.split_once("### Its settings, one by one").unwrap();
    let rows = table.lines().filter(|line| line.starts_with("| ")).skip(1);
    let ours: BTreeSet<&str> = rows
        .flat_map(|row| row.split('|').skip(2))
        .flat_map(settings_named)
        .filter(|name| !name.ends_with(".md"))
        .collect();
    assert!(ours.len() > 35, "{ours:?}");
    let missing: Vec<_> = ours.iter().filter(|key| setting(&schema, key).is_none()).collect();
    assert!(missing.is_empty(), "settings that are none: {missing:?}");
    assert!(setting(&schema, "proxy.users.NAME.max_clients").is_some());
    assert!(setting(&schema, "proxy.max_client_conn").is_none());
}

/// The first words of settings as the documents write them; those of a server without its place.
const SECTIONS: [&str; 12] = [
    "backends",
    "behavior",
    "databases",
    "features",
    "logging",
    "monitoring",
    "pool",
    "proxy",
    "routing",
    "rpc",
    "shutdown",
    "transactions",
];

#[test]
fn each_setting_that_operators_are_told_of_is_one() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let schema = fs::read_to_string(root.join("schema.json")).unwrap();
    let schema: Value = serde_json::from_str(&schema).unwrap();
    for document in ["docs/operations.md", "docs/security.md", "docs/migrate.md"] {
        let text = fs::read_to_string(root.join(document)).unwrap();
        let named = settings_named(&text);
        let ours = named.iter().filter(|name| {
            SECTIONS.contains(&name.split('.').next().unwrap_or_default()) && !name.ends_with(".md")
        });
        let missing: Vec<_> = ours
            .filter(|key| {
                setting(&schema, key).is_none()
                    && setting(&schema, &format!("backends.primary.{key}")).is_none()
            })
            .collect();
        assert!(missing.is_empty(), "{document} names settings that are none: {missing:?}");
    }
}

#[test]
fn each_message_that_operators_are_told_of_is_logged() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let text = fs::read_to_string(root.join("docs/operations.md")).unwrap();
    let (_, table) = text.split_once("After that these are worth an alert:").unwrap();
    let table = table.split("\n\n").nth(1).unwrap();
    let rows = table.lines().filter(|line| line.starts_with("| ")).skip(1);
    let messages: Vec<&str> = rows
        .filter_map(|row| row.split('|').nth(2))
        .flat_map(|cell| cell.split('`').skip(1).step_by(2))
        .filter(|message| !message.contains('.'))
        .collect();
    assert!(messages.len() > 8, "{messages:?}");
    let mut files = Vec::new();
    sources(&root.join("crates"), &mut files);
    let code: String = files.iter().map(|file| fs::read_to_string(file).unwrap()).collect();
    let missing: Vec<_> = messages.iter().filter(|message| !code.contains(**message)).collect();
    assert!(missing.is_empty(), "nothing logs {missing:?}");
}
