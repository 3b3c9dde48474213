//! What reaches a session from outside: requests to cancel its statement, and the end. The session
//! looks at them whenever it is polled, and is woken for that.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::Duration;

use futures_util::task::AtomicWaker;
use tokio::sync::oneshot;

use crate::auth::same;
use crate::message::startup::CancelKey;

/// How long the sender of a cancel request waits for its effect, which tells libpq that it may
/// go on.
const CANCEL_PATIENCE: Duration = Duration::from_secs(10);

/// One session's signals.
#[derive(Debug, Default)]
pub(crate) struct Signals {
    waker: AtomicWaker,
    /// Some signal has come. A look at this one costs next to nothing, and there is one at every
    /// turn of the session.
    any: AtomicBool,
    cancels: AtomicBool,
    cancelled: Mutex<Vec<oneshot::Sender<()>>>,
    ends: AtomicBool,
}

impl Signals {
    /// Has the task of `waker` woken by the next signal.
    pub(crate) fn register(&self, waker: &Waker) {
        self.waker.register(waker);
    }

    /// Whether a signal has come since the last time. To be followed by [`register`](Self::register)
    /// and then by a look at each.
    pub(crate) fn have_come(&self) -> bool {
        self.any.load(Ordering::Relaxed) && self.any.swap(false, Ordering::AcqRel)
    }

    fn announce(&self) {
        self.any.store(true, Ordering::Release);
        self.waker.wake();
    }

    /// Whether the session is to end.
    pub(crate) fn ends(&self) -> bool {
        self.ends.load(Ordering::Acquire)
    }

    /// Takes the requests to cancel that came since the last time. Dropping them tells their
    /// senders that the session has dealt with them.
    pub(crate) fn take_cancels(&self) -> Option<Vec<oneshot::Sender<()>>> {
        if !self.cancels.swap(false, Ordering::AcqRel) {
            return None;
        }
        Some(std::mem::take(&mut *lock(&self.cancelled)))
    }

    fn end(&self) {
        self.ends.store(true, Ordering::Release);
        self.announce();
    }

    async fn cancel(&self) {
        let (sender, done) = oneshot::channel();
        lock(&self.cancelled).push(sender);
        self.cancels.store(true, Ordering::Release);
        self.announce();
        let _ = tokio::time::timeout(CANCEL_PATIENCE, done).await;
    }
}

/// Sessions by the keys with which their statements are cancelled.
#[derive(Debug, Default)]
pub(crate) struct Registry(Mutex<Sessions>);

#[derive(Debug, Default)]
struct Sessions {
    by_process_id: HashMap<i32, (Box<[u8]>, Arc<Signals>)>,
    last_process_id: i32,
}

/// A session's place in the registry; given back when dropped.
#[derive(Debug)]
pub(crate) struct Registration {
    registry: Arc<Registry>,
    pub(crate) key: CancelKey,
    pub(crate) signals: Arc<Signals>,
}

impl Registry {
    /// Adds a session under a new key, as this minor version of the protocol has it.
    pub(crate) fn register(self: &Arc<Self>, minor: u16) -> Registration {
        let signals = Arc::new(Signals::default());
        let mut sessions = lock(&self.0);
        let mut process_id = sessions.last_process_id;
        loop {
            process_id = process_id.checked_add(1).unwrap_or(1);
            if !sessions.by_process_id.contains_key(&process_id) {
                break;
            }
        }
        sessions.last_process_id = process_id;
        let key = CancelKey::new(process_id, minor);
        sessions.by_process_id.insert(process_id, (key.secret.clone(), Arc::clone(&signals)));
        Registration { registry: Arc::clone(self), key, signals }
    }

    /// Asks the session with this key, if there is one, to cancel what it is running, and waits
    /// until it has.
    pub(crate) async fn cancel(&self, key: &CancelKey) {
        let signals = match lock(&self.0).by_process_id.get(&key.process_id) {
            Some((secret, signals)) if same(secret, &key.secret) => Arc::clone(signals),
            _ => return,
        };
        signals.cancel().await;
    }

    /// Tells every session to end.
    pub(crate) fn end_all(&self) {
        let sessions: Vec<_> =
            lock(&self.0).by_process_id.values().map(|(_, signals)| Arc::clone(signals)).collect();
        for signals in sessions {
            signals.end();
        }
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        lock(&self.registry.0).by_process_id.remove(&self.key.process_id);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_cancel_reaches_the_session_with_the_key_and_no_other() {
        let registry = Arc::new(Registry::default());
        let (a, b) = (registry.register(0), registry.register(2));
        assert_eq!((a.key.secret.len(), b.key.secret.len()), (4, 32));
        let flipped = a.key.secret.iter().map(|byte| !byte).collect();
        registry.cancel(&CancelKey { secret: flipped, ..a.key }).await;
        registry.cancel(&CancelKey { secret: b.key.secret.clone(), ..a.key }).await;
        assert!(a.signals.take_cancels().is_none());
        let (signals, sessions) = (Arc::clone(&a.signals), Arc::clone(&registry));
        let key = a.key.clone();
        let sender = tokio::spawn(async move { sessions.cancel(&key).await });
        let requests = loop {
            match signals.take_cancels() {
                Some(requests) => break requests,
                None => tokio::task::yield_now().await,
            }
        };
        assert!(!sender.is_finished() && b.signals.take_cancels().is_none());
        drop(requests);
        sender.await.unwrap();
    }

    #[tokio::test]
    async fn a_session_that_is_gone_is_not_found() {
        let registry = Arc::new(Registry::default());
        let key = registry.register(0).key.clone();
        registry.cancel(&key).await;
        assert_ne!(registry.register(0).key.process_id, key.process_id);
    }
}
