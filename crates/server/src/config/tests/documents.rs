//! `schema.json` and `rr.yaml.example` at the repository's root say what the types say.

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde_json::Value as Json;

use super::*;
use crate::config::tree::{Node, Value};
use crate::config::{json_schema, schema, yaml};

/// Set this variable to write `schema.json` anew instead of comparing it.
const WRITE: &str = "RR_PGPOOL_WRITE_SCHEMA";

fn at_root(name: &str) -> PathBuf {
    // CARGO_MANIFEST_DIR is crates/server.
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..").join(name)
}

fn example() -> String {
    std::fs::read_to_string(at_root("rr.yaml.example")).unwrap()
}

#[test]
fn schema_json_is_the_one_of_the_types() {
    let generated = format!("{}\n", serde_json::to_string_pretty(&json_schema()).unwrap());
    let file = at_root("schema.json");
    if std::env::var_os(WRITE).is_some() {
        std::fs::write(&file, &generated).unwrap();
    }
    let committed = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(
        committed == generated,
        "schema.json is out of date; write it with {WRITE}=1 cargo test -p rr-pgpool schema_json"
    );
}

#[test]
fn the_schema_is_closed_and_described() {
    fn check(schema: &Json, path: &str) {
        let Json::Object(object) = schema else { return };
        if let Some(Json::Object(properties)) = object.get("properties") {
            assert_eq!(object.get("additionalProperties"), Some(&Json::Bool(false)), "{path}");
            for (key, property) in properties {
                assert!(property.get("description").is_some(), "{path}.{key} has no description");
            }
        }
        for (key, value) in object {
            check(value, &format!("{path}.{key}"));
        }
    }
    let schema = json_schema();
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2019-09/schema");
    check(&schema, "");
}

#[test]
fn the_example_has_the_defaults() {
    let files = Files::new(&example());
    let mut config = files.load(&[], &[]).unwrap();
    assert!(config.backends.primary.dsn.take().is_some());
    config.set_keys.clear();
    let minimum = config.backends.primary.pool.min_connections.take();
    let default = Config::default();
    assert_eq!(minimum, Some(default.backends.primary.pool.effective_min_connections()));
    assert_eq!(config, default);
}

/// The example with its commented-out settings put in; two that contradict others left out.
fn uncommented() -> Node {
    let example = example();
    // Before and after come samples of whole files.
    let ours = example.find("\nversion:").unwrap()..example.find("# RoadRunner launches").unwrap();
    let mut text = String::new();
    for line in example[ours].lines() {
        let body = line.trim_start();
        let indent = line.len() - body.len();
        let setting = body.strip_prefix("# ").filter(|rest| is_setting(rest.trim_start()));
        // A section's empty value gives way to the sample that follows it.
        let mut line = line.to_owned();
        for (key, empty) in [("replicas", "[]"), ("databases", "{}"), ("users", "{}")] {
            line = line.replace(&format!("{key}: {empty}"), &format!("{key}:"));
        }
        match setting {
            Some(rest) => text += &format!("{}{rest}\n", " ".repeat(indent)),
            None => text += &format!("{line}\n"),
        }
    }
    yaml::parse(&text, "rr.yaml.example").unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// `key: value` or `- key: value`, unlike prose.
fn is_setting(text: &str) -> bool {
    let key = text.trim_start_matches("- ").split(':').next().unwrap_or_default();
    let is_key = !key.is_empty() && key.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    text.contains(':') && is_key
}

fn keys(node: &Node, path: &str, found: &mut BTreeSet<String>) {
    match &node.value {
        Value::Map(entries) => {
            for (key, node) in entries {
                let key = if path == "databases" || path == "proxy.users" { "*" } else { key };
                let path = if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
                found.insert(path.clone());
                keys(node, &path, found);
            }
        }
        Value::List(items) => items.iter().for_each(|item| keys(item, &format!("{path}[]"), found)),
        Value::Null | Value::Scalar(_) => {}
    }
}

#[test]
fn the_example_names_every_key_and_no_other() {
    let tree = uncommented();
    let mut found = BTreeSet::new();
    keys(tree.get("pgpool").unwrap(), "", &mut found);
    found.remove("databases.*");
    found.remove("proxy.users.*");
    let known: BTreeSet<String> = schema::key_paths().into_iter().collect();
    let unknown: Vec<_> = found.difference(&known).collect();
    assert!(unknown.is_empty(), "{unknown:?} are in no type");
    // What replicas and further databases have in common with the primary is shown there only.
    let shown_elsewhere = |path: &str| {
        (path.starts_with("backends.replicas[].") && !path.ends_with("weight"))
            || path.starts_with("databases.*.")
    };
    let missing: Vec<_> = known.difference(&found).filter(|path| !shown_elsewhere(path)).collect();
    assert!(missing.is_empty(), "{missing:?} are not in rr.yaml.example");
    assert!(found.contains("databases.*.routing") && found.contains("databases.*.replicas"));
}

#[test]
fn the_examples_commented_settings_have_the_defaults_too() {
    let tree = uncommented();
    let primary = tree.get("pgpool").unwrap().get("backends").unwrap().get("primary").unwrap();
    let text = |key: &str| match &primary.get(key).unwrap().value {
        Value::Scalar(scalar) => scalar.text.clone(),
        _ => panic!("{key} is not a scalar"),
    };
    for (key, default) in [
        ("port", pool_manager::dsn::DEFAULT_PORT.to_string()),
        ("sslmode", pool_manager::dsn::SslMode::default().to_string()),
        ("channel_binding", pool_manager::dsn::ChannelBinding::default().to_string()),
        ("target_session_attrs", pool_manager::dsn::TargetSessionAttrs::default().to_string()),
        ("application_name", pool_manager::dsn::DEFAULT_APPLICATION_NAME.to_owned()),
        ("keepalives", "true".to_owned()),
        ("connect_timeout", "5s".to_owned()),
    ] {
        assert_eq!(text(key), default, "{key}");
    }
}

#[test]
fn every_line_of_the_example_that_sets_something_is_explained() {
    for line in example().lines() {
        let is_value =
            line.starts_with("  ") && line.contains(": ") && !line.trim().starts_with('#');
        let explained =
            line.contains(" # ") || line.contains("dsn: ") || line.ends_with(['[', ']', '}']);
        assert!(!is_value || explained, "no meaning beside: {line}");
    }
}
