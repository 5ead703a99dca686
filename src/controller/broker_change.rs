//! The events of brokers: start, failure, restart, and changes of their listeners. Kafka 3.9:
//! `KafkaController.processBrokerChange`, `onBrokerStartup`, `onBrokerFailure`, `onReplicasBecomeOffline`.

use std::collections::BTreeMap;

use tracing::{debug, info};

use super::context::{LiveBroker, PartitionAndReplica};
use super::error::ControllerError;
use super::kafka_controller::Controller;
use super::partition_state::PartitionState;
use super::partition_state_machine::move_partitions;
use super::replica_state::ReplicaState;
use super::topic_deletion;
use crate::common::ids::BrokerId;

impl Controller {
    /// Compares the registrations with the context. A registration with a later epoch means that the broker has failed
    /// and restarted since the last read: the controller handles both (fact 23).
    pub(super) async fn process_broker_change(&mut self) -> Result<(), ControllerError> {
        let registered: BTreeMap<_, _> = self
            .zk
            .brokers()
            .await?
            .into_iter()
            .map(|b| (b.metadata.id, b))
            .collect();
        let known = self.context.live_or_shutting_down_ids();
        let dead: Vec<_> = known
            .iter()
            .copied()
            .filter(|id| !registered.contains_key(id))
            .collect();
        let (mut new, mut bounced) = (Vec::new(), Vec::new());
        for (id, broker) in registered {
            match self.context.broker_epoch(id) {
                None => new.push(broker),
                Some(epoch) if broker.epoch > epoch => bounced.push(broker),
                Some(_) => {}
            }
        }
        info!(new = ?ids(&new), bounced = ?ids(&bounced), ?dead, ?known, "brokers changed");
        new.iter().for_each(|b| self.channels.add_broker(&b.metadata));
        for broker in &bounced {
            self.channels.remove_broker(broker.metadata.id);
            self.channels.add_broker(&broker.metadata);
        }
        dead.iter().for_each(|&b| self.channels.remove_broker(b));

        if !new.is_empty() {
            self.on_broker_startup(new).await?;
        }
        if !bounced.is_empty() {
            self.on_broker_failure(&ids(&bounced)).await?;
            self.on_broker_startup(bounced).await?;
        }
        if !dead.is_empty() {
            self.on_broker_failure(&dead).await?;
        }
        Ok(())
    }

    /// Tells the other brokers of the new ones, and the new ones of all partitions; then moves the new brokers'
    /// replicas online.
    async fn on_broker_startup(&mut self, brokers: Vec<LiveBroker>) -> Result<(), ControllerError> {
        let started = ids(&brokers);
        for broker in brokers {
            self.context.forget_offline_dirs(broker.metadata.id);
            self.context.put_live_broker(broker);
        }
        let mut existing = self.context.live_or_shutting_down_ids();
        existing.retain(|id| !started.contains(id));
        self.machines().send_update_metadata(&existing, &[]);
        let partitions = self.context.partitions_with_leaders();
        self.machines().send_update_metadata(&started, &partitions);

        let replicas = self.context.replicas_on_brokers(&started);
        // Replicas that a deletion has already deleted keep their state.
        let to_serve = self
            .context
            .replicas_that_can_enter(replicas.clone(), ReplicaState::Online);
        self.machines()
            .move_replicas(to_serve, ReplicaState::Online)
            .await?;
        self.machines().bring_electable_partitions_online().await?;
        self.reassignments().resume_to(&started).await?;
        let topics = replicas.into_iter().map(|r| r.partition.topic).collect();
        topic_deletion::resume_deletion_for_topics(&mut self.machines(), topics).await
    }

    /// Elects new leaders for the partitions that failed brokers led, then takes their replicas out of the ISRs.
    async fn on_broker_failure(&mut self, brokers: &[BrokerId]) -> Result<(), ControllerError> {
        for &broker in brokers {
            self.context.remove_live_broker(broker);
            self.context.forget_offline_dirs(broker);
            self.context.shutting_down.remove(&broker);
        }
        self.on_replicas_become_offline(self.context.replicas_on_brokers(brokers))
            .await
    }

    /// Moves replicas offline that have failed with their broker or log dir.
    pub(super) async fn on_replicas_become_offline(
        &mut self,
        replicas: Vec<PartitionAndReplica>,
    ) -> Result<(), ControllerError> {
        let being_deleted = |r: &PartitionAndReplica| self.context.is_queued_for_deletion(&r.partition.topic);
        let (for_deletion, others): (Vec<_>, Vec<_>) = replicas.into_iter().partition(being_deleted);

        let leaderless = self.context.partitions_with_offline_leader();
        move_partitions(&mut self.context, &leaderless, PartitionState::Offline);
        let elected = self.machines().bring_electable_partitions_online().await?;
        let nothing_sent = others.is_empty() && elected.values().all(Result::is_err);
        self.machines()
            .move_replicas(others, ReplicaState::Offline)
            .await?;
        // The deletion of their topics waits until these replicas are back.
        topic_deletion::fail_replica_deletion(&mut self.machines(), for_deletion).await?;
        if nothing_sent {
            self.machines().send_update_metadata_to_all(&[]);
        }
        Ok(())
    }

    /// Sends all brokers the new listeners of a broker that has changed its registration.
    pub(super) async fn process_broker_modification(&mut self, id: BrokerId) -> Result<(), ControllerError> {
        let registered = self.zk.broker(id).await?;
        let (Some(mut new), Some(old)) = (registered, self.context.live_broker(id)) else {
            debug!(broker = id, "the registration of an unknown broker has changed");
            return Ok(());
        };
        if new.metadata != old.metadata {
            info!(broker = id, old = ?old.metadata, new = ?new.metadata, "registration changed");
            // A later epoch is a restart, which `process_broker_change` handles.
            new.epoch = old.epoch;
            self.context.put_live_broker(new);
            self.machines().send_update_metadata_to_all(&[]);
        }
        Ok(())
    }
}

fn ids(brokers: &[LiveBroker]) -> Vec<BrokerId> {
    brokers.iter().map(|b| b.metadata.id).collect()
}
