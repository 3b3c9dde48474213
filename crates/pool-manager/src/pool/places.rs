//! Permits whose number can change while some of them are out. Fewer than are out: those too many
//! are withdrawn as they come back.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};

/// A number of permits, handed out in order of arrival.
#[derive(Debug)]
pub(crate) struct Places {
    permits: Arc<Semaphore>,
    size: AtomicUsize,
    /// How many are out that must not come back.
    withdrawn: AtomicUsize,
    resizing: Mutex<()>,
}

/// One of them; given back, or withdrawn, when dropped.
#[derive(Debug)]
pub(crate) struct Permit {
    /// `Some` until dropped.
    permit: Option<OwnedSemaphorePermit>,
    places: Arc<Places>,
}

impl Places {
    pub(crate) fn new(size: usize) -> Arc<Self> {
        Arc::new(Self {
            permits: Arc::new(Semaphore::new(size)),
            size: AtomicUsize::new(size),
            withdrawn: AtomicUsize::new(0),
            resizing: Mutex::new(()),
        })
    }

    /// How many there may be.
    pub(crate) fn size(&self) -> usize {
        self.size.load(Ordering::Relaxed)
    }

    /// How many are out; more than there may be, for a while after their number was lowered.
    pub(crate) fn taken(&self) -> usize {
        let all = self.size() + self.withdrawn.load(Ordering::Relaxed);
        all.saturating_sub(self.permits.available_permits())
    }

    /// Whether more are out than there may be.
    pub(crate) fn are_too_many(&self) -> bool {
        self.withdrawn.load(Ordering::SeqCst) > 0
    }

    /// One, if it is to be had at once and nobody waits for it.
    pub(crate) fn try_take(self: &Arc<Self>) -> Option<Permit> {
        let permit = Arc::clone(&self.permits).try_acquire_owned().ok()?;
        Some(Permit { permit: Some(permit), places: Arc::clone(self) })
    }

    /// One, in order of arrival. Cancel safe: a dropped future leaves the queue.
    pub(crate) async fn take(self: &Arc<Self>) -> Result<Permit, AcquireError> {
        let permit = Arc::clone(&self.permits).acquire_owned().await?;
        Ok(Permit { permit: Some(permit), places: Arc::clone(self) })
    }

    /// Has it be so many from now on.
    pub(crate) fn resize(&self, size: usize) {
        let _one_at_a_time = self.resizing.lock().unwrap_or_else(PoisonError::into_inner);
        let before = self.size.swap(size, Ordering::Relaxed);
        if size >= before {
            let more = size - before;
            let kept = self.take_withdrawn(more);
            self.permits.add_permits(more - kept);
            return;
        }
        self.withdrawn.fetch_add(before - size, Ordering::SeqCst);
        self.withdraw_free();
    }

    /// Withdraws what is free of those that are too many. One that comes back meanwhile finds
    /// nothing to be withdrawn; either it is seen here by the next look, or it looks again itself.
    fn withdraw_free(&self) {
        loop {
            let wanted = self.take_withdrawn(usize::MAX);
            let gone = self.permits.forget_permits(wanted);
            self.withdrawn.fetch_add(wanted - gone, Ordering::SeqCst);
            if gone == wanted || self.permits.available_permits() == 0 {
                return;
            }
        }
    }

    /// Takes at most so many off what is to be withdrawn; how many.
    fn take_withdrawn(&self, most: usize) -> usize {
        let take = |withdrawn: usize| Some(withdrawn - withdrawn.min(most));
        let before = self.withdrawn.fetch_update(Ordering::SeqCst, Ordering::SeqCst, take);
        before.unwrap_or_else(|before| before).min(most)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let Some(permit) = self.permit.take() else { return };
        if self.places.are_too_many() && self.places.take_withdrawn(1) == 1 {
            return permit.forget();
        }
        drop(permit);
        if self.places.are_too_many() {
            self.places.withdraw_free();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn fewer_places_are_so_many_at_once_or_as_permits_come_back() {
        let places = Places::new(4);
        let out: Vec<_> = (0..3).map_while(|_| places.try_take()).collect();
        places.resize(2);
        assert_eq!((places.size(), places.taken(), places.are_too_many()), (2, 3, true));
        assert!(places.try_take().is_none());
        let mut out = out.into_iter();
        drop(out.next());
        assert_eq!((places.taken(), places.are_too_many()), (2, false));
        assert!(places.try_take().is_none(), "that one was withdrawn");
        drop(out.next());
        let again = places.try_take().unwrap();
        assert!(places.try_take().is_none());
        drop((again, out));
        assert_eq!(places.taken(), 0);
    }

    #[tokio::test]
    async fn more_places_first_keep_those_that_were_to_be_withdrawn() {
        let places = Places::new(3);
        let out: Vec<_> = (0..3).map_while(|_| places.try_take()).collect();
        places.resize(1);
        places.resize(2);
        assert_eq!(places.taken(), 3);
        assert!(places.try_take().is_none());
        places.resize(4);
        let one = places.try_take().unwrap();
        assert!(places.try_take().is_none());
        drop((one, out));
        let all: Vec<_> = (0..9).map_while(|_| places.try_take()).collect();
        assert_eq!(all.len(), 4);
    }

    #[tokio::test]
    async fn somebody_who_waits_gets_a_place_that_is_new() {
        let places = Places::new(0);
        let waiting = tokio::spawn({
            let places = Arc::clone(&places);
            async move { places.take().await.map(drop) }
        });
        tokio::task::yield_now().await;
        places.resize(1);
        waiting.await.unwrap().unwrap();
    }

    #[test]
    fn however_threads_take_and_resize_the_number_comes_out_right() {
        let places = Places::new(5);
        std::thread::scope(|threads| {
            for _ in 0..3 {
                threads.spawn(|| {
                    for _ in 0..20_000 {
                        drop(places.try_take());
                    }
                });
            }
            threads.spawn(|| {
                for size in (0..20_000).map(|round| round % 7) {
                    places.resize(size);
                }
                places.resize(3);
            });
        });
        assert_eq!((places.taken(), places.are_too_many()), (0, false));
        let all: Vec<_> = (0..9).map_while(|_| places.try_take()).collect();
        assert_eq!(all.len(), 3);
    }
}
