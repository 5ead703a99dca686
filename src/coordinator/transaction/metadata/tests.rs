//! Tests every state with every event, in tables.

use super::*;

const NOW: i64 = 1_000_000;
const TIMEOUT: i32 = 60_000;
const PRODUCER: ProducerIdAndEpoch = ProducerIdAndEpoch { id: 7, epoch: 3 };
/// The states that an id can have between two events.
const RESTING: [TransactionState; 6] = [
    Empty,
    Ongoing,
    PrepareCommit,
    PrepareAbort,
    CompleteCommit,
    CompleteAbort,
];

fn partitions(numbers: &[i32]) -> BTreeSet<TopicPartition> {
    numbers.iter().map(|&p| TopicPartition::new("t", p)).collect()
}

fn value(state: TransactionState) -> TransactionValue {
    let is_open = matches!(state, Ongoing | PrepareCommit | PrepareAbort);
    TransactionValue {
        producer: PRODUCER,
        timeout_ms: TIMEOUT,
        state,
        partitions: if is_open {
            partitions(&[0, 1])
        } else {
            partitions(&[])
        },
        last_update_ms: NOW - 10,
        start_ms: if state == Empty { NO_TIMESTAMP } else { NOW - 20 },
    }
}

fn in_state(state: TransactionState) -> TransactionMetadata {
    TransactionMetadata::loaded("id".into(), value(state))
}

fn with_epoch(epoch: i16, state: TransactionState) -> TransactionMetadata {
    let mut value = value(state);
    value.producer.epoch = epoch;
    TransactionMetadata::loaded("id".into(), value)
}

/// An id with a transition that is being written to the log.
fn pending(state: TransactionState) -> TransactionMetadata {
    let mut metadata = in_state(state);
    metadata.pending = Some(Ongoing);
    metadata
}

fn no_new_id() -> Result<ProducerId, ErrorCode> {
    panic!("no new producer id is needed")
}

fn init(metadata: &mut TransactionMetadata) -> Result<Transition, ErrorCode> {
    metadata.init_producer_id(TIMEOUT, None, NOW, no_new_id)
}

#[test]
fn each_event_in_each_state_leads_where_kafka_goes() {
    use ErrorCode::{ConcurrentTransactions, InvalidTxnState};
    use TransactionResult::{Abort, Commit};
    type Event = fn(&mut TransactionMetadata) -> Result<Option<Transition>, ErrorCode>;
    /// `Ok(None)`: nothing is written.
    type Row = [Result<Option<TransactionState>, ErrorCode>; 6];
    let busy = Err(ConcurrentTransactions);
    let wrong = Err(InvalidTxnState);
    let to = |state| Ok(Some(state));
    // In the order of RESTING: Empty, Ongoing, PrepareCommit, PrepareAbort, CompleteCommit, CompleteAbort.
    let table: [(&str, Event, Row); 7] = [
        (
            "init",
            |m| init(m).map(Some),
            [to(Empty), to(PrepareAbort), busy, busy, to(Empty), to(Empty)],
        ),
        (
            "add",
            |m| m.add_partitions(PRODUCER, partitions(&[2]), NOW),
            [to(Ongoing), to(Ongoing), busy, busy, to(Ongoing), to(Ongoing)],
        ),
        (
            "add again",
            |m| m.add_partitions(PRODUCER, partitions(&[1]), NOW),
            [to(Ongoing), Ok(None), busy, busy, to(Ongoing), to(Ongoing)],
        ),
        (
            "commit",
            |m| m.end(PRODUCER, Commit, NOW),
            [wrong, to(PrepareCommit), busy, wrong, Ok(None), wrong],
        ),
        (
            "abort",
            |m| m.end(PRODUCER, Abort, NOW),
            [wrong, to(PrepareAbort), wrong, busy, wrong, Ok(None)],
        ),
        (
            "time out",
            |m| m.fence_and_abort(NOW).map(Some),
            [wrong, to(PrepareAbort), wrong, wrong, wrong, wrong],
        ),
        (
            "last marker",
            |m| m.prepare_completion(NOW).map(Some),
            [wrong, wrong, to(CompleteCommit), to(CompleteAbort), wrong, wrong],
        ),
    ];
    for (name, event, row) in table {
        for (state, expected) in RESTING.into_iter().zip(row) {
            let mut metadata = in_state(state);
            let result = event(&mut metadata);
            let next = result.clone().map(|transition| transition.map(|t| t.value.state));
            assert_eq!(next, expected, "{name} in {state:?}");
            assert_eq!(
                metadata.is_pending(),
                matches!(expected, Ok(Some(_))),
                "{name} in {state:?}"
            );
            assert_eq!(
                metadata.value().state,
                state,
                "nothing counts before it is written"
            );
            assert_eq!(
                event(&mut pending(state)),
                Err(ConcurrentTransactions),
                "{name} in {state:?}"
            );
            if let Ok(Some(transition)) = result {
                metadata.complete(transition.clone());
                let mut expected = transition.value;
                if expected.state == Empty {
                    assert_eq!(expected.start_ms, NO_TIMESTAMP, "{name} in {state:?}");
                    expected.start_ms = value(state).start_ms;
                }
                assert_eq!((metadata.value(), metadata.is_pending()), (&expected, false));
            }
        }
    }
}

#[test]
fn whoever_is_not_the_current_producer_is_told_so_in_every_state() {
    use TransactionResult::{Abort, Commit};
    for state in RESTING {
        for mut metadata in [in_state(state), pending(state)] {
            let cases = [
                ((8, 3), ErrorCode::InvalidProducerIdMapping),
                ((7, 2), ErrorCode::ProducerFenced),
                ((7, 4), ErrorCode::ProducerFenced),
            ];
            for ((id, epoch), expected) in cases {
                let zombie = ProducerIdAndEpoch { id, epoch };
                let added = metadata.add_partitions(zombie, partitions(&[0]), NOW);
                assert_eq!(added, Err(expected), "{state:?}");
                for result in [Commit, Abort] {
                    assert_eq!(metadata.end(zombie, result, NOW), Err(expected), "{state:?}");
                }
                let verified = metadata.verify_partitions(zombie, vec![]);
                assert_eq!(verified, Err(expected), "{state:?}");
            }
        }
    }
}

#[test]
fn partitions_are_verified_while_a_transaction_is_open() {
    let asked = || partitions(&[1, 2]).into_iter().collect::<Vec<_>>();
    let abortable = ErrorCode::TransactionAbortable;
    for state in RESTING {
        let codes = |metadata: TransactionMetadata| {
            let verified = metadata.verify_partitions(PRODUCER, asked());
            verified.map(|codes| codes.into_iter().map(|(_, code)| code).collect::<Vec<_>>())
        };
        let expected = match state {
            PrepareCommit | PrepareAbort => Err(ErrorCode::ConcurrentTransactions),
            Ongoing => Ok(vec![ErrorCode::None, abortable]),
            _ => Ok(vec![abortable, abortable]),
        };
        assert_eq!(codes(in_state(state)), expected, "{state:?}");
        assert_eq!(
            codes(pending(state)),
            expected,
            "{state:?}, which is no hindrance"
        );
    }
}

#[test]
fn a_producer_that_begins_gets_an_epoch_by_what_it_had() {
    let had = |id, epoch| Some(ProducerIdAndEpoch { id, epoch });
    let exhausted = i16::MAX - 1;
    // Current epoch, last id and epoch, the producer's claimed id and epoch; then the result: id, epoch and last epoch.
    let cases = [
        (3, (-1, -1), None, Ok((7, 4, -1))),
        (-1, (-1, -1), None, Ok((7, 0, -1))),
        (3, (-1, -1), had(7, 3), Ok((7, 4, 3))),
        // The producer did not receive the answer.
        (3, (7, 2), had(7, 2), Ok((7, 3, 2))),
        (3, (7, 2), had(7, 1), Err(ErrorCode::ProducerFenced)),
        (3, (7, 2), had(7, 4), Err(ErrorCode::ProducerFenced)),
        (3, (-1, -1), had(8, 3), Err(ErrorCode::ProducerFenced)),
        // The producer's id was lost.
        (-1, (-1, -1), had(5, 9), Ok((7, 0, -1))),
        // The epochs of the producer id are used up.
        (exhausted, (-1, -1), None, Ok((99, 0, -1))),
        (exhausted, (-1, -1), had(7, exhausted), Ok((99, 0, exhausted))),
        (0, (5, exhausted), had(5, exhausted), Ok((7, 0, exhausted))),
        (0, (5, exhausted), had(5, 3), Err(ErrorCode::ProducerFenced)),
        (i16::MAX, (-1, -1), None, Ok((99, 0, -1))),
    ];
    for (epoch, (last_id, last_epoch), expected, result) in cases {
        let mut metadata = with_epoch(epoch, Empty);
        (metadata.last_producer_id, metadata.last_producer_epoch) = (last_id, last_epoch);
        let transition = metadata.init_producer_id(500, expected, NOW, || Ok(99));
        let got = transition
            .clone()
            .map(|t| (t.value.producer.id, t.value.producer.epoch, t.last_epoch));
        assert_eq!(got, result, "{epoch} {last_id} {last_epoch} {expected:?}");
        if let Ok(transition) = transition {
            metadata.complete(transition);
            assert_eq!((metadata.value().timeout_ms, metadata.last_producer_id), (500, 7));
        }
    }
    let mut metadata = with_epoch(exhausted, CompleteAbort);
    let none_left = || Err(ErrorCode::CoordinatorLoadInProgress);
    let refused = metadata.init_producer_id(500, None, NOW, none_left);
    assert_eq!(refused, Err(ErrorCode::CoordinatorLoadInProgress));
    assert!(!metadata.is_pending());
}

#[test]
fn fencing_bumps_the_epoch_once_even_if_it_cannot_be_written() {
    let mut metadata = in_state(Ongoing);
    for _ in 0..2 {
        let transition = init(&mut metadata).unwrap();
        assert_eq!(
            (transition.value.state, transition.value.producer.epoch),
            (PrepareAbort, 4)
        );
        assert_eq!(
            metadata.end(PRODUCER, TransactionResult::Commit, NOW),
            Err(ErrorCode::ProducerFenced)
        );
        metadata.fail(&transition);
        assert_eq!((metadata.value().state, metadata.is_pending()), (Ongoing, false));
    }
    let transition = metadata.fence_and_abort(NOW).unwrap();
    assert_eq!(transition.value.producer.epoch, 4);
    metadata.complete(transition);
    let completed = metadata.prepare_completion(NOW).unwrap();
    metadata.complete(completed);
    let next = init(&mut metadata).unwrap();
    assert_eq!(next.value.producer.epoch, 5, "the epoch that fenced is nobody's");
    let last = with_epoch(i16::MAX, Ongoing).fence_and_abort(NOW).unwrap();
    assert_eq!(last.value.producer.epoch, i16::MAX, "and still it is aborted");
}

#[test]
fn a_transaction_begins_with_its_first_partition_and_keeps_its_start() {
    for (state, start_ms) in [
        (Empty, NOW),
        (CompleteCommit, NOW),
        (CompleteAbort, NOW),
        (Ongoing, NOW - 20),
    ] {
        let mut metadata = in_state(state);
        let added = metadata
            .add_partitions(PRODUCER, partitions(&[5]), NOW)
            .unwrap()
            .unwrap();
        assert_eq!(
            (added.value.start_ms, added.value.last_update_ms),
            (start_ms, NOW),
            "{state:?}"
        );
        let expected = if state == Ongoing {
            partitions(&[0, 1, 5])
        } else {
            partitions(&[5])
        };
        assert_eq!(added.value.partitions, expected);
    }
}

#[test]
fn the_last_marker_is_the_one_after_which_no_partition_is_left() {
    let mut metadata = in_state(PrepareCommit);
    let completion = metadata.prepare_completion(NOW).unwrap();
    assert!(!metadata.remove_partition(&TopicPartition::new("t", 1)));
    assert!(
        !metadata.remove_partition(&TopicPartition::new("t", 1)),
        "twice is once"
    );
    assert!(metadata.remove_partition(&TopicPartition::new("t", 0)));
    metadata.complete(completion);
    let value = metadata.value();
    assert_eq!(
        (value.state, value.partitions.len(), value.start_ms),
        (CompleteCommit, 0, NOW - 20)
    );
}

#[test]
fn only_open_transactions_time_out_and_only_closed_ones_expire() {
    for state in RESTING {
        let metadata = in_state(state);
        let end_ms = NOW - 20 + i64::from(TIMEOUT);
        assert!(!metadata.is_timed_out(end_ms), "{state:?}");
        assert_eq!(metadata.is_timed_out(end_ms + 1), state == Ongoing, "{state:?}");
        assert!(!pending(state).is_timed_out(end_ms + 1), "{state:?}");

        let mut metadata = in_state(state);
        assert!(!metadata.prepare_expiration(NOW, 11), "{state:?}");
        assert_eq!(
            metadata.prepare_expiration(NOW, 10),
            state.is_expiration_allowed(),
            "{state:?}"
        );
        assert!(!pending(state).prepare_expiration(NOW, 10), "{state:?}");
        if state.is_expiration_allowed() {
            assert_eq!(init(&mut metadata), Err(ErrorCode::ConcurrentTransactions));
            metadata.finish_expiration(false);
            assert!(
                metadata.prepare_expiration(NOW, 10),
                "the tombstone was not written"
            );
            metadata.finish_expiration(true);
            assert!(metadata.is_dying());
        }
    }
}
