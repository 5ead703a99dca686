//! AlterReplicaLogDirs (34): moves replicas between the log dirs of this broker. Kafka 3.9:
//! `KafkaApis.handleAlterReplicaLogDirsRequest`.

use std::path::PathBuf;

use super::declaration::{Check, Declaration, Refusal, Resource, Right};
use super::{Api, RequestContext};
use crate::common::acl::AclOperation;
use crate::common::error::ErrorCode;
use crate::common::ids::{TopicName, TopicPartition};
use crate::protocol::ApiKey;
use crate::protocol::StrBytes;
use crate::protocol::messages::alter_replica_log_dirs_response::{
    AlterReplicaLogDirPartitionResult, AlterReplicaLogDirTopicResult,
};
use crate::protocol::messages::{AlterReplicaLogDirsRequest, AlterReplicaLogDirsResponse};

/// What the handler declares.
pub(super) const DECLARATION: Declaration = Declaration::built(
    ApiKey::AlterReplicaLogDirs,
    0..=2,
    &[Check::always(
        &[Right(AclOperation::Alter, Resource::Cluster)],
        Refusal::AllEntries(ErrorCode::ClusterAuthorizationFailed),
    )],
);

/// Answers one request.
pub async fn handle(
    api: &Api,
    _context: &RequestContext,
    request: AlterReplicaLogDirsRequest,
) -> AlterReplicaLogDirsResponse {
    let mut wanted = Vec::new();
    for dir in &request.dirs {
        for topic in &dir.topics {
            let name = TopicName::from(topic.name.as_str());
            let partitions = topic.partitions.iter();
            wanted.extend(partitions.map(|&index| {
                let partition = TopicPartition::new(name.clone(), index);
                (partition, PathBuf::from(dir.path.as_str()))
            }));
        }
    }
    let mut results: Vec<AlterReplicaLogDirTopicResult> = Vec::new();
    for (name, error) in api.replicas.alter_replica_log_dirs(wanted).await {
        let partition = AlterReplicaLogDirPartitionResult::default()
            .with_partition_index(name.partition)
            .with_error_code(error.code());
        match results
            .iter_mut()
            .find(|topic| *topic.topic_name.as_str() == *name.topic)
        {
            Some(topic) => topic.partitions.push(partition),
            None => results.push(
                AlterReplicaLogDirTopicResult::default()
                    .with_topic_name(StrBytes::from_string(name.topic.to_string()).into())
                    .with_partitions(vec![partition]),
            ),
        }
    }
    AlterReplicaLogDirsResponse::default().with_results(results)
}
