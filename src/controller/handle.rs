//! What the rest of the broker may ask of its controller module, active or not.

use crate::common::error::ErrorCode;
use crate::common::ids::{BrokerEpoch, BrokerId, ProducerId, TopicPartition};
use crate::protocol::messages::{AlterPartitionRequest, AlterPartitionResponse};

/// A way to put events into the controller's queue.
#[derive(Clone)]
pub struct ControllerHandle {}

#[allow(unused_variables, missing_docs, reason = "skeleton")]
impl ControllerHandle {
    /// Whether this broker is the controller, as far as it knows.
    pub fn is_active(&self) -> bool {
        todo!()
    }
    /// This broker's current registration epoch (czxid); -1 while there is none.
    pub fn broker_epoch(&self) -> BrokerEpoch {
        todo!()
    }
    pub async fn alter_partition(
        &self,
        request: AlterPartitionRequest,
        version: i16,
    ) -> AlterPartitionResponse {
        todo!()
    }
    /// Partitions still led by the broker that wants to leave.
    pub async fn controlled_shutdown(
        &self,
        broker: BrokerId,
        epoch: BrokerEpoch,
    ) -> Result<Vec<TopicPartition>, ErrorCode> {
        todo!()
    }
    /// First id and number of ids of a block.
    pub async fn allocate_producer_ids(
        &self,
        broker: BrokerId,
        epoch: BrokerEpoch,
    ) -> Result<(ProducerId, i32), ErrorCode> {
        todo!()
    }
}
