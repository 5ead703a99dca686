//! The life of members: heartbeats, leaving, sessions and all other timers. Also the loading and unloading of the
//! group. Kafka 3.9: `GroupCoordinator` (`handleHeartbeat`, `handleLeaveGroup`, `onExpireHeartbeat`,
//! `validateOffsetCommit`), `DelayedHeartbeat`.

use std::sync::Arc;

use tracing::{debug, info};

use super::effect::{JoinResult, Now, SyncResult};
use super::group_metadata::GroupMetadata;
use super::state::GroupState;
use crate::common::error::ErrorCode;

/// A leaving member, named by its id. An administrator that removes a member names its `group.instance.id`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields of LeaveGroupRequest.MemberIdentity")]
pub struct LeavingMember {
    pub member_id: Arc<str>,
    pub group_instance_id: Option<Arc<str>>,
    pub reason: Option<Box<str>>,
}

impl GroupMetadata {
    /// Handles a heartbeat of a member.
    pub fn heartbeat(
        &mut self,
        member_id: &str,
        group_instance_id: Option<&str>,
        generation_id: i32,
        now: Now,
    ) -> ErrorCode {
        if self.state == GroupState::Dead {
            return ErrorCode::CoordinatorNotAvailable;
        }
        if let Err(error) = self.validate_member(member_id, group_instance_id) {
            return error;
        }
        if generation_id != self.generation_id {
            return ErrorCode::IllegalGeneration;
        }
        self.renew_session(member_id, now);
        match self.state {
            GroupState::PreparingRebalance => ErrorCode::RebalanceInProgress,
            GroupState::CompletingRebalance | GroupState::Stable => ErrorCode::None,
            GroupState::Empty | GroupState::Dead => ErrorCode::UnknownMemberId,
        }
    }

    /// Members leave. Returns an error code for each, or one error for all.
    pub fn leave(&mut self, leaving: &[LeavingMember], now: Now) -> Result<Vec<ErrorCode>, ErrorCode> {
        if self.state == GroupState::Dead {
            return Err(ErrorCode::CoordinatorNotAvailable);
        }
        Ok(leaving.iter().map(|member| self.leave_one(member, now)).collect())
    }

    fn leave_one(&mut self, leaving: &LeavingMember, now: Now) -> ErrorCode {
        let instance_id = leaving.group_instance_id.as_deref();
        let member_id = if !leaving.member_id.is_empty() {
            if self.pending_members.contains_key(&leaving.member_id) {
                self.remove(&leaving.member_id);
                self.try_complete_join(now);
                return ErrorCode::None;
            }
            if let Err(error) = self.validate_member(&leaving.member_id, instance_id) {
                return error;
            }
            leaving.member_id.clone()
        } else {
            match instance_id.and_then(|instance_id| self.static_members.get(instance_id)) {
                Some(current) => current.clone(),
                None => return ErrorCode::UnknownMemberId,
            }
        };
        let reason = leaving.reason.as_deref().unwrap_or("not provided");
        info!(group = %self.id, member = %member_id, reason, "member leaves");
        self.remove_member_and_rebalance(&member_id, "a member left", now);
        ErrorCode::None
    }

    fn remove_member_and_rebalance(&mut self, member_id: &str, reason: &str, now: Now) {
        self.remove(member_id);
        self.maybe_prepare_rebalance(reason, now);
        self.try_complete_join(now);
    }

    /// Whether an offset commit is allowed: from a member of this generation or, if the group has no members, from a
    /// client without group membership (`generation_id` below 0). The commit counts as a heartbeat.
    pub fn accept_offset_commit(
        &mut self,
        member_id: &str,
        group_instance_id: Option<&str>,
        generation_id: i32,
        now: Now,
    ) -> Result<(), ErrorCode> {
        if self.state == GroupState::Dead {
            return Err(ErrorCode::CoordinatorNotAvailable);
        }
        if self.state == GroupState::Empty && generation_id < 0 {
            return Ok(());
        }
        if generation_id < 0 && member_id.is_empty() && group_instance_id.is_none() {
            return Err(ErrorCode::UnknownMemberId);
        }
        self.validate_member(member_id, group_instance_id)?;
        if generation_id != self.generation_id {
            return Err(ErrorCode::IllegalGeneration);
        }
        if self.state == GroupState::CompletingRebalance {
            // The member is valid but has no assignment yet. It must finish the rebalance first.
            return Err(ErrorCode::RebalanceInProgress);
        }
        self.renew_session(member_id, now);
        Ok(())
    }

    /// Whether an offset commit within a transaction is allowed: from a member of this generation, or from a producer
    /// that names neither member nor generation. The commit does not count as a heartbeat.
    pub fn accept_transactional_offset_commit(
        &mut self,
        member_id: &str,
        group_instance_id: Option<&str>,
        generation_id: i32,
    ) -> Result<(), ErrorCode> {
        if self.state == GroupState::Dead {
            return Err(ErrorCode::CoordinatorNotAvailable);
        }
        if self.state == GroupState::Empty && generation_id < 0 {
            return Ok(());
        }
        if generation_id < 0 && member_id.is_empty() && group_instance_id.is_none() {
            return Ok(());
        }
        self.validate_member(member_id, group_instance_id)?;
        match generation_id == self.generation_id {
            true => Ok(()),
            false => Err(ErrorCode::IllegalGeneration),
        }
    }

    /// Runs everything that is due at `now`, and computes the next deadline.
    pub fn tick(&mut self, now: Now) {
        self.wake_at_ms = None;
        if self.state == GroupState::Dead {
            return;
        }
        let is_due = |deadline_ms: i64| deadline_ms <= now.monotonic_ms;
        let due_pending = self
            .pending_members
            .iter()
            .filter(|&(_, &deadline)| is_due(deadline));
        for id in due_pending.map(|(id, _)| id.clone()).collect::<Vec<_>>() {
            info!(group = %self.id, member = %id, "member did not come back with the id it was given");
            self.remove(&id);
            self.try_complete_join(now);
        }
        self.end_sessions(now);
        if let Some(timer) = self.join_timer
            && is_due(timer.deadline_ms)
        {
            self.on_join_timer(timer, now);
        }
        if self.sync_deadline_ms.is_some_and(is_due) {
            self.sync_deadline_ms = None;
            self.on_sync_timer(now);
        }
        let sessions = self
            .members
            .values()
            .filter_map(|member| member.session_deadline_ms);
        let next = sessions
            .chain(self.pending_members.values().copied())
            .chain(self.join_timer.map(|timer| timer.deadline_ms))
            .chain(self.sync_deadline_ms)
            .min();
        self.wake_at_ms = next;
    }

    fn end_sessions(&mut self, now: Now) {
        for id in self.member_ids() {
            // An earlier removal may have changed the group, so each member is looked up again.
            let Some(member) = self.members.get_mut(&id) else {
                continue;
            };
            if member
                .session_deadline_ms
                .is_none_or(|deadline_ms| deadline_ms > now.monotonic_ms)
            {
                continue;
            }
            member.session_deadline_ms = None;
            if member.is_excused() {
                debug!(group = %self.id, member = %id, "session ends while a request of the member waits");
            } else {
                info!(group = %self.id, member = %id, "member has failed, removing it");
                self.remove_member_and_rebalance(&id, "a member's session ended", now);
            }
        }
    }

    /// The group was read from the log, so its sessions start. If the group is larger than `group.max.size`, it
    /// rebalances. This lets every member commit its offsets before the last members are refused.
    pub fn on_loaded(&mut self, now: Now) {
        if self.members.len() > self.limits.max_size {
            self.prepare_rebalance("the group read from the log is over group.max.size", now);
        }
        for id in self.member_ids() {
            self.renew_session(&id, now);
        }
    }

    /// The group moves to another coordinator. Waiting requests are answered with NOT_COORDINATOR.
    pub fn unload(&mut self, now: Now) {
        self.transition_to(GroupState::Dead, now);
        for id in self.member_ids() {
            self.answer_join(&id, JoinResult::error(&*id, ErrorCode::NotCoordinator));
            self.answer_sync(&id, SyncResult::error(ErrorCode::NotCoordinator));
        }
        self.join_timer = None;
        self.sync_deadline_ms = None;
        self.wake_at_ms = None;
    }
}

#[cfg(test)]
mod tests;
