//! The effects of the group state machine: answers to waiting requests, and records to write.

use std::sync::Arc;

use bytes::Bytes;

use super::log::GroupMetadataValue;
use super::member::{MemberId, Protocol, Ticket};
use crate::common::error::ErrorCode;

/// Both clocks at one moment. Timers use the monotonic clock, records use the wall clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// Milliseconds since a fixed point in the past.
    pub monotonic_ms: i64,
    /// Milliseconds since 1970.
    pub wall_ms: i64,
}

/// One member, as the JoinGroup answer to the leader describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields of JoinGroupResponseMember")]
pub struct JoinedMember {
    pub member_id: MemberId,
    pub group_instance_id: Option<Arc<str>>,
    pub metadata: Bytes,
}

/// The answer to a JoinGroup.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields of JoinGroupResponse")]
pub struct JoinResult {
    pub error: ErrorCode,
    pub member_id: Arc<str>,
    pub generation_id: i32,
    pub protocol_type: Option<Arc<str>>,
    pub protocol_name: Option<Arc<str>>,
    pub leader: Option<MemberId>,
    pub skip_assignment: bool,
    /// Empty in the answers to followers.
    pub members: Vec<JoinedMember>,
}

impl JoinResult {
    /// An error answer. With [`ErrorCode::MemberIdRequired`] it carries the member id to join with.
    pub fn error(member_id: impl Into<Arc<str>>, error: ErrorCode) -> Self {
        Self {
            error,
            member_id: member_id.into(),
            generation_id: -1,
            protocol_type: None,
            protocol_name: None,
            leader: None,
            skip_assignment: false,
            members: Vec::new(),
        }
    }
}

/// The answer to a SyncGroup.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields of SyncGroupResponse")]
pub struct SyncResult {
    pub error: ErrorCode,
    pub protocol_type: Option<Arc<str>>,
    pub protocol_name: Option<Arc<str>>,
    pub assignment: Bytes,
}

impl SyncResult {
    /// An error answer.
    pub fn error(error: ErrorCode) -> Self {
        Self {
            error,
            protocol_type: None,
            protocol_name: None,
            assignment: Bytes::new(),
        }
    }
}

/// Why a group record is written, and the data to continue with when the record is replicated or fails.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GroupStore {
    /// The record stores the leader's assignment. On success the group becomes Stable, on failure it rebalances again.
    Assignment {
        /// The generation of the assignment.
        generation_id: i32,
        /// The assignment of every member, in the order of the member ids.
        assignments: Vec<(MemberId, Bytes)>,
    },
    /// A static member came back with a new id and no rebalance is needed. On success the member is answered, on
    /// failure the change is undone.
    StaticMember(Box<StaticMemberStore>),
    /// The last member left. Nothing depends on this record.
    Empty,
}

/// The data of [`GroupStore::StaticMember`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StaticMemberStore {
    /// The member's JoinGroup.
    pub ticket: Ticket,
    /// The member's `group.instance.id`.
    pub group_instance_id: Arc<str>,
    /// The member's id before.
    pub old_member_id: MemberId,
    /// The member's id now.
    pub new_member_id: MemberId,
    /// The group's leader before the member came back. It may be the same member under its old id.
    pub old_leader: Option<MemberId>,
    /// The member's protocols before, restored if the record cannot be written.
    pub old_protocols: Vec<Protocol>,
    /// The member's rebalance timeout before, restored likewise.
    pub old_rebalance_timeout_ms: i32,
    /// The member's session timeout before, restored likewise.
    pub old_session_timeout_ms: i32,
    /// True for JoinGroup from version 9: the answer may name the member as leader and set `skip_assignment`.
    pub supports_skipping_assignment: bool,
}

/// An action for the coordinator after an event. Actions are executed in the order in which they come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Answer a waiting JoinGroup.
    AnswerJoin(Ticket, JoinResult),
    /// Answer a waiting SyncGroup.
    AnswerSync(Ticket, SyncResult),
    /// Append a group record, then call `on_stored` on the state machine.
    Store(GroupMetadataValue, GroupStore),
}
