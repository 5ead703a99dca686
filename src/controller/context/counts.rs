//! What is counted about partitions, kept up to date with each change: a metric must not cost a look at every partition
//! after every event.

use super::ControllerContext;
use super::partition::PartitionCounts;
use crate::controller::replica_state::ReplicaState;

/// What of a topic's deletion is still to be done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeletionCounts {
    /// Topics whose deletion was asked for.
    pub topics: usize,
    /// Of these, topics that wait for a replica or a reassignment.
    pub ineligible_topics: usize,
    /// Replicas of these topics that are not deleted yet.
    pub replicas: usize,
    /// Of these, replicas that cannot be deleted now.
    pub ineligible_replicas: usize,
}

impl ControllerContext {
    /// How many partitions there are of some kinds. A partition that is to be deleted need not be led by its preferred leader.
    pub fn partition_counts(&self) -> PartitionCounts {
        #[cfg(test)]
        assert_eq!(self.counts, self.recounted(), "a change was not counted");
        let mut counts = self.counts;
        for topic in &self.topics_to_be_deleted {
            let partitions = self.topics.get(topic).map(|topic| topic.partitions.values());
            let of_topic = partitions.into_iter().flatten().map(PartitionCounts::of);
            counts.imbalanced -= of_topic.map(|of| of.imbalanced).sum::<usize>();
        }
        counts
    }

    /// How many topics there are.
    pub fn topic_count(&self) -> usize {
        self.topics.len()
    }

    /// What is still to be deleted.
    pub fn deletion_counts(&self) -> DeletionCounts {
        let mut counts = DeletionCounts {
            topics: self.topics_to_be_deleted.len(),
            ineligible_topics: self.topics_ineligible_for_deletion.len(),
            ..DeletionCounts::default()
        };
        for topic in &self.topics_to_be_deleted {
            for replica in self.replicas_of_topic(topic) {
                let state = self.replica_state(&replica);
                counts.replicas += usize::from(state != ReplicaState::DeletionSuccessful);
                counts.ineligible_replicas += usize::from(state == ReplicaState::DeletionIneligible);
            }
        }
        counts
    }

    /// The counts of partitions by a look at every one of them.
    #[cfg(test)]
    fn recounted(&self) -> PartitionCounts {
        let mut counts = PartitionCounts::default();
        for (_, partition) in self.partitions() {
            counts.add(PartitionCounts::of(partition));
        }
        counts
    }
}
