//! What is to be known about fetchers, under Kafka's metric names. Kafka 3.9: `FetcherStats`, `FetcherLagStats`.

use std::sync::{Arc, Weak};

use super::shared::{Fetcher, FetcherKey};
use crate::common::ids::TopicPartition;
use crate::metrics::{Meter, MetricName, Registry};
use crate::network::BrokerAddress;

/// The name that Kafka gives to the thread, and with it to its figures.
fn thread_name((leader, fetcher): FetcherKey) -> String {
    format!("ReplicaFetcherThread-{fetcher}-{leader}")
}

/// What one fetcher does. It is kept when the fetcher goes: the next one to this leader goes on counting.
pub(super) struct FetcherStats {
    /// `RequestsPerSec`: Fetch requests.
    pub(super) requests: Arc<Meter>,
    /// `BytesPerSec`: bytes of records in the responses.
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

/// Shows how many records one follower lacks, -1 until its leader has answered.
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

/// Undoes [`show_lag`].
pub(super) fn hide_lag(registry: &Registry, key: FetcherKey, partition: &TopicPartition) {
    registry.remove(&lag_name(key, partition));
}
