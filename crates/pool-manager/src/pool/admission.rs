//! Who may have a connection next: in order of arrival, bounded in number and time.
//!
//! Tokio's semaphore hands permits over in the order in which they were asked for, and a permit
//! that is released goes to the first waiter before anybody who comes later can take it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::error::Error;

/// The right to a connection. Dropped last, after the connection went back.
pub(super) struct Permits {
    _admission: OwnedSemaphorePermit,
    held: Option<OwnedSemaphorePermit>,
}

impl Permits {
    /// Gives back the right to hold it.
    pub(super) fn let_go(&mut self) {
        self.held = None;
    }
}

pub(super) struct Admission {
    pool: Arc<str>,
    queue_size: usize,
    admission: Line,
    /// A line of its own: whoever waits here takes no place from short statements.
    held: Line,
    canceled: AtomicU64,
}

/// Callers in front of one kind of permit.
struct Line {
    permits: Arc<Semaphore>,
    size: usize,
    waiting: AtomicUsize,
    /// What was waited for, in an error.
    what: &'static str,
    /// What to raise.
    remedy: &'static str,
}

impl Line {
    fn new(size: usize, what: &'static str, remedy: &'static str) -> Self {
        let permits = Arc::new(Semaphore::new(size));
        Self { permits, size, waiting: AtomicUsize::new(0), what, remedy }
    }

    fn try_enter(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.permits).try_acquire_owned().ok()
    }

    fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }
}

impl Admission {
    pub(super) fn new(pool: Arc<str>, size: usize, max_held: usize, queue_size: usize) -> Self {
        Self {
            pool,
            queue_size,
            admission: Line::new(size, "all slots were taken", "the pool's size"),
            held: Line::new(
                max_held,
                "the places for transactions and sessions (pool.max_held) were taken",
                "pool.max_held",
            ),
            canceled: AtomicU64::new(0),
        }
    }

    /// Callers in the queues.
    pub(super) fn waiting(&self) -> usize {
        self.admission.waiting() + self.held.waiting()
    }

    /// Callers that gave up or vanished while they waited.
    pub(super) fn canceled(&self) -> u64 {
        self.canceled.load(Ordering::Relaxed)
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
        Some(Permits { _admission: self.admission.try_enter()?, held: None })
    }

    /// The right to hold what these permits stand for, if a place is free; else how many there are.
    pub(super) fn try_hold(&self, permits: &mut Permits) -> Result<(), usize> {
        if permits.held.is_none() {
            permits.held = Some(self.held.try_enter().ok_or(self.held.size)?);
        }
        Ok(())
    }

    /// Every permit: nobody is inside any more.
    pub(super) async fn everybody_out(&self) {
        let all = u32::try_from(self.admission.size).unwrap_or(u32::MAX);
        let _ = Arc::clone(&self.admission.permits).acquire_many_owned(all).await;
    }

    async fn acquire(&self, line: &Line, limit: Duration) -> Result<OwnedSemaphorePermit, Error> {
        if let Some(permit) = line.try_enter() {
            return Ok(permit);
        }
        let started = Instant::now();
        let mut place = self.queue(line)?;
        match timeout(limit, Arc::clone(&line.permits).acquire_owned()).await {
            Ok(Ok(permit)) => {
                place.served = true;
                Ok(permit)
            }
            Ok(Err(_)) => Err(Error::Closed(Arc::clone(&self.pool))),
            Err(_) => Err(self.exhausted(line, started.elapsed())),
        }
    }

    fn queue<'a>(&'a self, line: &'a Line) -> Result<Place<'a>, Error> {
        let waiting = line.waiting.fetch_add(1, Ordering::Relaxed);
        let place = Place { admission: self, line, served: false };
        if waiting < self.queue_size {
            return Ok(place);
        }
        Err(Error::QueueFull { pool: Arc::clone(&self.pool), size: line.size, waiting })
    }

    fn exhausted(&self, line: &Line, waited: Duration) -> Error {
        Error::Exhausted {
            pool: Arc::clone(&self.pool),
            what: line.what,
            remedy: line.remedy,
            size: line.size,
            waiting: line.waiting().saturating_sub(1),
            waited,
        }
    }
}

/// A place in a line; leaving it unserved counts as a cancelled acquisition.
struct Place<'a> {
    admission: &'a Admission,
    line: &'a Line,
    served: bool,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.line.waiting.fetch_sub(1, Ordering::Relaxed);
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
