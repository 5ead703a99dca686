//! All metrics of one broker. Yammer: `MetricsRegistry`.

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

/// All metrics of one broker; a clone is another handle of the same.
#[derive(Clone)]
pub struct Registry {
    clock: SharedClock,
    metrics: Arc<RwLock<BTreeMap<MetricName, Metric>>>,
}

/// An empty one on the operating system's time.
impl Default for Registry {
    fn default() -> Self {
        Self::new(SystemClock::shared())
    }
}

impl Registry {
    /// An empty one.
    pub fn new(clock: SharedClock) -> Self {
        Self {
            clock,
            metrics: Arc::default(),
        }
    }

    /// Asks `value` whenever the metric is looked at; replaces what had this name. What the function holds lives as
    /// long as the registry does, so it should hold its owner weakly.
    pub fn gauge(&self, name: MetricName, value: impl Fn() -> f64 + Send + Sync + 'static) {
        self.metrics.write().insert(name, Metric::Gauge(Arc::new(value)));
    }

    /// The meter of this name, made if there is none.
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

    /// The histogram of this name, made if there is none.
    pub fn histogram(&self, name: MetricName) -> Arc<Histogram> {
        let found = |metric: &Metric| match metric {
            Metric::Histogram(histogram) => Some(histogram.clone()),
            _ => None,
        };
        let new = || Arc::new(Histogram::new(self.clock.clone()));
        self.get_or_insert(name, found, new, Metric::Histogram)
    }

    /// The timer of this name, made if there is none.
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

    /// The rate of this name, made if there is none: `name-rate` and `name-count` among Kafka's own metrics.
    pub fn sampled_rate(&self, name: MetricName) -> Arc<SampledRate> {
        let found = |metric: &Metric| match metric {
            Metric::SampledRate(rate) => Some(rate.clone()),
            _ => None,
        };
        let new = || Arc::new(SampledRate::new(self.clock.clone()));
        self.get_or_insert(name, found, new, Metric::SampledRate)
    }

    /// The times of this name, made if there are none: `name-max` and `name-avg` among Kafka's own metrics.
    pub fn sampled_times(&self, name: MetricName) -> Arc<SampledTimes> {
        let found = |metric: &Metric| match metric {
            Metric::SampledTimes(times) => Some(times.clone()),
            _ => None,
        };
        let new = || Arc::new(SampledTimes::new(self.clock.clone()));
        self.get_or_insert(name, found, new, Metric::SampledTimes)
    }

    /// Forgets the metric of this name. Its holders may go on updating it.
    pub fn remove(&self, name: &MetricName) {
        self.metrics.write().remove(name);
    }

    /// Everything in Prometheus' text format 0.0.4. The gauges are asked without a lock held.
    pub fn exposition(&self) -> String {
        let metrics: Vec<_> = self
            .metrics
            .read()
            .iter()
            .map(|(name, metric)| (name.clone(), metric.clone()))
            .collect();
        exposition::text(&metrics)
    }

    /// A metric of another kind under the same name is replaced: two owners quarrel about a name.
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
