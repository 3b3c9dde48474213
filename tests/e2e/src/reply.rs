//! Reading replies, and waiting for what happens elsewhere. It never sends anything.

use std::time::Duration;

use serde_json::Value;
use test_support::RpcFault;
use tokio::time::{Instant, sleep, timeout};

/// How long something that must happen may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(5);

/// The reply of a call that must have succeeded.
///
/// # Panics
/// When it failed, or says so in any of the fields that only failures have.
#[track_caller]
pub fn ok(reply: Result<Value, RpcFault>) -> Value {
    let reply = reply.unwrap_or_else(|fault| panic!("{fault}"));
    for field in ["error", "sqlstate", "error_detail"] {
        assert!(reply.get(field).is_none(), "{field} in {reply}");
    }
    reply
}

/// The error text of a call that must have failed with this SQLSTATE, in a normal reply.
///
/// # Panics
/// When it did not.
#[track_caller]
pub fn failed(reply: Result<Value, RpcFault>, sqlstate: &str) -> String {
    let reply = reply.unwrap_or_else(|fault| panic!("{fault}"));
    assert_eq!(reply["sqlstate"], sqlstate, "{reply}");
    let text = reply["error"].as_str().unwrap_or_else(|| panic!("no error in {reply}"));
    assert!(!text.is_empty(), "{reply}");
    text.to_owned()
}

/// What `wait` comes to, which must not take for ever.
///
/// # Panics
/// When it does; `what` says what was waited for.
pub async fn in_time<T>(what: &str, wait: impl Future<Output = T>) -> T {
    let result = timeout(PATIENCE, wait).await;
    result.unwrap_or_else(|_| panic!("not after {PATIENCE:?}: {what}"))
}

/// Looks again and again until `holds` does.
///
/// # Panics
/// When it never does; `what` says what was waited for.
#[track_caller]
pub fn eventually<F: Future<Output = bool>>(
    what: &str,
    mut holds: impl FnMut() -> F,
) -> impl Future<Output = ()> {
    let caller = std::panic::Location::caller();
    async move {
        let deadline = Instant::now() + PATIENCE;
        while !holds().await {
            assert!(Instant::now() < deadline, "{caller}: not after {PATIENCE:?}: {what}");
            sleep(POLL).await;
        }
    }
}
