//! Handles the requests of the API layer except commits: membership, committed offsets, descriptions. Kafka 3.9:
//! `GroupCoordinator` (`handle…` methods).
//!
//! While a group's partition is being loaded, most requests are refused with COORDINATOR_LOAD_IN_PROGRESS. Old clients
//! do not expect this code in two answers: a heartbeat is accepted, and a SyncGroup is told to rejoin (fact 62).

use std::sync::Arc;

use tokio::sync::oneshot;

use super::coordinator::GroupCoordinator;
use super::effect::{JoinResult, Now, SyncResult};
use super::group_metadata::GroupMetadata;
use super::join::JoinRequest;
use super::liveness::LeavingMember;
use super::member::{Member, Ticket};
use super::offsets::OffsetAndMetadata;
use super::partition_groups::{Group, GroupCell};
use super::state::GroupState;
use super::sync::SyncRequest;
use crate::common::error::ErrorCode;
use crate::common::ids::TopicPartition;

/// The group type of every group of this coordinator in ListGroups.
pub const CLASSIC_GROUP_TYPE: &str = "classic";

/// The answer of OffsetFetch for one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FetchedOffset {
    /// The committed offset.
    Committed(OffsetAndMetadata),
    /// No offset is committed.
    None,
    /// A commit in progress or an open transaction may change the offset, and the client requires a stable one:
    /// UNSTABLE_OFFSET_COMMIT.
    Unstable,
}

/// One group as DescribeGroups shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupDescription {
    /// The group's state. A group that does not exist is Dead.
    pub state: GroupState,
    /// Empty if the group has none.
    pub protocol_type: Arc<str>,
    /// The selected protocol. Empty unless the group is Stable.
    pub protocol: Arc<str>,
    /// The members. Metadata and assignment are empty unless the group is Stable.
    pub members: Vec<Member>,
}

/// One group as ListGroups shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedGroup {
    /// The group's id.
    pub group_id: Arc<str>,
    /// Empty if the group has none.
    pub protocol_type: Arc<str>,
    /// The group's state.
    pub state: GroupState,
}

/// Refuses the empty group id, which only the offset APIs, DescribeGroups and DeleteGroups accept.
fn require_group_id(group_id: &str) -> Result<(), ErrorCode> {
    match group_id.is_empty() {
        true => Err(ErrorCode::InvalidGroupId),
        false => Ok(()),
    }
}

impl GroupCoordinator {
    /// Handles JoinGroup. Waits until the join phase is over.
    pub async fn join_group(&self, group_id: &str, request: JoinRequest) -> JoinResult {
        let member_id = request.member_id.clone();
        let group = match self.group_to_join(group_id, &request) {
            Ok(group) => group,
            Err(error) => return JoinResult::error(member_id, error),
        };
        let joining = self.wait_in(&group, |cell, ticket, answer, now| {
            cell.joins.insert(ticket, answer);
            cell.metadata.join(request, ticket, now);
        });
        let answer = joining.await;
        answer.unwrap_or_else(|_| JoinResult::error(member_id, ErrorCode::CoordinatorNotAvailable))
    }

    fn group_to_join(&self, group_id: &str, request: &JoinRequest) -> Result<Arc<Group>, ErrorCode> {
        require_group_id(group_id)?;
        let existing = self.find(group_id)?;
        let allowed = self.config.min_session_timeout_ms..=self.config.max_session_timeout_ms;
        if !allowed.contains(&request.session_timeout_ms) {
            return Err(ErrorCode::InvalidSessionTimeout);
        }
        match existing {
            Some(group) => Ok(group),
            None if request.member_id.is_empty() => self.find_or_create(group_id),
            None => Err(ErrorCode::UnknownMemberId),
        }
    }

    /// Handles SyncGroup. Waits until the leader's assignment is stored.
    pub async fn sync_group(&self, group_id: &str, request: SyncRequest) -> SyncResult {
        let group = match require_group_id(group_id).and_then(|()| self.find(group_id)) {
            Ok(Some(group)) => group,
            Ok(None) => return SyncResult::error(ErrorCode::UnknownMemberId),
            Err(ErrorCode::CoordinatorLoadInProgress) => {
                return SyncResult::error(ErrorCode::RebalanceInProgress);
            }
            Err(error) => return SyncResult::error(error),
        };
        let syncing = self.wait_in(&group, |cell, ticket, answer, now| {
            cell.syncs.insert(ticket, answer);
            cell.metadata.sync(request, ticket, now);
        });
        let answer = syncing.await;
        answer.unwrap_or_else(|_| SyncResult::error(ErrorCode::CoordinatorNotAvailable))
    }

    /// Applies an event whose answer may come later.
    fn wait_in<T>(
        &self,
        group: &Arc<Group>,
        event: impl FnOnce(&mut GroupCell, Ticket, oneshot::Sender<T>, Now),
    ) -> oneshot::Receiver<T> {
        let (answer, waiting) = oneshot::channel();
        let ticket = self.next_ticket();
        self.drive(group, |cell, now| event(cell, ticket, answer, now));
        waiting
    }

    /// Handles Heartbeat.
    pub fn heartbeat(
        &self,
        group_id: &str,
        member_id: &str,
        group_instance_id: Option<&str>,
        generation_id: i32,
    ) -> ErrorCode {
        match require_group_id(group_id).and_then(|()| self.find(group_id)) {
            Ok(Some(group)) => self.drive(&group, |cell, now| {
                cell.metadata
                    .heartbeat(member_id, group_instance_id, generation_id, now)
            }),
            Ok(None) => ErrorCode::UnknownMemberId,
            Err(ErrorCode::CoordinatorLoadInProgress) => ErrorCode::None,
            Err(error) => error,
        }
    }

    /// Handles LeaveGroup. Returns an error code for each member, or one error for all.
    pub fn leave_group(
        &self,
        group_id: &str,
        leaving: &[LeavingMember],
    ) -> Result<Vec<ErrorCode>, ErrorCode> {
        require_group_id(group_id)?;
        match self.find(group_id)? {
            Some(group) => self.drive(&group, |cell, now| cell.metadata.leave(leaving, now)),
            None => Ok(vec![ErrorCode::UnknownMemberId; leaving.len()]),
        }
    }

    /// Handles OffsetFetch for these partitions, or for all partitions that have an offset.
    pub fn fetch_offsets(
        &self,
        group_id: &str,
        require_stable: bool,
        partitions: Option<Vec<TopicPartition>>,
    ) -> Result<Vec<(TopicPartition, FetchedOffset)>, ErrorCode> {
        let Some(group) = self.find(group_id)? else {
            let none = |partition| (partition, FetchedOffset::None);
            return Ok(partitions.unwrap_or_default().into_iter().map(none).collect());
        };
        Ok(group.view(|metadata| {
            let offsets = &metadata.offsets;
            let is_dead = metadata.state() == GroupState::Dead;
            let fetch = |partition: &TopicPartition| {
                if is_dead {
                    return FetchedOffset::None;
                }
                if require_stable && offsets.is_unstable(partition) {
                    return FetchedOffset::Unstable;
                }
                offsets
                    .get(partition)
                    .cloned()
                    .map_or(FetchedOffset::None, FetchedOffset::Committed)
            };
            let partitions = match partitions {
                Some(partitions) => partitions,
                None if is_dead => Vec::new(),
                None => offsets.partitions().cloned().collect(),
            };
            partitions
                .into_iter()
                .map(|partition| {
                    let offset = fetch(&partition);
                    (partition, offset)
                })
                .collect()
        }))
    }

    /// Handles DescribeGroups for one group.
    pub fn describe_group(&self, group_id: &str) -> Result<GroupDescription, ErrorCode> {
        let dead = GroupDescription {
            state: GroupState::Dead,
            protocol_type: "".into(),
            protocol: "".into(),
            members: Vec::new(),
        };
        Ok(self.find(group_id)?.map_or(dead, |group| group.view(describe)))
    }

    /// Handles ListGroups: lists the groups in one of these states (names in any case; an empty list means all states).
    /// While a partition is being loaded, its groups are missing from the list and an error code is returned with it.
    pub fn list_groups(&self, states: &[String], types: &[String]) -> (ErrorCode, Vec<ListedGroup>) {
        if !self.is_active() {
            return (ErrorCode::CoordinatorNotAvailable, Vec::new());
        }
        let code = match self.is_loading() {
            true => ErrorCode::CoordinatorLoadInProgress,
            false => ErrorCode::None,
        };
        let is_listed = |names: &[String], name: &str| {
            names.is_empty() || names.iter().any(|n| n.eq_ignore_ascii_case(name))
        };
        if !is_listed(types, CLASSIC_GROUP_TYPE) {
            return (code, Vec::new());
        }
        let list = |metadata: &GroupMetadata| ListedGroup {
            group_id: metadata.id().clone(),
            protocol_type: metadata.protocol_type().cloned().unwrap_or_default(),
            state: metadata.state(),
        };
        let groups = self.groups().into_iter().map(|group| group.view(list));
        (
            code,
            groups
                .filter(|group| is_listed(states, group.state.name()))
                .collect(),
        )
    }
}

fn describe(metadata: &GroupMetadata) -> GroupDescription {
    let is_stable = metadata.state() == GroupState::Stable;
    let member = |member: &Member| {
        let mut member = member.clone();
        if !is_stable {
            member.protocols.clear();
            member.assignment.clear();
        }
        member
    };
    GroupDescription {
        state: metadata.state(),
        protocol_type: metadata.protocol_type().cloned().unwrap_or_default(),
        protocol: metadata
            .protocol_name()
            .filter(|_| is_stable)
            .cloned()
            .unwrap_or_default(),
        members: metadata.members().map(member).collect(),
    }
}
