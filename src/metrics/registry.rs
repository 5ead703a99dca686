//! Owns all metrics of one broker. Yammer: `MetricsRegistry`.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::RwLock;

use super::exposition;
use super::histogram::Histogram;
use super::meter::Meter;
use super::metric::Metric;
use super::name::MetricName;
use super::sampled::{SampledRate, SampledTimes};
use super::timer::Timer;
use crate::common::clock::{SharedClock, SystemClock};

/// All metrics of one broker; a clone is another handle to the same metrics.
#[derive(Clone)]
pub struct Registry {
    clock: SharedClock,
    metrics: Arc<RwLock<BTreeMap<MetricName, Metric>>>,
}

/// An empty registry that uses the operating system's time.
impl Default for Registry {
    fn default() -> Self {
        Self::new(SystemClock::shared())
    }
}

impl Registry {
    /// Creates an empty registry.
    pub fn new(clock: SharedClock) -> Self {
        Self {
            clock,
            metrics: Arc::default(),
        }
    }

    /// Registers a gauge that calls `value` whenever it is read; it replaces a metric of the same name. The function
    /// lives as long as the registry, so it should hold only a weak reference to its owner.
    pub fn gauge(&self, name: MetricName, value: impl Fn() -> f64 + Send + Sync + 'static) {
        self.metrics.write().insert(name, Metric::Gauge(Arc::new(value)));
    }

    /// The meter with this name; created if there is none.
    pub fn meter(&self, name: MetricName) -> Arc<Meter> {
        let found = |metric: &Metric| match metric {
            Metric::Meter(meter) => Some(meter.clone()),
            _ => None,
        };
        self.get_or_insert(
            name,
            found,
            || Arc::new(Meter::new(self.clock.clone())),
            Metric::Meter,
        )
    }

    /// The histogram with this name; created if there is none.
    pub fn histogram(&self, name: MetricName) -> Arc<Histogram> {
        let found = |metric: &Metric| match metric {
            Metric::Histogram(histogram) => Some(histogram.clone()),
            _ => None,
        };
        let new = || Arc::new(Histogram::new(self.clock.clone()));
        self.get_or_insert(name, found, new, Metric::Histogram)
    }

    /// The timer with this name; created if there is none.
    pub fn timer(&self, name: MetricName) -> Arc<Timer> {
        let found = |metric: &Metric| match metric {
            Metric::Timer(timer) => Some(timer.clone()),
            _ => None,
        };
        self.get_or_insert(
            name,
            found,
            || Arc::new(Timer::new(self.clock.clone())),
            Metric::Timer,
        )
    }

    /// The rate with this name; created if there is none. Among Kafka's own metrics it is `name-rate` and `name-count`.
    pub fn sampled_rate(&self, name: MetricName) -> Arc<SampledRate> {
        let found = |metric: &Metric| match metric {
            Metric::SampledRate(rate) => Some(rate.clone()),
            _ => None,
        };
        let new = || Arc::new(SampledRate::new(self.clock.clone()));
        self.get_or_insert(name, found, new, Metric::SampledRate)
    }

    /// The times with this name; created if there are none. Among Kafka's own metrics they are `name-max` and
    /// `name-avg`.
    pub fn sampled_times(&self, name: MetricName) -> Arc<SampledTimes> {
        let found = |metric: &Metric| match metric {
            Metric::SampledTimes(times) => Some(times.clone()),
            _ => None,
        };
        let new = || Arc::new(SampledTimes::new(self.clock.clone()));
        self.get_or_insert(name, found, new, Metric::SampledTimes)
    }

    /// Removes the metric with this name. A component that still holds it may go on updating it.
    pub fn remove(&self, name: &MetricName) {
        self.metrics.write().remove(name);
    }

    /// All metrics in Prometheus' text format 0.0.4. No lock is held while the gauges are read.
    pub fn exposition(&self) -> String {
        let metrics: Vec<_> = self
            .metrics
            .read()
            .iter()
            .map(|(name, metric)| (name.clone(), metric.clone()))
            .collect();
        exposition::text(&metrics)
    }

    /// Replaces a metric of another kind with the same name: two owners use one name by mistake.
    fn get_or_insert<T>(
        &self,
        name: MetricName,
        found: impl Fn(&Metric) -> Option<Arc<T>>,
        new: impl FnOnce() -> Arc<T>,
        wrap: impl FnOnce(Arc<T>) -> Metric,
    ) -> Arc<T> {
        let mut metrics = self.metrics.write();
        if let Some(metric) = metrics.get(&name) {
            if let Some(metric) = found(metric) {
                return metric;
            }
            debug_assert!(false, "{name} is a metric of another kind already");
        }
        let metric = new();
        metrics.insert(name, wrap(metric.clone()));
        metric
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_name_is_one_metric_until_it_is_removed() {
        let registry = Registry::default();
        let name =
            || MetricName::new("kafka.server", "BrokerTopicMetrics", "BytesInPerSec").tag("topic", "t");
        registry.meter(name()).mark(2);
        registry.clone().meter(name()).mark(3);
        assert_eq!(registry.meter(name()).count(), 5);
        assert_eq!(
            name().to_string(),
            "kafka.server:type=BrokerTopicMetrics,name=BytesInPerSec,topic=t"
        );
        registry.remove(&name());
        assert_eq!(registry.exposition(), "");
        assert_eq!(registry.meter(name()).count(), 0);
    }
}
