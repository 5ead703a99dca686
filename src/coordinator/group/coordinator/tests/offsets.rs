//! Tests committing, fetching and removing offsets through the coordinator.

use super::*;
use crate::coordinator::coordinator_log::TransactionalProducer;
use crate::coordinator::group::commit::TransactionalCommitRequest;
use crate::replica::TransactionalOperation;

#[tokio::test]
async fn commits_of_simple_consumers_are_kept() {
    let world = World::new().await;
    assert_eq!(world.fetch(GROUP, 0, true), Ok(None));
    assert_eq!(world.commit(GROUP, &[(0, 5), (1, 6)]).await, [ErrorCode::None; 2]);
    assert_eq!(world.commit(GROUP, &[(0, 7)]).await, [ErrorCode::None]);
    assert_eq!(
        (world.fetch(GROUP, 0, true), world.fetch(GROUP, 1, true)),
        (Ok(Some(7)), Ok(Some(6)))
    );
    assert_eq!(world.fetch(GROUP, 2, true), Ok(None));
    let all = world.coordinator.fetch_offsets(GROUP, false, None).unwrap();
    assert_eq!(all.len(), 2);
    let next = World::on(world.log.clone()).await;
    assert_eq!(next.fetch(GROUP, 0, true), Ok(Some(7)));
    assert_eq!(
        world.commit("", &[(0, 1)]).await,
        [ErrorCode::None],
        "the empty group is one, for old clients"
    );
}

#[tokio::test]
async fn a_commit_needs_the_right_generation() {
    let world = World::new().await;
    let member = world.stable_member().await;
    let mut commit = simple_commit(GROUP, &[(0, 5)]);
    let code = async |commit: &CommitRequest| world.coordinator.commit_offsets(commit.clone()).await[0];
    assert_eq!(code(&commit).await, ErrorCode::UnknownMemberId);
    commit.member_id = member;
    commit.generation_id = 2;
    assert_eq!(code(&commit).await, ErrorCode::IllegalGeneration);
    commit.generation_id = 1;
    assert_eq!(code(&commit).await, ErrorCode::None);
    commit.group_id = "other".into();
    assert_eq!(code(&commit).await, ErrorCode::IllegalGeneration, "no such group");
    assert_eq!(
        world.coordinator.describe_group("other").unwrap().state,
        GroupState::Dead
    );
}

#[tokio::test]
async fn a_commit_counts_only_when_it_is_replicated() {
    let world = World::new().await;
    world.commit(GROUP, &[(0, 1)]).await;
    world.log.set_replicating(false);
    let committing = world.coordinator.commit_offsets(simple_commit(GROUP, &[(0, 2)]));
    tokio::pin!(committing);
    assert!(committing.as_mut().now_or_never().is_none());
    assert_eq!(world.fetch(GROUP, 0, false), Ok(Some(1)));
    assert_eq!(world.fetch(GROUP, 0, true), Err(ErrorCode::UnstableOffsetCommit));
    assert_eq!(world.fetch(GROUP, 1, true), Ok(None));
    world.log.set_replicating(true);
    assert_eq!(committing.await, [ErrorCode::None]);
    assert_eq!(world.fetch(GROUP, 0, true), Ok(Some(2)));
}

#[tokio::test]
async fn a_commit_waits_for_as_many_replicas_as_configured() {
    let one = GroupCoordinatorConfig {
        required_acks: 1,
        ..config()
    };
    let world = World::configured(MemoryLog::new(), one).await;
    world.log.set_replicating(false);
    assert_eq!(world.commit(GROUP, &[(0, 2)]).await, [ErrorCode::None]);
    assert_eq!(world.fetch(GROUP, 0, true), Ok(Some(2)));
}

#[tokio::test]
async fn a_commit_whose_client_went_away_counts_all_the_same() {
    let world = World::new().await;
    world.log.set_replicating(false);
    assert!(
        world
            .coordinator
            .commit_offsets(simple_commit(GROUP, &[(0, 2)]))
            .now_or_never()
            .is_none()
    );
    world.log.set_replicating(true);
    until(|| world.fetch(GROUP, 0, true) == Ok(Some(2))).await;
}

#[tokio::test]
async fn failures_to_commit_are_told_as_kafka_does() {
    use ErrorCode::*;
    let world = World::new().await;
    let cases = [
        (UnknownTopicOrPartition, CoordinatorNotAvailable),
        (NotEnoughReplicas, CoordinatorNotAvailable),
        (NotEnoughReplicasAfterAppend, CoordinatorNotAvailable),
        (NotLeaderOrFollower, NotCoordinator),
        (KafkaStorageError, NotCoordinator),
        (MessageTooLarge, InvalidCommitOffsetSize),
        (RequestTimedOut, RequestTimedOut),
    ];
    for (error, expected) in cases {
        world.log.fail_with(Some(error));
        assert_eq!(world.commit(GROUP, &[(0, 2)]).await, [expected], "{error}");
        assert_eq!(
            world.fetch(GROUP, 0, true),
            Ok(Option::None),
            "nothing is pending after {error}"
        );
    }
}

#[tokio::test]
async fn a_note_that_is_too_long_fails_its_own_partition_only() {
    let world = World::new().await;
    // Ten UTF-16 units are allowed. The notes are five characters of two units each, then one character more.
    for (note, expected) in [
        ("\u{1f600}".repeat(5), ErrorCode::None),
        ("\u{1f600}".repeat(5) + "x", ErrorCode::OffsetMetadataTooLarge),
    ] {
        let mut commit = simple_commit(GROUP, &[(0, 1), (1, 1)]);
        commit.offsets[0].1.metadata = note.into();
        let codes = world.coordinator.commit_offsets(commit).await;
        assert_eq!(codes, [expected, ErrorCode::None]);
    }
    let mut commit = simple_commit(GROUP, &[(2, 1)]);
    commit.offsets[0].1.metadata = "x".repeat(11).into();
    assert_eq!(
        world.coordinator.commit_offsets(commit).await,
        [ErrorCode::OffsetMetadataTooLarge]
    );
    assert_eq!(world.records(), (3, 0));
}

#[tokio::test]
async fn offsets_expire_and_an_unused_group_goes_with_its_last_one() {
    let world = World::new().await;
    world.commit(GROUP, &[(0, 1)]).await;
    world.clock.advance(1_800_000);
    let mut later = simple_commit(GROUP, &[(1, 1)]);
    later.offsets[0].1.commit_timestamp_ms += 1_800_000;
    world.coordinator.commit_offsets(later).await;
    assert_eq!(world.coordinator.expire_offsets(), 0);
    world.clock.advance(1_800_000);
    assert_eq!(world.coordinator.expire_offsets(), 1);
    assert_eq!(
        (world.fetch(GROUP, 0, true), world.fetch(GROUP, 1, true)),
        (Ok(None), Ok(Some(1)))
    );
    world.clock.advance(1_800_000);
    assert_eq!(world.coordinator.expire_offsets(), 1);
    assert_eq!(world.coordinator.list_groups(&[], &[]).1, []);
    assert_eq!(
        world.records(),
        (2, 2),
        "a group without generation has no record to take back"
    );
}

#[tokio::test]
async fn offsets_of_a_group_count_from_its_last_member_on() {
    let world = World::new().await;
    let member = world.stable_member().await;
    let mut commit = simple_commit(GROUP, &[(0, 5)]);
    (commit.member_id, commit.generation_id) = (member.clone(), 1);
    world.coordinator.commit_offsets(commit).await;
    for _ in 0..1000 {
        world.clock.advance(5000);
        assert_eq!(
            world.coordinator.heartbeat(GROUP, &member, None, 1),
            ErrorCode::None
        );
    }
    assert_eq!(
        world.coordinator.expire_offsets(),
        0,
        "it is subscribed to the topic"
    );
    let leaving = LeavingMember {
        member_id: member,
        group_instance_id: None,
        reason: None,
    };
    world.coordinator.leave_group(GROUP, &[leaving]).unwrap();
    assert_eq!(world.coordinator.expire_offsets(), 0);
    world.clock.advance(3_600_000);
    assert_eq!(world.coordinator.expire_offsets(), 1);
    assert_eq!(world.records(), (3, 2), "the offset and the group");
}

#[tokio::test]
async fn offsets_of_subscribed_topics_are_not_deleted() {
    let world = World::new().await;
    let delete = |partition: TopicPartition| {
        let deleted = world.coordinator.delete_offsets(GROUP, vec![partition])?;
        Ok(deleted[0].1)
    };
    let (subscribed, other) = (TopicPartition::new("t", 0), TopicPartition::new("u", 0));
    assert_eq!(delete(subscribed.clone()), Err(ErrorCode::GroupIdNotFound));
    let member = world.stable_member().await;
    let mut commit = simple_commit(GROUP, &[(0, 5)]);
    (commit.member_id, commit.generation_id) = (member.clone(), 1);
    commit.offsets.push((other.clone(), commit.offsets[0].1.clone()));
    world.coordinator.commit_offsets(commit).await;
    assert_eq!(delete(subscribed.clone()), Ok(ErrorCode::GroupSubscribedToTopic));
    assert_eq!(delete(other), Ok(ErrorCode::None));
    assert_eq!(world.metric("offset_commit_count"), "2");
    assert_eq!(world.metric("offset_deletion_count"), "1");
    assert_eq!(world.metric("group_completed_rebalance_count"), "1");
    assert_eq!(world.records(), (3, 1));
    let leaving = LeavingMember {
        member_id: member,
        group_instance_id: None,
        reason: None,
    };
    world.coordinator.leave_group(GROUP, &[leaving]).unwrap();
    assert_eq!(delete(subscribed), Ok(ErrorCode::None));
    assert_eq!(
        world.coordinator.delete_offsets("", vec![]),
        Err(ErrorCode::InvalidGroupId)
    );
}

#[tokio::test]
async fn offsets_of_deleted_partitions_go_with_them() {
    let world = World::new().await;
    world.commit(GROUP, &[(0, 1), (1, 1)]).await;
    world
        .coordinator
        .on_partitions_deleted(&[TopicPartition::new("t", 0), TopicPartition::new("x", 0)]);
    assert_eq!(
        (world.fetch(GROUP, 0, true), world.fetch(GROUP, 1, true)),
        (Ok(None), Ok(Some(1)))
    );
    assert_eq!(world.records(), (2, 1));
}

#[tokio::test]
async fn an_open_transaction_found_in_the_log_ends_with_its_marker() {
    use crate::coordinator::group::log::{offset_key, offset_value};
    for committed in [true, false] {
        let log = MemoryLog::new();
        let value = simple_commit(GROUP, &[(0, 9)]).offsets[0].1.clone();
        let mut batch = BatchBuilder::new(0).producer(77, 0, 0).transactional(true);
        let (key, value) = (offset_key(GROUP, "t", 0).unwrap(), offset_value(&value).unwrap());
        batch.append(1, Some(&key), Some(&value), &[]);
        log.put(GROUP_PARTITION, batch.build());
        let world = World::on(log).await;
        assert_eq!(world.fetch(GROUP, 0, true), Err(ErrorCode::UnstableOffsetCommit));
        assert_eq!(world.fetch(GROUP, 0, false), Ok(None));
        world
            .coordinator
            .on_transaction_completed(78, &[GROUP_PARTITION], true);
        world.coordinator.on_transaction_completed(77, &[0], true);
        assert_eq!(
            world.fetch(GROUP, 0, true),
            Err(ErrorCode::UnstableOffsetCommit),
            "none of its business"
        );
        world
            .coordinator
            .on_transaction_completed(77, &[GROUP_PARTITION], committed);
        assert_eq!(world.fetch(GROUP, 0, true), Ok(committed.then_some(9)));
    }
}

fn transactional_commit(group: &str, offsets: &[(i32, i64)]) -> TransactionalCommitRequest {
    TransactionalCommitRequest {
        commit: simple_commit(group, offsets),
        producer: TransactionalProducer {
            transactional_id: "tx".into(),
            producer_id: 77,
            producer_epoch: 1,
            operation: TransactionalOperation::GenericError,
        },
    }
}

#[tokio::test]
async fn offsets_of_a_transaction_count_when_its_marker_is_written() {
    for committed in [true, false] {
        let world = World::new().await;
        world.commit(GROUP, &[(0, 1)]).await;
        let request = transactional_commit(GROUP, &[(0, 5), (1, 6)]);
        let codes = world.coordinator.commit_transactional_offsets(request).await;
        assert_eq!(codes, [ErrorCode::None; 2]);
        assert_eq!(world.fetch(GROUP, 0, true), Err(ErrorCode::UnstableOffsetCommit));
        assert_eq!(world.fetch(GROUP, 0, false), Ok(Some(1)));
        let bytes = world.log.bytes(GROUP_PARTITION);
        let batch = RecordBatches::new(&bytes).last().unwrap().unwrap();
        assert!(batch.is_transactional());
        assert_eq!(
            (batch.producer_id(), batch.producer_epoch(), batch.base_sequence()),
            (77, 1, -1)
        );
        // The next coordinator reads the same from the log.
        let next = World::on(world.log.clone()).await;
        for world in [world, next] {
            assert_eq!(world.fetch(GROUP, 1, true), Err(ErrorCode::UnstableOffsetCommit));
            world
                .coordinator
                .on_transaction_completed(77, &[GROUP_PARTITION], committed);
            let expected = if committed {
                (Ok(Some(5)), Ok(Some(6)))
            } else {
                (Ok(Some(1)), Ok(None))
            };
            assert_eq!(
                (world.fetch(GROUP, 0, true), world.fetch(GROUP, 1, true)),
                expected
            );
        }
    }
}

#[tokio::test]
async fn commits_within_a_transaction_are_refused_as_kafka_does() {
    let world = World::new().await;
    let commit = |request| world.coordinator.commit_transactional_offsets(request);
    assert_eq!(
        commit(transactional_commit("", &[(0, 5)])).await,
        [ErrorCode::InvalidGroupId]
    );
    let mut member = transactional_commit(GROUP, &[(0, 5)]);
    member.commit.generation_id = 3;
    assert_eq!(commit(member).await, [ErrorCode::UnknownMemberId]);
    let mut note = transactional_commit(GROUP, &[(0, 5)]);
    note.commit.offsets[0].1.metadata = "longer than ten".into();
    assert_eq!(commit(note).await, [ErrorCode::OffsetMetadataTooLarge]);
    world.log.fail_with(Some(ErrorCode::NotEnoughReplicas));
    let failed = commit(transactional_commit(GROUP, &[(0, 5)])).await;
    assert_eq!(failed, [ErrorCode::CoordinatorNotAvailable]);
    world.log.fail_with(None);
    assert_eq!(
        world.fetch(GROUP, 0, true),
        Ok(None),
        "nothing waits for a marker"
    );
    world.coordinator.on_resignation(GROUP_PARTITION, Some(1));
    let moved = commit(transactional_commit(GROUP, &[(0, 5)])).await;
    assert_eq!(moved, [ErrorCode::NotCoordinator]);
}

#[tokio::test]
async fn a_marker_that_is_written_while_its_partition_is_loaded_is_not_missed() {
    let world = World::new().await;
    let coordinator = &world.coordinator;
    coordinator
        .commit_transactional_offsets(transactional_commit(GROUP, &[(0, 5)]))
        .await;
    coordinator.on_resignation(GROUP_PARTITION, Some(1));
    // The load begins when this task waits for the first time.
    coordinator.on_election(GROUP_PARTITION, 2);
    coordinator.on_transaction_completed(77, &[GROUP_PARTITION], true);
    world.loaded().await;
    assert_eq!(world.fetch(GROUP, 0, true), Ok(Some(5)));
}
