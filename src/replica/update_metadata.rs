//! Applies the controller's UpdateMetadata requests to the metadata cache. Kafka 3.9:
//! `ReplicaManager.maybeUpdateMetadataCache`.

use super::manager::ReplicaManager;
use crate::common::error::ErrorCode;
use crate::common::ids::TopicPartition;
use crate::metadata;
use crate::protocol::messages::UpdateMetadataRequest;

impl ReplicaManager {
    /// Applies an UpdateMetadata request whose broker epoch has been checked to the metadata cache, in order with the
    /// controller's other decisions. Returns the partitions that were removed.
    pub async fn update_metadata(
        &self,
        request: &UpdateMetadataRequest,
    ) -> Result<Vec<TopicPartition>, ErrorCode> {
        let _state_change = self.state_change.lock().await;
        self.admit_controller(request.controller_epoch)?;
        let mut gone = Vec::new();
        self.metadata
            .update(|snapshot| gone = metadata::update::apply(snapshot, request));
        // A broker that is no longer alive does not hold the low watermark back.
        self.delayed.delete_records.wake_all();
        self.alter_partition.controller_may_have_changed();
        Ok(gone)
    }
}
