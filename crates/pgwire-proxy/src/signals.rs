//! What reaches a session from outside: requests to cancel its statement, and the end. The session
//! looks at them whenever it is polled, and is woken for that.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::{Duration, Instant, SystemTime};

use futures_util::task::AtomicWaker;
use tokio::sync::oneshot;

use crate::auth::same;
use crate::login::Welcome;
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
    renewed: AtomicBool,
    /// Since when it waits for a connection, in microseconds since the registry began; 0: it does not.
    waits_since: AtomicU64,
}

/// Who has come, as an administrator sees it.
#[derive(Clone)]
pub(crate) struct Visitor {
    pub(crate) welcome: Arc<Welcome>,
    pub(crate) peer: Option<SocketAddr>,
    pub(crate) local: Option<SocketAddr>,
    pub(crate) tls: bool,
    pub(crate) since: SystemTime,
}

/// A client at one moment.
pub(crate) struct ClientInfo {
    /// A number that no other client has at the moment.
    pub(crate) id: i32,
    pub(crate) visitor: Visitor,
    /// How long it has waited for a connection; `None`: it does not.
    pub(crate) waits: Option<Duration>,
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

    /// Whether the configuration has changed since the last time.
    pub(crate) fn take_renewed(&self) -> bool {
        self.renewed.swap(false, Ordering::AcqRel)
    }

    fn renew(&self) {
        self.renewed.store(true, Ordering::Release);
        self.announce();
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
pub(crate) struct Registry {
    sessions: Mutex<Sessions>,
    began: Instant,
}

#[derive(Default)]
struct Sessions {
    by_process_id: HashMap<i32, Place>,
    last_process_id: i32,
}

struct Place {
    secret: Box<[u8]>,
    signals: Arc<Signals>,
    /// `None`: it is no client of a database.
    visitor: Option<Box<Visitor>>,
}

impl Default for Registry {
    fn default() -> Self {
        Self { sessions: Mutex::default(), began: Instant::now() }
    }
}

/// A client waits for a connection for as long as this lives.
pub(crate) struct Waiting(Arc<Signals>);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.waits_since.store(0, Ordering::Relaxed);
    }
}

/// A session's place in the registry; given back when dropped.
pub(crate) struct Registration {
    registry: Arc<Registry>,
    pub(crate) key: CancelKey,
    pub(crate) signals: Arc<Signals>,
}

impl Registry {
    /// Adds a session under a new key, as this minor version of the protocol has it.
    pub(crate) fn register(self: &Arc<Self>, minor: u16, visitor: Option<Visitor>) -> Registration {
        let signals = Arc::new(Signals::default());
        let mut sessions = lock(&self.sessions);
        let mut process_id = sessions.last_process_id;
        loop {
            process_id = process_id.checked_add(1).unwrap_or(1);
            if !sessions.by_process_id.contains_key(&process_id) {
                break;
            }
        }
        sessions.last_process_id = process_id;
        let key = CancelKey::new(process_id, minor);
        let place = Place {
            secret: key.secret.clone(),
            signals: Arc::clone(&signals),
            visitor: visitor.map(Box::new),
        };
        sessions.by_process_id.insert(process_id, place);
        Registration { registry: Arc::clone(self), key, signals }
    }

    /// Asks the session with this key, if there is one, to cancel what it is running, and waits
    /// until it has.
    pub(crate) async fn cancel(&self, key: &CancelKey) {
        let signals = match lock(&self.sessions).by_process_id.get(&key.process_id) {
            Some(place) if same(&place.secret, &key.secret) => Arc::clone(&place.signals),
            _ => return,
        };
        signals.cancel().await;
    }

    /// Tells every session to end.
    pub(crate) fn end_all(&self) {
        self.signals_of(|_| true).iter().for_each(|signals| signals.end());
    }

    /// Tells the clients of these databases to end.
    pub(crate) fn end_clients(&self, of: impl Fn(&Visitor) -> bool) {
        let chosen = self.signals_of(|place| place.visitor.as_deref().is_some_and(&of));
        chosen.iter().for_each(|signals| signals.end());
    }

    /// Tells the client with this id to end; whether there is one.
    pub(crate) fn end_client(&self, id: i32) -> bool {
        let signals = match lock(&self.sessions).by_process_id.get(&id) {
            Some(place) if place.visitor.is_some() => Arc::clone(&place.signals),
            _ => return false,
        };
        signals.end();
        true
    }

    /// Tells every session that the configuration has changed.
    pub(crate) fn renew_all(&self) {
        self.signals_of(|_| true).iter().for_each(|signals| signals.renew());
    }

    /// The clients of databases, by their ids.
    pub(crate) fn clients(&self) -> Vec<ClientInfo> {
        let info = |(id, place): (&i32, &Place)| {
            let visitor = place.visitor.as_deref()?.clone();
            let waits = match place.signals.waits_since.load(Ordering::Relaxed) {
                0 => None,
                since => Some(self.began.elapsed().saturating_sub(Duration::from_micros(since))),
            };
            Some(ClientInfo { id: *id, visitor, waits })
        };
        let mut clients: Vec<_> =
            lock(&self.sessions).by_process_id.iter().filter_map(info).collect();
        clients.sort_unstable_by_key(|client| client.id);
        clients
    }

    /// Woken outside of the lock: it may be a session of this very thread.
    fn signals_of(&self, of: impl Fn(&Place) -> bool) -> Vec<Arc<Signals>> {
        let sessions = lock(&self.sessions);
        let chosen = sessions.by_process_id.values().filter(|place| of(place));
        chosen.map(|place| Arc::clone(&place.signals)).collect()
    }
}

impl Registration {
    /// Notes that the client waits for a connection, until the guard is dropped.
    pub(crate) fn waits(&self) -> Waiting {
        let since = self.registry.began.elapsed().as_micros();
        let since = u64::try_from(since).unwrap_or(u64::MAX).max(1);
        self.signals.waits_since.store(since, Ordering::Relaxed);
        Waiting(Arc::clone(&self.signals))
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        lock(&self.registry.sessions).by_process_id.remove(&self.key.process_id);
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
        let (a, b) = (registry.register(0, None), registry.register(2, None));
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
        let key = registry.register(0, None).key.clone();
        registry.cancel(&key).await;
        assert_ne!(registry.register(0, None).key.process_id, key.process_id);
    }
}
