//! Tests the vote on the protocol, the subscribed topics, and how a generation is written and read.

use super::*;
use crate::coordinator::group::test_support::*;

#[test]
fn the_protocol_with_most_votes_among_those_all_support_wins() {
    let select = |members: &[&[&str]]| {
        let mut machine = Machine::new();
        let request = |names: &&[&str]| {
            let mut request = consumer();
            request.protocols = protocols(names);
            request
        };
        machine.fill(members.iter().map(request).collect());
        machine.group.protocol_name().unwrap().to_string()
    };
    assert_eq!(select(&[&["range", "sticky"]]), "range");
    assert_eq!(select(&[&["range", "sticky"], &["sticky"]]), "sticky");
    assert_eq!(
        select(&[&["range", "sticky"], &["sticky", "range"], &["sticky", "range"]]),
        "sticky"
    );
    assert_eq!(
        select(&[&["a", "range", "b"], &["b", "range"], &["range", "b"]]),
        "range"
    );
    assert_eq!(
        select(&[&["range", "range"]]),
        "range",
        "named twice, supported once"
    );
}

#[test]
fn subscribed_topics_are_those_of_all_members() {
    let mut machine = Machine::new();
    let mut other = consumer();
    other.protocols[0].metadata = subscription(&["u", "v"]);
    machine.stabilize(vec![consumer(), other]);
    for (topic, is_subscribed) in [("t", true), ("u", true), ("v", true), ("w", false)] {
        assert_eq!(machine.group.is_subscribed_to(topic), is_subscribed, "{topic}");
    }
    let mut machine = Machine::new();
    let mut garbled = consumer();
    garbled.protocols[0].metadata = bytes::Bytes::from_static(b"\0\0\0\0\0\x05hi");
    machine.stabilize(vec![garbled]);
    assert!(
        machine.group.is_subscribed_to("anything"),
        "one that cannot be read may mean all topics"
    );
}

#[test]
fn a_group_survives_the_log() {
    let mut machine = Machine::new();
    let ids = machine.stabilize(vec![static_consumer("i"), consumer()]);
    let value = machine.written.last().unwrap().clone();
    let loaded = GroupMetadata::from_log("g", value.clone(), LIMITS, machine.now);
    loaded.assert_consistent();
    assert_eq!(loaded.state(), GroupState::Stable);
    assert_eq!(loaded.to_log(|member| member.assignment.clone()), value);
    assert!(loaded.is_subscribed_to("t") && !loaded.is_subscribed_to("u"));

    let mut machine = Machine::of(loaded, machine.now);
    machine.run(|group, now| group.on_loaded(now));
    assert_eq!(machine.heartbeat(&ids[0]), ErrorCode::None);
    machine.pass(i64::from(SESSION_MS) - 1);
    assert_eq!(machine.state(), GroupState::Stable);
    machine.pass(1 + i64::from(REBALANCE_MS));
    assert_eq!(machine.state(), GroupState::Empty, "sessions run on");
}

#[test]
fn a_loaded_group_over_the_limit_sends_the_last_members_away() {
    let mut machine = Machine::new();
    machine.stabilize(vec![consumer(), consumer(), consumer()]);
    let value = machine.written.last().unwrap().clone();
    let limits = GroupLimits {
        max_size: 2,
        ..LIMITS
    };
    let loaded = GroupMetadata::from_log("g", value, limits, machine.now);
    let mut machine = Machine::of(loaded, machine.now);
    machine.run(|group, now| group.on_loaded(now));
    assert_eq!(machine.state(), GroupState::PreparingRebalance);
    let ids = machine.group.member_ids();
    let tickets: Vec<_> = ids.iter().map(|id| machine.join(consumer_with_id(id))).collect();
    assert_eq!(machine.joined(tickets[2]).error, ErrorCode::GroupMaxSizeReached);
    assert_eq!(machine.joined(tickets[0]).error, ErrorCode::None);
    assert_eq!(machine.group.members().count(), 2);
}

#[test]
fn members_that_are_in_the_log_twice_are_loaded_once() {
    let mut machine = Machine::new();
    machine.stabilize(vec![static_consumer("i"), consumer()]);
    let mut value = machine.written.last().unwrap().clone();
    let mut same_instance = value.members.clone();
    for (number, member) in same_instance.iter_mut().enumerate() {
        member.member_id = format!("other-{number}");
    }
    same_instance.retain(|member| member.group_instance_id.is_some());
    value.members.extend(value.members.clone());
    value.members.extend(same_instance);
    let loaded = GroupMetadata::from_log("g", value, LIMITS, machine.now);
    loaded.assert_consistent();
    assert_eq!(loaded.members().count(), 2);
}
