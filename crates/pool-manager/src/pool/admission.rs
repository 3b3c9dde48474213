//! Who may have a connection next: in order of arrival, bounded in number and time, and nobody
//! while the pool is paused.
//!
//! Tokio's semaphore hands permits over in the order in which they were asked for, and a permit
//! that is released goes to the first waiter before anybody who comes later can take it. Who waits
//! while a pool is paused waits outside of that queue, and stands in it again after that.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{AcquireError, Notify};
use tokio::time::timeout;

use super::places::{Permit, Places};
use crate::error::Error;

/// The right to a connection. Dropped last, after the connection went back.
pub(super) struct Permits {
    _admission: Permit,
    held: Option<Permit>,
}

impl Permits {
    /// Gives back the right to hold it.
    pub(super) fn let_go(&mut self) {
        self.held = None;
    }
}

pub(super) struct Admission {
    pool: Arc<str>,
    queue_size: AtomicUsize,
    admission: Line,
    /// A line of its own: whoever waits here takes no place from short statements.
    held: Line,
    canceled: AtomicU64,
    paused: AtomicBool,
    resumed: Notify,
}

/// Callers in front of one kind of permit.
struct Line {
    places: Arc<Places>,
    waiting: AtomicUsize,
    /// Since when, in order of arrival.
    waiters: Mutex<Waiters>,
    /// What was waited for, in an error.
    what: &'static str,
    /// What to raise.
    remedy: &'static str,
}

#[derive(Default)]
struct Waiters {
    since: BTreeMap<u64, Instant>,
    last: u64,
}

impl Line {
    fn new(size: usize, what: &'static str, remedy: &'static str) -> Self {
        let waiters = Mutex::default();
        Self { places: Places::new(size), waiting: AtomicUsize::new(0), waiters, what, remedy }
    }

    fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    fn waiters(&self) -> MutexGuard<'_, Waiters> {
        self.waiters.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Since when the first one waits.
    fn waits_since(&self) -> Option<Instant> {
        self.waiters().since.first_key_value().map(|(_, since)| *since)
    }
}

impl Admission {
    pub(super) fn new(pool: Arc<str>, size: usize, max_held: usize, queue_size: usize) -> Self {
        Self {
            pool,
            queue_size: AtomicUsize::new(queue_size),
            admission: Line::new(size, "all slots were taken", "the pool's size"),
            held: Line::new(
                max_held,
                "the places for transactions and sessions (pool.max_held) were taken",
                "pool.max_held",
            ),
            canceled: AtomicU64::new(0),
            paused: AtomicBool::new(false),
            resumed: Notify::new(),
        }
    }

    /// Has its lines be of these sizes from now on.
    pub(super) fn resize(&self, size: usize, max_held: usize, queue_size: usize) {
        self.admission.places.resize(size);
        self.held.places.resize(max_held);
        self.queue_size.store(queue_size, Ordering::Relaxed);
    }

    /// Lets nobody in until it is resumed; whether it was not paused before.
    pub(super) fn pause(&self) -> bool {
        !self.paused.swap(true, Ordering::SeqCst)
    }

    /// Lets those in who have waited; whether it was paused.
    pub(super) fn resume(&self) -> bool {
        let was_paused = self.paused.swap(false, Ordering::SeqCst);
        self.resumed.notify_waiters();
        was_paused
    }

    pub(super) fn is_paused(&self) -> bool {
        self.paused.load(Ordering::SeqCst)
    }

    /// Callers in the queues.
    pub(super) fn waiting(&self) -> usize {
        self.admission.waiting() + self.held.waiting()
    }

    /// How long the one has waited that came first.
    pub(super) fn longest_wait(&self) -> Duration {
        let lines = [&self.admission, &self.held];
        let first = lines.into_iter().filter_map(Line::waits_since).min();
        first.map_or(Duration::ZERO, |since| since.elapsed())
    }

    /// Callers that gave up or vanished while they waited.
    pub(super) fn canceled(&self) -> u64 {
        self.canceled.load(Ordering::Relaxed)
    }

    /// Callers inside, and connections on their way out.
    pub(super) fn inside(&self) -> usize {
        self.admission.places.taken()
    }

    /// Waits for its turn, at most `limit`. Cancel safe: a dropped future leaves the queue.
    ///
    /// A caller that will hold its connection first waits for one of the `max_held` places,
    /// outside the queue for connections: it never stands in front of a short statement.
    pub(super) async fn enter(&self, hold: bool, limit: Duration) -> Result<Permits, Error> {
        let started = Instant::now();
        let held = if hold { Some(self.acquire(&self.held, limit).await?) } else { None };
        let left = limit.saturating_sub(started.elapsed());
        let admission = self.acquire(&self.admission, left).await?;
        Ok(Permits { _admission: admission, held })
    }

    /// A permit if one is free and nobody waits for it.
    pub(super) fn try_enter(&self) -> Option<Permits> {
        if self.is_paused() {
            return None;
        }
        self.try_enter_paused()
    }

    /// The same for who looks after the connections of a pool, paused or not.
    pub(super) fn try_enter_paused(&self) -> Option<Permits> {
        Some(Permits { _admission: self.admission.places.try_take()?, held: None })
    }

    /// The right to hold what these permits stand for, if a place is free; else how many there are.
    pub(super) fn try_hold(&self, permits: &mut Permits) -> Result<(), usize> {
        if permits.held.is_none() {
            let place = self.held.places.try_take();
            permits.held = Some(place.ok_or_else(|| self.held.places.size())?);
        }
        Ok(())
    }

    async fn acquire(&self, line: &Line, limit: Duration) -> Result<Permit, Error> {
        if !self.is_paused()
            && let Some(permit) = line.places.try_take()
        {
            return Ok(permit);
        }
        let started = Instant::now();
        let mut place = self.queue(line)?;
        match timeout(limit, self.turn(line)).await {
            Ok(Ok(permit)) => {
                place.served = true;
                Ok(permit)
            }
            Ok(Err(_)) => Err(Error::Closed(Arc::clone(&self.pool))),
            Err(_) => Err(self.exhausted(line, started.elapsed())),
        }
    }

    /// Waits for a permit that comes while the pool is not paused.
    async fn turn(&self, line: &Line) -> Result<Permit, AcquireError> {
        loop {
            let mut resumed = std::pin::pin!(self.resumed.notified());
            resumed.as_mut().enable();
            if self.is_paused() {
                resumed.await;
                continue;
            }
            let permit = line.places.take().await?;
            if !self.is_paused() {
                return Ok(permit);
            }
        }
    }

    fn queue<'a>(&'a self, line: &'a Line) -> Result<Place<'a>, Error> {
        let waiting = line.waiting.fetch_add(1, Ordering::Relaxed);
        let mut waiters = line.waiters();
        waiters.last += 1;
        let number = waiters.last;
        waiters.since.insert(number, Instant::now());
        drop(waiters);
        let place = Place { admission: self, line, number, served: false };
        if waiting < self.queue_size.load(Ordering::Relaxed) {
            return Ok(place);
        }
        Err(Error::QueueFull { pool: Arc::clone(&self.pool), size: line.places.size(), waiting })
    }

    fn exhausted(&self, line: &Line, waited: Duration) -> Error {
        if self.is_paused() {
            return Error::Paused { pool: Arc::clone(&self.pool), waited };
        }
        Error::Exhausted {
            pool: Arc::clone(&self.pool),
            what: line.what,
            remedy: line.remedy,
            size: line.places.size(),
            waiting: line.waiting().saturating_sub(1),
            waited,
        }
    }
}

/// A place in a line; leaving it unserved counts as a cancelled acquisition.
struct Place<'a> {
    admission: &'a Admission,
    line: &'a Line,
    number: u64,
    served: bool,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.line.waiting.fetch_sub(1, Ordering::Relaxed);
        self.line.waiters().since.remove(&self.number);
        if !self.served {
            self.admission.canceled.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(3600);

    fn admission(size: usize, held: usize, queue: usize) -> Admission {
        Admission::new("p".into(), size, held, queue)
    }

    #[tokio::test(start_paused = true)]
    async fn waiting_ends_with_the_pool_its_size_and_the_waiters() {
        let admission = admission(1, 1, 10);
        let _inside = admission.enter(false, LONG).await.unwrap();
        let error = admission.enter(false, Duration::from_secs(5)).await.err().unwrap();
        assert_eq!(error.sqlstate().as_str(), "53300");
        assert!(error.to_string().contains("pool \"p\" is exhausted"), "{error}");
        assert_eq!((admission.waiting(), admission.canceled()), (0, 1));
    }

    #[tokio::test]
    async fn a_full_queue_refuses_at_once() {
        let admission = admission(1, 1, 0);
        let _inside = admission.enter(false, LONG).await.unwrap();
        let error = admission.enter(false, LONG).await.err().unwrap();
        assert!(matches!(error, Error::QueueFull { .. }), "{error}");
    }

    #[tokio::test]
    async fn waiting_for_a_held_place_never_holds_up_a_short_statement() {
        let admission = admission(2, 1, 10);
        let _held = admission.enter(true, LONG).await.unwrap();
        let mut second = std::pin::pin!(admission.enter(true, LONG));
        tokio::select! {
            biased;
            _ = &mut second => panic!("only one may hold"),
            () = std::future::ready(()) => {}
        }
        assert!(admission.try_enter().is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn while_it_is_paused_nobody_enters_however_free_it_is() {
        let admission = Arc::new(admission(2, 1, 10));
        let inside = admission.enter(false, LONG).await.unwrap();
        assert!(admission.pause() && !admission.pause());
        assert!(admission.try_enter().is_none());
        let late = admission.enter(false, Duration::from_secs(5)).await.err().unwrap();
        assert!(matches!(late, Error::Paused { .. }), "{late}");
        assert_eq!(late.sqlstate().as_str(), "53300");
        let queue = Arc::clone(&admission);
        let waiter = tokio::spawn(async move { queue.enter(false, LONG).await.map(drop) });
        while admission.waiting() == 0 {
            tokio::task::yield_now().await;
        }
        drop(inside);
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!((admission.waiting(), admission.inside()), (1, 0));
        assert!(admission.resume() && !admission.resume());
        waiter.await.unwrap().unwrap();
        assert_eq!(admission.longest_wait(), Duration::ZERO);
    }

    #[tokio::test]
    async fn who_waits_when_it_is_paused_is_not_served_either() {
        let admission = Arc::new(admission(1, 1, 10));
        let inside = admission.enter(false, LONG).await.unwrap();
        let queue = Arc::clone(&admission);
        let waiter = tokio::spawn(async move { queue.enter(false, LONG).await.map(drop) });
        while admission.waiting() == 0 {
            tokio::task::yield_now().await;
        }
        admission.pause();
        drop(inside);
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
        assert_eq!((admission.waiting(), admission.inside()), (1, 0));
        admission.resume();
        waiter.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn waiters_are_served_in_order_and_a_vanished_one_costs_nothing() {
        let admission = Arc::new(admission(1, 1, 10));
        let inside = admission.enter(false, LONG).await.unwrap();
        let (order, mut served) = tokio::sync::mpsc::unbounded_channel();
        let mut tasks = Vec::new();
        for n in 0..4 {
            let (queue, order) = (Arc::clone(&admission), order.clone());
            tasks.push(tokio::spawn(async move {
                let _permit = queue.enter(false, LONG).await.unwrap();
                order.send(n).unwrap();
            }));
            while admission.waiting() <= n {
                tokio::task::yield_now().await;
            }
        }
        tasks[1].abort();
        while admission.waiting() > 3 {
            tokio::task::yield_now().await;
        }
        drop(inside);
        for expected in [0, 2, 3] {
            assert_eq!(served.recv().await, Some(expected));
        }
        assert_eq!(admission.canceled(), 1);
    }
}
