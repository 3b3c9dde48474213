//! Samples of what was counted, so that averages can be told: those of the last whole period, as
//! PgBouncer has them, or since the start before there is one.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use super::stats::{Totals, totals};
use crate::proxy::Proxy;

/// PgBouncer's stats_period.
const PERIOD: Duration = Duration::from_secs(60);

type Sample = (Instant, BTreeMap<String, Totals>);

/// The last two samples.
pub(crate) struct Averages(Mutex<(Sample, Option<Sample>)>);

impl Default for Averages {
    fn default() -> Self {
        Self(Mutex::new(((Instant::now(), BTreeMap::new()), None)))
    }
}

impl Averages {
    /// Samples the door until it is gone.
    pub(crate) fn keep_up(proxy: &Arc<Proxy>) {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let proxy = Arc::downgrade(proxy);
        runtime.spawn(sample(proxy));
    }

    fn add(&self, sample: Sample) {
        let mut samples = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(newer) = samples.1.replace(sample) {
            samples.0 = newer;
        }
    }

    /// What was added to a database's totals in a period, and how long that was.
    pub(super) fn growth(&self, database: &str, now: &Totals) -> (Totals, Duration) {
        let samples = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let of = |sample: &Sample| sample.1.get(database).copied().unwrap_or_default();
        let before = of(&samples.0);
        match &samples.1 {
            Some(newer) => (of(newer).since(&before), newer.0.duration_since(samples.0.0)),
            None => (now.since(&before), samples.0.0.elapsed()),
        }
    }
}

async fn sample(proxy: Weak<Proxy>) {
    loop {
        tokio::time::sleep(PERIOD).await;
        let Some(proxy) = proxy.upgrade() else { return };
        proxy.averages.add((Instant::now(), totals(&proxy).into_iter().collect()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample_of(at: Instant, number: u64) -> Sample {
        let totals = Totals { queries: number, ..Totals::default() };
        (at, BTreeMap::from([("shop".to_owned(), totals)]))
    }

    #[test]
    fn averages_are_those_of_the_last_whole_period() {
        let averages = Averages::default();
        let queries = |number| Totals { queries: number, ..Totals::default() };
        assert_eq!(averages.growth("shop", &queries(5)).0.queries, 5);
        let start = Instant::now();
        averages.add(sample_of(start + PERIOD, 100));
        averages.add(sample_of(start + PERIOD * 2, 160));
        let (growth, period) = averages.growth("shop", &queries(999));
        assert_eq!((growth.queries, period), (60, PERIOD));
    }
}
