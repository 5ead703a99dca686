//! What comes out of the group state machine: answers to requests that wait, and records to be written.

use std::sync::Arc;

use bytes::Bytes;

use super::log::GroupMetadataValue;
use super::member::{MemberId, Protocol, Ticket};
use crate::common::error::ErrorCode;

/// The two clocks at one moment. Timers run on the monotonic one, records carry the wall clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// Milliseconds since some fixed point in the past.
    pub monotonic_ms: i64,
    /// Milliseconds since 1970.
    pub wall_ms: i64,
}

/// What the leader is told of each member.
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
    /// For the leader only.
    pub members: Vec<JoinedMember>,
}

impl JoinResult {
    /// A refusal; with [`ErrorCode::MemberIdRequired`] it carries the id to join with.
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
    /// A refusal.
    pub fn error(error: ErrorCode) -> Self {
        Self {
            error,
            protocol_type: None,
            protocol_name: None,
            assignment: Bytes::new(),
        }
    }
}

/// Why a group record is written, and all that is needed to go on when it is (or cannot be) replicated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GroupStore {
    /// The leader's assignment of this generation: then Stable, or rebalance again.
    Assignment {
        /// The generation it is for.
        generation_id: i32,
        /// Of every member, in the order of their ids.
        assignments: Vec<(MemberId, Bytes)>,
    },
    /// A static member came back under a new id without need to rebalance: then answer it, or take it back.
    StaticMember(Box<StaticMemberStore>),
    /// The last member left: nothing depends on the record.
    Empty,
}

/// See [`GroupStore::StaticMember`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StaticMemberStore {
    /// Its JoinGroup.
    pub ticket: Ticket,
    /// Its `group.instance.id`.
    pub group_instance_id: Arc<str>,
    /// The id it was known by.
    pub old_member_id: MemberId,
    /// The id it has now.
    pub new_member_id: MemberId,
    /// The leader before it came back, perhaps itself under its old id.
    pub old_leader: Option<MemberId>,
    /// What it supported before, to be restored if the record cannot be written.
    pub old_protocols: Vec<Protocol>,
    /// As above.
    pub old_rebalance_timeout_ms: i32,
    /// As above.
    pub old_session_timeout_ms: i32,
    /// JoinGroup from version 9: the leader may be told that it leads, with `skip_assignment`.
    pub supports_skipping_assignment: bool,
}

/// What the coordinator must do, in this order, after the state machine took an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Answer a waiting JoinGroup.
    AnswerJoin(Ticket, JoinResult),
    /// Answer a waiting SyncGroup.
    AnswerSync(Ticket, SyncResult),
    /// Append a group record; then tell the state machine by `on_stored`.
    Store(GroupMetadataValue, GroupStore),
}
