//! Tests loading a partition of `__consumer_offsets`.

use bytes::Bytes;

use super::*;
use crate::common::error::ErrorCode;
use crate::coordinator::group::log::{GroupMetadataValue, group_key, group_value, offset_key, offset_value};
use crate::coordinator::group::offsets::OffsetAndMetadata;
use crate::coordinator::group::state::GroupState;
use crate::coordinator::group::test_support::{LIMITS, MemoryLog};
use crate::coordinator::replay::{LoadError, for_each_batch};
use crate::record::RecordBatches;
use crate::record::{BatchBuilder, Compression};

const NOW: Now = Now {
    monotonic_ms: 60_000,
    wall_ms: 1_700_000_000_000,
};
const CAPTURED: &[u8] = include_bytes!("../log/testdata/consumer-offsets-2.log");

fn load(
    log: &MemoryLog,
    partition: i32,
    buffer_size: usize,
    is_current: impl Fn() -> bool,
) -> Result<Replay, LoadError> {
    let mut replay = Replay::default();
    for_each_batch(log, partition, buffer_size, is_current, |batch| {
        replay.apply(batch)
    })?;
    Ok(replay)
}

fn load_all(log: &MemoryLog) -> HashMap<String, GroupMetadata> {
    let replay = load(log, 0, 1 << 20, || true).unwrap();
    replay
        .into_groups(LIMITS, NOW)
        .into_iter()
        .map(|group| (group.id().to_string(), group))
        .collect()
}

fn append(log: &MemoryLog, batch: Bytes) {
    log.put(0, batch);
}

fn commit(builder: &mut BatchBuilder, group: &str, partition: i32, offset: Option<i64>) {
    let value = offset.map(|offset| {
        offset_value(&OffsetAndMetadata {
            offset,
            leader_epoch: 1,
            metadata: "".into(),
            commit_timestamp_ms: 5,
            expire_timestamp_ms: None,
        })
        .unwrap()
    });
    builder.append(
        5,
        Some(&offset_key(group, "t", partition).unwrap()),
        value.as_deref(),
        &[],
    );
}

fn batch(commits: &[(&str, i32, Option<i64>)]) -> BatchBuilder {
    let mut builder = BatchBuilder::new(0);
    for (group, partition, offset) in commits {
        commit(&mut builder, group, *partition, *offset);
    }
    builder
}

fn transactional(producer: i64, commits: &[(&str, i32, Option<i64>)]) -> Bytes {
    let mut builder = BatchBuilder::new(0).producer(producer, 0, 0).transactional(true);
    for (group, partition, offset) in commits {
        commit(&mut builder, group, *partition, *offset);
    }
    builder.build()
}

fn marker(producer: i64, control_type: ControlRecordType) -> Bytes {
    let marker = EndTransactionMarker {
        control_type,
        coordinator_epoch: 0,
    };
    BatchBuilder::end_transaction_marker(marker, producer, 0, 5)
}

fn committed(groups: &HashMap<String, GroupMetadata>, group: &str, partition: i32) -> Option<i64> {
    let offsets = &groups.get(group)?.offsets;
    offsets
        .get(&TopicPartition::new("t", partition))
        .map(|value| value.offset)
}

#[test]
fn a_log_of_a_real_kafka_loads() {
    let log = MemoryLog::new();
    log.fill(0, CAPTURED);
    let groups = load_all(&log);
    let group = &groups["g1"];
    assert_eq!((group.state(), group.generation_id()), (GroupState::Empty, 2));
    assert_eq!(group.protocol_type().map(|t| &**t), Some("consumer"));
    for (partition, offset) in [(0, 100), (1, 17)] {
        let value = group
            .offsets
            .get(&TopicPartition::new("orders", partition))
            .unwrap();
        assert_eq!((value.offset, value.leader_epoch), (offset, 0));
    }
    assert_eq!(group.offsets.len(), 2);
}

#[test]
fn a_log_that_stops_in_the_middle_of_a_generation_loads_its_members() {
    let log = MemoryLog::new();
    let first = RecordBatches::new(CAPTURED).next().unwrap().unwrap();
    log.fill(0, first.bytes());
    let groups = load_all(&log);
    assert_eq!(groups["g1"].state(), GroupState::Stable);
    let member = groups["g1"].members().next().unwrap();
    assert_eq!(
        (&*member.client_id, &*member.client_host),
        ("rdkafka", "/127.0.0.1")
    );
    assert_eq!(
        (member.session_timeout_ms, member.rebalance_timeout_ms),
        (45_000, 300_000)
    );
    assert!(groups["g1"].is_subscribed_to("orders") && !groups["g1"].is_subscribed_to("other"));
}

#[test]
fn the_newest_record_counts_and_tombstones_take_back() {
    let log = MemoryLog::new();
    append(
        &log,
        batch(&[("a", 0, Some(1)), ("a", 1, Some(1)), ("b", 0, Some(1))]).build(),
    );
    append(
        &log,
        batch(&[("a", 0, Some(2)), ("a", 1, None), ("b", 0, None)])
            .compression(Compression::Lz4, None)
            .build(),
    );
    let groups = load_all(&log);
    assert_eq!(
        (committed(&groups, "a", 0), committed(&groups, "a", 1)),
        (Some(2), None)
    );
    assert!(!groups.contains_key("b"), "nothing is left of it");
    let a = &groups["a"];
    assert_eq!(
        (a.state(), a.generation_id(), a.protocol_type()),
        (GroupState::Empty, 0, None)
    );
}

#[test]
fn a_group_that_was_deleted_keeps_what_was_committed_later() {
    let log = MemoryLog::new();
    let value = GroupMetadataValue {
        protocol_type: "consumer".into(),
        generation: 4,
        ..Default::default()
    };
    let mut builder = batch(&[]);
    builder.append(
        5,
        Some(&group_key("a").unwrap()),
        Some(&group_value(&value).unwrap()),
        &[],
    );
    append(&log, builder.build());
    assert_eq!(load_all(&log)["a"].generation_id(), 4);
    let mut builder = batch(&[]);
    builder.append(5, Some(&group_key("a").unwrap()), None, &[]);
    append(&log, builder.build());
    assert!(load_all(&log).is_empty());
    append(&log, batch(&[("a", 0, Some(3))]).build());
    let groups = load_all(&log);
    assert_eq!(
        (groups["a"].generation_id(), committed(&groups, "a", 0)),
        (0, Some(3))
    );
}

#[test]
fn transactional_offsets_wait_for_their_marker() {
    let log = MemoryLog::new();
    append(&log, transactional(1, &[("a", 0, Some(10))]));
    append(&log, transactional(2, &[("a", 1, Some(20)), ("a", 2, Some(20))]));
    append(&log, batch(&[("a", 1, Some(30))]).build());
    let groups = load_all(&log);
    assert_eq!(committed(&groups, "a", 0), None);
    assert_eq!(groups["a"].offsets.open_transactions().count(), 2);
    assert!(groups["a"].offsets.is_unstable(&TopicPartition::new("t", 0)));

    append(&log, marker(1, ControlRecordType::Abort));
    append(&log, marker(2, ControlRecordType::Commit));
    let groups = load_all(&log);
    assert_eq!(committed(&groups, "a", 0), None, "aborted");
    assert_eq!(
        committed(&groups, "a", 1),
        Some(30),
        "the plain commit is later in the log"
    );
    assert_eq!(committed(&groups, "a", 2), Some(20));
    assert_eq!(groups["a"].offsets.open_transactions().count(), 0);
}

#[test]
fn records_that_cannot_be_read_cost_nobody_else_anything() {
    let log = MemoryLog::new();
    let mut builder = batch(&[("a", 0, Some(1))]);
    builder.append(5, None, Some(b"no key"), &[]);
    builder.append(5, Some(b"\0\x07 of the new consumer protocol"), Some(b"?"), &[]);
    builder.append(5, Some(&group_key("a").unwrap()), Some(b"\0\x63"), &[]);
    builder.append(5, Some(&offset_key("a", "t", 0).unwrap()), Some(b"\0\x03\0"), &[]);
    commit(&mut builder, "b", 0, Some(2));
    append(&log, builder.build());
    let groups = load_all(&log);
    assert_eq!(
        (committed(&groups, "a", 0), committed(&groups, "b", 0)),
        (Some(1), Some(2))
    );
}

#[test]
fn a_log_larger_than_the_buffer_is_read_piece_by_piece() {
    let log = MemoryLog::new();
    for offset in 0..100 {
        append(
            &log,
            batch(&[("a", offset % 10, Some(i64::from(offset))), ("b", 0, Some(1))]).build(),
        );
    }
    let replay = load(&log, 0, 300, || true).unwrap();
    let groups: HashMap<_, _> = replay
        .into_groups(LIMITS, NOW)
        .into_iter()
        .map(|group| (group.id().to_string(), group))
        .collect();
    for partition in 0..10 {
        assert_eq!(
            committed(&groups, "a", partition),
            Some(90 + i64::from(partition))
        );
    }
}

#[test]
fn what_goes_wrong_is_told() {
    let log = MemoryLog::new();
    append(&log, batch(&[("a", 0, Some(1))]).build());
    assert!(matches!(load(&log, 0, 300, || false), Err(LoadError::Superseded)));
    log.fail_with(Some(ErrorCode::NotLeaderOrFollower));
    assert!(matches!(
        load(&log, 0, 300, || true),
        Err(LoadError::Log(ErrorCode::NotLeaderOrFollower))
    ));
}
