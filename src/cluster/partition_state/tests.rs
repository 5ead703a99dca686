//! Tests the decisions about one partition: epochs, the ISR and the high watermark.

use proptest::prelude::*;

use super::*;

const MAX_LAG_MS: i64 = 30_000;
const ALL_ALIVE: &dyn Fn(BrokerId) -> bool = &|_| true;

fn decision(leader: BrokerId, epochs: (LeaderEpoch, PartitionEpoch), isr: &[BrokerId]) -> LeadershipDecision {
    LeadershipDecision {
        controller_epoch: 1,
        leader_and_isr: LeaderAndIsr {
            leader,
            leader_epoch: epochs.0,
            isr: isr.to_vec(),
            recovery_state: LeaderRecoveryState::Recovered,
            partition_epoch: epochs.1,
        },
        assignment: ReplicaAssignment::of(vec![1, 2, 3]),
        is_new: false,
    }
}

/// Broker 1 leads in epoch 5 from offset 100 on; the assigned replicas are 1, 2, 3.
fn leader(isr: &[BrokerId], now_ms: i64) -> PartitionState {
    let mut state = PartitionState::new(1, MAX_LAG_MS);
    state.become_leader(&decision(1, (5, 10), isr), 100, now_ms);
    state
}

fn answer(isr: &[BrokerId], epochs: (LeaderEpoch, PartitionEpoch)) -> Result<LeaderAndIsr, ErrorCode> {
    Ok(decision(1, epochs, isr).leader_and_isr)
}

#[test]
fn epochs_fence_the_past_and_make_the_future_wait() {
    let state = leader(&[1], 0);
    for (requested, expected) in [
        (None, Ok(())),
        (Some(5), Ok(())),
        (Some(4), Err(ErrorCode::FencedLeaderEpoch)),
        (Some(6), Err(ErrorCode::UnknownLeaderEpoch)),
    ] {
        assert_eq!(state.check_leader_epoch(requested), expected, "{requested:?}");
    }
    assert!(state.is_outdated(&decision(1, (6, 9), &[1])));
    assert!(!state.is_outdated(&decision(1, (6, 10), &[1])));
}

#[test]
fn a_new_leader_waits_for_its_isr_before_it_moves_the_high_watermark() {
    let mut state = leader(&[1, 2], 1_000);
    let candidate = |state: &PartitionState| state.high_watermark_candidate(120, 1_000, 1, ALL_ALIVE);
    assert_eq!(candidate(&state), Some(-1), "replica 2 has not fetched yet");
    state.on_follower_fetch(2, 110, 0, 120, 1_000);
    assert_eq!(
        candidate(&state),
        Some(110),
        "3 is not in the isr and never was caught up"
    );
    state.on_follower_fetch(3, 105, 0, 120, 1_000);
    assert_eq!(candidate(&state), Some(110), "3 is still behind");
    state.on_follower_fetch(9, 0, 0, 120, 1_000);
    assert_eq!(candidate(&state), Some(110), "a stranger does not count");
}

#[test]
fn a_follower_that_is_about_to_join_the_isr_counts_if_it_is_alive() {
    let mut state = leader(&[1], 1_000);
    state.on_follower_fetch(2, 120, 0, 120, 1_000);
    assert_eq!(
        state.high_watermark_candidate(130, 2_000, 1, ALL_ALIVE),
        Some(120)
    );
    assert_eq!(
        state.high_watermark_candidate(130, 2_000, 1, &|id| id != 2),
        Some(130)
    );
    assert_eq!(
        state.high_watermark_candidate(130, 1_000 + MAX_LAG_MS + 1, 1, ALL_ALIVE),
        Some(130)
    );
}

#[test]
fn the_high_watermark_stands_still_below_the_minimal_isr() {
    let mut state = leader(&[1], 1_000);
    state.on_follower_fetch(2, 120, 0, 120, 1_000);
    for (min_isr, expected) in [(1, Some(120)), (2, None), (3, None), (9, None)] {
        assert_eq!(
            state.high_watermark_candidate(120, 1_000, min_isr, ALL_ALIVE),
            expected,
            "{min_isr}"
        );
    }
    // A min.insync.replicas above the number of replicas counts as the number of replicas.
    let mut alone = PartitionState::new(1, MAX_LAG_MS);
    let mut single = decision(1, (5, 10), &[1]);
    single.assignment = ReplicaAssignment::of(vec![1]);
    alone.become_leader(&single, 100, 0);
    assert_eq!(alone.high_watermark_candidate(120, 0, 2, ALL_ALIVE), Some(120));
}

#[test]
fn a_pending_change_counts_by_the_larger_isr() {
    let mut state = leader(&[1, 2], 1_000);
    state.on_follower_fetch(2, 120, 0, 120, 1_000);
    state.on_follower_fetch(3, 120, 0, 120, 1_000);
    let expand = state
        .maybe_expand_isr(3, 110, ALL_ALIVE)
        .expect("3 has earned it");
    assert_eq!(
        (expand.isr.as_slice(), expand.leader_epoch, expand.partition_epoch),
        (&[1, 2, 3][..], 5, 10)
    );
    assert_eq!(
        (state.isr().committed(), state.isr().maximal()),
        (&[1, 2][..], &[1, 2, 3][..])
    );
    let late = 1_000 + MAX_LAG_MS + 1;
    assert_eq!(
        state.high_watermark_candidate(200, late, 1, ALL_ALIVE),
        Some(120),
        "3 may be in the isr already, however far behind"
    );
    assert!(
        state.maybe_shrink_isr(200, late).is_none(),
        "one change at a time"
    );

    let mut state = leader(&[1, 2, 3], 1_000);
    state.on_follower_fetch(2, 120, 0, 120, late);
    let shrink = state.maybe_shrink_isr(120, late).expect("3 never came");
    assert_eq!(shrink.isr, [1, 2]);
    assert_eq!(
        state.isr().maximal(),
        [1, 2, 3],
        "until it is known that 3 is out, it counts"
    );
    assert_eq!(state.high_watermark_candidate(120, late, 1, ALL_ALIVE), Some(-1));
    assert!(!state.is_under_min_isr(3) && !state.may_be_under_min_isr_after_append(3));
    state.on_alter_partition(&shrink, answer(&[1, 2], (5, 11)));
    assert!(state.is_under_min_isr(3) && state.may_be_under_min_isr_after_append(3));
    assert_eq!(state.high_watermark_candidate(120, late, 1, ALL_ALIVE), Some(120));
}

#[test]
fn who_may_join_the_isr() {
    // The leader's epoch starts at offset 100; the high watermark comes from the table.
    for (follower_end, high_watermark, alive, expected, why) in [
        (120, 110, true, true, "beyond both"),
        (109, 110, true, false, "behind the high watermark"),
        (
            99,
            90,
            true,
            false,
            "behind the start of the epoch: its tail may differ (fact 33)",
        ),
        (100, 90, true, true, "exactly at the start"),
        (120, 110, false, false, "not alive"),
    ] {
        let mut state = leader(&[1], 1_000);
        state.on_follower_fetch(2, follower_end, 0, 130, 1_000);
        let proposal = state.maybe_expand_isr(2, high_watermark, &|_| alive);
        assert_eq!(proposal.is_some(), expected, "{why}");
    }
    let mut state = leader(&[1, 2], 1_000);
    state.on_follower_fetch(2, 120, 0, 120, 1_000);
    assert!(
        state.maybe_expand_isr(2, 0, ALL_ALIVE).is_none(),
        "it is a member"
    );
    assert!(
        state.maybe_expand_isr(7, 0, ALL_ALIVE).is_none(),
        "it is a stranger"
    );
}

#[test]
fn isr_members_without_assignment_are_out_of_sync() {
    let mut state = leader(&[1, 2, 7], 1_000);
    state.on_follower_fetch(2, 120, 0, 120, 1_000);
    assert_eq!(
        state.high_watermark_candidate(120, 1_000, 1, ALL_ALIVE),
        Some(120),
        "7 cannot hold it back"
    );
    let shrink = state.maybe_shrink_isr(120, 1_000).expect("7 is not a replica");
    assert_eq!(shrink.isr, [1, 2]);
}

#[test]
fn what_each_answer_of_the_controller_does() {
    use AlterPartitionOutcome::*;
    let cases = [
        (answer(&[1, 2], (5, 11)), Committed, vec![1, 2], false),
        (answer(&[1], (5, 10)), Committed, vec![1], false),
        (answer(&[1, 2], (5, 9)), AwaitLeaderAndIsr, vec![1], true),
        (answer(&[1, 2], (6, 11)), AwaitLeaderAndIsr, vec![1], true),
        (Err(ErrorCode::IneligibleReplica), RolledBack, vec![1], false),
        (Err(ErrorCode::OperationNotAttempted), RolledBack, vec![1], false),
        (
            Err(ErrorCode::InvalidUpdateVersion),
            AwaitLeaderAndIsr,
            vec![1],
            true,
        ),
        (
            Err(ErrorCode::FencedLeaderEpoch),
            AwaitLeaderAndIsr,
            vec![1],
            true,
        ),
        (
            Err(ErrorCode::UnknownTopicOrPartition),
            AwaitLeaderAndIsr,
            vec![1],
            true,
        ),
        (Err(ErrorCode::UnknownTopicId), AwaitLeaderAndIsr, vec![1], true),
        (Err(ErrorCode::InvalidRequest), AwaitLeaderAndIsr, vec![1], true),
        (Err(ErrorCode::UnknownServerError), Retry, vec![1], true),
    ];
    for (answered, expected, committed, pending) in cases {
        let mut state = leader(&[1], 1_000);
        state.on_follower_fetch(2, 120, 0, 120, 1_000);
        let proposal = state.maybe_expand_isr(2, 0, ALL_ALIVE).expect("2 is in sync");
        assert_eq!(
            state.on_alter_partition(&proposal, answered.clone()),
            expected,
            "{answered:?}"
        );
        assert_eq!(state.isr().committed(), committed, "{answered:?}");
        assert_eq!(state.isr().is_inflight(), pending, "{answered:?}");
    }
}

#[test]
fn a_new_decision_voids_what_was_asked_before() {
    let mut state = leader(&[1], 1_000);
    state.on_follower_fetch(2, 120, 0, 120, 1_000);
    let proposal = state.maybe_expand_isr(2, 0, ALL_ALIVE).expect("2 is in sync");
    state.become_leader(&decision(1, (6, 11), &[1, 3]), 130, 2_000);
    assert_eq!(state.isr(), &IsrState::Committed(vec![1, 3]));
    assert_eq!(
        state.on_alter_partition(&proposal, answer(&[1, 2], (5, 11))),
        AlterPartitionOutcome::Stale
    );
    assert_eq!(state.isr().committed(), [1, 3]);
    assert_eq!(state.leader_epoch_start_offset(), Some(130));
}

#[test]
fn leading_on_is_not_the_same_as_leading_again() {
    let mut state = leader(&[1, 2], 0);
    state.become_leader(&decision(1, (6, 11), &[1]), 120, 0);
    assert!(state.has_led_since(5), "re-elected without a break");
    state.become_follower(&decision(2, (7, 12), &[2]));
    assert!(!state.has_led_since(5) && !state.is_leader());
    assert_eq!(
        (state.leader(), state.leader_epoch(), state.isr().committed()),
        (2, 7, &[][..])
    );
    state.become_leader(&decision(1, (8, 13), &[1]), 110, 0);
    assert!(
        !state.has_led_since(6),
        "what was appended in epoch 6 may have been truncated in 7"
    );
    assert!(state.has_led_since(8));
}

#[test]
fn a_re_elected_leader_keeps_what_it_knows_and_a_new_one_does_not() {
    let mut state = leader(&[1, 2, 3], 1_000);
    state.on_follower_fetch(2, 120, 0, 120, 1_000);
    state.become_leader(&decision(1, (6, 11), &[1, 3]), 120, 9_000);
    let ends = |state: &PartitionState| -> Vec<_> {
        state
            .remote_replicas()
            .iter()
            .map(|r| (r.broker_id(), r.log_end_offset(), r.last_caught_up_ms()))
            .collect()
    };
    assert_eq!(
        ends(&state),
        [(2, 120, None), (3, -1, Some(9_000))],
        "2 is out of the isr: not caught up (fact 41)"
    );
    state.become_follower(&decision(2, (7, 12), &[2]));
    state.become_leader(&decision(1, (8, 13), &[1, 2]), 120, 9_500);
    assert_eq!(ends(&state), [(2, -1, Some(9_500)), (3, -1, None)]);
}

/// The events of a leader.
#[derive(Clone, Debug)]
enum Event {
    Append(u8),
    Fetch { follower: BrokerId, upto: u8 },
    Wait(u16),
    ShrinkCheck,
    Answer(u8),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        (1..20_u8).prop_map(Event::Append),
        ((2..5_i32), (0..=100_u8)).prop_map(|(follower, upto)| Event::Fetch { follower, upto }),
        (0..40_000_u16).prop_map(Event::Wait),
        Just(Event::ShrinkCheck),
        (0..4_u8).prop_map(Event::Answer),
    ]
}

proptest! {
    /// Tests the guarantee behind acks=all, with a controller that may have carried out a change even if its answer was
    /// lost: at every moment, every replica of every ISR that the controller may have has all records below the high
    /// watermark.
    #[test]
    fn every_possible_isr_has_all_that_is_committed(
        events in prop::collection::vec(event(), 1..120), min_isr in 1..4_i32
    ) {
        let mut state = leader(&[1, 2, 3], 60_000);
        let (mut now, mut end, mut high_watermark) = (60_000_i64, 100_i64, 0_i64);
        let mut ends = std::collections::HashMap::from([(1, 100_i64), (2, 0), (3, 0)]);
        // The ISR that the controller has, and a change that it may or may not have made.
        let (mut held, mut epoch) = (vec![1, 2, 3], 10);
        let mut asked: Option<IsrProposal> = None;
        for event in events {
            match event {
                Event::Append(records) => end += i64::from(records),
                Event::Fetch { follower, upto } => {
                    // A fetch at an offset means that the follower has written everything before that offset.
                    let at = ends.get(&follower).copied().unwrap_or(0);
                    let at = at + (end - at) * i64::from(upto) / 100;
                    ends.entry(follower).and_modify(|e| *e = at);
                    state.on_follower_fetch(follower, at, 0, end, now);
                    if let Some(proposal) = state.maybe_expand_isr(follower, high_watermark, ALL_ALIVE) {
                        asked = Some(proposal);
                    }
                }
                Event::Wait(ms) => now += i64::from(ms),
                Event::ShrinkCheck => {
                    if let Some(proposal) = state.maybe_shrink_isr(end, now) {
                        asked = Some(proposal);
                    }
                }
                Event::Answer(kind) => if let Some(proposal) = asked.clone() {
                    match kind {
                        // The controller carried the change out, but the answer is lost: the leader asks again.
                        0 => if proposal.partition_epoch == epoch { held = proposal.isr.clone(); epoch += 1; },
                        1 => {
                            if proposal.partition_epoch == epoch { held = proposal.isr.clone(); epoch += 1; }
                            prop_assert_eq!(
                                state.on_alter_partition(&proposal, answer(&held, (5, epoch))),
                                AlterPartitionOutcome::Committed
                            );
                            asked = None;
                        }
                        // The controller refused the change before it was carried out.
                        2 => if proposal.partition_epoch == epoch {
                            state.on_alter_partition(&proposal, Err(ErrorCode::IneligibleReplica));
                            asked = None;
                        },
                        _ => { state.on_alter_partition(&proposal, Err(ErrorCode::UnknownServerError)); }
                    }
                },
            }
            if let Some(candidate) = state.high_watermark_candidate(end, now, min_isr, ALL_ALIVE) {
                high_watermark = high_watermark.max(candidate);
            }
            ends.insert(1, end);
            let possible = held.iter().chain(asked.iter().flat_map(|p| &p.isr));
            for member in possible {
                prop_assert!(ends[member] >= high_watermark, "{} in {:?}/{:?}", member, held, asked);
            }
        }
    }
}
