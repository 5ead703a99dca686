//! Tests heartbeats, sessions, leaving and fencing.

use super::*;
use crate::coordinator::group::test_support::*;

fn leaving(member_id: &str, instance_id: Option<&str>) -> LeavingMember {
    LeavingMember {
        member_id: member_id.into(),
        group_instance_id: instance_id.map(Into::into),
        reason: Some("test".into()),
    }
}

#[test]
fn a_member_lives_as_long_as_it_says_so() {
    let mut machine = Machine::new();
    let ids = machine.stabilize(vec![consumer(), consumer()]);
    for _ in 0..10 {
        machine.pass(i64::from(SESSION_MS) - 1);
        assert_eq!(machine.heartbeat(&ids[0]), ErrorCode::None);
        let generation_id = machine.group.generation_id();
        let accepted =
            machine.run(|group, now| group.accept_offset_commit(&ids[1], None, generation_id, now));
        assert_eq!(accepted, Ok(()), "a commit is a sign of life too");
    }
    machine.pass(i64::from(SESSION_MS) - 1);
    machine.heartbeat(&ids[1]);
    machine.pass(1);
    assert_eq!(machine.heartbeat(&ids[0]), ErrorCode::UnknownMemberId);
    assert_eq!(machine.heartbeat(&ids[1]), ErrorCode::RebalanceInProgress);
}

#[test]
fn a_member_whose_request_waits_here_need_not_send_heartbeats() {
    let mut machine = Machine::new();
    let ids = machine.stabilize(vec![consumer(), consumer()]);
    let waiting = machine.join(consumer_with_id(&ids[0]));
    for _ in 0..REBALANCE_MS / 5000 - 1 {
        machine.pass(5000);
        assert_eq!(machine.heartbeat(&ids[1]), ErrorCode::RebalanceInProgress);
    }
    assert!(machine.waits(waiting));
    machine.join(consumer_with_id(&ids[1]));
    assert_eq!(machine.joined(waiting).error, ErrorCode::None);
    machine.pass(i64::from(SESSION_MS));
    assert_ne!(
        machine.state(),
        GroupState::CompletingRebalance,
        "its session began again with the answer"
    );
}

#[test]
fn members_leave_one_by_one_in_one_request() {
    let mut machine = Machine::new();
    let ids = machine.stabilize(vec![
        consumer(),
        static_consumer("i"),
        static_consumer("j"),
        consumer(),
    ]);
    let dynamic: Vec<_> = ids
        .iter()
        .filter(|id| !machine.group.members[*id].is_static())
        .cloned()
        .collect();
    let of_j = machine.group.static_members["j"].clone();
    let ticket = machine.join(crate::coordinator::group::JoinRequest {
        require_known_member_id: true,
        ..consumer()
    });
    let pending = machine.joined(ticket).member_id.clone();
    let all = [
        (leaving(&dynamic[0], None), ErrorCode::None),
        (leaving(&dynamic[0], None), ErrorCode::UnknownMemberId),
        (leaving("", Some("i")), ErrorCode::None),
        (leaving("", Some("i")), ErrorCode::UnknownMemberId),
        (leaving("", None), ErrorCode::UnknownMemberId),
        (leaving("other", Some("j")), ErrorCode::FencedInstanceId),
        (leaving(&of_j, Some("j")), ErrorCode::None),
        (leaving(&pending, None), ErrorCode::None),
    ];
    let members: Vec<_> = all.iter().map(|(member, _)| member.clone()).collect();
    let codes = machine.run(|group, now| group.leave(&members, now)).unwrap();
    assert_eq!(codes, all.iter().map(|(_, code)| *code).collect::<Vec<_>>());
    assert_eq!(machine.group.member_ids(), [dynamic[1].clone()]);
}

#[test]
fn the_last_member_that_leaves_makes_the_group_empty() {
    let mut machine = Machine::new();
    let ids = machine.stabilize(vec![consumer()]);
    machine
        .run(|group, now| group.leave(&[leaving(&ids[0], None)], now))
        .unwrap();
    assert_eq!(machine.state(), GroupState::Empty);
    let written = machine.written.last().unwrap();
    assert_eq!((written.generation, written.members.len()), (2, 0));
    assert_eq!(
        (&*written.protocol_type, &written.protocol, &written.leader),
        ("consumer", &None, &None)
    );
}

#[test]
fn a_member_that_leaves_is_answered_what_it_waits_for() {
    let mut machine = Machine::new();
    let ids = machine.fill(vec![consumer(), consumer()]);
    let waiting = machine.sync(sync_request(&ids[1], 1, &[]));
    machine
        .run(|group, now| group.leave(&[leaving(&ids[1], None)], now))
        .unwrap();
    assert_eq!(machine.synced(waiting).error, ErrorCode::UnknownMemberId);
}

#[test]
fn commits_of_static_members_are_fenced() {
    let mut machine = Machine::new();
    let ids = machine.stabilize(vec![static_consumer("i")]);
    let mut commit = |member: &str, instance, generation| {
        let accept = machine.run(|group, now| group.accept_offset_commit(member, instance, generation, now));
        accept.err().unwrap_or(ErrorCode::None)
    };
    assert_eq!(commit(&ids[0], Some("i"), 1), ErrorCode::None);
    assert_eq!(commit("other", Some("i"), 1), ErrorCode::FencedInstanceId);
    assert_eq!(commit(&ids[0], Some("j"), 1), ErrorCode::UnknownMemberId);
    assert_eq!(commit(&ids[0], None, -1), ErrorCode::IllegalGeneration);
}
