//! `/admin/reassign_partitions`, the request of old tools.

use tracing::warn;

use crate::common::ids::{BrokerId, TopicPartition};
use crate::controller::error::ControllerError;
use crate::controller::event::ControllerEvent;
use crate::controller::event_queue::EventQueue;
use crate::controller::zk_client::ControllerZkClient;
use crate::zk::paths;
use crate::zk::znode::reassign_partitions;

pub(in crate::controller) async fn read(
    zk: &ControllerZkClient,
    watch: bool,
) -> Result<Option<Vec<(TopicPartition, Vec<BrokerId>)>>, ControllerError> {
    let Some((data, _)) = zk.store().get(paths::REASSIGN_PARTITIONS, watch).await? else {
        return Ok(None);
    };
    Ok(Some(reassign_partitions::decode(&data).unwrap_or_else(|error| {
        warn!(%error, "unreadable request for reassignments ignored");
        Vec::new()
    })))
}

/// Takes partitions out of `/admin/reassign_partitions`. Deletes the znode if none is left.
pub(in crate::controller) async fn remove(
    zk: &ControllerZkClient,
    events: &EventQueue,
    remove: impl Fn(&TopicPartition, &[BrokerId]) -> bool,
) -> Result<(), ControllerError> {
    let Some(mut requested) = read(zk, false).await? else {
        return Ok(());
    };
    requested.retain(|(partition, replicas)| !remove(partition, replicas));
    if requested.is_empty() {
        zk.delete(paths::REASSIGN_PARTITIONS).await?;
        // The event sets the watch for the next request.
        events.put(ControllerEvent::ZnodeReassignment);
        return Ok(());
    }
    zk.create_or_set(
        paths::REASSIGN_PARTITIONS,
        reassign_partitions::encode(&requested),
    )
    .await
}
