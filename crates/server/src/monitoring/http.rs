//! One HTTP connection: bounded in time, in the size of a request, and in what it may ask. Bodies of
//! requests are never read.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::rt::{Read, Write};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::time::{sleep, timeout};

use super::Monitor;
use super::routes::{self, Offers};
use crate::listen::{Accepted, Place};

/// How long a client may take to say what it wants, and may be idle in between.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// A connection that is older is ended after the request that it is at; how long that may take.
const LIFETIME: Duration = Duration::from_secs(600);
const LAST_REQUEST: Duration = Duration::from_secs(10);
/// Largest head of a request, bytes, and most fields in it.
const MAX_HEAD: usize = 16 * 1024;
const MAX_FIELDS: usize = 64;

/// Serves one client until it leaves. `_place` is its place among those that may be connected.
pub(crate) async fn serve_client(
    monitor: Arc<Monitor>,
    offers: Offers,
    socket: Accepted,
    _place: Place,
) {
    match socket {
        Accepted::Tcp(stream) => serve(monitor, offers, TokioIo::new(stream)).await,
        Accepted::Unix(stream) => serve(monitor, offers, TokioIo::new(stream)).await,
    }
}

async fn serve(monitor: Arc<Monitor>, offers: Offers, io: impl Read + Write + Unpin) {
    let service = service_fn(|request| {
        let monitor = Arc::clone(&monitor);
        async move { Ok::<_, Infallible>(routes::answer(&monitor, offers, &request).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(REQUEST_TIMEOUT)
        .max_buf_size(MAX_HEAD)
        .max_headers(MAX_FIELDS)
        .serve_connection(io, service);
    let mut connection = pin!(connection);
    let result = tokio::select! {
        result = &mut connection => result,
        () = sleep(LIFETIME) => {
            connection.as_mut().graceful_shutdown();
            // Who does not take its answer is not waited for.
            timeout(LAST_REQUEST, connection).await.unwrap_or(Ok(()))
        }
    };
    if let Err(error) = result {
        tracing::debug!("HTTP client lost: {error}");
    }
}
