//! The limits of values, and the rules between them.

use super::*;
use crate::config::AuthMode;

#[test]
fn a_primary_needs_an_address() {
    let missing = ": is missing: give dsn: postgres://user:password@host:5432/dbname, or host, \
                   database, user and password";
    assert_eq!(
        wrong("version: '3'\npgpool:\n"),
        format!(".rr.yaml:2: pgpool.backends.primary.dsn{missing}")
    );
    assert_eq!(
        wrong("version: '3'\npgpool:\n  backends:\n    primary: {}\n"),
        format!(".rr.yaml:4: pgpool.backends.primary.dsn{missing}")
    );
    assert_eq!(
        wrong(&with_section("databases: {shop: {}}")),
        format!(".rr.yaml:7: pgpool.databases.shop.primary.dsn{missing}")
    );
}

#[test]
fn disabled_is_legal_with_nothing_else() {
    assert!(!load("version: '3'\npgpool:\n  enabled: false\n").enabled);
    // What is set is checked all the same.
    let error =
        wrong("version: '3'\npgpool:\n  enabled: false\n  backends: {primary: {port: 1}}\n");
    assert!(error.starts_with(".rr.yaml:4: pgpool.backends.primary.dsn: is missing"), "{error}");
}

#[test]
fn a_dsn_beside_a_host_is_an_error() {
    let error = wrong(&with_primary("dsn: postgres://u:hunter2@h\nhost: other"));
    assert!(
        error.starts_with(".rr.yaml:6: pgpool.backends.primary.host: is set beside dsn"),
        "{error}"
    );
}

#[test]
fn each_protocol_has_an_address_of_its_own() {
    let error = wrong(&with_section("proxy: {address: 'tcp://127.0.0.1:6002'}"));
    assert!(error.contains("pgpool.proxy.address: is rpc.listen, too"), "{error}");
    let error = wrong(&with_section("rpc: {forward: 'tcp://127.0.0.1:6002'}"));
    assert!(error.contains("pgpool.rpc.forward: is where rr-pgpool itself listens"), "{error}");
}

#[test]
fn a_remote_rpc_address_must_be_meant() {
    for address in [
        "tcp://0.0.0.0:6002",
        "tcp://:6002",
        "tcp://10.0.0.1:6002",
        "tcp://db:6002",
        "tcp://[::]:6002",
    ] {
        let lines = format!("rpc:\n  listen: {address}");
        let error = wrong(&with_section(&lines));
        assert!(error.starts_with(".rr.yaml:8: pgpool.rpc.listen: other machines"), "{error}");
        assert!(error.contains("rpc.allow_remote: true"));
        assert!(load(&with_section(&format!("{lines}\n  allow_remote: true"))).rpc.allow_remote);
    }
    for address in ["tcp://127.0.0.1:6002", "tcp://localhost:0", "tcp://[::1]:1", "unix://p.sock"] {
        load(&with_section(&format!("rpc:\n  listen: {address}")));
    }
}

#[test]
fn names_of_databases() {
    for name in ["primary", "pgpool", "pgbouncer", "PgBouncer"] {
        let error = wrong(&with_section(&format!(
            "databases: {{{name}: {{primary: {{dsn: postgres://u@h}}}}}}"
        )));
        let name = name.to_lowercase();
        assert!(error.starts_with(&format!(".rr.yaml:7: pgpool.databases.{name}: is ")), "{error}");
    }
    for name in ["-a", "a b", "'*'", "a.b", "é", "''", &"x".repeat(64)] {
        let error = wrong(&with_section(&format!(
            "databases: {{{name}: {{primary: {{dsn: postgres://u@h}}}}}}"
        )));
        assert!(error.contains("a database's name is 1 to 63"), "{error}");
    }
    for name in ["a", "shop_2", "2shop", "_x", "a-b", &"x".repeat(63), "Shop"] {
        let config = load(&with_section(&format!(
            "databases: {{{name}: {{primary: {{dsn: postgres://u@h}}}}}}"
        )));
        assert!(config.databases.contains_key(&name.to_lowercase()));
    }
}

#[test]
fn databases_start_from_the_defaults() {
    let config = load(&with_section(
        "databases:\n  shop:\n    primary: {dsn: postgres://u@h}\n    replicas: [{dsn: postgres://u@r}]\n\
         \x20   routing: {read_write_split: true}",
    ).replace("dsn: postgres://app", "pool: {max_connections: 3}\n      dsn: postgres://app"));
    assert_eq!(config.backends.primary.pool.max_connections, 3);
    let shop = &config.databases["shop"];
    assert_eq!(shop.primary.pool.max_connections, 25);
    assert_eq!(shop.replicas.len(), 1);
    assert!(shop.routing.as_ref().unwrap().read_write_split);
}

#[test]
fn limits_of_numbers_and_durations() {
    for (lines, key) in [
        ("rpc: {max_frame_size: 4095}", "rpc.max_frame_size"),
        ("rpc: {max_frame_size: 2GiB}", "rpc.max_frame_size"),
        ("rpc: {max_in_flight: 0}", "rpc.max_in_flight"),
        ("rpc: {max_connections: 0}", "rpc.max_connections"),
        ("transactions: {idle_timeout: 0}", "transactions.idle_timeout"),
        ("transactions: {max_lifetime: 0s}", "transactions.max_lifetime"),
        ("proxy: {max_clients: 0}", "proxy.max_clients"),
        ("routing: {read_patterns: ['']}", "routing.read_patterns[0]"),
        ("routing: {failover: {retry_interval: 0}}", "routing.failover.retry_interval"),
        ("routing: {failover: {max_failures: 0}}", "routing.failover.max_failures"),
        ("monitoring: {interval: 0}", "monitoring.interval"),
        ("monitoring: {prometheus: {namespace: a-b}}", "monitoring.prometheus.namespace"),
        ("monitoring: {prometheus: {subsystem: 1a}}", "monitoring.prometheus.subsystem"),
        ("monitoring: {collect: [all, a b]}", "monitoring.collect[1]"),
        ("monitoring: {collect: [query]}", "monitoring.collect[0]"),
        ("monitoring: {top_statements: 10001}", "monitoring.top_statements"),
        ("monitoring: {status: {address: 2115}}", "monitoring.status.address"),
        ("monitoring: {prometheus: {enabled: true, address: ''}}", "monitoring.prometheus.address"),
        (
            "monitoring: {prometheus: {enabled: true, address: '127.0.0.1:6002'}}",
            "monitoring.prometheus.address",
        ),
        ("monitoring: {status: {address: '127.0.0.1:5433'}}", "monitoring.status.address"),
        ("features: {cache: {ttl: 0}}", "features.cache.ttl"),
        ("features: {cache: {max_size: 0}}", "features.cache.max_size"),
        ("features: {circuit_breaker: {threshold: 0}}", "features.circuit_breaker.threshold"),
        ("features: {circuit_breaker: {timeout: 0}}", "features.circuit_breaker.timeout"),
        (
            "features: {rate_limit: {requests_per_second: 0}}",
            "features.rate_limit.requests_per_second",
        ),
        ("features: {rate_limit: {burst: 0}}", "features.rate_limit.burst"),
        (
            "databases: {a: {primary: {dsn: postgres://u@h, pool: {max_connections: 0}}}}",
            "databases.a.primary.pool.max_connections",
        ),
        (
            "databases: {a: {primary: {dsn: postgres://u@h, pool: {max_connections: 3, min_connections: 4}}}}",
            "databases.a.primary.pool.min_connections",
        ),
        (
            "databases: {a: {primary: {dsn: postgres://u@h, pool: {max_connections: 3, max_held: 4}}}}",
            "databases.a.primary.pool.max_held",
        ),
        (
            "databases: {a: {primary: {dsn: postgres://u@h}, routing: {failover: {max_failures: 0}}}}",
            "databases.a.routing.failover.max_failures",
        ),
        (
            "databases: {a: {primary: {dsn: postgres://u@h}, replicas: [{host: h}]}}",
            "databases.a.replicas[0].user",
        ),
    ] {
        let error = wrong(&with_section(lines));
        assert!(error.starts_with(&format!(".rr.yaml:7: pgpool.{key}: ")), "{error}");
    }
}

#[test]
fn a_smaller_pool_has_a_smaller_minimum() {
    let config = load(&with_primary("dsn: postgres://u@h\npool: {max_connections: 2}"));
    assert_eq!(config.backends.primary.pool.effective_min_connections(), 2);
}

#[test]
fn the_postgresql_door_is_shut_to_strangers() {
    let password = "dsn: postgres://u:p@h";
    let nobody = "dsn: postgres://u@h";
    let with = |proxy: &str, primary: &str| with_primary(primary) + &format!("  proxy: {proxy}\n");
    for (proxy, primary, key) in [
        ("{auth_mode: none, address: 'tcp://0.0.0.0:1'}", password, "proxy.auth_mode"),
        ("{auth_mode: trust, address: 'tcp://:1'}", password, "proxy.auth_mode"),
        ("{address: 'tcp://db:1'}", nobody, "proxy.auth_mode"),
        ("{auth_mode: md5}", nobody, "proxy.users"),
        ("{users: {a: ''}}", password, "proxy.users.a"),
        ("{users: {a: SCRAM-SHA-256$x}}", password, "proxy.users.a"),
        ("{users: {a: md5aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa}}", password, "proxy.users.a"),
        ("{login_timeout: 0s}", password, "proxy.login_timeout"),
    ] {
        let error = wrong(&with(proxy, primary));
        assert!(error.contains(&format!("pgpool.{key}")), "{proxy}: {error}");
    }
    for (proxy, primary) in [
        ("{auth_mode: none}", nobody),
        ("{auth_mode: none, address: 'tcp://0.0.0.0:1', allow_remote: true}", password),
        ("{address: 'tcp://0.0.0.0:1'}", password),
        ("{address: ''}", nobody),
        ("{auth_mode: md5, users: {a: md5aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa}}", nobody),
    ] {
        load(&with(proxy, primary));
    }
}

#[test]
fn who_may_come_in_follows_from_what_is_known() {
    let keys = |proxy: &str, primary: &str| {
        let config = load(&(with_primary(primary) + &format!("  proxy: {proxy}\n")));
        let keys = config.proxy.keys_for(&config.backends.primary).unwrap();
        let names: Vec<String> = keys.users.into_iter().map(|user| user.name).collect();
        (keys.mode, names.join(" "))
    };
    let password = "dsn: postgres://u:p@h";
    let nobody = "dsn: postgres://u@h";
    let scram = AuthMode::ScramSha256;
    assert_eq!(keys("{}", password), (scram, "u".to_owned()));
    assert_eq!(keys("{}", nobody), (AuthMode::Trust, "u".to_owned()));
    assert_eq!(keys("{users: {b: x, a: y}}", nobody), (scram, "a b".to_owned()));
    assert_eq!(keys("{auth_mode: md5}", password), (AuthMode::Md5, "u".to_owned()));
}
