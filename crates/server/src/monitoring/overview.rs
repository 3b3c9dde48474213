//! /status.json: what the page shows. Times are milliseconds, counters count from the start; the page
//! makes rates of them.

use pgwire_proxy::DoorStats;
use pool_manager::{
    Backends, CircuitBreakerState, DatabasePool, DurationHistogram, StatementOrder,
};
use serde_json::{Value, json};

use super::Monitor;
use super::top::top_statements;

/// Statements that are shown of each database.
const SHOWN_STATEMENTS: usize = 25;

impl Monitor {
    /// All of it.
    pub(super) fn overview(&self) -> Value {
        let doors = self.proxy.as_ref().map(|proxy| proxy.stats()).unwrap_or_default();
        let live = self.service.live();
        let registry = &live.registry;
        let databases: Vec<Value> =
            registry.databases().map(|database| self.database(database, &doors)).collect();
        let process = self.sampler.process();
        json!({
            "version": env!("CARGO_PKG_VERSION"),
            "uptime_seconds": self.uptime().as_secs(),
            "draining": self.is_draining(),
            "clients": {
                "rpc": self.service.clients(),
                "proxy": self.proxy.as_ref().map(|proxy| proxy.clients()),
                "proxy_max": self.proxy.as_ref().map(|proxy| proxy.max_clients()),
            },
            "memory_bytes": process.resident_bytes,
            "bounds_ms": bounds(),
            "interval_seconds": self.config.interval.get().as_secs_f64(),
            "history": self.sampler.history(),
            "databases": databases,
        })
    }

    fn database(&self, database: &Backends, doors: &[DoorStats]) -> Value {
        let name = database.name();
        let mut pools: Vec<Value> = database
            .servers()
            .map(|server| {
                let mut shown = pool(server.pool);
                let is_one_of_several = database.has_replicas();
                shown["role"] = json!(if server.is_primary { "primary" } else { "replica" });
                shown["up"] = json!(is_one_of_several.then_some(server.is_up));
                shown["lag_bytes"] = json!(server.lag_bytes);
                shown["lag_seconds"] = json!(server.lag.map(|lag| lag.as_secs_f64()));
                shown
            })
            .collect();
        let live = self.service.live();
        let registry = &live.registry;
        let known: Vec<&str> = database.pools().map(DatabasePool::name).collect();
        let own = registry.iter().filter(|pool| pool.database() == name);
        pools.extend(own.filter(|pool| !known.contains(&pool.name())).map(|own| {
            let mut shown = pool(own);
            shown["role"] = json!("primary");
            shown
        }));
        let door = doors.iter().find(|door| door.database == name);
        json!({
            "name": name,
            "proxy_clients": door.map(|door| door.clients),
            "failovers": database.failovers(),
            "pools": pools,
            "statements": top_statements(registry, Some(name), StatementOrder::Total, SHOWN_STATEMENTS),
        })
    }
}

fn pool(pool: &DatabasePool) -> Value {
    let stats = pool.stats();
    json!({
        "name": pool.name(),
        "idle": stats.idle_connections,
        "active": stats.active_connections,
        "constructing": stats.constructing_connections,
        "max": stats.max_connections,
        "waiting": stats.waiting_clients,
        "transactions": stats.transactions_open,
        "sessions": stats.sessions_open,
        "pinned": stats.pinned_clients,
        "max_held": stats.max_held,
        "pins": stats.pins,
        "breaker": stats.breaker.map(CircuitBreakerState::as_str),
        "errors": stats.error_count,
        "slow": stats.slow_query_count,
        "cache_hits": stats.statement_cache_hits,
        "cache_misses": stats.statement_cache_misses,
        "queries": counts(&stats.query_times),
        "acquires": counts(&stats.acquire_times),
        "last_error": stats.last_error,
    })
}

fn counts(times: &DurationHistogram) -> Vec<u64> {
    times.buckets().map(|(_, count)| count).collect()
}

/// Upper bounds of what [`counts`] counts; the last one has none.
fn bounds() -> Vec<f64> {
    let times = DurationHistogram::default();
    times
        .buckets()
        .filter_map(|(bound, _)| bound)
        .map(|bound| bound.as_secs_f64() * 1000.0)
        .collect()
}
