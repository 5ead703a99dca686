//! Owns the metadata cache: an immutable snapshot of the cluster, which each UpdateMetadata replaces as a whole.
//!
//! Readers take the snapshot once per request and see one consistent state. The cache never reads from ZooKeeper: the
//! controller is the only source (fact 71).

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arc_swap::ArcSwap;
use parking_lot::Mutex;

use crate::common::ids::{BrokerId, ControllerEpoch, TopicId, TopicName, TopicPartition};
use crate::common::leader_and_isr::LeaderIsrAndControllerEpoch;
use crate::config::Endpoint;

/// A live broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokerMetadata {
    /// Its `broker.id`.
    pub id: BrokerId,
    /// One endpoint for each advertised listener.
    pub endpoints: Vec<Endpoint>,
    /// `broker.rack`.
    pub rack: Option<String>,
}

impl BrokerMetadata {
    /// The address of this broker on one listener.
    pub fn endpoint(&self, listener: &str) -> Option<&Endpoint> {
        self.endpoints.iter().find(|e| e.listener == listener)
    }
}

/// One partition, as the controller last described it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionMetadata {
    /// Leader, epochs, ISR.
    pub state: LeaderIsrAndControllerEpoch,
    /// Assigned replicas, the preferred leader first.
    pub replicas: Vec<BrokerId>,
    /// Replicas that are not served: their broker is down or their log dir has failed.
    pub offline_replicas: Vec<BrokerId>,
}

/// One topic. It contains only partitions that have had a leader.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TopicMetadata {
    /// The id; nil if the topic has none.
    pub id: TopicId,
    /// The partitions by number.
    pub partitions: BTreeMap<i32, PartitionMetadata>,
}

/// The cluster at one moment.
#[derive(Clone, Debug, Default)]
pub struct MetadataSnapshot {
    /// Epoch of the controller that sent the last update.
    pub controller_epoch: ControllerEpoch,
    /// The controller that sent the last update.
    pub controller_id: Option<BrokerId>,
    /// Live brokers.
    pub brokers: BTreeMap<BrokerId, BrokerMetadata>,
    /// Topics with at least one partition.
    pub topics: HashMap<TopicName, Arc<TopicMetadata>>,
    /// Topic names by id, for Fetch from version 13 and the like.
    pub topic_names: HashMap<TopicId, TopicName>,
}

impl MetadataSnapshot {
    /// One partition; `None` if the controller has not named it.
    pub fn partition(&self, topic: &str, partition: i32) -> Option<&PartitionMetadata> {
        self.topics.get(topic)?.partitions.get(&partition)
    }

    /// The topic's id; nil if it has none or does not exist.
    #[cfg(test)]
    pub fn topic_id(&self, topic: &str) -> TopicId {
        self.topics.get(topic).map_or(TopicId::nil(), |t| t.id)
    }

    /// A topic's name, shared with the snapshot if the topic is in it.
    pub fn topic_name(&self, topic: &str) -> TopicName {
        let known = self.topics.get_key_value(topic).map(|(name, _)| name.clone());
        known.unwrap_or_else(|| TopicName::from(topic))
    }

    /// Whether a broker is alive, as far as the controller has said.
    pub fn is_alive(&self, broker: BrokerId) -> bool {
        self.brokers.contains_key(&broker)
    }

    /// The address of a live broker on one listener.
    pub fn endpoint(&self, broker: BrokerId, listener: &str) -> Option<&Endpoint> {
        self.brokers.get(&broker)?.endpoint(listener)
    }

    /// The controller's broker id, and its address on one listener.
    pub fn controller(&self, listener: &str) -> Option<(BrokerId, &Endpoint)> {
        let id = self.controller_id?;
        Some((id, self.endpoint(id, listener)?))
    }

    /// Adds or replaces one partition.
    pub fn upsert_partition(
        &mut self,
        partition: &TopicPartition,
        topic_id: TopicId,
        state: PartitionMetadata,
    ) {
        let topic = Arc::make_mut(self.topics.entry(partition.topic.clone()).or_default());
        if !topic_id.is_nil() {
            topic.id = topic_id;
            self.topic_names.insert(topic_id, partition.topic.clone());
        }
        topic.partitions.insert(partition.partition, state);
    }

    /// Removes one partition, and its topic with the last one.
    pub fn remove_partition(&mut self, partition: &TopicPartition) {
        let Some(topic) = self.topics.get_mut(&partition.topic) else {
            return;
        };
        let topic = Arc::make_mut(topic);
        topic.partitions.remove(&partition.partition);
        if topic.partitions.is_empty() {
            let id = topic.id;
            self.topics.remove(&partition.topic);
            self.topic_names.remove(&id);
        }
    }
}

/// The current [`MetadataSnapshot`].
#[derive(Default)]
pub struct MetadataCache {
    snapshot: ArcSwap<MetadataSnapshot>,
    writer: Mutex<()>,
}

impl MetadataCache {
    /// The present snapshot.
    pub fn snapshot(&self) -> Arc<MetadataSnapshot> {
        self.snapshot.load_full()
    }

    /// Replaces the snapshot by a changed copy of itself. Topics that do not change are shared, not copied.
    pub fn update(&self, change: impl FnOnce(&mut MetadataSnapshot)) {
        let _writer = self.writer.lock();
        let mut snapshot = MetadataSnapshot::clone(&self.snapshot.load());
        change(&mut snapshot);
        self.snapshot.store(Arc::new(snapshot));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::common::leader_and_isr::LeaderAndIsr;

    fn partition_led_by(leader: BrokerId) -> PartitionMetadata {
        let leader_and_isr = LeaderAndIsr::initial(leader, vec![leader]);
        PartitionMetadata {
            state: LeaderIsrAndControllerEpoch {
                leader_and_isr,
                controller_epoch: 1,
            },
            replicas: vec![leader],
            offline_replicas: vec![],
        }
    }

    #[test]
    fn an_image_once_taken_does_not_change() {
        let cache = MetadataCache::default();
        let (id, p0) = (TopicId::from_u128(7), TopicPartition::new("t", 0));
        let before = cache.snapshot();
        cache.update(|snapshot| snapshot.upsert_partition(&p0, id, partition_led_by(1)));
        assert!(before.partition("t", 0).is_none());
        assert_eq!(cache.snapshot().partition("t", 0), Some(&partition_led_by(1)));
        assert_eq!(cache.snapshot().topic_names.get(&id).map(|n| &**n), Some("t"));
    }

    #[test]
    fn a_topic_goes_with_its_last_partition() {
        let cache = MetadataCache::default();
        let (p0, p1) = (TopicPartition::new("t", 0), TopicPartition::new("t", 1));
        cache.update(|snapshot| {
            snapshot.upsert_partition(&p0, TopicId::from_u128(7), partition_led_by(1));
            snapshot.upsert_partition(&p1, TopicId::from_u128(7), partition_led_by(2));
            snapshot.remove_partition(&p0);
        });
        assert!(cache.snapshot().topics.contains_key("t"));
        cache.update(|snapshot| snapshot.remove_partition(&p1));
        assert!(cache.snapshot().topics.is_empty() && cache.snapshot().topic_names.is_empty());
    }
}
