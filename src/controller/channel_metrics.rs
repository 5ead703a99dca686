//! How many requests wait for each broker, and how long they have waited, under Kafka's metric names. Kafka 3.9: the
//! metrics of `ControllerChannelManager`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use crate::common::ids::BrokerId;
use crate::metrics::{MetricName, Registry, Timer};

/// Of all channels. `TotalQueueSize` is shown always, the others while there is a channel to their broker.
pub(super) struct ChannelMetrics {
    registry: Registry,
    queues: Arc<Mutex<BTreeMap<BrokerId, Arc<QueueMetrics>>>>,
}

/// Of the channel to one broker.
pub(super) struct QueueMetrics {
    /// Requests that wait; the one under way does not count.
    size: AtomicUsize,
    queue_time: Arc<Timer>,
}

fn name(name: &str) -> MetricName {
    MetricName::new("kafka.controller", "ControllerChannelManager", name)
}

fn of_broker(metric: &str, broker: BrokerId) -> MetricName {
    name(metric).tag("broker-id", broker)
}

impl ChannelMetrics {
    pub(super) fn new(registry: &Registry) -> Self {
        let queues: Arc<Mutex<BTreeMap<BrokerId, Arc<QueueMetrics>>>> = Arc::default();
        let shown = queues.clone();
        registry.gauge(name("TotalQueueSize"), move || {
            shown.lock().values().map(|queue| queue.size()).sum::<usize>() as f64
        });
        Self {
            registry: registry.clone(),
            queues,
        }
    }

    /// Shows an empty queue.
    pub(super) fn add(&self, broker: BrokerId) -> Arc<QueueMetrics> {
        let queue = Arc::new(QueueMetrics {
            size: AtomicUsize::new(0),
            queue_time: self
                .registry
                .timer(of_broker("RequestRateAndQueueTimeMs", broker)),
        });
        let shown = queue.clone();
        self.registry
            .gauge(of_broker("QueueSize", broker), move || shown.size() as f64);
        self.queues.lock().insert(broker, queue.clone());
        queue
    }

    /// Shows nothing of a broker any more.
    pub(super) fn remove(&self, broker: BrokerId) {
        if self.queues.lock().remove(&broker).is_some() {
            self.registry.remove(&of_broker("QueueSize", broker));
            self.registry
                .remove(&of_broker("RequestRateAndQueueTimeMs", broker));
        }
    }
}

impl QueueMetrics {
    fn size(&self) -> usize {
        self.size.load(Ordering::Relaxed)
    }

    /// A request waits.
    pub(super) fn queued(&self) {
        self.size.fetch_add(1, Ordering::Relaxed);
    }

    /// One is being sent after it has waited.
    pub(super) fn taken(&self, waited: Duration) {
        self.size.fetch_sub(1, Ordering::Relaxed);
        self.queue_time.update(waited);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::common::clock::ManualClock;

    #[test]
    fn queues_are_shown_while_there_are_channels() {
        let registry = Registry::new(ManualClock::at(0));
        let metrics = ChannelMetrics::new(&registry);
        let (one, two) = (metrics.add(1), metrics.add(2));
        for queue in [&one, &one, &two] {
            queue.queued();
        }
        one.taken(Duration::from_millis(3));
        let shown = |metric: &str| {
            let text = registry.exposition().to_lowercase();
            let line = text
                .lines()
                .find(|line| !line.starts_with('#') && line.contains(metric));
            line.and_then(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
        };
        assert_eq!(shown("channelmanager_totalqueuesize"), Some(2.0));
        assert_eq!(shown("channelmanager_queuesize{broker_id=\"1\""), Some(1.0));
        assert_eq!(
            shown("requestrateandqueuetimems_count{broker_id=\"1\""),
            Some(1.0)
        );
        metrics.remove(1);
        metrics.remove(1);
        assert_eq!(shown("channelmanager_totalqueuesize"), Some(1.0));
        assert_eq!(shown("broker_id=\"1\""), None);
        assert_eq!(shown("channelmanager_queuesize{broker_id=\"2\""), Some(1.0));
    }
}
