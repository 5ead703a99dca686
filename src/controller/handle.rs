//! The interface of the controller to the rest of the broker, whether the broker is the controller or not.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::admin_request::{
    ElectionResults, ElectionType, FeatureResults, FeatureUpdate, ListReassignmentsResult,
    ReassignmentResult, TargetReplicas,
};
use super::event::{ControllerEvent, Reply};
use super::event_queue::EventQueue;
use super::status::ControllerStatus;
use crate::common::error::ErrorCode;
use crate::common::ids::{BrokerEpoch, BrokerId, ProducerId, TopicName, TopicPartition};
use crate::protocol::messages::{AlterPartitionRequest, AlterPartitionResponse};

/// Puts events into the controller's queue and waits for the replies. If the broker is not the controller, the event is
/// dropped and the caller gets NOT_CONTROLLER.
#[derive(Clone)]
pub struct ControllerHandle {
    events: EventQueue,
    status: Arc<ControllerStatus>,
    shutdown: CancellationToken,
    task: Arc<Mutex<Option<JoinHandle<()>>>>,
}

impl ControllerHandle {
    pub(super) fn new(
        events: EventQueue,
        status: Arc<ControllerStatus>,
        shutdown: CancellationToken,
        task: JoinHandle<()>,
    ) -> Self {
        Self {
            events,
            status,
            shutdown,
            task: Arc::new(Mutex::new(Some(task))),
        }
    }

    /// The handle of a controller that does not run, for tests of structs that hold a handle.
    #[cfg(test)]
    pub fn idle(broker_epoch: BrokerEpoch) -> Self {
        let shutdown = CancellationToken::new();
        shutdown.cancel();
        Self {
            events: EventQueue::default(),
            status: Arc::new(ControllerStatus::new(broker_epoch)),
            shutdown,
            task: Arc::default(),
        }
    }

    /// Takes the queued events of an [idle](Self::idle) controller out and returns their names.
    #[cfg(test)]
    pub async fn take_events(&self) -> Vec<&'static str> {
        let mut names = Vec::new();
        while !self.events.is_empty() {
            names.push(self.events.next().await.0.name());
        }
        names
    }

    /// Whether this broker is the controller, as far as the broker knows.
    pub fn is_active(&self) -> bool {
        self.status.is_active()
    }

    /// The epoch (czxid) of this broker's current registration; -1 while the broker is not registered.
    pub fn broker_epoch(&self) -> BrokerEpoch {
        self.status.broker_epoch()
    }

    /// Ends the controller and waits until it has resigned. The end of the session deletes `/controller`.
    pub async fn shutdown(&self) {
        self.shutdown.cancel();
        let task = self.task.lock().take();
        if let Some(task) = task {
            let _ = task.await;
        }
    }

    /// AlterPartition.
    pub async fn alter_partition(
        &self,
        request: AlterPartitionRequest,
        version: i16,
    ) -> AlterPartitionResponse {
        let answer = self
            .ask(|reply| ControllerEvent::AlterPartition {
                request,
                version,
                reply,
            })
            .await;
        let not_controller =
            || AlterPartitionResponse::default().with_error_code(ErrorCode::NotController.code());
        answer.unwrap_or_else(not_controller)
    }

    /// ControlledShutdown. Returns the partitions that the broker still leads.
    pub async fn controlled_shutdown(
        &self,
        broker: BrokerId,
        epoch: BrokerEpoch,
    ) -> Result<Vec<TopicPartition>, ErrorCode> {
        let answer = self
            .ask(|reply| ControllerEvent::ControlledShutdown { broker, epoch, reply })
            .await;
        answer.unwrap_or(Err(ErrorCode::StaleControllerEpoch))
    }

    /// AllocateProducerIds. Returns the first id and the number of ids of a block.
    pub async fn allocate_producer_ids(
        &self,
        broker: BrokerId,
        epoch: BrokerEpoch,
    ) -> Result<(ProducerId, i32), ErrorCode> {
        let answer = self
            .ask(|reply| ControllerEvent::AllocateProducerIds { broker, epoch, reply })
            .await;
        answer.unwrap_or(Err(ErrorCode::NotController))
    }

    /// ElectLeaders; `None` for all partitions.
    pub async fn elect_leaders(
        &self,
        partitions: Option<Vec<TopicPartition>>,
        election: ElectionType,
    ) -> Result<ElectionResults, ErrorCode> {
        let answer = self
            .ask(|reply| ControllerEvent::ElectLeaders {
                partitions,
                election,
                reply,
            })
            .await;
        answer.ok_or(ErrorCode::NotController)
    }

    /// AlterPartitionReassignments.
    pub async fn alter_partition_reassignments(
        &self,
        targets: BTreeMap<TopicPartition, TargetReplicas>,
    ) -> Result<ReassignmentResult, ErrorCode> {
        let answer = self
            .ask(|reply| ControllerEvent::ApiReassignment { targets, reply })
            .await;
        answer.ok_or(ErrorCode::NotController)
    }

    /// ListPartitionReassignments; `None` for all partitions.
    pub async fn list_partition_reassignments(
        &self,
        partitions: Option<Vec<TopicPartition>>,
    ) -> Result<ListReassignmentsResult, ErrorCode> {
        let answer = self
            .ask(|reply| ControllerEvent::ListReassignments { partitions, reply })
            .await;
        answer.ok_or(ErrorCode::NotController)
    }

    /// UpdateFeatures. The metadata cache of this broker must see the change within `timeout`.
    pub async fn update_features(
        &self,
        updates: Vec<FeatureUpdate>,
        timeout: Duration,
    ) -> Result<FeatureResults, ErrorCode> {
        let answer = self
            .ask(|reply| ControllerEvent::UpdateFeatures {
                updates,
                timeout,
                reply,
            })
            .await;
        answer.ok_or(ErrorCode::NotController)
    }

    /// The default of `unclean.leader.election.enable` has become true.
    pub fn unclean_election_enabled(&self) {
        self.events.put(ControllerEvent::UncleanElectionEnabled);
    }

    /// The topic's own `unclean.leader.election.enable` has become true.
    pub fn topic_unclean_election_enabled(&self, topic: TopicName) {
        self.events
            .put(ControllerEvent::TopicUncleanElectionEnabled(topic));
    }

    async fn ask<T>(&self, event: impl FnOnce(Reply<T>) -> ControllerEvent) -> Option<T> {
        if self.shutdown.is_cancelled() {
            return None;
        }
        let (reply, answer) = oneshot::channel();
        self.events.put(event(reply));
        tokio::select! {
            biased;
            answer = answer => answer.ok(),
            () = self.shutdown.cancelled() => None,
        }
    }
}
