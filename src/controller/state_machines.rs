//! Runs state changes: each gets a new batch, which is sent after ZooKeeper has taken all writes of the change. When
//! ZooKeeper fails, the batch is dropped.
//!
//! [`super::topic_deletion`], [`super::reassignment`] and [`super::replica_election`] consist of several state changes
//! one after the other and work on this value.

use super::broker_request_batch::BrokerRequestBatch;
use super::channel_manager::BrokerChannels;
use super::context::{ControllerContext, PartitionAndReplica};
use super::election::ElectionStrategy;
use super::error::ControllerError;
use super::partition_state::PartitionState;
use super::partition_state_machine::{ElectedLeaders, PartitionStateMachine};
use super::replica_state::ReplicaState;
use super::replica_state_machine::ReplicaStateMachine;
use super::zk_client::ControllerZkClient;
use crate::common::ids::{BrokerId, TopicPartition};
use crate::config::{BrokerConfig, CurrentConfig};
use crate::metrics::Meter;
use crate::zk::cluster;

/// The two state machines with the parts of the controller that state changes need.
pub(super) struct StateMachines<'a> {
    /// The controller's memory of the cluster.
    pub context: &'a mut ControllerContext,
    /// Takes the new states.
    pub zk: &'a ControllerZkClient,
    /// Take the requests.
    pub channels: &'a mut dyn BrokerChannels,
    /// This broker's configuration.
    pub config: &'a BrokerConfig,
    /// The same with the values that have changed at run time.
    pub current_config: &'a CurrentConfig,
    /// `UncleanLeaderElectionsPerSec`: counts the elections that may have lost records.
    pub unclean_elections: &'a Meter,
}

impl StateMachines<'_> {
    /// Tries to bring all new and offline partitions online, except those of topics that are queued for deletion.
    pub async fn bring_electable_partitions_online(&mut self) -> Result<ElectedLeaders, ControllerError> {
        let states = [PartitionState::New, PartitionState::Offline];
        let partitions = self.context.electable_partitions_in(&states);
        let strategy = ElectionStrategy::Offline { allow_unclean: false };
        self.bring_partitions_online(&partitions, strategy).await
    }

    /// Moves partitions to Online. Partitions that were new are not in the result.
    pub async fn bring_partitions_online(
        &mut self,
        partitions: &[TopicPartition],
        strategy: ElectionStrategy,
    ) -> Result<ElectedLeaders, ControllerError> {
        if partitions.is_empty() {
            return Ok(ElectedLeaders::new());
        }
        let mut batch = BrokerRequestBatch::default();
        let mut machine = PartitionStateMachine {
            context: self.context,
            zk: self.zk,
            batch: &mut batch,
            config: self.current_config,
            unclean_elections: self.unclean_elections,
        };
        let elected = machine.bring_online(partitions, strategy).await?;
        self.send(batch);
        Ok(elected)
    }

    /// Gives every replica its first state. Returns the replicas that are not online.
    pub async fn start_replicas(&mut self) -> Result<Vec<PartitionAndReplica>, ControllerError> {
        let mut batch = BrokerRequestBatch::default();
        let offline = self.replica_state_machine(&mut batch).start().await?;
        self.send(batch);
        Ok(offline)
    }

    /// Moves replicas to a state.
    pub async fn move_replicas(
        &mut self,
        replicas: Vec<PartitionAndReplica>,
        target: ReplicaState,
    ) -> Result<(), ControllerError> {
        if replicas.is_empty() {
            return Ok(());
        }
        let mut batch = BrokerRequestBatch::default();
        let mut machine = self.replica_state_machine(&mut batch);
        machine.move_replicas(replicas, target).await?;
        self.send(batch);
        Ok(())
    }

    fn replica_state_machine<'a>(&'a mut self, batch: &'a mut BrokerRequestBatch) -> ReplicaStateMachine<'a> {
        ReplicaStateMachine {
            context: self.context,
            zk: self.zk,
            batch,
        }
    }

    /// Reads leaders and ISRs from ZooKeeper into the context.
    pub async fn reload_leadership(&mut self, partitions: &[TopicPartition]) -> Result<(), ControllerError> {
        for (partition, state) in cluster::partition_states(self.zk.store(), partitions).await? {
            self.context.set_leadership(&partition, state);
        }
        Ok(())
    }

    /// Sends the requests of a batch.
    pub fn send(&mut self, batch: BrokerRequestBatch) {
        let listener = &self.config.inter_broker_listener_name;
        for (broker, request) in batch.into_requests(self.context, self.config.broker_id, listener) {
            self.channels.send(broker, request);
        }
    }

    /// Sends UpdateMetadata with the live brokers and these partitions.
    pub fn send_update_metadata(&mut self, brokers: &[BrokerId], partitions: &[TopicPartition]) {
        let mut batch = BrokerRequestBatch::default();
        batch.add_update_metadata(self.context, brokers, partitions);
        self.send(batch);
    }

    /// Sends UpdateMetadata with the live brokers and these partitions to all registered brokers.
    pub fn send_update_metadata_to_all(&mut self, partitions: &[TopicPartition]) {
        let brokers = self.context.live_or_shutting_down_ids();
        self.send_update_metadata(&brokers, partitions);
    }
}
