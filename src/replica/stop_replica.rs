//! Stops replicas that leave this broker. Kafka 3.9: `ReplicaManager.stopReplicas`.

use std::collections::HashSet;
use std::sync::Arc;

use tokio::sync::OwnedMutexGuard;

use super::hooks::LeadershipChange;
use super::hosted_partitions::HostedPartition;
use super::manager::ReplicaManager;
use crate::common::blocking;
use crate::common::error::ErrorCode;
use crate::common::ids::{
    ControllerEpoch, LEADER_EPOCH_DURING_DELETE, LeaderEpoch, NO_LEADER_EPOCH, TopicPartition,
};
use crate::common::topic_name;

/// A StopReplica request, whatever its version.
#[derive(Clone, Debug)]
pub struct StopReplicaUpdate {
    /// The epoch of the controller that sent the request.
    pub controller_epoch: ControllerEpoch,
    /// The replicas to stop.
    pub partitions: Vec<StopPartition>,
}

/// One replica to stop.
#[derive(Clone, Debug)]
pub struct StopPartition {
    /// The partition.
    pub topic_partition: TopicPartition,
    /// The leader epoch of the decision; -1 for "unknown", -2 for "the topic is being deleted".
    pub leader_epoch: LeaderEpoch,
    /// Whether to delete the log too.
    pub delete: bool,
}

impl ReplicaManager {
    /// Carries out a StopReplica request whose broker epoch has been checked. Without deletion only the fetching stops:
    /// the partition keeps its role, and a leader is still served until LeaderAndIsr says otherwise.
    pub async fn stop_replicas(
        self: &Arc<Self>,
        update: StopReplicaUpdate,
    ) -> Result<Vec<(TopicPartition, ErrorCode)>, ErrorCode> {
        let state_change = self.state_change.clone().lock_owned().await;
        let manager = self.clone();
        let work = blocking::spawn(move || manager.apply_stop_replica(state_change, update));
        work.await.unwrap_or_else(|failure| {
            tracing::error!(%failure, "a StopReplica request was abandoned");
            Err(ErrorCode::UnknownServerError)
        })
    }

    fn apply_stop_replica(
        &self,
        _state_change: OwnedMutexGuard<()>,
        update: StopReplicaUpdate,
    ) -> Result<Vec<(TopicPartition, ErrorCode)>, ErrorCode> {
        self.admit_controller(update.controller_epoch)?;
        let mut change = LeadershipChange::default();
        let mut codes = Vec::with_capacity(update.partitions.len());
        let mut gone = HashSet::new();
        for stop in update.partitions {
            let stopped = self
                .may_stop(&stop)
                .and_then(|()| self.stop_replica(&stop, &mut change));
            if stop.delete {
                gone.insert(stop.topic_partition.topic.clone());
            }
            codes.push((stop.topic_partition, stopped.err().unwrap_or(ErrorCode::None)));
        }
        if !gone.is_empty() {
            self.partitions.for_each_topic(|topic| {
                gone.remove(topic);
            });
            gone.iter().for_each(|topic| self.topic_metrics.remove(topic));
        }
        self.tell_leadership_change(&change);
        Ok(codes)
    }

    /// Refuses an old request: it must not stop a replica that was placed here again since then (fact 25).
    fn may_stop(&self, stop: &StopPartition) -> Result<(), ErrorCode> {
        let leader_epoch = match self.partitions.get(&stop.topic_partition) {
            Some(HostedPartition::Offline) => return Err(ErrorCode::KafkaStorageError),
            Some(HostedPartition::Online(partition)) => partition.leader_and_epoch().1,
            // Its log may still be on disk.
            None => return Ok(()),
        };
        let unfenced = matches!(stop.leader_epoch, LEADER_EPOCH_DURING_DELETE | NO_LEADER_EPOCH);
        if unfenced || stop.leader_epoch >= leader_epoch {
            Ok(())
        } else {
            Err(ErrorCode::FencedLeaderEpoch)
        }
    }

    fn stop_replica(&self, stop: &StopPartition, change: &mut LeadershipChange) -> Result<(), ErrorCode> {
        let name = &stop.topic_partition;
        self.fetchers.remove([name]);
        if stop.delete {
            self.log_dirs.mover.remove(name);
            if let Some(partition) = self.partitions.remove(name) {
                partition.clear();
            }
            if topic_name::is_internal(&name.topic) {
                let epoch = Some(stop.leader_epoch).filter(|&epoch| epoch >= 0);
                change.stopped.push((name.clone(), epoch));
            }
            if self
                .log_manager
                .get_log(name)
                .or_else(|| self.log_manager.future_log(name))
                .is_some()
            {
                self.log_manager
                    .delete_log(name)
                    .map_err(|error| self.failed(name, &error))?;
                tracing::info!(partition = %name, "deleted the replica");
            }
        }
        self.delayed.wake_all_of(name);
        Ok(())
    }
}
