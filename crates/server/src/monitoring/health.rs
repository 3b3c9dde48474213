//! /health and /ready, as RoadRunner's status plugin has them: a list of plugins, of which this is one, as
//! JSON, or a line each as text. A database is healthy when its primary answers.

use std::time::Duration;

use hyper::body::Incoming;
use hyper::{Request, StatusCode, header};
use pool_manager::Backends;
use serde::Serialize;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

use super::Monitor;
use super::routes::{Answer, json, plain};

/// Our name among RoadRunner's plugins.
const PLUGIN: &str = "pgpool";
/// How long a server may take to answer: probes have time limits, too.
const PATIENCE: Duration = Duration::from_secs(2);
/// For so long what was found out is answered again: however often it is asked, the servers are not.
const FRESH: Duration = Duration::from_millis(500);

/// What was found out last.
#[derive(Default)]
pub(super) struct Health(Mutex<Option<(Instant, Vec<String>)>>);

/// What RoadRunner says of a plugin.
#[derive(Serialize)]
struct Report<'a> {
    plugin_name: &'a str,
    error_message: String,
    status_code: u16,
}

impl Monitor {
    /// Why it is not healthy: a line for each database whose primary does not answer.
    async fn failures(&self) -> Vec<String> {
        let mut known = self.health.0.lock().await;
        if let Some((at, failures)) = known.as_ref().filter(|(at, _)| at.elapsed() < FRESH) {
            let _ = at;
            return failures.clone();
        }
        let live = self.service.live();
        let checks = live.registry.databases().map(check);
        let failures: Vec<_> =
            futures_util::future::join_all(checks).await.into_iter().flatten().collect();
        *known = Some((Instant::now(), failures.clone()));
        failures
    }
}

/// What is wrong with a database.
async fn check(database: &Backends) -> Option<String> {
    let name = database.name();
    match timeout(PATIENCE, database.primary().health_check()).await {
        Ok(Ok(())) => None,
        Ok(Err(error)) => Some(format!("{name}: {error}")),
        Err(_) => Some(format!("{name}: no answer within {} s", PATIENCE.as_secs())),
    }
}

/// Whether it does its work. A server that is about to end still does.
pub(super) async fn health(monitor: &Monitor, request: &Request<Incoming>) -> Answer {
    if monitor.is_draining() {
        return plain(StatusCode::OK, "service is shutting down\n");
    }
    report(monitor, request).await
}

/// Whether more work should come.
pub(super) async fn ready(monitor: &Monitor, request: &Request<Incoming>) -> Answer {
    if monitor.is_draining() {
        return plain(StatusCode::SERVICE_UNAVAILABLE, "service is shutting down\n");
    }
    report(monitor, request).await
}

async fn report(monitor: &Monitor, request: &Request<Incoming>) -> Answer {
    let asked = plugins(request.uri().query().unwrap_or_default());
    if let Some(other) = asked.iter().find(|name| **name != PLUGIN) {
        let shown: String = other.chars().take(64).collect();
        let report = Report {
            plugin_name: &shown,
            error_message: format!("there is no such plugin here, only {PLUGIN}"),
            status_code: StatusCode::NOT_FOUND.as_u16(),
        };
        return answer(request, &report, StatusCode::NOT_FOUND);
    }
    let failures = monitor.failures().await;
    let status = match failures.as_slice() {
        [] => StatusCode::OK,
        _ => StatusCode::SERVICE_UNAVAILABLE,
    };
    let error_message = failures.join("; ");
    let report = Report { plugin_name: PLUGIN, error_message, status_code: status.as_u16() };
    answer(request, &report, status)
}

fn answer(request: &Request<Incoming>, report: &Report<'_>, status: StatusCode) -> Answer {
    let accepted =
        request.headers().get(header::ACCEPT).and_then(|accepted| accepted.to_str().ok());
    if accepted.is_some_and(|accepted| accepted.starts_with("text/plain")) {
        let Report { plugin_name, error_message, status_code } = report;
        let blank = if error_message.is_empty() { "" } else { " " };
        return plain(status, format!("{plugin_name}: {status_code}{blank}{error_message}\n"));
    }
    json(status, serde_json::to_vec(&[report]).unwrap_or_default())
}

/// The values of `plugin` in a query.
fn plugins(query: &str) -> Vec<&str> {
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs
        .filter(|(name, value)| *name == "plugin" && !value.is_empty())
        .map(|pair| pair.1)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plugins_stand_in_the_query() {
        assert_eq!(plugins("plugin=pgpool&a=b&plugin=http"), ["pgpool", "http"]);
        assert!(plugins("").is_empty() && plugins("plugin=&plugin").is_empty());
    }
}
