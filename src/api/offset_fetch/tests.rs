use super::*;
use crate::common::clock::ManualClock;
use crate::common::ids::TopicId;
use crate::common::leader_and_isr::{LeaderAndIsr, LeaderIsrAndControllerEpoch};
use crate::coordinator::group::OffsetAndMetadata;
use crate::metadata::PartitionMetadata;
use crate::protocol::codec;
use crate::zk::CreateMode;
use crate::zk::memory::MemoryZooKeeper;

fn committed(offset: i64) -> FetchedOffset {
    FetchedOffset::Committed(OffsetAndMetadata {
        offset,
        leader_epoch: 4,
        metadata: "note".into(),
        commit_timestamp_ms: 0,
        expire_timestamp_ms: None,
    })
}

fn group(error: ErrorCode) -> OffsetFetchResponseGroup {
    let offsets = match error {
        ErrorCode::None => vec![
            (TopicPartition::new("t", 1), committed(5)),
            (TopicPartition::new("u", 0), FetchedOffset::None),
            (TopicPartition::new("t", 0), FetchedOffset::Unstable),
        ],
        _ => vec![],
    };
    OffsetFetchResponseGroup::default()
        .with_error_code(error.code())
        .with_topics(by_topic(offsets.into_iter().map(|(partition, offset)| {
            let answer = fetched(partition.partition, offset);
            (partition, answer)
        })))
}

/// Topic, partition, offset, leader epoch, code.
fn flat(response: &OffsetFetchResponse) -> Vec<(String, i32, i64, i32, i16)> {
    let topics = response.topics.iter();
    let partitions = topics.flat_map(|topic| topic.partitions.iter().map(|p| (topic.name.to_string(), p)));
    let flat = partitions.map(|(name, p)| {
        assert!(p.metadata.is_some(), "Kafka says it with an empty text");
        (
            name,
            p.partition_index,
            p.committed_offset,
            p.committed_leader_epoch,
            p.error_code,
        )
    });
    flat.collect()
}

#[test]
fn offsets_and_the_lack_of_them_stand_under_their_topic() {
    let requested = || {
        Some(vec![
            (TopicName("t".into()), vec![1, 0]),
            (TopicName("u".into()), vec![0]),
        ])
    };
    let unstable = ErrorCode::UnstableOffsetCommit.code();
    for version in 1..=7 {
        let response = single_group_response(group(ErrorCode::None), requested(), version);
        let expected = [
            ("t".to_string(), 1, 5, 4, 0),
            ("t".to_string(), 0, -1, -1, unstable),
            ("u".to_string(), 0, -1, -1, 0),
        ];
        assert_eq!((flat(&response), response.error_code), (expected.to_vec(), 0));
        codec::encode_response(&response, version, 0).unwrap();
    }
    for version in 8..=9 {
        let response = OffsetFetchResponse::default().with_groups(vec![group(ErrorCode::None)]);
        codec::encode_response(&response, version, 0).unwrap();
    }
}

#[test]
fn a_group_s_error_is_at_the_top_from_version_2_on() {
    let loading = ErrorCode::CoordinatorLoadInProgress;
    let requested = || Some(vec![(TopicName("t".into()), vec![0, 7])]);
    let old = single_group_response(group(loading), requested(), 1);
    let each = |index| ("t".to_string(), index, -1, -1, loading.code());
    assert_eq!(flat(&old), [each(0), each(7)]);
    for version in 2..=7 {
        let response = single_group_response(group(loading), requested(), version);
        assert_eq!((response.topics.len(), response.error_code), (0, loading.code()));
    }
}

#[tokio::test]
async fn version_0_reads_offsets_from_zookeeper() {
    let zk = MemoryZooKeeper::new(ManualClock::at(0)).connect();
    let put = async |path: &'static str, data: &'static str| {
        zk.create(path, data.into(), CreateMode::Persistent)
            .await
            .unwrap();
    };
    for parent in [
        "/consumers",
        "/consumers/g",
        "/consumers/g/offsets",
        "/consumers/g/offsets/t",
    ] {
        put(parent, "").await;
    }
    put("/consumers/g/offsets/t/0", "42").await;
    put("/consumers/g/offsets/t/1", "no number").await;
    put("/consumers/g/offsets/t/3", "7").await;
    let mut snapshot = MetadataSnapshot::default();
    for partition in 0..3 {
        let state = LeaderIsrAndControllerEpoch {
            leader_and_isr: LeaderAndIsr::initial(1, vec![1]),
            controller_epoch: 1,
        };
        let metadata = PartitionMetadata {
            state,
            replicas: vec![1],
            offline_replicas: vec![],
        };
        snapshot.upsert_partition(&TopicPartition::new("t", partition), TopicId::nil(), metadata);
    }
    let requested: Requested = Some(vec![(TopicName("t".into()), vec![0, 1, 2, 3])]);
    let group = fetch_from_zookeeper(&*zk, &snapshot, GroupId("g".into()), requested.clone()).await;
    let response = single_group_response(group, requested, 0);
    let found: Vec<_> = flat(&response)
        .into_iter()
        .map(|(_, index, offset, _, code)| (index, offset, code))
        .collect();
    assert_eq!(
        found,
        [(0, 42, 0), (1, -1, -1), (2, -1, 3), (3, -1, 3)],
        "3 is not a partition of the topic"
    );
    codec::encode_response(&response, 0, 0).unwrap();
}
