//! Everything that can happen to a controller, in one enum. Kafka 3.9: the `ControllerEvent` classes.
//!
//! Events that somebody waits for carry where to answer. Dropping such an event unanswered, as the expiry of a
//! session does with all that wait in the queue (fact 28), tells the caller that this is not the controller.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::sync::oneshot;

use super::admin_request::{
    ElectionResults, ElectionType, FeatureResults, FeatureUpdate, ListReassignmentsResult,
    ReassignmentResult, TargetReplicas,
};
use super::controller_state::ControllerState;
use crate::common::error::ErrorCode;
use crate::common::ids::{BrokerEpoch, BrokerId, ControllerEpoch, ProducerId, TopicName, TopicPartition};
use crate::protocol::messages::{
    AlterPartitionRequest, AlterPartitionResponse, LeaderAndIsrResponse, StopReplicaResponse,
    UpdateMetadataResponse,
};

/// Where the answer to an event goes.
pub type Reply<T> = oneshot::Sender<T>;

/// Every trigger of the controller.
#[derive(Debug)]
pub enum ControllerEvent {
    /// The broker has started: watch `/controller` and stand for election.
    Startup,
    /// `/controller` was created or changed.
    ControllerChange,
    /// `/controller` is gone.
    Reelect,
    /// A new session stands: register again, then stand for election.
    RegisterBrokerAndReelect,
    /// The session has expired: this broker is not the controller any more.
    Expire,
    /// `/brokers/ids` has other children.
    BrokerChange,
    /// `/brokers/ids/N` has other data.
    BrokerModification(BrokerId),
    /// `/brokers/topics` has other children.
    TopicChange,
    /// `/brokers/topics/T` has other data.
    PartitionModification(TopicName),
    /// `/admin/delete_topics` has other children.
    TopicDeletion,
    /// `/isr_change_notification` has other children; written by brokers older than 2.7.
    IsrChangeNotification,
    /// `/log_dir_event_notification` has other children.
    LogDirEventNotification,
    /// `/admin/reassign_partitions` was created.
    ZnodeReassignment,
    /// `/admin/preferred_replica_election` was created.
    ZnodePreferredElection,
    /// Time to look for leaders that are not the preferred ones.
    AutoPreferredReplicaElection,
    /// Topics that say nothing of it now allow unclean elections.
    UncleanElectionEnabled,
    /// A topic now allows unclean elections.
    TopicUncleanElectionEnabled(TopicName),
    /// A broker answered a LeaderAndIsr.
    LeaderAndIsrResponse {
        /// Who answered.
        broker: BrokerId,
        /// Epoch of the controller that had asked.
        controller_epoch: ControllerEpoch,
        /// Its answer.
        response: LeaderAndIsrResponse,
    },
    /// A broker answered an UpdateMetadata.
    UpdateMetadataResponse {
        /// Who answered.
        broker: BrokerId,
        /// Its answer.
        response: UpdateMetadataResponse,
    },
    /// A broker answered a StopReplica that asked it to delete replicas.
    DeletionStopReplicaResponse {
        /// Who answered.
        broker: BrokerId,
        /// Epoch of the controller that had asked.
        controller_epoch: ControllerEpoch,
        /// The replicas it was to delete.
        deleted: Vec<TopicPartition>,
        /// Its answer.
        response: StopReplicaResponse,
    },
    /// A leader wants another ISR.
    AlterPartition {
        /// Its request.
        request: AlterPartitionRequest,
        /// Version of the request.
        version: i16,
        /// The response.
        reply: Reply<AlterPartitionResponse>,
    },
    /// A broker wants to leave.
    ControlledShutdown {
        /// Who.
        broker: BrokerId,
        /// Its epoch; -1 if it does not say.
        epoch: BrokerEpoch,
        /// The partitions it still leads.
        reply: Reply<Result<Vec<TopicPartition>, ErrorCode>>,
    },
    /// A broker needs producer ids.
    AllocateProducerIds {
        /// Who.
        broker: BrokerId,
        /// Its epoch.
        epoch: BrokerEpoch,
        /// First id and number of ids.
        reply: Reply<Result<(ProducerId, i32), ErrorCode>>,
    },
    /// ElectLeaders.
    ElectLeaders {
        /// `None`: all partitions.
        partitions: Option<Vec<TopicPartition>>,
        /// What kind of election.
        election: ElectionType,
        /// By partition.
        reply: Reply<ElectionResults>,
    },
    /// AlterPartitionReassignments.
    ApiReassignment {
        /// Targets; `None` cancels.
        targets: BTreeMap<TopicPartition, TargetReplicas>,
        /// By partition.
        reply: Reply<ReassignmentResult>,
    },
    /// UpdateFeatures.
    UpdateFeatures {
        /// What is to change.
        updates: Vec<FeatureUpdate>,
        /// How long this broker may take to hear of the change.
        patience: Duration,
        /// By feature.
        reply: Reply<FeatureResults>,
    },
    /// ListPartitionReassignments.
    ListReassignments {
        /// `None`: all partitions.
        partitions: Option<Vec<TopicPartition>>,
        /// Those being reassigned.
        reply: Reply<ListReassignmentsResult>,
    },
}

impl ControllerEvent {
    /// What happened, for logs.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Startup => "Startup",
            Self::ControllerChange => "ControllerChange",
            Self::Reelect => "Reelect",
            Self::RegisterBrokerAndReelect => "RegisterBrokerAndReelect",
            Self::Expire => "Expire",
            Self::BrokerChange => "BrokerChange",
            Self::BrokerModification(_) => "BrokerModification",
            Self::TopicChange => "TopicChange",
            Self::PartitionModification(_) => "PartitionModification",
            Self::TopicDeletion => "TopicDeletion",
            Self::IsrChangeNotification => "IsrChangeNotification",
            Self::LogDirEventNotification => "LogDirEventNotification",
            Self::ZnodeReassignment => "ZnodeReassignment",
            Self::ZnodePreferredElection => "ZnodePreferredElection",
            Self::AutoPreferredReplicaElection => "AutoPreferredReplicaElection",
            Self::UncleanElectionEnabled => "UncleanElectionEnabled",
            Self::TopicUncleanElectionEnabled(_) => "TopicUncleanElectionEnabled",
            Self::LeaderAndIsrResponse { .. } => "LeaderAndIsrResponse",
            Self::UpdateMetadataResponse { .. } => "UpdateMetadataResponse",
            Self::DeletionStopReplicaResponse { .. } => "DeletionStopReplicaResponse",
            Self::AlterPartition { .. } => "AlterPartition",
            Self::ControlledShutdown { .. } => "ControlledShutdown",
            Self::AllocateProducerIds { .. } => "AllocateProducerIds",
            Self::ElectLeaders { .. } => "ElectLeaders",
            Self::ApiReassignment { .. } => "ApiReassignment",
            Self::UpdateFeatures { .. } => "UpdateFeatures",
            Self::ListReassignments { .. } => "ListReassignments",
        }
    }

    /// What a controller is busy with that carries it out, for metrics.
    pub fn state(&self) -> ControllerState {
        use ControllerState as S;
        match self {
            Self::Startup
            | Self::ControllerChange
            | Self::Reelect
            | Self::RegisterBrokerAndReelect
            | Self::Expire => S::ControllerChange,
            Self::BrokerChange | Self::BrokerModification(_) => S::BrokerChange,
            Self::TopicChange | Self::PartitionModification(_) => S::TopicChange,
            Self::TopicDeletion | Self::DeletionStopReplicaResponse { .. } => S::TopicDeletion,
            Self::IsrChangeNotification | Self::AlterPartition { .. } => S::IsrChange,
            Self::LogDirEventNotification => S::LogDirChange,
            Self::ZnodeReassignment | Self::ApiReassignment { .. } => S::AlterPartitionReassignment,
            Self::ZnodePreferredElection | Self::ElectLeaders { .. } => S::ManualLeaderBalance,
            Self::AutoPreferredReplicaElection => S::AutoLeaderBalance,
            Self::UncleanElectionEnabled => S::UncleanLeaderElectionEnable,
            Self::TopicUncleanElectionEnabled(_) => S::TopicUncleanLeaderElectionEnable,
            Self::LeaderAndIsrResponse { .. } => S::LeaderAndIsrResponseReceived,
            Self::UpdateMetadataResponse { .. } => S::UpdateMetadataResponseReceived,
            Self::ControlledShutdown { .. } => S::ControlledShutdown,
            Self::AllocateProducerIds { .. } => S::Idle,
            Self::UpdateFeatures { .. } => S::UpdateFeatures,
            Self::ListReassignments { .. } => S::ListPartitionReassignment,
        }
    }
}
