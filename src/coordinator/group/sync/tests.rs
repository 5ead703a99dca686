//! Tests the sync phase of a rebalance.

use super::*;
use crate::coordinator::group::test_support::*;

#[test]
fn followers_wait_for_the_leader_and_everybody_gets_their_own() {
    let mut machine = Machine::new();
    let ids = machine.fill(vec![consumer(), consumer(), consumer()]);
    machine.stores_at_once = false;
    let follower = machine.sync(sync_request(&ids[1], 1, &[]));
    let leader = machine.sync(sync_request(&ids[0], 1, &[(&ids[0], b"zero"), (&ids[1], b"one")]));
    assert!(
        machine.waits(follower) && machine.waits(leader),
        "not written yet"
    );
    machine.finish_store(ErrorCode::None);
    assert_eq!(machine.state(), GroupState::Stable);
    assert_eq!(machine.synced(leader).assignment, "zero");
    assert_eq!(machine.synced(follower).assignment, "one");
    assert_eq!(machine.synced(follower).protocol_name.as_deref(), Some("range"));
    let late = machine.sync(sync_request(&ids[2], 1, &[]));
    assert_eq!(machine.synced(late).assignment, "", "the leader gave it nothing");

    let written = &machine.written[0];
    let assignments: Vec<_> = written
        .members
        .iter()
        .map(|m| (&*m.member_id, &m.assignment[..]))
        .collect();
    assert!(assignments.contains(&(&*ids[0], b"zero")) && assignments.contains(&(&*ids[2], b"")));
    assert_eq!(
        (written.generation, written.protocol.as_deref()),
        (1, Some("range"))
    );
}

#[test]
fn an_assignment_that_cannot_be_written_leads_to_another_rebalance() {
    let mut machine = Machine::new();
    let ids = machine.fill(vec![consumer(), consumer()]);
    machine.stores_at_once = false;
    let follower = machine.sync(sync_request(&ids[1], 1, &[]));
    let leader = machine.sync(sync_request(&ids[0], 1, &[]));
    machine.finish_store(ErrorCode::CoordinatorNotAvailable);
    for ticket in [leader, follower] {
        assert_eq!(machine.synced(ticket).error, ErrorCode::CoordinatorNotAvailable);
    }
    assert_eq!(machine.state(), GroupState::PreparingRebalance);
}

#[test]
fn an_assignment_that_comes_too_late_is_dropped() {
    let mut machine = Machine::new();
    let ids = machine.fill(vec![consumer()]);
    machine.stores_at_once = false;
    let first = machine.sync(sync_request(&ids[0], 1, &[(&ids[0], b"old")]));
    let new = machine.join(consumer());
    assert_eq!(machine.synced(first).error, ErrorCode::RebalanceInProgress);
    machine.finish_store(ErrorCode::None);
    assert_eq!(machine.state(), GroupState::PreparingRebalance);
    machine.join(consumer_with_id(&ids[0]));
    assert_eq!(machine.joined(new).generation_id, 2);
    let again = machine.sync(sync_request(&ids[0], 2, &[(&ids[0], b"new")]));
    machine.finish_store(ErrorCode::None);
    assert_eq!(machine.synced(again).assignment, "new");
}

#[test]
fn a_leader_that_never_assigns_does_not_hang_the_group() {
    let mut machine = Machine::new();
    let ids = machine.fill(vec![consumer(), consumer()]);
    let follower = machine.sync(sync_request(&ids[1], 1, &[]));
    for _ in 0..REBALANCE_MS / 5000 {
        assert!(machine.waits(follower));
        machine.heartbeat(&ids[0]);
        machine.pass(5000);
    }
    assert_eq!(machine.synced(follower).error, ErrorCode::RebalanceInProgress);
    assert_eq!(
        machine.heartbeat(&ids[0]),
        ErrorCode::UnknownMemberId,
        "it was removed"
    );
    let rejoined = machine.join(consumer_with_id(&ids[1]));
    assert_eq!(machine.joined(rejoined).leader.as_ref(), Some(&ids[1]));
}

#[test]
fn a_follower_that_never_syncs_is_removed_from_a_stable_group() {
    let mut machine = Machine::new();
    let ids = machine.fill(vec![consumer(), consumer()]);
    machine.sync(sync_request(&ids[0], 1, &[]));
    assert_eq!(machine.state(), GroupState::Stable);
    for _ in 0..REBALANCE_MS / 5000 {
        machine.heartbeat(&ids[0]);
        machine.heartbeat(&ids[1]);
        machine.pass(5000);
    }
    assert_eq!(machine.state(), GroupState::PreparingRebalance);
    assert_eq!(machine.heartbeat(&ids[1]), ErrorCode::UnknownMemberId);
}

#[test]
fn a_sync_that_is_sent_again_takes_the_place_of_the_first() {
    let mut machine = Machine::new();
    let ids = machine.fill(vec![consumer(), consumer()]);
    let first = machine.sync(sync_request(&ids[1], 1, &[]));
    let again = machine.sync(sync_request(&ids[1], 1, &[]));
    assert_eq!(machine.synced(first).error, ErrorCode::RebalanceInProgress);
    machine.sync(sync_request(&ids[0], 1, &[(&ids[1], b"yours")]));
    assert_eq!(machine.synced(again).assignment, "yours");
}
