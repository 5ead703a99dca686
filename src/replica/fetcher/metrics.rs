//! Owns the metrics of fetchers under Kafka's names. Kafka 3.9: `FetcherStats`, `FetcherLagStats`.

use std::sync::{Arc, Weak};

use super::shared::{Fetcher, FetcherKey};
use crate::common::ids::TopicPartition;
use crate::metrics::{Meter, MetricName, Registry};
use crate::network::BrokerAddress;

/// The name that Kafka gives to the fetcher's thread; it is a tag of the metrics.
fn thread_name((leader, fetcher): FetcherKey) -> String {
    format!("ReplicaFetcherThread-{fetcher}-{leader}")
}

/// The meters of one fetcher. They are kept when the fetcher ends: the next fetcher of this leader continues to count.
pub(super) struct FetcherStats {
    /// `RequestsPerSec`: Fetch requests.
    pub(super) requests: Arc<Meter>,
    /// `BytesPerSec`: the bytes of the records in the responses.
    pub(super) bytes: Arc<Meter>,
}

impl FetcherStats {
    pub(super) fn new(registry: &Registry, key: FetcherKey, leader: &BrokerAddress) -> Self {
        let meter = |name: &str| {
            let name = MetricName::new("kafka.server", "FetcherStats", name)
                .tag("clientId", thread_name(key))
                .tag("brokerHost", leader.endpoint.host.clone())
                .tag("brokerPort", leader.endpoint.port.to_string());
            registry.meter(name)
        };
        Self {
            requests: meter("RequestsPerSec"),
            bytes: meter("BytesPerSec"),
        }
    }
}

fn lag_name(key: FetcherKey, partition: &TopicPartition) -> MetricName {
    MetricName::new("kafka.server", "FetcherLagMetrics", "ConsumerLag")
        .tag("clientId", thread_name(key))
        .tag("topic", partition.topic.to_string())
        .tag("partition", partition.partition.to_string())
}

/// Registers the gauge of one follower's lag in records; it is -1 until the leader has answered.
pub(super) fn show_lag(
    registry: &Registry,
    key: FetcherKey,
    fetcher: &Arc<Fetcher>,
    partition: &TopicPartition,
) {
    let (fetcher, of) = (Arc::downgrade(fetcher), partition.clone());
    registry.gauge(lag_name(key, partition), move || lag(&fetcher, &of) as f64);
}

fn lag(fetcher: &Weak<Fetcher>, partition: &TopicPartition) -> i64 {
    let fetcher = fetcher.upgrade();
    let lag = fetcher.and_then(|fetcher| fetcher.partitions.lock().get(partition)?.lag);
    lag.unwrap_or(-1)
}

/// Removes the gauge of [`show_lag`].
pub(super) fn hide_lag(registry: &Registry, key: FetcherKey, partition: &TopicPartition) {
    registry.remove(&lag_name(key, partition));
}
