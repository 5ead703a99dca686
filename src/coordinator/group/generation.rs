//! A generation of a group: the choice of its protocol, the answer to its members, and its form in
//! `__consumer_offsets`. Kafka 3.9: `GroupMetadata` (`selectProtocol`, `computeSubscribedTopics`, `loadGroup`),
//! `GroupMetadataManager` (`groupMetadataValue`, `readGroupMessageValue`).

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use tracing::warn;

use super::effect::{JoinResult, JoinedMember, Now};
use super::group_metadata::{CONSUMER_PROTOCOL_TYPE, GroupLimits, GroupMetadata};
use super::log::{GroupMetadataValue, MemberValue, read_subscribed_topics};
use super::member::{Member, Protocol};
use super::state::GroupState;
use crate::common::error::ErrorCode;

impl GroupMetadata {
    /// Builds a group from its latest record: Stable if the record has members, else Empty. `on_loaded` starts the
    /// sessions.
    pub fn from_log(id: &str, value: GroupMetadataValue, limits: GroupLimits, now: Now) -> Self {
        let mut group = Self::new(id, limits, now);
        group.generation_id = value.generation;
        group.protocol_type = Some(value.protocol_type).filter(|t| !t.is_empty()).map(Arc::from);
        group.protocol_name = value.protocol.map(Arc::from);
        group.leader = value.leader.map(Arc::from);
        group.current_state_timestamp_ms = Some(value.current_state_timestamp).filter(|&ms| ms != -1);
        let protocol = group.protocol_name.clone().unwrap_or_default();
        for member in value.members {
            let instance = member.group_instance_id.as_deref();
            if group.members.contains_key(&*member.member_id)
                || instance.is_some_and(|instance| group.static_members.contains_key(instance))
            {
                warn!(
                    group = id,
                    member = member.member_id,
                    "skipping a member that is in the log twice"
                );
                continue;
            }
            group.add(Member {
                id: member.member_id.into(),
                group_instance_id: member.group_instance_id.map(Arc::from),
                client_id: member.client_id.into(),
                client_host: member.client_host.into(),
                rebalance_timeout_ms: member.rebalance_timeout_ms,
                session_timeout_ms: member.session_timeout_ms,
                protocols: vec![Protocol {
                    name: protocol.clone(),
                    metadata: member.subscription,
                }],
                assignment: member.assignment,
                is_new: false,
                awaiting_join: None,
                awaiting_sync: None,
                session_deadline_ms: None,
            });
        }
        if !group.members.is_empty() {
            group.state = GroupState::Stable;
        }
        group.subscribed_topics = group.compute_subscribed_topics();
        group
    }

    /// Selects the protocol by vote. Each member votes for its preferred protocol among those that all members support.
    /// If two protocols have the same number of votes, the one that was named first wins.
    pub(super) fn select_protocol(&self) -> Option<Arc<str>> {
        let mut votes: Vec<(&Arc<str>, usize)> = Vec::new();
        for member in self.members.values() {
            let favourite = member.vote(|protocol| self.is_supported_by_all(protocol))?;
            match votes.iter_mut().find(|(name, _)| *name == favourite) {
                Some((_, count)) => *count += 1,
                None => votes.push((favourite, 1)),
            }
        }
        let most = votes.iter().map(|&(_, count)| count).max()?;
        votes
            .iter()
            .find(|&&(_, count)| count == most)
            .map(|&(name, _)| name.clone())
    }

    /// The topics that the members of a consumer group subscribe to. `None` if they are unknown.
    pub(super) fn compute_subscribed_topics(&self) -> Option<BTreeSet<Arc<str>>> {
        if self.protocol_type.as_deref() != Some(CONSUMER_PROTOCOL_TYPE) {
            return None;
        }
        let mut topics = BTreeSet::new();
        for member in self.members.values() {
            let subscription = member.metadata(self.protocol_name.as_deref()?)?;
            topics.extend(
                read_subscribed_topics(subscription)?
                    .into_iter()
                    .map(Arc::<str>::from),
            );
        }
        Some(topics)
    }

    /// The JoinGroup answer with the current generation for a member.
    pub(super) fn join_result(&self, member_id: &str) -> JoinResult {
        let members = match self.is_leader(member_id) {
            true => self.joined_members(),
            false => Vec::new(),
        };
        JoinResult {
            error: ErrorCode::None,
            member_id: member_id.into(),
            generation_id: self.generation_id,
            protocol_type: self.protocol_type.clone(),
            protocol_name: self.protocol_name.clone(),
            leader: self.leader.clone(),
            skip_assignment: false,
            members,
        }
    }

    fn joined_members(&self) -> Vec<JoinedMember> {
        let protocol = self.protocol_name.as_deref().unwrap_or_default();
        let joined = |member: &Member| JoinedMember {
            member_id: member.id.clone(),
            group_instance_id: member.group_instance_id.clone(),
            metadata: member.metadata(protocol).cloned().unwrap_or_default(),
        };
        self.members.values().map(joined).collect()
    }

    /// The record value of this generation. `assignment` returns the assignment of a member.
    pub(super) fn to_log(&self, assignment: impl Fn(&Member) -> Bytes) -> GroupMetadataValue {
        let protocol = self.protocol_name.as_deref();
        let member_value = |member: &Member| MemberValue {
            member_id: member.id.to_string(),
            group_instance_id: member.group_instance_id.as_deref().map(str::to_owned),
            client_id: member.client_id.to_string(),
            client_host: member.client_host.to_string(),
            rebalance_timeout_ms: member.rebalance_timeout_ms,
            session_timeout_ms: member.session_timeout_ms,
            subscription: protocol
                .and_then(|p| member.metadata(p))
                .cloned()
                .unwrap_or_default(),
            assignment: assignment(member),
        };
        GroupMetadataValue {
            protocol_type: self.protocol_type.as_deref().unwrap_or_default().to_owned(),
            generation: self.generation_id,
            protocol: protocol.map(str::to_owned),
            leader: self.leader.as_deref().map(str::to_owned),
            current_state_timestamp: self.current_state_timestamp_ms.unwrap_or(-1),
            members: self.members.values().map(member_value).collect(),
        }
    }
}

#[cfg(test)]
mod tests;
