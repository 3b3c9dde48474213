//! What is served under which path, and what is said of all others.

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{self, HeaderName, HeaderValue};
use hyper::http::response::Builder;
use hyper::{Method, Request, Response, StatusCode};

use super::{Monitor, health, metrics};

/// What an address serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Offers {
    pub(crate) metrics: bool,
    pub(crate) status: bool,
}

impl Offers {
    /// The same for people.
    pub(crate) fn what(self) -> &'static str {
        match self {
            Self { metrics: true, status: true } => "metrics and status",
            Self { metrics: true, status: false } => "metrics",
            _ => "status",
        }
    }
}

pub(super) type Answer = Response<Full<Bytes>>;

/// Answers one request.
pub(super) async fn answer(
    monitor: &Monitor,
    offers: Offers,
    request: &Request<Incoming>,
) -> Answer {
    let path = request.uri().path();
    let is_known = paths(offers).any(|known| known == path);
    if is_known && !matches!(*request.method(), Method::GET | Method::HEAD) {
        let text = format!("{path} is read with GET (or HEAD), not changed\n");
        let mut answer = plain(StatusCode::METHOD_NOT_ALLOWED, text);
        answer.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
        return answer;
    }
    match path {
        _ if !is_known => not_found(offers),
        "/metrics" => metrics::answer(monitor),
        "/health" => health::health(monitor, request).await,
        "/ready" => health::ready(monitor, request).await,
        "/live" => plain(StatusCode::OK, "alive\n"),
        "/status.json" => json(StatusCode::OK, monitor.overview().to_string()),
        "/" => monitor.page.answer(),
        _ => not_found(offers),
    }
}

/// The paths that there are.
fn paths(offers: Offers) -> impl Iterator<Item = &'static str> {
    let metrics = offers.metrics.then_some("/metrics");
    let status = ["/", "/health", "/ready", "/live", "/status.json"];
    metrics.into_iter().chain(status.into_iter().filter(move |_| offers.status))
}

fn not_found(offers: Offers) -> Answer {
    let paths: Vec<&str> = paths(offers).collect();
    let elsewhere = match offers {
        Offers { metrics: false, .. } => "; /metrics: see monitoring.prometheus",
        Offers { status: false, .. } => "; health checks and a page: see monitoring.status",
        _ => "",
    };
    let text = format!("rr-pgpool serves {} here{elsewhere}\n", paths.join(", "));
    plain(StatusCode::NOT_FOUND, text)
}

/// A text for people.
pub(super) fn plain(status: StatusCode, text: impl Into<Bytes>) -> Answer {
    of_type(status, "text/plain; charset=utf-8", text)
}

/// A JSON document.
pub(super) fn json(status: StatusCode, text: impl Into<Bytes>) -> Answer {
    of_type(status, "application/json", text)
}

/// Anything. It is what it says that it is, belongs to no other page, and is out of date at once.
pub(super) fn of_type(status: StatusCode, kind: &str, body: impl Into<Bytes>) -> Answer {
    let fixed: [(HeaderName, &str); 4] = [
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_FRAME_OPTIONS, "DENY"),
    ];
    let with_fixed = |builder: Builder, (name, value)| builder.header(name, value);
    let builder = Response::builder().status(status).header(header::CONTENT_TYPE, kind);
    let builder = fixed.into_iter().fold(builder, with_fixed);
    // The fields are ours, and well-formed.
    builder.body(Full::new(body.into())).unwrap_or_default()
}
