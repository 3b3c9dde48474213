//! Short ways to say something and look at what comes.

use e2e::{Setup, TestServer, eventually};
use test_support::wire::{errors, summary};
use test_support::{WireClient, WireError, WireFault};

/// Logs in to the pool `primary`.
pub(crate) async fn login(
    server: &TestServer,
    user: &str,
    password: &str,
) -> Result<WireClient, WireError> {
    let who = [("user", user), ("database", "primary")];
    WireClient::login(server.proxy_address(), password, &who).await
}

/// Why a login was refused.
#[track_caller]
pub(crate) fn fatal(result: Result<WireClient, WireError>) -> WireFault {
    match result {
        Err(WireError::Fatal(fault)) => {
            assert_eq!(fault.severity(), "FATAL");
            fault
        }
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("let in"),
    }
}

/// Waits until a statement runs.
pub(crate) async fn runs(setup: &Setup, sql: &str) {
    let filter = format!("state = 'active' AND query LIKE '%{sql}%' AND pid <> pg_backend_pid()");
    eventually("it runs", || async { setup.count(&filter).await > 0 }).await;
}

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
