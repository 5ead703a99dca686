//! OffsetFetch (9): the stored offsets of groups. Kafka 3.9: `KafkaApis.handleOffsetFetchRequest`,
//! `OffsetFetchResponse`, `KafkaZkClient.getConsumerOffset`.
//!
//! Version 0 reads from ZooKeeper (fact 70). Versions 1 to 7 have one group, whose topics are in the response itself;
//! from version 8 on there are several groups. Version 1 has no error of the group, so each partition repeats it.

use std::collections::HashMap;

use super::declaration::{Check, Declaration, Refusal, Resource, Right, When};
use super::offset_commit::{consumer_offset_path, zookeeper_error};
use super::partition_codes::last_of_each;
use super::{Api, RequestContext};
use crate::common::acl::AclOperation;
use crate::common::error::ErrorCode;
use crate::common::ids::TopicPartition;
use crate::coordinator::group::requests::FetchedOffset;
use crate::metadata::MetadataSnapshot;
use crate::protocol::ApiKey;
use crate::protocol::messages::offset_fetch_response::{
    OffsetFetchResponseGroup, OffsetFetchResponsePartition, OffsetFetchResponsePartitions,
    OffsetFetchResponseTopic, OffsetFetchResponseTopics,
};
use crate::protocol::messages::{GroupId, OffsetFetchRequest, OffsetFetchResponse, TopicName};
use crate::zk::ZkStore;
use crate::zk::znode::consumer_offset;

/// The offset of a partition without a stored offset.
const INVALID_OFFSET: i64 = -1;
const NO_LEADER_EPOCH: i32 = -1;

/// The topics and partitions of the request; `None` for all that have an offset.
type Requested = Option<Vec<(TopicName, Vec<i32>)>>;

/// What the handler declares.
pub(super) const DECLARATION: Declaration = Declaration::built(
    ApiKey::OffsetFetch,
    0..=9,
    &[
        Check::always(
            &[Right(AclOperation::Describe, Resource::Group)],
            Refusal::Entry(ErrorCode::GroupAuthorizationFailed),
        ),
        Check::always(
            &[Right(AclOperation::Describe, Resource::Topic)],
            Refusal::Entry(ErrorCode::TopicAuthorizationFailed),
        ),
        Check::when(
            When::AllTopics,
            &[Right(AclOperation::Describe, Resource::AnsweredTopic)],
            Refusal::LeftOut,
        ),
    ],
);

/// Answers one request.
pub async fn handle(api: &Api, context: &RequestContext, request: OffsetFetchRequest) -> OffsetFetchResponse {
    let require_stable = request.require_stable;
    if context.api_version >= 8 {
        let groups = request.groups.into_iter().map(|group| {
            let topics = group.topics.map(|topics| {
                topics
                    .into_iter()
                    .map(|topic| (topic.name, topic.partition_indexes))
                    .collect()
            });
            fetch_group(api, group.group_id, require_stable, topics)
        });
        return OffsetFetchResponse::default().with_groups(groups.collect());
    }
    let topics: Requested = request.topics.map(|topics| {
        topics
            .into_iter()
            .map(|topic| (topic.name, topic.partition_indexes))
            .collect()
    });
    let group = match context.api_version {
        0 => {
            fetch_from_zookeeper(
                &*api.zk,
                &api.metadata.snapshot(),
                request.group_id,
                topics.clone(),
            )
            .await
        }
        _ => fetch_group(api, request.group_id, require_stable, topics.clone()),
    };
    single_group_response(group, topics, context.api_version)
}

fn fetch_group(
    api: &Api,
    group_id: GroupId,
    require_stable: bool,
    topics: Requested,
) -> OffsetFetchResponseGroup {
    let partitions = topics.as_deref().map(distinct);
    let response = OffsetFetchResponseGroup::default();
    match api.groups.fetch_offsets(&group_id, require_stable, partitions) {
        Ok(offsets) => {
            let answered = offsets.into_iter().map(|(partition, offset)| {
                let answer = fetched(partition.partition, offset);
                (partition, answer)
            });
            response.with_group_id(group_id).with_topics(by_topic(answered))
        }
        Err(error) => response.with_group_id(group_id).with_error_code(error.code()),
    }
}

/// The topics in the order in which they first occur.
fn by_topic(
    offsets: impl IntoIterator<Item = (TopicPartition, OffsetFetchResponsePartitions)>,
) -> Vec<OffsetFetchResponseTopics> {
    let mut topics: Vec<OffsetFetchResponseTopics> = Vec::new();
    let mut index_of = HashMap::new();
    for (partition, offset) in offsets {
        let index = *index_of.entry(partition.topic).or_insert_with_key(|topic| {
            let name = TopicName(topic.to_string().into());
            topics.push(OffsetFetchResponseTopics::default().with_name(name));
            topics.len() - 1
        });
        topics[index].partitions.push(offset);
    }
    topics
}

/// The partitions of the request, each once.
fn distinct(topics: &[(TopicName, Vec<i32>)]) -> Vec<TopicPartition> {
    let partitions = topics.iter().flat_map(|(topic, indexes)| {
        let partition = |&index| (TopicPartition::new(&***topic, index), ());
        indexes.iter().map(partition)
    });
    let once = last_of_each(partitions).into_iter();
    once.map(|(partition, ())| partition).collect()
}

fn fetched(index: i32, offset: FetchedOffset) -> OffsetFetchResponsePartitions {
    match offset {
        FetchedOffset::Committed(offset) => OffsetFetchResponsePartitions::default()
            .with_partition_index(index)
            .with_committed_offset(offset.offset)
            .with_committed_leader_epoch(offset.leader_epoch)
            .with_metadata(Some(offset.metadata.to_string().into())),
        FetchedOffset::None => without_offset(index, ErrorCode::None),
        FetchedOffset::Unstable => without_offset(index, ErrorCode::UnstableOffsetCommit),
    }
}

fn without_offset(index: i32, error: ErrorCode) -> OffsetFetchResponsePartitions {
    OffsetFetchResponsePartitions::default()
        .with_partition_index(index)
        .with_committed_offset(INVALID_OFFSET)
        .with_committed_leader_epoch(NO_LEADER_EPOCH)
        .with_metadata(Some("".into()))
        .with_error_code(error.code())
}

/// The layout before version 8: one group.
fn single_group_response(
    group: OffsetFetchResponseGroup,
    requested: Requested,
    version: i16,
) -> OffsetFetchResponse {
    let error = ErrorCode::from_code(group.error_code);
    let topics = match (error, version) {
        (ErrorCode::None, _) | (_, 2..) => group.topics,
        (error, _) => {
            let topics = requested.unwrap_or_default().into_iter().map(|(name, indexes)| {
                let partitions = indexes
                    .into_iter()
                    .map(|index| without_offset(index, error))
                    .collect();
                OffsetFetchResponseTopics::default()
                    .with_name(name)
                    .with_partitions(partitions)
            });
            topics.collect()
        }
    };
    let partition = |partition: OffsetFetchResponsePartitions| {
        OffsetFetchResponsePartition::default()
            .with_partition_index(partition.partition_index)
            .with_committed_offset(partition.committed_offset)
            .with_committed_leader_epoch(partition.committed_leader_epoch)
            .with_metadata(partition.metadata)
            .with_error_code(partition.error_code)
    };
    let topic = |topic: OffsetFetchResponseTopics| {
        OffsetFetchResponseTopic::default()
            .with_name(topic.name)
            .with_partitions(topic.partitions.into_iter().map(partition).collect())
    };
    OffsetFetchResponse::default()
        .with_topics(topics.into_iter().map(topic).collect())
        .with_error_code(group.error_code)
}

async fn fetch_from_zookeeper(
    zk: &dyn ZkStore,
    snapshot: &MetadataSnapshot,
    group_id: GroupId,
    topics: Requested,
) -> OffsetFetchResponseGroup {
    let mut results = Vec::new();
    for partition in distinct(&topics.unwrap_or_default()) {
        let index = partition.partition;
        let answer = match snapshot.partition(&partition.topic, index) {
            Some(_) => match consumer_offset_of(zk, &group_id, &partition).await {
                Ok(Some(offset)) => without_offset(index, ErrorCode::None).with_committed_offset(offset),
                Ok(None) => without_offset(index, ErrorCode::UnknownTopicOrPartition),
                Err(error) => without_offset(index, error),
            },
            None => without_offset(index, ErrorCode::UnknownTopicOrPartition),
        };
        results.push((partition, answer));
    }
    OffsetFetchResponseGroup::default()
        .with_group_id(group_id)
        .with_topics(by_topic(results))
}

async fn consumer_offset_of(
    zk: &dyn ZkStore,
    group_id: &str,
    partition: &TopicPartition,
) -> Result<Option<i64>, ErrorCode> {
    let failed = |error| zookeeper_error(group_id, &error);
    let path = consumer_offset_path(group_id, partition).map_err(failed)?;
    match zk.get(&path, false).await.map_err(failed)? {
        Some((data, _)) => match consumer_offset::decode(&data) {
            Ok(offset) => Ok(Some(offset)),
            Err(error) => {
                tracing::warn!(path, %error, "an offset in ZooKeeper is not a number");
                Err(ErrorCode::UnknownServerError)
            }
        },
        None => Ok(None),
    }
}

#[cfg(test)]
mod tests;
