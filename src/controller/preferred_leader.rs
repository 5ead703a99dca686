//! Elections on request, and the periodic rebalancing of leaders.
//! Kafka 3.9: `KafkaController.onReplicaElection`, `processReplicaLeaderElection`,
//! `checkAndTriggerAutoLeaderRebalance`.

use std::collections::BTreeMap;
use std::time::Duration;

use tracing::{error, info, warn};

use super::admin_request::{ElectionResults, ElectionType};
use super::context::ControllerContext;
use super::election::ElectionStrategy;
use super::error::ControllerError;
use super::event::{ControllerEvent, Reply};
use super::kafka_controller::Controller;
use super::partition_state_machine::{ElectedLeaders, StateChangeError};
use crate::common::error::ErrorCode;
use crate::common::ids::{BrokerId, NO_BROKER, TopicPartition};
use crate::zk::paths;
use crate::zk::znode::preferred_replica_election;

/// Who asks for an election.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ElectionTrigger {
    /// The automatic rebalancing of leaders.
    Auto,
    /// `/admin/preferred_replica_election`.
    Znode,
    /// An ElectLeaders request.
    AdminClient,
}

impl Controller {
    /// Gives the brokers that lead too few of the partitions they should lead those that they can lead.
    pub(super) async fn process_auto_preferred_replica_election(&mut self) -> Result<(), ControllerError> {
        let result = self.balance_leaders().await;
        let interval = Duration::from_secs(self.config.leader_imbalance_check_interval_seconds);
        if self.is_active() {
            self.rebalance_timer.schedule(interval);
        }
        result
    }

    async fn balance_leaders(&mut self) -> Result<(), ControllerError> {
        let mut by_preferred: BTreeMap<BrokerId, Vec<TopicPartition>> = BTreeMap::new();
        for partition in self.context.all_partitions() {
            if !self.context.is_queued_for_deletion(&partition.topic)
                && let Some(&preferred) = self.context.replicas(&partition).first()
            {
                by_preferred.entry(preferred).or_default().push(partition);
            }
        }
        let allowed = f64::from(self.config.leader_imbalance_per_broker_percentage) / 100.0;
        for (preferred, partitions) in by_preferred {
            let total = partitions.len();
            let led_by_another = |p: &TopicPartition| self.context.leader(p).is_some_and(|l| l != preferred);
            let mut elsewhere: Vec<_> = partitions.into_iter().filter(led_by_another).collect();
            let imbalance = elsewhere.len() as f64 / total as f64;
            if imbalance <= allowed {
                continue;
            }
            elsewhere.retain(|p| can_preferred_replica_lead(&self.context, p, preferred));
            info!(
                broker = preferred,
                imbalance,
                partitions = elsewhere.len(),
                "rebalances leaders"
            );
            self.elect_leaders_as_asked(elsewhere, ElectionType::Preferred, ElectionTrigger::Auto)
                .await?;
        }
        Ok(())
    }

    /// Only an administrator's own request makes an unclean leader.
    async fn elect_leaders_as_asked(
        &mut self,
        partitions: Vec<TopicPartition>,
        election: ElectionType,
        trigger: ElectionTrigger,
    ) -> Result<ElectedLeaders, ControllerError> {
        let strategy = match election {
            ElectionType::Preferred => ElectionStrategy::PreferredReplica,
            ElectionType::Unclean => ElectionStrategy::Offline {
                allow_unclean: trigger == ElectionTrigger::AdminClient,
            },
        };
        info!(
            ?election,
            ?trigger,
            partitions = partitions.len(),
            "elects leaders as asked"
        );
        self.machines()
            .bring_partitions_online(&partitions, strategy)
            .await
    }

    /// `/admin/preferred_replica_election`: what it asks for is done once, whatever comes of it, and the znode
    /// deleted.
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
        let result = self
            .elect_where_needed(partitions, ElectionType::Preferred, ElectionTrigger::Znode)
            .await;
        self.zk.delete(paths::PREFERRED_REPLICA_ELECTION).await?;
        // Arms the watch for the next one.
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
        let results = self
            .elect_where_needed(partitions, election, ElectionTrigger::AdminClient)
            .await?;
        let _ = reply.send(results);
        Ok(())
    }

    async fn elect_where_needed(
        &mut self,
        partitions: Vec<TopicPartition>,
        election: ElectionType,
        trigger: ElectionTrigger,
    ) -> Result<ElectionResults, ControllerError> {
        let (mut results, mut electable) = (ElectionResults::new(), Vec::new());
        for partition in partitions {
            match check_election(&self.context, &partition, election) {
                Ok(()) => electable.push(partition),
                Err(refusal) => drop(results.insert(partition, Err(refusal))),
            }
        }
        for (partition, elected) in self.elect_leaders_as_asked(electable, election, trigger).await? {
            let result = elected.map(|state| state.leader).map_err(|error| {
                warn!(%partition, ?election, %error, "cannot elect the leader that is asked for");
                (error_code(&error, election), Some(message(&partition, &error)))
            });
            results.insert(partition, result);
        }
        Ok(results)
    }

    /// A topic, or every topic that says nothing of it, now allows unclean elections: offline partitions try again.
    pub(super) async fn process_unclean_election_enabled(
        &mut self,
        topic: Option<&str>,
    ) -> Result<(), ControllerError> {
        use super::partition_state::PartitionState::{New, Offline};
        let mut partitions = self.context.electable_partitions_in(&[New, Offline]);
        partitions.retain(|p| topic.is_none_or(|topic| &*p.topic == topic));
        let strategy = ElectionStrategy::Offline { allow_unclean: false };
        self.machines()
            .bring_partitions_online(&partitions, strategy)
            .await
            .map(drop)
    }
}

fn can_preferred_replica_lead(
    context: &ControllerContext,
    partition: &TopicPartition,
    preferred: BrokerId,
) -> bool {
    let in_sync = |l: &crate::common::leader_and_isr::LeaderIsrAndControllerEpoch| {
        l.leader_and_isr.isr.contains(&preferred)
    };
    context.is_replica_online(preferred, partition) && context.leadership(partition).is_some_and(in_sync)
}

/// Whether an election of this kind makes sense for a partition.
fn check_election(
    context: &ControllerContext,
    partition: &TopicPartition,
    election: ElectionType,
) -> Result<(), (ErrorCode, Option<String>)> {
    let refuse = |code, message: &str| Err((code, Some(message.to_owned())));
    let Some(&preferred) = context.replicas(partition).first() else {
        return refuse(
            ErrorCode::UnknownTopicOrPartition,
            "The partition does not exist.",
        );
    };
    if context.is_queued_for_deletion(&partition.topic) {
        return refuse(ErrorCode::InvalidTopicException, "The topic is being deleted");
    }
    let leader = context.leader(partition).unwrap_or(NO_BROKER);
    let needed = match election {
        ElectionType::Preferred => leader != preferred,
        ElectionType::Unclean => !context.is_live(leader),
    };
    if needed {
        return Ok(());
    }
    refuse(
        ErrorCode::ElectionNotNeeded,
        "Leader election not needed for topic partition.",
    )
}

fn error_code(error: &StateChangeError, election: ElectionType) -> ErrorCode {
    match (error, election) {
        (StateChangeError::Zk(_), _) => ErrorCode::UnknownServerError,
        (_, ElectionType::Preferred) => ErrorCode::PreferredLeaderNotAvailable,
        (_, ElectionType::Unclean) => ErrorCode::EligibleLeadersNotAvailable,
    }
}

/// What the administrator's tool shows, in Kafka's words.
fn message(partition: &TopicPartition, error: &StateChangeError) -> String {
    let StateChangeError::NoEligibleLeader(strategy) = error else {
        return error.to_string();
    };
    let strategy = match strategy {
        ElectionStrategy::Offline { allow_unclean } => {
            format!("OfflinePartitionLeaderElectionStrategy({allow_unclean})")
        }
        ElectionStrategy::Reassign => "ReassignPartitionLeaderElectionStrategy".to_owned(),
        ElectionStrategy::PreferredReplica => "PreferredReplicaPartitionLeaderElectionStrategy".to_owned(),
        ElectionStrategy::ControlledShutdown => {
            "ControlledShutdownPartitionLeaderElectionStrategy".to_owned()
        }
    };
    format!("Failed to elect leader for partition {partition} under strategy {strategy}")
}
