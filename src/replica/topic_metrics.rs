//! Counts bytes and requests by topic and for all topics together; replication is counted separately. Kafka 3.9:
//! `BrokerTopicStats`, `BrokerTopicMetrics`.

use std::sync::Arc;

use dashmap::DashMap;

use super::fetch_params::{FetchParams, FetchPartition};
use crate::cluster::FetchPartitionData;
use crate::common::error::ErrorCode;
use crate::common::ids::{TopicName, TopicPartition};
use crate::log::{AppendError, LogAppendInfo};
use crate::metrics::{Histogram, Meter, MetricName, Registry, Timer};
use crate::record::conversion::Conversion;

/// The meters of all topics.
pub struct TopicMetrics {
    registry: Registry,
    all: Meters,
    replication_bytes_in: Arc<Meter>,
    replication_bytes_out: Arc<Meter>,
    reassignment_bytes_in: Arc<Meter>,
    reassignment_bytes_out: Arc<Meter>,
    /// Conversions of records in Produce requests.
    pub produce_conversions: ConversionMetrics,
    /// Conversions of records for Fetch requests.
    pub fetch_conversions: ConversionMetrics,
    topics: DashMap<TopicName, Arc<Meters>>,
}

/// The meters of one topic, or of all topics together.
struct Meters {
    messages_in: Arc<Meter>,
    bytes_in: Arc<Meter>,
    bytes_out: Arc<Meter>,
    produce_requests: Arc<Meter>,
    failed_produce_requests: Arc<Meter>,
    bytes_rejected: Arc<Meter>,
    fetch_requests: Arc<Meter>,
    failed_fetch_requests: Arc<Meter>,
    produce_message_conversions: Arc<Meter>,
    fetch_message_conversions: Arc<Meter>,
}

/// The time and memory that one API spends on conversion. Kafka 3.9: `RequestMetrics`.
pub struct ConversionMetrics {
    time: Arc<Timer>,
    temporary_bytes: Arc<Histogram>,
}

impl ConversionMetrics {
    fn new(registry: &Registry, api: &'static str) -> Self {
        let name = |name: &str| MetricName::new("kafka.network", "RequestMetrics", name).tag("request", api);
        Self {
            time: registry.timer(name("MessageConversionsTimeMs")),
            temporary_bytes: registry.histogram(name("TemporaryMemoryBytes")),
        }
    }

    /// Records the conversion of one request; it may be empty.
    pub fn record(&self, conversion: &Conversion) {
        self.time.update(conversion.time);
        self.temporary_bytes.update(conversion.temporary_bytes);
    }
}

const NAMES: [&str; 10] = [
    "MessagesInPerSec",
    "BytesInPerSec",
    "BytesOutPerSec",
    "TotalProduceRequestsPerSec",
    "FailedProduceRequestsPerSec",
    "BytesRejectedPerSec",
    "TotalFetchRequestsPerSec",
    "FailedFetchRequestsPerSec",
    "ProduceMessageConversionsPerSec",
    "FetchMessageConversionsPerSec",
];

fn name(name: &str, topic: Option<&str>) -> MetricName {
    let name = MetricName::new("kafka.server", "BrokerTopicMetrics", name);
    match topic {
        Some(topic) => name.tag("topic", topic),
        None => name,
    }
}

impl Meters {
    fn new(registry: &Registry, topic: Option<&str>) -> Self {
        let [
            messages_in,
            bytes_in,
            bytes_out,
            produce,
            failed_produce,
            bytes_rejected,
            fetch,
            failed_fetch,
            produce_conversions,
            fetch_conversions,
        ] = NAMES.map(|of| registry.meter(name(of, topic)));
        Self {
            messages_in,
            bytes_in,
            bytes_out,
            produce_requests: produce,
            failed_produce_requests: failed_produce,
            bytes_rejected,
            fetch_requests: fetch,
            failed_fetch_requests: failed_fetch,
            produce_message_conversions: produce_conversions,
            fetch_message_conversions: fetch_conversions,
        }
    }
}

impl TopicMetrics {
    pub(super) fn new(registry: &Registry) -> Self {
        Self {
            all: Meters::new(registry, None),
            replication_bytes_in: registry.meter(name("ReplicationBytesInPerSec", None)),
            replication_bytes_out: registry.meter(name("ReplicationBytesOutPerSec", None)),
            reassignment_bytes_in: registry.meter(name("ReassignmentBytesInPerSec", None)),
            reassignment_bytes_out: registry.meter(name("ReassignmentBytesOutPerSec", None)),
            produce_conversions: ConversionMetrics::new(registry, "Produce"),
            fetch_conversions: ConversionMetrics::new(registry, "Fetch"),
            topics: DashMap::new(),
            registry: registry.clone(),
        }
    }

    fn of(&self, topic: &TopicName) -> Arc<Meters> {
        if let Some(found) = self.topics.get(topic) {
            return found.clone();
        }
        let new = || Arc::new(Meters::new(&self.registry, Some(topic)));
        self.topics.entry(topic.clone()).or_insert_with(new).clone()
    }

    /// Records the result of one append of `bytes` to one partition.
    pub(super) fn produced(
        &self,
        topic: &TopicName,
        bytes: usize,
        appended: Result<&LogAppendInfo, &AppendError>,
    ) {
        for meters in [&*self.of(topic), &self.all] {
            meters.produce_requests.mark(1);
            match appended {
                Ok(info) if !info.duplicate => {
                    let messages = u64::try_from(info.last_offset - info.first_offset + 1).unwrap_or(0);
                    meters.messages_in.mark(messages);
                    meters.bytes_in.mark(info.size as u64);
                }
                Ok(_) => {}
                Err(error) => {
                    meters.failed_produce_requests.mark(1);
                    if matches!(
                        error.code,
                        ErrorCode::MessageTooLarge | ErrorCode::RecordListTooLarge
                    ) {
                        meters.bytes_rejected.mark(bytes as u64);
                    }
                }
            }
        }
    }

    /// Records a conversion for a producer.
    pub(super) fn converted_for_produce(&self, topic: &TopicName, conversion: &Conversion) {
        if conversion.records > 0 {
            for meters in [&*self.of(topic), &self.all] {
                meters.produce_message_conversions.mark(conversion.records);
            }
        }
    }

    /// Records a conversion for an old consumer.
    pub fn converted_for_fetch(&self, topic: &TopicName, conversion: &Conversion) {
        if conversion.records > 0 {
            for meters in [&*self.of(topic), &self.all] {
                meters.fetch_message_conversions.mark(conversion.records);
            }
        }
    }

    /// Records bytes that a follower on this broker appended. `is_being_added` tells whether a reassignment is adding
    /// that follower.
    pub(super) fn replicated(&self, bytes: usize, is_being_added: bool) {
        self.replication_bytes_in.mark(bytes as u64);
        if is_being_added {
            self.reassignment_bytes_in.mark(bytes as u64);
        }
    }

    /// Records the answer to a fetch. `is_being_added` tells whether a reassignment is adding the follower to a
    /// partition.
    pub(super) fn fetched(
        &self,
        params: &FetchParams,
        partitions: &[FetchPartition],
        data: &[FetchPartitionData],
        is_being_added: impl Fn(&TopicPartition) -> bool,
    ) {
        let with_data = partitions.iter().zip(data).filter(|(_, data)| data.size() > 0);
        for (wanted, data) in with_data {
            let bytes = data.size() as u64;
            if params.is_from_follower() {
                self.replication_bytes_out.mark(bytes);
                if is_being_added(&wanted.topic_partition) {
                    self.reassignment_bytes_out.mark(bytes);
                }
            } else {
                self.of(&wanted.topic_partition.topic).bytes_out.mark(bytes);
                self.all.bytes_out.mark(bytes);
            }
        }
    }

    /// Records that a fetch read one partition.
    pub(super) fn read(&self, topic: &TopicName, failed: bool) {
        for meters in [&*self.of(topic), &self.all] {
            meters.fetch_requests.mark(1);
            meters.failed_fetch_requests.mark(u64::from(failed));
        }
    }

    /// Removes the meters of a topic that no longer has a partition on this broker.
    pub(super) fn remove(&self, topic: &TopicName) {
        if self.topics.remove(topic).is_some() {
            NAMES
                .iter()
                .for_each(|of| self.registry.remove(&name(of, Some(topic))));
        }
    }
}
