//! `/admin/reassign_partitions`: a request for a reassignment in the old way, JSON version 1.
//! Kafka 3.9: `ReassignPartitionsZNode`.

use bytes::Bytes;
use serde_json::json;

use super::ZnodeError;
use super::json::{Object, to_bytes};
use crate::common::ids::{BrokerId, TopicPartition};

/// The JSON of partitions with their new replicas.
pub fn encode(reassignment: &[(TopicPartition, Vec<BrokerId>)]) -> Bytes {
    let partitions: Vec<_> = reassignment
        .iter()
        .map(|(p, replicas)| json!({"topic": &*p.topic, "partition": p.partition, "replicas": replicas}))
        .collect();
    to_bytes(&json!({"version": 1, "partitions": partitions}))
}

/// The partitions with their new replicas.
pub fn decode(data: &[u8]) -> Result<Vec<(TopicPartition, Vec<BrokerId>)>, ZnodeError> {
    let object = Object::parse(data)?;
    let partitions = object.objects("partitions")?;
    partitions
        .iter()
        .map(|p| Ok((p.topic_partition()?, p.brokers("replicas")?)))
        .collect()
}
