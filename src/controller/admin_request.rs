//! The requests of administrators to the controller, and their results.

use std::collections::BTreeMap;

use crate::common::error::ErrorCode;
use crate::common::ids::{BrokerId, TopicPartition};
use crate::common::leader_and_isr::ReplicaAssignment;

/// The kind of election that an ElectLeaders request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ElectionType {
    /// The first replica becomes the leader, if it is in sync.
    Preferred,
    /// Any online replica becomes the leader, if the partition has no live leader.
    Unclean,
}

/// The result of a requested election by partition: the new leader, or the error code and message.
pub type ElectionResults = BTreeMap<TopicPartition, Result<BrokerId, (ErrorCode, Option<String>)>>;

/// The replicas that a partition moves to; `None` cancels the reassignment under way.
pub type TargetReplicas = Option<Vec<BrokerId>>;
/// Error code and message by partition; the code is NONE if the reassignment has begun.
pub type ReassignmentResult = BTreeMap<TopicPartition, (ErrorCode, Option<String>)>;
/// The assignments of the partitions being reassigned.
pub type ListReassignmentsResult = BTreeMap<TopicPartition, ReplicaAssignment>;

/// The kind of change of a feature's level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FeatureUpgrade {
    /// To a higher level.
    Upgrade,
    /// To a lower level, or deletion; only if it loses no metadata.
    SafeDowngrade,
    /// To a lower level, or deletion; even if it loses metadata.
    UnsafeDowngrade,
    /// The request has a number that stands for no kind.
    Unknown,
}

/// The requested change of one feature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeatureUpdate {
    /// The feature's name.
    pub feature: String,
    /// The new level; a level below 1 deletes the feature if the update is a downgrade.
    pub level: i16,
    /// The kind of change.
    pub upgrade: FeatureUpgrade,
}

/// The result of each update, by feature.
pub type FeatureResults = BTreeMap<String, Result<(), (ErrorCode, Option<String>)>>;
