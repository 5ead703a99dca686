//! What the rest of the broker may ask of its controller module, active or not.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{oneshot, watch};
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

/// A way to put events into the controller's queue. A question that the controller drops, because it is none or
/// none any more, is answered with NOT_CONTROLLER.
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

    /// A handle of a controller that never runs, for tests of what holds one.
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

    /// The events that wait in the queue of an [idle](Self::idle) one, which are taken out.
    #[cfg(test)]
    pub async fn take_events(&self) -> Vec<&'static str> {
        let mut names = Vec::new();
        while !self.events.is_empty() {
            names.push(self.events.next().await.0.name());
        }
        names
    }

    /// Whether this broker is the controller, as far as it knows.
    pub fn is_active(&self) -> bool {
        self.status.is_active()
    }

    /// This broker's current registration epoch (czxid); -1 while there is none.
    pub fn broker_epoch(&self) -> BrokerEpoch {
        self.status.broker_epoch()
    }

    /// The registration epoch as it changes with each new session: an owner of ephemeral znodes that went
    /// with the old one creates them again on each change.
    pub fn watch_broker_epoch(&self) -> watch::Receiver<BrokerEpoch> {
        self.status.watch_broker_epoch()
    }

    /// Waits until this broker has stood for election once.
    pub async fn started(&self) {
        let mut started = self.status.watch_started();
        tokio::select! {
            _ = started.wait_for(|&started| started) => {}
            () = self.shutdown.cancelled() => {}
        }
    }

    /// Ends the controller and waits until it has resigned. `/controller` goes with the session.
    pub async fn shutdown(&self) {
        self.shutdown.cancel();
        let task = self.task.lock().take();
        if let Some(task) = task {
            let _ = task.await;
        }
    }

    /// A leader wants another ISR.
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

    /// Partitions still led by the broker that wants to leave.
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

    /// First id and number of ids of a block.
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

    /// AlterPartitionReassignments: targets by partition, `None` to cancel.
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

    /// UpdateFeatures. `patience` is how long the controller's broker may take to hear of the change.
    pub async fn update_features(
        &self,
        updates: Vec<FeatureUpdate>,
        patience: Duration,
    ) -> Result<FeatureResults, ErrorCode> {
        let answer = self
            .ask(|reply| ControllerEvent::UpdateFeatures {
                updates,
                patience,
                reply,
            })
            .await;
        answer.ok_or(ErrorCode::NotController)
    }

    /// The default that topics inherit now allows unclean elections.
    pub fn unclean_election_enabled(&self) {
        self.events.put(ControllerEvent::UncleanElectionEnabled);
    }

    /// A topic's configuration now allows unclean elections.
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
