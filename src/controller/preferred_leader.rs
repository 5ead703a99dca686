//! The events that ask for elections: requests, the periodic check of the leader balance, and configurations that begin
//! to allow unclean elections. Kafka 3.9: `KafkaController.processReplicaLeaderElection`,
//! `checkAndTriggerAutoLeaderRebalance`, `processUncleanLeaderElectionEnable`.

use std::time::Duration;

use tracing::error;

use super::admin_request::{ElectionResults, ElectionType};
use super::election::ElectionStrategy;
use super::error::ControllerError;
use super::event::{ControllerEvent, Reply};
use super::kafka_controller::Controller;
use super::partition_state::PartitionState::{New, Offline};
use super::replica_election::{ElectionTrigger, balance_leaders, elect_where_needed};
use crate::common::ids::{TopicName, TopicPartition};
use crate::zk::paths;
use crate::zk::znode::preferred_replica_election;

impl Controller {
    /// Balances the leaders, and starts the timer for the next time.
    pub(super) async fn process_auto_preferred_replica_election(&mut self) -> Result<(), ControllerError> {
        let result = balance_leaders(&mut self.machines()).await;
        let interval = Duration::from_secs(self.config.leader_imbalance_check_interval_seconds);
        if self.is_active() {
            self.rebalance_timer.schedule(interval);
        }
        result
    }

    /// `/admin/preferred_replica_election`. The elections are tried once; then the znode is deleted.
    pub(super) async fn process_znode_preferred_election(&mut self) -> Result<(), ControllerError> {
        let Some((data, _)) = self
            .zk
            .store()
            .get(paths::PREFERRED_REPLICA_ELECTION, true)
            .await?
        else {
            return Ok(());
        };
        let partitions = preferred_replica_election::decode(&data).unwrap_or_else(|error| {
            error!(%error, "unreadable request for preferred leaders ignored");
            Vec::new()
        });
        let result = elect_where_needed(
            &mut self.machines(),
            partitions,
            ElectionType::Preferred,
            ElectionTrigger::Znode,
        )
        .await;
        self.zk.delete(paths::PREFERRED_REPLICA_ELECTION).await?;
        // The event sets the watch for the next request.
        self.events.put(ControllerEvent::ZnodePreferredElection);
        result.map(drop)
    }

    /// ElectLeaders.
    pub(super) async fn process_elect_leaders(
        &mut self,
        partitions: Option<Vec<TopicPartition>>,
        election: ElectionType,
        reply: Reply<ElectionResults>,
    ) -> Result<(), ControllerError> {
        let partitions = partitions.unwrap_or_else(|| self.context.all_partitions());
        let results = elect_where_needed(
            &mut self.machines(),
            partitions,
            election,
            ElectionTrigger::AdminClient,
        )
        .await?;
        let _ = reply.send(results);
        Ok(())
    }

    /// Tries again to elect leaders for the offline partitions of a topic that allows unclean elections now; `None` for
    /// all topics, because the default has changed.
    pub(super) async fn process_unclean_election_enabled(
        &mut self,
        topic: Option<TopicName>,
    ) -> Result<(), ControllerError> {
        let mut partitions = self.context.electable_partitions_in(&[New, Offline]);
        partitions.retain(|p| topic.as_ref().is_none_or(|topic| p.topic == *topic));
        let strategy = ElectionStrategy::Offline { allow_unclean: false };
        self.machines()
            .bring_partitions_online(&partitions, strategy)
            .await
            .map(drop)
    }
}
