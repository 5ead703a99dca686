use proptest::prelude::*;

use super::*;
use crate::record::batch::NO_SEQUENCE;
use crate::record::{BatchBuilder, RecordBatches};

const DAY_MS: i64 = 24 * 60 * 60 * 1000;
const PRODUCER: ProducerId = 7;

/// A batch of `count` records of [`PRODUCER`].
fn batch_of(
    producer_id: ProducerId,
    offset: Offset,
    epoch: i16,
    sequence: i32,
    count: i32,
    txn: bool,
) -> ProducerBatch {
    let mut builder = BatchBuilder::new(offset)
        .producer(producer_id, epoch, sequence)
        .transactional(txn);
    for _ in 0..count {
        builder.append(offset * 10, None, Some(b"v"), &[]);
    }
    let (header, records) = builder.build_parts();
    ProducerBatch::read(&header, &records).unwrap()
}

fn data(offset: Offset, epoch: i16, sequence: i32, count: i32) -> ProducerBatch {
    batch_of(PRODUCER, offset, epoch, sequence, count, false)
}

fn txn(producer_id: ProducerId, offset: Offset, epoch: i16, sequence: i32) -> ProducerBatch {
    batch_of(producer_id, offset, epoch, sequence, 1, true)
}

fn marker(
    producer_id: ProducerId,
    offset: Offset,
    epoch: i16,
    control_type: ControlRecordType,
    coordinator_epoch: i32,
) -> ProducerBatch {
    let marker = EndTransactionMarker {
        control_type,
        coordinator_epoch,
    };
    let bytes = BatchBuilder::end_transaction_marker(marker, producer_id, epoch, offset * 10);
    let batch = crate::record::RecordBatch::parse(&bytes).unwrap().unwrap();
    let mut header = batch.header();
    header.set_base_offset(offset);
    ProducerBatch::read(&header, batch.records()).unwrap()
}

fn commit(producer_id: ProducerId, offset: Offset, epoch: i16) -> ProducerBatch {
    marker(producer_id, offset, epoch, ControlRecordType::Commit, 0)
}

fn state(batches: &[ProducerBatch]) -> ProducerStateManager {
    let mut state = ProducerStateManager::new(0);
    for batch in batches {
        state.update(batch);
    }
    state
}

fn code(state: &ProducerStateManager, batch: &ProducerBatch, origin: AppendOrigin) -> ErrorCode {
    match state.validate_append(batch, origin, &Verification::Off) {
        Ok(decision) => {
            assert_eq!(decision, AppendDecision::New);
            ErrorCode::None
        }
        Err(error) => error.code(),
    }
}

#[test]
fn sequences_and_epochs_decide_what_a_client_may_append() {
    use ErrorCode::{InvalidProducerEpoch, None, OutOfOrderSequenceNumber};
    let state = state(&[data(10, 3, 0, 5)]);
    for (epoch, sequence, expected) in [
        (3, 5, None),
        (3, 6, OutOfOrderSequenceNumber),
        (3, 4, OutOfOrderSequenceNumber),
        (2, 5, InvalidProducerEpoch),
        (4, 0, None),
        (4, 5, OutOfOrderSequenceNumber),
    ] {
        let batch = data(15, epoch, sequence, 1);
        assert_eq!(
            code(&state, &batch, AppendOrigin::Client),
            expected,
            "epoch {epoch} sequence {sequence}"
        );
        assert_eq!(
            code(&state, &batch, AppendOrigin::Replication),
            None,
            "replication refuses nothing"
        );
        let expected = if expected == InvalidProducerEpoch {
            expected
        } else {
            None
        };
        assert_eq!(
            code(&state, &batch, AppendOrigin::Coordinator),
            expected,
            "a coordinator has no sequences"
        );
    }
    let stranger = batch_of(8, 15, 0, 1234, 1, false);
    assert_eq!(
        code(&state, &stranger, AppendOrigin::Client),
        None,
        "an unknown producer begins anywhere"
    );
}

#[test]
fn the_sequence_wraps() {
    let state = state(&[data(0, 0, i32::MAX - 1, 2)]);
    assert_eq!(
        code(&state, &data(2, 0, 0, 1), AppendOrigin::Client),
        ErrorCode::None
    );
    assert_eq!(
        code(&state, &data(2, 0, 1, 1), AppendOrigin::Client),
        ErrorCode::OutOfOrderSequenceNumber
    );
    let across = self::state(&[data(0, 0, i32::MAX, 3)]);
    assert_eq!(across.last_entry(PRODUCER).unwrap().last_sequence(), 1);
    let again = across
        .validate_append(&data(9, 0, i32::MAX, 3), AppendOrigin::Client, &Verification::Off)
        .unwrap();
    assert!(matches!(again, AppendDecision::Duplicate(known) if known.first_offset() == 0));
}

#[test]
fn five_batches_are_recognised_when_they_come_again() {
    let batches: Vec<_> = (0..7).map(|n| data(100 + n * 2, 0, n as i32 * 2, 2)).collect();
    let state = state(&batches);
    for (n, batch) in batches.iter().enumerate() {
        // The client sends it with any offset; here the log would assign the next one.
        let again = data(500, 0, n as i32 * 2, 2);
        let decision = state.validate_append(&again, AppendOrigin::Client, &Verification::Off);
        if n < 2 {
            assert_eq!(
                decision.unwrap_err().code(),
                ErrorCode::OutOfOrderSequenceNumber,
                "batch {n} is forgotten"
            );
            continue;
        }
        let AppendDecision::Duplicate(known) = decision.unwrap() else {
            panic!("batch {n} is new")
        };
        assert_eq!(
            (known.first_offset(), known.last_offset),
            (batch.header.base_offset(), batch.header.last_offset())
        );
        assert_eq!(known.timestamp, batch.header.max_timestamp());
    }
    let overlapping = data(500, 0, 11, 2);
    assert_eq!(
        code(&state, &overlapping, AppendOrigin::Client),
        ErrorCode::OutOfOrderSequenceNumber
    );
    let in_another_epoch = data(500, 1, 12, 2);
    assert_eq!(
        code(&state, &in_another_epoch, AppendOrigin::Client),
        ErrorCode::OutOfOrderSequenceNumber
    );
}

#[test]
fn a_transaction_holds_the_last_stable_offset_until_its_marker_is_replicated() {
    let mut state = state(&[
        data(0, 0, 0, 5),
        txn(1, 5, 0, 0),
        txn(2, 6, 0, 0),
        txn(1, 7, 0, 1),
    ]);
    assert_eq!(state.first_unstable_offset(), Some(5));
    let completed = state
        .update(&marker(1, 8, 0, ControlRecordType::Abort, 3))
        .unwrap();
    assert_eq!(
        completed,
        CompletedTxn {
            producer_id: 1,
            first_offset: 5,
            last_offset: 8,
            is_aborted: true,
            last_stable_offset: 6
        }
    );
    assert_eq!(state.first_undecided_offset(), Some(6));
    assert_eq!(
        state.first_unstable_offset(),
        Some(5),
        "decided, but the marker may still be lost"
    );
    state.on_high_watermark_updated(8);
    assert_eq!(
        state.first_unstable_offset(),
        Some(5),
        "offset 8 is not below the high watermark"
    );
    state.on_high_watermark_updated(9);
    assert_eq!(state.first_unstable_offset(), Some(6));
    let completed = state.update(&commit(2, 9, 0)).unwrap();
    assert!(!completed.is_aborted);
    assert_eq!(completed.last_stable_offset, 10);
    state.on_high_watermark_updated(10);
    assert_eq!(state.first_unstable_offset(), None);
    assert_eq!(
        state.update(&commit(2, 10, 0)),
        None,
        "a marker without data ends nothing"
    );
}

#[test]
fn an_unknown_producer_may_begin_in_any_epoch_but_a_negative_one() {
    let unknown = state(&[]);
    for (epoch, sequence, expected) in [
        (0, 7, ErrorCode::None),
        (i16::MAX, 0, ErrorCode::None),
        (NO_PRODUCER_EPOCH, 0, ErrorCode::None),
        (-7, 0, ErrorCode::InvalidProducerEpoch),
    ] {
        let batch = data(0, epoch, sequence, 1);
        assert_eq!(code(&unknown, &batch, AppendOrigin::Client), expected, "{epoch}");
    }
}

#[test]
fn transactions_have_rules_of_their_own() {
    let mut state = state(&[txn(PRODUCER, 0, 2, 0)]);
    assert_eq!(
        code(&state, &data(1, 2, 1, 1), AppendOrigin::Client),
        ErrorCode::InvalidTxnState
    );
    assert_eq!(
        code(&state, &txn(PRODUCER, 1, 2, 1), AppendOrigin::Client),
        ErrorCode::None
    );
    let early = commit(PRODUCER, 1, 1);
    assert_eq!(
        code(&state, &early, AppendOrigin::Coordinator),
        ErrorCode::InvalidProducerEpoch
    );
    state.update(&marker(PRODUCER, 1, 2, ControlRecordType::Commit, 5));
    let zombie = marker(PRODUCER, 2, 2, ControlRecordType::Abort, 4);
    assert_eq!(
        code(&state, &zombie, AppendOrigin::Coordinator),
        ErrorCode::TransactionCoordinatorFenced
    );
    assert_eq!(code(&state, &zombie, AppendOrigin::Replication), ErrorCode::None);
    assert_eq!(
        code(&state, &txn(PRODUCER, 2, 2, 1), AppendOrigin::Client),
        ErrorCode::None,
        "same epoch, goes on"
    );
    // A fencing marker bumps the epoch; the next batch starts at 0.
    state.update(&marker(PRODUCER, 2, 3, ControlRecordType::Abort, 5));
    assert_eq!(
        code(&state, &txn(PRODUCER, 3, 2, 1), AppendOrigin::Client),
        ErrorCode::InvalidProducerEpoch
    );
    assert_eq!(
        code(&state, &txn(PRODUCER, 3, 3, 1), AppendOrigin::Client),
        ErrorCode::OutOfOrderSequenceNumber
    );
    assert_eq!(
        code(&state, &txn(PRODUCER, 3, 3, 0), AppendOrigin::Client),
        ErrorCode::None
    );
}

#[test]
fn a_marker_for_a_producer_that_expired_is_written_and_remembered() {
    let mut state = ProducerStateManager::new(0);
    let late = marker(PRODUCER, 5, 4, ControlRecordType::Abort, 2);
    assert_eq!(code(&state, &late, AppendOrigin::Coordinator), ErrorCode::None);
    assert_eq!(state.update(&late), None);
    let entry = state.last_entry(PRODUCER).unwrap();
    assert_eq!(
        (
            entry.producer_epoch(),
            entry.coordinator_epoch(),
            entry.last_sequence()
        ),
        (4, 2, NO_SEQUENCE)
    );
}

#[test]
fn idle_producers_expire_unless_a_transaction_is_open() {
    let mut state = state(&[data(1, 0, 0, 1), txn(1, 2, 0, 0)]);
    state.remove_expired(10 + DAY_MS - 1, DAY_MS);
    assert!(state.last_entry(PRODUCER).is_some());
    state.remove_expired(20 + DAY_MS, DAY_MS);
    assert!(state.last_entry(PRODUCER).is_none());
    assert!(state.last_entry(1).is_some(), "its transaction is open");
    assert_eq!(
        code(&state, &data(3, 0, 99, 1), AppendOrigin::Client),
        ErrorCode::None
    );
}

#[test]
fn batches_without_a_producer_move_the_end_only() {
    let mut state = ProducerStateManager::new(4);
    let plain = batch_of(-1, 4, -1, -1, 3, false);
    assert_eq!(
        state.validate_append(&plain, AppendOrigin::Client, &Verification::Off),
        Ok(AppendDecision::New)
    );
    assert_eq!(state.update(&plain), None);
    assert!(state.is_empty());
    assert_eq!(state.map_end_offset(), 7);
}

#[test]
fn a_snapshot_keeps_one_batch_of_each_producer() {
    let mut state = ProducerStateManager::new(0);
    assert_eq!(state.take_snapshot(), None, "nothing to say");
    for batch in [data(0, 1, 0, 2), data(2, 1, 2, 3), txn(2, 5, 0, 0)] {
        state.update(&batch);
    }
    let (offset, bytes) = state.take_snapshot().unwrap();
    assert_eq!(offset, 6);
    assert_eq!(state.take_snapshot(), None, "there is one at this offset");
    let mut loaded = ProducerStateManager::new(0);
    loaded.load_snapshot(offset, &bytes, 100, DAY_MS).unwrap();
    assert_eq!(loaded.map_end_offset(), 6);
    assert_eq!(loaded.first_unstable_offset(), Some(5));
    assert_eq!(loaded.take_snapshot(), None);
    let again = |sequence, count| {
        loaded.validate_append(
            &data(9, 1, sequence, count),
            AppendOrigin::Client,
            &Verification::Off,
        )
    };
    assert!(matches!(again(2, 3), Ok(AppendDecision::Duplicate(known)) if known.first_offset() == 2));
    assert_eq!(
        again(0, 2).unwrap_err().code(),
        ErrorCode::OutOfOrderSequenceNumber
    );
    assert_eq!(again(5, 1), Ok(AppendDecision::New));
    let mut later = ProducerStateManager::new(0);
    later.load_snapshot(offset, &bytes, 50 + DAY_MS, DAY_MS).unwrap();
    assert!(later.last_entry(PRODUCER).is_none() && later.last_entry(2).is_some());
    let mut corrupt = ProducerStateManager::new(3);
    assert!(corrupt.load_snapshot(offset, &bytes[1..], 100, DAY_MS).is_err());
    assert!(corrupt.is_empty() && corrupt.map_end_offset() == 3);
}

#[test]
fn truncation_and_a_new_log_start_forget_what_is_gone() {
    let mut state = state(&[txn(1, 0, 0, 0), commit(1, 1, 0), txn(2, 2, 0, 0)]);
    assert_eq!(state.first_unstable_offset(), Some(0));
    state.on_log_start_offset_incremented(2);
    assert_eq!(state.first_unstable_offset(), Some(2));
    assert!(state.last_entry(1).is_some());
    state.on_log_start_offset_incremented(50);
    assert_eq!(state.map_end_offset(), 50);
    state.truncate_fully_and_start_at(20);
    assert!(state.is_empty());
    assert_eq!(
        (state.map_end_offset(), state.first_unstable_offset()),
        (20, None)
    );
    assert!(
        state.take_snapshot().is_some(),
        "a closed log has a snapshot at its end"
    );
}

/// Replays a captured log and returns the state with the aborted transactions.
fn replay(log: &[u8]) -> (ProducerStateManager, Vec<CompletedTxn>) {
    let mut state = ProducerStateManager::new(0);
    let mut aborted = Vec::new();
    for batch in RecordBatches::new(log).map(Result::unwrap) {
        let batch = ProducerBatch::read(&batch, batch.records()).unwrap();
        for origin in [AppendOrigin::Coordinator, AppendOrigin::Client] {
            assert_eq!(
                state.validate_append(&batch, origin, &Verification::Off),
                Ok(AppendDecision::New)
            );
        }
        aborted.extend(state.update(&batch).filter(|completed| completed.is_aborted));
        if !batch.header.is_control_batch() && batch.header.has_producer_id() {
            let again = state.validate_append(&batch, AppendOrigin::Client, &Verification::Off);
            assert!(matches!(again, Ok(AppendDecision::Duplicate(_))));
        }
    }
    (state, aborted)
}

#[test]
fn replaying_captured_logs_gives_the_captured_snapshots() {
    for (log, end, captured) in [
        (
            &include_bytes!("../../../record/testdata/orders-0.log")[..],
            100,
            &include_bytes!("../testdata/orders-0-00000000000000000100.snapshot")[..],
        ),
        (
            include_bytes!("../../../record/testdata/orders-1.log"),
            24,
            include_bytes!("../testdata/orders-1-00000000000000000024.snapshot"),
        ),
    ] {
        let (mut state, _) = replay(log);
        let (offset, bytes) = state.take_snapshot().unwrap();
        assert_eq!(offset, end);
        let mut expected = snapshot::decode(captured).unwrap();
        expected.sort_by_key(|(producer_id, _)| *producer_id);
        assert_eq!(snapshot::decode(&bytes).unwrap(), expected);
        assert_eq!(bytes.len(), captured.len());
    }
}

#[test]
fn replaying_a_captured_log_gives_the_captured_transaction_index() {
    let (_, aborted) = replay(include_bytes!("../../../record/testdata/orders-1.log"));
    let mut index = Vec::new();
    for txn in &aborted {
        index.extend(0i16.to_be_bytes());
        for field in [
            txn.producer_id,
            txn.first_offset,
            txn.last_offset,
            txn.last_stable_offset,
        ] {
            index.extend(field.to_be_bytes());
        }
    }
    assert_eq!(index, include_bytes!("../testdata/orders-1.txnindex"));
}

proptest! {
    /// For batches in any order: after each accepted batch the next sequence is accepted and the same batch is a
    /// duplicate, also after a snapshot and a reload.
    #[test]
    fn an_accepted_batch_is_a_duplicate_from_then_on(
        batches in proptest::collection::vec((0i64..3, 0i16..3, 0i32..6, 1i32..4), 1..40),
    ) {
        let mut state = ProducerStateManager::new(0);
        let mut offset = 0;
        for (producer_id, epoch, sequence, count) in batches {
            let batch = batch_of(producer_id, offset, epoch, sequence, count, false);
            if state.validate_append(&batch, AppendOrigin::Client, &Verification::Off) != Ok(AppendDecision::New) {
                continue;
            }
            state.update(&batch);
            offset += i64::from(count);
            let (snapshot_offset, bytes) = state.take_snapshot().unwrap();
            prop_assert_eq!(snapshot_offset, offset);
            let mut loaded = ProducerStateManager::new(0);
            loaded.load_snapshot(offset, &bytes, 0, DAY_MS).unwrap();
            for state in [&state, &loaded] {
                let again = state.validate_append(&batch, AppendOrigin::Client, &Verification::Off);
                prop_assert!(matches!(again, Ok(AppendDecision::Duplicate(_))));
                let next = batch_of(producer_id, offset, epoch, sequence + count, 1, false);
                prop_assert_eq!(state.validate_append(&next, AppendOrigin::Client, &Verification::Off), Ok(AppendDecision::New));
            }
        }
    }
}

#[test]
fn a_transaction_is_opened_only_with_the_word_of_its_coordinator() {
    use AppendOrigin::{Client, Coordinator, Replication};
    let required = |guard: &Option<VerificationGuard>| Verification::Required(guard.clone());
    let refused = Err(ProducerStateError::UnverifiedTransaction(PRODUCER));
    let first = txn(PRODUCER, 10, 0, 0);
    let mut state = ProducerStateManager::new(0);
    for origin in [Client, Coordinator] {
        assert_eq!(state.validate_append(&first, origin, &required(&None)), refused);
        let new = Ok(AppendDecision::New);
        assert_eq!(state.validate_append(&first, origin, &Verification::Off), new);
    }
    let replicated = state.validate_append(&first, Replication, &required(&None));
    assert_eq!(replicated, Ok(AppendDecision::New), "its leader has looked");

    let guard = state.begin_verification(PRODUCER, 0, 0, 0);
    assert!(guard.is_some());
    let overtaking = txn(PRODUCER, 10, 0, 1);
    let code = state
        .validate_append(&overtaking, Client, &required(&guard))
        .unwrap_err()
        .code();
    assert_eq!(code, ErrorCode::OutOfOrderSequenceNumber);
    assert_eq!(
        state.validate_append(&first, Client, &required(&guard)),
        Ok(AppendDecision::New)
    );
    state.update(&first);

    // An open transaction needs no verification; a batch that the log already has is not refused for the lack of it.
    assert_eq!(state.begin_verification(PRODUCER, 0, 1, 0), None);
    let second = txn(PRODUCER, 11, 0, 1);
    assert_eq!(
        state.validate_append(&second, Client, &required(&None)),
        Ok(AppendDecision::New)
    );
    state.update(&commit(PRODUCER, 11, 0));
    let again = state.validate_append(&first, Client, &required(&None));
    assert!(matches!(again, Ok(AppendDecision::Duplicate(_))));

    // A verification that began before the marker is void, even if another one came in between.
    let stale = state.begin_verification(PRODUCER, 0, 1, 0);
    state.update(&commit(PRODUCER, 12, 0));
    let late = txn(PRODUCER, 13, 0, 1);
    assert_eq!(state.validate_append(&late, Client, &required(&stale)), refused);
    let fresh = state.begin_verification(PRODUCER, 0, 1, 0);
    assert_eq!(state.validate_append(&late, Client, &required(&stale)), refused);
    assert_eq!(
        state.validate_append(&late, Client, &required(&fresh)),
        Ok(AppendDecision::New)
    );
    // Markers and batches outside transactions need none.
    let plain = data(13, 0, 1, 1);
    assert_eq!(
        state.validate_append(&plain, Client, &required(&None)),
        Ok(AppendDecision::New)
    );
    let end = commit(PRODUCER, 13, 0);
    assert_eq!(
        state.validate_append(&end, Coordinator, &required(&None)),
        Ok(AppendDecision::New)
    );
}
