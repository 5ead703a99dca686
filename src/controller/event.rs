//! Everything that can happen to a controller, in one enum. Kafka 3.9: the `ControllerEvent` classes.
//!
//! An event whose caller waits for the result carries the sender of the reply. To drop the event without a reply tells
//! the caller that this broker is not the controller; the expiry of the session drops all queued events (fact 28).

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

/// The sender of the result of an event.
pub type Reply<T> = oneshot::Sender<T>;

/// An event that the controller handles.
#[derive(Debug)]
pub enum ControllerEvent {
    /// The broker has started: the controller watches `/controller` and stands for election.
    Startup,
    /// `/controller` was created or changed.
    ControllerChange,
    /// `/controller` is gone.
    Reelect,
    /// A new session is established: the broker registers again and stands for election.
    RegisterBrokerAndReelect,
    /// The session has expired: this broker is no longer the controller.
    Expire,
    /// The children of `/brokers/ids` have changed.
    BrokerChange,
    /// The data of `/brokers/ids/N` has changed.
    BrokerModification(BrokerId),
    /// The children of `/brokers/topics` have changed.
    TopicChange,
    /// The data of `/brokers/topics/T` has changed.
    PartitionModification(TopicName),
    /// The children of `/admin/delete_topics` have changed.
    TopicDeletion,
    /// The children of `/isr_change_notification` have changed; brokers older than 2.7 write them.
    IsrChangeNotification,
    /// The children of `/log_dir_event_notification` have changed.
    LogDirEventNotification,
    /// `/admin/reassign_partitions` was created.
    ZnodeReassignment,
    /// `/admin/preferred_replica_election` was created.
    ZnodePreferredElection,
    /// The interval between two checks of the leader balance is over.
    AutoPreferredReplicaElection,
    /// The default of `unclean.leader.election.enable` has become true.
    UncleanElectionEnabled,
    /// The topic's own `unclean.leader.election.enable` has become true.
    TopicUncleanElectionEnabled(TopicName),
    /// A broker answered a LeaderAndIsr.
    LeaderAndIsrResponse {
        /// The broker that answered.
        broker: BrokerId,
        /// The epoch of the controller that sent the request.
        controller_epoch: ControllerEpoch,
        /// The response.
        response: LeaderAndIsrResponse,
    },
    /// A broker answered an UpdateMetadata.
    UpdateMetadataResponse {
        /// The broker that answered.
        broker: BrokerId,
        /// The response.
        response: UpdateMetadataResponse,
    },
    /// A broker answered a StopReplica that asked it to delete replicas.
    DeletionStopReplicaResponse {
        /// The broker that answered.
        broker: BrokerId,
        /// The epoch of the controller that sent the request.
        controller_epoch: ControllerEpoch,
        /// The replicas that the broker was told to delete.
        deleted: Vec<TopicPartition>,
        /// The response.
        response: StopReplicaResponse,
    },
    /// A leader asks for changes of its ISRs.
    AlterPartition {
        /// The request.
        request: AlterPartitionRequest,
        /// The version of the request.
        version: i16,
        /// Takes the response.
        reply: Reply<AlterPartitionResponse>,
    },
    /// A broker asks for a controlled shutdown.
    ControlledShutdown {
        /// The broker.
        broker: BrokerId,
        /// The broker's epoch; -1 if the request has none.
        epoch: BrokerEpoch,
        /// Takes the partitions that the broker still leads.
        reply: Reply<Result<Vec<TopicPartition>, ErrorCode>>,
    },
    /// A broker asks for a block of producer ids.
    AllocateProducerIds {
        /// The broker.
        broker: BrokerId,
        /// The broker's epoch.
        epoch: BrokerEpoch,
        /// Takes the first id and the number of ids.
        reply: Reply<Result<(ProducerId, i32), ErrorCode>>,
    },
    /// ElectLeaders.
    ElectLeaders {
        /// The partitions; `None` for all.
        partitions: Option<Vec<TopicPartition>>,
        /// The kind of election.
        election: ElectionType,
        /// Takes the results by partition.
        reply: Reply<ElectionResults>,
    },
    /// AlterPartitionReassignments.
    ApiReassignment {
        /// The new replicas by partition.
        targets: BTreeMap<TopicPartition, TargetReplicas>,
        /// Takes the results by partition.
        reply: Reply<ReassignmentResult>,
    },
    /// UpdateFeatures.
    UpdateFeatures {
        /// The requested changes.
        updates: Vec<FeatureUpdate>,
        /// The time within which this broker's metadata cache must see the change.
        timeout: Duration,
        /// Takes the results by feature.
        reply: Reply<FeatureResults>,
    },
    /// ListPartitionReassignments.
    ListReassignments {
        /// The partitions; `None` for all.
        partitions: Option<Vec<TopicPartition>>,
        /// Takes the assignments of those being reassigned.
        reply: Reply<ListReassignmentsResult>,
    },
}

impl ControllerEvent {
    /// The event's name for logs.
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

    /// The controller's state while it handles the event, for metrics.
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
