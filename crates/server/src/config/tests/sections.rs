//! Every key of the Go plugin's types is read into its own field.

use pool_manager::config::{GoDuration, PoolMode};

use super::*;
use crate::config::{AuthMode, ByteSize, LoadBalance, LogLevel};

const EVERYTHING: &str = "
version: '3'
pgpool:
  enabled: true
  proxy: {address: 'tcp://127.0.0.1:5555', max_clients: 2, client_timeout: 3s, auth_mode: trust}
  backends:
    primary:
      host: h
      port: 1
      database: d
      user: u
      password: p
      sslmode: verify-full
      pool:
        max_connections: 11
        min_connections: 2
        max_lifetime: 2h
        max_idle_time: 3m
        health_check_period: 4s
        acquire_timeout: 5ms
        wait_queue_size: 6
      behavior:
        mode: statement
        reset_on_return: false
        lazy_connect: true
        statement_cache_size: 7
        query_timeout: 8s
    replicas:
    - {dsn: 'postgres://u@r', weight: 3}
  routing:
    read_write_split: true
    read_patterns: ['^a']
    write_patterns: ['^b', '^c']
    load_balance: least_connections
    failover: {enabled: true, retry_interval: 9s, max_failures: 10}
  monitoring:
    enabled: false
    interval: 11s
    expose_rpc: false
    prometheus: {enabled: true, namespace: n, subsystem: s}
    collect: [connections, queries]
  logging:
    level: error
    slow_query: {enabled: false, threshold: 12ms}
    log_queries: true
    log_params: true
  features:
    cache: {enabled: true, ttl: 13s, max_size: 14KB}
    circuit_breaker: {enabled: true, threshold: 15, timeout: 16s}
    rate_limit: {enabled: true, requests_per_second: 17, burst: 18}
  databases:
    other: {primary: {dsn: 'postgres://u@o'}, routing: {load_balance: weighted}}
";

#[test]
fn backends() {
    let config = load(EVERYTHING);
    let primary = &config.backends.primary;
    assert_eq!(
        primary.connect_params().unwrap().masked_dsn(),
        "postgres://u:***@h:1/d?sslmode=verify-full"
    );
    let pool = &primary.pool;
    assert_eq!((pool.max_connections, pool.min_connections), (11, Some(2)));
    assert_eq!(pool.max_lifetime, GoDuration::from_secs(7200));
    assert_eq!(pool.max_idle_time, GoDuration::from_secs(180));
    assert_eq!(pool.health_check_period, GoDuration::from_secs(4));
    assert_eq!(pool.acquire_timeout, GoDuration::from_millis(5));
    assert_eq!(pool.wait_queue_size, 6);
    let behavior = &primary.behavior;
    assert_eq!(behavior.mode, PoolMode::Statement);
    assert!(behavior.lazy_connect);
    assert_eq!(behavior.statement_cache_size, 7);
    assert_eq!(behavior.query_timeout, GoDuration::from_secs(8));
    assert_eq!(config.backends.replicas[0].weight, 3);
    let other = &config.databases["other"];
    assert_eq!(other.routing.as_ref().unwrap().load_balance, LoadBalance::Weighted);
}

#[test]
fn front_door_and_routing() {
    let config = load(EVERYTHING);
    assert_eq!(config.proxy.address.to_string(), "tcp://127.0.0.1:5555");
    assert_eq!(config.proxy.max_clients, 2);
    assert_eq!(config.proxy.client_timeout, GoDuration::from_secs(3));
    assert_eq!(config.proxy.auth_mode, Some(AuthMode::Trust));
    let routing = &config.routing;
    assert!(routing.read_write_split && routing.failover.enabled);
    assert_eq!((routing.read_patterns.len(), routing.write_patterns.len()), (1, 2));
    assert_eq!(routing.load_balance, LoadBalance::LeastConnections);
    assert_eq!(routing.failover.retry_interval, GoDuration::from_secs(9));
    assert_eq!(routing.failover.max_failures, 10);
}

#[test]
fn monitoring_logging_features() {
    let config = load(EVERYTHING);
    let monitoring = &config.monitoring;
    assert!(!monitoring.enabled && !monitoring.expose_rpc && monitoring.prometheus.enabled);
    assert_eq!(monitoring.interval, GoDuration::from_secs(11));
    assert_eq!(
        (monitoring.prometheus.namespace.as_str(), monitoring.prometheus.subsystem.as_str()),
        ("n", "s")
    );
    assert_eq!(monitoring.collect, ["connections", "queries"]);
    let logging = &config.logging;
    assert_eq!(logging.level, LogLevel::Error);
    assert!(logging.log_queries && logging.log_params && !logging.slow_query.enabled);
    assert_eq!(logging.slow_query.threshold, GoDuration::from_millis(12));
    let features = &config.features;
    assert!(
        features.cache.enabled && features.circuit_breaker.enabled && features.rate_limit.enabled
    );
    assert_eq!(features.cache.ttl, GoDuration::from_secs(13));
    assert_eq!(features.cache.max_size, ByteSize::new(14_000));
    assert_eq!(features.circuit_breaker.threshold, 15);
    assert_eq!(features.circuit_breaker.timeout, GoDuration::from_secs(16));
    assert_eq!((features.rate_limit.requests_per_second, features.rate_limit.burst), (17, 18));
}
