//! The settings that SET changes, under their names here and under PgBouncer's, and the list of all.

use std::time::Duration;

use pgwire_proxy::Setting;
use pool_manager::config::{BackendConfig, GoDuration, PoolMode};

use super::changes;
use crate::config::Config;

/// A setting that can be changed at run time.
struct Changeable {
    /// PgBouncer's name; of backends' settings it stands for all of them.
    name: &'static str,
    /// Ours; what follows `backends.primary.` stands for all backends.
    key: &'static str,
    set: fn(&mut Config, &str) -> Result<(), String>,
}

const fn setting(
    name: &'static str,
    key: &'static str,
    set: fn(&mut Config, &str) -> Result<(), String>,
) -> Changeable {
    Changeable { name, key, set }
}

const CHANGEABLE: [Changeable; 15] = [
    setting("client_idle_timeout", "proxy.client_timeout", |config, value| {
        duration(value).map(|value| config.proxy.client_timeout = value)
    }),
    setting("client_login_timeout", "proxy.login_timeout", |config, value| {
        duration(value).map(|value| config.proxy.login_timeout = value)
    }),
    setting("default_pool_size", "backends.primary.pool.max_connections", |config, value| {
        let value = number(value)?;
        each(config, |backend| backend.pool.max_connections = value)
    }),
    setting("idle_transaction_timeout", "proxy.idle_transaction_timeout", |config, value| {
        duration(value).map(|value| config.proxy.idle_transaction_timeout = value)
    }),
    setting("max_client_conn", "proxy.max_clients", |config, value| {
        number(value).map(|value| config.proxy.max_clients = value)
    }),
    setting(
        "max_db_client_connections",
        "backends.primary.behavior.max_clients",
        |config, value| {
            let value = number(value)?;
            each(config, |backend| backend.behavior.max_clients = value)
        },
    ),
    setting(
        "max_prepared_statements",
        "backends.primary.behavior.statement_cache_size",
        |config, value| {
            let value = number(value)?;
            each(config, |backend| backend.behavior.statement_cache_size = value)
        },
    ),
    setting("min_pool_size", "backends.primary.pool.min_connections", |config, value| {
        let value = number(value)?;
        each(config, |backend| backend.pool.min_connections = Some(value))
    }),
    setting("pool_mode", "backends.primary.behavior.mode", |config, value| {
        let mode = match value.trim().to_ascii_lowercase().as_str() {
            "session" => PoolMode::Session,
            "transaction" => PoolMode::Transaction,
            "statement" => PoolMode::Statement,
            "auto" => PoolMode::Auto,
            _ => return Err("write session, transaction, statement or auto".to_owned()),
        };
        each(config, |backend| backend.behavior.mode = mode)
    }),
    setting("query_timeout", "proxy.query_timeout", |config, value| {
        duration(value).map(|value| config.proxy.query_timeout = value)
    }),
    setting("query_wait_notify", "proxy.wait_notice", |config, value| {
        duration(value).map(|value| config.proxy.wait_notice = value)
    }),
    setting("query_wait_timeout", "backends.primary.pool.acquire_timeout", |config, value| {
        let value = duration(value)?;
        each(config, |backend| backend.pool.acquire_timeout = value)
    }),
    setting("server_idle_timeout", "backends.primary.pool.max_idle_time", |config, value| {
        let value = duration(value)?;
        each(config, |backend| backend.pool.max_idle_time = value)
    }),
    setting("server_lifetime", "backends.primary.pool.max_lifetime", |config, value| {
        let value = duration(value)?;
        each(config, |backend| backend.pool.max_lifetime = value)
    }),
    setting("transaction_timeout", "proxy.transaction_timeout", |config, value| {
        duration(value).map(|value| config.proxy.transaction_timeout = value)
    }),
];

/// Does to the primary of every database what `change` does to one.
fn each(config: &mut Config, change: impl Fn(&mut BackendConfig)) -> Result<(), String> {
    change(&mut config.backends.primary);
    config.databases.values_mut().for_each(|database| change(&mut database.primary));
    Ok(())
}

fn number(value: &str) -> Result<u32, String> {
    value.trim().parse().map_err(|_| "the value is no whole number".to_owned())
}

/// PgBouncer writes seconds, with a fraction or not; Go's durations will do, too.
fn duration(value: &str) -> Result<GoDuration, String> {
    let value = value.trim();
    if let Ok(seconds) = value.parse::<f64>() {
        let duration = Duration::try_from_secs_f64(seconds);
        return duration.map(GoDuration::new).map_err(|error| error.to_string());
    }
    value.parse().map_err(|error: pool_manager::config::DurationError| error.to_string())
}

/// Changes one setting.
///
/// # Errors
/// There is no such setting, it cannot change, or not to that.
pub(super) fn set(config: &mut Config, key: &str, value: &str) -> Result<(), String> {
    let found = CHANGEABLE.iter().find(|it| it.name == key || it.key == key);
    if let Some(setting) = found {
        return (setting.set)(config, value);
    }
    if changes::shown(config).contains_key(key) {
        return Err(match changes::needs_restart(key) {
            true => "it holds until the process ends; change the file, and restart".to_owned(),
            false => "it cannot be set here; change the file, and RELOAD".to_owned(),
        });
    }
    let names: Vec<_> = CHANGEABLE.iter().map(|setting| setting.name).collect();
    Err(format!("there is no such setting; these can be changed: {}", names.join(", ")))
}

/// Every setting with its value and default: PgBouncer's names first, then all keys.
pub(super) fn list(config: &Config) -> Vec<Setting> {
    let (values, defaults) = (changes::shown(config), changes::shown(&Config::default()));
    let aliases = CHANGEABLE.iter().map(|setting| Setting {
        key: setting.name.to_owned(),
        value: values.get(setting.key).cloned(),
        default: defaults.get(setting.key).cloned(),
        changeable: true,
    });
    let keys = values.iter().map(|(key, value)| Setting {
        key: key.clone(),
        value: Some(value.clone()),
        default: defaults.get(key).cloned(),
        changeable: CHANGEABLE.iter().any(|setting| setting.key == key),
    });
    aliases.chain(keys).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set_to(key: &str, value: &str) -> Result<Config, String> {
        let mut config = Config::default();
        set(&mut config, key, value).map(|()| config)
    }

    #[test]
    fn settings_have_pgbouncers_names_and_units_and_ours() {
        let config = set_to("query_wait_timeout", "1.5").unwrap();
        let expected = GoDuration::new(Duration::from_millis(1500));
        assert_eq!(config.backends.primary.pool.acquire_timeout, expected);
        assert_eq!(
            set_to("proxy.client_timeout", "2m").unwrap().proxy.client_timeout,
            GoDuration::from_secs(120)
        );
        assert_eq!(set_to("max_client_conn", "7").unwrap().proxy.max_clients, 7);
        assert!(set_to("max_client_conn", "many").is_err());
        assert!(set_to("pool_mode", "none").unwrap_err().contains("statement"));
    }

    #[test]
    fn what_cannot_change_says_so() {
        assert!(set_to("rpc.listen", "x").unwrap_err().contains("restart"));
        assert!(set_to("rpc.max_in_flight", "1").unwrap_err().contains("RELOAD"));
        assert!(set_to("nothing", "1").unwrap_err().contains("max_client_conn"));
    }

    #[test]
    fn each_changeable_key_is_one_and_has_a_value_to_show() {
        let mut config = Config::default();
        config.backends.primary.pool.min_connections = Some(1);
        let shown = changes::shown(&config);
        for setting in &CHANGEABLE {
            assert!(shown.contains_key(setting.key), "{}", setting.key);
            assert!(!changes::needs_restart(setting.key), "{}", setting.key);
        }
    }
}
