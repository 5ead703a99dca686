//! The counts of partitions and deletions for metrics. Each change updates the counts of partitions: a count must not
//! read every partition after every event.

use super::ControllerContext;
use super::partition::PartitionCounts;
use crate::controller::replica_state::ReplicaState;

/// The counts of pending deletions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeletionCounts {
    /// Topics that are queued for deletion.
    pub topics: usize,
    /// The queued topics that wait for a replica or for the end of a reassignment.
    pub ineligible_topics: usize,
    /// Replicas of queued topics that are not deleted yet.
    pub replicas: usize,
    /// Replicas of queued topics that cannot be deleted at present.
    pub ineligible_replicas: usize,
}

impl ControllerContext {
    /// The counts of partitions. Partitions of topics that are queued for deletion do not count as imbalanced.
    pub fn partition_counts(&self) -> PartitionCounts {
        #[cfg(test)]
        assert_eq!(
            self.counts,
            self.recounted(),
            "a change did not update the counts"
        );
        let mut counts = self.counts;
        for topic in &self.topics_to_be_deleted {
            let partitions = self.topics.get(topic).map(|topic| topic.partitions.values());
            let of_topic = partitions.into_iter().flatten().map(PartitionCounts::of);
            counts.imbalanced -= of_topic.map(|of| of.imbalanced).sum::<usize>();
        }
        counts
    }

    /// The number of topics.
    pub fn topic_count(&self) -> usize {
        self.topics.len()
    }

    /// The counts of pending deletions.
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

    /// Counts every partition anew.
    #[cfg(test)]
    fn recounted(&self) -> PartitionCounts {
        let mut counts = PartitionCounts::default();
        for (_, partition) in self.partitions() {
            counts.add(PartitionCounts::of(partition));
        }
        counts
    }
}
