//! DescribeLogDirs (35): the log dirs of this broker and the replicas in them. Kafka 3.9:
//! `KafkaApis.handleDescribeLogDirsRequest`.

use std::collections::HashSet;

use super::declaration::{Check, Declaration, Refusal, Resource, Right};
use super::{Api, RequestContext};
use crate::common::acl::AclOperation;
use crate::common::error::ErrorCode;
use crate::common::ids::{TopicName, TopicPartition};
use crate::protocol::ApiKey;
use crate::protocol::StrBytes;
use crate::protocol::messages::describe_log_dirs_request::DescribableLogDirTopic;
use crate::protocol::messages::describe_log_dirs_response::{
    DescribeLogDirsPartition, DescribeLogDirsResult, DescribeLogDirsTopic,
};
use crate::protocol::messages::{DescribeLogDirsRequest, DescribeLogDirsResponse};
use crate::replica::{LogDirDescription, ReplicaInDir};

/// What the handler declares.
pub(super) const DECLARATION: Declaration = Declaration::built(
    ApiKey::DescribeLogDirs,
    0..=4,
    &[Check::always(
        &[Right(AclOperation::Describe, Resource::Cluster)],
        Refusal::Request(ErrorCode::ClusterAuthorizationFailed),
    )],
);

/// Answers one request.
pub async fn handle(
    api: &Api,
    _context: &RequestContext,
    request: DescribeLogDirsRequest,
) -> DescribeLogDirsResponse {
    let wanted: Option<HashSet<TopicPartition>> = request.topics.as_ref().map(|topics| {
        let partitions = |topic: &DescribableLogDirTopic| {
            let name = TopicName::from(topic.topic.as_str());
            let named = |&index: &i32| TopicPartition::new(name.clone(), index);
            topic.partitions.iter().map(named).collect::<Vec<_>>()
        };
        topics.iter().flat_map(partitions).collect()
    });
    let dirs = api.replicas.describe_log_dirs(wanted.as_ref());
    DescribeLogDirsResponse::default().with_results(dirs.into_iter().map(result).collect())
}

fn result(dir: LogDirDescription) -> DescribeLogDirsResult {
    let path = StrBytes::from_string(dir.path.display().to_string());
    let result = DescribeLogDirsResult::default().with_log_dir(path);
    match dir.contents {
        Err(error) => result.with_error_code(error.code()),
        Ok(contents) => result
            .with_error_code(ErrorCode::None.code())
            .with_total_bytes(contents.total_bytes)
            .with_usable_bytes(contents.usable_bytes)
            .with_topics(topics(&contents.replicas)),
    }
}

/// The replicas are sorted by name, so that those of a topic are neighbours.
fn topics(replicas: &[ReplicaInDir]) -> Vec<DescribeLogDirsTopic> {
    let of_topics = replicas.chunk_by(|a, b| a.topic_partition.topic == b.topic_partition.topic);
    let topic = |replicas: &[ReplicaInDir]| {
        let partitions = replicas.iter().map(|replica| {
            DescribeLogDirsPartition::default()
                .with_partition_index(replica.topic_partition.partition)
                .with_partition_size(i64::try_from(replica.size).unwrap_or(i64::MAX))
                .with_offset_lag(replica.offset_lag)
                .with_is_future_key(replica.is_future)
        });
        let name = StrBytes::from_string(replicas[0].topic_partition.topic.to_string());
        DescribeLogDirsTopic::default()
            .with_name(name.into())
            .with_partitions(partitions.collect())
    };
    of_topics.map(topic).collect()
}
