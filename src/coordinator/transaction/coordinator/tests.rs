//! Tests the coordinator beyond single transitions: what it writes, what it retries, and its timeouts.

use futures::FutureExt;

use super::*;
use crate::coordinator::memory_log::MemoryLog;
use crate::coordinator::transaction::log;
use crate::record::{RecordBatches, RecordReader};
use world::*;

mod world;

use TransactionResult::{Abort, Commit};
use TransactionState::*;

#[tokio::test(start_paused = true)]
async fn a_transaction_is_decided_in_the_log_before_its_markers_are_sent() {
    for (result, prepared, completed) in [
        (Commit, PrepareCommit, CompleteCommit),
        (Abort, PrepareAbort, CompleteAbort),
    ] {
        let world = World::new().await;
        let producer = world.init().await.unwrap();
        assert_eq!(producer.epoch, 0);
        world.add(producer, &[0, 1]).await.unwrap();
        world.add(producer, &[1]).await.unwrap();
        world.add(producer, &[2]).await.unwrap();
        world.end(producer, result).await.unwrap();
        world.becomes(completed).await;
        let written = [Empty, Ongoing, Ongoing, prepared, completed].map(Some);
        assert_eq!(world.written(), written);
        let mut sent = world.leaders.0.lock().sent.clone();
        sent.sort();
        let commit = result == Commit;
        let expected: Vec<_> = (0..3).map(|b| (b, 0, EPOCH, commit, vec![b])).collect();
        assert_eq!(sent, expected);
        // A repeated EndTxn changes nothing.
        world.end(producer, result).await.unwrap();
        assert_eq!(world.written().len(), 5);
        world.add(producer, &[0]).await.unwrap();
        assert_eq!(world.state(), Ongoing);
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_counts_until_it_is_replicated_and_nobody_else_is_let_in() {
    let world = World::new().await;
    let producer = world.init().await.unwrap();
    world.log.set_replicating(false);
    let mut adding = Box::pin(world.add(producer, &[0]));
    assert!(adding.as_mut().now_or_never().is_none());
    assert_eq!(world.state(), Empty);
    assert_eq!(world.init().await, Err(ErrorCode::ConcurrentTransactions));
    assert_eq!(
        world.add(producer, &[1]).await,
        Err(ErrorCode::ConcurrentTransactions)
    );
    // The client's request is dropped. The transition is applied anyway.
    drop(adding);
    world.log.set_replicating(true);
    world.becomes(Ongoing).await;
    assert_eq!(world.add(producer, &[1]).await, Ok(()));
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_written_did_not_happen() {
    let world = World::new().await;
    let producer = world.init().await.unwrap();
    let cases = [
        (ErrorCode::NotEnoughReplicas, ErrorCode::CoordinatorNotAvailable),
        (ErrorCode::RequestTimedOut, ErrorCode::CoordinatorNotAvailable),
        (ErrorCode::NotLeaderOrFollower, ErrorCode::NotCoordinator),
        (ErrorCode::KafkaStorageError, ErrorCode::NotCoordinator),
        (ErrorCode::MessageTooLarge, ErrorCode::UnknownServerError),
    ];
    for (log_error, expected) in cases {
        world.log.fail_with(Some(log_error));
        assert_eq!(world.add(producer, &[0]).await, Err(expected));
        assert_eq!(world.state(), Empty);
    }
    world.log.fail_with(None);
    assert_eq!(world.add(producer, &[0]).await, Ok(()));
}

#[tokio::test(start_paused = true)]
async fn a_new_producer_waits_until_the_transaction_of_the_old_one_is_aborted() {
    let world = World::new().await;
    let old = world.init().await.unwrap();
    world.add(old, &[0]).await.unwrap();
    world.leaders.0.lock().is_down = true;
    assert_eq!(world.init().await, Err(ErrorCode::ConcurrentTransactions));
    assert_eq!(world.state(), PrepareAbort);
    assert_eq!(world.end(old, Commit).await, Err(ErrorCode::ProducerFenced));
    assert_eq!(world.init().await, Err(ErrorCode::ConcurrentTransactions));
    world.leaders.0.lock().is_down = false;
    world.becomes(CompleteAbort).await;
    let new = world.init().await.unwrap();
    assert_eq!((new.id, new.epoch), (old.id, 2), "epoch 1 aborted the old one");
    let sent = world.leaders.0.lock().sent.clone();
    assert!(
        sent.iter()
            .all(|&(_, epoch, _, commit, _)| (epoch, commit) == (1, false))
    );
}

#[tokio::test(start_paused = true)]
async fn markers_are_tried_again_until_they_are_written() {
    let passing = [
        ErrorCode::NotLeaderOrFollower,
        ErrorCode::UnknownTopicOrPartition,
        ErrorCode::NotEnoughReplicas,
        ErrorCode::NotEnoughReplicasAfterAppend,
        ErrorCode::RequestTimedOut,
        ErrorCode::KafkaStorageError,
        // An unexpected code from a leader must not make the transaction hang.
        ErrorCode::CorruptMessage,
        ErrorCode::UnknownServerError,
    ];
    let world = World::new().await;
    world.leaders.say(1, &passing);
    let producer = world.init().await.unwrap();
    world.add(producer, &[0, 1]).await.unwrap();
    world.end(producer, Commit).await.unwrap();
    world.becomes(CompleteCommit).await;
    assert_eq!(world.leaders.sent(), 2 + passing.len());

    // A partition that cannot have records of the transaction needs no marker.
    world.leaders.say(0, &[ErrorCode::UnsupportedForMessageFormat]);
    world.add(producer, &[0]).await.unwrap();
    world.end(producer, Commit).await.unwrap();
    world.becomes(CompleteCommit).await;
}

#[tokio::test(start_paused = true)]
async fn a_marker_follows_its_partition_to_the_next_leader() {
    let world = World::new().await;
    let producer = world.init().await.unwrap();
    world.add(producer, &[0, 1, 2]).await.unwrap();
    world.lead(0, -1);
    world.lead(1, 9);
    world
        .metadata
        .update(|snapshot| snapshot.remove_partition(&TopicPartition::new("t", 2)));
    world.end(producer, Commit).await.unwrap();
    until(|| world.coordinator.markers().unknown_destination_queue_size() == 2).await;
    assert_eq!((world.state(), world.leaders.sent()), (PrepareCommit, 0));
    world.lead(0, 2);
    world.lead(1, 1);
    world.becomes(CompleteCommit).await;
    let mut sent = world.leaders.0.lock().sent.clone();
    sent.sort();
    let expected = [(1, 0, EPOCH, true, vec![1]), (2, 0, EPOCH, true, vec![0])];
    assert_eq!(sent, expected, "and none for the partition that was deleted");
    assert_eq!(world.coordinator.markers().unknown_destination_queue_size(), 0);
}

#[tokio::test(start_paused = true)]
async fn nothing_counts_as_deleted_before_any_topic_is_known() {
    let world = World::new().await;
    let producer = world.init().await.unwrap();
    world.add(producer, &[0]).await.unwrap();
    world.metadata.update(|snapshot| snapshot.topics.clear());
    world.end(producer, Commit).await.unwrap();
    until(|| world.coordinator.markers().unknown_destination_queue_size() == 1).await;
    assert_eq!((world.state(), world.leaders.sent()), (PrepareCommit, 0));
    world.lead(0, 0);
    world.becomes(CompleteCommit).await;
    assert_eq!(world.leaders.sent(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_last_record_is_tried_again_until_it_is_written() {
    let world = World::new().await;
    let producer = world.init().await.unwrap();
    world.add(producer, &[0]).await.unwrap();
    world.leaders.0.lock().is_down = true;
    world.end(producer, Commit).await.unwrap();
    world.log.fail_with(Some(ErrorCode::NotEnoughReplicas));
    world.leaders.0.lock().is_down = false;
    until(|| world.coordinator.markers().log_append_retry_queue_size() == 1).await;
    assert_eq!(world.state(), PrepareCommit);
    assert_eq!(
        world.add(producer, &[0]).await,
        Err(ErrorCode::ConcurrentTransactions)
    );
    world.log.fail_with(None);
    world.becomes(CompleteCommit).await;
    assert_eq!(world.coordinator.markers().log_append_retry_queue_size(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_marker_in_an_older_epoch_is_tried_until_it_is_let_in_or_somebody_else_coordinates() {
    for code in [
        ErrorCode::InvalidProducerEpoch,
        ErrorCode::TransactionCoordinatorFenced,
    ] {
        let world = World::new().await;
        world.leaders.say(0, &[code; 3]);
        let producer = world.init().await.unwrap();
        world.add(producer, &[0, 1]).await.unwrap();
        world.end(producer, Commit).await.unwrap();
        until(|| world.leaders.sent() == 2).await;
        assert_eq!(world.state(), PrepareCommit);
        assert_eq!(world.init().await, Err(ErrorCode::ConcurrentTransactions));
        world.becomes(CompleteCommit).await;
        assert_eq!(world.leaders.sent(), 5, "partition 0 four times");

        world.leaders.say(0, &[code; 1000]);
        world.add(producer, &[0]).await.unwrap();
        world.end(producer, Abort).await.unwrap();
        until(|| world.leaders.sent() > 6).await;
        for partition in 0..PARTITIONS {
            world.coordinator.on_resignation(partition, Some(EPOCH + 1));
        }
        let before = world.leaders.sent();
        tokio::time::sleep(std::time::Duration::from_secs(60)).await;
        assert_eq!(world.leaders.sent(), before, "a zombie stops");
    }
}

#[tokio::test(start_paused = true)]
async fn the_next_coordinator_ends_what_the_last_one_has_decided() {
    for (result, completed) in [(Commit, CompleteCommit), (Abort, CompleteAbort)] {
        let world = World::new().await;
        let producer = world.init().await.unwrap();
        world.add(producer, &[0, 1]).await.unwrap();
        world.leaders.0.lock().is_down = true;
        world.end(producer, result).await.unwrap();
        let next = World::on(world.log.clone()).await;
        for partition in 0..PARTITIONS {
            world.coordinator.on_resignation(partition, Some(EPOCH + 1));
        }
        next.becomes(completed).await;
        assert_eq!(next.leaders.sent(), 2);
        assert_eq!(world.coordinator.describe(ID), Err(ErrorCode::NotCoordinator));
        // The former coordinator stops, even if its leaders answer again.
        let before = world.written().len();
        world.leaders.0.lock().is_down = false;
        tokio::time::sleep(std::time::Duration::from_secs(5)).await;
        assert_eq!(world.written().len(), before);
        assert_eq!(next.init().await.unwrap().epoch, 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_transition_that_outlives_its_leadership_does_not_count() {
    let world = World::new().await;
    let producer = world.init().await.unwrap();
    world.log.set_replicating(false);
    let mut adding = Box::pin(world.add(producer, &[0]));
    assert!(adding.as_mut().now_or_never().is_none());
    let partition = world.coordinator.partition_for(ID);
    world.coordinator.on_resignation(partition, Some(EPOCH + 1));
    assert_eq!(world.init().await, Err(ErrorCode::NotCoordinator));
    world.coordinator.on_election(partition, EPOCH + 2);
    until(|| !world.coordinator.is_loading()).await;
    world.log.set_replicating(true);
    assert_eq!(adding.await, Err(ErrorCode::NotCoordinator));
    // The transition is in the log, so the new leader epoch reads it from there.
    assert_eq!(world.state(), Ongoing);
    // A late resignation with an old epoch is ignored.
    world.coordinator.on_resignation(partition, Some(EPOCH + 1));
    assert_eq!(world.state(), Ongoing);
}

#[tokio::test(start_paused = true)]
async fn whoever_comes_while_a_partition_is_loaded_or_stopped_is_told() {
    let world = World::new().await;
    let partition = world.coordinator.partition_for(ID);
    world.coordinator.on_resignation(partition, None);
    // The load begins when this task waits.
    world.coordinator.on_election(partition, EPOCH + 1);
    assert_eq!(world.init().await, Err(ErrorCode::CoordinatorLoadInProgress));
    let everything = ListFilter {
        duration_ms: -1,
        ..ListFilter::default()
    };
    let listed = world.coordinator.list(&everything);
    assert_eq!(listed, Err(ErrorCode::CoordinatorLoadInProgress));
    until(|| !world.coordinator.is_loading()).await;
    world.init().await.unwrap();
    world.coordinator.shutdown();
    assert_eq!(world.init().await, Err(ErrorCode::CoordinatorNotAvailable));
    assert_eq!(
        world.coordinator.describe(ID),
        Err(ErrorCode::CoordinatorNotAvailable)
    );
    assert_eq!(
        world.coordinator.list(&everything),
        Err(ErrorCode::CoordinatorNotAvailable)
    );
}

#[tokio::test(start_paused = true)]
async fn partitions_are_not_loaded_any_more_when_there_are_more_of_them_than_at_the_start() {
    let world = World::new().await;
    world.init().await.unwrap();
    let partition = world.coordinator.partition_for(ID);
    world.partition_count.store(PARTITIONS + 1, Ordering::SeqCst);
    // The loaded partitions stay, and every id stays in its partition.
    world.coordinator.on_election(PARTITIONS, EPOCH);
    assert_eq!(world.coordinator.partition_for(ID), partition);
    assert_eq!(world.state(), Empty);
    // A broker that starts now may map the id to another coordinator. Only one of the two may serve the id.
    world.coordinator.on_resignation(partition, Some(EPOCH + 1));
    world.coordinator.on_election(partition, EPOCH + 2);
    tokio::time::sleep(std::time::Duration::from_secs(60)).await;
    assert_eq!(world.init().await, Err(ErrorCode::CoordinatorLoadInProgress));
}

#[tokio::test(start_paused = true)]
async fn a_partition_that_cannot_be_read_is_not_coordinated() {
    let log = MemoryLog::new();
    log.fill(0, include_bytes!("../testdata/transaction-state-0.log"));
    log.fail_with(Some(ErrorCode::KafkaStorageError));
    let world = World::on(log).await;
    assert_eq!(world.init().await, Err(ErrorCode::NotCoordinator));
}

#[tokio::test(start_paused = true)]
async fn what_apache_kafka_wrote_is_taken_over() {
    let log = MemoryLog::new();
    let captured = include_bytes!("../testdata/transaction-state-0.log");
    let batch = RecordBatches::new(captured).next().unwrap().unwrap();
    let mut records = RecordReader::new(&batch, 1 << 20).unwrap();
    let record = records.next().unwrap().unwrap();
    let log::Key::TransactionalId(id) = log::read_key(record.key.unwrap()).unwrap() else {
        panic!("an unknown key");
    };
    let world = World::new().await;
    let partition = world.coordinator.partition_for(id);
    assert_eq!(partition, 0, "where Kafka put it among three");
    log.fill(partition, captured);
    let world = World::on(log).await;
    let described = world.coordinator.describe(id).unwrap();
    let next = world
        .coordinator
        .init_producer_id(Some(id), TIMEOUT_MS, None)
        .await;
    let next = next.unwrap();
    assert_eq!(
        (next.id, next.epoch),
        (described.producer.id, described.producer.epoch + 1)
    );
}

#[tokio::test(start_paused = true)]
async fn open_transactions_time_out() {
    let world = World::new().await;
    let producer = world.init().await.unwrap();
    world.add(producer, &[0]).await.unwrap();
    world.clock.advance(i64::from(TIMEOUT_MS));
    world.coordinator.abort_timed_out().await;
    assert_eq!(world.state(), Ongoing);
    world.clock.advance(1);
    // The next round repeats a failed append, with the same epoch.
    world.log.fail_with(Some(ErrorCode::NotEnoughReplicas));
    world.coordinator.abort_timed_out().await;
    assert_eq!(world.state(), Ongoing);
    world.log.fail_with(None);
    world.coordinator.abort_timed_out().await;
    world.becomes(CompleteAbort).await;
    assert_eq!(world.end(producer, Commit).await, Err(ErrorCode::ProducerFenced));
    assert_eq!(world.coordinator.describe(ID).unwrap().producer.epoch, 1);
    assert_eq!(world.init().await.unwrap().epoch, 2);
}

#[tokio::test(start_paused = true)]
async fn ids_that_nobody_uses_expire() {
    let world = World::new().await;
    let producer = world.init().await.unwrap();
    world.add(producer, &[0]).await.unwrap();
    world.clock.advance(3_600_000);
    assert_eq!(world.coordinator.states.remove_expired().await, 0, "it is open");
    world.end(producer, Commit).await.unwrap();
    world.becomes(CompleteCommit).await;
    world.clock.advance(3_599_999);
    assert_eq!(world.coordinator.states.remove_expired().await, 0);
    world.clock.advance(1);
    world.log.fail_with(Some(ErrorCode::NotEnoughReplicas));
    assert_eq!(world.coordinator.states.remove_expired().await, 0);
    assert_eq!(world.state(), CompleteCommit);
    world.log.fail_with(None);
    assert_eq!(world.coordinator.states.remove_expired().await, 1);
    assert_eq!(
        world.coordinator.describe(ID),
        Err(ErrorCode::TransactionalIdNotFound)
    );
    assert_eq!(world.written().last(), Some(&None));
    let unknown = ErrorCode::InvalidProducerIdMapping;
    assert_eq!(world.add(producer, &[0]).await, Err(unknown));
    assert_eq!(world.end(producer, Commit).await, Err(unknown));
    let next = World::on(world.log.clone()).await;
    assert_eq!(
        next.coordinator.describe(ID),
        Err(ErrorCode::TransactionalIdNotFound)
    );
    assert_ne!(world.init().await.unwrap().id, producer.id);
}

#[tokio::test(start_paused = true)]
async fn lists_are_filtered() {
    let world = World::new().await;
    let first = world.init().await.unwrap();
    world.add(first, &[0]).await.unwrap();
    let other = world
        .coordinator
        .init_producer_id(Some("other"), TIMEOUT_MS, None)
        .await
        .unwrap();
    world.clock.advance(1000);
    let list = |producer_ids: &[ProducerId], states: Option<Vec<TransactionState>>, duration_ms| {
        let filter = ListFilter {
            producer_ids: producer_ids.iter().copied().collect(),
            states,
            duration_ms,
        };
        let mut ids: Vec<_> = world
            .coordinator
            .list(&filter)
            .unwrap()
            .into_iter()
            .map(|listed| listed.transactional_id.to_string())
            .collect();
        ids.sort();
        ids
    };
    assert_eq!(list(&[], None, -1), ["other", ID]);
    assert_eq!(list(&[other.id], None, -1), ["other"]);
    assert_eq!(list(&[], Some(vec![Ongoing]), -1), [ID]);
    assert!(
        list(&[], Some(vec![]), -1).is_empty(),
        "only names that are no states"
    );
    assert_eq!(list(&[first.id], Some(vec![Ongoing]), 999), [ID]);
    assert!(list(&[first.id], Some(vec![Ongoing]), 1000).is_empty());
}

#[tokio::test(start_paused = true)]
async fn impossible_requests_are_refused() {
    let world = World::new().await;
    let coordinator = &world.coordinator;
    for timeout_ms in [0, -1, 900_001] {
        let refused = coordinator.init_producer_id(Some(ID), timeout_ms, None).await;
        assert_eq!(refused, Err(ErrorCode::InvalidTransactionTimeout), "{timeout_ms}");
    }
    let producer = ProducerIdAndEpoch { id: 1, epoch: 0 };
    let invalid = ErrorCode::InvalidRequest;
    assert_eq!(
        coordinator.init_producer_id(Some(""), 1, None).await,
        Err(invalid)
    );
    assert_eq!(coordinator.end("", producer, Commit).await, Err(invalid));
    assert_eq!(
        coordinator.add_partitions("", producer, BTreeSet::new()).await,
        Err(invalid)
    );
    assert_eq!(coordinator.verify_partitions("", producer, vec![]), Err(invalid));
    assert_eq!(coordinator.describe(""), Err(invalid));
    let unknown = ErrorCode::InvalidProducerIdMapping;
    assert_eq!(coordinator.verify_partitions(ID, producer, vec![]), Err(unknown));
    // A transaction without partitions is also ended.
    let producer = world.init().await.unwrap();
    world.add(producer, &[]).await.unwrap();
    world.end(producer, Commit).await.unwrap();
    world.becomes(CompleteCommit).await;
    assert_eq!(world.leaders.sent(), 0);
}
