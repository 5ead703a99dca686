//! The sync phase of a rebalance: stores the leader's assignment and sends it to the members. Kafka 3.9:
//! `GroupCoordinator` (`handleSyncGroup`, `propagateAssignment`), `DelayedSync`.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use tracing::{info, warn};

use super::effect::{Effect, GroupStore, Now, SyncResult};
use super::group_metadata::GroupMetadata;
use super::member::{MemberId, Ticket};
use super::state::GroupState;
use crate::common::error::ErrorCode;

/// A SyncGroup, independent of its version.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "the fields of SyncGroupRequest")]
pub struct SyncRequest {
    pub generation_id: i32,
    pub member_id: Arc<str>,
    pub group_instance_id: Option<Arc<str>>,
    pub protocol_type: Option<Arc<str>>,
    pub protocol_name: Option<Arc<str>>,
    /// The assignments from the leader. Empty in a follower's request.
    pub assignments: HashMap<Arc<str>, Bytes>,
}

impl GroupMetadata {
    /// A member asks for its assignment. The leader's request brings the assignments of all members.
    pub fn sync(&mut self, request: SyncRequest, ticket: Ticket, now: Now) {
        let validity = self.validate_sync(&request);
        let error = match (validity, self.state) {
            (Err(error), _) => error,
            (Ok(()), GroupState::PreparingRebalance) => ErrorCode::RebalanceInProgress,
            (Ok(()), GroupState::CompletingRebalance) => {
                self.await_sync(&request.member_id, ticket);
                self.note_sync(&request.member_id);
                if self.is_leader(&request.member_id) {
                    self.store_assignments(request);
                }
                return;
            }
            (Ok(()), GroupState::Stable) => {
                self.note_sync(&request.member_id);
                let result = self.sync_result(&request.member_id);
                self.effects.push(Effect::AnswerSync(ticket, result));
                self.renew_session(&request.member_id, now);
                return;
            }
            (Ok(()), GroupState::Empty | GroupState::Dead) => ErrorCode::UnknownMemberId,
        };
        self.effects
            .push(Effect::AnswerSync(ticket, SyncResult::error(error)));
    }

    fn validate_sync(&self, request: &SyncRequest) -> Result<(), ErrorCode> {
        let differs = |theirs: &Option<Arc<str>>, ours: &Option<Arc<str>>| theirs.is_some() && theirs != ours;
        if self.state == GroupState::Dead {
            return Err(ErrorCode::CoordinatorNotAvailable);
        }
        self.validate_member(&request.member_id, request.group_instance_id.as_deref())?;
        if request.generation_id != self.generation_id {
            Err(ErrorCode::IllegalGeneration)
        } else if differs(&request.protocol_type, &self.protocol_type)
            || differs(&request.protocol_name, &self.protocol_name)
        {
            Err(ErrorCode::InconsistentGroupProtocol)
        } else {
            Ok(())
        }
    }

    fn note_sync(&mut self, member_id: &str) {
        self.pending_sync_members.remove(member_id);
        if self.pending_sync_members.is_empty() {
            self.sync_deadline_ms = None;
        }
    }

    fn store_assignments(&mut self, mut request: SyncRequest) {
        let assignments: Vec<(MemberId, Bytes)> = self
            .members
            .keys()
            .map(|id| (id.clone(), request.assignments.remove(id).unwrap_or_default()))
            .collect();
        let by_id: HashMap<&str, &Bytes> = assignments.iter().map(|(id, a)| (&**id, a)).collect();
        let value = self.to_log(|member| {
            by_id
                .get(&*member.id)
                .map(|a| Bytes::clone(a))
                .unwrap_or_default()
        });
        let generation_id = self.generation_id;
        info!(group = %self.id, generation = generation_id, "assignment received from the leader");
        self.effects.push(Effect::Store(
            value,
            GroupStore::Assignment {
                generation_id,
                assignments,
            },
        ));
    }

    /// A group record is replicated, or it failed. `error` is the code for the clients.
    pub fn on_stored(&mut self, store: GroupStore, error: ErrorCode, now: Now) {
        match store {
            GroupStore::Assignment {
                generation_id,
                assignments,
            } => self.on_assignment_stored(generation_id, assignments, error, now),
            GroupStore::StaticMember(store) => self.on_static_member_stored(*store, error, now),
            GroupStore::Empty if error.is_error() => {
                // If this broker fails now, the next coordinator loads the members of the last generation, and their
                // sessions expire there.
                warn!(group = %self.id, %error, "cannot write that the group is empty");
            }
            GroupStore::Empty => {}
        }
    }

    fn on_assignment_stored(
        &mut self,
        generation_id: i32,
        assignments: Vec<(MemberId, Bytes)>,
        error: ErrorCode,
        now: Now,
    ) {
        // If a member joined while the record was being written, the new rebalance has already answered the requests.
        if self.state != GroupState::CompletingRebalance || self.generation_id != generation_id {
            return;
        }
        if error.is_error() {
            self.reset_assignments(error, now);
            self.maybe_prepare_rebalance("the assignment could not be written", now);
            return;
        }
        for (id, assignment) in assignments {
            if let Some(member) = self.members.get_mut(&id) {
                member.assignment = assignment;
            }
        }
        self.transition_to(GroupState::Stable, now);
        for id in self.member_ids() {
            let result = self.sync_result(&id);
            if self.answer_sync(&id, result) {
                self.renew_session(&id, now);
            }
        }
    }

    fn sync_result(&self, member_id: &str) -> SyncResult {
        let member = self.members.get(member_id);
        SyncResult {
            error: ErrorCode::None,
            protocol_type: self.protocol_type.clone(),
            protocol_name: self.protocol_name.clone(),
            assignment: member.map(|m| m.assignment.clone()).unwrap_or_default(),
        }
    }

    /// Removes the members that did not send SyncGroup in time (fact 64).
    pub(super) fn on_sync_timer(&mut self, now: Now) {
        let missing = std::mem::take(&mut self.pending_sync_members);
        if missing.is_empty() {
            return;
        }
        for id in &missing {
            info!(group = %self.id, member = %id, "member did not ask for its assignment in time, removing it");
            self.remove(id);
        }
        self.maybe_prepare_rebalance("members did not ask for their assignment in time", now);
    }
}

#[cfg(test)]
mod tests;
