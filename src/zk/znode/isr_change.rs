//! `/isr_change_notification/isr_change_N`: partitions whose ISR a broker older than 2.7 has changed, JSON
//! version 1. Kafka 3.9: `IsrChangeNotificationSequenceZNode`.

use super::ZnodeError;
use super::json::Object;
use crate::common::ids::TopicPartition;

/// The JSON. barnabas never writes one; its controller reads them.
#[cfg(test)]
pub fn encode(partitions: &[TopicPartition]) -> bytes::Bytes {
    let partitions: Vec<_> = partitions
        .iter()
        .map(|p| serde_json::json!({"topic": &*p.topic, "partition": p.partition}))
        .collect();
    super::json::to_bytes(&serde_json::json!({"version": 1, "partitions": partitions}))
}

/// The partitions. Kafka treats text that is not JSON as an empty list; callers should do the same.
pub fn decode(data: &[u8]) -> Result<Vec<TopicPartition>, ZnodeError> {
    let object = Object::parse(data)?;
    object
        .objects("partitions")?
        .iter()
        .map(Object::topic_partition)
        .collect()
}
