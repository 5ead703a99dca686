//! `/admin/preferred_replica_election`: a request for an election in the old way, JSON version 1.
//! Kafka 3.9: `PreferredReplicaElectionZNode`.

use super::ZnodeError;
use super::isr_change;
use crate::common::ids::TopicPartition;

/// The JSON of the partitions, in the form of an ISR change.
#[cfg(test)]
pub fn encode(partitions: &[TopicPartition]) -> bytes::Bytes {
    isr_change::encode(partitions)
}

/// The partitions. Kafka treats text that is not JSON as an empty list; callers should do the same.
pub fn decode(data: &[u8]) -> Result<Vec<TopicPartition>, ZnodeError> {
    isr_change::decode(data)
}
