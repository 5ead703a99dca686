//! The first work of a new controller: it reads the cluster's state and takes the cluster over. Kafka 3.9:
//! `KafkaController.onControllerFailover`.

use std::time::Duration;

use tracing::{error, info};

use super::error::ControllerError;
use super::kafka_controller::Controller;
use super::partition_state_machine::initialize_partition_states;
use super::replica_state::ReplicaState;
use super::topic_assignments::{adopt_assignments, adopt_topic_ids};
use super::topic_deletion;
use crate::common::ids::TopicId;
use crate::zk::znode::{FeatureStatus, FeatureZnode};
use crate::zk::{cluster, paths};

/// The time from the election to the first check of the leader balance.
const FIRST_REBALANCE: Duration = Duration::from_secs(5);

impl Controller {
    /// Reads the cluster's state and takes the cluster over, in Kafka's order of steps. Each read sets a watch before
    /// the controller uses the data, so that it does not miss a change.
    pub(super) async fn failover(&mut self) -> Result<(), ControllerError> {
        self.enable_feature_versioning().await?;
        for notifications in [paths::LOG_DIR_EVENT_NOTIFICATION, paths::ISR_CHANGE_NOTIFICATION] {
            let names = cluster::children(self.zk.store(), notifications, true).await?;
            self.zk.delete_children(notifications, names).await?;
        }
        self.initialize_context().await?;
        topic_deletion::initialize_topic_deletion(&mut self.machines()).await?;
        // A broker accepts a LeaderAndIsr only with leaders that its metadata has as live (fact 13).
        self.machines().send_update_metadata_to_all(&[]);
        let offline = self.machines().start_replicas().await?;
        initialize_partition_states(&mut self.context);
        // Kafka takes the offline replicas out of the ISRs first, and so writes the state of a partition that has lost
        // its leader twice. In this order, which is also that of a broker's death, it is written once, and earlier.
        self.machines().bring_electable_partitions_online().await?;
        self.machines()
            .move_replicas(offline, ReplicaState::Offline)
            .await?;
        info!(epoch = self.context.epoch, brokers = ?self.context.live_or_shutting_down_ids(),
            topics = self.context.topics().count(), "serves as the controller");
        self.resume_reassignments_after_failover().await?;
        topic_deletion::resume_deletions(&mut self.machines()).await?;
        self.process_znode_preferred_election().await?;
        if self.config.auto_leader_rebalance_enable {
            self.rebalance_timer.schedule(FIRST_REBALANCE);
        }
        Ok(())
    }

    /// Creates `/feature`, or enables the features that an old broker has disabled, and waits until this broker's
    /// metadata cache has the change. Brokers without `/feature` stop.
    async fn enable_feature_versioning(&mut self) -> Result<(), ControllerError> {
        let enabled = FeatureZnode::enabled();
        let timeout = Duration::from_millis(self.config.zookeeper_connection_timeout_ms);
        match self.zk.store().get(paths::FEATURE, false).await? {
            None => self.write_features(&enabled, timeout).await,
            Some((data, _)) => match FeatureZnode::decode(&data) {
                Ok(feature) if feature.status == FeatureStatus::Disabled => {
                    self.write_features(&enabled, timeout).await
                }
                Ok(_) => Ok(()),
                Err(error) => {
                    error!(%error, "unreadable znode /feature left as it is");
                    Ok(())
                }
            },
        }
    }

    async fn initialize_context(&mut self) -> Result<(), ControllerError> {
        for broker in self.zk.brokers().await? {
            self.context.put_live_broker(broker);
        }
        let topics: Vec<_> = self.zk.topics().await?.into_iter().collect();
        for topic in &topics {
            self.context.put_topic(topic.clone(), TopicId::nil());
        }
        let assignments = self.zk.topic_assignments(&topics).await?;
        adopt_topic_ids(&mut self.context, &self.zk, &assignments).await?;
        for (topic, assignment) in assignments {
            adopt_assignments(&mut self.context, &topic, assignment);
        }
        let partitions = self.context.all_partitions();
        self.machines().reload_leadership(&partitions).await?;
        for broker in self.context.live_or_shutting_down_brokers() {
            self.channels.add_broker(&broker.metadata);
        }
        Ok(())
    }
}
