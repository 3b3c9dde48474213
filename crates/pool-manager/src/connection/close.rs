//! Closing a connection so that its slot is free only when the server is done with it.

use std::time::Duration;

use tokio::time::timeout;

use super::ServerConnection;

/// How long the server may take to end the session.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// Closes a connection: cancels what still runs on it, says goodbye, and waits for the server's
/// end of file. The pool's slot is given back on return, by dropping the connection.
pub(crate) async fn close(mut connection: ServerConnection) {
    let busy = !connection.link.at_rest();
    let goodbye = async {
        if busy && !connection.link.is_dead() {
            // Failure changes nothing here: the socket is closed in any case.
            let _ = connection.cancel.cancel().await;
        }
        connection.link.terminate().await;
    };
    if timeout(CLOSE_TIMEOUT, goodbye).await.is_err() {
        tracing::warn!(
            backend_pid = connection.process_id,
            "the server did not end a session within {CLOSE_TIMEOUT:?}"
        );
    }
}
