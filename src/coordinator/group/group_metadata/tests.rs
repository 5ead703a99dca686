//! Tests the group state machine: every event in every state, in tables.

use super::*;
use crate::coordinator::group::liveness::LeavingMember;
use crate::coordinator::group::test_support::*;
use GroupState::*;

mod random;

impl GroupMetadata {
    /// Checks the conditions that must be true after every event.
    pub(in crate::coordinator::group) fn assert_consistent(&self) {
        let awaiting = self
            .members
            .values()
            .filter(|m| m.awaiting_join.is_some())
            .count();
        assert_eq!(awaiting, self.members_awaiting_join);
        assert!(
            self.leader.as_ref().is_none_or(|l| self.members.contains_key(l)),
            "leader is no member"
        );
        assert!(self.members.is_empty() || self.leader.is_some() || self.state == GroupState::Dead);
        for (instance_id, id) in &self.static_members {
            assert_eq!(self.members[id].group_instance_id.as_ref(), Some(instance_id));
        }
        let mut counts = HashMap::new();
        for member in self.members.values() {
            count_protocols(&mut counts, &member.protocols, true);
        }
        assert_eq!(counts, self.supported_protocols);
        assert!(
            self.pending_sync_members
                .iter()
                .all(|id| self.members.contains_key(id))
        );
        match self.state {
            GroupState::Empty | GroupState::Stable => assert_eq!(self.join_timer, None),
            GroupState::PreparingRebalance => {
                assert!(self.join_timer.is_some(), "nothing ends the join phase")
            }
            GroupState::CompletingRebalance => {
                assert!(
                    self.pending_sync_members.is_empty() || self.sync_deadline_ms.is_some(),
                    "nothing ends the sync phase"
                );
            }
            GroupState::Dead => {
                assert!(
                    self.members
                        .values()
                        .all(|m| m.awaiting_join.or(m.awaiting_sync).is_none())
                );
            }
        }
    }
}

/// The immediate outcome of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Says(ErrorCode),
    /// The request waits for other members.
    Waits,
}
use Outcome::{Says, Waits};

/// A group of two old members in the given state; the leader comes first.
fn group_in(state: GroupState) -> (Machine, Vec<MemberId>) {
    let mut machine = Machine::new();
    let ids = match state {
        CompletingRebalance => machine.fill(vec![consumer(), consumer()]),
        _ => machine.stabilize(vec![consumer(), consumer()]),
    };
    match state {
        Empty => {
            for id in &ids {
                leave(&mut machine, id);
            }
        }
        PreparingRebalance => {
            machine.join(consumer());
        }
        CompletingRebalance | Stable => {}
        Dead => machine.run(|group, now| group.unload(now)),
    }
    assert_eq!(machine.state(), state);
    (machine, ids)
}

fn leave(machine: &mut Machine, id: &str) -> Outcome {
    let leaving = LeavingMember {
        member_id: id.into(),
        group_instance_id: None,
        reason: None,
    };
    match machine.run(|group, now| group.leave(&[leaving], now)) {
        Ok(codes) => Says(codes[0]),
        Err(error) => Says(error),
    }
}

fn join(machine: &mut Machine, request: crate::coordinator::group::JoinRequest) -> Outcome {
    let ticket = machine.join(request);
    match machine.waits(ticket) {
        true => Waits,
        false => Says(machine.joined(ticket).error),
    }
}

fn sync(machine: &mut Machine, id: &str, generation_delta: i32) -> Outcome {
    let generation_id = machine.group.generation_id() + generation_delta;
    let ticket = machine.sync(sync_request(id, generation_id, &[]));
    match machine.waits(ticket) {
        true => Waits,
        false => Says(machine.synced(ticket).error),
    }
}

fn heartbeat(machine: &mut Machine, id: &str, generation_delta: i32) -> Outcome {
    let generation_id = machine.group.generation_id() + generation_delta;
    Says(machine.run(|group, now| group.heartbeat(id, None, generation_id, now)))
}

fn commit(machine: &mut Machine, id: &str, generation_id: i32) -> Outcome {
    let accepted = machine.run(|group, now| group.accept_offset_commit(id, None, generation_id, now));
    Says(accepted.err().unwrap_or(ErrorCode::None))
}

type Event = fn(&mut Machine, &[MemberId]) -> Outcome;
/// The outcome and next state for each state, in the order of [`COLUMNS`].
type Row = [(Outcome, GroupState); 5];
const COLUMNS: [GroupState; 5] = [Empty, PreparingRebalance, CompletingRebalance, Stable, Dead];

fn check(name: &str, event: Event, row: Row) {
    for (state, (outcome, next)) in COLUMNS.into_iter().zip(row) {
        let (mut machine, ids) = group_in(state);
        let found = event(&mut machine, &ids);
        assert_eq!((found, machine.state()), (outcome, next), "{name} in {state:?}");
    }
}

const NOT_AVAILABLE: Outcome = Says(ErrorCode::CoordinatorNotAvailable);
const UNKNOWN: Outcome = Says(ErrorCode::UnknownMemberId);
const REBALANCE: Outcome = Says(ErrorCode::RebalanceInProgress);
const GENERATION: Outcome = Says(ErrorCode::IllegalGeneration);
const PROTOCOL: Outcome = Says(ErrorCode::InconsistentGroupProtocol);
const OK: Outcome = Says(ErrorCode::None);

#[test]
fn joins_in_every_state() {
    use PreparingRebalance as Preparing;
    let completing = CompletingRebalance;
    let gone = (NOT_AVAILABLE, Dead);
    check(
        "new member",
        |m, _| join(m, consumer()),
        [
            (Waits, Preparing),
            (Waits, Preparing),
            (Waits, Preparing),
            (Waits, Preparing),
            gone,
        ],
    );
    let id_first = Says(ErrorCode::MemberIdRequired);
    check(
        "new member that must take an id first",
        |m, _| {
            let mut request = consumer();
            request.require_known_member_id = true;
            join(m, request)
        },
        [
            (id_first, Empty),
            (id_first, Preparing),
            (id_first, completing),
            (id_first, Stable),
            gone,
        ],
    );
    check(
        "unknown member",
        |m, _| join(m, consumer_with_id("nobody")),
        [
            (UNKNOWN, Empty),
            (UNKNOWN, Preparing),
            (UNKNOWN, completing),
            (UNKNOWN, Stable),
            gone,
        ],
    );
    check(
        "leader as before",
        |m, ids| join(m, consumer_with_id(&ids[0])),
        [
            (UNKNOWN, Empty),
            (Waits, Preparing),
            (OK, completing),
            (Waits, Preparing),
            gone,
        ],
    );
    check(
        "follower as before",
        |m, ids| join(m, consumer_with_id(&ids[1])),
        [
            (UNKNOWN, Empty),
            (Waits, Preparing),
            (OK, completing),
            (OK, Stable),
            gone,
        ],
    );
    check(
        "follower with another subscription",
        |m, ids| {
            let mut request = consumer_with_id(&ids[1]);
            request.protocols[0].metadata = subscription(&["t", "u"]);
            join(m, request)
        },
        [
            (UNKNOWN, Empty),
            (Waits, Preparing),
            (Waits, Preparing),
            (Waits, Preparing),
            gone,
        ],
    );
    check(
        "follower with other protocols only",
        |m, ids| {
            let mut request = consumer_with_id(&ids[1]);
            request.protocols = protocols(&["sticky"]);
            join(m, request)
        },
        [
            (UNKNOWN, Empty),
            (PROTOCOL, Preparing),
            (PROTOCOL, completing),
            (PROTOCOL, Stable),
            gone,
        ],
    );
    check(
        "new member of another protocol type",
        |m, _| {
            let mut request = consumer();
            request.protocol_type = "connect".into();
            join(m, request)
        },
        [
            (Waits, Preparing),
            (PROTOCOL, Preparing),
            (PROTOCOL, completing),
            (PROTOCOL, Stable),
            gone,
        ],
    );
    check(
        "new member without protocols",
        |m, _| {
            let mut request = consumer();
            request.protocols = Vec::new();
            join(m, request)
        },
        [
            (PROTOCOL, Empty),
            (PROTOCOL, Preparing),
            (PROTOCOL, completing),
            (PROTOCOL, Stable),
            gone,
        ],
    );
}

#[test]
fn syncs_in_every_state() {
    use PreparingRebalance as Preparing;
    let completing = CompletingRebalance;
    let gone = (NOT_AVAILABLE, Dead);
    check(
        "leader",
        |m, ids| sync(m, &ids[0], 0),
        [
            (UNKNOWN, Empty),
            (REBALANCE, Preparing),
            (OK, Stable),
            (OK, Stable),
            gone,
        ],
    );
    check(
        "follower",
        |m, ids| sync(m, &ids[1], 0),
        [
            (UNKNOWN, Empty),
            (REBALANCE, Preparing),
            (Waits, completing),
            (OK, Stable),
            gone,
        ],
    );
    check(
        "follower of the last generation",
        |m, ids| sync(m, &ids[1], -1),
        [
            (UNKNOWN, Empty),
            (GENERATION, Preparing),
            (GENERATION, completing),
            (GENERATION, Stable),
            gone,
        ],
    );
    check(
        "nobody",
        |m, _| sync(m, "nobody", 0),
        [
            (UNKNOWN, Empty),
            (UNKNOWN, Preparing),
            (UNKNOWN, completing),
            (UNKNOWN, Stable),
            gone,
        ],
    );
    check(
        "follower that believes in another protocol",
        |m, ids| {
            let mut request = sync_request(&ids[1], m.group.generation_id(), &[]);
            request.protocol_name = Some("sticky".into());
            let ticket = m.sync(request);
            Says(m.synced(ticket).error)
        },
        [
            (UNKNOWN, Empty),
            (PROTOCOL, Preparing),
            (PROTOCOL, completing),
            (PROTOCOL, Stable),
            gone,
        ],
    );
}

#[test]
fn signs_of_life_in_every_state() {
    use PreparingRebalance as Preparing;
    let completing = CompletingRebalance;
    let gone = (NOT_AVAILABLE, Dead);
    check(
        "heartbeat",
        |m, ids| heartbeat(m, &ids[1], 0),
        [
            (UNKNOWN, Empty),
            (REBALANCE, Preparing),
            (OK, completing),
            (OK, Stable),
            gone,
        ],
    );
    check(
        "heartbeat of the last generation",
        |m, ids| heartbeat(m, &ids[1], -1),
        [
            (UNKNOWN, Empty),
            (GENERATION, Preparing),
            (GENERATION, completing),
            (GENERATION, Stable),
            gone,
        ],
    );
    check(
        "heartbeat of nobody",
        |m, _| heartbeat(m, "nobody", 0),
        [
            (UNKNOWN, Empty),
            (UNKNOWN, Preparing),
            (UNKNOWN, completing),
            (UNKNOWN, Stable),
            gone,
        ],
    );
    check(
        "a follower leaves",
        |m, ids| leave(m, &ids[1]),
        [
            (UNKNOWN, Empty),
            (OK, Preparing),
            (OK, Preparing),
            (OK, Preparing),
            gone,
        ],
    );
    check(
        "the leader leaves",
        |m, ids| leave(m, &ids[0]),
        [
            (UNKNOWN, Empty),
            (OK, Preparing),
            (OK, Preparing),
            (OK, Preparing),
            gone,
        ],
    );
    check(
        "nobody leaves",
        |m, _| leave(m, "nobody"),
        [
            (UNKNOWN, Empty),
            (UNKNOWN, Preparing),
            (UNKNOWN, completing),
            (UNKNOWN, Stable),
            gone,
        ],
    );
}

#[test]
fn commits_in_every_state() {
    use PreparingRebalance as Preparing;
    let completing = CompletingRebalance;
    let gone = (NOT_AVAILABLE, Dead);
    check(
        "a member",
        |m, ids| {
            let generation_id = m.group.generation_id();
            commit(m, &ids[1], generation_id)
        },
        [
            (UNKNOWN, Empty),
            (OK, Preparing),
            (REBALANCE, completing),
            (OK, Stable),
            gone,
        ],
    );
    check(
        "a member of the last generation",
        |m, ids| {
            let generation_id = m.group.generation_id() - 1;
            commit(m, &ids[1], generation_id)
        },
        [
            (UNKNOWN, Empty),
            (GENERATION, Preparing),
            (GENERATION, completing),
            (GENERATION, Stable),
            gone,
        ],
    );
    check(
        "a simple consumer",
        |m, _| commit(m, "", -1),
        [
            (OK, Empty),
            (UNKNOWN, Preparing),
            (UNKNOWN, completing),
            (UNKNOWN, Stable),
            gone,
        ],
    );
}

#[test]
fn time_in_every_state() {
    use PreparingRebalance as Preparing;
    check(
        "silence for a session",
        |m, _| {
            m.pass(i64::from(SESSION_MS));
            OK
        },
        // The member that waits in Preparing is new. It is the only member when the others are gone.
        [
            (OK, Empty),
            (OK, CompletingRebalance),
            (OK, Empty),
            (OK, Empty),
            (OK, Dead),
        ],
    );
    check(
        "heartbeats, but nothing else, for a rebalance",
        |m, ids| {
            for _ in 0..=REBALANCE_MS / 5000 {
                m.pass(5000);
                for id in ids {
                    m.heartbeat(id);
                }
            }
            OK
        },
        [
            (OK, Empty),
            (OK, CompletingRebalance),
            (OK, Empty),
            (OK, Stable),
            (OK, Dead),
        ],
    );
    check(
        "unloading",
        |m, _| {
            m.run(|group, now| group.unload(now));
            assert!(m.waiting.is_empty(), "somebody waits for ever");
            OK
        },
        [(OK, Dead); 5],
    );
    check(
        "nothing left",
        |m, _| {
            m.run(|group, now| group.die_if_unused(now));
            OK
        },
        [
            (OK, Dead),
            (OK, Preparing),
            (OK, CompletingRebalance),
            (OK, Stable),
            (OK, Dead),
        ],
    );
}
