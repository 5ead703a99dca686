//! What comes in and goes out, by topic and for all of them; replication is counted apart. Kafka 3.9:
//! `BrokerTopicStats`, `BrokerTopicMetrics`.

use std::sync::Arc;

use dashmap::DashMap;

use super::fetch::{FetchParams, FetchPartition, FetchPartitionData};
use crate::common::ids::TopicName;
use crate::log::LogAppendInfo;
use crate::metrics::{Meter, MetricName, Registry};

/// The meters of all topics.
pub struct TopicMetrics {
    registry: Registry,
    all: Meters,
    replication_bytes_in: Arc<Meter>,
    replication_bytes_out: Arc<Meter>,
    topics: DashMap<TopicName, Arc<Meters>>,
}

/// One topic's, or those of all together.
struct Meters {
    messages_in: Arc<Meter>,
    bytes_in: Arc<Meter>,
    bytes_out: Arc<Meter>,
    produce_requests: Arc<Meter>,
    failed_produce_requests: Arc<Meter>,
    fetch_requests: Arc<Meter>,
    failed_fetch_requests: Arc<Meter>,
}

const NAMES: [&str; 7] = [
    "MessagesInPerSec",
    "BytesInPerSec",
    "BytesOutPerSec",
    "TotalProduceRequestsPerSec",
    "FailedProduceRequestsPerSec",
    "TotalFetchRequestsPerSec",
    "FailedFetchRequestsPerSec",
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
            fetch,
            failed_fetch,
        ] = NAMES.map(|of| registry.meter(name(of, topic)));
        Self {
            messages_in,
            bytes_in,
            bytes_out,
            produce_requests: produce,
            failed_produce_requests: failed_produce,
            fetch_requests: fetch,
            failed_fetch_requests: failed_fetch,
        }
    }
}

impl TopicMetrics {
    pub(super) fn new(registry: &Registry) -> Self {
        Self {
            all: Meters::new(registry, None),
            replication_bytes_in: registry.meter(name("ReplicationBytesInPerSec", None)),
            replication_bytes_out: registry.meter(name("ReplicationBytesOutPerSec", None)),
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

    fn mark(&self, topic: &TopicName, events: u64, meter: impl Fn(&Meters) -> &Arc<Meter>) {
        meter(&self.of(topic)).mark(events);
        meter(&self.all).mark(events);
    }

    /// Records of one partition were appended, or refused.
    pub(super) fn produced(&self, topic: &TopicName, appended: Option<&LogAppendInfo>) {
        self.mark(topic, 1, |m| &m.produce_requests);
        match appended {
            Some(info) if !info.duplicate => {
                let messages = u64::try_from(info.last_offset - info.first_offset + 1).unwrap_or(0);
                self.mark(topic, messages, |m| &m.messages_in);
                self.mark(topic, info.size as u64, |m| &m.bytes_in);
            }
            Some(_) => {}
            None => self.mark(topic, 1, |m| &m.failed_produce_requests),
        }
    }

    /// Records of one leader were appended by a follower here.
    pub(super) fn replicated(&self, bytes: usize) {
        self.replication_bytes_in.mark(bytes as u64);
    }

    /// A fetch was answered.
    pub(super) fn fetched(
        &self,
        params: &FetchParams,
        partitions: &[FetchPartition],
        data: &[FetchPartitionData],
    ) {
        for (wanted, data) in partitions.iter().zip(data) {
            let topic = &wanted.topic_partition.topic;
            if params.is_from_follower() {
                self.replication_bytes_out.mark(data.size() as u64);
            } else {
                self.mark(topic, data.size() as u64, |m| &m.bytes_out);
            }
        }
    }

    /// One partition was read for a fetch.
    pub(super) fn read(&self, topic: &TopicName, failed: bool) {
        self.mark(topic, 1, |m| &m.fetch_requests);
        if failed {
            self.mark(topic, 1, |m| &m.failed_fetch_requests);
        }
    }

    /// Nothing of a topic is left on this broker.
    pub(super) fn remove(&self, topic: &TopicName) {
        if self.topics.remove(topic).is_some() {
            NAMES
                .iter()
                .for_each(|of| self.registry.remove(&name(of, Some(topic))));
        }
    }
}
