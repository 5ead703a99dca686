//! One classic group: its members, generation, protocols, timers and offsets. Kafka 3.9: `GroupMetadata`.
//!
//! A pure state machine: events and the time go in by the methods in `join`, `sync` and `liveness`, answers and
//! records come out by [`GroupMetadata::take_effects`]. It never reads a clock, writes a log or waits.
//!
//! Timers are deadlines in the data. [`GroupMetadata::wake_at_ms`] says when [`GroupMetadata::tick`] wants to be
//! called; that moment may turn out to be too early (a heartbeat came since), never too late. So a group
//! cannot hang: each phase in which requests wait has a deadline of its own (fact 64).

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::effect::{Effect, JoinResult, Now, SyncResult};
use super::member::{Member, MemberId, Protocol, Ticket};
use super::offsets::{Expiry, GroupOffsets};
use super::state::GroupState;
use crate::common::error::ErrorCode;
use crate::common::ids::TopicPartition;

/// The protocol type of consumers; only for these does the coordinator know what is subscribed to.
pub const CONSUMER_PROTOCOL_TYPE: &str = "consumer";

/// What a group needs of the broker's configuration.
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
    /// Set for the first rebalance of an empty group, which never ends before its time and is prolonged while
    /// members keep arriving.
    pub initial: Option<InitialDelay>,
}

/// How far the first rebalance of an empty group may still be prolonged.
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
    /// Wall clock; unknown for groups last written before Kafka 2.1.
    pub(super) current_state_timestamp_ms: Option<i64>,
    pub(super) protocol_type: Option<Arc<str>>,
    pub(super) protocol_name: Option<Arc<str>>,
    pub(super) generation_id: i32,
    pub(super) leader: Option<MemberId>,
    pub(super) members: BTreeMap<MemberId, Member>,
    /// `group.instance.id` to member id.
    pub(super) static_members: HashMap<Arc<str>, MemberId>,
    /// Ids handed out with MEMBER_ID_REQUIRED and not come back yet, with the end of the wait for them.
    pub(super) pending_members: HashMap<MemberId, i64>,
    /// Members that have been told of this generation but have not asked for their assignment yet.
    pub(super) pending_sync_members: BTreeSet<MemberId>,
    /// How many members support a protocol.
    supported_protocols: HashMap<Arc<str>, usize>,
    /// How many members' JoinGroup requests wait.
    members_awaiting_join: usize,
    /// Of a consumer group, as of its generation; `None` if unknown.
    pub(super) subscribed_topics: Option<BTreeSet<Arc<str>>>,
    /// A member arrived during the initial delay, which therefore is prolonged.
    pub(super) new_member_added: bool,
    pub(super) join_timer: Option<JoinTimer>,
    pub(super) sync_deadline_ms: Option<i64>,
    pub(super) wake_at_ms: Option<i64>,
    /// Its committed offsets.
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

    /// Its id.
    pub fn id(&self) -> &Arc<str> {
        &self.id
    }

    /// Where it stands.
    pub fn state(&self) -> GroupState {
        self.state
    }

    /// Counts its rebalances; 0 for a group that only keeps offsets.
    pub fn generation_id(&self) -> i32 {
        self.generation_id
    }

    /// `consumer`, `connect` or whatever its members say; `None` if it never had members.
    pub fn protocol_type(&self) -> Option<&Arc<str>> {
        self.protocol_type.as_ref()
    }

    /// The protocol its members settled on.
    pub fn protocol_name(&self) -> Option<&Arc<str>> {
        self.protocol_name.as_ref()
    }

    /// Its members, by id.
    pub fn members(&self) -> impl Iterator<Item = &Member> {
        self.members.values()
    }

    /// Whether its members' subscriptions mention a topic, or may do so for all we know.
    pub fn is_subscribed_to(&self, topic: &str) -> bool {
        self.subscribed_topics
            .as_ref()
            .is_none_or(|topics| topics.contains(topic))
    }

    /// What is to be done since the last call, in order.
    #[must_use = "requests wait for these"]
    pub fn take_effects(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.effects)
    }

    /// When `tick` wants to be called next, monotonic milliseconds.
    pub fn wake_at_ms(&self) -> Option<i64> {
        self.wake_at_ms
    }

    /// Deletes the group if nothing is left in it. True if it is dead now.
    pub fn die_if_unused(&mut self, now: Now) -> bool {
        if self.state == GroupState::Empty && self.offsets.is_empty() {
            self.transition_to(GroupState::Dead, now);
        }
        self.state == GroupState::Dead
    }

    /// Removes the offsets whose retention is over (kafka-3.9.md §8, expiry); returns their partitions.
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

    /// Has `tick` called at `deadline_ms`, or earlier if it wanted so already.
    pub(super) fn arm(&mut self, deadline_ms: i64) {
        self.wake_at_ms = Some(self.wake_at_ms.map_or(deadline_ms, |at| at.min(deadline_ms)));
    }

    pub(super) fn is_leader(&self, member_id: &str) -> bool {
        self.leader.as_deref() == Some(member_id)
    }

    /// How long a rebalance may take: as long as the most patient member says.
    pub(super) fn rebalance_timeout_ms(&self) -> i64 {
        let timeouts = self.members.values().map(|m| i64::from(m.rebalance_timeout_ms));
        timeouts.max().unwrap_or(0).max(0)
    }

    /// Checks that `member_id` is a member, and the one that currently goes by its `group.instance.id`.
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

    /// Takes a member out, pending or not, and answers what it still waits for.
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

    /// Gives a static member that came back its new id, and fences the old one (fact 63).
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

    /// What a member supports and how long it may take, as its latest JoinGroup says.
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

    /// A member's JoinGroup waits from now on. One that waited before, on a connection that its client must
    /// have given up, is told to come again rather than left hanging.
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

    /// The same for SyncGroup.
    pub(super) fn await_sync(&mut self, member_id: &str, ticket: Ticket) {
        self.answer_sync(member_id, SyncResult::error(ErrorCode::RebalanceInProgress));
        if let Some(member) = self.members.get_mut(member_id) {
            member.awaiting_sync = Some(ticket);
        }
    }

    /// Answers a member's JoinGroup, if one waits.
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

    /// Answers a member's SyncGroup, if one waits; true if so.
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

    /// Starts a member's session anew.
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

    /// Whether a member with these protocols can work with the others.
    pub(super) fn supports_protocols(&self, protocol_type: &str, protocols: &[Protocol]) -> bool {
        if self.state == GroupState::Empty {
            !protocol_type.is_empty() && !protocols.is_empty()
        } else {
            self.protocol_type.as_deref() == Some(protocol_type)
                && protocols.iter().any(|p| self.is_supported_by_all(&p.name))
        }
    }
}

/// Adds or takes away one member's support; a name that occurs twice counts once.
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
