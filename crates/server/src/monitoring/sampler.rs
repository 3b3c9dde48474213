//! What is looked at every `monitoring.interval`: throughput and latency for the page's history, and what
//! the process takes of the machine. A bounded number of samples is kept.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use pool_manager::{DatabasePool, DurationHistogram};
use serde::Serialize;

use super::Monitor;
use super::process::ProcessFigures;

/// Samples that are kept.
const KEPT: usize = 120;

#[derive(Default)]
pub(super) struct Sampler(Mutex<Samples>);

#[derive(Default)]
struct Samples {
    history: VecDeque<Sample>,
    process: ProcessFigures,
    /// What had been counted at the last one.
    last: Option<(Instant, Counted)>,
}

/// Between two samples.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Sample {
    /// Statements a second.
    pub(super) queries: f64,
    /// Of those, how many failed.
    pub(super) errors: f64,
    /// What half of them, and 99 of 100, took at most, milliseconds.
    pub(super) p50_ms: Option<f64>,
    pub(super) p99_ms: Option<f64>,
    /// Connections in use, and callers that waited for one, at its end.
    pub(super) active: u32,
    pub(super) waiting: u32,
    /// Clients at both doors.
    pub(super) clients: usize,
}

#[derive(Default)]
struct Counted {
    times: DurationHistogram,
    errors: u64,
    active: u32,
    waiting: u32,
}

impl Sampler {
    /// Takes one.
    pub(super) fn take(&self, monitor: &Monitor) {
        let process = ProcessFigures::read();
        let counted = Counted::of(monitor);
        let now = Instant::now();
        let clients =
            monitor.service.clients() + monitor.proxy.as_ref().map_or(0, |it| it.clients());
        let mut samples = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        samples.process = process;
        if let Some((then, before)) = &samples.last {
            let seconds = (now - *then).as_secs_f64().max(f64::MIN_POSITIVE);
            let times = counted.times.since(&before.times);
            let ms = |share| times.quantile(share).map(|time| time.as_secs_f64() * 1000.0);
            let sample = Sample {
                queries: rate(times.count(), seconds),
                errors: rate(counted.errors.saturating_sub(before.errors), seconds),
                p50_ms: ms(0.5),
                p99_ms: ms(0.99),
                active: counted.active,
                waiting: counted.waiting,
                clients,
            };
            if samples.history.len() >= KEPT {
                samples.history.pop_front();
            }
            samples.history.push_back(sample);
        }
        samples.last = Some((now, counted));
    }

    /// Those that are kept, the oldest first.
    pub(super) fn history(&self) -> Vec<Sample> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).history.iter().cloned().collect()
    }

    pub(super) fn process(&self) -> ProcessFigures {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).process
    }
}

impl Counted {
    fn of(monitor: &Monitor) -> Self {
        let mut all = Self::default();
        for stats in monitor.service.live().registry.iter().map(DatabasePool::stats) {
            all.times.add(&stats.query_times);
            all.errors += stats.error_count;
            all.active += stats.active_connections;
            all.waiting += stats.waiting_clients;
        }
        all
    }
}

#[allow(clippy::cast_precision_loss, reason = "a rate")]
fn rate(count: u64, seconds: f64) -> f64 {
    count as f64 / seconds
}
