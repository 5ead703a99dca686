//! Tests the offsets of a group: commits, transactional commits and expiry.

use super::*;

fn partition(number: i32) -> TopicPartition {
    TopicPartition::new("t", number)
}

fn offset(offset: Offset) -> OffsetAndMetadata {
    OffsetAndMetadata {
        offset,
        leader_epoch: -1,
        metadata: "".into(),
        commit_timestamp_ms: 1000,
        expire_timestamp_ms: None,
    }
}

fn committed(offsets: &GroupOffsets, number: i32) -> Option<Offset> {
    offsets.get(&partition(number)).map(|value| value.offset)
}

#[test]
fn the_commit_that_is_later_in_the_log_counts_whichever_is_replicated_first() {
    let mut offsets = GroupOffsets::default();
    let first = offsets.begin_commit([&partition(0)]);
    let second = offsets.begin_commit([&partition(0)]);
    assert!(offsets.is_unstable(&partition(0)));
    offsets.complete_commit(second, 11, [(partition(0), offset(20))]);
    offsets.complete_commit(first, 10, [(partition(0), offset(10))]);
    assert_eq!(committed(&offsets, 0), Some(20));
    assert!(!offsets.is_unstable(&partition(0)));
}

#[test]
fn a_commit_that_fails_leaves_what_was_there() {
    let mut offsets = GroupOffsets::default();
    let first = offsets.begin_commit([&partition(0)]);
    offsets.complete_commit(first, 1, [(partition(0), offset(5))]);
    let (second, third) = (
        offsets.begin_commit([&partition(0)]),
        offsets.begin_commit([&partition(0)]),
    );
    offsets.fail_commit(second, [&partition(0)]);
    assert!(
        offsets.is_unstable(&partition(0)),
        "the third is still on its way"
    );
    offsets.fail_commit(third, [&partition(0)]);
    assert!(!offsets.is_unstable(&partition(0)));
    assert_eq!(committed(&offsets, 0), Some(5));
}

#[test]
fn an_offset_that_is_removed_does_not_come_back_with_a_late_commit() {
    let mut offsets = GroupOffsets::default();
    let commit = offsets.begin_commit([&partition(0), &partition(1)]);
    assert_eq!(offsets.remove([partition(0), partition(2)]), [partition(0)]);
    offsets.complete_commit(commit, 1, [(partition(0), offset(5)), (partition(1), offset(6))]);
    assert_eq!((committed(&offsets, 0), committed(&offsets, 1)), (None, Some(6)));
}

#[test]
fn transactional_offsets_count_from_their_place_in_the_log_once_committed() {
    let record = |batch, value| CommitRecord {
        appended_batch_offset: batch,
        value: offset(value),
    };
    let loaded = || {
        let committed = HashMap::from([(partition(0), record(20, 2)), (partition(1), record(5, 2))]);
        let pending = HashMap::from([(partition(0), record(10, 1)), (partition(1), record(10, 1))]);
        GroupOffsets::loaded(committed, HashMap::from([(7, pending)]))
    };
    let mut offsets = loaded();
    assert!(offsets.is_unstable(&partition(0)));
    assert_eq!(offsets.open_transactions().collect::<Vec<_>>(), [7]);
    offsets.complete_transaction(7, true);
    assert_eq!(
        (committed(&offsets, 0), committed(&offsets, 1)),
        (Some(2), Some(1))
    );
    assert!(!offsets.is_unstable(&partition(0)));

    let mut offsets = loaded();
    offsets.complete_transaction(7, false);
    assert_eq!(
        (committed(&offsets, 0), committed(&offsets, 1)),
        (Some(2), Some(2))
    );
    let mut offsets = loaded();
    assert_eq!(offsets.clear().len(), 2);
    assert!(offsets.is_empty());
}

#[test]
fn retention_counts_as_the_rule_says() {
    const RETENTION: i64 = 100;
    let loaded = || {
        let with_expiry = OffsetAndMetadata {
            expire_timestamp_ms: Some(5000),
            ..offset(2)
        };
        let record = |value| CommitRecord {
            appended_batch_offset: 0,
            value,
        };
        let other = TopicPartition::new("other", 0);
        let committed = [
            (partition(0), record(offset(1))),
            (partition(1), record(with_expiry)),
        ];
        GroupOffsets::loaded(
            committed
                .into_iter()
                .chain([(other, record(offset(3)))])
                .collect(),
            HashMap::new(),
        )
    };
    let subscribed = BTreeSet::from([Arc::from("t")]);
    let expired = |now_ms, expiry| {
        let mut names: Vec<_> = loaded()
            .remove_expired(now_ms, RETENTION, expiry)
            .iter()
            .map(ToString::to_string)
            .collect();
        names.sort();
        names.join(" ")
    };
    let by_subscription = Expiry::NotSubscribedSinceCommit(&subscribed);
    let cases = [
        (1099, Expiry::SinceCommit, ""),
        (1100, Expiry::SinceCommit, "other-0 t-0"),
        (1100, Expiry::Since(1001), ""),
        (1101, Expiry::Since(1001), "other-0 t-0"),
        (5000, Expiry::Since(4999), "t-1"),
        (1100, by_subscription, "other-0"),
        (9999, by_subscription, "other-0"),
        (9999, Expiry::SinceCommit, "other-0 t-0 t-1"),
    ];
    for (now_ms, expiry, expected) in cases {
        assert_eq!(expired(now_ms, expiry), expected, "at {now_ms} under {expiry:?}");
    }
    let mut offsets = loaded();
    offsets.begin_commit([&partition(0)]);
    assert_eq!(
        offsets.remove_expired(1100, RETENTION, Expiry::SinceCommit).len(),
        1,
        "one is being committed"
    );
}

#[test]
fn a_commit_within_a_transaction_waits_for_the_log_and_then_for_the_marker() {
    let mut offsets = GroupOffsets::default();
    let commit = offsets.begin_transactional_commit(7, [&partition(0)]);
    assert!(offsets.is_unstable(&partition(0)) && !offsets.is_empty());
    offsets.complete_transactional_commit(7, commit, 3, [(partition(0), offset(5))]);
    assert!(offsets.is_unstable(&partition(0)));
    assert_eq!(committed(&offsets, 0), None);
    // The later commit of the same transaction wins, even if it is replicated first.
    let first = offsets.begin_transactional_commit(7, [&partition(0)]);
    let second = offsets.begin_transactional_commit(7, [&partition(0)]);
    offsets.complete_transactional_commit(7, second, 5, [(partition(0), offset(7))]);
    offsets.fail_transactional_commit(7, first, [&partition(0)]);
    offsets.complete_transaction(8, true);
    assert_eq!(committed(&offsets, 0), None, "another transaction");
    offsets.complete_transaction(7, true);
    assert_eq!(committed(&offsets, 0), Some(7));
    assert!(!offsets.is_unstable(&partition(0)));

    // A failed or late commit leaves no state.
    let failed = offsets.begin_transactional_commit(9, [&partition(1)]);
    offsets.fail_transactional_commit(9, failed, [&partition(1)]);
    assert!(!offsets.is_unstable(&partition(1)));
    let late = offsets.begin_transactional_commit(9, [&partition(1)]);
    offsets.complete_transaction(9, false);
    offsets.complete_transactional_commit(9, late, 9, [(partition(1), offset(1))]);
    assert!(!offsets.is_unstable(&partition(1)));
    assert_eq!(committed(&offsets, 1), None);
    // A partition that is deleted during the transaction is removed everywhere.
    let deleted = offsets.begin_transactional_commit(9, [&partition(2)]);
    offsets.remove([partition(2)]);
    assert!(!offsets.is_unstable(&partition(2)));
    assert_eq!(
        offsets.open_transactions().count(),
        1,
        "the group lives until it ends"
    );
    offsets.complete_transactional_commit(9, deleted, 11, [(partition(2), offset(1))]);
    offsets.complete_transaction(9, true);
    assert_eq!(committed(&offsets, 2), None);
    assert_eq!(offsets.open_transactions().count(), 0);
}
