//! Stories about ListOffsets, OffsetForLeaderEpoch, DeleteRecords, Fetch and Metadata.

use anyhow::Result;
use barnabas::parts::TopicId;
use barnabas_testcontainers::parity::messages::delete_records_request::{
    DeleteRecordsPartition, DeleteRecordsTopic,
};
use barnabas_testcontainers::parity::messages::fetch_request::{FetchPartition, FetchTopic, ReplicaState};
use barnabas_testcontainers::parity::messages::list_offsets_request::{
    ListOffsetsPartition, ListOffsetsTopic,
};
use barnabas_testcontainers::parity::messages::metadata_request::MetadataRequestTopic;
use barnabas_testcontainers::parity::messages::offset_for_leader_epoch_request::{
    OffsetForLeaderPartition, OffsetForLeaderTopic,
};
use barnabas_testcontainers::parity::{Story, messages::*};

use crate::support::*;

const READER: i32 = -1;
const DEBUGGER: i32 = -2;

fn list(name: &str, partitions: Vec<ListOffsetsPartition>) -> ListOffsetsRequest {
    let topic = ListOffsetsTopic::default()
        .with_name(topic(name))
        .with_partitions(partitions);
    ListOffsetsRequest::default()
        .with_replica_id(BrokerId(READER))
        .with_topics(vec![topic])
}

pub async fn offsets(story: Story) -> Result<()> {
    let at = |timestamp| ListOffsetsPartition::default().with_timestamp(timestamp);
    for version in 0..=9 {
        for replica in [READER, DEBUGGER, 0, 7, -3] {
            for timestamp in [-1, -2, -3, -4, -5, -6, -7, i64::MIN, 0, i64::MAX] {
                let request = list("some_topic", vec![at(timestamp)]).with_replica_id(BrokerId(replica));
                let step = format!("{timestamp} for {replica}");
                story.ask(&step, version, request).await?;
            }
        }
        if version == 0 {
            for offsets in [-1, 0, 2, i32::MAX] {
                let wanted = at(-1).with_max_num_offsets(offsets);
                let step = format!("{offsets} offsets");
                story
                    .ask(&step, version, list("some_topic", vec![wanted]))
                    .await?;
            }
        }
        if version >= 2 {
            for level in [1, 2, -1] {
                let request = list("some_topic", vec![at(-1)]).with_isolation_level(level);
                story.ask(&format!("level {level}"), version, request).await?;
            }
        }
        if version >= 4 {
            for epoch in [-1, 0, 5, -2] {
                let wanted = at(-1).with_current_leader_epoch(epoch);
                let request = list("some_topic", vec![wanted]);
                story.ask(&format!("epoch {epoch}"), version, request).await?;
            }
        }
        let twice = list("some_topic", vec![at(-1), at(-2)]);
        story.ask("twice", version, twice).await?;
        let unknown = list("some_topic", vec![at(-1).with_partition_index(9)]);
        story.ask("no such partition", version, unknown).await?;
        for name in ["nowhere", "a b", ""] {
            story.ask(name, version, list(name, vec![at(-1)])).await?;
        }
    }
    epochs(&story).await?;
    deletions(&story).await
}

async fn epochs(story: &Story) -> Result<()> {
    for version in 0..=4 {
        for (partition, current, wanted) in [
            (0, -1, 0),
            (0, 0, 0),
            (0, 0, 5),
            (0, 5, 0),
            (0, -2, 0),
            (0, -1, -1),
            (0, -1, -2),
            (9, -1, 0),
            (-1, -1, 0),
        ] {
            let wanted = OffsetForLeaderPartition::default()
                .with_partition(partition)
                .with_leader_epoch(wanted);
            let wanted = match version {
                ..2 => wanted,
                _ => wanted.with_current_leader_epoch(current),
            };
            let step = format!("the end of an epoch: {wanted:?}");
            let topics = OffsetForLeaderTopic::default()
                .with_topic(topic("some_topic"))
                .with_partitions(vec![wanted]);
            let request = OffsetForLeaderEpochRequest::default().with_topics(vec![topics]);
            for replica in [DEBUGGER, READER, 0] {
                let request = match version {
                    ..3 => request.clone(),
                    _ => request.clone().with_replica_id(BrokerId(replica)),
                };
                let step = format!("{step} for {replica}");
                story.ask(&step, version, request).await?;
            }
        }
    }
    Ok(())
}

async fn deletions(story: &Story) -> Result<()> {
    for version in 0..=2 {
        for (name, partition, offset) in [
            ("some_topic", 0, -1),
            ("some_topic", 0, -2),
            ("some_topic", 0, 5),
            ("some_topic", 9, 0),
            ("compact", 0, 0),
            ("nowhere", 0, 0),
            ("__share_group_state", 0, 0),
        ] {
            let wanted = DeleteRecordsPartition::default()
                .with_partition_index(partition)
                .with_offset(offset);
            let wanted = DeleteRecordsTopic::default()
                .with_name(topic(name))
                .with_partitions(vec![wanted]);
            let request = DeleteRecordsRequest::default()
                .with_topics(vec![wanted])
                .with_timeout_ms(1_000);
            story
                .ask(
                    &format!("deleting {name}-{partition} to {offset}"),
                    version,
                    request,
                )
                .await?;
        }
    }
    Ok(())
}

fn fetch(version: i16, name: &str, id: TopicId, partition: FetchPartition) -> FetchRequest {
    let mut wanted = FetchTopic::default().with_partitions(vec![partition]);
    match version {
        ..13 => wanted.topic = topic(name),
        _ => wanted.topic_id = id,
    }
    FetchRequest::default()
        .with_max_wait_ms(0)
        .with_min_bytes(0)
        .with_topics(vec![wanted])
}

fn from_replica(version: i16, request: FetchRequest, replica: i32) -> FetchRequest {
    match version {
        ..15 => request.with_replica_id(BrokerId(replica)),
        _ => request.with_replica_state(
            ReplicaState::default()
                .with_replica_id(BrokerId(replica))
                .with_replica_epoch(1),
        ),
    }
}

pub async fn fetching(story: Story) -> Result<()> {
    let all = MetadataRequest::default().with_topics(None);
    let metadata = story.peek(12, all).await?;
    let id_of = |name: &str| {
        let found = metadata
            .topics
            .iter()
            .find(|t| t.name.as_ref().is_some_and(|n| &**n == name));
        found.map_or(TopicId::from_u128(7), |topic| topic.topic_id)
    };
    for version in 0..=17 {
        let one = || FetchPartition::default().with_partition_max_bytes(1_000);
        let some_topic = |partition| fetch(version, "some_topic", id_of("some_topic"), partition);
        for replica in [READER, DEBUGGER, 0, 7, -3] {
            let request = from_replica(version, some_topic(one()), replica);
            story.ask(&format!("by {replica}"), version, request).await?;
        }
        for offset in [-1, 5] {
            let request = from_replica(version, some_topic(one().with_fetch_offset(offset)), READER);
            story.ask(&format!("at {offset}"), version, request).await?;
        }
        for name in ["nowhere", "zstd", "compact", "a b", ""] {
            let request = fetch(version, name, id_of(name), one());
            let request = from_replica(version, request, READER);
            story.ask(&format!("of '{name}'"), version, request).await?;
        }
        if version >= 4 {
            for level in [1, 2, -1] {
                let request = from_replica(version, some_topic(one()), READER);
                let request = request.with_isolation_level(level);
                story.ask(&format!("level {level}"), version, request).await?;
            }
        }
        if version >= 7 {
            for (session, epoch) in [(0, 0), (0, -1), (5, 1), (5, 0), (5, -1), (-1, 1)] {
                let request = from_replica(version, some_topic(one()), READER)
                    .with_session_id(session)
                    .with_session_epoch(epoch);
                let step = format!("session {session}, epoch {epoch}");
                story.ask(&step, version, request).await?;
            }
        }
        if version >= 9 {
            for epoch in [0, 5, -2] {
                let request = some_topic(one().with_current_leader_epoch(epoch));
                let request = from_replica(version, request, READER);
                story.ask(&format!("epoch {epoch}"), version, request).await?;
            }
        }
    }
    Ok(())
}

pub async fn metadata(story: Story) -> Result<()> {
    for version in 0..=12 {
        for name in [
            "some_topic",
            "nowhere",
            "a b",
            "",
            "__share_group_state",
            "__nowhere",
        ] {
            let wanted = MetadataRequestTopic::default().with_name(Some(topic(name)));
            let request = MetadataRequest::default().with_topics(Some(vec![wanted]));
            story.ask(&format!("of '{name}'"), version, request).await?;
        }
        if version >= 10 {
            let unknown = MetadataRequestTopic::default().with_topic_id(TopicId::from_u128(7));
            for wanted in [
                unknown.clone().with_name(Some(topic("some_topic"))),
                unknown.with_name(None),
                MetadataRequestTopic::default().with_name(None),
            ] {
                if version == 12 && wanted.name.is_none() && wanted.topic_id.is_nil() {
                    // Kafka fails on this request.
                    continue;
                }
                let step = format!("by id: {wanted:?}");
                let request = MetadataRequest::default().with_topics(Some(vec![wanted]));
                story.ask(&step, version, request).await?;
            }
        }
        if (8..=10).contains(&version) {
            let request = MetadataRequest::default()
                .with_topics(Some(vec![]))
                .with_include_cluster_authorized_operations(true);
            story.ask("operations on the cluster", version, request).await?;
        }
    }
    Ok(())
}
