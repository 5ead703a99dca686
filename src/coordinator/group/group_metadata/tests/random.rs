//! Tests random events in random order: nothing panics and every request is answered once. After a long silence no
//! request waits and no member is left.

use proptest::prelude::*;

use super::*;
use crate::coordinator::group::JoinRequest;

#[derive(Clone, Debug)]
enum Event {
    JoinNew {
        instance: Option<u8>,
        require_id: bool,
        protocol: u8,
    },
    Rejoin {
        member: usize,
        protocol: u8,
    },
    Sync {
        member: usize,
    },
    Heartbeat {
        member: usize,
    },
    Leave {
        member: usize,
    },
    Commit {
        member: usize,
    },
    Pass {
        ms: i64,
    },
    FinishStore {
        error: bool,
    },
}

fn event() -> impl Strategy<Value = Event> {
    let member = 0..8_usize;
    prop_oneof![
        (proptest::option::weighted(0.4, 0..3_u8), any::<bool>(), 0..3_u8).prop_map(
            |(instance, require_id, protocol)| Event::JoinNew {
                instance,
                require_id,
                protocol
            }
        ),
        (member.clone(), 0..3_u8).prop_map(|(member, protocol)| Event::Rejoin { member, protocol }),
        member.clone().prop_map(|member| Event::Sync { member }),
        member.clone().prop_map(|member| Event::Heartbeat { member }),
        member.clone().prop_map(|member| Event::Leave { member }),
        member.prop_map(|member| Event::Commit { member }),
        prop_oneof![Just(1), Just(3000), Just(9000), Just(60_000)].prop_map(|ms| Event::Pass { ms }),
        any::<bool>().prop_map(|error| Event::FinishStore { error }),
    ]
}

fn with_protocols(mut request: JoinRequest, protocol: u8) -> JoinRequest {
    request.protocols = match protocol {
        0 => protocols(&["range"]),
        1 => protocols(&["range", "sticky"]),
        _ => protocols(&["sticky", "range"]),
    };
    request
}

/// Every member id that the group has given.
fn known_ids(machine: &Machine) -> Vec<MemberId> {
    let mut ids = machine.group.member_ids();
    ids.extend(machine.group.pending_members.keys().cloned());
    ids
}

fn apply(machine: &mut Machine, event: Event) {
    let ids = known_ids(machine);
    let id = |member: usize| {
        ids.get(member % ids.len().max(1))
            .cloned()
            .unwrap_or_else(|| "nobody".into())
    };
    match event {
        Event::JoinNew {
            instance,
            require_id,
            protocol,
        } => {
            let mut request = with_protocols(consumer(), protocol);
            request.group_instance_id = instance.map(|i| format!("instance-{i}").into());
            request.require_known_member_id = require_id && instance.is_none();
            request.supports_skipping_assignment = require_id;
            machine.join(request);
        }
        Event::Rejoin { member, protocol } => {
            let mut request = with_protocols(consumer_with_id(&id(member)), protocol);
            let known = machine.group.members.get(&request.member_id);
            request.group_instance_id = known.and_then(|m| m.group_instance_id.clone());
            machine.join(request);
        }
        Event::Sync { member } => {
            let generation_id = machine.group.generation_id();
            machine.sync(sync_request(&id(member), generation_id, &[]));
        }
        Event::Heartbeat { member } => {
            machine.heartbeat(&id(member));
        }
        Event::Leave { member } => {
            leave(machine, &id(member));
        }
        Event::Commit { member } => {
            let generation_id = machine.group.generation_id();
            commit(machine, &id(member), generation_id);
        }
        Event::Pass { ms } => machine.pass(ms),
        Event::FinishStore { error } => {
            if !machine.storing.is_empty() {
                machine.finish_store(if error {
                    ErrorCode::RequestTimedOut
                } else {
                    ErrorCode::None
                });
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn no_order_of_events_breaks_a_group(
        events in proptest::collection::vec(event(), 1..60),
        stores_at_once in any::<bool>(),
        max_size in 1..6_usize,
    ) {
        let mut machine = Machine::with_limits(GroupLimits { max_size, ..LIMITS });
        machine.stores_at_once = stores_at_once;
        for event in events {
            apply(&mut machine, event);
        }
        while !machine.storing.is_empty() {
            machine.finish_store(ErrorCode::None);
        }
        machine.stores_at_once = true;
        for _ in 0..20 {
            machine.pass(i64::from(REBALANCE_MS));
        }
        prop_assert!(machine.waiting.is_empty(), "waiting for ever: {:?}", machine.waiting);
        prop_assert_eq!(machine.state(), Empty);
        prop_assert_eq!(machine.group.members().count(), 0);
        prop_assert!(machine.group.pending_members.is_empty());
    }
}
