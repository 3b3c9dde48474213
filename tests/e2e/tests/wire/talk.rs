//! Short ways to say something and look at what comes.

use test_support::wire::{errors, summary};
use test_support::{WireClient, WireFault};

/// The replies to these messages, up to the first ReadyForQuery, as [`summary`] writes them.
pub(crate) async fn say(client: &mut WireClient, messages: &[Vec<u8>]) -> String {
    summary(&client.exchange(messages).await.unwrap())
}

/// The same for a Query.
pub(crate) async fn ask(client: &mut WireClient, sql: &str) -> String {
    summary(&client.query(sql).await.unwrap())
}

/// The one error of a Query.
pub(crate) async fn refused(client: &mut WireClient, sql: &str) -> WireFault {
    let replies = client.query(sql).await.unwrap();
    let mut faults = errors(&replies);
    assert_eq!(faults.len(), 1, "{sql}: {replies:?}");
    faults.remove(0)
}

/// The process id of the backend that serves it now.
pub(crate) async fn backend(client: &mut WireClient) -> i32 {
    client.rows("SELECT pg_backend_pid()").await[0].parse().unwrap()
}
