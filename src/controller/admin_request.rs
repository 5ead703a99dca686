//! What administrators ask of the controller, and the results it answers with.

use std::collections::BTreeMap;

use crate::common::error::ErrorCode;
use crate::common::ids::{BrokerId, TopicPartition};
use crate::common::leader_and_isr::ReplicaAssignment;

/// The kind of election that an ElectLeaders request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ElectionType {
    /// Let the first replica lead, if it is in sync.
    Preferred,
    /// Let anybody lead who is online, if nobody leads.
    Unclean,
}

/// What came of an election that was asked for, by partition: the new leader or why there is none.
pub type ElectionResults = BTreeMap<TopicPartition, Result<BrokerId, (ErrorCode, Option<String>)>>;

/// Where a partition shall go; `None` cancels what is under way.
pub type TargetReplicas = Option<Vec<BrokerId>>;
/// Error code and message by partition; NONE for one whose reassignment has begun.
pub type ReassignmentResult = BTreeMap<TopicPartition, (ErrorCode, Option<String>)>;
/// The partitions being reassigned.
pub type ListReassignmentsResult = BTreeMap<TopicPartition, ReplicaAssignment>;

/// How the level of a feature is to change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FeatureUpgrade {
    /// Up.
    Upgrade,
    /// Down or away, if nothing is lost.
    SafeDowngrade,
    /// Down or away, whatever is lost.
    UnsafeDowngrade,
    /// A number that means nothing.
    Unknown,
}

/// What is asked for one feature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeatureUpdate {
    /// Which.
    pub feature: String,
    /// Its new level; below 1 deletes it, if the update is a downgrade.
    pub level: i16,
    /// In which direction.
    pub upgrade: FeatureUpgrade,
}

/// What became of each update.
pub type FeatureResults = BTreeMap<String, Result<(), (ErrorCode, Option<String>)>>;
