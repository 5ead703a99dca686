//! The join phase of a rebalance: handles JoinGroup, waits for the other members, starts the new generation. Kafka 3.9:
//! `GroupCoordinator` (`handleJoinGroup`, `prepareRebalance`, `onCompleteJoin`), `DelayedJoin`, `InitialDelayedJoin`.

use std::sync::Arc;

use bytes::Bytes;
use tracing::info;
use uuid::Uuid;

use super::effect::{Effect, GroupStore, JoinResult, Now, StaticMemberStore, SyncResult};
use super::group_metadata::{GroupMetadata, InitialDelay, JoinTimer};
use super::member::{Member, MemberId, Protocol, Ticket};
use super::state::GroupState;
use crate::common::error::ErrorCode;

/// How long the JoinGroup of a new member may wait. A new member has never finished a rebalance and sends no
/// heartbeats, so a dead client looks the same. Without this timer every rebalance would wait for the dead client.
const NEW_MEMBER_JOIN_TIMEOUT_MS: i64 = 5 * 60 * 1000;

/// A JoinGroup, independent of its version.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "the fields of JoinGroupRequest")]
pub struct JoinRequest {
    /// Empty if the client has no id yet.
    pub member_id: Arc<str>,
    pub group_instance_id: Option<Arc<str>>,
    /// True from version 4: a dynamic member must join with an id that the coordinator gave it.
    pub require_known_member_id: bool,
    /// True from version 9.
    pub supports_skipping_assignment: bool,
    pub client_id: Arc<str>,
    pub client_host: Arc<str>,
    pub rebalance_timeout_ms: i32,
    pub session_timeout_ms: i32,
    pub protocol_type: Arc<str>,
    pub protocols: Vec<Protocol>,
    /// Why the client joins, for the log.
    pub reason: Option<Box<str>>,
    /// A random UUID, the end of the member's id if the member needs a new id.
    pub uuid: Uuid,
}

impl JoinRequest {
    fn new_member_id(&self) -> MemberId {
        let prefix = self.group_instance_id.as_ref().unwrap_or(&self.client_id);
        format!("{prefix}-{}", self.uuid).into()
    }

    fn reason(&self) -> &str {
        self.reason.as_deref().unwrap_or("not provided")
    }
}

impl GroupMetadata {
    /// A member joins or rejoins. The answer comes immediately or when the join phase ends.
    pub fn join(&mut self, request: JoinRequest, ticket: Ticket, now: Now) {
        let refuse = |group: &mut Self, member_id: &str, error| {
            group
                .effects
                .push(Effect::AnswerJoin(ticket, JoinResult::error(member_id, error)));
        };
        if !self.has_room_for(&request.member_id) {
            self.remove(&request.member_id);
            refuse(self, "", ErrorCode::GroupMaxSizeReached);
        } else if self.state == GroupState::Dead {
            refuse(self, &request.member_id, ErrorCode::CoordinatorNotAvailable);
        } else if !self.supports_protocols(&request.protocol_type, &request.protocols) {
            refuse(self, &request.member_id, ErrorCode::InconsistentGroupProtocol);
        } else if request.member_id.is_empty() {
            self.join_new_member(request, ticket, now);
        } else if self.pending_members.contains_key(&request.member_id) {
            // Only dynamic members get an id this way.
            match request.group_instance_id {
                None => self.add_member_and_rebalance(request.member_id.clone(), request, ticket, now),
                Some(_) => refuse(self, "", ErrorCode::UnknownServerError),
            }
        } else {
            match self.validate_member(&request.member_id, request.group_instance_id.as_deref()) {
                Ok(()) => self.rejoin(request, ticket, now),
                Err(error) => refuse(self, &request.member_id, error),
            }
        }
        self.try_complete_join(now);
    }

    /// Checks `group.max.size`. During a rebalance only waiting members count: if the limit was lowered below the size
    /// of the group, the last members to rejoin are refused.
    fn has_room_for(&self, member_id: &str) -> bool {
        let member = self.members.get(member_id);
        match self.state {
            GroupState::Empty | GroupState::Dead => true,
            GroupState::PreparingRebalance => {
                member.is_some_and(|m| m.awaiting_join.is_some())
                    || self.members_awaiting_join() < self.limits.max_size
            }
            GroupState::CompletingRebalance | GroupState::Stable => {
                member.is_some() || self.members.len() < self.limits.max_size
            }
        }
    }

    fn join_new_member(&mut self, request: JoinRequest, ticket: Ticket, now: Now) {
        let new_member_id = request.new_member_id();
        if let Some(instance_id) = &request.group_instance_id {
            match self.static_members.get(instance_id).cloned() {
                Some(old) => self.replace_and_rebalance(&old, new_member_id, request, ticket, now),
                None => self.add_member_and_rebalance(new_member_id, request, ticket, now),
            }
        } else if request.require_known_member_id {
            let deadline_ms = now.monotonic_ms + i64::from(request.session_timeout_ms);
            self.pending_members.insert(new_member_id.clone(), deadline_ms);
            self.arm(deadline_ms);
            let result = JoinResult::error(new_member_id, ErrorCode::MemberIdRequired);
            self.effects.push(Effect::AnswerJoin(ticket, result));
        } else {
            self.add_member_and_rebalance(new_member_id, request, ticket, now);
        }
    }

    fn rejoin(&mut self, request: JoinRequest, ticket: Ticket, now: Now) {
        let id = request.member_id.clone();
        let unchanged = self
            .members
            .get(&id)
            .is_some_and(|m| m.protocols == request.protocols);
        let tell_current_generation = match self.state {
            GroupState::PreparingRebalance => false,
            // The member may not have received the answer to its first JoinGroup.
            GroupState::CompletingRebalance => unchanged,
            // A leader rejoins to request a new assignment, for example because a topic has more partitions.
            GroupState::Stable => unchanged && !self.is_leader(&id),
            GroupState::Empty | GroupState::Dead => {
                let result = JoinResult::error(id, ErrorCode::UnknownMemberId);
                self.effects.push(Effect::AnswerJoin(ticket, result));
                return;
            }
        };
        if tell_current_generation {
            let result = self.join_result(&id);
            self.effects.push(Effect::AnswerJoin(ticket, result));
            return;
        }
        let reason = format!(
            "member {id} rejoined in state {:?}: {}",
            self.state,
            request.reason()
        );
        self.update_member(
            &id,
            request.protocols,
            request.rebalance_timeout_ms,
            request.session_timeout_ms,
        );
        self.await_join(&id, ticket);
        self.maybe_prepare_rebalance(&reason, now);
    }

    fn add_member_and_rebalance(
        &mut self,
        member_id: MemberId,
        request: JoinRequest,
        ticket: Ticket,
        now: Now,
    ) {
        if self.state == GroupState::PreparingRebalance && self.generation_id == 0 {
            self.new_member_added = true;
        }
        if self.members.is_empty() {
            self.protocol_type = Some(request.protocol_type.clone());
        }
        let reason = format!("new member {member_id}: {}", request.reason());
        let deadline_ms = now.monotonic_ms + NEW_MEMBER_JOIN_TIMEOUT_MS;
        self.add(Member {
            id: member_id,
            group_instance_id: request.group_instance_id,
            client_id: request.client_id,
            client_host: request.client_host,
            rebalance_timeout_ms: request.rebalance_timeout_ms,
            session_timeout_ms: request.session_timeout_ms,
            protocols: request.protocols,
            assignment: Bytes::new(),
            is_new: true,
            awaiting_join: Some(ticket),
            awaiting_sync: None,
            session_deadline_ms: Some(deadline_ms),
        });
        self.arm(deadline_ms);
        self.maybe_prepare_rebalance(&reason, now);
    }

    /// A static member was restarted and joins without its id. The member gets a new id. A rebalance follows only if
    /// one is running or if the member's protocols change the selected protocol.
    fn replace_and_rebalance(
        &mut self,
        old_member_id: &MemberId,
        new_member_id: MemberId,
        request: JoinRequest,
        ticket: Ticket,
        now: Now,
    ) {
        let Some(instance_id) = request.group_instance_id.clone() else {
            return;
        };
        info!(group = %self.id, %instance_id, old = %old_member_id, new = %new_member_id, "static member came back");
        let old_leader = self.leader.clone();
        self.replace_static_member(&instance_id, old_member_id, &new_member_id);
        let Some(old) = self.members.get(&new_member_id).cloned() else {
            return;
        };
        let reason = format!("static member {instance_id} came back: {}", request.reason());
        self.update_member(
            &new_member_id,
            request.protocols,
            request.rebalance_timeout_ms,
            request.session_timeout_ms,
        );
        self.await_join(&new_member_id, ticket);
        self.renew_session(&new_member_id, now);
        match self.state {
            GroupState::Stable if self.select_protocol() == self.protocol_name => {
                let store = GroupStore::StaticMember(Box::new(StaticMemberStore {
                    ticket,
                    group_instance_id: instance_id,
                    old_member_id: old_member_id.clone(),
                    new_member_id,
                    old_leader,
                    old_protocols: old.protocols,
                    old_rebalance_timeout_ms: old.rebalance_timeout_ms,
                    old_session_timeout_ms: old.session_timeout_ms,
                    supports_skipping_assignment: request.supports_skipping_assignment,
                }));
                let value = self.to_log(|member| member.assignment.clone());
                self.effects.push(Effect::Store(value, store));
            }
            // The leader may be assigning partitions to the old id now.
            GroupState::Stable | GroupState::CompletingRebalance => self.prepare_rebalance(&reason, now),
            GroupState::PreparingRebalance => {}
            GroupState::Empty | GroupState::Dead => {
                unreachable!("group {} has a member in state {:?}", self.id, self.state)
            }
        }
    }

    /// The record with a static member's new id is replicated, or it failed.
    pub(super) fn on_static_member_stored(&mut self, store: StaticMemberStore, error: ErrorCode, now: Now) {
        let id = &store.new_member_id;
        let waits = self
            .members
            .get(id)
            .is_some_and(|m| m.awaiting_join == Some(store.ticket));
        // A rebalance has begun since: the member waits in it, and the end of the rebalance writes the new id.
        if !waits || self.state != GroupState::Stable {
            return;
        }
        let mut result = self.join_result(id);
        if error.is_error() {
            result.error = error;
            result.member_id = "".into();
            result.leader = store.old_leader;
            result.members = Vec::new();
            self.answer_join(id, result);
            let old = &store.old_member_id;
            self.replace_static_member(&store.group_instance_id, id, old);
            let (rebalance_ms, session_ms) = (store.old_rebalance_timeout_ms, store.old_session_timeout_ms);
            self.update_member(old, store.old_protocols, rebalance_ms, session_ms);
            self.renew_session(old, now);
            return;
        }
        if store.supports_skipping_assignment {
            result.skip_assignment = self.is_leader(id);
        } else {
            // The member must not act as leader and send an assignment: no member would ask for that assignment.
            result.leader = store.old_leader;
            result.members = Vec::new();
        }
        self.answer_join(id, result);
        self.renew_session(id, now);
    }

    pub(super) fn maybe_prepare_rebalance(&mut self, reason: &str, now: Now) {
        if self.state.may_become(GroupState::PreparingRebalance) {
            self.prepare_rebalance(reason, now);
        }
    }

    /// Starts the join phase.
    pub(super) fn prepare_rebalance(&mut self, reason: &str, now: Now) {
        if self.state == GroupState::CompletingRebalance {
            self.reset_assignments(ErrorCode::RebalanceInProgress, now);
        }
        self.pending_sync_members.clear();
        self.sync_deadline_ms = None;
        let timeout_ms = self.rebalance_timeout_ms();
        let initial = (self.state == GroupState::Empty).then(|| {
            let delay_ms = self.limits.initial_rebalance_delay_ms;
            InitialDelay {
                delay_ms,
                remaining_ms: (timeout_ms - delay_ms).max(0),
            }
        });
        self.transition_to(GroupState::PreparingRebalance, now);
        info!(group = %self.id, generation = self.generation_id, reason, "preparing to rebalance");
        self.start_join_timer(initial.map_or(timeout_ms, |i| i.delay_ms), initial, now);
        self.try_complete_join(now);
    }

    fn start_join_timer(&mut self, delay_ms: i64, initial: Option<InitialDelay>, now: Now) {
        let deadline_ms = now.monotonic_ms + delay_ms;
        self.join_timer = Some(JoinTimer { deadline_ms, initial });
        self.arm(deadline_ms);
    }

    /// Ends the join phase before its deadline if the group waits for no other member.
    pub(super) fn try_complete_join(&mut self, now: Now) {
        if let Some(JoinTimer { initial: None, .. }) = self.join_timer
            && self.has_all_members_joined()
        {
            self.complete_join(now);
        }
    }

    /// The join timer has expired. The join phase ends, except for an initial delay in which members arrived.
    pub(super) fn on_join_timer(&mut self, timer: JoinTimer, now: Now) {
        match timer.initial {
            Some(initial) if self.new_member_added && initial.remaining_ms > 0 => {
                self.new_member_added = false;
                let delay_ms = self.limits.initial_rebalance_delay_ms.min(initial.remaining_ms);
                let remaining_ms = (initial.remaining_ms - initial.delay_ms).max(0);
                self.start_join_timer(
                    delay_ms,
                    Some(InitialDelay {
                        delay_ms,
                        remaining_ms,
                    }),
                    now,
                );
            }
            _ => self.complete_join(now),
        }
    }

    fn complete_join(&mut self, now: Now) {
        self.join_timer = None;
        for id in self.member_ids() {
            let member = &self.members[&id];
            if member.awaiting_join.is_none() && !member.is_static() {
                info!(group = %self.id, member = %id, "member did not rejoin in time, removing it");
                self.remove(&id);
            }
        }
        if !self.members.is_empty() && !self.elect_joined_leader() {
            // Only static members are left and none of them rejoined. Wait again until they rejoin or their sessions
            // expire.
            info!(group = %self.id, "no member rejoined, waiting again");
            self.start_join_timer(self.rebalance_timeout_ms(), None, now);
            return;
        }
        self.generation_id = self.generation_id.wrapping_add(1);
        self.new_member_added = false;
        self.pending_sync_members.clear();
        if self.members.is_empty() {
            self.protocol_name = None;
            self.subscribed_topics = self.compute_subscribed_topics();
            self.transition_to(GroupState::Empty, now);
            info!(group = %self.id, generation = self.generation_id, "group is empty");
            let value = self.to_log(|_| Bytes::new());
            self.effects.push(Effect::Store(value, GroupStore::Empty));
        } else {
            self.start_generation(now);
        }
    }

    /// Keeps the leader if it rejoined, else selects the first member that rejoined. Returns false if none did.
    fn elect_joined_leader(&mut self) -> bool {
        let has_joined = |member: &&Member| member.awaiting_join.is_some();
        let leader = self.leader.as_ref().and_then(|id| self.members.get(id));
        if leader.as_ref().is_some_and(has_joined) {
            return true;
        }
        match self.members.values().find(has_joined) {
            Some(member) => {
                self.leader = Some(member.id.clone());
                true
            }
            None => false,
        }
    }

    /// Sends the new generation to every member. Each member must then send SyncGroup.
    fn start_generation(&mut self, now: Now) {
        self.protocol_name = self.select_protocol();
        assert!(
            self.protocol_name.is_some(),
            "group {} admitted members that have no protocol in common",
            self.id
        );
        self.subscribed_topics = self.compute_subscribed_topics();
        self.transition_to(GroupState::CompletingRebalance, now);
        info!(
            group = %self.id,
            generation = self.generation_id,
            members = self.members.len(),
            "members have joined"
        );
        for id in self.member_ids() {
            let result = self.join_result(&id);
            self.answer_join(&id, result);
            self.renew_session(&id, now);
            if let Some(member) = self.members.get_mut(&id) {
                member.is_new = false;
            }
            self.pending_sync_members.insert(id);
        }
        let deadline_ms = now.monotonic_ms + self.rebalance_timeout_ms();
        self.sync_deadline_ms = Some(deadline_ms);
        self.arm(deadline_ms);
    }

    /// Clears the assignments of this generation and answers the waiting SyncGroup requests with `error`.
    pub(super) fn reset_assignments(&mut self, error: ErrorCode, now: Now) {
        for id in self.member_ids() {
            if let Some(member) = self.members.get_mut(&id) {
                member.assignment = Bytes::new();
            }
            if self.answer_sync(&id, SyncResult::error(error)) {
                self.renew_session(&id, now);
            }
        }
    }
}

#[cfg(test)]
mod tests;
