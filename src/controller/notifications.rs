//! The events that brokers report: ISRs that old brokers have changed, failed log dirs, and responses to control
//! requests. Kafka 3.9: `KafkaController.processIsrChangeNotification`, `processLogDirEventNotification`,
//! `processLeaderAndIsrResponseReceived`.

use std::collections::{BTreeSet, HashMap};

use tracing::{error, info};

use super::context::PartitionAndReplica;
use super::error::ControllerError;
use super::kafka_controller::Controller;
use super::replica_state::ReplicaState;
use crate::common::error::ErrorCode;
use crate::common::ids::{BrokerId, ControllerEpoch, TopicId, TopicPartition};
use crate::protocol::messages::{LeaderAndIsrResponse, UpdateMetadataResponse};
use crate::zk::paths;
use crate::zk::znode::{isr_change, log_dir_event};

impl Controller {
    /// Reads ISRs that brokers older than 2.7 have written themselves. The notifications are deleted even if that
    /// fails.
    pub(super) async fn process_isr_change_notification(&mut self) -> Result<(), ControllerError> {
        let notifications = self.zk.notifications(paths::ISR_CHANGE_NOTIFICATION).await?;
        let mut partitions = BTreeSet::new();
        for (name, data) in &notifications {
            match isr_change::decode(data) {
                Ok(changed) => partitions.extend(changed),
                Err(error) => error!(notification = name, %error, "unreadable notification ignored"),
            }
        }
        let partitions: Vec<_> = partitions
            .into_iter()
            .filter(|p| !self.context.replicas(p).is_empty())
            .collect();
        let result = self.adopt_changed_isrs(&partitions).await;
        let names = notifications.iter().map(|(name, _)| name);
        self.zk
            .delete_children(paths::ISR_CHANGE_NOTIFICATION, names)
            .await?;
        result
    }

    async fn adopt_changed_isrs(&mut self, partitions: &[TopicPartition]) -> Result<(), ControllerError> {
        if partitions.is_empty() {
            return Ok(());
        }
        self.machines().reload_leadership(partitions).await?;
        self.machines().send_update_metadata_to_all(partitions);
        self.reassignments().maybe_complete(partitions).await
    }

    /// Log dirs of brokers have failed. The controller sends LeaderAndIsr for all replicas of these brokers, and the
    /// responses tell which replicas have failed.
    pub(super) async fn process_log_dir_event_notification(&mut self) -> Result<(), ControllerError> {
        let notifications = self.zk.notifications(paths::LOG_DIR_EVENT_NOTIFICATION).await?;
        let mut brokers = BTreeSet::new();
        for (name, data) in &notifications {
            match log_dir_event::decode(data) {
                Ok(broker) => drop(brokers.insert(broker)),
                Err(error) => error!(notification = name, %error, "unreadable notification ignored"),
            }
        }
        let brokers: Vec<_> = brokers.into_iter().collect();
        info!(?brokers, "log dirs have failed");
        let replicas = self.context.replicas_on_brokers(&brokers);
        let result = self
            .machines()
            .move_replicas(replicas, ReplicaState::Online)
            .await;
        let names = notifications.iter().map(|(name, _)| name);
        self.zk
            .delete_children(paths::LOG_DIR_EVENT_NOTIFICATION, names)
            .await?;
        result
    }

    /// Moves replicas offline whose log dir has failed (fact 30). Other errors mean that the broker has a newer state.
    pub(super) async fn process_leader_and_isr_response(
        &mut self,
        broker: BrokerId,
        controller_epoch: ControllerEpoch,
        response: LeaderAndIsrResponse,
    ) -> Result<(), ControllerError> {
        if controller_epoch != self.context.epoch || self.context.live_broker(broker).is_none() {
            return Ok(());
        }
        if response.error_code != 0 {
            let error = ErrorCode::from_code(response.error_code);
            error!(target: "state.change", broker, %error, "broker refused LeaderAndIsr");
            return Ok(());
        }
        let mut outcomes: HashMap<ErrorCode, Vec<TopicPartition>> = HashMap::new();
        for topic in &response.topics {
            let Some(name) = self
                .context
                .topic_name(TopicId::from_bytes(*topic.topic_id.as_bytes()))
            else {
                continue;
            };
            for partition in &topic.partition_errors {
                let outcome = outcomes
                    .entry(ErrorCode::from_code(partition.error_code))
                    .or_default();
                outcome.push(TopicPartition::new(name.clone(), partition.partition_index));
            }
        }
        let online = outcomes.remove(&ErrorCode::None).unwrap_or_default();
        let offline = outcomes.remove(&ErrorCode::KafkaStorageError).unwrap_or_default();
        let newly_offline = self.context.update_offline_dirs(broker, &online, &offline);
        if newly_offline.is_empty() {
            return Ok(());
        }
        info!(target: "state.change", broker, partitions = ?newly_offline, "replicas are on a failed log dir");
        let replicas = newly_offline
            .into_iter()
            .map(|p| PartitionAndReplica::new(p, broker))
            .collect();
        self.on_replicas_become_offline(replicas).await
    }

    /// Logs an error. The controller has no other means.
    pub(super) fn process_update_metadata_response(
        &self,
        broker: BrokerId,
        response: &UpdateMetadataResponse,
    ) -> Result<(), ControllerError> {
        if response.error_code != 0 {
            let error = ErrorCode::from_code(response.error_code);
            error!(target: "state.change", broker, %error, "broker refused UpdateMetadata");
        }
        Ok(())
    }
}
