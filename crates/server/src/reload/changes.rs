//! What differs between two configurations, key by key, without a secret.

use std::collections::BTreeMap;

use pool_manager::Secret;
use pool_manager::config::BackendConfig;
use serde_json::Value;

use crate::config::Config;

/// Keys, or the begin of keys, that hold from the start of the process to its end.
const NEEDS_RESTART: [&str; 10] = [
    "enabled",
    "threads",
    "rpc.listen",
    "rpc.file_mode",
    "rpc.max_connections",
    "proxy.address",
    "proxy.file_mode",
    "logging.level",
    "logging.format",
    "monitoring.",
];
/// The same of every backend.
const BACKEND_NEEDS_RESTART: [&str; 1] = ["session_safe_functions"];

/// A line for each key whose value differs.
pub(super) fn between(old: &Config, new: &Config) -> Vec<String> {
    let (before, after) = (flat(old), flat(new));
    let keys: std::collections::BTreeSet<_> = before.keys().chain(after.keys()).collect();
    let mut lines = Vec::new();
    for key in keys {
        let line = match (before.get(key), after.get(key)) {
            (Some(before), Some(after)) if before == after => continue,
            (Some(before), Some(after)) if before.shown == after.shown => {
                format!("{key}: changed")
            }
            (before, after) => {
                let shown = |value: Option<&Leaf>| {
                    value.map_or_else(|| "not set".to_owned(), |leaf| leaf.shown.clone())
                };
                format!("{key}: {} -> {}", shown(before), shown(after))
            }
        };
        let later = if needs_restart(key) { " (needs a restart; not in force yet)" } else { "" };
        lines.push(format!("{line}{later}"));
    }
    lines
}

/// Has `new` keep what cannot change, so that it says what is in force.
pub(super) fn keep_what_needs_a_restart(old: &Config, new: &mut Config) {
    new.enabled = old.enabled;
    new.threads = old.threads;
    new.rpc.listen = old.rpc.listen.clone();
    new.rpc.file_mode = old.rpc.file_mode;
    new.rpc.max_connections = old.rpc.max_connections;
    new.proxy.address = old.proxy.address.clone();
    new.proxy.file_mode = old.proxy.file_mode;
    new.logging.level = old.logging.level;
    new.logging.format = old.logging.format;
    let expose_rpc = new.monitoring.expose_rpc;
    new.monitoring = old.monitoring.clone();
    new.monitoring.expose_rpc = expose_rpc;
    let keep = |old: &BackendConfig, new: &mut BackendConfig| {
        new.behavior.session_safe_functions = old.behavior.session_safe_functions.clone();
    };
    keep(&old.backends.primary, &mut new.backends.primary);
    for (name, database) in &mut new.databases {
        if let Some(before) = old.databases.get(name) {
            keep(&before.primary, &mut database.primary);
        }
    }
}

/// Files whose contents may be others under the same name.
pub(super) fn files_read_again(config: &Config) -> Vec<String> {
    let cert = config.proxy.tls.cert.as_ref();
    cert.map(|path| format!("proxy.tls: {} was read again", path.display())).into_iter().collect()
}

pub(super) fn needs_restart(key: &str) -> bool {
    if key == "monitoring.expose_rpc" {
        return false;
    }
    let of_backend =
        BACKEND_NEEDS_RESTART.iter().any(|name| key.split(['.', '[']).any(|part| part == *name));
    of_backend
        || NEEDS_RESTART
            .iter()
            .any(|name| key == *name || (name.ends_with('.') && key.starts_with(name)))
}

/// A key's value, as it may be shown and as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Leaf {
    shown: String,
    /// Of secrets and what holds one.
    secret: Option<String>,
}

/// Every key that has a value.
fn flat(config: &Config) -> BTreeMap<String, Leaf> {
    let mut leaves = BTreeMap::new();
    for (key, shown) in shown(config) {
        leaves.insert(key, Leaf { shown, secret: None });
    }
    for (key, secret) in secrets(config) {
        if let Some(leaf) = leaves.get_mut(&key) {
            leaf.secret = Some(secret);
        }
    }
    leaves
}

/// The same as texts in which secrets are masked.
pub(super) fn shown(config: &Config) -> BTreeMap<String, String> {
    let mut leaves = BTreeMap::new();
    let section = serde_json::to_value(config).unwrap_or_default();
    collect("", &section, &mut leaves);
    leaves
}

fn collect(path: &str, value: &Value, leaves: &mut BTreeMap<String, String>) {
    match value {
        Value::Object(entries) => {
            for (key, value) in entries {
                let dot = if path.is_empty() { "" } else { "." };
                collect(&format!("{path}{dot}{key}"), value, leaves);
            }
        }
        Value::Array(items) if items.iter().any(Value::is_object) => {
            for (index, value) in items.iter().enumerate() {
                collect(&format!("{path}[{index}]"), value, leaves);
            }
        }
        Value::Null => {}
        Value::String(text) => {
            leaves.insert(path.to_owned(), text.clone());
        }
        other => {
            leaves.insert(path.to_owned(), other.to_string());
        }
    }
}

/// The values that are masked, by the keys under which they are.
fn secrets(config: &Config) -> Vec<(String, String)> {
    let mut secrets = Vec::new();
    let mut backend = |path: String, backend: &BackendConfig| {
        if let Some(dsn) = &backend.dsn {
            secrets.push((format!("{path}.dsn"), dsn.expose().to_owned()));
        }
        if let Some(password) = &backend.password {
            secrets.push((format!("{path}.password"), password.expose().to_owned()));
        }
    };
    backend("backends.primary".to_owned(), &config.backends.primary);
    for (index, replica) in config.backends.replicas.iter().enumerate() {
        backend(format!("backends.replicas[{index}]"), &replica.backend);
    }
    for (name, database) in &config.databases {
        backend(format!("databases.{name}.primary"), &database.primary);
        for (index, replica) in database.replicas.iter().enumerate() {
            backend(format!("databases.{name}.replicas[{index}]"), &replica.backend);
        }
    }
    let mut push = |key: String, secret: &Secret| secrets.push((key, secret.expose().to_owned()));
    for (name, user) in &config.proxy.users {
        // Alone, or one of several.
        push(format!("proxy.users.{name}"), &user.password);
        push(format!("proxy.users.{name}.password"), &user.password);
        push(format!("proxy.users.{name}.server_password"), &user.server_password);
    }
    secrets
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn config(section: Value) -> Config {
        serde_json::from_value(section).unwrap()
    }

    #[test]
    fn each_key_that_differs_is_named_and_no_secret_shown() {
        let old = config(json!({
            "backends": {"primary": {"host": "a", "user": "u", "password": "one"}},
            "proxy": {"users": {"web": "w1", "app": {"password": "a1", "max_clients": 3}}},
        }));
        let new = config(json!({
            "backends": {"primary": {"host": "a", "user": "u", "password": "two"}},
            "proxy": {"users": {"web": "w2", "app": {"password": "a2", "max_clients": 4}},
                      "max_clients": 5},
            "threads": 2,
        }));
        assert_eq!(
            between(&old, &new),
            [
                "backends.primary.password: changed",
                "proxy.max_clients: 1000 -> 5",
                "proxy.users.app.max_clients: 3 -> 4",
                "proxy.users.app.password: changed",
                "proxy.users.web: changed",
                "threads: 1 -> 2 (needs a restart; not in force yet)",
            ]
        );
        assert_eq!(between(&old, &old), Vec::<String>::new());
    }

    #[test]
    fn what_needs_a_restart_stays_as_it_is() {
        let old = config(json!({"threads": 1}));
        let mut new = config(json!({"threads": 4, "proxy": {"address": "tcp://127.0.0.1:9"}}));
        keep_what_needs_a_restart(&old, &mut new);
        assert_eq!(between(&old, &new), Vec::<String>::new());
    }
}
