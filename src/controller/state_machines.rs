//! The two state machines together with what they work on. A change runs on a new batch, and what it gathered is sent
//! when all of it has been written; when ZooKeeper fails in the middle, nothing is sent.
//!
//! Topic deletion and reassignments, which consist of several changes one after the other, are functions of this value.

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

/// What the controller knows of the cluster, where it writes, and how it reaches the brokers.
pub(super) struct StateMachines<'a> {
    /// What the controller knows.
    pub context: &'a mut ControllerContext,
    /// Where it writes.
    pub zk: &'a ControllerZkClient,
    /// How it reaches the brokers.
    pub channels: &'a mut dyn BrokerChannels,
    /// The broker's id and listeners, which requests name.
    pub config: &'a BrokerConfig,
    /// The configuration with what changes at run time.
    pub current_config: &'a CurrentConfig,
    /// `UncleanLeaderElectionsPerSec`: elections that may have lost records.
    pub unclean_elections: &'a Meter,
}

impl StateMachines<'_> {
    /// Tries to bring every new or offline partition online, those of topics to be deleted excepted.
    pub async fn bring_electable_partitions_online(&mut self) -> Result<ElectedLeaders, ControllerError> {
        let states = [PartitionState::New, PartitionState::Offline];
        let partitions = self.context.electable_partitions_in(&states);
        let strategy = ElectionStrategy::Offline { allow_unclean: false };
        self.bring_partitions_online(&partitions, strategy).await
    }

    /// Moves partitions to Online and tells the brokers. Partitions that were new are not in the result.
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

    /// Gives every replica its first state and tells the brokers. Returns the replicas that are not online.
    pub async fn start_replicas(&mut self) -> Result<Vec<PartitionAndReplica>, ControllerError> {
        let mut batch = BrokerRequestBatch::default();
        let offline = self.replica_state_machine(&mut batch).start().await?;
        self.send(batch);
        Ok(offline)
    }

    /// Moves replicas to a state and tells the brokers.
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

    /// Reads leaders and ISRs into the context.
    pub async fn reload_leadership(&mut self, partitions: &[TopicPartition]) -> Result<(), ControllerError> {
        for (partition, state) in cluster::partition_states(self.zk.store(), partitions).await? {
            self.context.set_leadership(&partition, state);
        }
        Ok(())
    }

    /// Sends a batch.
    pub fn send(&mut self, batch: BrokerRequestBatch) {
        let listener = &self.config.inter_broker_listener_name;
        for (broker, request) in batch.into_requests(self.context, self.config.broker_id, listener) {
            self.channels.send(broker, request);
        }
    }

    /// Tells brokers which brokers are alive, and the leaders of partitions.
    pub fn send_update_metadata(&mut self, brokers: &[BrokerId], partitions: &[TopicPartition]) {
        let mut batch = BrokerRequestBatch::default();
        batch.add_update_metadata(self.context, brokers, partitions);
        self.send(batch);
    }

    /// Tells every registered broker which brokers are alive, and the leaders of partitions.
    pub fn send_update_metadata_to_all(&mut self, partitions: &[TopicPartition]) {
        let brokers = self.context.live_or_shutting_down_ids();
        self.send_update_metadata(&brokers, partitions);
    }
}
