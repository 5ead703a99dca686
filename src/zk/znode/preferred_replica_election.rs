//! `/admin/preferred_replica_election`: an election asked for in the old way, JSON version 1.
//! Kafka 3.9: `PreferredReplicaElectionZNode`.

use super::ZnodeError;
use super::isr_change;
use crate::common::ids::TopicPartition;

/// The JSON of the partitions, which is that of an ISR change.
#[cfg(test)]
pub fn encode(partitions: &[TopicPartition]) -> bytes::Bytes {
    isr_change::encode(partitions)
}

/// The partitions. Kafka takes text that is not JSON for none; so should the caller.
pub fn decode(data: &[u8]) -> Result<Vec<TopicPartition>, ZnodeError> {
    isr_change::decode(data)
}
