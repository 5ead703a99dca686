//! The requests that a controller sends to brokers. Kafka 3.9: `AbstractControlRequest`.

use crate::common::ids::{ControllerEpoch, TopicName, TopicPartition};
use crate::protocol::messages::stop_replica_request::StopReplicaTopicState;
use crate::protocol::messages::{LeaderAndIsrRequest, StopReplicaRequest, UpdateMetadataRequest};

/// A request of the controller to a broker.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "each is named as in Kafka's protocol guide")]
pub enum ControlRequest {
    LeaderAndIsr(LeaderAndIsrRequest),
    UpdateMetadata(UpdateMetadataRequest),
    StopReplica(StopReplicaRequest),
}

impl ControlRequest {
    /// The request's name in Kafka's protocol guide.
    pub fn name(&self) -> &'static str {
        match self {
            Self::LeaderAndIsr(_) => "LeaderAndIsr",
            Self::UpdateMetadata(_) => "UpdateMetadata",
            Self::StopReplica(_) => "StopReplica",
        }
    }

    /// The epoch of the broker that the request is for.
    #[cfg(test)]
    pub fn broker_epoch(&self) -> crate::common::ids::BrokerEpoch {
        match self {
            Self::LeaderAndIsr(r) => r.broker_epoch,
            Self::UpdateMetadata(r) => r.broker_epoch,
            Self::StopReplica(r) => r.broker_epoch,
        }
    }

    /// The epoch of the controller that sends the request.
    pub fn controller_epoch(&self) -> ControllerEpoch {
        match self {
            Self::LeaderAndIsr(r) => r.controller_epoch,
            Self::UpdateMetadata(r) => r.controller_epoch,
            Self::StopReplica(r) => r.controller_epoch,
        }
    }
}

/// The partitions that a StopReplica asks to delete.
pub fn deleted_partitions(request: &StopReplicaRequest) -> Vec<TopicPartition> {
    let of_topic = |topic: &StopReplicaTopicState| {
        let name = TopicName::from(topic.topic_name.as_str());
        let deleted = topic.partition_states.iter().filter(|p| p.delete_partition);
        deleted
            .map(|p| TopicPartition::new(name.clone(), p.partition_index))
            .collect::<Vec<_>>()
    };
    request.topic_states.iter().flat_map(of_topic).collect()
}
