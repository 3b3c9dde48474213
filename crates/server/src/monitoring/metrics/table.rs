//! Metrics as rows of tables, and how a row becomes text.

use std::fmt;

use pool_manager::DurationHistogram;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;

/// Names and values.
pub(super) type Labels = Vec<(&'static str, String)>;

/// Something that has figures of its own.
pub(super) trait Scope {
    /// What tells it from others of its kind.
    fn labels(&self) -> &Labels;
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// It only grows; its name gets `_total`.
    Counter,
    Gauge,
}

/// A metric of every `S`.
pub(super) struct Metric<S> {
    /// Of `monitoring.collect`; empty: always there.
    pub(super) group: &'static str,
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) help: &'static str,
    /// A label of its own, where there are several values.
    pub(super) label: &'static str,
    pub(super) read: fn(&S, &mut Samples),
}

/// Values with that of the label of their own.
#[derive(Default)]
pub(super) struct Samples(Vec<(String, f64)>);

impl Samples {
    /// The only one.
    pub(super) fn put(&mut self, value: impl Number) {
        self.put_of("", value);
    }

    /// The one of this label.
    pub(super) fn put_of(&mut self, label: &str, value: impl Number) {
        self.0.push((label.to_owned(), value.number()));
    }

    /// The only one, if there is one.
    pub(super) fn put_known(&mut self, value: Option<impl Number>) {
        if let Some(value) = value {
            self.put(value);
        }
    }
}

/// What Prometheus takes for a number.
pub(super) trait Number {
    fn number(self) -> f64;
}

impl Number for f64 {
    fn number(self) -> f64 {
        self
    }
}

impl Number for u64 {
    #[allow(clippy::cast_precision_loss, reason = "Prometheus has no other numbers")]
    fn number(self) -> f64 {
        self as f64
    }
}

impl Number for u32 {
    fn number(self) -> f64 {
        self.into()
    }
}

impl Number for usize {
    fn number(self) -> f64 {
        (self as u64).number()
    }
}

impl Number for bool {
    fn number(self) -> f64 {
        self.into()
    }
}

/// A histogram of every `S`, in seconds.
pub(super) struct HistogramMetric<S> {
    pub(super) group: &'static str,
    pub(super) name: &'static str,
    pub(super) help: &'static str,
    pub(super) read: fn(&S) -> &DurationHistogram,
}

/// Writes the metrics that are wanted, of all scopes.
pub(super) fn encode<S: Scope>(
    metrics: &[Metric<S>],
    scopes: &[S],
    wanted: impl Fn(&str) -> bool,
    encoder: &mut DescriptorEncoder<'_>,
) -> fmt::Result {
    let is_wanted = |group: &str| group.is_empty() || wanted(group);
    for metric in metrics.iter().filter(|metric| is_wanted(metric.group)) {
        let kind = match metric.kind {
            Kind::Counter => MetricType::Counter,
            Kind::Gauge => MetricType::Gauge,
        };
        let mut family = encoder.encode_descriptor(metric.name, metric.help, None, kind)?;
        for scope in scopes {
            let mut samples = Samples::default();
            (metric.read)(scope, &mut samples);
            for (label, value) in samples.0 {
                let mut labels = scope.labels().clone();
                if !metric.label.is_empty() {
                    labels.push((metric.label, label));
                }
                with_labels(&mut family, &labels, |sample| match metric.kind {
                    Kind::Counter => sample.encode_counter::<NoLabelSet, _, u64>(&value, None),
                    Kind::Gauge => sample.encode_gauge(&value),
                })?;
            }
        }
    }
    Ok(())
}

fn with_labels(
    family: &mut MetricEncoder<'_>,
    labels: &Labels,
    write: impl FnOnce(&mut MetricEncoder<'_>) -> fmt::Result,
) -> fmt::Result {
    if labels.is_empty() {
        return write(family);
    }
    write(&mut family.encode_family(labels)?)
}

/// Writes the histograms that are wanted, of all scopes.
pub(super) fn encode_histograms<S: Scope>(
    metrics: &[HistogramMetric<S>],
    scopes: &[S],
    wanted: impl Fn(&str) -> bool,
    encoder: &mut DescriptorEncoder<'_>,
) -> fmt::Result {
    for metric in metrics.iter().filter(|metric| wanted(metric.group)) {
        let kind = MetricType::Histogram;
        let mut family = encoder.encode_descriptor(metric.name, metric.help, None, kind)?;
        for scope in scopes {
            let times = (metric.read)(scope);
            // The last one has to be there, and be infinite.
            let bound = |bound: Option<std::time::Duration>| {
                bound.map_or(f64::INFINITY, |bound| bound.as_secs_f64())
            };
            let buckets: Vec<_> =
                times.buckets().map(|(upper, count)| (bound(upper), count)).collect();
            let (sum, count) = (times.sum.as_secs_f64(), times.count());
            with_labels(&mut family, scope.labels(), |sample| {
                sample.encode_histogram::<NoLabelSet>(sum, count, &buckets, None)
            })?;
        }
    }
    Ok(())
}
