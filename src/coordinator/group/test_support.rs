//! Shared test support: a group whose effects are checked, and an offsets topic in memory.

use std::collections::{BTreeSet, HashMap};

use bytes::Bytes;
use uuid::Uuid;

use super::effect::{Effect, GroupStore, JoinResult, Now, SyncResult};
use super::group_metadata::{GroupLimits, GroupMetadata};
use super::join::JoinRequest;
use super::log::GroupMetadataValue;
use super::member::{MemberId, Protocol, Ticket};
use super::state::GroupState;
use super::sync::SyncRequest;
use crate::common::error::ErrorCode;
pub use crate::coordinator::memory_log::MemoryLog;

pub const SESSION_MS: i32 = 10_000;
pub const REBALANCE_MS: i32 = 60_000;
pub const INITIAL_DELAY_MS: i64 = 3000;

pub const LIMITS: GroupLimits = GroupLimits {
    initial_rebalance_delay_ms: INITIAL_DELAY_MS,
    max_size: 100,
};

/// A `ConsumerProtocolSubscription` of version 0 to these topics.
pub fn subscription(topics: &[&str]) -> Bytes {
    let mut bytes = vec![0, 0];
    bytes.extend((topics.len() as i32).to_be_bytes());
    for topic in topics {
        bytes.extend((topic.len() as i16).to_be_bytes());
        bytes.extend(topic.as_bytes());
    }
    bytes.extend((-1_i32).to_be_bytes());
    bytes.into()
}

pub fn protocols(names: &[&str]) -> Vec<Protocol> {
    let protocol = |name: &&str| Protocol {
        name: (*name).into(),
        metadata: subscription(&["t"]),
    };
    names.iter().map(protocol).collect()
}

/// A JoinGroup of a consumer that supports `range` and has no member id. The client is old, so it gets its id
/// immediately.
pub fn consumer() -> JoinRequest {
    JoinRequest {
        member_id: "".into(),
        group_instance_id: None,
        require_known_member_id: false,
        supports_skipping_assignment: false,
        client_id: "client".into(),
        client_host: "/127.0.0.1".into(),
        rebalance_timeout_ms: REBALANCE_MS,
        session_timeout_ms: SESSION_MS,
        protocol_type: "consumer".into(),
        protocols: protocols(&["range"]),
        reason: None,
        uuid: Uuid::new_v4(),
    }
}

/// The same JoinGroup with a member id.
pub fn consumer_with_id(member_id: &str) -> JoinRequest {
    JoinRequest {
        member_id: member_id.into(),
        ..consumer()
    }
}

pub fn static_consumer(instance_id: &str) -> JoinRequest {
    JoinRequest {
        group_instance_id: Some(instance_id.into()),
        ..consumer()
    }
}

pub fn sync_request(
    member_id: &str,
    generation_id: i32,
    assignments: &[(&str, &'static [u8])],
) -> SyncRequest {
    let assignments = assignments
        .iter()
        .map(|(id, bytes)| ((*id).into(), Bytes::from_static(bytes)));
    SyncRequest {
        generation_id,
        member_id: member_id.into(),
        group_instance_id: None,
        protocol_type: None,
        protocol_name: None,
        assignments: assignments.collect(),
    }
}

/// A group whose effects are checked: every ticket is answered once, and the group is consistent after each event.
pub struct Machine {
    pub group: GroupMetadata,
    pub now: Now,
    next_ticket: u64,
    pub waiting: BTreeSet<Ticket>,
    joins: HashMap<Ticket, JoinResult>,
    syncs: HashMap<Ticket, SyncResult>,
    /// The written group records, oldest first.
    pub written: Vec<GroupMetadataValue>,
    /// Writes that wait for `finish_store`. Empty if `stores_at_once` is set.
    pub storing: Vec<GroupStore>,
    pub stores_at_once: bool,
}

impl Machine {
    pub fn new() -> Self {
        Self::with_limits(LIMITS)
    }

    pub fn with_limits(limits: GroupLimits) -> Self {
        let now = Now {
            monotonic_ms: 60_000,
            wall_ms: 1_700_000_000_000,
        };
        Self::of(GroupMetadata::new("g", limits, now), now)
    }

    pub fn of(group: GroupMetadata, now: Now) -> Self {
        Self {
            group,
            now,
            next_ticket: 0,
            waiting: BTreeSet::new(),
            joins: HashMap::new(),
            syncs: HashMap::new(),
            written: Vec::new(),
            storing: Vec::new(),
            stores_at_once: true,
        }
    }

    pub fn run<R>(&mut self, event: impl FnOnce(&mut GroupMetadata, Now) -> R) -> R {
        let result = event(&mut self.group, self.now);
        self.collect();
        result
    }

    fn collect(&mut self) {
        loop {
            let effects = self.group.take_effects();
            if effects.is_empty() {
                break;
            }
            for effect in effects {
                match effect {
                    Effect::AnswerJoin(ticket, result) => {
                        assert!(
                            self.waiting.remove(&ticket),
                            "{ticket:?} answered twice: {result:?}"
                        );
                        self.joins.insert(ticket, result);
                    }
                    Effect::AnswerSync(ticket, result) => {
                        assert!(
                            self.waiting.remove(&ticket),
                            "{ticket:?} answered twice: {result:?}"
                        );
                        self.syncs.insert(ticket, result);
                    }
                    Effect::Store(value, store) => {
                        self.written.push(value);
                        match self.stores_at_once {
                            true => self.group.on_stored(store, ErrorCode::None, self.now),
                            false => self.storing.push(store),
                        }
                    }
                }
            }
        }
        self.group.assert_consistent();
    }

    fn ticket(&mut self) -> Ticket {
        let ticket = Ticket(self.next_ticket);
        self.next_ticket += 1;
        self.waiting.insert(ticket);
        ticket
    }

    pub fn join(&mut self, request: JoinRequest) -> Ticket {
        let ticket = self.ticket();
        self.run(|group, now| group.join(request, ticket, now));
        ticket
    }

    pub fn sync(&mut self, request: SyncRequest) -> Ticket {
        let ticket = self.ticket();
        self.run(|group, now| group.sync(request, ticket, now));
        ticket
    }

    /// The answer. Panics if the request waits.
    pub fn joined(&self, ticket: Ticket) -> &JoinResult {
        &self.joins[&ticket]
    }

    pub fn synced(&self, ticket: Ticket) -> &SyncResult {
        &self.syncs[&ticket]
    }

    pub fn waits(&self, ticket: Ticket) -> bool {
        self.waiting.contains(&ticket)
    }

    pub fn finish_store(&mut self, error: ErrorCode) {
        let store = self.storing.remove(0);
        self.run(|group, now| group.on_stored(store, error, now));
    }

    /// Advances the time like the coordinator does: stops at each deadline of the group.
    pub fn pass(&mut self, ms: i64) {
        let end = self.now.monotonic_ms + ms;
        while let Some(at_ms) = self.group.wake_at_ms().filter(|&at_ms| at_ms <= end) {
            let step = (at_ms - self.now.monotonic_ms).max(0);
            self.advance(step);
            self.run(|group, now| group.tick(now));
            let next = self.group.wake_at_ms();
            assert!(
                next.is_none_or(|next| next > self.now.monotonic_ms),
                "the timer stands still"
            );
        }
        self.advance(end - self.now.monotonic_ms);
    }

    fn advance(&mut self, ms: i64) {
        self.now.monotonic_ms += ms;
        self.now.wall_ms += ms;
    }

    pub fn state(&self) -> GroupState {
        self.group.state()
    }

    pub fn heartbeat(&mut self, member_id: &str) -> ErrorCode {
        let generation_id = self.group.generation_id();
        self.run(|group, now| group.heartbeat(member_id, None, generation_id, now))
    }

    /// Lets these members join an empty group and waits for the initial delay. Returns their ids, the leader's first.
    pub fn fill(&mut self, requests: Vec<JoinRequest>) -> Vec<MemberId> {
        let tickets: Vec<_> = requests.into_iter().map(|request| self.join(request)).collect();
        while tickets.iter().any(|ticket| self.waits(*ticket)) {
            self.pass(INITIAL_DELAY_MS);
        }
        let mut ids: Vec<_> = tickets
            .iter()
            .map(|ticket| self.joined(*ticket).member_id.clone())
            .collect();
        let leader = self.group.leader.clone();
        ids.sort_by_key(|id| Some(id) != leader.as_ref());
        ids
    }

    /// Does the same as `fill`, then syncs the members.
    pub fn stabilize(&mut self, requests: Vec<JoinRequest>) -> Vec<MemberId> {
        let ids = self.fill(requests);
        self.assign(&ids);
        ids
    }

    /// Every member syncs, the leader first.
    pub fn assign(&mut self, ids: &[MemberId]) {
        let generation_id = self.group.generation_id();
        let mut request = sync_request(&ids[0], generation_id, &[]);
        request.assignments = ids
            .iter()
            .map(|id| (id.clone(), Bytes::from(id.to_string())))
            .collect();
        self.sync(request);
        for id in &ids[1..] {
            self.sync(sync_request(id, generation_id, &[]));
        }
    }
}
