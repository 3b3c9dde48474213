//! Cancelling what the server is running for this client: on the client's request or when its time
//! is over. Nothing else is sent, and the connection is not given back, until both the end of the
//! request's own socket and the statement's ReadyForQuery were seen: a late request would hit
//! whoever comes next.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use pool_manager::Checkout;
use tokio::sync::oneshot;

/// A cancel request under way.
pub(super) struct Cancelling {
    request: Pin<Box<dyn Future<Output = io::Result<()>> + Send>>,
    /// Who asked for it; told by being dropped.
    _asked_by: Vec<oneshot::Sender<()>>,
}

impl Cancelling {
    /// Sends the request for what runs on this connection.
    pub(super) fn start(connection: &mut Checkout, asked_by: Vec<oneshot::Sender<()>>) -> Self {
        connection.set_cancelling(true);
        let target = connection.cancel_target();
        Self { request: Box::pin(async move { target.cancel().await }), _asked_by: asked_by }
    }

    /// Ready when the request is over. Unless its end was seen in order, the connection stays
    /// marked, and is closed in the end.
    pub(super) fn poll(&mut self, connection: &mut Checkout, cx: &mut Context<'_>) -> Poll<()> {
        match self.request.as_mut().poll(cx) {
            Poll::Ready(Ok(())) => {
                connection.set_cancelling(false);
                Poll::Ready(())
            }
            Poll::Ready(Err(error)) => {
                tracing::debug!("a cancel request failed: {error}");
                Poll::Ready(())
            }
            Poll::Pending => Poll::Pending,
        }
    }
}
