//! Owns one classic group: its members, generation, protocols, timers and offsets. Kafka 3.9: `GroupMetadata`.
//!
//! The group is a pure state machine. The methods in `join`, `sync` and `liveness` take events and the time;
//! [`GroupMetadata::take_effects`] returns answers and records. The group never reads a clock, writes a log or waits.
//!
//! Timers are deadlines in the data. [`GroupMetadata::wake_at_ms`] returns when [`GroupMetadata::tick`] must be called
//! next. This time may be too early (a heartbeat arrived since), but never too late. A group cannot hang, because each
//! phase in which requests wait has its own deadline (fact 64).

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::effect::{Effect, JoinResult, Now, SyncResult};
use super::member::{Member, MemberId, Protocol, Ticket};
use super::offsets::{Expiry, GroupOffsets};
use super::state::GroupState;
use crate::common::error::ErrorCode;
use crate::common::ids::TopicPartition;

/// The protocol type of consumers. The coordinator knows the subscribed topics only for this type.
pub const CONSUMER_PROTOCOL_TYPE: &str = "consumer";

/// The part of the broker's configuration that a group uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupLimits {
    /// `group.initial.rebalance.delay.ms`.
    pub initial_rebalance_delay_ms: i64,
    /// `group.max.size`.
    pub max_size: usize,
}

/// The timer of the join phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct JoinTimer {
    pub deadline_ms: i64,
    /// Set for the first rebalance of an empty group. This rebalance never ends before its deadline, and is prolonged
    /// while members arrive.
    pub initial: Option<InitialDelay>,
}

/// How much longer the first rebalance of an empty group may be prolonged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct InitialDelay {
    pub delay_ms: i64,
    pub remaining_ms: i64,
}

/// One classic group.
#[derive(Clone, Debug)]
pub struct GroupMetadata {
    pub(super) id: Arc<str>,
    pub(super) limits: GroupLimits,
    pub(super) state: GroupState,
    /// When the group entered its state, by the wall clock. `None` if the group was last written before Kafka 2.1.
    pub(super) current_state_timestamp_ms: Option<i64>,
    pub(super) protocol_type: Option<Arc<str>>,
    pub(super) protocol_name: Option<Arc<str>>,
    pub(super) generation_id: i32,
    pub(super) leader: Option<MemberId>,
    pub(super) members: BTreeMap<MemberId, Member>,
    /// Maps `group.instance.id` to member id.
    pub(super) static_members: HashMap<Arc<str>, MemberId>,
    /// Ids that were sent with MEMBER_ID_REQUIRED and have not joined yet, each with its deadline.
    pub(super) pending_members: HashMap<MemberId, i64>,
    /// Members that know this generation but have not sent SyncGroup yet.
    pub(super) pending_sync_members: BTreeSet<MemberId>,
    /// The number of members that support each protocol.
    supported_protocols: HashMap<Arc<str>, usize>,
    /// The number of members whose JoinGroup request waits.
    members_awaiting_join: usize,
    /// The subscribed topics of a consumer group in this generation. `None` if unknown.
    pub(super) subscribed_topics: Option<BTreeSet<Arc<str>>>,
    /// A member arrived during the initial delay, so the delay is prolonged.
    pub(super) new_member_added: bool,
    pub(super) join_timer: Option<JoinTimer>,
    pub(super) sync_deadline_ms: Option<i64>,
    pub(super) wake_at_ms: Option<i64>,
    /// The group's committed offsets.
    pub offsets: GroupOffsets,
    pub(super) effects: Vec<Effect>,
}

impl GroupMetadata {
    /// An empty group.
    pub fn new(id: impl Into<Arc<str>>, limits: GroupLimits, now: Now) -> Self {
        Self {
            id: id.into(),
            limits,
            state: GroupState::Empty,
            current_state_timestamp_ms: Some(now.wall_ms),
            protocol_type: None,
            protocol_name: None,
            generation_id: 0,
            leader: None,
            members: BTreeMap::new(),
            static_members: HashMap::new(),
            pending_members: HashMap::new(),
            pending_sync_members: BTreeSet::new(),
            supported_protocols: HashMap::new(),
            members_awaiting_join: 0,
            subscribed_topics: None,
            new_member_added: false,
            join_timer: None,
            sync_deadline_ms: None,
            wake_at_ms: None,
            offsets: GroupOffsets::default(),
            effects: Vec::new(),
        }
    }

    /// The group's id.
    pub fn id(&self) -> &Arc<str> {
        &self.id
    }

    /// The group's state.
    pub fn state(&self) -> GroupState {
        self.state
    }

    /// The number of the group's rebalances. 0 for a group that only keeps offsets.
    pub fn generation_id(&self) -> i32 {
        self.generation_id
    }

    /// `consumer`, `connect` or another type that the members name. `None` if the group never had members.
    pub fn protocol_type(&self) -> Option<&Arc<str>> {
        self.protocol_type.as_ref()
    }

    /// The selected protocol.
    pub fn protocol_name(&self) -> Option<&Arc<str>> {
        self.protocol_name.as_ref()
    }

    /// The members, by id.
    pub fn members(&self) -> impl Iterator<Item = &Member> {
        self.members.values()
    }

    /// Whether a member subscribes to the topic. Also true if the subscriptions are unknown.
    pub fn is_subscribed_to(&self, topic: &str) -> bool {
        self.subscribed_topics
            .as_ref()
            .is_none_or(|topics| topics.contains(topic))
    }

    /// Takes the effects since the last call, in order.
    #[must_use = "requests wait for these"]
    pub fn take_effects(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.effects)
    }

    /// When `tick` must be called next, in monotonic milliseconds.
    pub fn wake_at_ms(&self) -> Option<i64> {
        self.wake_at_ms
    }

    /// Moves the group to Dead if it has no members and no offsets. Returns true if it is Dead.
    pub fn die_if_unused(&mut self, now: Now) -> bool {
        if self.state == GroupState::Empty && self.offsets.is_empty() {
            self.transition_to(GroupState::Dead, now);
        }
        self.state == GroupState::Dead
    }

    /// Removes the offsets whose retention is over (kafka-3.9.md §8, expiry). Returns their partitions.
    pub fn remove_expired_offsets(&mut self, now: Now, retention_ms: i64) -> Vec<TopicPartition> {
        let is_consumer = self.protocol_type.as_deref() == Some(CONSUMER_PROTOCOL_TYPE);
        let expiry = match (&self.protocol_type, self.state, &self.subscribed_topics) {
            (None, _, _) => Expiry::SinceCommit,
            (Some(_), GroupState::Empty, _) => match self.current_state_timestamp_ms {
                Some(ms) => Expiry::Since(ms),
                None => Expiry::SinceCommit,
            },
            (Some(_), GroupState::Stable, Some(topics)) if is_consumer => {
                Expiry::NotSubscribedSinceCommit(topics)
            }
            _ => return Vec::new(),
        };
        self.offsets.remove_expired(now.wall_ms, retention_ms, expiry)
    }

    pub(super) fn transition_to(&mut self, state: GroupState, now: Now) {
        assert!(
            self.state.may_become(state),
            "group {} may not go from {:?} to {state:?}",
            self.id,
            self.state
        );
        self.state = state;
        self.current_state_timestamp_ms = Some(now.wall_ms);
    }

    /// Requests a call of `tick` at `deadline_ms`. An earlier requested time stays.
    pub(super) fn arm(&mut self, deadline_ms: i64) {
        self.wake_at_ms = Some(self.wake_at_ms.map_or(deadline_ms, |at| at.min(deadline_ms)));
    }

    pub(super) fn is_leader(&self, member_id: &str) -> bool {
        self.leader.as_deref() == Some(member_id)
    }

    /// How long a rebalance may take: the longest rebalance timeout of all members.
    pub(super) fn rebalance_timeout_ms(&self) -> i64 {
        let timeouts = self.members.values().map(|m| i64::from(m.rebalance_timeout_ms));
        timeouts.max().unwrap_or(0).max(0)
    }

    /// Checks that `member_id` is a member and, if a `group.instance.id` is given, that it is this instance's current
    /// id.
    pub(super) fn validate_member(
        &self,
        member_id: &str,
        group_instance_id: Option<&str>,
    ) -> Result<(), ErrorCode> {
        if let Some(instance_id) = group_instance_id {
            match self.static_members.get(instance_id) {
                Some(current) if **current != *member_id => return Err(ErrorCode::FencedInstanceId),
                Some(_) => {}
                None => return Err(ErrorCode::UnknownMemberId),
            }
        }
        match self.members.contains_key(member_id) {
            true => Ok(()),
            false => Err(ErrorCode::UnknownMemberId),
        }
    }

    pub(super) fn add(&mut self, member: Member) {
        if let Some(instance_id) = &member.group_instance_id {
            let previous = self.static_members.insert(instance_id.clone(), member.id.clone());
            assert!(
                previous.is_none(),
                "{instance_id} is a member of group {} already",
                self.id
            );
        }
        self.leader.get_or_insert_with(|| member.id.clone());
        self.members_awaiting_join += usize::from(member.awaiting_join.is_some());
        count_protocols(&mut self.supported_protocols, &member.protocols, true);
        self.pending_members.remove(&member.id);
        self.members.insert(member.id.clone(), member);
    }

    /// Removes a member, pending or not, and answers its waiting requests.
    pub(super) fn remove(&mut self, member_id: &str) {
        self.answer_join(member_id, JoinResult::error("", ErrorCode::UnknownMemberId));
        self.answer_sync(member_id, SyncResult::error(ErrorCode::UnknownMemberId));
        if let Some(member) = self.members.remove(member_id) {
            count_protocols(&mut self.supported_protocols, &member.protocols, false);
            if let Some(instance_id) = &member.group_instance_id {
                self.static_members.remove(instance_id);
            }
        }
        if self.is_leader(member_id) {
            self.leader = self.members.keys().next().cloned();
        }
        self.pending_members.remove(member_id);
        self.pending_sync_members.remove(member_id);
    }

    /// Gives a returning static member its new id, and fences the old id (fact 63).
    pub(super) fn replace_static_member(&mut self, instance_id: &Arc<str>, old: &str, new: &MemberId) {
        self.answer_join(old, JoinResult::error(old, ErrorCode::FencedInstanceId));
        self.answer_sync(old, SyncResult::error(ErrorCode::FencedInstanceId));
        let Some(mut member) = self.members.remove(old) else {
            unreachable!(
                "static member {instance_id} maps to {old}, which is no member of {}",
                self.id
            );
        };
        member.id = new.clone();
        self.members.insert(new.clone(), member);
        if self.is_leader(old) {
            self.leader = Some(new.clone());
        }
        self.static_members.insert(instance_id.clone(), new.clone());
        if self.pending_sync_members.remove(old) {
            self.pending_sync_members.insert(new.clone());
        }
    }

    /// Updates a member's protocols and timeouts from its latest JoinGroup.
    pub(super) fn update_member(
        &mut self,
        member_id: &str,
        protocols: Vec<Protocol>,
        rebalance_timeout_ms: i32,
        session_timeout_ms: i32,
    ) {
        let Some(member) = self.members.get_mut(member_id) else {
            return;
        };
        count_protocols(&mut self.supported_protocols, &member.protocols, false);
        count_protocols(&mut self.supported_protocols, &protocols, true);
        member.protocols = protocols;
        member.rebalance_timeout_ms = rebalance_timeout_ms;
        member.session_timeout_ms = session_timeout_ms;
    }

    /// Makes a member's JoinGroup wait. An earlier JoinGroup of the member is answered with an error that asks for a
    /// retry; its client must have given up that connection.
    pub(super) fn await_join(&mut self, member_id: &str, ticket: Ticket) {
        self.answer_join(
            member_id,
            JoinResult::error(member_id, ErrorCode::RebalanceInProgress),
        );
        if let Some(member) = self.members.get_mut(member_id) {
            member.awaiting_join = Some(ticket);
            self.members_awaiting_join += 1;
        }
    }

    /// Does the same for SyncGroup.
    pub(super) fn await_sync(&mut self, member_id: &str, ticket: Ticket) {
        self.answer_sync(member_id, SyncResult::error(ErrorCode::RebalanceInProgress));
        if let Some(member) = self.members.get_mut(member_id) {
            member.awaiting_sync = Some(ticket);
        }
    }

    /// Answers a member's JoinGroup if it waits.
    pub(super) fn answer_join(&mut self, member_id: &str, result: JoinResult) {
        let ticket = self
            .members
            .get_mut(member_id)
            .and_then(|m| m.awaiting_join.take());
        if let Some(ticket) = ticket {
            self.members_awaiting_join -= 1;
            self.effects.push(Effect::AnswerJoin(ticket, result));
        }
    }

    /// Answers a member's SyncGroup if it waits. Returns whether it waited.
    pub(super) fn answer_sync(&mut self, member_id: &str, result: SyncResult) -> bool {
        let ticket = self
            .members
            .get_mut(member_id)
            .and_then(|m| m.awaiting_sync.take());
        if let Some(ticket) = ticket {
            self.effects.push(Effect::AnswerSync(ticket, result));
        }
        ticket.is_some()
    }

    /// Restarts a member's session.
    pub(super) fn renew_session(&mut self, member_id: &str, now: Now) {
        if let Some(member) = self.members.get_mut(member_id) {
            let deadline_ms = now.monotonic_ms + i64::from(member.session_timeout_ms);
            member.session_deadline_ms = Some(deadline_ms);
            self.arm(deadline_ms);
        }
    }

    pub(super) fn member_ids(&self) -> Vec<MemberId> {
        self.members.keys().cloned().collect()
    }

    pub(super) fn members_awaiting_join(&self) -> usize {
        self.members_awaiting_join
    }

    pub(super) fn has_all_members_joined(&self) -> bool {
        self.members_awaiting_join == self.members.len() && self.pending_members.is_empty()
    }

    pub(super) fn is_supported_by_all(&self, protocol: &str) -> bool {
        self.supported_protocols.get(protocol).copied().unwrap_or(0) == self.members.len()
    }

    /// Whether a member with these protocols can join the other members.
    pub(super) fn supports_protocols(&self, protocol_type: &str, protocols: &[Protocol]) -> bool {
        if self.state == GroupState::Empty {
            !protocol_type.is_empty() && !protocols.is_empty()
        } else {
            self.protocol_type.as_deref() == Some(protocol_type)
                && protocols.iter().any(|p| self.is_supported_by_all(&p.name))
        }
    }
}

/// Adds or removes one member's protocols. A name that occurs twice counts once.
fn count_protocols(counts: &mut HashMap<Arc<str>, usize>, protocols: &[Protocol], add: bool) {
    for (index, protocol) in protocols.iter().enumerate() {
        if protocols[..index]
            .iter()
            .any(|earlier| earlier.name == protocol.name)
        {
            continue;
        }
        if add {
            *counts.entry(protocol.name.clone()).or_default() += 1;
        } else if let Some(count) = counts.get_mut(&protocol.name) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&protocol.name);
            }
        }
    }
}

#[cfg(test)]
mod tests;
