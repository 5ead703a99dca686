use super::*;
use crate::common::clock::ManualClock;
use crate::protocol::codec;
use crate::protocol::messages::offset_commit_request::OffsetCommitRequestTopic;
use crate::zk::memory::{Fault, MemoryZooKeeper};

fn partition(index: i32, offset: i64, metadata: Option<&'static str>) -> OffsetCommitRequestPartition {
    OffsetCommitRequestPartition::default()
        .with_partition_index(index)
        .with_committed_offset(offset)
        .with_committed_metadata(metadata.map(Into::into))
}

fn request(group: &'static str, partitions: Vec<OffsetCommitRequestPartition>) -> OffsetCommitRequest {
    let topic = OffsetCommitRequestTopic::default()
        .with_name(crate::protocol::messages::TopicName("t".into()))
        .with_partitions(partitions);
    OffsetCommitRequest::default()
        .with_group_id(crate::protocol::messages::GroupId(group.into()))
        .with_topics(vec![topic])
}

fn keyed(request: &OffsetCommitRequest) -> Vec<(TopicPartition, &OffsetCommitRequestPartition)> {
    let partitions = request.topics[0].partitions.iter();
    partitions
        .map(|p| (TopicPartition::new("t", p.partition_index), p))
        .collect()
}

#[test]
fn times_are_the_broker_s_unless_the_client_says_otherwise() {
    let at = |retention_ms, timestamp_ms| {
        let partition = partition(0, 5, None).with_commit_timestamp(timestamp_ms);
        let offset = offset_and_metadata(&partition, retention_ms, 1000);
        assert_eq!((&*offset.metadata, offset.leader_epoch), ("", -1));
        (offset.commit_timestamp_ms, offset.expire_timestamp_ms)
    };
    assert_eq!(at(-1, -1), (1000, None));
    assert_eq!(at(-1, 70), (70, None));
    assert_eq!(at(50, -1), (1000, Some(1050)));
    assert_eq!(at(i64::MAX, -1), (1000, Some(i64::MAX)));
}

#[test]
fn codes_are_told_in_every_version() {
    for version in 0..=9 {
        let mut gathered = PartitionCodes::default();
        gathered.push(TopicPartition::new("t", 0), ErrorCode::UnknownTopicOrPartition);
        gathered.push(TopicPartition::new("t", 1), ErrorCode::None);
        let response = response(gathered);
        let codes: Vec<_> = response.topics[0]
            .partitions
            .iter()
            .map(|p| p.error_code)
            .collect();
        assert_eq!(codes, [3, 0]);
        codec::encode_response(&response, version, 0).unwrap();
    }
}

#[tokio::test]
async fn version_0_keeps_offsets_in_zookeeper() {
    let zookeeper = MemoryZooKeeper::new(ManualClock::at(0));
    let zk = zookeeper.connect();
    let commit = async |group, offset| {
        let request = request(
            group,
            vec![partition(0, offset, None), partition(1, offset, Some("too long"))],
        );
        let codes = commit_to_zookeeper(&*zk, 7, &request, keyed(&request)).await;
        assert_eq!(codes[1].1, ErrorCode::OffsetMetadataTooLarge);
        codes[0].1
    };
    assert_eq!(commit("g", 5).await, ErrorCode::None);
    assert_eq!(commit("g", 6).await, ErrorCode::None);
    assert_eq!(commit("a/b", 7).await, ErrorCode::None, "as Kafka does");
    let offsets = zookeeper.snapshot();
    assert_eq!(offsets["/consumers/g/offsets/t/0"], "6");
    assert_eq!(offsets["/consumers/a/b/offsets/t/0"], "7");
    assert!(!offsets.contains_key("/consumers/g/offsets/t/1"));
    for bad in ["", "..", "a/../b", "a//b", "a\u{1}"] {
        assert_eq!(commit(bad, 5).await, ErrorCode::UnknownServerError, "{bad:?}");
    }
    zk.inject(
        "/consumers/g/offsets/t/0",
        Fault::Refused(ZkError::ConnectionLoss),
    );
    assert_eq!(commit("g", 8).await, ErrorCode::UnknownServerError);
}
