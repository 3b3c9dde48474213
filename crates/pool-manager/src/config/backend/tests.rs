//! The rules of a backend's settings.

use std::time::Duration;

use super::*;
use crate::dsn::Host;

fn read(json: &str) -> BackendConfig {
    serde_json::from_str(json).unwrap()
}

fn wrong(json: &str) -> String {
    read(json).validate().unwrap_err().to_string()
}

#[test]
fn one_dsn_is_a_whole_backend() {
    let backend = BackendConfig::from_dsn("postgres://app:hunter2@db/shop");
    assert_eq!(backend.validate(), Ok(()));
    let params = backend.connect_params().unwrap();
    assert_eq!(params.database, "shop");
    assert_eq!(params.password, Some(Secret::new("hunter2")));
    assert_eq!(backend.pool.max_connections, 25);
}

#[test]
fn single_settings_make_the_same_parameters_as_a_dsn() {
    let single = read(
        r#"{"host": "db", "port": 6543, "database": "shop", "user": "app", "password": "p@ss/w",
            "sslmode": "verify-full", "sslrootcert": "/ca.pem", "sslcert": "/c.pem",
            "sslkey": "/k.pem", "channel_binding": "require", "target_session_attrs": "primary",
            "connect_timeout": "2500ms", "application_name": "shop", "options": "-c work_mem=1MB",
            "keepalives": false, "keepalives_idle": "1m"}"#,
    );
    let dsn = BackendConfig::from_dsn(
        "postgres://app:p%40ss%2Fw@db:6543/shop?sslmode=verify-full&sslrootcert=/ca.pem\
         &sslcert=/c.pem&sslkey=/k.pem&channel_binding=require&target_session_attrs=primary\
         &connect_timeout=2500ms&application_name=shop&options=-c%20work_mem=1MB&keepalives=0\
         &keepalives_idle=60",
    );
    assert_eq!(single.connect_params(), dsn.connect_params());
    assert!(single.connect_params().is_ok());
}

#[test]
fn defaults_of_single_settings() {
    let params = read(r#"{"host": "db", "user": "app"}"#).connect_params().unwrap();
    let host = Host::Tcp { host: "db".into(), addr: None, port: 5432 };
    assert_eq!(params.hosts, [host]);
    assert_eq!(params.database, "app");
    assert_eq!(params.ssl_mode, SslMode::Prefer);
    assert_eq!(params.connect_timeout, Duration::from_secs(5));
    assert_eq!(params.application_name.as_deref(), Some("rr-pgpool"));
}

#[test]
fn a_dsn_beside_single_settings_is_an_error() {
    let error = wrong(r#"{"dsn": "postgres://app@db/shop", "host": "db2"}"#);
    assert!(error.starts_with("host: is set beside dsn"), "{error}");
    let error = wrong(r#"{"dsn": "postgres://app@db/shop", "sslmode": "require"}"#);
    assert_eq!(error, "sslmode: is set beside dsn; put it into the dsn as sslmode=...");
    let error = wrong(r#"{"dsn": "postgres://app@db/shop", "password": "hunter2"}"#);
    assert!(error.starts_with("password: ") && !error.contains("hunter2"), "{error}");
}

#[test]
fn empty_texts_count_as_not_set() {
    let backend = read(r#"{"dsn": "postgres://app@db", "host": "", "password": ""}"#);
    assert_eq!(backend.validate(), Ok(()));
    assert!(wrong(r#"{"dsn": "", "host": ""}"#).starts_with("dsn: is missing"));
}

#[test]
fn a_backend_needs_an_address_and_a_user() {
    assert!(!BackendConfig::default().has_address());
    assert!(wrong("{}").starts_with("dsn: is missing"));
    assert!(wrong(r#"{"host": "db"}"#).starts_with("user: is missing"));
    assert!(wrong(r#"{"dsn": "postgres://db/shop"}"#).starts_with("dsn: user: is missing"));
}

#[test]
fn errors_carry_the_settings_own_names() {
    let error = wrong(r#"{"host": "db:5432", "user": "app"}"#);
    assert!(error.starts_with("host: a host must not hold a colon"), "{error}");
    let error = wrong(r#"{"host": "db", "user": "app", "pool": {"max_connections": 0}}"#);
    assert!(error.starts_with("pool.max_connections: must be from 1"), "{error}");
    let error =
        wrong(r#"{"host": "db", "user": "app", "behavior": {"statement_cache_size": 999999}}"#);
    assert!(error.starts_with("behavior.statement_cache_size: "), "{error}");
    let error = wrong(r#"{"host": "db", "user": "app", "connect_timeout": "0s"}"#);
    assert!(error.starts_with("connect_timeout: must be more than 0"), "{error}");
    let error = wrong(r#"{"host": "db", "user": "app", "sslcert": "/c.pem"}"#);
    assert!(error.starts_with("sslkey: is missing"), "{error}");
}

#[test]
fn no_secret_in_debug_or_serialized_text() {
    let backends = [
        read(r#"{"host": "db", "user": "app", "password": "hunter2"}"#),
        BackendConfig::from_dsn("postgres://app:hunter2@db/shop"),
        BackendConfig::from_dsn("host=db user=app password=hunter2"),
        BackendConfig::from_dsn("postgres://app:hunter2@db:port/shop"),
    ];
    for backend in backends {
        let debug = format!("{backend:?}");
        let json = serde_json::to_string(&backend).unwrap();
        assert!(!debug.contains("hunter2") && debug.contains("***"), "{debug}");
        assert!(!json.contains("hunter2") && json.contains("***"), "{json}");
    }
}
