//! `pgpool.PoolStats`.

use std::collections::BTreeMap;
use std::time::Duration;

use pool_manager::{CircuitBreakerState, Error, PRIMARY, PoolStats, SqlState};
use serde::Serialize;

use super::request;
use crate::rpc::reply::Reply;
use crate::rpc::service::Context;
use crate::time::rfc3339;

goridge_framing::request_fields! {
    /// Request of PoolStats.
    pub(in crate::rpc) struct PoolStatsRequest {
        /// Pool name; "primary" when absent, "*" for all.
        database: Option<String>,
        /// Echoed.
        request_id: Option<String>,
    }
}

/// The Go plugin's DatabaseStats and what it lacks.
#[derive(Serialize)]
struct DatabaseStats {
    total_connections: u32,
    idle_connections: u32,
    active_connections: u32,
    max_connections: u32,
    constructing_connections: u32,
    waiting_clients: u32,
    transactions_open: u32,
    sessions_open: u32,
    pinned_clients: u32,
    pins: BTreeMap<&'static str, u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    breaker: Option<&'static str>,
    cache_hits: u64,
    cache_misses: u64,
    /// Of all that asked for an answer from memory; 0 to 1.
    cache_hit_ratio: f64,
    total_acquired: u64,
    total_released: u64,
    acquire_count: u64,
    acquire_duration_us: u64,
    canceled_acquire_count: u64,
    average_acquire_time_ms: u64,
    query_count: u64,
    query_duration_us: u64,
    average_query_time_ms: u64,
    error_count: u64,
    slow_query_count: u64,
    health_checks_passed: u64,
    health_checks_failed: u64,
    last_health_check: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_error: Option<String>,
}

impl DatabaseStats {
    fn new(stats: PoolStats) -> Self {
        Self {
            total_connections: stats.total_connections,
            idle_connections: stats.idle_connections,
            active_connections: stats.active_connections,
            max_connections: stats.max_connections,
            constructing_connections: stats.constructing_connections,
            waiting_clients: stats.waiting_clients,
            transactions_open: stats.transactions_open,
            sessions_open: stats.sessions_open,
            pinned_clients: stats.pinned_clients,
            pins: stats.pins,
            breaker: stats.breaker.map(CircuitBreakerState::as_str),
            cache_hits: stats.cache_hits,
            cache_misses: stats.cache_misses,
            cache_hit_ratio: ratio(stats.cache_hits, stats.cache_misses),
            total_acquired: stats.total_acquired,
            total_released: stats.total_released,
            acquire_count: stats.acquire_count,
            acquire_duration_us: micros(stats.acquire_duration),
            canceled_acquire_count: stats.canceled_acquire_count,
            average_acquire_time_ms: average_ms(stats.acquire_duration, stats.acquire_count),
            query_count: stats.query_count,
            query_duration_us: micros(stats.query_duration),
            average_query_time_ms: average_ms(stats.query_duration, stats.query_count),
            error_count: stats.error_count,
            slow_query_count: stats.slow_query_count,
            health_checks_passed: stats.health_checks_passed,
            health_checks_failed: stats.health_checks_failed,
            last_health_check: stats
                .last_health_check
                .map_or_else(|| NEVER_CHECKED.to_owned(), rfc3339),
            last_error: stats.last_error,
        }
    }
}

/// Before the first check: Go's zero time, which Go and PHP clients read as "never".
const NEVER_CHECKED: &str = "0001-01-01T00:00:00Z";

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

fn ratio(hits: u64, misses: u64) -> f64 {
    #[allow(clippy::cast_precision_loss, reason = "a ratio needs no more than 52 bits")]
    let (hits, all) = (hits as f64, hits.saturating_add(misses) as f64);
    if all > 0.0 { hits / all } else { 0.0 }
}

fn average_ms(total: Duration, count: u64) -> u64 {
    micros(total).checked_div(count).unwrap_or(0) / 1000
}

pub(in crate::rpc) fn pool_stats(
    context: &Context<'_>,
    request: &PoolStatsRequest,
    mut reply: Reply<'_>,
) {
    match collect(context, request::database(request.database.as_deref()).unwrap_or(PRIMARY)) {
        Ok(stats) => reply.field("stats", &stats),
        Err(error) => reply.field("stats", &BTreeMap::<&str, ()>::new()).error(&error),
    };
    reply.finish(request.request_id.as_deref());
}

fn collect<'a>(
    context: &Context<'a>,
    database: &str,
) -> Result<BTreeMap<&'a str, DatabaseStats>, Error> {
    if !context.live.options.expose_stats {
        return Err(Error::refused(
            SqlState::FEATURE_NOT_SUPPORTED,
            "PoolStats over RPC is switched off (monitoring.expose_rpc)",
        ));
    }
    let pools = context.live.registry.select(database)?;
    Ok(pools.into_iter().map(|pool| (pool.name(), DatabaseStats::new(pool.stats()))).collect())
}
