//! The effective configuration as text, secrets masked: what `rr-pgpool check-config` prints.

use std::fmt::Write;

use pool_manager::config::BackendConfig;
use pool_manager::dsn::Dsn;
use serde_json::{Map, Value};

use super::error::ConfigError;
use super::load::LoadOptions;
use super::overrides::Override;
use super::types::Config;

/// Loads a configuration and renders it, with what was overridden and which variables
/// are not set.
///
/// # Errors
/// See [`Config::load`].
pub fn check_config(options: &LoadOptions<'_>) -> Result<String, ConfigError> {
    let (config, unset) = Config::load_noting(options)?;
    let mut text = format!("# {}: valid\n", options.path.display());
    for given in &options.overrides {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "# -o {}", masked_override(&Override::parse(given)?));
    }
    for reference in unset {
        let _ = writeln!(text, "# {reference}");
    }
    text.push_str(&render(&config));
    Ok(text)
}

/// The configuration as YAML with every default filled in and every secret masked.
///
/// Settings without a value, such as `host` beside a `dsn`, are left out.
pub fn render(config: &Config) -> String {
    let mut config = config.clone();
    each_backend(&mut config, &mut |backend| {
        backend.pool.min_connections = Some(backend.pool.effective_min_connections());
    });
    let mut section = serde_json::to_value(&config).unwrap_or_default();
    drop_nulls(&mut section);
    let mut root = Map::new();
    root.insert("version".to_owned(), Value::from("3"));
    root.insert("pgpool".to_owned(), section);
    serde_saphyr::to_string(&Value::Object(root)).unwrap_or_default()
}

fn each_backend(config: &mut Config, change: &mut dyn FnMut(&mut BackendConfig)) {
    change(&mut config.backends.primary);
    config.backends.replicas.iter_mut().for_each(|replica| change(&mut replica.backend));
    for database in config.databases.values_mut() {
        change(&mut database.primary);
        database.replicas.iter_mut().for_each(|replica| change(&mut replica.backend));
    }
}

fn drop_nulls(value: &mut Value) {
    match value {
        Value::Object(entries) => {
            entries.retain(|_, value| !value.is_null());
            entries.values_mut().for_each(drop_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_nulls),
        _ => {}
    }
}

fn masked_override(set: &Override) -> String {
    let key = set.path.join(".");
    if set.path.iter().rev().nth(1).is_some_and(|section| section == "users") {
        return format!("{key}=***");
    }
    match set.path.last().map(String::as_str) {
        Some("password" | "server_password") => format!("{key}=***"),
        Some("dsn") if !set.value.contains('$') => format!("{key}={}", Dsn::new(&set.value)),
        Some("dsn") => format!("{key}=***"),
        _ => format!("{key}={}", set.value),
    }
}
