//! The controller's memory of the cluster: brokers, topics, partitions, replicas and their states. Plain maps, no IO,
//! every iteration in a fixed order. Kafka 3.9: `ControllerContext`. Unlike there, a topic owns its states and leaders,
//! so that its removal cannot leave any of them behind.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::partition_state::PartitionState;
use crate::common::ids::{
    BrokerEpoch, BrokerId, ControllerEpoch, LEADER_EPOCH_DURING_DELETE, LeaderEpoch, NO_LEADER_EPOCH,
    TopicId, TopicName, TopicPartition,
};
use crate::common::leader_and_isr::{LeaderAndIsr, LeaderIsrAndControllerEpoch, ReplicaAssignment};
use crate::metadata::BrokerMetadata;

mod counts;
mod partition;
mod replicas;

use partition::{Partition, PartitionCounts};

/// A registered broker, whether it is shutting down or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveBroker {
    /// Its listeners and rack.
    pub metadata: BrokerMetadata,
    /// czxid of its registration.
    pub epoch: BrokerEpoch,
}

/// One replica of one partition.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PartitionAndReplica {
    /// The partition.
    pub partition: TopicPartition,
    /// The broker the replica is on.
    pub replica: BrokerId,
}

impl PartitionAndReplica {
    /// The replica of `partition` on broker `replica`.
    pub fn new(partition: TopicPartition, replica: BrokerId) -> Self {
        Self { partition, replica }
    }
}

#[derive(Default)]
struct Topic {
    id: TopicId,
    partitions: BTreeMap<i32, Partition>,
}

/// The controller's memory of the cluster. It is empty on a broker that is not the controller.
#[derive(Default)]
pub struct ControllerContext {
    /// The epoch of this controller; 0 while this broker is not the controller.
    pub epoch: ControllerEpoch,
    /// The version of `/controller_epoch` since the election; every write checks it.
    pub epoch_zk_version: i32,
    live_brokers: BTreeMap<BrokerId, LiveBroker>,
    /// Brokers that asked for a controlled shutdown and are still registered.
    pub shutting_down: BTreeSet<BrokerId>,
    topics: BTreeMap<TopicName, Topic>,
    topic_names: HashMap<TopicId, TopicName>,
    counts: PartitionCounts,
    replicas_on_offline_dirs: BTreeMap<BrokerId, BTreeSet<TopicPartition>>,
    /// Partitions with adding or removing replicas.
    pub partitions_being_reassigned: BTreeSet<TopicPartition>,
    /// Topics that are queued for deletion and still exist.
    pub topics_to_be_deleted: BTreeSet<TopicName>,
    /// The queued topics whose partitions have been taken offline.
    pub topics_with_deletion_started: BTreeSet<TopicName>,
    /// The queued topics that wait for a replica or for the end of a reassignment.
    pub topics_ineligible_for_deletion: BTreeSet<TopicName>,
}

// Brokers.
impl ControllerContext {
    /// Adds a registered broker or replaces its registration.
    pub fn put_live_broker(&mut self, broker: LiveBroker) {
        self.live_brokers.insert(broker.metadata.id, broker);
    }

    /// Removes a broker that is no longer registered.
    pub fn remove_live_broker(&mut self, broker: BrokerId) {
        self.live_brokers.remove(&broker);
    }

    /// A registered broker.
    pub fn live_broker(&self, broker: BrokerId) -> Option<&LiveBroker> {
        self.live_brokers.get(&broker)
    }

    /// All registered brokers, those shutting down included, by id.
    pub fn live_or_shutting_down_brokers(&self) -> impl Iterator<Item = &LiveBroker> {
        self.live_brokers.values()
    }

    /// Ids of all registered brokers, those shutting down included.
    pub fn live_or_shutting_down_ids(&self) -> Vec<BrokerId> {
        self.live_brokers.keys().copied().collect()
    }

    /// Whether a broker is registered and not shutting down.
    pub fn is_live(&self, broker: BrokerId) -> bool {
        self.live_brokers.contains_key(&broker) && !self.shutting_down.contains(&broker)
    }

    /// Epoch of a registered broker.
    pub fn broker_epoch(&self, broker: BrokerId) -> Option<BrokerEpoch> {
        self.live_brokers.get(&broker).map(|b| b.epoch)
    }

    /// Whether a replica can serve: its broker is registered and its log dir has not failed. A broker that is shutting
    /// down still serves.
    pub fn is_replica_serving(&self, broker: BrokerId, partition: &TopicPartition) -> bool {
        let dir_failed = self
            .replicas_on_offline_dirs
            .get(&broker)
            .is_some_and(|p| p.contains(partition));
        self.live_brokers.contains_key(&broker) && !dir_failed
    }

    /// Whether a replica can become the leader: it serves and its broker is not shutting down.
    pub fn is_replica_online(&self, broker: BrokerId, partition: &TopicPartition) -> bool {
        self.is_replica_serving(broker, partition) && !self.shutting_down.contains(&broker)
    }

    /// Forgets the failed log dirs of a broker that has started or is gone.
    pub fn forget_offline_dirs(&mut self, broker: BrokerId) {
        self.replicas_on_offline_dirs.remove(&broker);
    }

    /// Notes the replicas that a broker reports as online and as offline on a failed log dir. Returns those that have
    /// newly failed.
    pub fn update_offline_dirs(
        &mut self,
        broker: BrokerId,
        online: &[TopicPartition],
        offline: &[TopicPartition],
    ) -> Vec<TopicPartition> {
        let known = self.replicas_on_offline_dirs.entry(broker).or_default();
        for partition in online {
            known.remove(partition);
        }
        offline
            .iter()
            .filter(|p| known.insert((*p).clone()))
            .cloned()
            .collect()
    }
}

// Topics.
impl ControllerContext {
    /// Adds a topic without partitions, or sets the id of a known topic.
    pub fn put_topic(&mut self, topic: TopicName, id: TopicId) {
        let known = self.topics.entry(topic.clone()).or_default();
        if !id.is_nil() {
            known.id = id;
            self.topic_names.insert(id, topic);
        }
    }

    /// Removes a topic with its partitions, replicas and states.
    pub fn remove_topic(&mut self, topic: &str) {
        if let Some(removed) = self.topics.remove(topic) {
            self.topic_names.remove(&removed.id);
            for partition in removed.partitions.values() {
                self.counts.subtract(PartitionCounts::of(partition));
            }
        }
        self.topics_to_be_deleted.remove(topic);
        self.topics_with_deletion_started.remove(topic);
        self.topics_ineligible_for_deletion.remove(topic);
        self.partitions_being_reassigned.retain(|p| &*p.topic != topic);
        for partitions in self.replicas_on_offline_dirs.values_mut() {
            partitions.retain(|p| &*p.topic != topic);
        }
    }

    /// Whether a topic is known.
    pub fn contains_topic(&self, topic: &str) -> bool {
        self.topics.contains_key(topic)
    }

    /// Names of all topics.
    pub fn topics(&self) -> impl Iterator<Item = &TopicName> {
        self.topics.keys()
    }

    /// The id of a topic; nil if the topic has none or is unknown.
    pub fn topic_id(&self, topic: &str) -> TopicId {
        self.topics.get(topic).map_or(TopicId::nil(), |t| t.id)
    }

    /// The name of the topic with this id.
    pub fn topic_name(&self, id: TopicId) -> Option<&TopicName> {
        self.topic_names.get(&id)
    }

    /// Whether a topic is queued for deletion, which may have begun.
    pub fn is_queued_for_deletion(&self, topic: &str) -> bool {
        self.topics_to_be_deleted.contains(topic)
    }
}

// Partitions.
impl ControllerContext {
    fn partition(&self, partition: &TopicPartition) -> Option<&Partition> {
        self.topics
            .get(&*partition.topic)?
            .partitions
            .get(&partition.partition)
    }

    /// Changes a partition and its counts. Unknown partitions are ignored.
    fn change(&mut self, partition: &TopicPartition, change: impl FnOnce(&mut Partition)) {
        let topic = self.topics.get_mut(&*partition.topic);
        if let Some(found) = topic.and_then(|topic| topic.partitions.get_mut(&partition.partition)) {
            self.counts.subtract(PartitionCounts::of(found));
            change(found);
            self.counts.add(PartitionCounts::of(found));
        }
    }

    fn partitions(&self) -> impl Iterator<Item = (TopicPartition, &Partition)> {
        self.topics.iter().flat_map(|(name, topic)| {
            topic
                .partitions
                .iter()
                .map(|(&index, p)| (TopicPartition::new(name.clone(), index), p))
        })
    }

    fn partitions_where(&self, keep: impl Fn(&TopicPartition, &Partition) -> bool) -> Vec<TopicPartition> {
        self.partitions()
            .filter(|(id, p)| keep(id, p))
            .map(|(id, _)| id)
            .collect()
    }

    /// Every partition.
    pub fn all_partitions(&self) -> Vec<TopicPartition> {
        self.partitions_where(|_, _| true)
    }

    /// Every partition of one topic.
    pub fn partitions_of_topic(&self, topic: &str) -> Vec<TopicPartition> {
        let Some((name, topic)) = self.topics.get_key_value(topic) else {
            return Vec::new();
        };
        topic
            .partitions
            .keys()
            .map(|&index| TopicPartition::new(name.clone(), index))
            .collect()
    }

    /// The assignment of a partition.
    pub fn assignment(&self, partition: &TopicPartition) -> Option<&ReplicaAssignment> {
        self.partition(partition).map(|p| &p.assignment)
    }

    /// The assignment of a partition; without replicas if the partition is unknown.
    pub fn assignment_or_default(&self, partition: &TopicPartition) -> ReplicaAssignment {
        self.assignment(partition).cloned().unwrap_or_default()
    }

    /// The replicas of a partition, the preferred leader first; empty if the partition is unknown.
    pub fn replicas(&self, partition: &TopicPartition) -> &[BrokerId] {
        self.partition(partition).map_or(&[], |p| &p.assignment.replicas)
    }

    /// The assignments of all partitions of a topic, as the topic's znode has them.
    pub fn topic_assignment(&self, topic: &str) -> BTreeMap<i32, ReplicaAssignment> {
        let partitions = self.topics.get(topic).map(|t| t.partitions.iter());
        partitions
            .into_iter()
            .flatten()
            .map(|(&index, p)| (index, p.assignment.clone()))
            .collect()
    }

    /// Sets the assignment of a partition. Adds the partition, and its topic, if they are new.
    pub fn set_assignment(&mut self, partition: &TopicPartition, assignment: ReplicaAssignment) {
        let topic = self.topics.entry(partition.topic.clone()).or_default();
        topic.partitions.entry(partition.partition).or_default();
        self.change(partition, |partition| partition.assignment = assignment);
    }

    /// Leader and ISR of a partition that has a state znode.
    pub fn leadership(&self, partition: &TopicPartition) -> Option<&LeaderIsrAndControllerEpoch> {
        self.partition(partition)?.leadership.as_ref()
    }

    /// The leader of a partition that has a state znode; may be [`crate::common::ids::NO_BROKER`].
    pub fn leader(&self, partition: &TopicPartition) -> Option<BrokerId> {
        self.leadership(partition).map(|l| l.leader_and_isr.leader)
    }

    /// Sets leader and ISR as ZooKeeper has them. Unknown partitions are ignored.
    pub fn set_leadership(&mut self, partition: &TopicPartition, leadership: LeaderIsrAndControllerEpoch) {
        self.change(partition, |partition| partition.leadership = Some(leadership));
    }

    /// The leader epoch for a StopReplica: -2 while the topic is queued for deletion, -1 if the partition has no leader
    /// (fact 25).
    pub fn stop_replica_leader_epoch(&self, partition: &TopicPartition) -> LeaderEpoch {
        if self.is_queued_for_deletion(&partition.topic) {
            return LEADER_EPOCH_DURING_DELETE;
        }
        self.leadership(partition)
            .map_or(NO_LEADER_EPOCH, |l| l.leader_and_isr.leader_epoch)
    }

    /// Sets leader and ISR that this controller has written.
    pub fn set_own_leadership(&mut self, partition: &TopicPartition, leader_and_isr: LeaderAndIsr) {
        let controller_epoch = self.epoch;
        let leadership = LeaderIsrAndControllerEpoch {
            leader_and_isr,
            controller_epoch,
        };
        self.set_leadership(partition, leadership);
    }

    /// The state of a partition.
    pub fn partition_state(&self, partition: &TopicPartition) -> PartitionState {
        self.partition(partition)
            .map_or(PartitionState::NonExistent, |p| p.state)
    }

    /// Sets the state of a partition. Unknown partitions are ignored.
    pub fn set_partition_state(&mut self, partition: &TopicPartition, state: PartitionState) {
        self.change(partition, |partition| partition.state = state);
    }

    /// Partitions in one of these states whose topics are not queued for deletion.
    pub fn electable_partitions_in(&self, states: &[PartitionState]) -> Vec<TopicPartition> {
        self.partitions_where(|id, p| states.contains(&p.state) && !self.is_queued_for_deletion(&id.topic))
    }

    /// Partitions that have a state znode and whose topics are not queued for deletion.
    pub fn partitions_with_leaders(&self) -> Vec<TopicPartition> {
        self.partitions_where(|id, p| p.leadership.is_some() && !self.is_queued_for_deletion(&id.topic))
    }

    /// Partitions whose leader is not online and whose topics are not queued for deletion.
    pub fn partitions_with_offline_leader(&self) -> Vec<TopicPartition> {
        self.partitions_where(|id, p| {
            let leader = p.leadership.as_ref().map(|l| l.leader_and_isr.leader);
            leader.is_some_and(|leader| !self.is_replica_online(leader, id))
                && !self.is_queued_for_deletion(&id.topic)
        })
    }

    /// Partitions that this broker leads and another broker could lead: they have more than one replica, and their
    /// topics are not queued for deletion.
    pub fn movable_partitions_led_by(&self, broker: BrokerId) -> Vec<TopicPartition> {
        self.partitions_where(|id, p| {
            p.leadership
                .as_ref()
                .is_some_and(|l| l.leader_and_isr.leader == broker)
                && p.assignment.replicas.len() > 1
                && !self.is_queued_for_deletion(&id.topic)
        })
    }

    /// Partitions with a replica on this broker.
    pub fn partitions_on_broker(&self, broker: BrokerId) -> Vec<TopicPartition> {
        self.partitions_where(|_, p| p.assignment.replicas.contains(&broker))
    }
}

#[cfg(test)]
pub(super) mod tests;
