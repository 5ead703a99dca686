//! Tests the join phase of a rebalance.

use super::*;
use crate::coordinator::group::group_metadata::GroupLimits;
use crate::coordinator::group::test_support::*;

const INITIAL_DELAY: i64 = INITIAL_DELAY_MS;

#[test]
fn the_first_rebalance_is_prolonged_while_members_arrive() {
    let mut machine = Machine::new();
    let first = machine.join(consumer());
    machine.pass(INITIAL_DELAY - 1);
    let second = machine.join(consumer());
    machine.pass(INITIAL_DELAY);
    assert!(
        machine.waits(first) && machine.waits(second),
        "somebody came during the delay"
    );
    machine.pass(1);
    let (first, second) = (machine.joined(first), machine.joined(second));
    assert_eq!((first.generation_id, second.generation_id), (1, 1));
    assert_eq!(first.leader, second.leader);
    assert_eq!(first.protocol_name.as_deref(), Some("range"));
    let leader = [first, second]
        .into_iter()
        .find(|r| r.leader.as_ref() == Some(&r.member_id))
        .unwrap();
    let follower = [first, second]
        .into_iter()
        .find(|r| r.member_id != leader.member_id)
        .unwrap();
    assert_eq!(
        (leader.members.len(), follower.members.len()),
        (2, 0),
        "only the leader is told of all"
    );
}

#[test]
fn the_first_rebalance_ends_even_if_members_never_cease_to_arrive() {
    let mut machine = Machine::new();
    let first = machine.join(consumer());
    let mut waited_ms = 0;
    while machine.waits(first) {
        machine.join(consumer());
        machine.pass(1000);
        waited_ms += 1000;
        assert!(
            waited_ms <= i64::from(REBALANCE_MS) + INITIAL_DELAY,
            "still waiting after {waited_ms} ms"
        );
    }
    assert!(
        waited_ms >= i64::from(REBALANCE_MS) - INITIAL_DELAY,
        "over after {waited_ms} ms"
    );
}

#[test]
fn an_emptied_group_waits_for_the_initial_delay_once() {
    let mut machine = Machine::new();
    machine.stabilize(vec![consumer()]);
    machine.pass(i64::from(SESSION_MS));
    assert_eq!(machine.state(), GroupState::Empty);
    let ticket = machine.join(consumer());
    machine.pass(INITIAL_DELAY);
    assert_eq!(
        machine.joined(ticket).generation_id,
        3,
        "1, then 2 when it became empty"
    );
}

#[test]
fn without_delay_the_first_member_is_answered_when_the_group_is_looked_at() {
    let mut machine = Machine::with_limits(GroupLimits {
        initial_rebalance_delay_ms: 0,
        ..LIMITS
    });
    let ticket = machine.join(consumer());
    machine.pass(0);
    assert_eq!(machine.joined(ticket).error, ErrorCode::None);
}

#[test]
fn an_id_that_is_handed_out_is_good_for_a_session() {
    let mut machine = Machine::new();
    let ask = JoinRequest {
        require_known_member_id: true,
        ..consumer()
    };
    let ticket = machine.join(ask.clone());
    let result = machine.joined(ticket).clone();
    assert_eq!(result.error, ErrorCode::MemberIdRequired);
    assert_eq!(&*result.member_id, format!("client-{}", ask.uuid));
    machine.pass(i64::from(SESSION_MS) - 1);
    let with_id = JoinRequest {
        require_known_member_id: true,
        ..consumer_with_id(&result.member_id)
    };
    let ticket = machine.join(with_id.clone());
    machine.pass(INITIAL_DELAY);
    assert_eq!(machine.joined(ticket).member_id, result.member_id);

    let mut machine = Machine::new();
    let ticket = machine.join(ask);
    let id = machine.joined(ticket).member_id.clone();
    let ticket = machine.join(JoinRequest {
        group_instance_id: Some("i".into()),
        ..consumer_with_id(&id)
    });
    let refused = machine.joined(ticket);
    assert_eq!(
        (refused.error, &*refused.member_id),
        (ErrorCode::UnknownServerError, "")
    );
    machine.pass(i64::from(SESSION_MS));
    let ticket = machine.join(consumer_with_id(&id));
    assert_eq!(machine.joined(ticket).error, ErrorCode::UnknownMemberId);
}

#[test]
fn a_rebalance_waits_for_those_who_took_an_id() {
    let mut machine = Machine::new();
    let ids = machine.stabilize(vec![consumer()]);
    let ticket = machine.join(JoinRequest {
        require_known_member_id: true,
        ..consumer()
    });
    let pending = machine.joined(ticket).member_id.clone();
    let rejoined = machine.join(consumer_with_id(&ids[0]));
    assert!(machine.waits(rejoined), "one with an id has not come yet");
    let joined = machine.join(consumer_with_id(&pending));
    assert_eq!(
        (
            machine.joined(rejoined).generation_id,
            machine.joined(joined).generation_id
        ),
        (2, 2)
    );
}

#[test]
fn a_rebalance_that_a_member_misses_goes_on_without_it() {
    let mut machine = Machine::new();
    let ids = machine.stabilize(vec![consumer(), consumer()]);
    let new = machine.join(consumer());
    let rejoined = machine.join(consumer_with_id(&ids[0]));
    for _ in 0..REBALANCE_MS / 5000 {
        assert!(machine.waits(rejoined));
        assert_eq!(machine.heartbeat(&ids[1]), ErrorCode::RebalanceInProgress);
        machine.pass(5000);
    }
    assert_eq!(machine.joined(new).generation_id, 2);
    assert_eq!(machine.heartbeat(&ids[1]), ErrorCode::UnknownMemberId);
    assert_eq!(
        machine.joined(rejoined).leader.as_ref(),
        Some(&ids[0]),
        "a leader that rejoins remains"
    );
}

#[test]
fn a_leader_that_does_not_rejoin_is_replaced_even_if_it_is_static() {
    let mut machine = Machine::new();
    let ids = machine.stabilize(vec![static_consumer("i")]);
    let new = machine.join(consumer());
    for _ in 0..REBALANCE_MS / 5000 {
        machine.heartbeat(&ids[0]);
        machine.pass(5000);
    }
    let result = machine.joined(new);
    assert_eq!(result.leader.as_ref(), Some(&result.member_id));
    assert_eq!(result.members.len(), 2, "the static member is kept");
}

#[test]
fn static_members_that_do_not_rejoin_are_kept_until_their_session_ends() {
    let mut machine = Machine::new();
    let mut patient = static_consumer("i");
    patient.session_timeout_ms = 10 * REBALANCE_MS;
    let ids = machine.stabilize(vec![patient]);
    let new = machine.join(consumer());
    // The new member times out. No other member has rejoined at the deadline.
    let new_id = machine
        .group
        .member_ids()
        .into_iter()
        .find(|id| *id != ids[0])
        .unwrap();
    machine
        .run(|group, now| group.leave(&[leaving(&new_id)], now))
        .unwrap();
    assert_eq!(machine.joined(new).error, ErrorCode::UnknownMemberId);
    machine.pass(3 * i64::from(REBALANCE_MS));
    assert_eq!(machine.state(), GroupState::PreparingRebalance);
    machine.pass(8 * i64::from(REBALANCE_MS));
    assert_eq!(machine.state(), GroupState::Empty);
}

fn leaving(id: &str) -> crate::coordinator::group::LeavingMember {
    crate::coordinator::group::LeavingMember {
        member_id: id.into(),
        group_instance_id: None,
        reason: None,
    }
}

#[test]
fn a_static_member_that_comes_back_gets_a_new_id_and_the_old_one_is_fenced() {
    for skips in [false, true] {
        let mut machine = Machine::new();
        let ids = machine.stabilize(vec![static_consumer("i"), static_consumer("j")]);
        let generation_id = machine.group.generation_id();
        for (old, is_leader) in [(&ids[0], true), (&ids[1], false)] {
            let instance = machine.group.members[old].group_instance_id.clone().unwrap();
            let leader_before = machine.group.leader.clone();
            let request = JoinRequest {
                supports_skipping_assignment: skips,
                ..static_consumer(&instance)
            };
            let ticket = machine.join(request);
            let result = machine.joined(ticket).clone();
            assert_eq!(
                (result.error, result.generation_id),
                (ErrorCode::None, generation_id)
            );
            assert_eq!(machine.state(), GroupState::Stable);
            assert_eq!(result.skip_assignment, skips && is_leader);
            assert_eq!(!result.members.is_empty(), skips && is_leader);
            if !skips && is_leader {
                assert_eq!(
                    result.leader, leader_before,
                    "it must not take itself for the leader"
                );
            }
            let written = machine.written.last().unwrap();
            assert!(written.members.iter().any(|m| *m.member_id == *result.member_id));
            assert!(written.members.iter().all(|m| *m.member_id != **old));

            let fenced = machine.run(|group, now| group.heartbeat(old, Some(&instance), generation_id, now));
            assert_eq!(fenced, ErrorCode::FencedInstanceId);
            let new = machine
                .run(|group, now| group.heartbeat(&result.member_id, Some(&instance), generation_id, now));
            assert_eq!(new, ErrorCode::None);
            let synced = machine.sync(sync_request(&result.member_id, generation_id, &[]));
            assert_eq!(
                machine.synced(synced).assignment,
                old.to_string(),
                "it keeps the assignment"
            );
        }
    }
}

#[test]
fn a_static_member_whose_return_cannot_be_written_is_what_it_was() {
    let mut machine = Machine::new();
    let ids = machine.stabilize(vec![static_consumer("i")]);
    machine.stores_at_once = false;
    let mut request = static_consumer("i");
    request.protocols = protocols(&["range", "sticky"]);
    let ticket = machine.join(request);
    assert!(machine.waits(ticket), "nobody is told before it is written");
    machine.finish_store(ErrorCode::NotCoordinator);
    let result = machine.joined(ticket);
    assert_eq!(
        (result.error, &*result.member_id),
        (ErrorCode::NotCoordinator, "")
    );
    assert_eq!(machine.heartbeat(&ids[0]), ErrorCode::None);
    assert_eq!(machine.group.members[&ids[0]].protocols, protocols(&["range"]));
}

#[test]
fn a_rebalance_overtakes_the_return_of_a_static_member() {
    let mut machine = Machine::new();
    machine.stabilize(vec![static_consumer("i")]);
    machine.stores_at_once = false;
    let back = machine.join(static_consumer("i"));
    let new = machine.join(consumer());
    machine.finish_store(ErrorCode::RequestTimedOut);
    let (back, new) = (machine.joined(back), machine.joined(new));
    assert_eq!((back.error, back.generation_id), (ErrorCode::None, 2));
    assert_eq!(new.generation_id, 2);
}

#[test]
fn a_static_member_with_other_protocols_rebalances_if_they_change_the_outcome() {
    let mut machine = Machine::new();
    let mut both = static_consumer("i");
    both.protocols = protocols(&["range", "sticky"]);
    machine.stabilize(vec![both]);
    let mut request = static_consumer("i");
    request.protocols = protocols(&["sticky"]);
    let ticket = machine.join(request);
    assert_eq!(
        machine.joined(ticket).generation_id,
        2,
        "the only member, so at once"
    );
    assert_eq!(machine.group.protocol_name().map(|p| &**p), Some("sticky"));
}

#[test]
fn a_static_member_may_come_back_during_a_rebalance() {
    let mut machine = Machine::new();
    let ids = machine.stabilize(vec![static_consumer("i"), consumer()]);
    let static_id = machine.group.static_members["i"].clone();
    let other = ids.iter().find(|id| **id != static_id).unwrap().clone();
    machine.join(consumer_with_id(&ids[0]));
    let first = machine.join(static_consumer("i"));
    let second = machine.join(static_consumer("i"));
    assert_eq!(
        machine.joined(first).error,
        ErrorCode::FencedInstanceId,
        "a second one with the same name"
    );
    if other != ids[0] {
        machine.join(consumer_with_id(&other));
    }
    assert_eq!(machine.joined(second).generation_id, 2);
    let fenced = consumer_with_id(&static_id);
    let ticket = machine.join(JoinRequest {
        group_instance_id: Some("i".into()),
        ..fenced
    });
    assert_eq!(machine.joined(ticket).error, ErrorCode::FencedInstanceId);
}

#[test]
fn a_group_takes_no_more_members_than_it_may() {
    let mut machine = Machine::with_limits(GroupLimits {
        max_size: 2,
        ..LIMITS
    });
    let ids = machine.stabilize(vec![consumer(), consumer()]);
    let ticket = machine.join(consumer());
    assert_eq!(machine.joined(ticket).error, ErrorCode::GroupMaxSizeReached);
    assert_eq!(machine.state(), GroupState::Stable);
    let ticket = machine.join(consumer_with_id(&ids[0]));
    assert!(machine.waits(ticket), "old members may rejoin");
}

#[test]
fn a_join_that_is_sent_again_takes_the_place_of_the_first() {
    let mut machine = Machine::new();
    let ids = machine.stabilize(vec![consumer(), consumer()]);
    let first = machine.join(consumer_with_id(&ids[0]));
    let again = machine.join(consumer_with_id(&ids[0]));
    assert_eq!(machine.joined(first).error, ErrorCode::RebalanceInProgress);
    machine.join(consumer_with_id(&ids[1]));
    assert_eq!(machine.joined(again).error, ErrorCode::None);
}

#[test]
fn a_new_member_that_waits_too_long_is_sent_away() {
    let mut machine = Machine::new();
    let mut slow = consumer();
    slow.rebalance_timeout_ms = i32::MAX;
    slow.session_timeout_ms = i32::MAX;
    machine.stabilize(vec![slow]);
    let new = machine.join(consumer());
    machine.pass(NEW_MEMBER_JOIN_TIMEOUT_MS - 1);
    assert!(machine.waits(new));
    machine.pass(1);
    assert_eq!(machine.joined(new).error, ErrorCode::UnknownMemberId);
}

#[test]
fn a_static_member_that_comes_back_before_it_synced_has_still_to_sync() {
    let mut machine = Machine::new();
    let ids = machine.fill(vec![static_consumer("i"), static_consumer("j")]);
    machine.sync(sync_request(&ids[0], 1, &[]));
    assert_eq!(machine.state(), GroupState::Stable);
    let instance = machine.group.members[&ids[1]].group_instance_id.clone().unwrap();
    let back = machine.join(static_consumer(&instance));
    let id = machine.joined(back).member_id.clone();
    machine.sync(sync_request(&id, 1, &[]));
    for _ in 0..2 * REBALANCE_MS / 5000 {
        machine.heartbeat(&ids[0]);
        machine.heartbeat(&id);
        machine.pass(5000);
    }
    assert_eq!(machine.state(), GroupState::Stable, "nobody is missing");
}
