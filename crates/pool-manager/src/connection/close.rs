//! Closing a connection so that its slot is free only when the server is done with it.

use std::future::Future;
use std::pin::{Pin, pin};
use std::time::Duration;

use futures_util::future::{Either, select};
use tokio::time::{sleep, timeout};

use super::ServerConnection;
use crate::connect::CancelTarget;

/// How long the server may take to end the session.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);
/// How long one cancellation may take to show an effect before the next one.
const CANCEL_PATIENCE: Duration = Duration::from_millis(100);

/// Closes a connection: cancels what still runs on it, says goodbye, and waits for the server's
/// end of file. The pool's slot is given back on return, by dropping the connection.
pub(crate) async fn close(mut connection: ServerConnection) {
    let busy = connection.link.may_be_running();
    let target = connection.cancel.clone();
    let goodbye = async {
        if busy && connection.link.is_dead() {
            let _ = target.cancel().await;
            return;
        }
        let mut end = pin!(connection.link.terminate());
        if busy {
            cancel_until(end.as_mut(), &target).await;
        } else {
            end.await;
        }
    };
    if timeout(CLOSE_TIMEOUT, goodbye).await.is_err() {
        tracing::warn!(
            backend_pid = connection.process_id,
            "the server did not end a session within {CLOSE_TIMEOUT:?}"
        );
    }
}

/// Cancels again and again until `end` comes: a cancel that overtakes its statement on the way to
/// the server has no effect.
async fn cancel_until(mut end: Pin<&mut impl Future<Output = ()>>, target: &CancelTarget) {
    loop {
        let once = async {
            // Failure changes nothing here: the socket is closed in any case.
            let _ = target.cancel().await;
            sleep(CANCEL_PATIENCE).await;
        };
        if let Either::Left(_) = select(end.as_mut(), pin!(once)).await {
            return;
        }
    }
}
