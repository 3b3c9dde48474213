//! What it costs to find a statement's server, with nothing sent: the text is known, and so is what its
//! functions do.

use std::time::Instant;

use pool_manager::config::BackendConfig;
use pool_manager::{
    Backend, Backends, BackendsOptions, DatabasePool, LoadBalance, OwnWrites, Route, RoutingRules,
};
use serde_json::{Value, json};

use crate::RouteArgs;

/// What is measured: a name, and a statement.
const TEXTS: [(&str, &str); 4] = [
    ("key", "SELECT abalance FROM pgbench_accounts WHERE aid = $1"),
    (
        "join",
        "SELECT o.id, o.total, c.name, count(i.id) AS items FROM orders AS o JOIN customers AS c ON \
         c.id = o.customer_id LEFT JOIN items AS i ON i.order_id = o.id WHERE o.created_at > now() - \
         interval '7 days' AND lower(c.email) LIKE $1 GROUP BY o.id, c.name ORDER BY o.id DESC LIMIT 50",
    ),
    ("write", "UPDATE pgbench_accounts SET abalance = abalance + $1 WHERE aid = $2"),
    ("hint", "/* pgpool:replica */ SELECT abalance FROM pgbench_accounts WHERE aid = $1"),
];

/// Nanoseconds for each text: found again, and classified anew, as a text that nobody has seen before.
pub(crate) async fn run(args: &RouteArgs) -> std::io::Result<Value> {
    let (plain, matching) = (backends(false)?, backends(true)?);
    let mut report = serde_json::Map::new();
    for (name, sql) in TEXTS {
        let known = per_call(args.calls, || {
            std::hint::black_box(plain.for_statements([sql].into_iter(), Route::Auto, None));
        });
        let patterns = per_call(args.calls, || {
            std::hint::black_box(matching.for_statements([sql].into_iter(), Route::Auto, None));
        });
        let primary = plain.primary();
        let anew = per_call(args.calls / 10, || {
            std::hint::black_box(primary.judge(std::hint::black_box(sql.as_bytes())));
        });
        report.insert(
            name.to_owned(),
            json!({"known_ns": known, "with_patterns_ns": patterns, "classified_anew_ns": anew}),
        );
    }
    Ok(Value::Object(report))
}

fn per_call(calls: u32, call: impl Fn()) -> u64 {
    let started = Instant::now();
    (0..calls.max(1)).for_each(|_| call());
    let nanos = started.elapsed().as_nanos() / u128::from(calls.max(1));
    u64::try_from(nanos).unwrap_or(u64::MAX)
}

/// A primary and two replicas that nobody connects to.
fn backends(patterns: bool) -> std::io::Result<Backends> {
    let pool = |name: &str| {
        let mut config = BackendConfig {
            host: Some("192.0.2.1".to_owned()),
            user: Some("nobody".to_owned()),
            database: Some("none".to_owned()),
            ..BackendConfig::default()
        };
        config.behavior.lazy_connect = true;
        config.pool.min_connections = Some(0);
        let pool = DatabasePool::of_database(
            "primary",
            name,
            &config,
            pool_manager::PoolLimits::default(),
        );
        pool.map(|pool| Backend { pool, weight: 1 }).map_err(std::io::Error::other)
    };
    let list = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    let rules = if patterns {
        RoutingRules::new(&list(&["^select report_", "from archive"]), &list(&["audit", "^call"]))
    } else {
        Ok(RoutingRules::default())
    };
    let options = BackendsOptions {
        split: true,
        balance: LoadBalance::RoundRobin,
        failover: false,
        max_failures: u32::MAX,
        interval: std::time::Duration::from_secs(3600),
        max_lag: None,
        max_lag_time: None,
        own_writes: OwnWrites::Ignored,
        patience: std::time::Duration::ZERO,
    };
    let replicas = vec![pool("primary/replica1")?, pool("primary/replica2")?];
    let rules = rules.map_err(std::io::Error::other)?;
    Ok(Backends::new(pool("primary")?, replicas, rules, options))
}
