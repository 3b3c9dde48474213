//! Metrics of pools, and of the servers that they are connected to.

use std::time::{Duration, UNIX_EPOCH};

use pool_manager::{Backends, CircuitBreakerState, DatabasePool, PoolRegistry, PoolStats};

use super::table::{HistogramMetric, Kind, Labels, Metric, Samples, Scope};

/// A pool at the moment of a scrape.
pub(super) struct PoolScope {
    labels: Labels,
    stats: PoolStats,
    server: Option<Server>,
}

/// What is known of the server of a pool that is one of several.
struct Server {
    is_up: bool,
    is_primary: bool,
    lag_bytes: Option<u64>,
    lag: Option<Duration>,
}

impl Scope for PoolScope {
    fn labels(&self) -> &Labels {
        &self.labels
    }
}

impl PoolScope {
    /// Every pool: those of databases, then those of users who have one of their own.
    pub(super) fn all(registry: &PoolRegistry) -> Vec<Self> {
        let mut scopes = Vec::new();
        for database in registry.databases() {
            for server in database.servers() {
                let role = if server.is_primary { "primary" } else { "replica" };
                let known = Server {
                    is_up: server.is_up,
                    is_primary: server.is_primary,
                    lag_bytes: server.lag_bytes,
                    lag: server.lag,
                };
                scopes.push(Self {
                    labels: labels(database.name(), server.pool.name(), role),
                    stats: server.pool.stats(),
                    server: database.has_replicas().then_some(known),
                });
            }
        }
        let known: Vec<_> =
            registry.databases().flat_map(Backends::pools).map(DatabasePool::name).collect();
        let own = registry.iter().filter(|pool| !known.contains(&pool.name()));
        scopes.extend(own.map(|pool| Self {
            labels: labels(pool.database(), pool.name(), "primary"),
            stats: pool.stats(),
            server: None,
        }));
        scopes
    }
}

fn labels(database: &str, pool: &str, role: &str) -> Labels {
    [("database", database), ("pool", pool), ("role", role)]
        .map(|(name, value)| (name, value.to_owned()))
        .to_vec()
}

const fn counter(
    group: &'static str,
    name: &'static str,
    help: &'static str,
    read: fn(&PoolScope, &mut Samples),
) -> Metric<PoolScope> {
    Metric { group, name, kind: Kind::Counter, help, label: "", read }
}

const fn gauge(
    group: &'static str,
    name: &'static str,
    help: &'static str,
    read: fn(&PoolScope, &mut Samples),
) -> Metric<PoolScope> {
    Metric { group, name, kind: Kind::Gauge, help, label: "", read }
}

pub(super) const METRICS: &[Metric<PoolScope>] = &[
    Metric {
        label: "state",
        ..gauge("connections", "connections", "Server connections", |pool, samples| {
            samples.put_of("idle", pool.stats.idle_connections);
            samples.put_of("active", pool.stats.active_connections);
            samples.put_of("constructing", pool.stats.constructing_connections);
        })
    },
    gauge("connections", "max_connections", "Most server connections", |pool, samples| {
        samples.put(pool.stats.max_connections);
    }),
    gauge("connections", "waiting_clients", "Callers waiting for a connection", |pool, samples| {
        samples.put(pool.stats.waiting_clients);
    }),
    Metric {
        label: "kind",
        ..gauge(
            "connections",
            "held_connections",
            "Connections held across statements",
            |pool, samples| {
                samples.put_of("transaction", pool.stats.transactions_open);
                samples.put_of("session", pool.stats.sessions_open);
                samples.put_of("pinned", pool.stats.pinned_clients);
            },
        )
    },
    gauge(
        "connections",
        "max_held_connections",
        "Most connections held across statements",
        |pool, samples| {
            samples.put(pool.stats.max_held);
        },
    ),
    Metric {
        label: "reason",
        ..counter(
            "connections",
            "pins",
            "Clients that began to keep a connection (mode: auto)",
            |pool, samples| {
                for (reason, count) in &pool.stats.pins {
                    samples.put_of(reason, *count);
                }
            },
        )
    },
    counter("connections", "connections_opened", "Server connections opened", |pool, samples| {
        samples.put(pool.stats.opened_count);
    }),
    counter(
        "connections",
        "connection_errors",
        "Attempts to open a connection that failed",
        |pool, samples| {
            samples.put(pool.stats.connect_error_count);
        },
    ),
    counter(
        "connections",
        "idle_connections_lost",
        "Idle connections that the server had closed",
        |pool, samples| {
            samples.put(pool.stats.lost_idle_connections);
        },
    ),
    counter("connections", "releases", "Connections given back by callers", |pool, samples| {
        samples.put(pool.stats.total_released);
    }),
    counter("connections", "acquires_canceled", "Callers that gave up waiting", |pool, samples| {
        samples.put(pool.stats.canceled_acquire_count);
    }),
    counter("queries", "queries", "Statements executed", |pool, samples| {
        samples.put(pool.stats.query_count);
    }),
    counter("queries", "query_errors", "Statements that failed", |pool, samples| {
        samples.put(pool.stats.error_count);
    }),
    Metric {
        label: "class",
        ..counter(
            "queries",
            "errors",
            "Errors that callers were given, by class of SQLSTATE",
            |pool, samples| {
                for (class, count) in &pool.stats.errors_by_class {
                    samples.put_of(class, *count);
                }
            },
        )
    },
    counter(
        "queries",
        "slow_queries",
        "Statements slower than logging.slow_query.threshold",
        |pool, samples| {
            samples.put(pool.stats.slow_query_count);
        },
    ),
    counter(
        "transactions",
        "transactions",
        "Transactions of several statements or messages",
        |pool, samples| {
            samples.put(pool.stats.transaction_count);
        },
    ),
    counter(
        "statements",
        "statement_cache_hits",
        "Statements that were prepared already",
        |pool, samples| {
            samples.put(pool.stats.statement_cache_hits);
        },
    ),
    counter(
        "statements",
        "statement_cache_misses",
        "Statements that had to be prepared",
        |pool, samples| {
            samples.put(pool.stats.statement_cache_misses);
        },
    ),
    counter(
        "statements",
        "result_cache_hits",
        "Statements answered from memory",
        |pool, samples| {
            samples.put(pool.stats.cache_hits);
        },
    ),
    counter(
        "statements",
        "result_cache_misses",
        "Statements that could have been answered from memory, and were executed",
        |pool, samples| {
            samples.put(pool.stats.cache_misses);
        },
    ),
    Metric {
        label: "state",
        ..gauge(
            "breakers",
            "circuit_breaker_state",
            "1 for the state that the circuit breaker is in",
            |pool, samples| {
                let Some(now) = pool.stats.breaker else { return };
                for state in [
                    CircuitBreakerState::Closed,
                    CircuitBreakerState::HalfOpen,
                    CircuitBreakerState::Open,
                ] {
                    samples.put_of(state.as_str(), state == now);
                }
            },
        )
    },
    gauge("replicas", "server_up", "Whether a server of several answers", |pool, samples| {
        samples.put_known(pool.server.as_ref().map(|server| server.is_up));
    }),
    gauge(
        "replicas",
        "server_is_primary",
        "Whether a server of several takes the writes",
        |pool, samples| {
            samples.put_known(pool.server.as_ref().map(|server| server.is_primary));
        },
    ),
    gauge(
        "replicas",
        "replica_lag_bytes",
        "WAL that a replica has not replayed yet",
        |pool, samples| {
            samples.put_known(pool.server.as_ref().and_then(|server| server.lag_bytes));
        },
    ),
    gauge(
        "replicas",
        "replica_lag_seconds",
        "Time since the last transaction that a replica has replayed; 0 when it has all",
        |pool, samples| {
            samples
                .put_known(pool.server.as_ref().and_then(|it| it.lag).map(|lag| lag.as_secs_f64()));
        },
    ),
    Metric {
        label: "result",
        ..counter("health", "health_checks", "Periodic health checks", |pool, samples| {
            samples.put_of("passed", pool.stats.health_checks_passed);
            samples.put_of("failed", pool.stats.health_checks_failed);
        })
    },
    gauge(
        "health",
        "last_health_check_timestamp_seconds",
        "When the last health check ended",
        |pool, samples| {
            let since =
                pool.stats.last_health_check.and_then(|at| at.duration_since(UNIX_EPOCH).ok());
            samples.put_known(since.map(|since| since.as_secs_f64()));
        },
    ),
];

pub(super) const HISTOGRAMS: &[HistogramMetric<PoolScope>] = &[
    HistogramMetric {
        group: "connections",
        name: "acquire_duration_seconds",
        help: "How long callers waited until they had a connection",
        read: |pool| &pool.stats.acquire_times,
    },
    HistogramMetric {
        group: "queries",
        name: "query_duration_seconds",
        help: "How long statements ran, without the wait for a connection",
        read: |pool| &pool.stats.query_times,
    },
];

/// A database at the moment of a scrape.
pub(super) struct DatabaseScope {
    labels: Labels,
    failovers: u64,
}

impl Scope for DatabaseScope {
    fn labels(&self) -> &Labels {
        &self.labels
    }
}

impl DatabaseScope {
    pub(super) fn all(registry: &PoolRegistry) -> Vec<Self> {
        let scope = |database: &Backends| Self {
            labels: vec![("database", database.name().to_owned())],
            failovers: database.failovers(),
        };
        registry.databases().map(scope).collect()
    }
}

pub(super) const OF_DATABASES: &[Metric<DatabaseScope>] = &[Metric {
    group: "replicas",
    name: "failovers",
    kind: Kind::Counter,
    help: "How often writes went to another server than before",
    label: "",
    read: |database, samples| samples.put(database.failovers),
}];
